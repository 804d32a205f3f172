"""Exports that were asked for: made, looked at, read and forgotten, in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from application.audit_log.selection import Connection, Wanted, rows_of
from domain.errors import NotFound

CHUNK = 512 * 1024  # bytes; all but the last one of an export have as many
Format = Literal["zip", "csv"]
Status = Literal["waiting", "running", "done", "failed"]

INSERT = """
INSERT INTO audit_log.exports (
    id, company_id, format, first_position, last_position, awaited_position, requested_by)
VALUES (%(id)s, %(company_id)s, %(format)s, %(first)s, %(last)s,
        (SELECT coalesce(max(position), 0) FROM event_store.events
          WHERE company_id = %(company_id)s AND position <= %(last)s),
        %(by)s)
"""
_COLUMNS = """
SELECT id, company_id, format, first_position, last_position, status, done_events, all_events, size,
       sha256, error, requested_by, created_at, finished_at, expires_at
  FROM audit_log.exports
 WHERE company_id = %(company_id)s AND expires_at > now()
"""
ALL = f"{_COLUMNS} ORDER BY id DESC"
ONE = f"{_COLUMNS} AND id = %(id)s"
ONE_FOR_UPDATE = f"{ONE} FOR UPDATE"
REMOVE = "DELETE FROM audit_log.exports WHERE company_id = %(company_id)s AND id = %(id)s"
BYTES = """
SELECT bytes FROM audit_log.export_chunks
 WHERE company_id = %(company_id)s AND export_id = %(id)s AND number = %(number)s
"""
# Whoever takes a snapshot to export shares this lock until it has it; see `exporter`.


@dataclass(frozen=True)
class Export:
    """One that was asked for; `error`: why it failed. `size`, `sha256`: of its bytes, once done."""

    id: UUID
    company_id: UUID
    format: Format
    first_position: int
    last_position: int
    status: Status
    done_events: int
    all_events: int | None
    size: int | None
    sha256: bytes | None
    error: str | None
    requested_by: UUID
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime

    @property
    def progress(self) -> float:
        """How much of it is done, from 0 to 1."""
        if self.status == "done":
            return 1.0
        return self.done_events / self.all_events if self.all_events else 0.0


async def ask(connection: Connection, id: UUID, wanted: Wanted, format: Format, by: UUID) -> Export:
    """Have an export made, soon: when what of it is recorded now is signed."""
    params = {
        "id": id, "company_id": wanted.company_id, "format": format, "by": by,
        "first": wanted.first, "last": wanted.last,
    }  # fmt: skip
    await connection.execute(INSERT, params)
    return await find(connection, wanted.company_id, id)


async def every(connection: Connection, company_id: UUID) -> Sequence[Export]:
    """All of a company that have not expired, the newest first."""
    return [Export(*row) for row in await rows_of(connection, ALL, company_id=company_id)]


async def find(
    connection: Connection, company_id: UUID, id: UUID, *, for_update: bool = False
) -> Export:
    """One of them.

    Raises:
        NotFound.
    """
    query = ONE_FOR_UPDATE if for_update else ONE
    rows = await rows_of(connection, query, company_id=company_id, id=id)
    if not rows:
        raise NotFound
    return Export(*rows[0])


async def remove(connection: Connection, export: Export) -> None:
    """Forget it, with its bytes; if it is being made, that ends."""
    await connection.execute(REMOVE, {"company_id": export.company_id, "id": export.id})


async def chunk(connection: Connection, export: Export, number: int) -> bytes:
    """Its bytes from `number` times `CHUNK` on.

    Raises:
        NotFound: they are there no more.
    """
    params = {"company_id": export.company_id, "id": export.id, "number": number}
    rows = await rows_of(connection, BYTES, **params)
    if not rows:
        raise NotFound
    found: bytes = rows[0][0]
    return found
