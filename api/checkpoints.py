"""The last signed heads, for the answers of the feed: one query a second for all who read it."""

import asyncio
import base64
import contextlib
import logging
import time
from uuid import UUID

import psycopg

from application.errors import Fault
from application.event_store.session import Session, companies, scoped

PERIOD = 1.0  # seconds
PATIENCE = 1.0  # seconds that the first reader of a company waits; then there is no header
REMEMBERED = 60.0  # seconds for which heads of a company are read that nobody asks for
STALE = 5.0  # seconds; no head is better than one that is older
HEADS = scoped("SELECT company_id, note FROM audit_log.heads WHERE company_id = ANY(%(ids)s)")

logger = logging.getLogger(__name__)


class Checkpoints:
    """Knows the heads of those companies whose events somebody reads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked: dict[UUID, float] = {}
        self._known: dict[UUID, dict[str, str]] = {}
        self._read_at = 0.0
        self._wanted, self._news = asyncio.Event(), asyncio.Event()

    async def header(self, company_id: UUID) -> dict[str, str]:
        """The header with the last signed head of a company, if there is one."""
        self._asked[company_id] = time.monotonic()
        if company_id not in self._known:
            self._wanted.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while company_id not in self._known:
                        await self._news.wait()
        return self._known.get(company_id, {})

    async def run(self) -> None:
        """Read heads until cancelled; survives the database."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD if self._asked else None):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._read()
            except (psycopg.Error, OSError, Fault) as error:
                logger.warning("checkpoints: %s", str(error).strip())
                await asyncio.sleep(PERIOD)
            if time.monotonic() - self._read_at > STALE:
                self._known.clear()
            self._news.set()
            self._news = asyncio.Event()

    async def _read(self) -> None:
        now = time.monotonic()
        self._asked = {id: at for id, at in self._asked.items() if now - at < REMEMBERED}
        ids = list(self._asked)
        rows = await self._session.fetch(HEADS, {"ids": ids, "companies": companies(*ids)})
        self._read_at = now
        signed = {id: _header(note) for id, note in rows}
        self._known = {id: signed.get(id, {}) for id in ids}


def _header(note: str) -> dict[str, str]:
    return {"Audit-Checkpoint": base64.b64encode(note.encode()).decode()}
