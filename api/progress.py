"""How far the read models are, without asking at each request; and waiting for them."""

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections.abc import Mapping
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from application.errors import StoreUnavailable
from application.event_store.session import ANSWER_TIMEOUT, connect
from projections.base import channel

POSITIONS = "SELECT projection, position FROM projections.positions WHERE projection = ANY(%s)"
POLL = 1.0  # seconds; also how it works on a replica, where LISTEN is refused
OWN_WRITES = 0.5  # seconds that a read waits for what its company wrote through this process
REMEMBERED = 100_000  # companies

logger = logging.getLogger(__name__)


class Progress:
    """The position that a projection has reached, as this process knows it."""

    def __init__(self) -> None:
        self.position = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._given_up = 0
        self._order = itertools.count()
        self._written: dict[UUID, int] = {}

    def wrote(self, company_id: UUID, position: int) -> None:
        """Remember the last position that a company wrote through this process."""
        if position > self.position:
            if len(self._written) >= REMEMBERED:
                self._written.clear()
            self._written[company_id] = max(position, self._written.get(company_id, 0))

    async def own_writes(self, company_id: UUID, timeout: float = OWN_WRITES) -> None:
        """Wait, briefly, until a company can read what it wrote through this process."""
        position = self._written.get(company_id)
        if position is None:
            return
        await self.reach(position, timeout)
        # It may have written more in the meantime.
        if self._written.get(company_id, 0) <= self.position:
            self._written.pop(company_id, None)

    def behind(self, company_id: UUID) -> bool:
        """Whether a company wrote through this process what it cannot read yet."""
        return self._written.get(company_id, 0) > self.position

    async def reach(self, position: int, timeout: float) -> bool:
        """Wait until the read model is at a position; False if it takes longer than `timeout` s."""
        if self.position >= position:
            return True
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (position, next(self._order), reached))
        try:
            async with asyncio.timeout(timeout):
                await reached
        except TimeoutError:
            self._forget_some()
        return self.position >= position

    def _forget_some(self) -> None:
        """Drop those who gave up, once they are many: their position may never come."""
        self._given_up += 1
        if self._given_up * 2 > len(self._waiting):
            self._waiting = [entry for entry in self._waiting if not entry[2].done()]
            heapq.heapify(self._waiting)
            self._given_up = 0

    def reached(self, position: int) -> None:
        """Note a position, also a lower one: what a crash takes back was not reached."""
        self.position = position
        while self._waiting and self._waiting[0][0] <= position:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)


class Watch:
    """Keeps the positions of several projections current, on one connection."""

    def __init__(self, conninfo: str, progress: Mapping[str, Progress]) -> None:
        self._conninfo = conninfo
        self._by_channel = {channel(schema): each for schema, each in progress.items()}
        self._by_schema = progress

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                async with await connect(self._conninfo) as connection:
                    await self._listen(connection)
            except (psycopg.Error, OSError, StoreUnavailable) as error:
                logger.warning("lost sight of the projections: %s", str(error).strip())
            for progress in self._by_schema.values():
                progress.reached(0)  # ask when it is back
            await asyncio.sleep(POLL)

    async def _listen(self, connection: AsyncConnection) -> None:
        # A replica refuses to LISTEN; there the poll alone tells.
        with contextlib.suppress(psycopg.errors.ReadOnlySqlTransaction):
            for name in self._by_channel:
                await connection.execute(f"LISTEN {name}".encode())
        while True:
            # A position that was announced but lost in a crash counts for nothing: ask, then set.
            async with asyncio.timeout(ANSWER_TIMEOUT):
                cursor = await connection.execute(POSITIONS, (list(self._by_schema),))
                positions: dict[str, int] = dict(await cursor.fetchall())
            for schema, progress in self._by_schema.items():
                progress.reached(positions.get(schema, 0))
            async for notify in connection.notifies(timeout=POLL):
                progress = self._by_channel[notify.channel]
                progress.reached(max(progress.position, int(notify.payload)))
