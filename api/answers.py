"""What a route answers with, for the OpenAPI document: successes, headers, problems."""

import base64
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.audit_views import NOTE
from api.problems import CATALOGUE
from api.views import EXAMPLE_ID, Rehearsal, Table

EVERY = (
    "unauthenticated", "forbidden", "validation", "rate-limited", "unavailable", "internal",
)  # fmt: skip
READ = (*EVERY, "invalid-position", "projection-behind")
WRITE = (*EVERY, "csrf", "idempotency-key-reused", "append-busy")
CONDITIONAL = ("version-mismatch", "precondition-required")
BODY = ("invalid-json", "body-too-large", "unsupported-media-type")
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"
PROBLEM = "application/problem+json"
REF = "#/components/schemas/{model}"
Answers = dict[int | str, dict[str, Any]]


class FieldError(BaseModel):
    """One value that is wrong."""

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the part of the request.")
    part: str = Field("body", alias="in", description="path, query, header or body.")
    code: str
    detail: str


class Clash(BaseModel):
    """One field that two people set to different things."""

    pointer: str
    base: Any = Field(description="What it was at the version in If-Match.")
    theirs: Any = Field(description="What it is now.")
    yours: Any = Field(description="What this request would make it.")


class Problem(BaseModel):
    """What went wrong (RFC 9457). Which members there are depends on the code."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="The address of a page about this problem.")
    title: str
    status: int
    detail: str
    code: str = Field(json_schema_extra={"enum": list(CATALOGUE)})
    request_id: str = Field(alias="requestId")
    errors: list[FieldError] = Field([], description="Every value that is wrong.")
    missing_scope: str = Field("", alias="missingScope")
    suggestion: str = Field("", description="A slug that is free.")
    held_by: dict[str, Any] = Field({}, alias="heldBy", description="The table with the slug.")
    deleted_at: str = Field("", alias="deletedAt")
    restorable: bool = False
    current_version: int = Field(0, alias="currentVersion")
    events: list[dict[str, Any]] = Field([], description="Feed items since the caller's version.")
    clashes: list[Clash] = []
    checkpoint: str = Field("", description="The last signed head, as a note.")
    refused_at: str = Field("", alias="refusedAt", description="Since when no head is signed.")


_MEMBERS: dict[str, dict[str, Any]] = {
    "validation": {
        "detail": "Wrong: /name.",
        "errors": [
            {"pointer": "/name", "in": "body", "code": "required", "detail": "Field required"}
        ],
    },
    "forbidden": {"detail": "This needs the scope tables:write.", "missingScope": "tables:write"},
    "slug-taken": {
        "detail": "'orders' belongs to a deleted table. Restore or purge it, or choose 'orders-2'.",
        "errors": [
            {"pointer": "/slug", "in": "body", "code": "taken", "detail": "is in use"},
        ],
        "suggestion": "orders-2",
        "heldBy": {"id": EXAMPLE_ID, "deletedAt": "2026-11-22T09:30:00.123456Z"},
    },
    "table-deleted": {"deletedAt": "2026-11-22T09:30:00.123456Z", "restorable": True},
    "audit-log-altered": {"checkpoint": NOTE, "refusedAt": "2026-11-22T09:30:00.123456Z"},
    "version-mismatch": {
        "currentVersion": 2,
        "events": [
            {
                "position": "48231",
                "id": "019ab3f2-7c1e-7d55-9f30-2b1f6a0c4d12",
                "type": "dynamic-tables.table-def.renamed.v1",
                "tableId": EXAMPLE_ID,
                "version": 2,
                "data": {"name": "Sales"},
            }
        ],
        "clashes": [
            {"pointer": "/name", "base": "Orders", "theirs": "Sales", "yours": "Sales orders"}
        ],
    },
}


def _header(description: str, example: str, pattern: str = ".+", **extra: Any) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"description": description, "schema": schema, "example": example, **extra}


_ETAG = {"ETag": _header("The version of what is shown.", '"7"', '^"[0-9a-f]+"$', required=True)}
_POSITION = {
    "Event-Position": _header(
        "Writes: the position of their last event. Reads: the position they show.",
        "48231", "^[0-9]+$", required=True,
    )
}  # fmt: skip
_REPLAYED = {"Idempotency-Replayed": _header("The same answer again.", "true", "^true$")}
_ETAG_OF_FEED = {"ETag": _header("Of what is shown.", '"7f0c"', '^"[0-9a-f]+"$')}
_PUBLISHED = _ETAG_OF_FEED | {
    "Cache-Control": _header(
        "For how many seconds it need not be asked for.", "public, max-age=3600"
    )
}
_NEXT = {"Link": _header("The next page.", '</api/tables?cursor=KD4tX>; rel="next"')}
_LOCATION = {
    "Location": _header("Where it is.", f"/api/tables/{EXAMPLE_ID}", "^/api/", required=True)
}
COMMON = {
    "X-Request-Id": _header(
        "The id of the request, in the log and with the events.", "5f0c9b1e", required=True
    ),
    "traceparent": _header("The caller's own.", f"00-{'4b' * 16}-{'00f1' * 4}-01"),
}
_RANGES = {
    "Accept-Ranges": _header("Parts can be asked for.", "bytes", "^bytes$", required=True),
    "Content-Disposition": _header("What to call it.", 'attachment; filename="audit.zip"'),
}
_CONTENT_RANGE = {
    "Content-Range": _header("Which part, and of how many bytes.", "bytes 0-1023/48231")
}
_OF_STATUS = {
    401: {
        "WWW-Authenticate": _header(
            "How to authenticate.", 'Bearer realm="dynamic-tables"', required=True
        )
    },
    412: {"ETag": _header("The present version.", '"7"', required=True)},
    415: {
        "Accept-Patch": _header("What a PATCH may be.", f"{JSON}, {MERGE_PATCH}"),
        "Accept-Post": _header("What a POST may be.", JSON),
    },
    416: {"Content-Range": _header("How many bytes there are.", "bytes */48231", required=True)},
    429: {"Retry-After": _header("Seconds until the next try.", "1", "^[0-9]+$", required=True)},
    503: {"Retry-After": _header("Seconds until the next try.", "1", "^[0-9]+$", required=True)},
}


def reads(model: type[BaseModel], *problems: str, position: bool = True) -> Answers:
    """The answers of a read; `position`: whether it is from a read model."""
    headers = _ETAG | (_NEXT if "next_cursor" in model.model_fields else {})
    headers |= _POSITION if position else {}
    known = {"description": "What the caller has is still right.", "headers": headers | COMMON}
    problems = (*(READ if position else EVERY), *problems)
    return {200: _success("Here it is.", model, headers), 304: known, **failures(*problems)}


def writes(status: int, *problems: str, model: Any = Table, rehearsal: Any = Rehearsal) -> Answers:
    """The answers of a write; with `dryRun` it is always 200."""
    headers = _ETAG | _POSITION | _REPLAYED | (_LOCATION if status == 201 else {})
    answers: Answers = {200: _success("With `dryRun`: what would happen.", rehearsal, {})}
    if status == 200:
        optional = {name: header | {"required": False} for name, header in headers.items()}
        answers[200] = _success("Done, or with `dryRun` rehearsed.", model | rehearsal, optional)
    else:
        answers[status] = _success("Done.", model if status == 201 else None, headers)
    return answers | failures(*WRITE, *problems)


def puts(model: Any, rehearsal: Any, *problems: str) -> Answers:
    """The answers of a write that creates what is not there yet."""
    changed, created = writes(200, model=model, rehearsal=rehearsal), writes(201, model=model)
    return changed | {201: created[201]} | failures(*WRITE, *problems)


def keeps(
    status: int,
    model: Any,
    rehearsal: Any,
    *problems: str,
    puts: bool = False,
    located: bool = False,
) -> Answers:
    """The answers of a write that records no event; `puts`: it may also be there already.

    `located`: it says where it is, also with another status than 201.
    """
    answers: Answers = {200: _success("With `dryRun`: what would happen.", rehearsal, {})}
    if status == 200 or puts:
        answers[200] = _success("Done, or with `dryRun` rehearsed.", model | rehearsal, _REPLAYED)
    if status != 200:
        headers = _REPLAYED | (_LOCATION if located or status == 201 else {})
        answers[status] = _success("Done.", model, headers)
    return answers | failures(*WRITE, *problems)


def downloads(*problems: str) -> Answers:
    """The answers of a download of bytes, which may be asked for in parts."""
    content = {
        each: {"schema": {"type": "string"}, "example": "The bytes."}
        for each in ("application/zip", "text/csv")
    }
    headers = _ETAG_OF_FEED | _RANGES
    part = headers | _CONTENT_RANGE
    return {
        200: _success("All of it.", None, headers) | {"content": content},
        206: _success("The part that was asked for.", None, part) | {"content": content},
        304: {"description": "What the caller has is still right.", "headers": headers | COMMON},
        **failures(*EVERY, *problems),
    }


def done() -> Answers:
    """The only success of a route that has nothing to show."""
    return {204: _success("Done.", None, {})}


_FEED = {
    "Feed-Position": _header(
        "The last position that was looked at: follow from it, also when nothing matched.",
        "48231", "^[0-9]+$", required=True,
    ),
    "Feed-Head": _header("The last position of the company.", "48231", "^[0-9]+$", required=True),
    "Audit-Checkpoint": _header(
        "The last signed head of the company's audit log, a note in base64; keep it.",
        base64.b64encode(NOTE.encode()).decode(), "^[A-Za-z0-9+/]+=*$",
    ),
}  # fmt: skip


def events_read(model: type[BaseModel], *media_types: str) -> Answers:
    """The answers of the feed, in each of its forms."""
    headers = _FEED | _ETAG_OF_FEED | _NEXT
    page = _success("The next events; none = caught up.", model, headers)
    page["content"] = {
        each: {"schema": {"type": "string"}, "example": "One of each, in that form."}
        for each in media_types
    }
    known = {"description": "What the caller has is still right.", "headers": headers | COMMON}
    return {200: page, 304: known, **failures(*EVERY, "feed-rewound")}


def streamed() -> Answers:
    """The answers of a stream of events."""
    example = (
        'id: 48231\nevent: dynamic-tables.table-def.deleted.v1\ndata: {"position": "48231"}\n\n'
    )
    problems = failures(*EVERY, "invalid-position", "feed-rewound")
    return text("text/event-stream", example) | problems


def moved() -> Answers:
    """The answer to a former name."""
    return {308: _success("The table has another slug now.", None, _LOCATION)}


def failures(*codes: str) -> Answers:
    """The problems that a route can answer with, by status."""
    statuses = sorted({CATALOGUE[code].status for code in codes})
    return {s: _failure(s, [c for c in codes if CATALOGUE[c].status == s]) for s in statuses}


def found(model: Any) -> Answers:
    """The only success of a route that shows no read model."""
    return {200: _success("Here it is.", model, {})}


def published(answers: Answers) -> Answers:
    """The same answers of what changes with releases alone: the caller may keep it."""
    headers = {name: header | {"required": True} for name, header in _PUBLISHED.items()} | COMMON
    known = {"description": "What the caller has is still right.", "headers": headers}
    return {**answers, 200: answers[200] | {"headers": headers}, 304: known}


def text(media_type: str, example: Any, kind: str = "string") -> Answers:
    """The only success of a route whose answer is for people or other tools."""
    content = {media_type: {"schema": {"type": kind}, "example": example}}
    return {200: _success("Here it is.", None, {}) | {"content": content}}


def _success(description: str, model: Any, headers: dict[str, Any]) -> dict[str, Any]:
    shown = {} if model is None else {"model": model}
    return {"description": description, "headers": headers | COMMON, **shown}


def _failure(status: int, codes: list[str]) -> dict[str, Any]:
    examples = {code: {"value": _problem(code)} for code in codes}
    return {
        "description": ". ".join(CATALOGUE[code].title for code in codes) + ".",
        "headers": _OF_STATUS.get(status, {}) | COMMON,
        "content": {PROBLEM: {"schema": {"$ref": REF.format(model="Problem")}} | {
            "examples": examples}},
    }  # fmt: skip


def _problem(code: str) -> dict[str, Any]:
    kind = CATALOGUE[code]
    return {
        "type": f"/problems/{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.remedy,
        "code": code,
        "requestId": "5f0c9b1e",
        **_MEMBERS.get(code, {}),
    }
