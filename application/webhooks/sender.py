"""Sends each event to the endpoints that want it: in order for each table, until it is taken.

Any number of processes may do this together: what one of them sends, it holds the lease of. One
that dies is replaced by whoever finds its lease ended, and what it may have sent is sent again.
"""

import asyncio
import logging
import time
from typing import Any
from uuid import UUID

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
        self._busy: dict[UUID, asyncio.Task[None]] = {}
        self._forgot_at = -HOUSEKEEPING

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
        await asyncio.gather(*(self._sending(*each).send() for each in due))
        return len(due)

    async def _follow(self, connection: AsyncConnection[Any]) -> None:
        await connection.execute(f"LISTEN {CHANNEL}".encode())
        while True:
            await self._forget(connection)
            for company_id, id in await self._due(connection):
                if id not in self._busy and len(self._busy) < AT_ONCE:
                    self._busy[id] = asyncio.create_task(self._work(company_id, id))
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

    async def _due(self, connection: AsyncConnection[Any]) -> list[tuple[UUID, UUID]]:
        cursor = await connection.execute(DUE.encode(), {"now": self._clock()})
        return await cursor.fetchall()

    async def _stop(self) -> None:
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _work(self, company_id: UUID, id: UUID) -> None:
        try:
            await self._sending(company_id, id).send()
        except (psycopg.Error, OSError, Fault) as error:
            logger.warning("webhook %s: starts again: %s", id, str(error).strip())
        except Exception:
            logger.exception("webhook %s: starts again", id)
        finally:
            del self._busy[id]

    def _sending(self, company_id: UUID, id: UUID) -> Sending:
        return Sending(self._transact, self._post, self._clock, company_id, id)
