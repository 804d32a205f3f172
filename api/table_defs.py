"""Table definitions over HTTP."""

import hashlib
import json
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import BODY, EVERY, failures, found, moved, reads, writes
from api.auth import requires
from api.clashes import StaleChange
from api.endpoint import Call, Endpoint
from api.errors import ApiError
from api.reading import catch_up, unless_known
from api.schemas import (
    ConditionalHeaders,
    CopyOptions,
    ListQuery,
    NewTable,
    OneQuery,
    ReadHeaders,
    SuggestionQuery,
    TableChanges,
    WriteHeaders,
    WriteQuery,
)
from api.views import EXAMPLE_ID, Suggestion, Table, TablePage, table_view
from api.write_request import write_request
from application.base import Outcome, Request, Stale
from application.feed import event_data, public_type
from domain.errors import NotFound, TableDeleted
from domain.values import Slug
from projections.table_def_queries import Filter, TableRow

READ = [requires("tables:read")]
WRITE = [requires("tables:write")]
PURGE = [requires("tables:purge")]
HIDDEN = ("not-found", "table-deleted", "table-purged")
GONE = ("not-found", "table-purged", "version-mismatch")
TableId = Annotated[UUID, Path(description="The table.", examples=[EXAMPLE_ID])]
TableSlug = Annotated[Slug, Path(description="Its slug, or a former one.", examples=["orders"])]

router = APIRouter(
    prefix="/api/tables",
    tags=["tables"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.post("", status_code=201, dependencies=WRITE, responses=writes(201, *BODY, "slug-taken"))
async def create_table(
    call: Call,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[WriteHeaders, Header()],
    new: Annotated[NewTable, Body()],
) -> Response:
    """Create a table."""
    request = write_request(call, "create", query, headers)
    return _created(call, request, await call.services.table_defs.create(request, new))


@router.get("", dependencies=READ, responses=reads(TablePage, "invalid-cursor"))
async def list_tables(
    call: Call, query: Annotated[ListQuery, Query()], headers: Annotated[ReadHeaders, Header()]
) -> Response:
    """List the tables of the company."""
    await catch_up(call, headers)
    wanted = _filter(call, query)
    caller_id, signer = call.caller.actor_id, call.services.cursors
    after = None if query.cursor is None else signer.verify(query.cursor, caller_id, wanted)
    page = await call.services.tables.list(wanted, after, query.limit)
    cursor = page.next and signer.sign(page.next, caller_id, wanted)
    total = f',"totalCount":{await call.services.tables.count(wanted)}' if query.count else ""
    body = f'{{"items":[{page.items}],"nextCursor":{json.dumps(cursor)}{total}}}'.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    answer = {"Event-Position": str(page.position), "ETag": etag}
    if cursor:
        answer["Link"] = f'<{_next_page(call, cursor)}>; rel="next"'
    return unless_known(headers, body, answer)


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
    await catch_up(call, headers)
    tables, company_id = call.services.tables, call.caller.company_id
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
    query: Annotated[OneQuery, Query()],
    headers: Annotated[ReadHeaders, Header()],
) -> Response:
    """Read one table."""
    await catch_up(call, headers)
    try:
        row = await call.services.tables.one(call.caller.company_id, id)
    except NotFound:
        if call.services.progress.behind(call.caller.company_id):  # it may exist all the same
            raise ApiError("projection-behind") from None
        raise
    return _shown(row, query, headers)


@router.patch(
    "/{id}",
    dependencies=WRITE,
    responses=writes(200, *BODY, *HIDDEN, "version-mismatch", "slug-taken"),
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
    request = write_request(call, "change", query, headers)
    try:
        outcome = await call.services.table_defs.change(id, request, changes)
    except Stale as stale:
        raise StaleChange(stale, changes) from stale
    return _changed(call, request, outcome)


@router.delete("/{id}", status_code=204, dependencies=WRITE, responses=writes(204, *GONE))
async def delete_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """Put a table aside; deleting a deleted one does nothing."""
    request = write_request(call, "delete", query, headers)
    return _changed(call, request, await call.services.table_defs.delete(id, request), 204)


@router.post("/{id}/restore", dependencies=WRITE, responses=writes(200, *GONE))
async def restore_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """Bring a deleted table back; restoring a live one does nothing."""
    request = write_request(call, "restore", query, headers)
    return _changed(call, request, await call.services.table_defs.restore(id, request))


@router.post(
    "/{id}/purge",
    status_code=204,
    dependencies=PURGE,
    responses=writes(204, *GONE, "not-deleted"),
)
async def purge_table(
    call: Call,
    id: TableId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """End a deleted table for ever; its slug is free again."""
    request = write_request(call, "purge", query, headers)
    return _changed(call, request, await call.services.table_defs.purge(id, request), 204)


@router.post(
    "/{id}/duplicate",
    status_code=201,
    dependencies=WRITE,
    responses=writes(201, *BODY, *HIDDEN, "slug-taken"),
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
    return _created(call, request, await call.services.table_defs.duplicate(id, request, own))


def _created(call: Call, request: Request, outcome: Outcome) -> Response:
    response = _changed(call, request, outcome, 201)
    if not request.dry_run:
        response.headers["Location"] = f"/api/tables/{outcome.aggregate.id}"
    return response


def _changed(call: Call, request: Request, outcome: Outcome, status: int = 200) -> Response:
    table, receipt = outcome.aggregate, outcome.receipt
    if request.dry_run:
        return _rehearsed(outcome)
    call.services.progress.wrote(request.context.company_id, receipt.position)
    headers = {"ETag": f'"{table.version}"', "Event-Position": str(receipt.position)}
    if receipt.replayed:
        headers["Idempotency-Replayed"] = "true"
    if status == 204:
        return Response(status_code=204, headers=headers)
    return Response(to_json(table_view(table)), status, headers, "application/json")


def _rehearsed(outcome: Outcome) -> Response:
    events = [{"type": public_type(e.TOPIC), "data": event_data(e)} for e in outcome.events]
    body = {"dryRun": True, "table": table_view(outcome.aggregate), "events": events}
    return Response(to_json(body), media_type="application/json")


def _shown(row: TableRow, query: OneQuery, headers: ReadHeaders) -> Response:
    if row.deleted_at and query.state == "active":
        raise TableDeleted(row.id, row.deleted_at)
    answer = {"ETag": f'"{row.version}"', "Event-Position": str(row.position)}
    return unless_known(headers, row.json.encode(), answer)


def _filter(call: Call, query: ListQuery) -> Filter:
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


def _next_page(call: Call, cursor: str) -> str:
    parameters: dict[str, Any] = dict(call.query_params)
    return f"{call.url.path}?{urlencode(parameters | {'cursor': cursor})}"
