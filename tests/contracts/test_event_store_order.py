"""One global order: whoever has read up to position n never later sees an event at or below n."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.event_store.postgres import APPEND, PostgresEventStore
from domain.recorded import Recorded
from tests.conftest import sized
from tests.contracts.commands import documents
from tests.contracts.writers import EVENTS, write

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
COMMANDS = sized(32, 128)  # of each of 16 writers: 5,120 events, at length 20,480
PAGE = sized(50, 200)
WAITS = "SELECT FROM pg_locks WHERE pid = %s AND NOT granted"
PAST = """
SELECT position, recorded_at FROM event_store.events WHERE position > %s ORDER BY position
"""


@asynccontextmanager
async def sixteen_writers(conninfo: str) -> AsyncIterator[Sequence["asyncio.Task[None]"]]:
    """Four of them here, twelve in two other processes; all are done at the end of the block."""
    arguments = [sys.executable, "-m", "tests.contracts.writers", conninfo, "6", str(COMMANDS)]
    processes = [await asyncio.create_subprocess_exec(*arguments, cwd=ROOT) for _ in range(2)]
    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            work = [write(conninfo, 4, COMMANDS), *map(_succeed, processes)]
            yield [tasks.create_task(each) for each in work]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _succeed(process: asyncio.subprocess.Process) -> None:
    assert await process.wait() == 0


async def test_a_follower_of_sixteen_writers_misses_none_of_thousands_of_events(
    postgres_store: PostgresEventStore, any_database: str
) -> None:
    seen: list[tuple[int, Any]] = []
    live = 0
    async with sixteen_writers(as_role(any_database, API_ROLE)) as writers:
        page: Sequence[Recorded] = ()
        done = False
        while page or not done:
            done = all(writer.done() for writer in writers)
            after = seen[-1][0] if seen else 0
            page = await postgres_store.read(after, PAGE)
            positions = [after, *(recorded.position for recorded in page)]
            assert all(low < high for low, high in itertools.pairwise(positions))
            seen += [(recorded.position, recorded.event.metadata.event_id) for recorded in page]
            live += bool(page) and not done
    async with await AsyncConnection.connect(any_database) as connection:
        query = "SELECT position, event_id FROM event_store.events ORDER BY position"
        committed = await (await connection.execute(query)).fetchall()
    assert len(committed) == 16 * COMMANDS * EVENTS >= sized(5_000, 20_000)
    assert seen == committed
    assert live > 20  # pages that it read while they wrote


@dataclass
class Stepped:
    """A writer that takes its transaction's steps when it is told to, and may have to wait."""

    connection: AsyncConnection[Any]
    end: str
    steps: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)

    async def run(self) -> None:
        """Take one step after the other."""
        while (step := await self.steps.get()) != "stop":
            if step == "append":
                await self.connection.execute(APPEND, documents())
            else:
                await self.connection.execute(step)
            self.steps.task_done()

    async def take(self, step: str, watcher: AsyncConnection[Any]) -> None:
        """Start a step, and return when it is done or waits for the lock."""
        self.steps.put_nowait(step)
        while not await self._done() and not await self._waits(watcher):
            pass

    async def _done(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.002):
                await self.steps.join()
                return True
        return False

    async def _waits(self, watcher: AsyncConnection[Any]) -> bool:
        cursor = await watcher.execute(WAITS, (self.connection.info.backend_pid,))
        return cursor.rowcount == 1


@dataclass
class Reader:
    """Remembers how far it has read, and that it never had to look back."""

    connection: AsyncConnection[Any]
    seen: list[tuple[int, Any]] = field(default_factory=list)

    async def look(self) -> None:
        """Read what lies above the last position seen."""
        after = self.seen[-1][0] if self.seen else 0
        self.seen += await (await self.connection.execute(PAST, (after,))).fetchall()

    async def everything(self) -> Sequence[tuple[int, Any]]:
        """What there is, from the beginning."""
        return await (await self.connection.execute(PAST, (0,))).fetchall()


@pytest.fixture
async def connections(any_database: str) -> AsyncIterator[list[AsyncConnection[Any]]]:
    """Two that write, as the API does; one that follows, as the projector; one that watches."""
    roles = [API_ROLE, API_ROLE, PROJECTOR_ROLE, API_ROLE]
    urls = [as_role(any_database, role) for role in roles]
    opened = [await AsyncConnection.connect(url, autocommit=True) for url in urls]
    yield opened
    for connection in opened:
        await connection.close()


ORDERS = sorted(set(itertools.permutations("aaabbb")))
ENDS = list(itertools.product(["COMMIT", "ROLLBACK"], repeat=2))


async def test_no_order_of_two_transactions_lets_an_event_appear_below_one_that_was_seen(
    connections: list[AsyncConnection[Any]],
) -> None:
    first, second, following, watcher = connections
    reader = Reader(following)
    for order, ends in itertools.product(ORDERS, ENDS):
        writers = {"a": Stepped(first, ends[0]), "b": Stepped(second, ends[1])}
        # A transaction that has read before, so that an old snapshot would show.
        plans = {
            name: iter(["BEGIN; SELECT event_store.head()", "append", w.end])
            for name, w in writers.items()
        }
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            for writer in writers.values():
                tasks.create_task(writer.run())
            for name in order:
                await writers[name].take(next(plans[name]), watcher)
                await reader.look()
            for writer in writers.values():
                writer.steps.put_nowait("stop")
        await reader.look()
        assert reader.seen == await reader.everything(), (order, ends)
    commits = len(ORDERS) * sum(ends.count("COMMIT") for ends in ENDS)
    assert [position for position, _ in reader.seen] == list(range(1, 2 * commits + 1))
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(reader.seen))
