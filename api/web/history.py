"""The history as pages: of a table, of the company, and what differs between then and now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, tzinfo
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from api.directory import PEOPLE
from api.errors import ApiError
from api.event_schemas import Types
from api.history_items import table_changes
from api.reading import after
from api.security import requires
from api.table_defs import READ, TableId
from api.table_schemas import PastQuery
from api.web.event_filter import TYPES
from api.web.happenings import by_day, happening
from api.web.page import Page, PageCall, caught_up, language_of, render
from api.web.people import names_of
from api.web.queries import Lenient
from api.web.templating import with_query
from api.web.workspace_names import all_workspaces
from domain.errors import NotFound, TablePurged
from domain.values import plain_text
from projections.history_queries import NEWEST
from projections.keyset import Keyset
from projections.log_queries import Wanted

AUDIT, EVENTS = [requires("audit:read")], [requires("events:read")]
PAGE = 50
MOST_PEOPLE = 200  # that the filter offers
SAID = ("q", "actorId", "type", "from", "to")

router = APIRouter(include_in_schema=False, route_class=Page)


class CursorQuery(Lenient):
    """The query of a history, page by page. What is empty was not asked for."""

    model_config = ConfigDict(alias_generator=to_camel)

    cursor: str | None = Field(None, max_length=4000)


class CompanyQuery(CursorQuery):
    """What is wanted of the company's history; both days, of the reader's zone, are part of it."""

    actor_id: UUID | None = None
    type: Types = None
    from_: date | None = Field(None, alias="from")
    to: date | None = None
    q: Annotated[str, AfterValidator(plain_text)] | None = Field(None, max_length=255)


@router.get("/history", dependencies=AUDIT)
async def show_history(call: PageCall, query: Annotated[CompanyQuery, Query()]) -> Response:
    """What happened in the company, or what is wanted of it; the newest first."""
    history, language = call.services.history, language_of(call)
    await caught_up(call, history.progress)
    said = {name: call.query_params.get(name, "") for name in SAID}
    wanted = Wanted(
        company_id=call.caller.company_id,
        actor_id=query.actor_id,
        topics=None if query.type is None else tuple(sorted(query.type)),
        text=query.q,
    )
    bound = (wanted, query.from_, query.to, language.zone)
    start = after(call, query.cursor, bound)
    rows = await history.of_company(await _within(call, wanted, query), start, PAGE)
    keys = [row.position for row in rows]
    return await render(
        call, "history.html", days=by_day(language, rows[:PAGE]), said=said,
        next=_next(call, keys, bound, "/history", said), is_first=query.cursor is None,
        people=await _people(call, query.actor_id), kinds=TYPES,
        workspaces=await all_workspaces(call),
    )  # fmt: skip


async def _within(call: PageCall, wanted: Wanted, query: CompanyQuery) -> Wanted:
    """What is wanted, between the positions that the days mean."""
    history, zone = call.services.history, language_of(call).tz
    begin = end = None
    if query.from_:
        begin = await history.position_before(beginning(query.from_, zone))
    if query.to:
        end = await history.position_until(ending(query.to, zone))
    return replace(wanted, after=begin, until=end)


def beginning(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day."""
    return datetime.combine(day, time.min, zone)


def ending(day: date, zone: tzinfo) -> datetime:
    """The last moment of a day."""
    return datetime.combine(day, time.max, zone)


async def _people(call: PageCall, chosen: UUID | None) -> Mapping[str, str | None]:
    """Who may be asked for, by id: the service itself, those with names, and who was chosen."""
    tenancy, company_id = call.services.tenancy, call.caller.company_id
    page = await tenancy.page(PEOPLE, company_id, "active", None, MOST_PEOPLE)
    found: dict[str, str | None] = dict(await names_of(call, ()))
    found |= {each["id"]: each["name"] for each in json.loads(f"[{page.items}]")}
    if chosen and str(chosen) not in found:
        found[str(chosen)] = await call.services.directory.name(company_id, chosen)
    return found


@router.get("/tables/{id}/history", dependencies=READ)
async def show_table_history(
    call: PageCall, id: TableId, query: Annotated[CursorQuery, Query()]
) -> Response:
    """What happened to a table, also to one that is gone; the newest first."""
    history, company_id = call.services.history, call.caller.company_id
    await caught_up(call, history.progress)
    bound = ("history", company_id, id)
    start = after(call, query.cursor, bound)
    rows = await history.of_table(company_id, id, "newest", start, PAGE)
    [last, *_] = (
        rows if start is None else await history.of_table(company_id, id, "newest", None, 1)
    )
    table = await _present(call, id)
    names = await names_of(call, {table["updatedBy"]} if table else ())
    keys = [row.version for row in rows]
    return await render(
        call, "table_history.html", id=str(id), table=table, last=last,
        days=by_day(language_of(call), rows[:PAGE]), is_first=query.cursor is None,
        next=_next(call, keys, bound, f"/tables/{id}/history", {}),
        names={str(id): name for id, name in names.items()},
        workspaces=await all_workspaces(call),
    )  # fmt: skip


async def _present(call: PageCall, id: UUID) -> Mapping[str, Any] | None:
    """The table as it is; None: it was purged.

    Raises:
        ApiError: `projection-behind`; the history knows of it already.
    """
    tables = call.services.tables
    await caught_up(call, tables.progress)
    try:
        row = await tables.one(call.caller.company_id, id)
    except TablePurged:
        return None
    except NotFound:
        raise ApiError("projection-behind") from None
    table: Mapping[str, Any] = json.loads(row.json)
    return table


def _next(
    call: PageCall, keys: Sequence[int], bound: object, path: str, said: Mapping[str, str]
) -> str | None:
    """Where the next page is; `keys`: of the rows, one more than a page has if there are more."""
    if len(keys) <= PAGE:
        return None
    cursor = call.services.cursors.sign(_keyset(keys[PAGE - 1]), call.caller.actor_id, bound)
    return with_query(path, said, cursor=cursor)


def _keyset(key: int) -> Keyset:
    return Keyset(str(key), UUID(int=0))


@router.get("/tables/{id}/differences", dependencies=READ)
async def show_differences(
    call: PageCall, id: TableId, query: Annotated[PastQuery, Query()]
) -> Response:
    """What differs between a version of a table and what it is now."""
    history, company_id = call.services.history, call.caller.company_id
    await caught_up(call, history.progress)
    then = await history.at_version(company_id, id, query.version or 1)
    now = await history.at_position(company_id, id, NEWEST)
    table = json.loads(then.json)
    [row, *_] = await history.of_table(company_id, id, "newest", _keyset(then.version + 1), 1)
    return await render(
        call, "differences.html", table=table, version=then.version,
        is_now=then.version == now.version, changes=table_changes(then.state, now.state),
        happened=happening(language_of(call), row), workspaces=await all_workspaces(call),
        may_revert="tables:write" in call.caller.scopes and not (then.deleted_at or now.deleted_at),
    )  # fmt: skip


@router.get("/history/events/{id}", dependencies=EVENTS)
async def show_event(call: PageCall, id: Annotated[UUID, Path()]) -> Response:
    """An event as others get it."""
    event = await call.services.feed.one(call.caller.company_id, id)
    if event is None:
        raise NotFound
    return await render(call, "event.html", event=json.dumps(event, ensure_ascii=False, indent=2))
