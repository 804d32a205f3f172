"""Rows and position move together, and only the newest follower moves them."""

import psycopg
import pytest

from projections.base import create
from projections.follower import Fenced, Follower, NotCreated
from projections.rebuild import rebuild
from tests.projections.world import PROJECTION, SCHEMA, World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(emptied_world: World) -> World:
    return emptied_world


async def test_a_batch_moves_rows_and_position_together(world: World) -> None:
    ours, theirs = await world.create("Orders"), await world.create("Orders", world.theirs)
    follower = await world.follower()
    assert await follower.step(1) == 1
    assert (await world.shown()).keys() == {ours}
    assert await world.position() == follower.position == 1
    assert await follower.step(1) == 1
    assert (await world.shown()).keys() == {ours, theirs}
    assert await follower.step(1) == 0
    assert await world.position() == follower.position == 2


async def test_a_batch_that_fails_moves_neither(world: World) -> None:
    await world.create("Orders")
    poisoned = await world.create("Invoices", world.theirs)
    await world.append(poisoned, 2, "TableDef.Renamed", {"name": "x" * 256})
    follower = await world.follower(strict=True)
    with pytest.raises(psycopg.DataError):
        await follower.step(500)
    assert await world.shown() == {}
    assert await world.position() == follower.position == 0


async def test_a_follower_whose_position_was_moved_writes_nothing(world: World) -> None:
    await world.create("Orders")
    stale = await world.follower()
    await world.create("Invoices", world.theirs)
    await world.owner.execute("UPDATE projections.positions SET position = 1")
    with pytest.raises(Fenced):
        await stale.step(500)
    assert await world.shown() == {}
    assert await world.position() == 1


async def test_a_newer_follower_fences_off_an_older_one_that_is_as_far(world: World) -> None:
    await world.create("Orders")
    older = await world.follower()
    newer = await world.follower()
    await world.create("Orders", world.theirs)
    with pytest.raises(Fenced):
        await older.step(500)
    assert await world.shown() == {}
    assert await newer.step(500) == 2
    assert len(await world.shown()) == 2


async def test_a_rebuild_fences_off_the_live_follower_even_at_the_same_position(
    world: World,
) -> None:
    await world.create("Orders")
    live = await world.project()
    assert await rebuild(world.conninfo, PROJECTION) == live.position
    await world.create("Orders", world.theirs)
    with pytest.raises(Fenced):
        await live.step(500)
    assert len(await world.shown()) == 1


async def test_a_follower_that_lost_its_place_parks_nothing(world: World) -> None:
    id = await world.create("Orders")
    await world.append(id, 2, "TableDef.Broken", {})
    stale = await world.follower()
    await world.follower()
    with pytest.raises(Fenced):
        await stale.step(500)
    assert await world.parked() == {}
    assert await world.position() == 0


async def test_a_projection_without_tables_cannot_be_followed(world: World) -> None:
    follower = Follower(PROJECTION, world.projection, "table_defs_v0")
    with pytest.raises(NotCreated):
        await follower.start()


async def test_creating_tables_that_exist_changes_nothing(world: World) -> None:
    await world.create("Orders")
    await world.project()
    before = await world.everything_shown()
    await create(world.projection, PROJECTION, SCHEMA, indexed=True)
    assert await world.everything_shown() == before
    assert await world.position() == 1


async def test_a_position_is_announced_when_its_rows_can_be_read(world: World) -> None:
    await world.owner.execute(f"LISTEN dynamic_tables_{SCHEMA}")
    await world.create("Orders")
    await world.create("Orders", world.theirs)
    await world.project(batch=1)
    heard = [n.payload async for n in world.owner.notifies(timeout=0.1)]
    assert [int(payload) for payload in heard] == [1, 2]


async def test_after_downtime_it_goes_on_where_it_was(world: World) -> None:
    kept = await world.create("Orders")
    await world.create("Orders", world.theirs)
    await world.project()
    await world.change(kept, name="Sales")
    new = await world.create("New", world.theirs)
    follower = await world.follower()
    assert follower.position == 2
    assert await follower.step(500) == 2
    shown = await world.shown()
    assert (shown[kept]["name"], shown[kept]["version"]) == ("Sales", 2)
    assert new in shown


async def test_events_are_projected_with_no_more_rights_than_needed(world: World) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.projection.execute("DELETE FROM event_store.events")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await world.projection.execute("DELETE FROM event_store.slugs")
