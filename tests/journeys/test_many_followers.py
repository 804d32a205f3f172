"""Hundreds follow the events of one company: some stop reading, some wait, others want answers."""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from psycopg import AsyncConnection

from api.roles import API_ROLE, as_role
from application.event_store.postgres import PostgresEventStore
from domain.table_def import TableDef
from domain.table_details import Details
from tests.conftest import eventually, sized
from tests.contracts.commands import command, context, uuid7
from tests.journeys.workers import Worker, connections, worker
from tests.streams import Stream

pytestmark = pytest.mark.anyio

STALLED = sized(60, 2_000)
PATIENCE = sized(2.0, 20.0)  # seconds of the process: all have begun by then
BEFORE, MEANWHILE, SIZE = sized(60, 100), sized(150, 200), 2_000  # events, and characters in each
EACH = 400_000  # bytes of memory that one who does not read may cost
READ = 3  # events that one takes before it reads no more
FOLLOWING = sized(50, 100)  # who stream, as many who poll, and as many who read
IDS = re.compile(rb"id: (\d+)\nevent: [^\n]+\ndata: [^\n]+\n\n")
POSITIONS = "SELECT position FROM event_store.events WHERE company_id = %s ORDER BY position"


@pytest.fixture
def api(database: str, tmp_path: Path) -> Iterator[Worker]:
    """A process that logs nothing: whatever its clients do is no trouble of its own."""
    with worker(database, tmp_path / "log", PATIENCE) as running:
        yield running
    assert (tmp_path / "log").read_text() == ""


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresEventStore]:
    store = PostgresEventStore(as_role(database, API_ROLE))
    yield store
    await store.close()


async def write(store: PostgresEventStore, company: UUID, count: int, size: int) -> None:
    """Create that many tables, whose events have at least this size."""

    async def one() -> None:
        id = uuid7()
        details = Details(name="T", description="x" * size)
        await store.append(command(TableDef.create(id, details, f"t-{id}", context(company))))

    await asyncio.gather(*(one() for _ in range(count)))


async def stored(database: str, company: UUID) -> list[str]:
    """The positions of all events of a company."""
    async with await AsyncConnection.connect(database) as connection:
        rows = await (await connection.execute(POSITIONS, (company,))).fetchall()
    return [str(row[0]) for row in rows]


@contextlib.asynccontextmanager
async def opened(api: Worker, count: int, **given: Any) -> AsyncIterator[list[Stream]]:
    """That many streams, opened a hundred at a time."""
    streams: list[Stream] = []
    try:
        for start in range(0, count, 100):
            some = range(start, min(count, start + 100))
            ways = (Stream.open(api.port, api.token, **given) for _ in some)
            streams += await asyncio.gather(*ways)
        assert {stream.status for stream in streams} == {200}
        yield streams
    finally:
        for stream in streams:
            stream.close()


async def cut_off(api: Worker) -> int:
    """Wait until all streams have ended; returns the most memory that the process had."""
    peak = 0

    async def over() -> bool:
        nonlocal peak
        peak = max(peak, api.process.memory_info().rss)
        return len(api.process.net_connections("tcp")) == 1  # on which it listens

    await eventually(over, PATIENCE + 60)
    return peak


def positions(text: bytes) -> list[str]:
    """Of the events of a stream that have come as a whole."""
    return [found.decode() for found in IDS.findall(text)]


async def test_who_stops_reading_costs_little_is_cut_off_and_resumes(
    database: str, api: Worker, store: PostgresEventStore
) -> None:
    await write(store, api.company, BEFORE, SIZE)
    [*_, begins] = await stored(database, api.company)
    memory = api.process.memory_info().rss
    async with (
        opened(api, STALLED // 2, query=f"after={begins}", buffer=4096) as live,
        opened(api, STALLED // 2, query="after=0", buffer=4096) as behind,
    ):
        await write(store, api.company, MEANWHILE, SIZE)
        seen = await asyncio.gather(*map(first, live + behind))
        peak = await cut_off(api)
        assert peak - memory < STALLED * EACH
        everything = await stored(database, api.company)
        for stream, ids in zip(live + behind, seen, strict=True):
            wanted = everything if stream in behind else everything[BEFORE:]
            assert ids + await resumed(api, ids[-1], wanted[-1]) == wanted


async def first(stream: Stream) -> list[str]:
    """The positions of the few events after which it reads no more."""
    return [(await stream.block())["id"] for _ in range(READ)]


async def resumed(api: Worker, last: str, until: str) -> list[str]:
    """What follows a position, up to another."""
    async with opened(api, 1, last=last) as [stream]:
        return positions(await stream.text(f"id: {until}\n".encode()))


async def test_many_who_wait_hold_no_connection_and_nobody_else_up(
    database: str, api: Worker, store: PostgresEventStore
) -> None:
    await write(store, api.company, 1, 1)
    async with api.client() as client, opened(api, FOLLOWING) as streams:
        params = {"after": "head", "wait": "30"}
        polls = [
            asyncio.create_task(client.get("/api/events", params=params)) for _ in range(FOLLOWING)
        ]
        answers = await asyncio.gather(*(timed(client) for _ in range(FOLLOWING)))
        assert {status for status, _ in answers} <= {200, 503}
        assert Counter(status for status, _ in answers)[200] > FOLLOWING / 2
        assert max(seconds for _, seconds in answers) < 10
        assert not any(poll.done() for poll in polls)
        assert connections(database) < 20
        started = time.monotonic()
        created = await client.post("/api/tables", json={"name": "Seen by all"})
        told = await asyncio.gather(*polls, *(stream.block() for stream in streams))
        assert time.monotonic() - started < 10
        position = created.headers["event-position"]
        assert {one.headers["feed-position"] for one in told[:FOLLOWING]} == {position}
        assert {one["id"] for one in told[FOLLOWING:]} == {position}


async def timed(client: httpx.AsyncClient) -> tuple[int, float]:
    """The status of a list, and how long it took; who is refused is told when to come again."""
    started = time.monotonic()
    answer = await client.get("/api/tables")
    assert answer.status_code != 503 or int(answer.headers["retry-after"]) > 0
    return answer.status_code, time.monotonic() - started
