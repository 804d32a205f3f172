"""The one map from errors to HTTP: RFC 9457 problem details, whatever went wrong."""

import logging
from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import psycopg
import psycopg_pool
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.clashes import Clash, StaleChange, clashes
from api.problems import CATALOGUE
from application.audit_log.heads import NothingSigned, SigningRefused
from application.audit_log.proofs import NoSuchSize, NotInLog
from application.base import Stale
from application.errors import (
    AppendBusy,
    ContainerClosed,
    ContainerUnknown,
    Fault,
    KeyReused,
    LeaseLost,
    NotDelivered,
)
from application.event_feed import Rewound
from application.feed import feed_item, rfc3339
from application.table_defs import SlugHeld
from domain.errors import (
    CompanyRemoved,
    DomainError,
    InvalidValue,
    NotDeleted,
    NotFound,
    TableDeleted,
    TablePurged,
    UnreadableEvent,
    WorkspaceDeleted,
)

logger = logging.getLogger(__name__)
_STATUS_CODES = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}

MAX_ERRORS = 100  # a body can hold tens of thousands of wrong fields; nobody reads more
_PLACE = ("workspace", "workspaceId")
_NAMED = 10  # in the sentence


class ApiError(Exception):
    """An error that HTTP itself brings: authentication, validation, preconditions."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail or CATALOGUE[code].remedy
        self.headers = dict(headers or {})
        self.members = members


class TakenSince(Exception):
    """A table cannot be what it was: its slug or workspace of then is not to be had now."""

    def __init__(self, refused: SlugHeld | ContainerUnknown | ContainerClosed) -> None:
        what, facet = ("slug", "slug") if isinstance(refused, SlugHeld) else _PLACE
        super().__init__(
            f"It is the {what} of that version; to keep the present one, leave '{facet}' out of"
            " `facets`."
        )
        self.refused = refused


def invalid(errors: Sequence[Mapping[str, str]]) -> ApiError:
    """A 422 that names every wrong value at once."""
    where = list(dict.fromkeys(e["pointer"] or f"the {e.get('in', 'body')}" for e in errors))
    more = f" and {len(where) - _NAMED} more" if len(where) > _NAMED else ""
    detail = f"Wrong: {', '.join(where[:_NAMED])}{more}."
    return ApiError("validation", detail, errors=list(errors[:MAX_ERRORS]))


def respond(error: Exception, request: Request) -> Response:
    """The answer to a request that failed."""
    problem = as_api_error(error)
    kind = CATALOGUE[problem.code]
    if kind.status == 503:
        problem.headers.setdefault("Retry-After", "1")
    body = {
        "type": f"/problems/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "code": kind.code,
        "requestId": request.scope.get("request_id", ""),
        **problem.members,
    }
    return Response(to_json(body), kind.status, problem.headers, "application/problem+json")


@singledispatch
def as_api_error(error: Exception) -> ApiError:
    """What an error is over HTTP; what nobody expected is logged, and told to nobody."""
    logger.error("unexpected error", exc_info=error)
    return ApiError("internal", "Something went wrong. It was logged under this request id.")


@as_api_error.register
def _(error: ApiError) -> ApiError:
    return error


@as_api_error.register
def _(error: HTTPException) -> ApiError:
    code = _STATUS_CODES.get(error.status_code, "internal")
    return ApiError(code, headers=error.headers)


@as_api_error.register
def _(error: NotFound) -> ApiError:
    return ApiError("not-found", str(error))


@as_api_error.register
def _(error: TableDeleted) -> ApiError:
    deleted_at = rfc3339(error.deleted_at)
    return ApiError("table-deleted", str(error), deletedAt=deleted_at, restorable=True)


@as_api_error.register
def _(error: TablePurged) -> ApiError:
    return ApiError("table-purged", str(error))


@as_api_error.register
def _(error: NotDeleted) -> ApiError:
    return ApiError("not-deleted", str(error))


@as_api_error.register
def _(error: InvalidValue) -> ApiError:
    return invalid([{"pointer": error.pointer, "code": error.code, "detail": str(error)}])


@as_api_error.register
def _(error: ContainerUnknown) -> ApiError:
    detail = "is no workspace of this company"
    return invalid([{"pointer": "/workspaceId", "code": "unknown", "detail": detail}])


@as_api_error.register
def _(error: ContainerClosed) -> ApiError:
    is_company = error.container_id == error.company_id
    return ApiError("company-removed" if is_company else "workspace-deleted")


@as_api_error.register
def _(error: WorkspaceDeleted) -> ApiError:
    return ApiError("workspace-deleted", str(error), deletedAt=rfc3339(error.deleted_at))


@as_api_error.register
def _(error: CompanyRemoved) -> ApiError:
    return ApiError("company-removed", str(error))


@as_api_error.register
def _(error: SlugHeld) -> ApiError:
    holder = "a deleted table" if error.holder_deleted_at else "another table"
    remedy = "Restore or purge it, or choose" if error.holder_deleted_at else "Choose"
    deleted_at = error.holder_deleted_at
    return ApiError(
        "slug-taken",
        f"'{error.slug}' belongs to {holder}. {remedy} '{error.suggestion}'.",
        errors=[{"pointer": "/slug", "in": "body", "code": "taken", "detail": "is in use"}],
        suggestion=error.suggestion,
        heldBy={"id": error.holder_id, "deletedAt": deleted_at and rfc3339(deleted_at)},
    )


@as_api_error.register
def _(error: TakenSince) -> ApiError:
    problem = as_api_error(error.refused)
    problem.detail += f" {error}"
    return problem


@as_api_error.register
def _(error: Stale) -> ApiError:
    return _outdated(error, [])


@as_api_error.register
def _(error: StaleChange) -> ApiError:
    return _outdated(error.stale, clashes(error))


def _outdated(error: Stale, found: Sequence[Clash]) -> ApiError:
    return ApiError(
        "version-mismatch",
        f"It is at version {error.current.version} now.",
        headers={"ETag": f'"{error.current.version}"'},
        currentVersion=error.current.version,
        events=[feed_item(recorded) for recorded in error.since],
        clashes=found,
    )


@as_api_error.register
def _(error: Rewound) -> ApiError:
    return ApiError("feed-rewound")


@as_api_error.register(NothingSigned)
@as_api_error.register(NotInLog)
def _(error: Exception) -> ApiError:
    return ApiError("not-found", str(error))


@as_api_error.register
def _(error: SigningRefused) -> ApiError:
    head = error.head
    since = rfc3339(head.refused_at) if head.refused_at else ""
    return ApiError("audit-log-altered", head.refused or "", checkpoint=head.note, refusedAt=since)


@as_api_error.register
def _(error: NoSuchSize) -> ApiError:
    code = "number-too-small" if error.size < error.least else "number-too-large"
    fault = {"pointer": f"/{error.name}", "in": "query", "code": code, "detail": str(error)}
    return invalid([fault])


@as_api_error.register
def _(error: LeaseLost) -> ApiError:
    return ApiError("lease-lost")


@as_api_error.register
def _(error: NotDelivered) -> ApiError:
    detail = "was not handed out with this lease, or is dealt with"
    return invalid([{"pointer": "/position", "code": "not-delivered", "detail": detail}])


@as_api_error.register
def _(error: KeyReused) -> ApiError:
    return ApiError("idempotency-key-reused")


@as_api_error.register
def _(error: AppendBusy) -> ApiError:
    return ApiError("append-busy")


@as_api_error.register(Fault)
@as_api_error.register(UnreadableEvent)
@as_api_error.register(psycopg.OperationalError)
@as_api_error.register(psycopg.InterfaceError)
@as_api_error.register(psycopg_pool.PoolTimeout)
@as_api_error.register(psycopg_pool.TooManyRequests)
def _(error: Exception) -> ApiError:
    logger.warning("unavailable: %s", str(error).strip())
    return ApiError("unavailable")


@as_api_error.register
def _(error: DomainError) -> ApiError:
    logger.error("a domain error without a problem", exc_info=error)
    return ApiError("internal")
