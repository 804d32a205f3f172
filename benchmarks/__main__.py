"""All benchmarks of the service, as one table; or those that are named. About half an hour."""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from api.bootstrap import KEYSET_PLANS
from api.embedded_postgres import attach
from api.migrations import migrate
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from api.table_reads import LIST
from application.base import Request
from application.event_store.postgres import PostgresEventStore
from application.event_store.session import companies
from application.table_defs import TableDefs
from benchmarks import auditing, checking, following
from benchmarks.load import CREATE, GET, PATCH, Client, median_ms, versions, wrk, wrk_p50
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
LOGGING_ROUNDS = 3


@dataclass
class Figure:
    """One measured value beside what it is compared with."""

    name: str
    value: float
    unit: str
    ceiling: float | None
    what: str
    target: str
    met: bool

    def row(self) -> str:
        """A row of the table."""
        ratio = f"{self.value / self.ceiling:.2f}" if self.ceiling else ""
        ceiling = f"{self.ceiling:,.2f} {self.what}" if self.ceiling else self.what
        value, met = f"{self.value:,.2f} {self.unit}", "yes" if self.met else "NO"
        return f"| {' | '.join((self.name, value, ceiling, ratio, self.target, met))} |"


def main() -> None:
    """Run them and print the table."""
    benchmarks = {
        "throughput": _throughput, "latency": _latency, "size": _size, "following": _following,
        "checking": _checking, "logging": _logging, "auditing": _auditing,
    }  # fmt: skip
    if unknown := set(sys.argv[1:]) - benchmarks.keys():
        raise SystemExit(f"there is no {', '.join(unknown)}; there are {', '.join(benchmarks)}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, attach(Path(folder)) as url:
        named = sys.argv[1:] or benchmarks
        figures = [figure for name in named for figure in benchmarks[name](url)]
        print(f"\n{versions(url)}, one API process, projector running, wrk with 32 connections\n")
        print("| what | measured | ceiling, same run | ratio | target | met |")
        print("| --- | --- | --- | --- | --- | --- |")
        for figure in figures:
            print(figure.row())


def _throughput(url: str) -> Iterator[Figure]:
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
    yield _at_least("create", create, bare_create, "without the store call", 0.6)
    yield _at_least("PATCH", patch, bare_patch, "without the store calls", 0.4)
    yield _at_least("GET by id", get, bare_get, "empty route, same authentication", 0.5)
    met = pages >= 700 or pages >= 0.5 * bare_list
    target = "≥ 700/s or ≥ 0.5 ×"
    yield Figure("list of 50", pages, "/s", bare_list, "bare SQL, psycopg", target, met)
    yield _at_least("GET by id", get, open_get, "without row-level security", 0.85)
    yield _at_least("list of 50", pages, open_pages, "without row-level security", 0.85)


def _latency(url: str) -> Iterator[Figure]:
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


def _size(url: str) -> Iterator[Figure]:
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


def _following(url: str) -> Iterator[Figure]:
    with own_database(url, "following") as database, running(database) as service:
        asyncio.run(following.writes(service, 100, 0.0))
        fanned_out = asyncio.run(following.fanned_out(service))
        woken, idle, busy = asyncio.run(following.polled(service))
    what = f"{following.POLLS:,} long polls, {following.POLLS // following.COMPANIES} woken"
    yield _within("commit → long poll, p50", woken.ms(0.5), 20, what)
    yield Figure(
        f"write, p99, {following.POLLS:,} long polls", busy.ms(0.99), "ms", idle.ms(0.99),
        "without", "≤ 2 ×", busy.ms(0.99) <= 2 * idle.ms(0.99),
    )  # fmt: skip
    what = f"one event to {following.STREAMS} streams"
    yield _within("commit → stream, p50", fanned_out.ms(0.5), 250, what)
    yield _within("commit → stream, p99", fanned_out.ms(0.99), 250, what)
    with own_database(url, "feed") as database, running(database, projector=False) as service:
        asyncio.run(following.writes(service, 1, 0.0))
        following.copy_events(database, 200_000)
        bare = following.bare_read(database)
        count, rate = asyncio.run(following.from_zero(service))
        following.copy_events(database, following.MILLION - count)
        lines = asyncio.run(following.memory(service.pid, lambda: following.from_zero(service)))
        stream = asyncio.run(
            following.memory(
                service.pid, lambda: following.streamed(service, following.MILLION - 1)
            )
        )
    met = rate >= 50_000 or rate >= 0.5 * bare
    target = "≥ 50,000/s or ≥ 0.5 ×"
    yield Figure("feed from zero, lines", rate, "events/s", bare, "bare SQL, psycopg", target, met)
    for name, (before, most) in (("lines", lines), ("a stream", stream)):
        yield Figure(
            f"memory, a million as {name}", most, "MB", before, "before", "≤ 1.2 ×",
            most <= 1.2 * before,
        )  # fmt: skip


def _checking(url: str) -> Iterator[Figure]:
    with own_database(url, "checking") as database:
        asyncio.run(migrate(database, database))
        events = asyncio.run(checking.fill(database))
        alone, together = checking.rate(database, 1), checking.rate(database)
    what = f"{events:,} events, one process"
    yield Figure(
        "replay --check", together, "events/s", alone, what, "≥ 50,000", together >= 50_000
    )


def _logging(url: str) -> Iterator[Figure]:
    """What the projections off the request path take from it: they share the processors."""
    rates: dict[str, list[float]] = {"": [], "audit-log": [], "history": []}
    for number in range(LOGGING_ROUNDS):
        for without, found in rates.items():
            with (
                own_database(url, f"logging_{number}") as database,
                running(database, without=without) as service,
            ):
                found.append(wrk(f"{service.address}/api/tables", service.key, CREATE))
    create, *others = (statistics.median(found) for found in rates.values())
    for without, target, ceiling in zip(("audit-log", "history"), (0.97, 0.8), others, strict=True):
        yield _at_least(f"create, with {without}", create, ceiling, "without", target)


def _auditing(url: str) -> Iterator[Figure]:
    with own_database(url, "auditing") as database:
        asyncio.run(migrate(database, database))
        rates = auditing.fill(database)
        what = f"{auditing.TABLES * auditing.VERSIONS + auditing.LONG:,} events"
        for name, rate in rates.items():
            yield Figure(
                f"rebuild {name}", rate, "events/s", None, what, "≥ 20,000", rate >= 20_000
            )
        with running(database, projector=False) as service:
            for sort, present, past in auditing.as_of(service):
                yield Figure(
                    f"list as of, {sort}", past.median, "ms", present.median, "now", "≤ 2 ×",
                    past.median <= 2 * present.median,
                )  # fmt: skip
            for page in auditing.pages(service):
                yield _within(f"{page.name}, p95", page.p95, 30, f"{page.median:.1f} ms the median")


def _within(name: str, value: float, limit: float, what: str) -> Figure:
    return Figure(name, value, "ms", None, what, f"≤ {limit} ms", value <= limit)


def _at_least(name: str, value: float, ceiling: float, what: str, ratio: float) -> Figure:
    return Figure(name, value, "/s", ceiling, what, f"≥ {ratio} ×", value >= ratio * ceiling)


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


if __name__ == "__main__":
    main()
