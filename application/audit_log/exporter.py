"""Makes the exports that were asked for, one after the other, off the path of any request.

Any number of processes may do this: whoever makes an export holds a lock of its own for it, which
is let go by whatever becomes of the process; then another begins it anew.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

import psycopg

from application.audit_log.export import Edition, archive, spreadsheet
from application.audit_log.export_run import Begun, Overtaken, Run, TooOften
from application.audit_log.selection import Connection, NothingSigned, Wanted, rows_of
from application.errors import Fault
from application.event_store.session import connect

POLL = 1.0  # seconds
PATIENCE = 15.0  # seconds for a head to be signed that covers what was recorded
HOUSEKEEPING = 600.0  # seconds
ATTEMPTS = 5
OPEN = """
SELECT id FROM audit_log.exports
 WHERE status IN ('waiting', 'running') AND expires_at > now() ORDER BY created_at, id
"""
TRY = "SELECT pg_try_advisory_lock(hashtextextended('audit_log.exports ' || %(id)s, 0))"
LET_GO = "SELECT pg_advisory_unlock_all()"
FORGET = "DELETE FROM audit_log.exports WHERE expires_at <= now()"

logger = logging.getLogger(__name__)


class Exporter:
    """Makes what was asked for, of all companies."""

    name = "exports"

    def __init__(self, conninfo: str, edition: Edition) -> None:
        self._conninfo = conninfo
        self._edition = edition
        self._forgot_at = -HOUSEKEEPING
        self._waits_since: dict[UUID, float] = {}  # exports, for a head

    async def run(self) -> None:
        """Make exports until cancelled; survives the database."""
        while True:
            try:
                async with await connect(self._conninfo) as connection:
                    while True:
                        await self._keep_house(connection)
                        await self.make_all(connection)
                        await asyncio.sleep(POLL)
            except (psycopg.Error, OSError, Fault) as error:
                logger.warning("exports: start again: %s", str(error).strip())
            except Exception:
                logger.exception("exports: start again")
            await asyncio.sleep(POLL)

    async def make_all(self, connection: Connection) -> int:
        """Make each that is asked for now and nobody else is making; returns how many."""
        made, asked_for = 0, [id for (id,) in await rows_of(connection, OPEN)]
        self._waits_since = {
            id: since for id, since in self._waits_since.items() if id in asked_for
        }
        for id in asked_for:
            taken = await rows_of(connection, TRY, id=str(id))
            if taken[0][0]:
                try:
                    made += await self._make(Run(connection, id))
                finally:
                    await connection.execute(LET_GO)
        return made

    async def _make(self, run: Run) -> bool:
        """Whether it is done."""
        async with await connect(self._conninfo) as reading:
            begun = await run.begin()
            if begun is None or not await self._is_worth_it(run, begun):
                return False
            try:
                async with aclosing(self._pieces(run, reading, begun)) as pieces:
                    await run.keep_all(pieces)
            except Overtaken:
                return False
            except NothingSigned as error:
                self._waits_since.setdefault(run.id, time.monotonic())
                await run.give_up(error, again=not self._is_late(run), counts=False)
                return False
            except (psycopg.OperationalError, psycopg.InterfaceError):
                raise  # begins anew when the database is there again
            except Exception as error:
                logger.exception("export %s failed", run.id)
                await run.give_up(error, again=begun.attempts < ATTEMPTS)
                return False
            return True

    async def _is_worth_it(self, run: Run, begun: Begun) -> bool:
        if begun.attempts > ATTEMPTS:
            await run.give_up(TooOften(), again=False)
        return begun.attempts <= ATTEMPTS

    def _is_late(self, run: Run) -> bool:
        """Whether it has waited for a head as long as this process has patience."""
        now = time.monotonic()
        return now - self._waits_since.get(run.id, now) >= PATIENCE

    def _pieces(self, run: Run, reading: Connection, begun: Begun) -> AsyncGenerator[bytes]:
        awaited = 0 if self._is_late(run) else begun.awaited
        wanted = Wanted(begun.company_id, begun.first, begun.last, awaited)
        if begun.format == "csv":
            return spreadsheet(reading, wanted, run.progress)
        return archive(reading, wanted, self._edition, run.progress)

    async def forget(self, connection: Connection) -> None:
        """Forget what has expired."""
        await connection.execute(FORGET)

    async def _keep_house(self, connection: Connection) -> None:
        now = time.monotonic()
        if now - self._forgot_at >= HOUSEKEEPING:
            self._forgot_at = now
            await self.forget(connection)
