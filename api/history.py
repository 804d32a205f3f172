"""What happened over HTTP: of a table, of a company, and what differs between two points."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query
from psycopg.rows import TupleRow
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import reads
from api.endpoint import Call, Endpoint
from api.errors import invalid
from api.history_items import item, table_changes
from api.history_reads import HistoryReads
from api.history_schemas import AuditQuery, DiffQuery, HistoryQuery, TableDiffQuery
from api.history_views import DiffPage, HistoryPage, TableDiff
from api.reading import after, catch_up, etag, page_answer, unless_known
from api.schemas import ReadHeaders
from api.security import requires
from api.table_defs import TableId
from domain.errors import NotFound
from projections.history_queries import NEWEST, PastRow
from projections.keyset import Page
from projections.log_queries import Wanted

TABLES = [requires("tables:read")]
AUDIT = [requires("audit:read")]

router = APIRouter(
    tags=["history"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("/api/tables/{id}/history", dependencies=TABLES,
            responses=reads(HistoryPage, "not-found", "invalid-cursor"))  # fmt: skip
async def list_table_history(
    call: Call,
    id: TableId,
    query: Annotated[HistoryQuery, Query()],
    headers: Annotated[ReadHeaders, Header()],
) -> Response:
    """List what happened to a table, also to one that was deleted or purged."""
    history, company_id = call.services.history, call.caller.company_id
    await catch_up(call, history.progress, headers)
    wanted = ("history", company_id, id, query.order)
    start = after(call, query.cursor, wanted)
    shown = history.progress.position  # before it is asked: what comes meanwhile may not be in it
    rows = await history.of_table(company_id, id, query.order, start, query.limit)
    page = _page([item(row) for row in rows], query.limit, [row.version for row in rows], shown)
    return page_answer(call, headers, page, wanted)


@router.get("/api/tables/{id}/diff", dependencies=TABLES,
            responses=reads(TableDiff, "not-found", "table-purged"))  # fmt: skip
async def compare_table(
    call: Call,
    id: TableId,
    query: Annotated[TableDiffQuery, Query()],
    headers: Annotated[ReadHeaders, Header()],
) -> Response:
    """Tell what differs between two versions of a table, or two times."""
    history = call.services.history
    await catch_up(call, history.progress, headers)
    position = history.progress.position
    start = await _version(call, id, 1 if query.from_ is None else query.from_, "/from")
    end = await _version(call, id, query.to, "/to")
    if not start and not end:  # it was not there yet, or never
        await history.at_version(call.caller.company_id, id, 1)
    compared = {
        "from": start.version if start else 0,
        "to": end.version if end else 0,
        "changes": table_changes(start.state if start else None, end.state if end else None),
    }
    body = to_json(compared)
    return unless_known(headers, body, {"ETag": etag(body), "Event-Position": str(position)})


@router.get("/api/audit/events", dependencies=AUDIT,
            responses=reads(HistoryPage, "invalid-cursor"))  # fmt: skip
async def list_audit_events(
    call: Call, query: Annotated[AuditQuery, Query()], headers: Annotated[ReadHeaders, Header()]
) -> Response:
    """List what happened in the company: all of it, or what was wanted."""
    history = call.services.history
    if query.is_backwards:
        raise _backwards()
    await catch_up(call, history.progress, headers)
    wanted = Wanted(
        company_id=call.caller.company_id,
        order=query.order,
        actor_id=query.actor_id,
        topics=None if query.type is None else tuple(sorted(query.type)),
        table_id=query.table_id,
        after=await _before(history, query.from_),
        until=await _until(history, query.to),
        text=query.q,
    )
    # A moment to come is another position at each page: its cursor is for the moment itself.
    asked = (replace(wanted, after=None, until=None), query.from_, query.to)
    start, shown = after(call, query.cursor, asked), history.progress.position
    rows = await history.of_company(wanted, start, query.limit)
    page = _page([item(row) for row in rows], query.limit, [row.position for row in rows], shown)
    return page_answer(call, headers, page, asked)


@router.get("/api/audit/diff", dependencies=AUDIT, responses=reads(DiffPage, "invalid-cursor"))
async def compare_company(
    call: Call, query: Annotated[DiffQuery, Query()], headers: Annotated[ReadHeaders, Header()]
) -> Response:
    """Tell which tables differ between two times or positions, and in what."""
    history, company_id = call.services.history, call.caller.company_id
    await catch_up(call, history.progress, headers)
    start = await history.position_at(query.from_ or 0, "/from")
    end = await _end(call, query, start)
    wanted = ("diff", company_id, start, None if query.to is None else end)
    beyond = after(call, query.cursor, wanted)
    end = beyond.id.int if beyond else end  # the pages of one comparison end where the first did
    rows = await history.changed(company_id, start, end, beyond, query.limit)
    page = _page([_changed(row) for row in rows], query.limit, [row[1] for row in rows], end, end)
    return page_answer(call, headers, page, wanted, **{"from": str(start), "to": str(end)})


def _page(
    items: Sequence[Any], limit: int, keys: Sequence[int], position: int, end: int = 0
) -> Page:
    """A page of one less than there are, if there are more than `limit`; `end`: of all pages."""
    more = len(items) > limit
    last = str(keys[limit - 1]) if more else None
    text = ",".join(to_json(shown).decode() for shown in items[:limit])
    return Page(text, more, last, UUID(int=end), position)


def _changed(row: TupleRow) -> dict[str, Any]:
    id, _, before, after_ = row
    gone = after_ is None or json.loads(after_)["deletedAt"] is not None
    was_gone = before is None or json.loads(before)["deletedAt"] is not None
    change = "created" if before is None else "deleted" if gone and not was_gone else "changed"
    return {
        "tableId": str(id),
        "change": "deleted" if after_ is None else change,
        "changes": table_changes(before, after_),
    }


async def _version(
    call: Call, id: UUID, point: int | datetime | None, pointer: str
) -> PastRow | None:
    """A table at a version, a time, or now; None: it was not there yet."""
    history, company_id = call.services.history, call.caller.company_id
    if isinstance(point, int):
        if point == 0:
            return None
        try:
            return await history.at_version(company_id, id, point)
        except NotFound:
            await history.at_version(company_id, id, 1)
            raise _refused(pointer, "future", "is beyond its last version") from None
    try:
        position = NEWEST if point is None else await history.position_at(point, pointer)
        return await history.at_position(company_id, id, position)
    except NotFound:
        return None


async def _before(history: HistoryReads, point: int | datetime | None) -> int | None:
    """The last position that is not wanted any more."""
    if isinstance(point, datetime):
        return await history.position_before(point)
    return None if point is None else point - 1


async def _until(history: HistoryReads, point: int | datetime | None) -> int | None:
    if isinstance(point, datetime):
        return await history.position_until(point)
    return point


async def _end(call: Call, query: DiffQuery, start: int) -> int:
    history = call.services.history
    if query.to is None:
        return max(start, await history.last_position(call.caller.company_id))
    end = await history.position_at(query.to, "/to")
    if end < start:
        raise _backwards()
    return end


def _backwards() -> Exception:
    return _refused("/to", "out-of-order", "must not be before from")


def _refused(pointer: str, code: str, detail: str) -> Exception:
    return invalid([{"pointer": pointer, "in": "query", "code": code, "detail": detail}])
