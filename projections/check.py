"""Is what is kept, of now and of the past, what the events say? Folds from zero and compares.

The fold goes through the aggregates, not through the projection's own handlers, so that the two
check each other. Everything is seen as it was at one moment, also by several processes.

Up to a position, only events until then are folded. Rows of the present state are compared where
nothing has happened since that is in them: of the others nobody can tell what they were. Rows of
versions never change, and are all compared up to that position, with the eras in which they stood.
"""

import asyncio
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing import get_context
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen

from projections.base import connect
from projections.comparing import FIRST, LAST, Range, Report, compare
from projections.expected import KEEP, KEPT, TABLES
from projections.histories import END

POSITIONS = "SELECT projection, position FROM projections.positions WHERE projection = ANY(%s)"
HEAD = "SELECT coalesce(max(position), 0) FROM event_store.events"
# Ids of aggregates, in proportion to how many events they have.
SAMPLE = """
SELECT DISTINCT originator_id FROM event_store.events WHERE position = ANY(%s) ORDER BY 1
"""
# Going through a large log takes as long as it takes, and all of it is wanted.
NO_HURRY = (
    "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c cursor_tuple_fraction=1"
)
SMALL = 100_000  # events; more are shared out among processes
RANGE = 25_000  # events
MOST_RANGES = 64  # each looks through all reservations
SAMPLES = 16  # for each range
ATTEMPTS = 3
INTERVAL = 0.1  # seconds after which a signal is noticed
Progress = Callable[[int], None]
T = TypeVar("T")


class _Undisturbed(AsyncConnection):
    """A connection of a process that does nothing else meanwhile, and blocks until there is more.

    An event loop would be woken for each buffer that the server fills, which costs more than to
    read it.
    """

    async def wait(
        self, gen: PQGen[T], interval: float = INTERVAL, timeout: float | None = None
    ) -> T:
        return waiting.wait(gen, self.pgconn.socket, interval, timeout)


async def check(
    conninfo: str,
    *,
    only: UUID | None = None,
    to: int | None = None,
    progress: Progress = lambda _: None,
    processes: int = 0,
) -> Report:
    """Compare every row of the read models, and all that the store keeps, with the events.

    `only`: this aggregate alone. `to`: see above. `progress` is told how many events are done.
    `processes`: 0 = as many as there are processors.
    """
    async with _frozen(conninfo) as connection:
        # Before the snapshot is taken, so that a rebuild cannot put tables under it that it does
        # not see.
        await _keep(connection)
        models = [each.read_model for each in KEPT if each.read_model]
        found = await connection.execute(POSITIONS, (models,))
        positions = dict.fromkeys(models, 0) | dict(await found.fetchall())
        whole = Range(positions, only or FIRST, only or LAST, END if to is None else to)
        report = Report(position=min(whole.to, positions[TABLES]))
        events = 0 if only else await _one(connection, HEAD)
        ranges = await _ranges(connection, whole, events)
        if events <= SMALL or processes == 1:
            for each in ranges:
                report.add(await _compare(connection, each))
                progress(report.events)
            return report
        snapshot = await _one(connection, "SELECT pg_export_snapshot()")
        wanted = [(conninfo, snapshot, each) for each in ranges]
        for part in await _in_processes(wanted, processes or os.cpu_count() or 1, progress):
            report.add(part)
        return report


async def _keep(connection: AsyncConnection) -> None:
    """Let nobody replace the tables; who does so while their names are looked up is done soon."""
    for attempt in range(ATTEMPTS):
        try:
            async with connection.transaction():
                await connection.execute(KEEP.encode())
        except psycopg.errors.InvalidSchemaName:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


async def _compare(connection: AsyncConnection, range: Range) -> Report:
    """Compare a range; it makes no cycles, and to look for some takes a third of the time."""
    gc.disable()
    try:
        return await compare(connection, range)
    finally:
        gc.enable()


@asynccontextmanager
async def _frozen(
    conninfo: str, snapshot: str = "", kind: type[AsyncConnection] = AsyncConnection
) -> Any:
    """A connection to which nothing changes any more; or nothing since a snapshot."""
    async with await connect(conninfo, "public", NO_HURRY, kind) as connection:
        await connection.set_read_only(True)
        async with connection.transaction():
            await connection.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if snapshot:
                await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
            yield connection


async def _one(connection: AsyncConnection, query: str) -> Any:
    row = await (await connection.execute(query.encode())).fetchone()
    return row[0] if row else None


async def _ranges(connection: AsyncConnection, whole: Range, events: int) -> Sequence[Range]:
    """Ranges of ids with about as many events each."""
    count = min(events // RANGE + 1, MOST_RANGES)
    at = [events * n // (count * SAMPLES) for n in range(1, count * SAMPLES)]
    found = await (await connection.execute(SAMPLE, (at,))).fetchall()
    bounds = [id for (id,) in found][:: max(1, len(found) // count)]
    return list(_between(bounds, whole))


def _between(bounds: Sequence[UUID], whole: Range) -> Iterator[Range]:
    first = whole.first
    for bound in bounds:
        yield replace(whole, first=first, last=bound)
        first = UUID(int=bound.int + 1)
    yield replace(whole, first=first)


async def _in_processes(
    wanted: Sequence[tuple[str, str, Range]], processes: int, progress: Progress
) -> Sequence[Report]:
    done = 0

    async def run(pool: ProcessPoolExecutor, each: tuple[str, str, Range]) -> Report:
        nonlocal done
        report = await asyncio.get_running_loop().run_in_executor(pool, _compare_range, each)
        done += report.events
        progress(done)
        return report

    # Not forked: connections and threads do not survive that.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return await asyncio.gather(*(run(pool, each) for each in wanted))


def _compare_range(wanted: tuple[str, str, Range]) -> Report:
    return asyncio.run(_compare_frozen(*wanted))


async def _compare_frozen(conninfo: str, snapshot: str, range: Range) -> Report:
    async with _frozen(conninfo, snapshot, _Undisturbed) as connection:
        return await _compare(connection, range)
