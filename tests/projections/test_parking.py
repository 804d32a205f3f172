"""An event that cannot be projected makes its own table wait; all the others go on."""

import json
import logging
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from projections.check import check
from projections.follower import NewerEvent
from projections.rebuild import rebuild
from projections.table_def_queries import ID_BY_SLUG
from tests.conftest import eventually
from tests.projections.world import PROJECTION, SCHEMA, World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(emptied_world: World) -> World:
    return emptied_world


RENAMED = "TableDef.Renamed"
POISON = [
    pytest.param("TableDef.Exploded", {"name": "New"}, id="unknown topic"),
    pytest.param(RENAMED, b'{"occurredAt": ', id="broken JSON"),
    pytest.param(RENAMED, b"\xff\xfe", id="not even text"),
    pytest.param(RENAMED, {}, id="missing field"),
    pytest.param(RENAMED, {"name": "x" * 256}, id="too long for SQL"),
    pytest.param(RENAMED, {"name": "a\0b"}, id="NUL, which jsonb refuses"),
]


@pytest.mark.parametrize(("topic", "state"), POISON)
@pytest.mark.parametrize("batch", [1, 500])
async def test_a_poison_event_parks_its_table_and_others_go_on(
    world: World, topic: str, state: Any, batch: int, caplog: pytest.LogCaptureFixture
) -> None:
    parked, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    position = await world.append(parked, 2, topic, state)
    await world.append(parked, 3, "TableDef.DescriptionChanged", {"description": "Later"})
    await world.change(other, world.theirs, name="Sales")
    with caplog.at_level(logging.ERROR):
        await world.project(batch)
    assert await world.is_current()
    assert await world.parked() == {parked: position}
    assert f"parked {parked} at position {position}" in caplog.text
    shown = await world.shown()
    assert (shown[parked]["name"], shown[parked]["version"]) == ("Orders", 1)
    assert (shown[other]["name"], shown[other]["version"]) == ("Sales", 2)


@pytest.mark.parametrize(("topic", "state"), POISON)
async def test_after_the_fix_what_waited_is_projected_in_order(
    world: World, topic: str, state: Any
) -> None:
    parked, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    position = await world.append(parked, 2, topic, state)
    await world.append(parked, 3, "TableDef.DescriptionChanged", {"description": "Later"})
    await world.project()
    await world.append(parked, 4, RENAMED, {"name": "Last"})
    await world.project()
    assert await world.parked() == {parked: position}, "it waits on, newer events behind it"
    before = (await world.shown())[other]

    await world.repair(position, RENAMED, {"name": "Repaired"})
    await world.project()
    assert await world.parked() == {}
    shown = await world.shown()
    row = shown[parked]
    assert (row["name"], row["description"], row["version"]) == ("Last", "Later", 4)
    assert shown[other] == before
    assert (await check(world.conninfo)).differences == []


@pytest.mark.parametrize("batch", [1, 500])
async def test_what_is_erased_waits_no_longer_and_leaves_nothing(world: World, batch: int) -> None:
    gone, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    position = await world.append(gone, 2, RENAMED, {"name": "a\0b"})
    follower = await world.project(batch)
    assert await world.parked() == {gone: position}
    await world.purge(gone, erase=True)
    await world.change(other, world.theirs, name="Sales")
    while await follower.step(batch):
        pass
    assert await world.parked() == {}
    assert (await world.shown()).keys() == {other}
    assert (await world.shown("purged_table_defs")).keys() == {gone}
    assert (await check(world.conninfo)).differences == []


async def test_a_table_that_was_poisoned_from_birth_appears_after_the_fix(world: World) -> None:
    await world.create("Orders", world.theirs)
    id = await world.create("Orders")
    created = (await world.ask("SELECT state FROM event_store.events WHERE position = 2"))[0][0]
    async with world.owner.transaction():
        await world.owner.execute("SET LOCAL session_replication_role = replica")
        await world.owner.execute("UPDATE event_store.events SET state = '{}' WHERE position = 2")
    await world.change(await world.create("Third"), name="Other")
    await world.project()
    assert await world.parked() == {id: 2}
    async with world.owner.transaction():
        await world.owner.execute("SET LOCAL session_replication_role = replica")
        await world.owner.execute(
            "UPDATE event_store.events SET state = %s WHERE position = 2", (created,)
        )
    await world.project()
    assert (await check(world.conninfo)).differences == []


async def swap_with_a_poisoned_table(world: World) -> tuple[Any, Any, int]:
    """Two tables swap slugs while one of them is parked, so the other has to wait as well."""
    one, two = await world.create("A", slug="a"), await world.create("B", slug="b")
    await world.create("A", world.theirs, slug="a")
    position = await world.append(one, 2, RENAMED, b"{}")
    await world.append(one, 3, "TableDef.SlugChanged", {"slug": "spare"})
    await world.append(two, 2, "TableDef.SlugChanged", {"slug": "a"})
    await world.append(one, 4, "TableDef.SlugChanged", {"slug": "b"})
    for id, slug in ((one, "spare"), (two, "a"), (one, "b")):
        reserve = "UPDATE event_store.slugs SET slug = %s WHERE table_id = %s"
        await world.owner.execute(reserve, (slug, id))
    return one, two, position


async def test_tables_that_wait_for_each_others_slug_come_back_together(world: World) -> None:
    one, two, position = await swap_with_a_poisoned_table(world)
    await world.project()
    assert (await world.parked()).keys() == {one, two}
    await world.repair(position, RENAMED, {"name": "Repaired"})
    await world.project()
    assert await world.parked() == {}
    shown = await world.shown()
    assert (shown[one]["slug"], shown[two]["slug"]) == ("b", "a")
    assert (await check(world.conninfo)).differences == []


async def test_who_gave_a_slug_up_last_is_told_by_the_events_not_by_who_waited(
    world: World,
) -> None:
    waits, last = await world.create("A", slug="a"), await world.create("B", slug="b")
    position = await world.append(waits, 2, RENAMED, b"{}")
    for version, (id, slug) in enumerate(((waits, "spare"), (waits, "a")), 3):
        await world.append(id, version, "TableDef.SlugChanged", {"slug": slug})
    await world.change(last, slug="spare")
    await world.change(last, slug="b")
    await world.project()
    await world.repair(position, RENAMED, {"name": "Repaired"})
    await world.project()
    assert await world.parked() == {}
    company = {"company_id": world.ours, "slug": "spare"}
    assert await world.ask(ID_BY_SLUG, company) == [(last, "b", False)]
    live = await world.everything_shown()
    await rebuild(world.conninfo, PROJECTION)
    assert await world.everything_shown() == live
    assert (await check(world.conninfo)).differences == []


async def test_one_that_stays_broken_does_not_keep_the_others_parked(world: World) -> None:
    broken, fixed = await world.create("A"), await world.create("B", world.theirs)
    first = await world.append(broken, 2, RENAMED, {"name": "x" * 256})
    second = await world.append(fixed, 2, RENAMED, {"name": "y" * 256}, world.theirs)
    await world.project()
    assert (await world.parked()).keys() == {broken, fixed}
    await world.repair(second, RENAMED, {"name": "Fixed"})
    await world.project()
    assert await world.parked() == {broken: first}
    assert (await world.shown())[fixed]["name"] == "Fixed"


@pytest.mark.parametrize("topic", ["Column.Added", "Workspace.Exploded", "Company.Registered"])
@pytest.mark.parametrize("batch", [1, 500])
async def test_an_event_of_another_noun_is_passed_over_however_broken(
    world: World, topic: str, batch: int
) -> None:
    ours, theirs = await world.create("Orders"), await world.create("Orders", world.theirs)
    other = uuid4()
    await world.append(other, 1, topic, b"{}")
    await world.change(ours, name="Sales")
    await world.append(other, 2, topic, b"\xff", world.theirs)
    await world.project(batch)
    assert await world.is_current()
    assert await world.parked() == {}
    shown = await world.shown()
    assert {id: row["name"] for id, row in shown.items()} == {ours: "Sales", theirs: "Orders"}
    assert await rebuild(world.conninfo, PROJECTION) == await world.head()


async def test_what_is_not_an_events_fault_parks_nothing(world: World) -> None:
    await world.create("Orders")
    await world.create("Orders", world.theirs)
    follower = await world.follower()
    await world.owner.execute(f"ALTER TABLE {SCHEMA}.table_defs RENAME TO hidden")
    with pytest.raises(psycopg.errors.UndefinedTable):
        await follower.step(500)
    assert await world.parked() == {}
    await world.owner.execute(f"ALTER TABLE {SCHEMA}.hidden RENAME TO table_defs")
    await follower.step(500)
    assert len(await world.shown()) == 2


@pytest.mark.parametrize(("topic", "state"), POISON)
async def test_a_rebuild_stops_at_it_and_the_old_tables_keep_serving(
    world: World, topic: str, state: Any
) -> None:
    id, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    position = await world.append(id, 2, topic, state)
    await world.project()
    before = await world.everything_shown()
    with pytest.raises(Exception):  # noqa: B017, PT011  # of whichever kind, it says so
        await rebuild(world.conninfo, PROJECTION)
    assert await world.everything_shown() == before
    assert await world.parked() == {id: position}
    await world.change(other, world.theirs, name="Sales")
    await world.project()
    assert (await world.shown())[other]["name"] == "Sales"
    await world.repair(position, RENAMED, {"name": "Repaired"})
    await rebuild(world.conninfo, PROJECTION)
    assert await world.parked() == {}
    assert (await check(world.conninfo)).differences == []


NEWER = [("TableDef.Archived", 1, {}), (RENAMED, 2, {"name": "New"})]


@pytest.mark.parametrize(("topic", "version", "data"), NEWER, ids=["topic", "class version"])
async def test_the_event_of_a_newer_release_is_waited_for(
    world: World, topic: str, version: int, data: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    id, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    await world.owner.execute("INSERT INTO event_store.topics VALUES (%s, %s)", (topic, version))
    state = world.stored(data) | {"classVersion": version}
    position = await world.append(id, 2, topic, json.dumps(state).encode())
    await world.change(other, world.theirs, name="Sales")
    follower = await world.follower()
    with pytest.raises(NewerEvent, match=f"{topic} at position {position}"):
        await follower.step(500)
    assert await world.parked() == {}
    assert await world.position() == position - 1
    assert (await world.shown())[other]["name"] == "Orders", "nobody overtakes it"

    async def said_so() -> bool:
        return f"waits for a newer release: (NewerEvent('{topic}" in caplog.text

    async with world.projector():
        await eventually(said_so)
    assert await world.position() == position - 1
