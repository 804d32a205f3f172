"""Exports of the log over HTTP: asked for, watched, and downloaded, also in several goes."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from api.answers import downloads, keeps, reads
from api.byte_ranges import Span, part_of
from api.consuming import JSON, replayed
from api.endpoint import Call, Endpoint
from api.errors import ApiError
from api.export_schemas import (
    AuditExport,
    AuditExportPage,
    DownloadHeaders,
    ExportRehearsal,
    NewExport,
    export_view,
    wanted,
)
from api.failures import BODY
from api.ids import new_id
from api.orders import Connection, Order, carry_out, is_repeated, order, remembered
from api.reading import unless_known
from api.schemas import CacheHeaders, KeyHeaders, WriteQuery
from api.security import requires
from api.views import EXAMPLE_ID
from api.writing import rehearsed
from application.audit_log import exports
from application.audit_log.exports import CHUNK, Export

EXPORT = [requires("audit:export")]
MOST = 10  # exports of a company
MEDIA_TYPES = {"zip": "application/zip", "csv": "text/csv; charset=utf-8"}
ExportId = Annotated[UUID, Path(description="The export.", examples=[EXAMPLE_ID])]

router = APIRouter(
    prefix="/api/audit/exports",
    tags=["audit"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.post("", status_code=202, dependencies=EXPORT,
             responses=keeps(202, AuditExport, ExportRehearsal, *BODY, "limit-reached",
                             "projection-behind", located=True))  # fmt: skip
async def create_export(
    call: Call,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    new: Annotated[NewExport, Body()],
) -> Response:
    """Have the log of the company exported, or a part of it, to be downloaded once it is done."""
    ordered = order(call, query, headers)
    made, repeated = await ask(call, ordered, new)
    if ordered.dry_run:
        return rehearsed("export", export_view(made))
    where = {"Location": f"/api/audit/exports/{made.id}"} | replayed(repeated)
    return Response(to_json(export_view(made)), 202, where, JSON)


async def ask(call: Call, ordered: Order, new: NewExport) -> tuple[Export, bool]:
    """Have an export made, soon; whether the same order came before.

    Raises:
        ApiError: `limit-reached`, `projection-behind`.
    """
    for moment in (new.from_, new.to):
        if isinstance(moment, datetime):
            await call.services.history.settled(moment)

    async def run(connection: Connection) -> tuple[Export, bool]:
        company_id, id = ordered.company_id, new_id()
        made_id = await remembered(connection, ordered, id)
        if made_id != id:
            return await exports.find(connection, company_id, made_id), True
        positions = await wanted(connection, company_id, new.from_, new.to)
        made = await exports.ask(connection, id, positions, new.format, ordered.actor_id)
        if len(await exports.every(connection, company_id)) > MOST:
            raise ApiError("limit-reached", f"There are {MOST} exports already.")
        return made, False

    return await carry_out(call.services.transact, ordered, run)


@router.get("", dependencies=EXPORT, responses=reads(AuditExportPage, position=False))
async def list_exports(call: Call, headers: Annotated[CacheHeaders, Header()]) -> Response:
    """List the exports of the company, the newest first."""

    items = [export_view(each) for each in await every(call)]
    return unless_known(headers, to_json({"items": items, "nextCursor": None}))


async def every(call: Call) -> Sequence[Export]:
    """The exports of the company, the newest first."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> Sequence[Export]:
        return await exports.every(connection, company_id)

    return await call.services.transact(company_id, run)


@router.get("/{id}", dependencies=EXPORT,
            responses=reads(AuditExport, "not-found", position=False))  # fmt: skip
async def get_export(
    call: Call, id: ExportId, headers: Annotated[CacheHeaders, Header()]
) -> Response:
    """Read how far an export is."""
    return unless_known(headers, to_json(export_view(await _found(call, id))))


@router.delete("/{id}", status_code=204, dependencies=EXPORT,
               responses=keeps(204, None, ExportRehearsal, "not-found"))  # fmt: skip
async def delete_export(
    call: Call,
    id: ExportId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Forget an export; if it is being made, that ends."""
    ordered = order(call, query, headers)

    shown, repeated = await forget(call, ordered, id)
    if ordered.dry_run:
        return rehearsed("export", shown)
    return Response(status_code=204, headers=replayed(repeated))


async def forget(call: Call, ordered: Order, id: UUID) -> tuple[dict[str, Any], bool]:
    """Forget an export, and what it was; whether the same order came before.

    Raises:
        NotFound.
    """

    async def run(connection: Connection) -> tuple[dict[str, Any], bool]:
        if await is_repeated(connection, ordered):
            return {}, True
        export = await exports.find(connection, ordered.company_id, id, for_update=True)
        await exports.remove(connection, export)
        return export_view(export), False

    return await carry_out(call.services.transact, ordered, run)


class Archive(Response):
    """What is exported, in the form that was asked for."""

    media_type = MEDIA_TYPES["zip"]


@router.get("/{id}/download", dependencies=EXPORT, response_class=Archive,
            responses=downloads("not-found", "export-not-ready",
                                "range-not-satisfiable"))  # fmt: skip
async def download_export(
    call: Call, id: ExportId, headers: Annotated[DownloadHeaders, Header()]
) -> Response:
    """Download what was exported; `Range` goes on where an earlier download ended."""
    export = await _found(call, id)
    if export.status != "done" or export.size is None or export.sha256 is None:
        raise ApiError("export-not-ready", export.error or "")
    tag = f'"{export.sha256.hex()}"'
    name = f"audit-{export.created_at:%Y-%m-%d}-{export.id}.{export.format}"
    answer = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    known = [each.strip().removeprefix("W/") for each in (headers.if_none_match or "").split(",")]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers=answer)
    is_same = headers.if_range in (None, tag)
    part = part_of(headers.range, export.size) if headers.range and is_same else None
    wanted = part or Span(0, export.size)
    answer["Content-Length"] = str(wanted.end - wanted.begin)
    if part:
        answer["Content-Range"] = f"bytes {part.begin}-{part.end - 1}/{export.size}"
    return StreamingResponse(
        _bytes(call, export, wanted), 206 if part else 200, answer, MEDIA_TYPES[export.format]
    )


async def _bytes(call: Call, export: Export, wanted: Span) -> AsyncIterator[bytes]:
    """Read chunk by chunk, as fast as they are taken; no connection is held in between."""
    for number in range(wanted.begin // CHUNK, -(-wanted.end // CHUNK)):

        async def read(connection: Connection, number: int = number) -> bytes:
            return await exports.chunk(connection, export, number)

        chunk = await call.services.transact(export.company_id, read)
        at = number * CHUNK
        yield chunk[max(0, wanted.begin - at) : wanted.end - at]


async def _found(call: Call, id: UUID) -> Export:
    company_id = call.caller.company_id

    async def run(connection: Connection) -> Export:
        return await exports.find(connection, company_id, id)

    return await call.services.transact(company_id, run)
