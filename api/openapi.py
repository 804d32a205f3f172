"""What the OpenAPI document says of every route beyond its parameters: answers, headers, errors."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.problems import CATALOGUE

WRITE_PROBLEMS = (
    "invalid-json", "unauthenticated", "forbidden", "not-found", "slug-taken", "not-deleted",
    "table-purged", "version-mismatch", "body-too-large", "unsupported-media-type", "validation",
    "unavailable",
)  # fmt: skip
READ_PROBLEMS = (
    "invalid-cursor", "unauthenticated", "forbidden", "not-found", "table-purged", "validation",
    "projection-behind",
)  # fmt: skip


class FieldError(BaseModel):
    """One value that is wrong."""

    model_config = ConfigDict(extra="allow")

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the part of the request.")
    code: str
    detail: str


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/not-found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "There is nothing here under this id.",
                    "code": "not-found",
                    "requestId": "019ab3f27c1e7d559f302b1f6a0c4d11",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str = Field(alias="requestId")
    errors: list[FieldError] = Field(default_factory=list)


def _header(description: str, pattern: str = ".+") -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", "pattern": pattern}}


HEADERS = {
    "ETag": _header("The version of the table, or of the list.", '^"[0-9a-f]+"$'),
    "Event-Position": _header(
        "Writes: the position of their last event. Reads: the position they show.", "^[0-9]+$"
    ),
    "X-Request-Id": _header("The id of the request, in the log and with the events."),
}
_LOCATION = {"Location": _header("Where it is.")}
_RETRY = {"Retry-After": _header("Seconds after which to try again.", "^[0-9]+$")}
_TEXTS = {
    200: "Done.",
    201: "Created.",
    204: "Done; there is nothing to show.",
    304: "What the caller has is still right.",
    308: "The table has another slug now.",
}


def answers(model: type[BaseModel] | None, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: these successes, and the problems of its kind."""
    writes = 200 not in statuses or model is None
    found: dict[int | str, dict[str, Any]] = {s: _answer(s, model) for s in statuses}
    if not writes:
        found[304] = {"description": _TEXTS[304], "headers": HEADERS}
    for code in WRITE_PROBLEMS if writes else READ_PROBLEMS:
        problem = CATALOGUE[code]
        found.setdefault(problem.status, _problem(problem.title, problem.status))
    return found


def _answer(status: int, model: type[BaseModel] | None) -> dict[str, Any]:
    headers = HEADERS | (_LOCATION if status in (201, 308) else {})
    answer: dict[str, Any] = {"description": _TEXTS[status], "headers": headers}
    if model is not None and status < 300:
        answer["model"] = model
    return answer


def _problem(title: str, status: int) -> dict[str, Any]:
    return {
        "description": title,
        "headers": {"X-Request-Id": HEADERS["X-Request-Id"], **(_RETRY if status == 503 else {})},
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
