"""Table definitions over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import found, moved, reads, writes
from api.clashes import StaleChange
from api.endpoint import Call, Endpoint
from api.errors import ApiError, invalid
from api.failures import BODY, CONDITIONAL, EVERY, failures
from api.reading import after, catch_up, page_answer, unless_known
from api.reverting import Reversion, explained
from api.schemas import ConditionalHeaders, OneQuery, ReadHeaders, WriteHeaders, WriteQuery
from api.security import requires
from api.table_schemas import (
    CopyOptions,
    ListQuery,
    NewTable,
    PastQuery,
    PurgeOptions,
    SuggestionQuery,
    TableChanges,
)
from api.time_travel import list_as_of, table_as_of
from api.views import EXAMPLE_ID, Suggestion, Table, TablePage, table_view
from api.writing import Noun, changed, conditional_request, created, write_request
from application.base import Stale
from domain.errors import NotFound, TableDeleted
from domain.values import Slug
from projections.table_def_queries import Filter, TableRow

READ = [requires("tables:read")]
WRITE = [requires("tables:write")]
PURGE = [requires("tables:purge")]
TABLE = Noun(
    "table",
    table_view,
    lambda table: f"/api/tables/{table.id}",
    lambda call: call.services.tables.progress,
)
PLACE = ("workspace-deleted", "company-removed")
HIDDEN = ("not-found", "table-deleted", "table-purged")
GONE = ("not-found", "table-purged", *CONDITIONAL)
TableId = Annotated[UUID, Path(description="The table.", examples=[EXAMPLE_ID])]
TableSlug = Annotated[Slug, Path(description="Its slug, or a former one.", examples=["orders"])]

router = APIRouter(
    prefix="/api/tables",
    tags=["tables"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.post(
    "", status_code=201, dependencies=WRITE, responses=writes(201, *BODY, "slug-taken", *PLACE)
)
async def create_table(
    call: Call,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[WriteHeaders, Header()],
    new: Annotated[NewTable, Body()],
) -> Response:
    """Create a table."""
    request = write_request(call, "create", query, headers)
    return created(call, request, await call.services.table_defs.create(request, new), TABLE)


@router.get("", dependencies=READ, responses=reads(TablePage, "invalid-cursor"))
async def list_tables(
    call: Call, query: Annotated[ListQuery, Query()], headers: Annotated[ReadHeaders, Header()]
) -> Response:
    """List the tables of the company, as they are or as they were."""
    wanted = filter_of(call, query)
    if query.as_of is not None or query.as_of_position is not None:
        return await list_as_of(call, query, headers, wanted)
    await catch_up(call, call.services.tables.progress, headers)
    page = await call.services.tables.list(wanted, after(call, query.cursor, wanted), query.limit)
    total = {"totalCount": await call.services.tables.count(wanted)} if query.count else {}
    return page_answer(call, headers, page, wanted, **total)


@router.get("/slug-suggestion", dependencies=READ, responses=found(Suggestion) | failures(*EVERY))
async def suggest_slug(call: Call, query: Annotated[SuggestionQuery, Query()]) -> Response:
    """Tell which slug a new table of this name would get."""
    slug = await call.services.table_defs.suggest_slug(call.caller.company_id, query.name)
    return Response(to_json({"slug": slug}), media_type="application/json")


@router.get("/by-slug/{slug}", dependencies=READ, responses=reads(Table, *HIDDEN) | moved())
async def get_table_by_slug(
    call: Call,
    slug: TableSlug,
    query: Annotated[OneQuery, Query()],
    headers: Annotated[ReadHeaders, Header()],
) -> Response:
    """Read one table by its slug; a slug that it had before redirects to the present one."""
    await catch_up(call, call.services.tables.progress, headers)
    tables, company_id = call.services.tables, call.caller.company_id
    with missing_only_if_shown(call):
        id, present, current = await tables.id_by_slug(company_id, slug)
    if not current:
        target = f"/api/tables/by-slug/{present}"
        if parameters := call.url.query:
            target += f"?{parameters}"
        return Response(status_code=308, headers={"Location": target})
    return _shown(await tables.one(company_id, id), query, headers)


@router.get("/{id}", dependencies=READ, responses=reads(Table, *HIDDEN))
async def get_table(
    call: Call,
    id: TableId,
    query: Annotated[PastQuery, Query()],
    headers: Annotated[ReadHeaders, Header()],
) -> Response:
    """Read one table, as it is or as it was."""
    if query.version is not None or query.as_of is not None:
        return await table_as_of(call, id, query, headers)
    await catch_up(call, call.services.tables.progress, headers)
    with missing_only_if_shown(call):
        row = await call.services.tables.one(call.caller.company_id, id)
    return _shown(row, query, headers)


@router.patch(
    "/{id}",
    dependencies=WRITE,
    responses=writes(200, *BODY, *HIDDEN, *CONDITIONAL, "slug-taken", *PLACE),
    openapi_extra={"x-merge-patch": True},
)
async def change_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
    changes: Annotated[TableChanges, Body()],
) -> Response:
    """Change any mix of fields in one atomic step."""
    request = await conditional_request(call, "change", query, headers)
    try:
        outcome = await call.services.table_defs.change(id, request, changes)
    except Stale as stale:
        raise StaleChange(stale, changes) from stale
    return changed(call, request, outcome, TABLE)


@router.delete("/{id}", status_code=204, dependencies=WRITE, responses=writes(204, *GONE))
async def delete_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """Put a table aside; deleting a deleted one does nothing."""
    request = await conditional_request(call, "delete", query, headers)
    outcome = await call.services.table_defs.delete(id, request)
    return changed(call, request, outcome, TABLE, 204)


@router.post("/{id}/restore", dependencies=WRITE, responses=writes(200, *GONE, *PLACE))
async def restore_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """Bring a deleted table back; restoring a live one does nothing."""
    request = await conditional_request(call, "restore", query, headers)
    outcome = await call.services.table_defs.restore(id, request)
    return changed(call, request, outcome, TABLE)


@router.post(
    "/{id}/purge",
    status_code=204,
    dependencies=PURGE,
    responses=writes(204, *BODY, *GONE, "not-deleted"),
)
async def purge_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
    options: Annotated[PurgeOptions, Body(default_factory=PurgeOptions)],
) -> Response:
    """End a deleted table for ever; its slug is free again."""
    if options.erase and headers.reason is None:
        fault = {"in": "header", "code": "required", "detail": "say why it is erased"}
        raise invalid([{"pointer": "/Reason", **fault}])
    request = await conditional_request(call, "purge", query, headers)
    outcome = await call.services.table_defs.purge(id, request, options.erase)
    return changed(call, request, outcome, TABLE, 204)


@router.post(
    "/{id}/duplicate",
    status_code=201,
    dependencies=WRITE,
    responses=writes(201, *BODY, *HIDDEN, "slug-taken", *PLACE),
)
async def duplicate_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[WriteHeaders, Header()],
    own: Annotated[CopyOptions, Body(default_factory=CopyOptions)],
) -> Response:
    """Copy a table, by default as "X copy"."""
    request = write_request(call, "duplicate", query, headers)
    outcome = await call.services.table_defs.duplicate(id, request, own)
    return created(call, request, outcome, TABLE)


@router.post(
    "/{id}/revert",
    dependencies=WRITE,
    responses=writes(200, *BODY, *HIDDEN, *CONDITIONAL, "slug-taken", *PLACE),
)
async def revert_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
    wanted: Annotated[Reversion, Body()],
) -> Response:
    """Put a table back to what it was, by new events; history only grows.

    One event for each facet that differs, in one atomic step. A deleted table is restored first.
    """
    request = await conditional_request(call, "revert", query, headers)
    with explained():
        outcome = await call.services.table_defs.revert(
            id, request, wanted.earlier(), wanted.facets
        )
    return changed(call, request, outcome, TABLE)


@contextmanager
def missing_only_if_shown(call: Call) -> Iterator[None]:
    """What is not there may exist all the same, while the company cannot read what it wrote.

    Raises:
        ApiError: `projection-behind`.
    """
    try:
        yield
    except NotFound:
        if call.services.tables.progress.behind(call.caller.company_id):
            raise ApiError("projection-behind") from None
        raise


def _shown(row: TableRow, query: OneQuery, headers: ReadHeaders) -> Response:
    if row.deleted_at and query.state == "active":
        raise TableDeleted(row.id, row.deleted_at)
    answer = {"ETag": f'"{row.version}"', "Event-Position": str(row.position)}
    return unless_known(headers, row.json.encode(), answer)


def filter_of(call: Call, query: ListQuery) -> Filter:
    """Which tables a query of the list asks for."""
    updated_by = call.caller.actor_id if query.updated_by == "me" else query.updated_by
    return Filter(
        company_id=call.caller.company_id,
        state=query.state,
        sort=query.sort,
        any_workspace=query.workspace_id is None,
        workspace_id=query.workspace_id if isinstance(query.workspace_id, UUID) else None,
        updated_by=updated_by,
        text=query.q,
    )
