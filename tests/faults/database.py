"""A database that restarts, dies, is busy, or is at the far end of a bad network."""

import asyncio
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psycopg

from api.event_hub import CHANNEL
from tests.conftest import eventually
from tests.contracts.proxy import Proxy, cut_after_commit, proxied
from tests.faults.report import fault
from tests.faults.world import World, connect
from tests.journeys.processes import Serve, alive, until
from tests.streams import Browser

LISTENING = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE query = 'LISTEN {CHANNEL}' AND datname = current_database()
"""
BACKENDS = """
SELECT pid FROM pg_stat_activity
 WHERE application_name LIKE 'dynamic_tables%%' AND datname = current_database()
"""


@fault("connection cut after COMMIT was sent", "success, never a false conflict")
async def cut_commit(there: World) -> str:
    statuses = Counter[int]()
    async with _far(there, "--api-only") as (proxy, client, _):
        await client.post("/api/tables", json={"name": "Near"})
        for number in range(there.some(5, 100)):
            mark = f"m-cut-{number}-{there.random.getrandbits(64):x}"
            there.oracle.intents.ask(mark)
            proxy.next_message(cut_after_commit, mark.encode())
            answer = await client.post(
                "/api/tables", json={"name": mark}, headers={"Idempotency-Key": mark}
            )
            statuses[answer.status_code] += 1
            assert answer.is_success, answer.text
            there.oracle.intents.promise(mark, int(answer.headers["event-position"]))
    return ", ".join(f"{count} × {status}" for status, count in statuses.items())


@fault("PostgreSQL restarted (fast), then killed (immediate, SIGKILL), under load",
       "503 with Retry-After, recovery by itself ≤ 5 s after it is back, no acknowledged write"
       " lost, read models catch up")  # fmt: skip
async def postgres_killed(there: World) -> str:
    back = []
    signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
    async with there.writers.writing():
        for number in range(there.some(3, 10)):
            await there.pause(1.0)
            postmaster = there.service.postmaster()
            os.kill(postmaster, signals[number % len(signals)])
            there.kills += 1
            await asyncio.to_thread(until, lambda pid=postmaster: not alive(pid), 30, "it ended")
            await eventually(lambda: _accepts(there.database), 60, "the database is back")
            back.append(await there.answers())
    assert max(back) <= 5, back
    return (
        f"{len(back)} ends; a write was answered {statistics.median(back):.1f} s after the database"
        f" was back, at most {max(back):.1f} s"
    )


@fault("all connections of the service terminated at random, under load",
       "503 at most, nothing lost or doubled")  # fmt: skip
async def connections_terminated(there: World) -> str:
    ended = 0
    async with there.writers.writing():
        for _ in range(there.some(10, 200)):
            backends = [pid for (pid,) in await there.rows(BACKENDS)]
            for pid in there.random.sample(backends, min(3, len(backends))):
                await there.rows("SELECT pg_terminate_backend(%s)", pid)
                ended += 1
            await there.pause(0.4)
    return f"{ended} connections terminated"


@fault("LISTEN connection terminated; frozen without an error; event committed before LISTEN",
       "delivered within the poll interval")  # fmt: skip
async def listen_lost(there: World) -> str:
    late: list[float] = []
    frozen = 0
    async with _far(there, "--api-only") as (proxy, client, node):
        head = (await client.get("/api/events?after=head")).headers["feed-position"]
        browser = Browser(int(node.address.rpartition(":")[2]), node.key, f"after={head}")
        following = asyncio.create_task(browser.run())
        try:
            await asyncio.sleep(0.5)
            for number in range(there.some(6, 60)):
                if number % 2:
                    frozen += proxy.freeze(b"LISTEN")
                else:
                    await there.rows(LISTENING)
                started, table = time.monotonic(), await there.table()
                await eventually(lambda table=table: _has(browser, table), 20, "it is delivered")
                late.append(time.monotonic() - started)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    assert frozen
    return (
        f"{len(late)} times ({frozen} connections frozen): delivered after"
        f" {statistics.median(late):.2f} s, at most {max(late):.2f} s"
    )


@fault("append lock held by someone else", "503 append-busy after 2 s, reads go on")
async def lock_held(there: World) -> str:
    taken: list[float] = []
    codes = Counter[str]()
    reads = 0
    async with there.appends_held():
        deadline = time.monotonic() + there.some(5, 30)

        async def write(number: int) -> None:
            while time.monotonic() < deadline:
                started = time.monotonic()
                answer = await there.client.post("/api/tables", json={"name": f"Busy {number}"})
                taken.append(time.monotonic() - started)
                assert answer.status_code == 503, answer.text
                assert "retry-after" in answer.headers
                codes[answer.json()["code"]] += 1

        async def read() -> None:
            nonlocal reads
            while time.monotonic() < deadline:
                answer = await there.client.get("/api/tables?limit=5")
                assert answer.status_code == 200, answer.text
                reads += 1
                await asyncio.sleep(0.02)

        await asyncio.gather(read(), *map(write, range(20)))
    said = ", ".join(f"{count} × 503 {code}" for code, count in codes.items())
    return (
        f"{said} after {statistics.median(taken):.1f} s (at most {max(taken):.1f}); {reads} × 200"
    )


@fault("VACUUM FREEZE and CREATE INDEX CONCURRENTLY on the event table under load",
       "appends go on as before")  # fmt: skip
async def maintenance(there: World) -> str:
    def work() -> None:
        with connect(there.database) as owner:
            owner.execute("VACUUM (FREEZE, ANALYZE) event_store.events")
            owner.execute("CREATE INDEX CONCURRENTLY faults ON event_store.events (recorded_at)")
            owner.execute("DROP INDEX CONCURRENTLY event_store.faults")

    return await _slowed_by(there, lambda: asyncio.to_thread(work))


@fault("a reader that holds a snapshot", "appends and feed unaffected")
async def snapshot_held(there: World) -> str:
    with psycopg.connect(there.database) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute("SELECT count(*) FROM event_store.events").fetchone()
        seconds = there.some(4, 180)
        said = await _slowed_by(there, lambda: asyncio.sleep(seconds))
        after = reader.execute("SELECT count(*) FROM event_store.events").fetchone()
        assert before == after
    return f"for {seconds} s: {said}"


async def _slowed_by(there: World, work) -> str:  # type: ignore[no-untyped-def]
    """How long writes take before something and while it lasts."""
    there.writers.taken.clear()
    async with there.writers.writing():
        await asyncio.sleep(2)
        before = sorted(there.writers.taken)
        there.writers.taken.clear()
        refused = there.writers.refusals.total()
        for _ in range(there.some(3, 20)):
            await work()
            if there.writers.taken:
                break
        meanwhile = sorted(there.writers.taken)
    assert there.writers.refusals.total() == refused, "some were refused"
    assert meanwhile
    first, second = _p99(before), _p99(meanwhile)
    assert second < max(10 * first, 500), (first, second)
    return f"no write refused; p99 {first:.0f} ms before, {second:.0f} ms meanwhile"


def _p99(seconds: list[float]) -> float:
    return seconds[int(len(seconds) * 0.99)] * 1000


async def _has(browser: Browser, table: str) -> bool:
    return any(item.get("tableId") == table for item in browser.seen)


async def _accepts(url: str) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


@asynccontextmanager
async def _far(
    there: World, *arguments: str
) -> AsyncIterator[tuple[Proxy, httpx.AsyncClient, Serve]]:
    """A second node whose database is behind a network that may fail."""
    async with proxied(there.database) as proxy:
        opened = there.node("far", *arguments, database_url=proxy.conninfo)
        node = await asyncio.to_thread(opened.__enter__)
        try:
            headers = {"Authorization": f"Bearer {there.service.key}"}
            async with httpx.AsyncClient(
                base_url=node.address, headers=headers, timeout=30
            ) as client:
                yield proxy, client, node
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)
