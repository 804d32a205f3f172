"""Keeps the tamper-evident log: adds new events to the trees, and signs the new heads.

One process leads, others stand by. Even two that both believed they lead could do no harm: each
change is made under a lock of the progress, from what is there then.
"""

import asyncio
import logging
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from application.audit_log.building import BATCH, build
from application.audit_log.keys import KeyRing, NoSigner, forget_retired, load
from application.audit_log.note import NoteError
from application.audit_log.signing import sign_all, sign_heads
from application.errors import Fault
from application.event_store.session import connect

TRY_TO_LEAD = "SELECT pg_try_advisory_lock(hashtextextended('audit_log', 0))"
# What there may be to do.
LOOK = """
SELECT p.builds, (SELECT max(number) FROM audit_log.keys WHERE retired_at IS NULL),
       p.position < (SELECT coalesce(max(position), 0) FROM event_store.events),
       p.signed_position = p.position
  FROM audit_log.progress p
"""
ALL_SIGNED = "UPDATE audit_log.progress SET signed_position = position"
POLL = 1.0  # seconds
# A leader that hangs loses its place; heads are on the disk before anybody sees them.
SETTINGS = b"""
SET idle_session_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s';
SET statement_timeout = '60s'; SET synchronous_commit = on
"""

Connection = AsyncConnection[Any]

logger = logging.getLogger(__name__)


class AuditLog:
    """Leads the log while it can; `key_file`: where the signer key is, None = in the database."""

    name = "audit-log"

    def __init__(self, conninfo: str, key_file: Path | None = None, poll: float = POLL) -> None:
        self._conninfo = conninfo
        self._key_file = key_file
        self._poll = poll
        self._keys: KeyRing | None = None
        self._checked: tuple[int, int] | None = None
        self._grown = set[UUID]()

    async def run(self) -> None:
        """Keep the log until cancelled; survives the database, and other leaders."""
        while True:
            try:
                async with await connect(self._conninfo) as connection:
                    await self._lead(connection)
            except (psycopg.Error, OSError, Fault) as error:
                logger.warning("audit log: starts again: %s", str(error).strip())
            except Exception:
                logger.exception("audit log: stands still")
            await asyncio.sleep(self._poll)

    async def step(self, connection: Connection) -> int:
        """Add the next events and sign what is new; how many events there were.

        Raises:
            psycopg.Error: what was not done, is done at the next step.
        """
        row = await (await connection.execute(LOOK)).fetchone()
        builds, key, is_behind, is_signed = row or (0, 0, False, True)
        if self._checked != (builds, key):
            await self._check(connection)
            self._checked = builds, key
        events = 0
        if is_behind:
            built = await build(connection, BATCH)
            events = built.events
            self._grown |= built.companies
        if events < BATCH and self._keys and (self._grown or not is_signed):
            await sign_heads(connection, self._keys, self._grown)
            self._grown.clear()
            await connection.execute(ALL_SIGNED)
        return events

    async def _lead(self, connection: Connection) -> None:
        self._checked = None
        self._grown.clear()
        await connection.execute(SETTINGS, prepare=False)
        while not await _is_leader(connection):  # noqa: ASYNC110  # another process is
            await asyncio.sleep(self._poll)
        logger.info("audit log: leads")
        while True:
            if await self.step(connection) < BATCH:
                await asyncio.sleep(self._poll)

    async def _check(self, connection: Connection) -> None:
        """Whether all trees extend what was signed; whatever is not signed yet, is now."""
        try:
            self._keys = await load(connection, self._key_file)
        except (NoSigner, NoteError, OSError) as error:
            self._keys = None
            logger.error("audit log: signs nothing: %s", error)  # noqa: TRY400  # no bug of ours
        await sign_all(connection, self._keys)
        await forget_retired(connection)


async def _is_leader(connection: Connection) -> bool:
    row = await (await connection.execute(TRY_TO_LEAD)).fetchone()
    return bool(row and row[0])
