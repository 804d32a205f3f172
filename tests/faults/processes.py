"""Processes that die, hang, or are told to end."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial

import httpx
from psycopg import AsyncConnection

from tests.conftest import eventually
from tests.faults.report import fault
from tests.faults.world import BLOCKED, World
from tests.journeys.processes import COMMAND, environment, until

WORKER, PROJECTOR = "-m api worker", "-m api project"
COMMAND_OF = "SELECT count(*) FROM event_store.readable_events WHERE data ->> 'name' = %s"
# Whoever leads, or rebuilds, a read model.
HOLDERS = """
SELECT pid FROM pg_locks
 WHERE locktype = 'advisory' AND granted AND objsubid = 1
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (classid::bigint << 32 | objid::bigint) IN (
       SELECT hashtextextended('{0}:' || projection, 0) FROM projections.positions)
"""
LEADERS, REBUILDING = HOLDERS.format("projector"), HOLDERS.format("rebuild")
TERM = "SELECT pg_terminate_backend(pid) FROM ({leaders}) AS leaders"


@fault("API killed (SIGKILL) before commit",
       "nothing stored; the retry with the same key succeeds once")  # fmt: skip
async def before_commit(there: World) -> str:
    name = f"m-before-{there.random.getrandbits(64):x}"
    async with there.appends_held() as owner:
        sent = asyncio.create_task(_post(there, name))
        await there.blocked(owner)
        _kill_workers(there)
        assert await sent is None, "it was answered"
        await eventually(lambda: _nobody_waits(owner), 10, "the server has given up")
    stored = await there.rows(COMMAND_OF, name)
    retried = await there.writers.command("POST", "/api/tables", {"name": name}, name, patient=True)
    assert retried is not None
    after = await there.rows(COMMAND_OF, name)
    assert (stored, retried.status_code, after) == ([(0,)], 201, [(1,)]), (stored, after)
    return "cut off; 0 events; the retry: 201, 1 event"


@fault("API killed after commit, before the answer", "the retry gets the stored answer; one event")
async def after_commit(there: World) -> str:
    name = f"m-after-{there.random.getrandbits(64):x}"
    async with there.appends_held() as owner:
        sent = asyncio.create_task(_post(there, name))
        await there.blocked(owner)
        for pid in there.service.children(WORKER):
            os.kill(pid, signal.SIGSTOP)  # so that nobody hears of the commit

    async def committed() -> bool:
        return await there.rows(COMMAND_OF, name) == [(1,)]

    await eventually(committed, 10, "it is committed")
    _kill_workers(there)
    assert await sent is None, "it was answered"
    [(id,)] = await there.rows(
        "SELECT table_id::text FROM event_store.readable_events WHERE data ->> 'name' = %s", name
    )
    retried = await there.writers.command("POST", "/api/tables", {"name": name}, name, patient=True)
    assert retried is not None
    assert retried.json()["id"] == id
    assert await committed()
    return "cut off; 1 event; the retry: 201 with the id of that event, still 1 event"


@fault("API killed at random, under load", "no acknowledged write lost or doubled")
async def api_killed(there: World) -> str:
    return await _killed_at_random(there, WORKER, there.some(6, 100))


@fault("projector killed at random, under load", "no loss, no double effect")
async def projector_killed(there: World) -> str:
    return await _killed_at_random(there, PROJECTOR, there.some(6, 100))


@fault("two projectors; the leader's lock connection lost",
       "one works; the stale batch is rejected")  # fmt: skip
async def two_projectors(there: World) -> str:
    lost, led = 0, set[int]()
    with _projector(there):
        async with there.writers.writing():
            for _ in range(there.some(5, 50)):
                leaders = {pid for (pid,) in await there.rows(LEADERS)}
                led |= leaders
                await there.rows(TERM.format(leaders=LEADERS))
                lost += len(leaders)
                await there.pause(1.0)

                async def led_again() -> bool:
                    return bool(await there.rows(LEADERS))

                await eventually(led_again, 15, "somebody leads")
    return f"{lost} lock connections were lost, {len(led)} different ones had led"


@fault("leader stopped, then continued", "another takes over; the revived one cannot write")
async def leader_stopped(there: World) -> str:
    stopped = there.kill(PROJECTOR, signal.SIGSTOP)
    try:
        with _projector(there):
            seconds = there.some(8, 60)
            async with there.writers.writing():
                await asyncio.sleep(seconds)
            visible = await _becomes_visible(there)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            async with there.writers.writing():
                await asyncio.sleep(2)
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    return f"hung for {seconds} s; by then another led: a write was shown after {visible:.2f} s"


@fault("rebuild under load, killed half-way",
       "the old view serves; restart starts over; swapped only when caught up")  # fmt: skip
async def rebuild_killed(there: World) -> str:
    kills, times = 0, there.some(2, 10)
    async with there.writers.writing():
        for _ in range(10 * times):
            await eventually(partial(_idle, there), 30, "the one before is gone")
            rebuild = await _rebuild(there)
            await eventually(partial(_works, there, rebuild), 30, "it rebuilds")
            await there.pause(0.2)
            if rebuild.returncode is None:
                rebuild.kill()
                kills += await rebuild.wait() == -signal.SIGKILL
            answer = await there.client.get("/api/tables")
            assert answer.status_code == 200, answer.text
            if kills == times:
                break
        assert kills == times, f"it was killed {kills} times only"
        await eventually(partial(_idle, there), 30, "the last one is gone")
        rebuild = await _rebuild(there)
        said, _ = await rebuild.communicate()
        assert rebuild.returncode == 0
    there.kills += kills
    return f"{kills} killed, the list was there each time; then: {said.decode().strip()}"


async def _idle(there: World) -> bool:
    return not await there.rows(REBUILDING)


async def _works(there: World, rebuild: asyncio.subprocess.Process) -> bool:
    return rebuild.returncode is not None or not await _idle(there)


async def _rebuild(there: World) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND, "rebuild", "table_defs", cwd="/", stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(there.service.data, database_url=there.database),
    )  # fmt: skip


@fault("SIGTERM under load, with streams open",
       "in-flight requests finish, streams end, processes gone ≤ 10 s")  # fmt: skip
async def terminated(there: World) -> str:
    with there.node("second") as node:
        headers = {"Authorization": f"Bearer {node.key}"}
        answered, cut = 0, list[str]()
        ended = asyncio.Event()

        async def write(client: httpx.AsyncClient) -> None:
            nonlocal answered
            while not ended.is_set():
                try:
                    answer = await client.post("/api/tables", json={"name": "Until the end"})
                except httpx.ConnectError:
                    return  # refused before it was sent
                except httpx.TransportError as error:
                    cut.append(repr(error))
                    return
                assert answer.status_code == 201, answer.text
                answered += 1

        async with httpx.AsyncClient(base_url=node.address, headers=headers, timeout=30) as client:
            polls = [
                asyncio.create_task(client.get("/api/events?after=head&wait=30&types="
                                               "dynamic-tables.table-def.purged.v1"))
                for _ in range(20)
            ]  # fmt: skip
            writing = [asyncio.create_task(write(client)) for _ in range(4)]
            await asyncio.sleep(1.5)
            took = await asyncio.to_thread(node.end)
            answers = await asyncio.gather(*polls)
            ended.set()
            await asyncio.gather(*writing)
        assert all(each.status_code == 200 for each in answers)
        assert answered > 10
        assert took <= 10, took
    stored = await there.rows(COMMAND_OF, "Until the end")
    unsure = stored[0][0] - answered
    assert 0 <= unsure <= len(cut), (stored, answered, cut)
    return (
        f"gone after {took:.1f} s; {answered} writes answered, {stored[0][0]} stored;"
        f" 20 long polls ended with 200; {len(cut)} requests were cut off"
    )


async def _killed_at_random(there: World, kind: str, times: int) -> str:
    kills, before = 0, len(there.oracle.intents.promised)
    async with there.writers.writing():
        while kills < times:
            kills += len(there.kill(kind))
            await there.pause(there.some(1, 3))
        until(lambda: there.service.children(kind), 20, "it is started again")
    back = await there.answers()
    promised = len(there.oracle.intents.promised) - before
    return f"{kills} kills, {promised:,} writes acknowledged meanwhile; answers after {back:.2f} s"


async def _post(there: World, name: str) -> httpx.Response | None:
    """Send a command once, with its name as its key; None if the connection broke."""
    there.oracle.intents.ask(name)
    headers = {"Idempotency-Key": name}
    with contextlib.suppress(httpx.TransportError):
        return await there.client.post("/api/tables", json={"name": name}, headers=headers)
    return None


def _kill_workers(there: World) -> None:
    """All of them at once: nobody knows which one has the request."""
    for pid in there.service.children(WORKER):
        os.kill(pid, signal.SIGKILL)
        there.kills += 1


async def _nobody_waits(owner: AsyncConnection) -> bool:
    """Whether the server gave up what the dead one had asked for, as it does after two seconds."""
    return await (await owner.execute(BLOCKED.encode())).fetchone() == (0,)


@contextlib.contextmanager
def _projector(there: World) -> Iterator[subprocess.Popen[bytes]]:
    """A second projector."""
    process = subprocess.Popen(
        [*COMMAND, "project"], cwd="/",
        env=environment(there.service.data, database_url=there.database),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


async def _becomes_visible(there: World) -> float:
    """Seconds until the read model has a new table."""
    id = await there.table()
    started = time.monotonic()

    async def shown() -> bool:
        return (await there.client.get(f"/api/tables/{id}")).status_code == 200

    await eventually(shown, 60, "it is shown")
    return time.monotonic() - started
