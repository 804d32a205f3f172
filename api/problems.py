"""Every problem that an answer can name: its code, status, title, and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A kind of error, as RFC 9457 has it; `/problems/{code}` is its page."""

    code: str
    status: int
    title: str
    remedy: str


CATALOGUE = {
    problem.code: problem
    for problem in (
        Problem(
            "invalid-json", 400, "The body is not valid JSON",
            "Send one JSON value as RFC 8259 defines it, encoded as UTF-8, without duplicate keys,"
            " NaN or Infinity.",
        ),
        Problem(
            "invalid-cursor", 400, "The cursor cannot be used",
            "Use `nextCursor` of an earlier answer unchanged, with the same key, filter and sort."
            " To start over, leave the cursor out.",
        ),
        Problem(
            "invalid-position", 400, "The position is not a position",
            "A position is a decimal number such as 48231, taken from an `Event-Position` header.",
        ),
        Problem(
            "unauthenticated", 401, "No valid credentials",
            "Send `Authorization: Bearer …` with an API key neither expired nor revoked, or a token"
            " of the identity provider.",
        ),
        Problem(
            "forbidden", 403, "The credentials do not allow this",
            "Use a key whose role has the scope that the detail names.",
        ),
        Problem(
            "csrf", 403, "The write does not come from a page of ours",
            "A browser's writes need the header `X-CSRF-Token`; `GET /api/me` tells its value.",
        ),
        Problem(
            "not-found", 404, "Not found",
            "Check the address and the id. What belongs to another company looks the same.",
        ),
        Problem(
            "table-deleted", 404, "The table is deleted",
            "Restore it with POST /api/tables/{id}/restore, or read it with ?state=all.",
        ),
        Problem(
            "method-not-allowed", 405, "The method is not allowed here",
            "Use one of the methods in the Allow header.",
        ),
        Problem(
            "slug-taken", 409, "Slug already in use",
            "Choose another slug; `suggestion` is free. A deleted table keeps its slug until it is"
            " purged; `heldBy` names the table.",
        ),
        Problem(
            "not-deleted", 409, "The table is not deleted",
            "Delete the table first; purging cannot be undone.",
        ),
        Problem(
            "workspace-deleted", 409, "The workspace is deleted",
            "Restore it with POST /api/workspaces/{id}/restore, or choose another workspace.",
        ),
        Problem(
            "feed-rewound", 409, "The feed has gone back",
            "A backup was restored: what came after it, and what you have seen of that, never"
            " happened. Compare what you have with GET /api/tables, and follow from its position.",
        ),
        Problem(
            "audit-log-altered", 409, "The audit log is not the one that was signed",
            "`checkpoint` is the last head that it was signed with, and no other is signed. Compare"
            " it with those that you keep, and tell whoever runs the installation.",
        ),
        Problem(
            "lease-lost", 409, "The lease is over",
            "Its time ran out, or somebody else reads the partition now. Fetch again: what was not"
            " acknowledged comes again.",
        ),
        Problem(
            "limit-reached", 409, "There are too many already",
            "Delete one that is not needed.",
        ),
        Problem(
            "export-not-ready", 409, "The export cannot be downloaded",
            "Wait until GET /api/audit/exports/{id} says that it is done; if it failed, ask again.",
        ),
        Problem(
            "company-removed", 409, "The company was removed",
            "The platform can restore it with POST /api/companies/{id}/restore.",
        ),
        Problem(
            "key-revoked", 409, "The key is revoked or has expired",
            "Create another key.",
        ),
        Problem(
            "table-purged", 410, "The table was purged",
            "It is gone for ever; create another.",
        ),
        Problem(
            "version-mismatch", 412, "Somebody else changed it",
            "`events` and `clashes` tell what changed since the version in If-Match. Decide, then"
            " send the request again with `currentVersion`.",
        ),
        Problem(
            "body-too-large", 413, "The body is too large",
            "Send at most 256 KiB.",
        ),
        Problem(
            "unsupported-media-type", 415, "The media type is not supported",
            "Send `application/json`; a PATCH may also be `application/merge-patch+json`.",
        ),
        Problem(
            "range-not-satisfiable", 416, "There are no such bytes",
            "Ask for bytes below the size in Content-Range.",
        ),
        Problem(
            "validation", 422, "The request breaks a rule",
            "`errors` has one entry for each value that is wrong, with a pointer to it.",
        ),
        Problem(
            "idempotency-key-reused", 422, "The idempotency key belongs to another request",
            "Use a new key for a new request. A repeated request must be the same to the letter.",
        ),
        Problem(
            "precondition-required", 428, "Say which version you mean",
            "The settings of this company require `If-Match` with the ETag of what you change.",
        ),
        Problem(
            "rate-limited", 429, "Too many requests",
            "Nothing was done. Try again after Retry-After seconds.",
        ),
        Problem(
            "internal", 500, "Something went wrong here",
            "It is not your fault. Report the request id.",
        ),
        Problem(
            "append-busy", 503, "Too many writes at once",
            "Nothing was stored. Try again after Retry-After seconds, best with the same"
            " Idempotency-Key.",
        ),
        Problem(
            "projection-behind", 503, "The read model is not there yet",
            "Try again after Retry-After seconds, or wait longer with `Prefer: wait=5`.",
        ),
        Problem(
            "unavailable", 503, "Not available now",
            "Try again after Retry-After seconds, best with the same Idempotency-Key: the request"
            " then takes effect once.",
        ),
    )
}  # fmt: skip
