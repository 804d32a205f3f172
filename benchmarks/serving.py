"""What the service does in a second, how soon it answers, and whether that depends on its size."""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg

from api.background import KEYSET_PLANS
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from api.table_reads import LIST
from application.base import Request
from application.event_store.postgres import PostgresEventStore
from application.event_store.session import companies
from application.table_defs import TableDefs
from benchmarks.figures import Figure, at_least
from benchmarks.load import CREATE, GET, PATCH, Client, median_ms, wrk, wrk_p50
from benchmarks.service import (
    COMPANY,
    SMALL_COMPANY,
    Service,
    context,
    own_database,
    running,
    without_row_level_security,
)
from domain.table_details import Changes, Details
from projections.rebuild import rebuild
from projections.table_def_queries import Filter, list_params
from projections.table_defs import TableDefsProjection

MANY, FEW = 100_000, 100


def throughput(url: str) -> Iterator[Figure]:
    """Requests per second, each beside the same route without what it is for."""
    with own_database(url, "throughput") as database:
        with running(database, "no-store", projector=False) as service:
            bare_create = wrk(f"{service.address}/api/tables", service.key, CREATE)
            bare_patch = wrk(service.address, service.key, PATCH.format(ids=_quoted([uuid4()])))
            ids = _quoted([uuid4() for _ in range(1000)])
            script = GET.format(ids=ids, prefix="/api/empty/")
            bare_get = wrk(service.address, service.key, script)
        with running(database) as service:
            tables = f"{service.address}/api/tables"
            create = wrk(tables, service.key, CREATE)
            ids = _quoted(asyncio.run(_some_ids(service)))
            patch = wrk(service.address, service.key, PATCH.format(ids=ids))
            script = GET.format(ids=ids, prefix="/api/tables/")
            get = wrk(service.address, service.key, script)
            pages = wrk(f"{tables}?limit=50", service.key)
        bare_list = asyncio.run(_bare_list(database))
        with without_row_level_security(database), running(database, "no-rls") as service:
            open_get = wrk(service.address, service.key, script)
            open_pages = wrk(f"{service.address}/api/tables?limit=50", service.key)
    yield at_least("create", create, bare_create, "without the store call", 0.6)
    yield at_least("PATCH", patch, bare_patch, "without the store calls", 0.4)
    yield at_least("GET by id", get, bare_get, "empty route, same authentication", 0.5)
    met = pages >= 700 or pages >= 0.5 * bare_list
    target = "≥ 700/s or ≥ 0.5 ×"
    yield Figure("list of 50", pages, "/s", bare_list, "bare SQL, psycopg", target, met)
    yield at_least("GET by id", get, open_get, "without row-level security", 0.85)
    yield at_least("list of 50", pages, open_pages, "without row-level security", 0.85)


def latency(url: str) -> Iterator[Figure]:
    """How soon one client is answered, and sees what it wrote."""
    with own_database(url, "latency") as database, running(database) as service:
        bare = statistics.median(_bare_insert(database) for _ in range(3))
        create = wrk_p50(f"{service.address}/api/tables", service.key, CREATE)
        p50, p99 = asyncio.run(_visible(service))
    what = "bare INSERT + COMMIT, psycopg"
    yield Figure(
        "create, one connection, p50", create, "ms", bare, what, "≤ 4 ×", create <= 4 * bare
    )
    yield Figure("write → in the list, p50", p50, "ms", None, "200 writes/s", "≤ 10 ms", p50 <= 10)
    yield Figure("write → in the list, p99", p99, "ms", None, "200 writes/s", "≤ 50 ms", p99 <= 50)


def size(url: str) -> Iterator[Figure]:
    """How fast a large read model is built, and whether its pages are as fast as a small one's."""
    with own_database(url, "size") as database, running(database, projector=False) as service:
        events = asyncio.run(_fill(database))
        started = time.perf_counter()
        asyncio.run(rebuild(as_role(database, PROJECTOR_ROLE), TableDefsProjection()))
        rate = events / (time.perf_counter() - started)
        first, last, small = asyncio.run(_pages(service))
    yield Figure(
        "rebuild", rate, "events/s", None, f"{events:,} events", "≥ 20,000", rate >= 20_000
    )
    slow, fast = max(first, last), min(first, last)
    yield Figure(
        "list, page 1,000", last, "ms", first, f"page 1 of {MANY:,} tables", "≤ 1.5 ×",
        slow <= 1.5 * fast,
    )  # fmt: skip
    yield Figure(
        f"list, page 1 of {MANY:,}", first, "ms", small, f"page 1 of {FEW} tables", "≤ 1.5 ×",
        first <= 1.5 * small,
    )  # fmt: skip


def _quoted(ids: list[UUID]) -> str:
    return ",".join(f'"{id}"' for id in ids)


async def _some_ids(service: Service) -> list[UUID]:
    async with Client(service.address, service.key) as client:
        ids: list[UUID] = []
        path = "/api/tables?limit=200"
        while len(ids) < 2000:
            _, body = await client.send("GET", path)
            page = json.loads(body)
            ids += [UUID(item["id"]) for item in page["items"]]
            path = f"/api/tables?limit=200&cursor={page['nextCursor']}"
    return ids


async def _bare_list(database: str) -> float:
    """The list's SQL per second, on as many connections as the API has, without HTTP."""
    conninfo = as_role(database, API_ROLE, KEYSET_PLANS)
    params = list_params(Filter(COMPANY), None, 50) | {"companies": companies(COMPANY)}
    done = 0

    async def query() -> None:
        nonlocal done
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            while time.perf_counter() < deadline:
                cursor = await connection.execute(LIST["name"].encode(), params, prepare=True)
                await cursor.fetchall()
                done += 1

    deadline = time.perf_counter() + 5
    await asyncio.gather(*(query() for _ in range(4)))
    return done / 5


def _bare_insert(database: str) -> float:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS bare (id uuid PRIMARY KEY, company uuid, state bytea)"
        )
        connection.commit()

        async def insert() -> None:
            row = (uuid4(), COMPANY, b"x" * 500)
            connection.execute("INSERT INTO bare VALUES (%s, %s, %s)", row, prepare=True)
            connection.commit()

        return asyncio.run(median_ms(insert, 500))


async def _visible(service: Service) -> tuple[float, float]:
    """Milliseconds from a write's answer to the list that has it: median and 99th percentile."""
    taken: list[float] = []

    async def write(writer: Client, reader: Client, number: int) -> None:
        headers, _ = await writer.send("POST", "/api/tables", f'{{"name":"V {number} {uuid4()}"}}')
        started = time.perf_counter()
        position = headers["event-position"]
        path = "/api/tables?limit=1&sort=-createdAt"
        await reader.send("GET", path, headers=f"Min-Position: {position}\r\n")
        taken.append((time.perf_counter() - started) * 1000)

    async def steady(offset: float) -> None:
        async with (
            Client(service.address, service.key) as writer,
            Client(service.address, service.key) as reader,
        ):
            start = time.perf_counter() + offset
            for number in range(200):
                await asyncio.sleep(max(0.0, start + number * 0.05 - time.perf_counter()))
                await write(writer, reader, number)

    await asyncio.gather(*(steady(n * 0.005) for n in range(10)))
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


async def _fill(database: str) -> int:
    """Two companies, one of them large; every second table is changed once. Returns the events."""
    store = PostgresEventStore(as_role(database, API_ROLE))
    table_defs = TableDefs(store)
    numbers = iter(range(MANY))

    async def write() -> None:
        for number in numbers:
            details = Details(name=f"Table {number:06}", slug=f"table-{number:06}", icon="box")
            outcome = await table_defs.create(Request(context(COMPANY)), details)
            if number % 2:
                changes: Any = Changes(description=f"Number {number}.")
                await table_defs.change(outcome.aggregate.id, Request(context(COMPANY)), changes)

    await asyncio.gather(*(write() for _ in range(200)))
    for number in range(FEW):
        await table_defs.create(Request(context(SMALL_COMPANY)), Details(name=f"Small {number}"))
    await store.close()
    return MANY + MANY // 2 + FEW


async def _pages(service: Service) -> tuple[float, float, float]:
    """Milliseconds of page 1 and page 1,000 of the large company, and of page 1 of the small."""
    first = "/api/tables?limit=100"
    async with (
        Client(service.address, service.key) as large,
        Client(service.address, service.small_key) as small,
    ):
        path = first
        for _ in range(999):
            _, body = await large.send("GET", path)
            path = f"{first}&cursor={json.loads(body)['nextCursor']}"
        return (
            await median_ms(lambda: large.send("GET", first), 100),
            await median_ms(lambda: large.send("GET", path), 100),
            await median_ms(lambda: small.send("GET", first), 100),
        )
