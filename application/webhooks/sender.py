"""Sends each event to the endpoints that want it: in order for each table, until it is taken.

Any number of processes may do this together: what one of them sends, it holds the lease of. When
one dies, the others find its lock gone, or its leases ended, and send again what it may have sent.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection

from application.errors import Fault
from application.event_store.session import Transact, connect
from application.webhooks.deliveries import FORGET
from application.webhooks.sending import Clock, Post, Sending, utc_now

CHANNEL = "dynamic_tables_events"
POLL = 1.0  # seconds; a missed NOTIFY costs no more than this
LEISURE = 0.02  # seconds; events that come together are looked for together
AT_ONCE = 64  # endpoints
SHARE = 8  # of them, of one company
TURN = timedelta(seconds=10)  # of an endpoint; then others have theirs
FOR_EVER = datetime.max.replace(tzinfo=UTC)
HOUSEKEEPING = 600.0  # seconds
FORGET_AT_ONCE = 10_000  # attempts

# Where something can be sent now.
DUE = """
SELECT e.company_id, e.id
  FROM webhooks.endpoints e
 WHERE e.paused_at IS NULL AND (e.retry_at IS NULL OR e.retry_at <= %(now)s)
   AND (EXISTS (SELECT FROM consumers.partitions p
                 WHERE p.consumer_id = e.id
                   AND (p.leased_until IS NULL OR p.leased_until <= %(now)s)
                   AND p.position <> (SELECT coalesce(max(position), 0) FROM event_store.events
                                       WHERE company_id = e.company_id))
        OR EXISTS (SELECT FROM consumers.held h
                    WHERE h.consumer_id = e.id AND h.retry_at <= %(now)s)
        OR EXISTS (SELECT FROM webhooks.replays r
                    WHERE r.endpoint_id = e.id
                      AND (r.retry_at IS NULL OR r.retry_at <= %(now)s)))
"""

# Whoever sends holds a lock; it is let go by whatever becomes of the process.
SHOW_LIFE = "SELECT pg_advisory_lock_shared(hashtextextended('webhooks ' || %(owner)s, 0))"
# What those had who are dead may be sent by others at once.
INHERIT = """
UPDATE consumers.partitions SET leased_until = NULL
 WHERE (consumer_id, partition) IN (
       SELECT p.consumer_id, p.partition
         FROM consumers.partitions p
         JOIN webhooks.endpoints e ON e.id = p.consumer_id
        WHERE p.leased_until > %(now)s
          AND hashtextextended('webhooks ' || p.owner, 0) NOT IN (
              SELECT classid::bigint << 32 | objid::bigint
                FROM pg_locks
               WHERE locktype = 'advisory' AND objsubid = 1)
          FOR UPDATE OF p SKIP LOCKED)
"""

logger = logging.getLogger(__name__)


class Sender:
    """Sends what is due, to all endpoints of all companies."""

    name = "webhooks"

    def __init__(
        self, conninfo: str, transact: Transact, post: Post, clock: Clock = utc_now
    ) -> None:
        self._conninfo = conninfo
        self._transact = transact
        self._post = post
        self._clock = clock
        self._id = uuid4()
        self._busy: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}
        self._forgot_at = self._inherited_at = -HOUSEKEEPING

    async def run(self) -> None:
        """Send until cancelled; survives the database."""
        while True:
            try:
                async with await connect(self._conninfo) as connection:
                    await self._follow(connection)
            except (psycopg.Error, OSError, Fault) as error:
                logger.warning("webhooks: start again: %s", str(error).strip())
            finally:
                await self._stop()
            await asyncio.sleep(POLL)

    async def send_due(self, connection: AsyncConnection[Any]) -> int:
        """Send all that is due at this moment; returns to how many endpoints."""
        due = await self._due(connection)
        await asyncio.gather(*(self._sending(*each, FOR_EVER).send() for each in due))
        return len(due)

    async def _follow(self, connection: AsyncConnection[Any]) -> None:
        self._id = uuid4()  # what an earlier connection had is inherited like that of others
        await connection.execute(SHOW_LIFE, {"owner": str(self._id)})
        await connection.execute(f"LISTEN {CHANNEL}".encode())
        while True:
            await self._forget(connection)
            await self._inherit(connection)
            self._begin(await self._due(connection))
            async for _ in connection.notifies(timeout=POLL, stop_after=1):
                pass
            await asyncio.sleep(LEISURE)

    async def _forget(self, connection: AsyncConnection[Any]) -> None:
        """What was sent more than a month ago, now and then."""
        now = time.monotonic()
        if now - self._forgot_at >= HOUSEKEEPING:
            self._forgot_at = now
            while (await connection.execute(FORGET, (FORGET_AT_ONCE,))).rowcount == FORGET_AT_ONCE:
                pass

    async def _inherit(self, connection: AsyncConnection[Any]) -> None:
        """What others had that died."""
        now = time.monotonic()
        if now - self._inherited_at >= POLL:
            self._inherited_at = now
            await connection.execute(INHERIT, {"now": self._clock()})

    def _begin(self, due: list[tuple[UUID, UUID]]) -> None:
        """Send where something is due: no company keeps the others from having their turn."""
        shares = Counter(company_id for company_id, _ in self._busy)
        random.shuffle(due)
        for company_id, id in sorted(due, key=lambda each: shares[each[0]]):
            is_room = len(self._busy) < AT_ONCE and shares[company_id] < SHARE
            if is_room and (company_id, id) not in self._busy:
                shares[company_id] += 1
                task = asyncio.create_task(self._work(company_id, id))
                self._busy[company_id, id] = task
                task.add_done_callback(partial(self._ended, (company_id, id)))

    def _ended(self, of: tuple[UUID, UUID], _: asyncio.Task[None]) -> None:
        del self._busy[of]

    async def _due(self, connection: AsyncConnection[Any]) -> list[tuple[UUID, UUID]]:
        cursor = await connection.execute(DUE.encode(), {"now": self._clock()})
        return await cursor.fetchall()

    async def _stop(self) -> None:
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, company_id: UUID, id: UUID) -> None:
        try:
            await self._sending(company_id, id, self._clock() + TURN).send()
        except (psycopg.Error, OSError, Fault) as error:
            logger.warning("webhook %s: starts again: %s", id, str(error).strip())
        except Exception:
            logger.exception("webhook %s: starts again", id)

    def _sending(self, company_id: UUID, id: UUID, until: datetime) -> Sending:
        return Sending(self._transact, self._post, self._clock, self._id, company_id, id, until)
