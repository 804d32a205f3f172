"""The list of tables as a page: as it is, as it was, and the trash; and new tables."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.errors import ApiError, invalid
from api.ids import new_id
from api.table_defs import READ, WRITE, filter_of
from api.table_schemas import ListQuery, NewTable, SuggestionQuery
from api.web import writes
from api.web.page import (
    Page,
    PageCall,
    caught_up,
    invalid_fields,
    language_of,
    redirect,
    render,
)
from api.web.people import names_of
from api.web.queries import Lenient
from api.web.table_form import BLANK, COLORS, ICONS, VIEWS, Fields, wanted
from api.web.templating import with_query
from api.web.workspace_names import all_workspaces
from application.feed import rfc3339
from projections.keyset import Keyset
from projections.keyset import Page as Rows
from projections.table_def_queries import Filter

PAGE = 50
MOMENTS = {"hour": 1, "yesterday": 24, "week": 24 * 7, "month": 24 * 30}  # hours ago
MOST_NEW = 20  # tables that came to be since, which a list of then shows as well
SAID = ("q", "state", "workspaceId", "updatedBy", "sort", "view", "density", "asOf")
REFUSALS = (
    "validation", "slug-taken", "workspace-deleted", "company-removed", "not-found",
    "idempotency-key-reused",
)  # fmt: skip

router = APIRouter(include_in_schema=False, route_class=Page)


class TablesQuery(ListQuery, Lenient):
    """The query of the page: that of the list, and how it looks. What is empty was not asked for.

    `at`: a date and time in the reader's zone, as its field has it.
    """

    sort: Literal["name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt"] = (
        "-updatedAt"
    )
    view: Literal["rows", "cards"] = "rows"
    density: Literal["comfortable", "compact"] = "comfortable"
    at: datetime | None = None


@router.get("/", dependencies=READ)
async def list_tables(call: PageCall, query: Annotated[TablesQuery, Query()]) -> Response:
    """The list, or a later page of it."""
    said = {name: call.query_params.get(name, "") for name in SAID}
    if query.at is not None:
        moment = query.at if query.at.tzinfo else query.at.replace(tzinfo=language_of(call).tz)
        try:
            then = rfc3339(moment)
        except OverflowError:
            fault = {"in": "query", "code": "out-of-range", "detail": "must be within 1 to 9999"}
            raise invalid([{"pointer": "/at", **fault}]) from None
        return redirect(with_query("/", said, asOf=then))
    rows, bound, total = await _rows(call, query)
    tables = json.loads(f"[{rows.items}]")
    cursor = rows.next and call.services.cursors.sign(rows.next, call.caller.actor_id, bound)
    shown: dict[str, Any] = {
        "tables": tables,
        "total": total,
        "names": await names_of(call, {table["updatedBy"] for table in tables}),
        "happened": await _happened(call, tables),
        "workspaces": await all_workspaces(call),
        "query": query,
        "said": said,
        "next": cursor and with_query("/", said, cursor=cursor),
        "present": {},
        "newer": [],
        "moments": _moments(call),
        "once": new_id().hex,
    }
    if query.as_of is not None:
        shown |= await _since(call, tables, query.as_of)
    return await render(call, "tables.html", **shown)


async def _rows(call: PageCall, query: TablesQuery) -> tuple[Rows, object, int | None]:
    """A page of the list, what its cursor is bound to, and how many there are on all pages."""
    which, services, total = filter_of(call, query), call.services, None

    def start(bound: object) -> Keyset | None:
        if query.cursor is None:
            return None
        return services.cursors.verify(query.cursor, call.caller.actor_id, bound)

    if query.as_of is None:
        await caught_up(call, services.tables.progress)
        rows = await services.tables.list(which, start(which), PAGE)
        if query.cursor is None:
            total = await services.tables.count(which)
        return rows, which, total
    await caught_up(call, services.history.progress)
    position = await services.history.position_at(query.as_of, "/asOf")
    then = (which, position)
    rows = await services.history.list(which, position, start(then), PAGE)
    if query.cursor is None:
        total = await services.history.count(which, position)
    return rows, then, total


async def _happened(call: PageCall, tables: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """What happened last to each of these tables, as a kind of event."""
    versions = {UUID(table["id"]): table["version"] for table in tables}
    topics = await call.services.history.topics(call.caller.company_id, versions)
    language = language_of(call)
    kinds = {topic: f"kind-{topic.replace('.', '-')}" for topic in topics.values()}
    return {str(id): str(language.text(kinds[topic])) for id, topic in topics.items()}


def _moments(call: PageCall) -> Sequence[tuple[str, str]]:
    """Moments to look at, by what people call them."""
    language, now = language_of(call), datetime.now(UTC).replace(second=0, microsecond=0)
    return [
        (str(language.text(f"moment-{name}")), rfc3339(now - timedelta(hours=hours)))
        for name, hours in MOMENTS.items()
    ]


async def _since(
    call: PageCall, tables: Sequence[Mapping[str, Any]], then: datetime
) -> Mapping[str, Any]:
    """What the tables of then are now, and the newest that were not there then."""
    company_id = call.caller.company_id
    await caught_up(call, call.services.tables.progress)
    ids = [UUID(table["id"]) for table in tables]
    found = await call.services.tables.several(company_id, ids)
    newest = Filter(company_id, sort="-createdAt")
    newer = json.loads(f"[{(await call.services.tables.list(newest, None, MOST_NEW)).items}]")
    return {
        "present": {str(id): json.loads(row.json) for id, row in found.items()},
        "newer": [each for each in newer if datetime.fromisoformat(each["createdAt"]) > then],
    }


@router.get("/tables/new", dependencies=WRITE)
async def new_table(call: PageCall) -> Response:
    """The form of a new table."""
    table = {**BLANK, "workspaceId": call.query_params.get("workspaceId")}
    suggestion = str(language_of(call).text("untitled"))
    return await _form(call, Fields({**table, "name": suggestion}, ""))


@router.post("/tables/new", dependencies=WRITE)
async def create_table(call: PageCall) -> Response:
    """Create it, and go on with it, or with another one."""
    table_defs = call.services.table_defs
    try:
        new = writes.read(NewTable, wanted(call.given, BLANK))
        request = writes.request_of(call, "create")
        outcome = await writes.write(call, request, lambda each: table_defs.create(each, new))
    except Exception as error:
        problem = writes.refusal(error, *REFUSALS)
        return await _form(call, Fields.given(call.given, BLANK), problem)
    notice = {"text": "created", "name": outcome.aggregate.name}
    if "another" in call.given:
        workspace_id = call.given.get("workspaceId")
        return redirect(with_query("/tables/new", {}, workspaceId=workspace_id), notice)
    return redirect(f"/tables/{outcome.aggregate.id}", notice)


@router.get("/tables/slug", dependencies=READ)
async def suggest_slug(call: PageCall, query: Annotated[SuggestionQuery, Query()]) -> Response:
    """The slug that a table of this name would get; the same as `name` when that is free."""
    slug = await call.services.table_defs.suggest_slug(call.caller.company_id, query.name)
    return Response(to_json({"slug": slug}), media_type="application/json")


async def _form(call: PageCall, fields: Fields, problem: ApiError | None = None) -> Response:
    return await render(
        call,
        "new_table.html",
        200 if problem is None else 422,
        fields=fields,
        table=fields.table,
        problem=problem,
        errors=invalid_fields(problem) if problem else {},
        workspaces=await all_workspaces(call),
        icons=ICONS,
        colors=COLORS,
        views=VIEWS,
        once=writes.once(call, problem),
    )
