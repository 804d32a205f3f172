"""One attempt to make an export: begun, kept chunk by chunk, and brought to an end."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from application.audit_log.exports import CHUNK, Format
from application.audit_log.selection import Connection, rows_of

# While this is held nobody erases anything of the company; see `audit_log.forget` in exports.sql.
HOLD = "SELECT pg_advisory_lock_shared(hashtextextended('audit_log.export ' || %(company_id)s, 0))"
RELEASE = """
SELECT pg_advisory_unlock_shared(hashtextextended('audit_log.export ' || %(company_id)s, 0))
"""
COMPANY = "SELECT company_id FROM audit_log.exports WHERE id = %(id)s"
BEGIN = """
WITH old AS (DELETE FROM audit_log.export_chunks WHERE export_id = %(id)s)
UPDATE audit_log.exports
   SET status = 'running', run = %(run)s, attempts = attempts + 1, done_events = 0,
       all_events = NULL
 WHERE id = %(id)s AND status IN ('waiting', 'running')
RETURNING company_id, format, first_position, last_position, awaited_position, attempts
"""
# Nothing is kept of a run that is over: the export was removed, or begins anew.
KEEP = """
WITH mine AS (
    UPDATE audit_log.exports SET done_events = %(done)s, all_events = %(all)s
     WHERE id = %(id)s AND run = %(run)s AND status = 'running'
    RETURNING company_id, id
)
INSERT INTO audit_log.export_chunks (company_id, export_id, number, bytes)
SELECT company_id, id, %(number)s, %(bytes)s FROM mine
RETURNING number
"""
FINISH = """
UPDATE audit_log.exports
   SET status = 'done', size = %(size)s, sha256 = %(sha256)s, error = NULL,
       finished_at = clock_timestamp()
 WHERE id = %(id)s AND run = %(run)s AND status = 'running'
"""
GIVE_UP = """
UPDATE audit_log.exports
   SET status = CASE WHEN %(again)s THEN 'waiting' ELSE 'failed' END, run = NULL,
       error = %(error)s, attempts = attempts - %(uncounted)s,
       finished_at = CASE WHEN %(again)s THEN NULL ELSE clock_timestamp() END
 WHERE id = %(id)s AND run = %(run)s AND status = 'running'
"""


class Overtaken(Exception):
    """The export was removed meanwhile, or begins anew."""


class TooOften(Exception):
    """It was begun too often, and never came to its end."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@dataclass(frozen=True)
class Begun:
    """What is to be made; `attempts`: with this one."""

    company_id: UUID
    format: Format
    first: int
    last: int
    awaited: int
    attempts: int


@dataclass
class Run:
    """One attempt to make an export; `connection` is not the one that the events are read on."""

    connection: Connection
    id: UUID
    run: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()
        self._done = self._all = self._size = self._chunks = 0
        self._holds: str | None = None

    def progress(self, done: int, all: int) -> None:
        """How many events are done, and of how many."""
        self._done, self._all = done, all

    async def begin(self) -> Begun | None:
        """Begin it, unless it is gone or done; nothing is erased until the first piece is kept."""
        companies = await rows_of(self.connection, COMPANY, id=self.id)
        if not companies:
            return None
        self._holds = str(companies[0][0])
        await self._execute(HOLD, company_id=self._holds)
        rows = await rows_of(self.connection, BEGIN, id=self.id, run=self.run)
        return Begun(*rows[0]) if rows else None

    async def keep_all(self, pieces: AsyncIterator[bytes]) -> None:
        """Keep what is made, in chunks of one size.

        Raises:
            Overtaken.
        """
        waiting = bytearray()
        async for piece in pieces:
            await self._release()
            waiting += piece
            while len(waiting) >= CHUNK:
                await self._keep(bytes(waiting[:CHUNK]))
                del waiting[:CHUNK]
        if waiting:
            await self._keep(bytes(waiting))
        if not await self._execute(FINISH, size=self._size, sha256=self._hash.digest()):
            raise Overtaken

    async def give_up(self, error: Exception, *, again: bool, counts: bool = True) -> None:
        """End this attempt; `again`: there will be another one."""
        await self._execute(GIVE_UP, again=again, error=str(error)[:500], uncounted=int(not counts))

    async def _keep(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        said = {"done": self._done, "all": self._all, "number": self._chunks, "bytes": chunk}
        if not await self._execute(KEEP, **said):
            raise Overtaken
        self._chunks += 1
        self._size += len(chunk)

    async def _release(self) -> None:
        if self._holds:
            await self._execute(RELEASE, company_id=self._holds)
            self._holds = None

    async def _execute(self, query: str, **params: Any) -> int:
        given = {"id": self.id, "run": self.run} | params
        return (await self.connection.execute(query.encode(), given)).rowcount
