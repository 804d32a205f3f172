"""New events as they come: one connection listens, one query fetches, for all who wait.

Nobody who waits holds a connection of the database. Each has a bounded buffer; who does not take
what is in it is cut off, and comes back to where it was.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from application.errors import Fault, StoreUnavailable
from application.event_feed import Wanted
from application.event_store.session import Session, companies, connect, scoped

CHANNEL = "dynamic_tables_events"
POLL = 1.0  # seconds; a missed NOTIFY costs no more than this
LATE = 0.2  # seconds that one may take after its event can be read
BATCH = 1_000
BUFFER = 1_000  # events that may wait for one who follows
READERS = 2  # how many who catch up may read at once; the others' lists need connections too
QUEUE = 10.0  # seconds that one may wait for their turn
HEAD = "SELECT event_store.head()"
LIVE = scoped("""
SELECT company_id, position, originator_id, originator_version, topic, state, event_id
  FROM event_store.events
 WHERE company_id = ANY(%(company_ids)s) AND position > %(after)s AND position <= %(until)s
 ORDER BY position
 LIMIT %(limit)s
""")

logger = logging.getLogger(__name__)

Row = Sequence[Any]


class CutOff(Exception):
    """Who waits has not taken what came for too long, or we are stopping."""


@dataclass(eq=False, slots=True)
class Subscription:
    """Somebody who waits for events above a position; nobody is woken for what they do not want.

    `position`: up to there they have taken all. What they read elsewhere since they began to wait
    comes once more: skip it by its position.
    """

    wanted: Wanted
    position: int
    seen: int
    rows: deque[Row] = field(default_factory=deque)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False

    async def take(self, timeout: float) -> list[Row]:
        """The rows that came; none after `timeout` seconds.

        Raises:
            CutOff: some are lost.
        """
        if not self.rows and not self.lost:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self.woken.wait()
        if self.lost:
            raise CutOff
        taken = list(self.rows)
        self.position = self.seen
        self.rows.clear()
        self.woken.clear()
        return taken

    def give(self, row: Row) -> None:
        """Hand over one row, or cut off whoever took none for long."""
        if row[0] <= self.seen:
            return
        if not self.wanted.wants(row[3], row[1]):
            self.seen = row[0]
            return
        if len(self.rows) >= BUFFER:
            self.cut()
            return
        self.seen = row[0]
        self.rows.append(row)
        self.woken.set()

    def cut(self) -> None:
        """Let it come back later."""
        self.lost = True
        self.rows.clear()
        self.woken.set()


class EventHub:
    """Hands each new event to all who wait for the events of its company.

    `position`: all up to there is handed over; some of it up to `reach` may be, too. `stopped`:
    nobody need begin to follow.
    """

    def __init__(self, conninfo: str, session: Session) -> None:
        self.position = self.reach = 0
        self._conninfo = conninfo
        self._session = session
        self._waiting: defaultdict[UUID, set[Subscription]] = defaultdict(set)
        self._wanted = asyncio.Event()
        self._turns = asyncio.Semaphore(READERS)
        self.stopped = False

    @contextlib.contextmanager
    def subscribed(self, wanted: Wanted, above: int) -> Iterator[Subscription]:
        """Get the events of a company above a position until the end of the block.

        Whoever has read up to there before the block has to read on in it, once, if our `reach` is
        beyond what the store had then: some may have come in between.
        """
        company_id, subscription = wanted.company_id, Subscription(wanted, above, above)
        self._waiting[company_id].add(subscription)
        self._wanted.set()
        if self.stopped:
            subscription.cut()
        try:
            yield subscription
        finally:
            self._waiting[company_id].discard(subscription)
            if not self._waiting[company_id]:
                del self._waiting[company_id]

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Read the database after those who came before: thousands may come back at once.

        Raises:
            StoreUnavailable: it takes too long.
        """
        try:
            async with asyncio.timeout(QUEUE):
                await self._turns.acquire()
        except TimeoutError:
            raise StoreUnavailable("too many read events") from None
        try:
            yield
        finally:
            self._turns.release()

    def stop(self) -> None:
        """Let all who wait go, and nobody wait any more: we are stopping."""
        self.stopped = True
        for subscription in self._everybody():
            subscription.cut()

    async def run(self) -> None:
        """Hand over what comes until cancelled."""
        while True:
            try:
                async with await connect(self._conninfo) as connection:
                    await self._listen(connection)
            except (psycopg.Error, OSError, Fault) as error:
                logger.warning("lost sight of the events: %s", str(error).strip())
            await asyncio.sleep(POLL)

    async def _listen(self, connection: AsyncConnection[Any]) -> None:
        listens = await self._is_told(connection)
        head = await self._head()
        self._check_rewound(head)
        lowest = min((each.seen for each in self._everybody()), default=head)
        self.position = min(head, max(self.position, lowest))  # below, nobody waits for anything
        while True:
            await self._advance(head)
            announced = await self._announced(connection)
            head = announced if announced > self.position else await self._head()
            self._check_rewound(head)
            if listens and not announced and head > self.position:
                await self._advance(head)
                await self._check_alive(connection)

    async def _is_told(self, connection: AsyncConnection[Any]) -> bool:
        """Ask to be told; a replica refuses, and there the poll alone tells."""
        with contextlib.suppress(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            return True
        return False

    def _check_rewound(self, head: int) -> None:
        """Who follows has to be told when a backup was restored."""
        if head < self.position:
            self.position = head
            for subscription in self._everybody():
                subscription.cut()

    async def _check_alive(self, connection: AsyncConnection[Any]) -> None:
        """Whether the connection tells, though late, what the poll has found.

        Raises:
            TimeoutError: it is dead, but does not show it.
        """
        if not [each async for each in connection.notifies(timeout=LATE, stop_after=1)]:
            raise TimeoutError("the connection tells of none any more")

    async def _announced(self, connection: AsyncConnection[Any]) -> int:
        """The newest position that was announced, 0 = none lately.

        While nobody waits, nobody has to be told at each commit: once a second will do.
        """
        if not self._waiting:
            self._wanted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wanted.wait()
            patience, enough = 0.0, None
        else:
            patience, enough = POLL, 1
        newest = 0
        async for notify in connection.notifies(timeout=patience, stop_after=enough):
            newest = int(notify.payload)
        return newest

    async def _advance(self, head: int) -> None:
        """Hand over everything up to a head.

        Who came while a query was under way that did not ask for them, is asked for again, so that
        the position means: nobody who waits lacks anything below.
        """
        self.reach = max(self.reach, head)
        while self.position < head:
            after, until, covered = self.position, head, set[UUID]()
            while missing := set(self._waiting) - covered:
                rows = await self._fetch(missing, after, until)
                if len(rows) == BATCH:
                    until = rows[-1][1]
                self._hand_over(rows)
                covered |= missing
            self.position = until

    async def _head(self) -> int:
        return int((await self._session.fetch(HEAD))[0][0])

    async def _fetch(self, ids: set[UUID], after: int, until: int) -> Sequence[Row]:
        return await self._session.fetch(
            LIVE,
            {
                "companies": companies(*ids), "company_ids": list(ids), "after": after,
                "until": until, "limit": BATCH,
            },
        )  # fmt: skip

    def _hand_over(self, rows: Sequence[Row]) -> None:
        for company_id, *row in rows:
            for subscription in self._waiting.get(company_id, ()):
                subscription.give(row)

    def _everybody(self) -> list[Subscription]:
        return [each for waiting in self._waiting.values() for each in waiting]
