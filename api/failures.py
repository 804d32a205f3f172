"""How a request can fail, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.answer_headers import COMMON, header
from api.audit_views import NOTE
from api.problems import CATALOGUE
from api.views import EXAMPLE_ID

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


_OF_STATUS = {
    401: {
        "WWW-Authenticate": header(
            "How to authenticate.", 'Bearer realm="dynamic-tables"', required=True
        )
    },
    412: {"ETag": header("The present version.", '"7"', required=True)},
    415: {
        "Accept-Patch": header("What a PATCH may be.", f"{JSON}, {MERGE_PATCH}"),
        "Accept-Post": header("What a POST may be.", JSON),
    },
    416: {"Content-Range": header("How many bytes there are.", "bytes */48231", required=True)},
    429: {"Retry-After": header("Seconds until the next try.", "1", "^[0-9]+$", required=True)},
    503: {"Retry-After": header("Seconds until the next try.", "1", "^[0-9]+$", required=True)},
}


def failures(*codes: str) -> Answers:
    """The problems that a route can answer with, by status."""
    statuses = sorted({CATALOGUE[code].status for code in codes})
    return {s: _failure(s, [c for c in codes if CATALOGUE[c].status == s]) for s in statuses}


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
