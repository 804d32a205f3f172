"""A read model is built anew while people write and read; nobody notices, whatever happens."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncConnection

from api.read_models import READ_MODELS
from api.table_reads import BY_ID, LIST
from application.event_store.session import companies
from domain.errors import UnreadableEvent
from projections import rebuild as rebuilding
from projections.base import Projection, create, live_schema
from projections.check import check
from projections.rebuild import AlreadyRebuilding, rebuild
from projections.table_def_queries import Filter, by_id_params, list_params
from projections.table_defs import TableDefsProjection
from tests.conftest import eventually
from tests.projections.filling import changed_while_it_fills
from tests.projections.world import PROJECTION, SCHEMA, World, reader

pytestmark = pytest.mark.anyio

NEXT = f"{SCHEMA}_next"
HANG = """
import asyncio, sys, time
from projections.rebuild import rebuild
from projections.table_defs import TableDefsProjection

def hang(position):
    print(position, flush=True)
    time.sleep(60)

asyncio.run(rebuild(sys.argv[1], TableDefsProjection(), hang))
"""
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'table_defs')"


async def schemas(world: World) -> set[str]:
    return {name for (name,) in await world.ask(SCHEMAS)}


@contextlib.contextmanager
def half_way(world: World) -> Iterator[subprocess.Popen[str]]:
    """Another process that is in the middle of a rebuild."""
    child = subprocess.Popen(
        [sys.executable, "-c", HANG, world.conninfo],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert child.stdout
        assert child.stdout.readline()
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


async def test_it_repairs_rows_that_are_wrong(world: World) -> None:
    id, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    await world.purge(await world.create("Gone"))
    await world.project()
    right = await world.everything_shown()
    await world.owner.execute(f"UPDATE {SCHEMA}.table_defs SET name = 'x' WHERE id = %s", (id,))
    await world.owner.execute(f"DELETE FROM {SCHEMA}.table_defs WHERE id = %s", (other,))
    await world.owner.execute(f"DELETE FROM {SCHEMA}.purged_table_defs")
    assert await rebuild(world.conninfo, PROJECTION) == 5
    assert await world.everything_shown() == right


async def test_it_reads_ahead_and_misses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await world.create(f"Table {n}") for n in range(5)]
    for id in ids:
        await world.change(id, slug=f"slug-{id}")
    await world.purge(ids[2])
    await world.project()
    right = await world.everything_shown()
    for size in (1, 3, 12):
        monkeypatch.setattr(rebuilding, "BATCH", size)
        assert await rebuild(world.conninfo, PROJECTION) == 12
        assert await world.everything_shown() == right


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_what_happens_while_it_fills_is_there_when_it_is_done(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """To tables that it has read, half read, and not read yet."""
    await changed_while_it_fills(world, monkeypatch, size)
    assert await rebuild(world.conninfo, PROJECTION) == await world.head()
    rebuilt = await world.everything_shown()
    assert (await check(world.conninfo)).differences == []
    monkeypatch.setattr(TableDefsProjection, "filling", lambda _: None)
    await rebuild(world.conninfo, PROJECTION)
    assert await world.everything_shown() == rebuilt, "as in global order"


async def test_what_cannot_be_read_ends_it_and_the_old_tables_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await world.create("Orders")
    await world.create("Sales")
    await world.project()
    before = await world.everything_shown()
    monkeypatch.setattr(rebuilding, "BATCH", 1)
    await world.append(id, 2, "TableDef.Renamed", b"{")
    with pytest.raises(UnreadableEvent):
        await rebuild(world.conninfo, PROJECTION)
    assert await world.everything_shown() == before


async def test_it_brings_a_read_model_that_lags_to_the_head(world: World) -> None:
    await world.create("Orders")
    await world.project()
    await world.create("Orders", world.theirs)
    assert await rebuild(world.conninfo, PROJECTION) == 2
    assert await world.position() == 2
    assert len(await world.shown()) == 2


async def test_it_leaves_nothing_behind(world: World) -> None:
    await world.create("Orders")
    positions = "SELECT projection FROM projections.positions ORDER BY projection"
    before = await world.ask(positions)
    await rebuild(world.conninfo, PROJECTION)
    await rebuild(world.conninfo, PROJECTION)
    assert await schemas(world) == {SCHEMA}
    assert await world.ask(positions) == before


@pytest.mark.parametrize("projection", READ_MODELS, ids=lambda model: model.name)
async def test_it_makes_every_index_that_there_was(world: World, projection: Projection) -> None:
    indexes = f"""
        SELECT indexdef FROM pg_indexes WHERE schemaname = '{live_schema(projection)}' ORDER BY 1
    """
    before = await world.ask(indexes)
    await rebuild(world.conninfo, projection)
    assert await world.ask(indexes) == before != []


async def test_two_at_once_are_one_too_many(world: World) -> None:
    await world.create("Orders")
    await world.create("Orders", world.theirs)
    with half_way(world):
        with pytest.raises(AlreadyRebuilding):
            await rebuild(world.conninfo, PROJECTION)
        assert await schemas(world) == {SCHEMA, NEXT}, "the first one is not disturbed"


async def test_killed_half_way_it_changed_nothing_and_can_be_started_again(world: World) -> None:
    id = await world.create("Orders")
    await world.project()
    await world.create("Orders", world.theirs)
    before = await world.everything_shown()
    with half_way(world) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert await world.everything_shown() == before
    await world.project()
    await world.change(id, name="Sales")

    async def started_again() -> bool:
        with contextlib.suppress(AlreadyRebuilding):  # until the server notices
            return await rebuild(world.conninfo, PROJECTION) == 3
        return False

    await eventually(started_again)
    assert await schemas(world) == {SCHEMA}
    assert (await check(world.conninfo)).differences == []


async def test_the_live_projector_goes_on_with_the_new_tables(world: World) -> None:
    async with world.projector():
        await world.create("Orders")
        await eventually(world.is_current)
        await rebuild(world.conninfo, PROJECTION)
        await world.create("Orders", world.theirs)
        await eventually(world.is_current)
        assert len(await world.shown()) == 2
    assert (await check(world.conninfo)).differences == []


async def test_a_release_that_can_read_more_unparks_for_the_projector_that_runs(
    world: World,
) -> None:
    """The running projector must not go on leaving out what the rebuild has brought back."""
    id = await world.create("Orders")
    await world.create("Orders", world.theirs)
    position = await world.append(id, 2, "TableDef.Renamed", b"{}")
    async with world.projector():
        await eventually(world.is_current)
        await world.repair(position, "TableDef.Renamed", {"name": "Repaired"})
        await rebuild(world.conninfo, PROJECTION)
        await world.append(id, 3, "TableDef.Renamed", {"name": "Sales"})
        await eventually(world.is_current)
    assert await world.parked() == {}
    assert (await world.shown())[id]["name"] == "Sales"


@contextlib.asynccontextmanager
async def long_query(world: World) -> AsyncIterator[AsyncConnection]:
    """Somebody who has read the live tables and has not finished."""
    async with await reader(world.database) as connection, connection.transaction():
        await connection.execute(f"SELECT count(*) FROM {SCHEMA}.table_defs")
        yield connection


async def read_and_write(world: World, other: AsyncConnection) -> None:
    """What people do meanwhile."""
    await other.execute(f"SELECT count(*) FROM {SCHEMA}.table_defs")
    await world.create("Orders", world.theirs)
    await eventually(world.is_current)


async def test_it_waits_for_a_long_query_while_others_read_and_write(world: World) -> None:
    await world.create("Orders")
    async with world.projector(), await reader(world.database) as other:
        await eventually(world.is_current)
        async with long_query(world):
            rebuilding = asyncio.create_task(rebuild(world.conninfo, PROJECTION))

            async def waits() -> bool:
                query = "SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
                return bool(await world.ask(query))

            await eventually(waits)
            await read_and_write(world, other)
            assert not rebuilding.done()
        assert await asyncio.wait_for(rebuilding, 5) == 2
    assert (await check(world.conninfo)).differences == []


async def test_it_waits_for_a_vacuum_and_nobody_waits_for_it(world: World) -> None:
    """One by the server itself, which gives way when it is waited for, takes the same lock."""
    await world.create("Orders")
    async with world.projector(), await reader(world.database) as other:
        await eventually(world.is_current)
        async with world.owner.transaction():
            vacuumed = f"LOCK TABLE {SCHEMA}.table_defs IN SHARE UPDATE EXCLUSIVE MODE"
            await world.owner.execute(vacuumed)
            rebuilding = asyncio.create_task(rebuild(world.conninfo, PROJECTION))

            async def waits() -> bool:
                waiting = "SELECT mode FROM pg_locks WHERE NOT granted"
                return await world.ask(waiting) == [("ShareUpdateExclusiveLock",)]

            await eventually(waits)
            await asyncio.sleep(0.3)  # longer than it would hold up others
            assert await waits()
            await read_and_write(world, other)
            assert not rebuilding.done()
        assert await asyncio.wait_for(rebuilding, 5) == 2
    assert (await check(world.conninfo)).differences == []


async def test_a_rebuild_that_is_cancelled_can_be_started_again(world: World) -> None:
    await world.create("Orders")
    await world.create("Orders", world.theirs)
    async with long_query(world):
        rebuilding = asyncio.create_task(rebuild(world.conninfo, PROJECTION))
        await asyncio.sleep(0.15)
        rebuilding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rebuilding
        assert await world.position() == 0

    async def started_again() -> bool:
        with contextlib.suppress(AlreadyRebuilding):
            return await rebuild(world.conninfo, PROJECTION) == 2
        return False

    await eventually(started_again)


async def test_slow_work_is_given_the_time_that_it_takes(world: World) -> None:
    """Large tables take longer to index than any request may take."""
    await world.create("Orders")
    await world.create("Orders", world.theirs)
    timeouts = "statement_timeout=1ms -c lock_timeout=1ms -c idle_session_timeout=1ms"
    hasty = world.conninfo.replace("statement_timeout=10s", timeouts)
    assert hasty != world.conninfo
    assert await rebuild(hasty, PROJECTION) == 2


@dataclass
class Watch:
    """What the readers saw: after each answer, its position and the versions it showed."""

    seen: list[tuple[int, dict[UUID, int]]] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    known: list[UUID] = field(default_factory=list)
    written: int = 0


async def read_lists(world: World, company: UUID, watch: Watch) -> None:
    last = 0
    async with await reader(world.database) as connection:
        while not watch.stop.is_set():
            params = list_params(Filter(company, "all", "-updatedAt"), None, 200)
            params |= {"companies": companies(company)}
            cursor = await connection.execute(LIST["-updatedAt"].encode(), params)
            items, more, _, _, position = await cursor.fetchone() or ()
            assert position >= last, "an answer older than what was seen before"
            assert not more
            last = position
            found = {UUID(t["id"]): t["version"] for t in json.loads(f"[{items}]")}
            watch.seen.append((position, found))


async def read_one_by_one(world: World, company: UUID, watch: Watch) -> None:
    last, both = 0, (world.ours, world.theirs)
    params = by_id_params(both, watch.known) | {"companies": companies(*both)}
    async with await reader(world.database) as connection:
        while not watch.stop.is_set():
            cursor = await connection.execute(BY_ID.encode(), params)
            rows = await cursor.fetchall()
            if rows:
                assert rows[0][5] >= last
                last = rows[0][5]
                watch.seen.append((last, {r[0]: r[2] for r in rows if r[1] == company}))
            await asyncio.sleep(0)


async def write(world: World, watch: Watch) -> None:
    while not watch.stop.is_set():
        for id in watch.known:
            company = world.ours if id in watch.known[:10] else world.theirs
            name = f"Name {watch.written}"
            outcome = await world.change(id, company, name=name)
            watch.written = outcome.receipt.position


async def test_readers_and_writers_notice_nothing(world: World) -> None:
    """Each answer shows exactly the events up to the position that it claims to show."""
    watch, other = Watch(), Watch()
    for company in (world.ours, world.theirs):
        for number in range(10):
            watch.known.append(await world.create(f"Table {number}", company))
    other.known, other.stop = watch.known, watch.stop

    async def enough_was_seen() -> bool:
        return min(len(watch.seen), len(other.seen)) > 50

    async with world.projector():
        await eventually(world.is_current)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write(world, watch))
            tasks.create_task(read_lists(world, world.ours, watch))
            tasks.create_task(read_one_by_one(world, world.ours, watch))
            tasks.create_task(read_lists(world, world.theirs, other))
            reached = [await rebuild(world.conninfo, PROJECTION) for _ in range(8)]
            await eventually(enough_was_seen)
            watch.stop.set()
        await eventually(world.is_current)
    assert reached == sorted(reached)
    for company, watched in ((world.ours, watch), (world.theirs, other)):
        await assert_exact(world, company, watched)
    assert (await check(world.conninfo)).differences == []


async def assert_exact(world: World, company: UUID, watch: Watch) -> None:
    """Compare each answer with the events up to the position that it gave."""
    recorded = await world.store.read(0, 100_000)
    versions: dict[UUID, int] = {}
    done = 0
    for position, found in sorted(watch.seen, key=lambda seen: seen[0]):
        for one in recorded[done:position]:
            if one.company_id == company:
                versions[one.event.originator_id] = one.event.originator_version
        done = position
        assert found == versions


async def test_rebuilt_tables_can_be_made_beside_others(world: World) -> None:
    """A second set of tables has names of its own: nothing clashes."""
    await create(world.projection, PROJECTION, NEXT, indexed=True)
    assert await schemas(world) == {SCHEMA, NEXT}
    with pytest.raises(psycopg.errors.UndefinedTable):
        await world.ask("SELECT FROM table_defs")
