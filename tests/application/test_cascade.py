"""What is in a workspace or company is deleted with it, once, and just that comes back with it."""

from contextlib import suppress
from typing import cast
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from application import cascade
from application.base import Request
from application.cascade import CLOSES, OPENS, Cascade
from application.errors import ContainerClosed, StoreUnavailable
from domain.table_def import TableDef
from domain.workspace import Workspace
from tests.application.callers import OURS, THEIRS, ask, called, details
from tests.application.following import (
    ALL,
    PURCHASING,
    SALES,
    Connection,
    World,
    id_of,
)
from tests.domain.vocabulary import context

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> World:
    return await World().begin()


# Deleting a workspace


async def test_deleting_a_workspace_deletes_what_is_in_it_and_nothing_else(world: World) -> None:
    inside = [await world.create() for _ in range(3)]
    outside = {await world.create(PURCHASING), await world.create(None)}
    await world.workspaces.put(SALES, ask(company=THEIRS), called("Theirs"))
    theirs = await world.tables.create(ask(company=THEIRS), details(workspaceId=str(SALES)))
    cause = await world.close()
    await world.follow()
    assert await world.live() == outside
    assert [await world.causes(id) for id in inside] == [[id_of(cause)]] * 3
    assert await world.causes(theirs.aggregate.id) == []


async def test_a_consequence_is_in_the_name_of_who_deleted_the_workspace_and_says_why(
    world: World,
) -> None:
    id, who = await world.create(), UUID(int=77)
    said = {
        "actor_id": who, "request_id": "r-7", "correlation_id": "c-7", "traceparent": "00-7",
        "reason": "Merged with purchasing",
    }  # fmt: skip
    request = Request(context(actor_kind="key", command="delete", **said))
    cause = await world.workspaces.delete(SALES, request)
    await world.follow()
    (deletion,) = await world.deletions(id)
    assert deletion.metadata.model_dump(exclude={"event_id"}) == said | {
        "company_id": OURS,
        "actor_kind": "system",
        "command": "delete",
        "causation_id": id_of(cause),
    }
    assert deletion.metadata.event_id != id_of(cause)
    assert isinstance(deletion, TableDef.Deleted)


async def test_a_restoration_says_why_as_well(world: World) -> None:
    id = await world.create()
    await world.close()
    await world.follow()
    cause = await world.workspaces.restore(SALES, Request(context(reason="A mistake")))
    await world.follow()
    restored = (await world.store.load(OURS, id))[-1].event
    assert isinstance(restored, TableDef.Restored)
    metadata = restored.metadata
    assert (metadata.causation_id, metadata.reason) == (id_of(cause), "A mistake")
    assert (metadata.actor_kind, metadata.command) == ("system", "restore")


async def test_other_events_have_no_consequences(world: World) -> None:
    id = await world.create()
    await world.move(id, PURCHASING)
    await world.delete(id)
    await world.workspaces.put(SALES, ask(), called("Renamed"))
    stored = await world.everything()
    await world.follow()
    assert await world.everything() == stored
    assert world.connection.signs == 0


def test_it_is_shown_the_events_of_all_it_reacts_to() -> None:
    assert {event.TOPIC.partition(".")[0] for event in CLOSES + OPENS} == Cascade.nouns


async def test_a_table_that_was_moved_out_before_is_untouched_by_deletion_and_restoration(
    world: World,
) -> None:
    ids = {await world.create(), await world.create()}
    for id, place in zip(ids, (PURCHASING, None), strict=True):
        await world.move(id, place)
    await world.close()
    await world.follow()
    await world.open()
    await world.follow()
    assert await world.live() == ids
    assert [await world.causes(id) for id in ids] == [[], []]


async def test_a_table_that_is_moved_out_before_the_cascade_gets_to_it_is_untouched(
    world: World,
) -> None:
    id = await world.create()
    await world.close()
    await world.move(id, PURCHASING)
    await world.follow()
    assert await world.live() == {id}


async def test_a_table_that_was_moved_in_is_deleted(world: World) -> None:
    id = await world.create(None)
    await world.move(id, SALES)
    await world.close()
    await world.follow()
    assert await world.live() == set()


async def test_a_table_that_is_purged_before_the_cascade_gets_to_it_is_no_obstacle(
    world: World,
) -> None:
    gone, other = await world.create(), await world.create()
    await world.close()
    await world.delete(gone)
    await world.tables.purge(gone, ask())
    await world.follow()
    assert len(await world.causes(other)) == 1
    await world.open()
    await world.follow()
    assert await world.live() == {other}


# Restoring a workspace


async def test_restoring_a_workspace_restores_what_was_deleted_with_it_and_nothing_else(
    world: World,
) -> None:
    with_it = {await world.create(), await world.create()}
    before = await world.create()
    await world.delete(before)
    await world.close()
    await world.follow()
    assert await world.live() == set()
    await world.open()
    await world.follow()
    assert await world.live() == with_it
    assert await world.causes(before) == [None]


async def test_a_table_that_a_person_deletes_before_the_cascade_gets_to_it_stays_deleted(
    world: World,
) -> None:
    id = await world.create()
    await world.close()
    await world.delete(id)
    await world.follow()
    await world.open()
    await world.follow()
    assert await world.causes(id) == [None]
    assert await world.live() == set()


async def test_a_table_that_is_deleted_with_its_workspace_is_not_deleted_again_by_a_person(
    world: World,
) -> None:
    id = await world.create()
    cause = await world.close()
    await world.follow()
    await world.delete(id)
    assert await world.causes(id) == [id_of(cause)]
    await world.open()
    await world.follow()
    assert await world.live() == {id}


async def test_a_table_that_a_person_deletes_after_it_came_back_stays_deleted(
    world: World,
) -> None:
    id = await world.create()
    await world.close()
    await world.open()
    await world.follow()
    await world.delete(id)
    await world.close()
    await world.open()
    await world.follow()
    assert await world.live() == set()


async def test_nobody_restores_a_table_before_its_workspace(world: World) -> None:
    id = await world.create()
    await world.close()
    await world.follow()
    with pytest.raises(ContainerClosed):
        await world.restore(id)
    await world.open()
    await world.restore(id)
    await world.follow()
    assert await world.live() == {id}
    assert len(await world.store.load(OURS, id)) == 3


async def test_deleting_and_restoring_again_and_again_brings_all_back_each_time(
    world: World,
) -> None:
    ids = {await world.create(), await world.create()}
    put_aside = await world.create()
    await world.delete(put_aside)
    causes = []
    for _ in range(3):
        causes.append(id_of(await world.close()))
        await world.follow()
        assert await world.live() == set()
        await world.open()
        await world.follow()
        assert await world.live() == ids
    assert [await world.causes(id) for id in ids] == [causes, causes]


async def test_a_restoration_that_comes_after_the_next_deletion_waits_for_the_next_restoration(
    world: World,
) -> None:
    id = await world.create()
    first = await world.close()
    await world.follow()
    await world.open()
    await world.close()
    await world.follow()
    assert await world.live() == set()
    assert await world.causes(id) == [id_of(first)]
    await world.open()
    await world.follow()
    assert await world.live() == {id}


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_who_follows_only_after_all_is_open_again_leaves_all_as_it_was(
    world: World, times: int
) -> None:
    ids = {await world.create(), await world.create()}
    put_aside = await world.create()
    await world.delete(put_aside)
    for _ in range(times):
        await world.close()
        await world.open()
    await world.follow()
    assert await world.live() == ids


# Late, and again


async def test_what_was_made_after_a_restoration_is_not_deleted_by_the_deletion_before_it(
    world: World,
) -> None:
    early, moved, restored = await world.create(), await world.create(None), await world.create()
    await world.delete(restored)
    await world.close()
    await world.open()
    new = await world.create()
    await world.move(moved, SALES)
    await world.restore(restored)
    await world.follow()
    assert await world.live() == {early, new, moved, restored}
    assert [await world.causes(id) for id in (new, moved, restored)] == [[], [], [None]]


async def test_the_same_events_again_store_nothing_more(world: World) -> None:
    await world.create()
    await world.create(None)
    for change in (world.close, world.open, world.remove, world.bring_back, world.close):
        await change()
        await world.follow()
    stored = await world.everything()
    for position in range(len(stored)):
        world.position = position
        await world.follow()
    assert await world.everything() == stored


async def test_an_old_deletion_again_deletes_nothing_that_came_back(world: World) -> None:
    id = await world.create()
    await world.close()
    await world.follow()
    (deletion,) = [r for r in await world.everything() if isinstance(r.event, Workspace.Deleted)]
    await world.open()
    await world.restore(id)
    await world.cascade.apply(cast(AsyncConnection, world.connection), [deletion])
    assert await world.live() == {id}


@pytest.mark.parametrize("appends", range(5))
async def test_killed_half_way_none_is_forgotten_and_none_deleted_twice(
    world: World, appends: int
) -> None:
    ids = [await world.create() for _ in range(5)]
    cause = await world.close()
    await killed_after(appends, world)
    assert len(await world.live()) == 5 - appends
    await world.follow()
    assert [await world.causes(id) for id in ids] == [[id_of(cause)]] * 5
    await world.open()
    await killed_after(appends, world)
    assert len(await world.live()) == appends
    await world.follow()
    assert await world.live() == set(ids)
    assert {len(await world.store.load(OURS, id)) for id in ids} == {3}


async def test_whoever_goes_on_looks_at_those_alone_who_have_not_been_told(world: World) -> None:
    """However many have been, or were put aside by people, or came after."""
    ids = {await world.create() for _ in range(5)}
    others = {await world.create() for _ in range(3)}
    for id in others:
        await world.delete(id)
    for change, done in ((world.close, 2), (world.open, 4)):
        await change()
        others.add(await world.create(PURCHASING))
        await killed_after(done, world)
        world.store.loaded = ()
        await world.follow()
        looked_at = set(world.store.loaded)
        assert (len(looked_at & ids), looked_at & others) == (5 - done, set())


async def killed_after(appends: int, world: World) -> None:
    """The cascade gets to so many tables; what it did about them is stored, its position is not."""
    world.store.appends_left = appends
    with pytest.raises(ExceptionGroup) as killed:
        await world.follow()
    assert killed.group_contains(StoreUnavailable)
    world.store.appends_left = ALL


@pytest.mark.parametrize("appends", range(6))
async def test_killed_while_a_company_is_removed_or_restored_it_ends_as_if_it_was_not(
    world: World, appends: int
) -> None:
    places = (SALES, SALES, PURCHASING, None)
    ids = {await world.create(place) for place in places}
    put_aside = [await world.create(place) for place in places]
    for id in put_aside:
        await world.delete(id)
    for change, left in ((world.remove, set()), (world.bring_back, ids)):
        await change()
        while world.position < len(await world.everything()):
            world.store.appends_left = appends
            with suppress(ExceptionGroup):
                await world.follow(1)
            world.store.appends_left = ALL
            await world.follow(1)
        assert await world.live() == left
    assert [await world.causes(id) for id in put_aside] == [[None]] * 4
    assert [len(await world.causes(id)) for id in ids] == [1] * 4


async def test_many_members_follow_some_at_a_time_with_a_sign_of_life_for_each_part(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascade, "CHUNK", 2)
    ids = {await world.create() for _ in range(5)}
    await world.close()
    await world.follow()
    assert (await world.live(), world.connection.signs) == (set(), 3)
    await world.open()
    await world.follow()
    assert (await world.live(), world.connection.signs) == (ids, 6)


async def test_who_leads_no_longer_deletes_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascade, "CHUNK", 2)
    ids = [await world.create() for _ in range(5)]
    await world.close()
    world.connection = Connection(ends_after=2)
    with pytest.raises(ConnectionError):
        await world.follow()
    assert len(await world.deletions()) == 1 + 4
    world.connection = Connection()
    await world.follow()
    assert [len(await world.causes(id)) for id in ids] == [1] * 5


# While people go on


async def test_a_table_that_is_moved_out_while_the_cascade_is_at_it_is_untouched(
    world: World,
) -> None:
    id = await world.create()
    await world.close()
    world.store.meanwhile = lambda: world.move(id, PURCHASING)
    await world.follow()
    assert await world.live() == {id}


async def test_a_table_that_leaves_and_enters_while_the_cascade_is_at_it_comes_back(
    world: World,
) -> None:
    id = await world.create()
    await world.close()
    await world.open()

    async def leave_and_enter() -> None:
        await world.move(id, None)
        await world.move(id, SALES)

    world.store.meanwhile = leave_and_enter
    await world.follow()
    assert await world.live() == {id}


async def test_a_table_that_is_restored_while_the_cascade_is_at_it_comes_back(
    world: World,
) -> None:
    id = await world.create()
    await world.delete(id)
    await world.close()
    await world.open()
    world.store.meanwhile = lambda: world.restore(id)
    await world.follow()
    assert await world.live() == {id}


async def test_a_table_that_is_purged_while_the_cascade_is_at_it_is_no_obstacle(
    world: World,
) -> None:
    gone, other = await world.create(), await world.create()
    await world.delete(gone)
    await world.close()
    world.store.meanwhile = lambda: world.tables.purge(gone, ask())
    await world.follow()
    assert len(await world.causes(other)) == 1


# A company


async def test_removing_a_company_deletes_its_workspaces_and_all_tables(world: World) -> None:
    inside, outside = await world.create(), await world.create(None)
    cause = await world.remove()
    await world.follow()
    assert await world.live() == set()
    assert await world.causes(outside) == [id_of(cause)]
    workspaces = {w.workspace_id: w for w in await world.aggregates(Workspace)}
    assert [workspaces[id].deleted_because for id in (SALES, PURCHASING)] == [id_of(cause)] * 2
    (deletion,) = await world.deletions(workspaces[SALES].id)
    assert await world.causes(inside) == [deletion.metadata.event_id]


async def test_restoring_a_company_brings_back_exactly_what_was_deleted_with_it(
    world: World,
) -> None:
    places = (SALES, PURCHASING, None)
    with_it = [await world.create(place) for place in places]
    before = [await world.create(place) for place in places]
    for id in before:
        await world.delete(id)
    await world.close(PURCHASING)
    await world.follow()
    await world.remove()
    await world.follow()
    assert await world.live() == set()
    await world.bring_back()
    await world.follow()
    assert await world.live() == {with_it[0], with_it[2]}
    deleted = {w.workspace_id: bool(w.deleted_at) for w in await world.aggregates(Workspace)}
    assert deleted == {SALES: False, PURCHASING: True}
    await world.open(PURCHASING)
    await world.follow()
    assert await world.live() == set(with_it)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_who_follows_only_after_the_company_is_back_leaves_all_as_it_was(
    world: World, times: int
) -> None:
    ids = {await world.create(place) for place in (SALES, PURCHASING, None)}
    put_aside = await world.create()
    await world.delete(put_aside)
    for _ in range(times):
        await world.remove()
        await world.bring_back()
    await world.follow()
    assert await world.live() == ids


async def test_a_workspace_that_a_person_deletes_after_the_company_is_back_stays_deleted(
    world: World,
) -> None:
    id, other = await world.create(), await world.create(PURCHASING)
    await world.remove()
    await world.bring_back()
    await world.close()
    await world.follow()
    assert await world.live() == {other}
    await world.open()
    await world.follow()
    assert await world.live() == {id, other}


async def test_a_table_made_in_a_workspace_before_a_removal_gets_there_follows_it(
    world: World,
) -> None:
    await world.remove()
    id = await world.create()
    await world.follow()
    assert await world.live() == set()
    await world.bring_back()
    await world.follow()
    assert await world.live() == {id}


async def test_another_company_is_not_touched_by_a_removal(world: World) -> None:
    theirs = ask(company=THEIRS)
    await world.workspaces.put(SALES, theirs, called("Theirs"))
    table = (await world.tables.create(theirs, details(workspaceId=str(SALES)))).aggregate
    await world.create()
    await world.remove()
    await world.follow()
    assert await world.causes(table.id) == []
    assert len([e for e in await world.deletions() if e.metadata.company_id == THEIRS]) == 0
