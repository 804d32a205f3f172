"""Whatever people do, and however late, often or concurrently the cascade follows: all adds up."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from application.errors import Refused, StoreUnavailable
from domain.company import Company
from domain.errors import DomainError
from domain.table_def import TableDef
from domain.workspace import Workspace
from tests.application.following import ALL, PURCHASING, SALES, Place, World
from tests.conftest import sized

pytestmark = pytest.mark.anyio

Deed = Callable[[World], Awaitable[object]]
PLACES = st.sampled_from([SALES, PURCHASING, None])
WORKSPACES = st.sampled_from([SALES, PURCHASING])


def with_table(deed: Callable[[World, UUID], Awaitable[object]], number: int) -> Deed:
    """Something that is done with one of the tables that there are."""

    async def do(world: World) -> None:
        tables = await world.aggregates(TableDef)
        await deed(world, tables[number % len(tables)].id)

    return do


def moved_to(place: Place) -> Callable[[World, UUID], Awaitable[object]]:
    return lambda world, table_id: world.move(table_id, place)


def creating(place: Place) -> Deed:
    return lambda world: world.create(place)


def with_workspace(deed: Callable[[World, UUID], Awaitable[object]], id: UUID) -> Deed:
    return lambda world: deed(world, id)


DEEDS = st.one_of(
    st.builds(creating, PLACES),
    st.builds(
        with_table,
        st.sampled_from([World.delete, World.restore]) | st.builds(moved_to, PLACES),
        st.integers(0, 5),
    ),
    st.builds(with_workspace, st.sampled_from([World.close, World.open]), WORKSPACES),
    st.sampled_from([World.remove, World.bring_back]),
)


@dataclass(frozen=True)
class Step:
    """What people do before the cascade follows and while it does; from where, and how far.

    `appends`: after how many it is killed, if it gets there.
    """

    before: Sequence[Deed]
    meanwhile: Sequence[Deed]
    back: int
    events: int
    appends: int


STEPS = st.builds(
    Step,
    st.lists(DEEDS, max_size=3),
    st.lists(DEEDS, max_size=2),
    st.sampled_from([0, 0, 2, 20]),
    st.integers(0, 8),
    st.sampled_from([ALL, ALL, 0, 1, 3]),
)


async def act(world: World, deeds: Sequence[Deed]) -> None:
    """People do one thing after the other; what is refused they leave."""
    for deed in deeds:
        with suppress(Refused, DomainError):
            await deed(world)


async def take(world: World, step: Step) -> None:
    await act(world, step.before)
    world.position = max(0, world.position - step.back)
    world.store.meanwhile = lambda: act(world, step.meanwhile)
    world.store.appends_left = step.appends
    try:
        await world.follow(step.events)
    except* StoreUnavailable:
        pass
    world.store.appends_left = ALL
    await world.store.let_people_act()


async def nothing_is_live_in_what_is_closed(world: World) -> None:
    containers = await world.aggregates(Workspace) + await world.aggregates(Company)
    closed = {container.id for container in containers if not container.standing.live}
    for member in await world.aggregates(Workspace) + await world.aggregates(TableDef):
        assert not (member.standing.live and member.standing.container_id in closed)


async def nothing_was_deleted_twice_for_one_cause(world: World) -> None:
    deletions = Counter(
        (event.originator_id, event.metadata.causation_id)
        for event in await world.deletions()
        if event.metadata.causation_id
    )
    assert not deletions or max(deletions.values()) == 1


@settings(  # explaining takes minutes
    max_examples=sized(30, 60), phases=[Phase.generate, Phase.shrink]
)
@given(st.lists(STEPS, min_size=1, max_size=10))
async def test_whatever_happens_exactly_what_people_deleted_is_deleted_in_the_end(
    steps: list[Step],
) -> None:
    world = await World().begin()
    for place in (SALES, SALES, PURCHASING, None):
        await world.create(place)
    for step in steps:
        await take(world, step)
    await world.follow()
    await nothing_is_live_in_what_is_closed(world)

    await world.bring_back()
    await world.follow()
    closed = {w.workspace_id for w in await world.aggregates(Workspace) if w.deleted_at}
    assert closed == world.put_aside & {SALES, PURCHASING}
    for workspace_id in closed:
        await world.open(workspace_id)
    await world.follow()
    assert {t.id for t in await world.aggregates(TableDef) if t.deleted_at} == world.put_aside
    await nothing_was_deleted_twice_for_one_cause(world)

    stored = await world.everything()
    world.position = 0
    await world.follow()
    assert await world.everything() == stored
