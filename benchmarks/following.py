"""Following events under load: from zero, by long polls, and as a stream to many at once."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection, Connection

from api import keys
from api.keys import NewKey
from benchmarks.load import Client
from benchmarks.service import COMPANY, Service

POLLS, STREAMS, COMPANIES = 2_000, 500, 100
WRITES = 200
MILLION = 1_000_000
LINES = "Accept: application/x-ndjson\r\nConnection: close\r\n"
# As many events as there are numbers, of tables that one event of ours is the model for.
COPIES = """
INSERT INTO event_store.events (
       position, company_id, originator_id, originator_version, topic, state, salt, event_id,
       recorded_at)
SELECT model.head + n, %(company)s, gen_random_uuid(), 1, model.topic, model.state, model.salt,
       gen_random_uuid(), model.recorded_at
  FROM (SELECT e.*, (SELECT max(position) FROM event_store.events) AS head
          FROM event_store.events e
         WHERE company_id = %(company)s AND topic = 'TableDef.Created'
         ORDER BY position DESC LIMIT 1) AS model,
       generate_series(1, %(count)s) AS n
"""
EVENTS = """
SELECT position, originator_id, originator_version, topic, state, event_id
  FROM event_store.events
 WHERE company_id = %s AND position > %s
 ORDER BY position LIMIT 1000
"""


@dataclass(frozen=True)
class Taken:
    """Seconds that something took, many times."""

    seconds: Sequence[float]

    def ms(self, share: float) -> float:
        """Milliseconds within which this share of them was done."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def copy_events(database: str, count: int) -> None:
    """Fill the store with so many events more."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(COPIES.encode(), {"company": COMPANY, "count": count})
        connection.execute("VACUUM (ANALYZE) event_store.events")


def bare_read(database: str) -> float:
    """Events per second through psycopg, page by page, without HTTP or JSON."""
    with psycopg.connect(database, autocommit=True) as connection:
        return statistics.median(_bare_read(connection) for _ in range(3))


def _bare_read(connection: Connection) -> float:
    position, count, started = 0, 0, time.perf_counter()
    with connection.cursor(binary=True) as cursor:
        while rows := cursor.execute(EVENTS, (COMPANY, position), prepare=True).fetchall():
            position, count = rows[-1][0], count + len(rows)
    return count / (time.perf_counter() - started)


async def from_zero(service: Service) -> tuple[int, float]:
    """How many events the lines from zero have, and how many come in a second."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        count = await _count(service, "/api/events", b"}\n", LINES)
        taken.append(time.perf_counter() - started)
    return count, count / statistics.median(taken)


async def streamed(service: Service, events: int) -> float:
    """Seconds in which a stream from zero has shown so many events."""
    started = time.perf_counter()
    await _count(service, "/api/events/stream?after=0", b"\nid: ", until=events)
    return time.perf_counter() - started


async def _count(
    service: Service, path: str, mark: bytes, headers: str = "", until: int | None = None
) -> int:
    reader, writer = await _ask(service.address, service.key, path, headers)
    count, rest = 0, b""
    while until is None or count < until:
        chunk = await reader.read(1 << 18)
        if not chunk:
            break
        count += (rest + chunk).count(mark)
        rest = chunk[1 - len(mark) :] if len(mark) > 1 else b""
    writer.close()
    return count


async def _ask(
    address: str, key: str, path: str, headers: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request, and read the head of its answer."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
    authorization = f"Authorization: Bearer {key}\r\n"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n{authorization}{headers}\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def writes(service: Service, times: int, pause: float = 0.01) -> Taken:
    """How long each of some writes takes, one after the other."""
    taken = []
    async with Client(service.address, service.key) as client:
        for _ in range(times):
            started = time.perf_counter()
            await client.send("POST", "/api/tables", f'{{"name":"W {uuid4()}"}}')
            taken.append(time.perf_counter() - started)
            await asyncio.sleep(pause)
    return Taken(taken)


async def polled(service: Service) -> tuple[Taken, Taken, Taken]:
    """How soon long polls wake; how long writes take without 2,000 of them, and with them.

    The polls are of 100 companies, 20 each, and go on; the writes are in one of these.
    """
    companies = await _companies(service)
    idle = await writes(service, WRITES)
    woken: list[float] = []
    written: dict[str, float] = {}
    every = [key for key in companies for _ in range(POLLS // COMPANIES)]
    polls = [asyncio.create_task(_poll(service, key, woken, written)) for key in every]
    await asyncio.sleep(3)
    busy = []
    async with Client(service.address, service.key) as client:
        for _ in range(WRITES):
            started = time.perf_counter()
            headers, _ = await client.send("POST", "/api/tables", f'{{"name":"P {uuid4()}"}}')
            written[headers["event-position"]] = now = time.perf_counter()
            busy.append(now - started)
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    for poll in polls:
        poll.cancel()
    await asyncio.gather(*polls, return_exceptions=True)
    return Taken(woken), idle, Taken(busy)


async def _poll(service: Service, key: str, woken: list[float], written: dict[str, float]) -> None:
    """Wait for one event after the other, and note how long after its commit each comes."""
    path = "/api/events?after=head&wait=30&limit=1"
    async with Client(service.address, key) as client:
        while True:
            headers, body = await client.send("GET", path)
            now = time.perf_counter()
            for item in json.loads(body):
                await asyncio.sleep(0)
                woken.append(now - written.get(item["position"], now))
            path = f"/api/events?after={headers['feed-position']}&wait=30&limit=1"


async def _companies(service: Service) -> list[str]:
    """Keys of so many companies; ours is the first of them."""
    found = [service.key]
    async with await AsyncConnection.connect(service.database, autocommit=True) as connection:
        for _ in range(COMPANIES - 1):
            key = NewKey.make()
            await keys.store(connection, key, UUID(bytes=uuid4().bytes), "admin", "bench")
            found.append(str(key))
    return found


async def fanned_out(service: Service) -> Taken:
    """How long after its commit an event is with each of 500 streams of its company."""
    streams = [
        await _ask(service.address, service.key, "/api/events/stream") for _ in range(STREAMS)
    ]
    await asyncio.sleep(1)
    arrived: list[float] = []
    async with Client(service.address, service.key) as client:
        for _ in range(20):
            waiting = [asyncio.create_task(_event(reader)) for reader, _ in streams]
            await client.send("POST", "/api/tables", f'{{"name":"S {uuid4()}"}}')
            committed = time.perf_counter()
            arrived += [moment - committed for moment in await asyncio.gather(*waiting)]
    for _, writer in streams:
        writer.close()
    return Taken(arrived)


async def _event(reader: asyncio.StreamReader) -> float:
    await reader.readuntil(b"\ndata: ")
    return time.perf_counter()


async def memory(pid: int, work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Megabytes that a process has before some work, and at most during it."""
    before, most = _rss(pid), 0.0
    task = asyncio.ensure_future(work())
    while not task.done():
        most = max(most, _rss(pid))
        await asyncio.sleep(0.1)
    await task
    return before, max(most, _rss(pid))


def _rss(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6
