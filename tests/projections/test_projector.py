"""One projector leads, another takes over, and nothing that happens to them loses an event."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from projections.check import check
from projections.projector import Projector, forget_keys
from tests.conftest import eventually
from tests.projections.world import PROJECTION, World

pytestmark = pytest.mark.anyio

LEADERS = """
SELECT pid FROM pg_locks
 WHERE locktype = 'advisory' AND granted AND objsubid = 1
   AND (classid::bigint << 32) | objid::bigint = hashtextextended('projector:' || %s, 0)
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
TERM = "SELECT term FROM projections.positions WHERE projection = %s"
MUCH_TO_HEAR = """
SELECT pg_notify('dynamic_tables_events', repeat('x', 7000) || n) FROM generate_series(1, 500) AS n
"""
LEAD = """
import asyncio, logging, sys
from projections.projector import Projector
from projections.table_defs import TableDefsProjection
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
asyncio.run(Projector(sys.argv[1], TableDefsProjection(), silence=0.5).run())
"""


async def leader(world: World) -> int | None:
    rows = await world.ask(LEADERS, (world.schema,))
    assert len(rows) <= 1
    return rows[0][0] if rows else None


async def term(world: World) -> int:
    return (await world.ask(TERM, (world.schema,)))[0][0]


async def test_what_is_written_is_shown_at_once(world: World) -> None:
    async with world.projector():
        await world.create("Orders")
        await eventually(world.is_current)
        took = []
        for company in (world.ours, world.theirs) * 5:
            started = time.monotonic()
            await world.create("Orders", company)
            await eventually(world.is_current)
            took.append(time.monotonic() - started)
        assert min(took[1:]) < 0.5, "woken, not polled each second"
    assert len(await world.shown()) == 11


async def test_of_two_projectors_one_works(world: World) -> None:
    async with world.projector():
        await world.create("Orders")
        await eventually(world.is_current)
        first = await leader(world)
        async with world.projector():
            await world.create("Orders", world.theirs)
            await eventually(world.is_current)
            await asyncio.sleep(0.1)
            assert await leader(world) == first
            assert await term(world) == 1


async def test_when_the_leader_goes_the_other_takes_over(world: World) -> None:
    async with world.projector() as first:
        await world.create("Orders")
        await eventually(world.is_current)
        async with world.projector():
            first.cancel()
            await world.create("Orders", world.theirs)
            await eventually(world.is_current)
            assert await term(world) == 2


async def test_when_the_lock_connection_is_lost_another_leads(world: World) -> None:
    async with world.projector(), world.projector():
        await world.create("Orders")
        await eventually(world.is_current)
        lost = await leader(world)
        await world.owner.execute("SELECT pg_terminate_backend(%s)", (lost,))
        await world.create("Orders", world.theirs)

        async def replaced() -> bool:
            return await leader(world) not in (None, lost) and await world.is_current()

        await eventually(replaced)
    assert (await check(world.conninfo)).differences == []


async def test_when_the_following_connection_is_lost_it_starts_again(world: World) -> None:
    async with world.projector():
        await world.create("Orders")
        await eventually(world.is_current)
        await terminate_followers(world)
        await world.create("Orders", world.theirs)
        await eventually(world.is_current)
        assert await term(world) == 2


async def terminate_followers(world: World) -> None:
    terminated = await world.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> ALL(%s) AND application_name = 'dynamic_tables_projector'",
        ([world.projection.info.backend_pid, await leader(world)],),
    )
    # Who follows, and who listens; the second may be gone already, because the first is.
    assert len(terminated) == 2


async def test_a_missed_notification_is_made_up_by_the_poll(world: World) -> None:
    async with world.projector():
        id = await world.create("Orders")
        await eventually(world.is_current)
        # Stored without a NOTIFY, as if it had been missed.
        await world.append(id, 2, "TableDef.Renamed", {"name": "Sales"})
        await eventually(world.is_current, timeout=2.0)
    assert (await world.shown())[id]["name"] == "Sales"


async def test_events_stored_while_nobody_listened_are_shown(world: World) -> None:
    await world.create("Orders")
    async with world.projector():
        await eventually(world.is_current)
    await world.create("Orders", world.theirs)
    async with world.projector():
        await eventually(world.is_current, timeout=1.0)
    assert len(await world.shown()) == 2


async def test_a_connection_that_breaks_as_it_stops_does_not_keep_it_running(
    world: World,
) -> None:
    for _ in range(3):
        task = asyncio.create_task(Projector(world.conninfo, PROJECTION).run())
        await world.create("Orders")
        await eventually(world.is_current)
        # Nothing is awaited in between: it learns of both at the same moment.
        with psycopg.connect(world.database, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'dynamic_tables_projector' AND pid <> %s"
                " AND datname = current_database()",
                (world.projection.info.backend_pid,),
            )
        time.sleep(0.05)  # noqa: ASYNC251
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=3)
        assert done


@contextmanager
def process(world: World) -> Iterator[subprocess.Popen[str]]:
    """A projector in a process of its own."""
    command = [sys.executable, "-c", LEAD, world.conninfo]
    root = Path(__file__).parents[2]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


async def test_a_leader_that_was_stopped_is_replaced_and_writes_nothing_when_revived(
    world: World,
) -> None:
    with process(world) as first:
        await world.create("Orders")
        await eventually(world.is_current)
        stopped = await leader(world)
        first.send_signal(signal.SIGSTOP)
        await world.owner.execute(MUCH_TO_HEAR)  # more than a connection holds unread
        await world.create("Orders", world.theirs)
        async with world.projector():
            await eventually(world.is_current)
            second = await leader(world)
            assert second not in (None, stopped)
            first.send_signal(signal.SIGCONT)
            for company in (world.ours, world.theirs) * 10:
                await world.create("Orders", company)
            await eventually(world.is_current)
            await asyncio.sleep(0.2)
            assert await leader(world) == second
            assert await term(world) == 2
    assert (await check(world.conninfo)).differences == []


async def test_a_leader_killed_again_and_again_loses_and_doubles_nothing(world: World) -> None:
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            id = await world.create("Orders")
            other = await world.create("Orders", world.theirs)
            await world.change(id, name="Sales", settings={"n": id.int % 7})
            await world.purge(other, world.theirs)

    writing = asyncio.create_task(write())
    for _ in range(3):
        with process(world) as child:
            before = await world.position()

            async def moved(before: int = before) -> bool:
                return await world.position() > before + 20

            await eventually(moved)
            child.send_signal(signal.SIGKILL)
            child.wait()
    stop.set()
    await writing
    await world.project()
    assert await world.is_current()
    assert (await check(world.conninfo)).differences == []


async def test_idempotency_keys_are_forgotten_after_eight_days(world: World) -> None:
    for days, company in (
        (9, world.ours),
        (8.1, world.theirs),
        (7.9, world.ours),
        (0, world.theirs),
    ):
        await world.owner.execute(
            "INSERT INTO event_store.idempotency_keys"
            " SELECT %s, %s || '-' || n, '', gen_random_uuid(), 1, 1, now() - %s * interval '1 day'"
            "   FROM generate_series(1, 5) n",
            (company, f"{days}", days),
        )
    await forget_keys(world.conninfo, at_once=2)
    left = await world.ask(
        "SELECT DISTINCT split_part(key, '-', 1) FROM event_store.idempotency_keys"
    )
    assert sorted(left) == [("0",), ("7.9",)]
