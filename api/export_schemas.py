"""The shapes of requests for exports of the log, and what is shown of them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from api.consumer_schemas import Body
from api.consumer_views import Shown
from api.points import Point
from api.schemas import Part
from api.views import EXAMPLE_ID, WouldRecord, example, page, rehearsal
from application.audit_log.exports import Export
from application.audit_log.selection import LAST, Connection, Wanted
from application.feed import rfc3339
from projections.history_queries import BEFORE, UNTIL

_EXPORT: JsonDict = {
    "id": EXAMPLE_ID, "format": "zip", "from": "1", "to": None, "status": "running",
    "progress": 0.25, "size": None, "sha256": None, "error": None,
    "createdBy": "019ab3f2-0000-7000-8000-0000000000aa",
    "createdAt": "2026-11-22T09:00:00.123456Z", "finishedAt": None,
    "expiresAt": "2026-11-29T09:00:00.123456Z",
}  # fmt: skip


class NewExport(Body):
    """Which part of the log to export, and how."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"from": "1", "to": None, "format": "zip"}]}
    )

    from_: Point | None = Field(
        None,
        alias="from",
        description="The first event: at this position, or not before this time; null = the very"
        " first.",
        examples=["1"],
    )
    to: Point | None = Field(
        None,
        description="The last event: at this position, or not after this time; null = the last one"
        " whose head is signed; for what is recorded now that is awaited.",
        examples=["2026-11-30T23:59:59Z"],
    )
    format: Literal["zip", "csv"] = Field(
        "zip", description="`zip`: to be verified; `csv`: for a spreadsheet.", examples=["zip"]
    )


class DownloadHeaders(Part):
    """The headers of a download, which may go on where another one ended."""

    range: str | None = Field(
        None, alias="Range", description="Only these bytes (RFC 9110).", examples=["bytes=0-1023"]
    )
    if_range: str | None = Field(
        None,
        alias="If-Range",
        description="Only if this is still its ETag; otherwise everything.",
        examples=['"7f0c"'],
    )
    if_none_match: str | None = Field(
        None,
        alias="If-None-Match",
        description="Answer 304 if this ETag is still right.",
        examples=['"7f0c"'],
    )


class AuditExport(Shown):
    """An export of the log."""

    model_config = example(_EXPORT)

    id: UUID
    format: Literal["zip", "csv"]
    from_: str = Field(alias="from", description="The position of the first event, at least.")
    to: str | None = Field(description="That of the last one, at most; null = the signed head.")
    status: Literal["waiting", "running", "done", "failed"]
    progress: float = Field(description="How much is done, from 0 to 1.")
    size: int | None = Field(description="Of the download, in bytes; null: it is not done.")
    sha256: str | None = Field(description="Of the download, in hex.")
    error: str | None = Field(description="Why it failed.")
    created_by: UUID
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime = Field(description="It is forgotten then.")


class AuditExportPage(Shown):
    """All exports that have not expired, the newest first."""

    model_config = page(_EXPORT)

    items: list[AuditExport]
    next_cursor: str | None


class ExportRehearsal(Shown):
    """What a write with `dryRun` would do; nothing was stored."""

    model_config = rehearsal("export", _EXPORT)

    dry_run: Literal[True]
    export: AuditExport
    events: list[WouldRecord] = Field(description="Exports are no events.")


SHOWN = (AuditExport, AuditExportPage, ExportRehearsal, NewExport)


async def wanted(
    connection: Connection, company_id: UUID, first: int | datetime | None,
    last: int | datetime | None,
) -> Wanted:  # fmt: skip
    """The positions of a range; both ends are part of it, and None is all that there is."""
    begin = await _position(connection, f"{BEFORE} + 1", 1 if first is None else first)
    end = await _position(connection, UNTIL, LAST if last is None else last)
    return Wanted(company_id, max(begin, 1), end)


async def _position(connection: Connection, query: str, point: int | datetime) -> int:
    if isinstance(point, int):
        return point
    [(position,)] = await (await connection.execute(query.encode(), {"moment": point})).fetchall()
    return int(position)


def export_view(export: Export) -> dict[str, Any]:
    """An export as it is shown."""
    last = export.last_position
    return {
        "id": export.id,
        "format": export.format,
        "from": str(export.first_position),
        "to": None if last == LAST else str(last),
        "status": export.status,
        "progress": round(export.progress, 3),
        "size": export.size if export.status == "done" else None,
        "sha256": export.sha256.hex() if export.sha256 else None,
        "error": export.error if export.status == "failed" else None,
        "createdBy": export.requested_by,
        "createdAt": rfc3339(export.created_at),
        "finishedAt": export.finished_at and rfc3339(export.finished_at),
        "expiresAt": rfc3339(export.expires_at),
    }
