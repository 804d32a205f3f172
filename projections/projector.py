"""What keeps a read model current: one leader, batches, woken by NOTIFY and by a poll."""

import asyncio
import contextlib
import logging

import psycopg
from psycopg import AsyncConnection

from projections.base import Projection, connect, live_schema
from projections.follower import BY_INDEX, Fenced, Follower, NewerEvent, NotCreated

TRY_TO_LEAD = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
EVENTS_CHANNEL = "dynamic_tables_events"
POLL = 1.0  # seconds; a missed NOTIFY costs no more than this
SILENCE = 5.0  # seconds; a leader that shows no life for so long loses its place
BATCH = 500
LEISURE = 0.05  # seconds; whom these events do not concern, need not count them one by one
ANSWER_TIMEOUT = 30.0  # seconds; a connection that says nothing for longer is given up
FORGET_KEYS = """
DELETE FROM event_store.idempotency_keys
 WHERE (company_id, key) IN (
       SELECT company_id, key FROM event_store.idempotency_keys
        WHERE recorded_at < now() - interval '8 days' LIMIT %s)
"""
HOUSEKEEPING = 600.0  # seconds
FORGET_AT_ONCE = 10_000  # keys

logger = logging.getLogger(__name__)


class Projector:
    """Leads one projection while it can; waits while another process does."""

    def __init__(self, conninfo: str, projection: Projection, silence: float = SILENCE) -> None:
        self._conninfo = conninfo
        self._silence = f"{silence * 1000:.0f}ms"
        self._projection = projection
        self._schema = live_schema(projection)
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Project until cancelled; survives the database, other leaders and newer events."""
        while True:
            pause = POLL
            try:
                await self._try_to_lead()
            except* Fenced:
                pause = 0.0  # the tables are new, or somebody else leads: look again at once
            except* NewerEvent as waits:
                logger.warning("%s: waits for a newer release: %s", self._schema, waits.exceptions)
            except* (psycopg.Error, OSError, NotCreated) as broken:
                logger.warning("%s: starts again: %s", self._schema, broken.exceptions)
            except* Exception as failed:
                if not self._projection.acts:
                    raise
                logger.exception("%s: stands still", self._schema, exc_info=failed)
            await asyncio.sleep(pause)

    async def _try_to_lead(self) -> None:
        """Lead in a task of its own, that is told to end when we are.

        A task group in which something fails while it is cancelled tells of the failure alone:
        whoever wanted us to end would wait for ever.
        """
        leading = asyncio.create_task(self._lead())
        try:
            await asyncio.wait({leading})
        finally:
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
        leading.result()

    async def _lead(self) -> None:
        """Hold the leader's lock on a connection that is watched: when it breaks, so do we.

        And when we do: the server ends it unless we show life, so a leader that hangs is replaced.
        It hears of no events: the server cannot end one that takes no more of what it is told.
        """
        silence = f"-c idle_session_timeout={self._silence}"
        async with await connect(self._conninfo, self._schema, silence) as watched:
            while not await self._lock(watched):  # noqa: ASYNC110  # another process holds it
                await asyncio.sleep(POLL)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._show_life(watched))
                tasks.create_task(self._listen())
                tasks.create_task(self._follow())

    async def _lock(self, connection: AsyncConnection) -> bool:
        cursor = await connection.execute(TRY_TO_LEAD, (f"projector:{self._schema}",))
        row = await cursor.fetchone()
        return bool(row and row[0])

    async def _show_life(self, connection: AsyncConnection) -> None:
        while True:
            await connection.execute(b"SELECT")
            await asyncio.sleep(POLL)

    async def _listen(self) -> None:
        async with await connect(self._conninfo, self._schema) as connection:
            await connection.execute(f"LISTEN {EVENTS_CHANNEL}".encode())
            async for _ in connection.notifies():
                self._woken.set()

    async def _follow(self) -> None:
        options = f"-c idle_in_transaction_session_timeout={self._silence} {BY_INDEX}"
        async with await connect(self._conninfo, self._schema, options) as connection:
            strict = self._projection.acts
            follower = Follower(self._projection, connection, self._schema, strict)
            await follower.start()
            logger.info("%s: leads from position %s", self._schema, follower.position)
            while True:
                self._woken.clear()
                async with asyncio.timeout(None if strict else ANSWER_TIMEOUT):
                    moved = await follower.step(BATCH)
                if not moved:
                    await self._wait()
                elif follower.idle and moved < BATCH:
                    await asyncio.sleep(LEISURE)

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._woken.wait()


async def housekeeping(conninfo: str) -> None:
    """Forget idempotency keys after eight days; a promise holds for seven."""
    while True:
        try:
            await forget_keys(conninfo)
        except (psycopg.Error, OSError) as error:
            logger.warning("housekeeping: %s", str(error).strip())
        await asyncio.sleep(HOUSEKEEPING)


async def forget_keys(conninfo: str, at_once: int = FORGET_AT_ONCE) -> None:
    """Forget all old idempotency keys, a short transaction at a time."""
    async with await connect(conninfo, "event_store") as connection:
        while (await connection.execute(FORGET_KEYS, (at_once,))).rowcount == at_once:
            pass
