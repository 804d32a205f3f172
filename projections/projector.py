"""What keeps a read model current: one leader, batches, woken by NOTIFY and by a poll."""

import asyncio
import contextlib
import logging

import psycopg
from psycopg import AsyncConnection

from projections.base import Fenced, Follower, NewerEvent, Projection, connect, live_schema

TRY_TO_LEAD = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
EVENTS_CHANNEL = "dynamic_tables_events"
POLL = 1.0  # seconds; a missed NOTIFY costs no more than this
BATCH = 500
FORGET_KEYS = """
DELETE FROM event_store.idempotency_keys
 WHERE (company_id, key) IN (
       SELECT company_id, key FROM event_store.idempotency_keys
        WHERE recorded_at < now() - interval '8 days' LIMIT 10000)
"""
HOUSEKEEPING = 600.0  # seconds

logger = logging.getLogger(__name__)


class Projector:
    """Leads one projection while it can; waits while another process does."""

    def __init__(self, conninfo: str, projection: Projection) -> None:
        self._conninfo = conninfo
        self._projection = projection
        self._schema = live_schema(projection)
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Project until cancelled; survives the database, other leaders and newer events."""
        while True:
            pause = POLL
            try:
                await self._lead()
            except* Fenced:
                pause = 0.0  # the tables are new, or somebody else leads: look again at once
            except* NewerEvent as waits:
                logger.warning("%s: waits for a newer release: %s", self._schema, waits.exceptions)
            except* (psycopg.Error, OSError) as broken:
                logger.warning("%s: starts again: %s", self._schema, broken.exceptions)
            await asyncio.sleep(pause)

    async def _lead(self) -> None:
        """Hold the leader's lock on a connection that is watched: when it breaks, so do we."""
        async with await connect(self._conninfo, self._schema) as watched:
            await watched.execute(f"LISTEN {EVENTS_CHANNEL}".encode())
            while not await self._lock(watched):  # noqa: ASYNC110  # another process holds it
                await asyncio.sleep(POLL)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(watched))
                tasks.create_task(self._follow())

    async def _lock(self, connection: AsyncConnection) -> bool:
        cursor = await connection.execute(TRY_TO_LEAD, (f"projector:{self._schema}",))
        row = await cursor.fetchone()
        return bool(row and row[0])

    async def _listen(self, connection: AsyncConnection) -> None:
        async for _ in connection.notifies():
            self._woken.set()
        raise psycopg.OperationalError("the leader's connection was closed")

    async def _follow(self) -> None:
        async with await connect(self._conninfo, self._schema) as connection:
            follower = Follower(self._projection, connection, self._schema)
            await follower.start()
            logger.info("%s: leads from position %s", self._schema, follower.position)
            while True:
                self._woken.clear()
                if not await follower.step(BATCH):
                    await self._wait()

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._woken.wait()


async def housekeeping(conninfo: str) -> None:
    """Forget idempotency keys after eight days; a promise holds for seven."""
    while True:
        with contextlib.suppress(psycopg.Error):
            async with await connect(conninfo, "event_store") as connection:
                await connection.execute(FORGET_KEYS)
        await asyncio.sleep(HOUSEKEEPING)
