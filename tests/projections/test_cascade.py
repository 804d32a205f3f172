"""What is in a workspace or company follows it, each thing once, whoever stops on the way.

The projector carries it out on Postgres, as its role.
"""

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from api.read_models import READ_MODELS
from api.roles import PROJECTOR_ROLE, as_role
from application.cascade import CHUNK, Cascade
from application.errors import Refused
from application.event_store.postgres import PostgresEventStore
from domain.base import replay
from domain.containers import workspace_aggregate
from domain.errors import DomainError, UnreadableEvent
from domain.workspace import Workspace
from projections.follower import Fenced
from projections.projector import Projector
from tests.conftest import eventually, sized
from tests.projections.world import World, world_of

pytestmark = pytest.mark.anyio

MANY = 1_000
SALES, PEOPLE = UUID(int=7), UUID(int=8)  # both companies have workspaces of these ids
EFFECTS = """
SELECT table_id, metadata ->> 'causationId', count(*)
  FROM event_store.readable_events WHERE topic = %s GROUP BY 1, 2
"""
LAST = """
SELECT event_id::text, position FROM event_store.events WHERE topic = %s ORDER BY position DESC
"""
LEADERS = """
SELECT pid FROM pg_locks
 WHERE locktype = 'advisory' AND granted AND objsubid = 1
   AND (classid::bigint << 32) | objid::bigint = hashtextextended('projector:cascade_v1', 0)
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'dynamic_tables_projector'
   AND pid <> %s
"""
LEAD = """
import asyncio, sys
from uuid_utils.compat import uuid7
from application.cascade import CHUNK, Cascade
from application.event_store.postgres import PostgresEventStore
from projections.projector import Projector
conninfo = sys.argv[1]
cascade = Cascade(PostgresEventStore(conninfo), uuid7)
asyncio.run(Projector(conninfo, cascade, silence=0.5).run())
"""


async def acting(database: str) -> AsyncIterator[World]:
    """A world in which the process manager is what is followed."""
    store = PostgresEventStore(as_role(database, PROJECTOR_ROLE))
    async with world_of(database, Cascade(store, uuid7)) as world:
        yield world
    await store.close()


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async for world in acting(database):
        yield world


@pytest.fixture
async def emptied(shared_database: str) -> AsyncIterator[World]:
    async for world in acting(shared_database):
        await world.forget_everything()
        yield world


async def settle(world: World) -> None:
    """Two companies with two workspaces of the same ids each; six events."""
    for company in (world.ours, world.theirs):
        await world.register("Company", company)
        await world.workspace("Sales", company, SALES)
        await world.workspace("People", company, PEOPLE)


async def deleted(world: World) -> set[UUID]:
    """The tables that are deleted now, by their events."""
    return {
        events[0].originator_id for events in await histories(world) if replay(events).deleted_at
    }


async def histories(world: World, topic: str = "TableDef") -> list[list[Any]]:
    """The events of each aggregate of a kind."""
    found: dict[UUID, list[Any]] = {}
    for recorded in await world.store.read(0, 100_000):
        found.setdefault(recorded.event.originator_id, []).append(recorded.event)
    return [events for events in found.values() if f"{topic}.Created" == events[0].TOPIC]


async def last(world: World, topic: str) -> tuple[str, int]:
    """Id and position of the last event of a kind."""
    return (await world.ask(LAST, (topic,)))[0]


async def effects(world: World, topic: str) -> Counter[tuple[UUID, str | None]]:
    """How often each table has had an event of this kind, by what caused it."""
    return Counter({(id, cause): n for id, cause, n in await world.ask(EFFECTS, (topic,))})


async def test_tables_follow_their_workspace_and_come_back_with_it(emptied: World) -> None:
    world = emptied
    await settle(world)
    inside = {await world.create("Orders", workspaceId=SALES) for _ in range(3)}
    before = await world.create("Gone before", workspaceId=SALES)
    await world.delete(before)
    gone = await world.create("Gone for ever", workspaceId=SALES)
    await world.purge(gone)
    for place in (None, PEOPLE):
        await world.create("Elsewhere", workspaceId=place)
    await world.create("Orders", world.theirs, workspaceId=SALES)
    await world.workspaces.delete(SALES, world.request())
    await world.project()
    assert await deleted(world) == inside | {before, gone}
    cause, _ = await last(world, "Workspace.Deleted")
    caused = {id: by for id, by in await effects(world, "TableDef.Deleted") if by}
    assert caused == dict.fromkeys(inside, cause)

    await world.workspaces.restore(SALES, world.request())
    await world.project()
    assert await deleted(world) == {before, gone}
    cause, _ = await last(world, "Workspace.Restored")
    assert await effects(world, "TableDef.Restored") == {(id, cause): 1 for id in inside}


async def test_all_of_a_company_follows_it_and_comes_back_with_it(emptied: World) -> None:
    world = emptied
    await settle(world)
    await world.workspaces.delete(PEOPLE, world.request())
    inside = {await world.create("Orders", workspaceId=place) for place in (None, SALES, SALES)}
    theirs = await world.create("Orders", world.theirs, workspaceId=SALES)
    await world.companies.remove(world.request())
    await world.project()
    assert await deleted(world) == inside
    assert theirs not in inside
    await world.companies.restore(world.request())
    await world.project()
    assert await deleted(world) == set()
    people = await world.store.load(world.ours, workspace_aggregate(world.ours, PEOPLE))
    assert replay([r.event for r in people]).deleted_at, "it was deleted before"
    sales = await world.store.load(world.ours, workspace_aggregate(world.ours, SALES))
    assert not replay([r.event for r in sales]).deleted_at


async def test_what_follows_is_done_in_the_name_of_who_deleted_it(emptied: World) -> None:
    world = emptied
    await settle(world)
    id = await world.create("Orders", workspaceId=SALES)
    await world.create("Orders", world.theirs, workspaceId=SALES)
    world.actor = uuid4()
    await world.workspaces.delete(SALES, world.request())
    cause, event = (await world.store.read(0, 100))[-1], None
    world.actor = uuid4()
    await world.project()
    event = (await world.store.load(world.ours, id))[-1].event
    was, now = cause.event.metadata, event.metadata
    assert (now.actor_id, now.actor_kind) == (was.actor_id, "system")
    assert (now.causation_id, now.correlation_id) == (was.event_id, was.correlation_id)
    assert (now.company_id, now.request_id) == (world.ours, was.request_id)


async def test_it_acts_on_an_event_once_its_position_has_passed_the_one_before(
    emptied: World,
) -> None:
    """The position tells what is done: an event that it acts on ends a batch."""
    world = emptied
    await settle(world)
    for company in (world.ours, world.theirs):
        await world.create("Orders", company, workspaceId=SALES)
        await world.workspaces.delete(SALES, world.request(company))
    follower = await world.follower()
    seen = []
    while await follower.step(500):
        seen.append(follower.position)
    assert seen == [1, 2, 3, 4, 5, 6, 8, 10, 12]


async def test_who_came_in_after_it_was_restored_is_left_alone(emptied: World) -> None:
    """However late the deletion is reacted to."""
    world = emptied
    await settle(world)
    inside = await world.create("Orders", workspaceId=SALES)
    await world.create("Orders", world.theirs, workspaceId=SALES)
    await world.workspaces.delete(SALES, world.request())
    await world.workspaces.restore(SALES, world.request())
    new = await world.create("New", workspaceId=SALES)
    await world.project()
    assert len(await world.store.load(world.ours, new)) == 1
    assert [r.event.TOPIC for r in await world.store.load(world.ours, inside)] == [
        "TableDef.Created", "TableDef.Deleted", "TableDef.Restored",
    ]  # fmt: skip


async def test_what_was_deleted_for_an_earlier_cause_comes_back_too(emptied: World) -> None:
    """It was closed, opened and closed again before anybody reacted."""
    world = emptied
    await settle(world)
    inside = await world.create("Orders", workspaceId=SALES)
    theirs = await world.create("Orders", world.theirs, workspaceId=SALES)
    await world.workspaces.delete(SALES, world.request(world.theirs))
    for _ in range(2):
        await world.workspaces.delete(SALES, world.request())
        await world.workspaces.restore(SALES, world.request())
    await world.workspaces.delete(SALES, world.request())
    await world.project()
    assert await deleted(world) == {inside, theirs}
    await world.workspaces.restore(SALES, world.request())
    await world.project()
    assert await deleted(world) == {theirs}


class BusyStore(PostgresEventStore):
    """A store in which something happens between the question who belongs where and its answer."""

    async def nothing(self) -> None:
        """What happens first."""

    meanwhile: Callable[[], Awaitable[Any]] = nothing

    async def members(self, *wanted: Any) -> Sequence[UUID]:
        """Who belonged to a container a moment ago."""
        found = await super().members(*wanted)
        meanwhile, self.meanwhile = self.meanwhile, self.nothing  # type: ignore[method-assign]
        await meanwhile()
        return found


@pytest.fixture
async def busy(emptied: World) -> AsyncIterator[tuple[World, BusyStore]]:
    """The process manager on such a store."""
    store = BusyStore(emptied.conninfo)
    emptied.model = Cascade(store, uuid7)
    await settle(emptied)
    yield emptied, store
    await store.close()


async def test_who_leaves_and_comes_back_while_it_is_reacted_to_is_not_forgotten(
    busy: tuple[World, BusyStore],
) -> None:
    world, store = busy
    table = await world.create("Orders", workspaceId=SALES)
    theirs = await world.create("Orders", world.theirs, workspaceId=SALES)
    for company in (world.ours, world.theirs):
        await world.workspaces.delete(SALES, world.request(company))
    await world.workspaces.restore(SALES, world.request())

    async def leave_and_come_back() -> None:
        for place in (PEOPLE, SALES):
            await world.change(table, workspaceId=place)

    store.meanwhile = leave_and_come_back
    await world.project()
    assert await deleted(world) == {theirs}


async def test_who_leaves_while_it_is_reacted_to_has_left(busy: tuple[World, BusyStore]) -> None:
    world, store = busy
    table = await world.create("Orders", workspaceId=SALES)
    theirs = await world.create("Orders", world.theirs, workspaceId=SALES)
    for company in (world.ours, world.theirs):
        await world.workspaces.delete(SALES, world.request(company))
    store.meanwhile = lambda: world.change(table, workspaceId=PEOPLE)
    await world.project()
    assert await deleted(world) == {theirs}


async def test_who_is_brought_back_while_it_is_reacted_to_again_stays(
    busy: tuple[World, BusyStore],
) -> None:
    """It was stopped after it had told the table, and before it had noted that."""
    world, store = busy
    table = await world.create("Orders", workspaceId=SALES)
    await world.create("Orders", world.theirs, workspaceId=SALES)
    await world.workspaces.delete(SALES, world.request())
    [cause] = [r for r in await world.store.read(0, 100) if isinstance(r.event, Workspace.Deleted)]
    await world.model.apply(world.projection, [cause])
    assert await deleted(world) == {table}
    await world.workspaces.restore(SALES, world.request())
    store.meanwhile = lambda: world.restore(table)
    await world.project()
    assert await deleted(world) == set()
    assert max((await effects(world, "TableDef.Deleted")).values()) == 1


COMMANDS = st.one_of(
    st.tuples(st.sampled_from(["close", "reopen"] * 3), st.sampled_from([SALES, SALES, PEOPLE])),
    st.tuples(st.just("react"), st.sampled_from([1, 2, 5, 100])),
    st.tuples(
        st.sampled_from(["create", "create", "move"]), st.sampled_from([SALES, PEOPLE, None])
    ),
    st.tuples(st.sampled_from(["delete", "restore", "restore", "purge"]), st.none()),
    st.tuples(st.sampled_from(["remove", "readmit"]), st.none()),
)
OF_A_TABLE = {
    "move": lambda world, table, request, place: world.change(
        table, request.context.company_id, workspaceId=place
    ),
    "delete": lambda world, table, request, _: world.table_defs.delete(table, request),
    "restore": lambda world, table, request, _: world.table_defs.restore(table, request),
    "purge": lambda world, table, request, _: world.table_defs.purge(table, request),
}
OF_A_CONTAINER = {
    "close": lambda world, request, workspace: world.workspaces.delete(workspace, request),
    "reopen": lambda world, request, workspace: world.workspaces.restore(workspace, request),
    "remove": lambda world, request, _: world.companies.remove(request),
    "readmit": lambda world, request, _: world.companies.restore(request),
}


def of(world: World, slot: int) -> UUID:
    """The company that a table is of: the odd ones are the other's."""
    return world.theirs if slot % 2 else world.ours


async def act(world: World, tables: dict[int, UUID], slot: int, command: tuple[str, Any]) -> None:
    """One command of a company, or some reactions to what happened so far."""
    name, argument = command
    company = of(world, slot)
    request = world.request(company)
    with suppress(Refused, DomainError):
        if name == "react":
            follower = await world.follower()
            for _ in range(argument):
                await follower.step(500)
        elif name == "create":
            tables[slot] = await world.create("Table", company, workspaceId=argument)
        elif name in OF_A_CONTAINER:
            await OF_A_CONTAINER[name](world, request, argument)
        elif slot in tables:
            await OF_A_TABLE[name](world, tables[slot], request, argument)


@settings(
    max_examples=sized(12, 25),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=st.lists(st.tuples(st.integers(0, 3), COMMANDS), min_size=20, max_size=50))
async def test_in_the_end_everybody_is_where_it_belongs_whenever_it_was_reacted_to(
    emptied: World, history: Sequence[tuple[int, tuple[str, Any]]]
) -> None:
    world = emptied
    await world.forget_everything()
    await settle(world)
    tables = {
        slot: await world.create("Table", of(world, slot), workspaceId=SALES) for slot in range(4)
    }
    for slot, command in history:
        await act(world, tables, slot, command)
    await world.project()
    recorded = await world.store.read(0, 100_000)
    events: dict[UUID, list[Any]] = {}
    for each in recorded:
        events.setdefault(each.event.originator_id, []).append(each.event)
    for past in events.values():
        assert_follows(replay(past), past, {id: replay(events[id]) for id in events})


def assert_follows(member: Any, past: Sequence[Any], everybody: dict[UUID, Any]) -> None:
    """It is deleted if what it belongs to is; and else only if that was said of it alone."""
    container = everybody.get(member.standing.container_id)
    if container is None:
        return
    if not container.standing.live:
        assert not member.standing.live
    elif not member.standing.live:
        assert member.deleted_because is None
    causes = Counter(
        (event.TOPIC, event.metadata.causation_id) for event in past if event.metadata.causation_id
    )
    assert not causes or max(causes.values()) == 1, "twice for one cause"


async def fill(world: World) -> tuple[set[UUID], set[UUID]]:
    """A thousand tables of a workspace, and some of the same that were deleted before."""
    await settle(world)

    async def create(_: int) -> UUID:
        return await world.create("Orders", workspaceId=SALES)

    ids = list(await asyncio.gather(*map(create, range(MANY + 7))))
    await asyncio.gather(*(world.delete(id) for id in ids[MANY:]))
    for company, place in ((world.ours, PEOPLE), (world.ours, None), (world.theirs, SALES)):
        await world.create("Orders", company, workspaceId=place)
    return set(ids[:MANY]), set(ids[MANY:])


async def done(world: World, topic: str) -> bool:
    """Whether the reaction to the last event of this kind is complete."""
    return await world.position() >= (await last(world, topic))[1]


async def some(world: World, chance: random.Random) -> None:
    """Wait until it has done a part of its work, in the middle of which it is now."""
    begun, part = await world.head(), chance.randint(1, MANY // 3)

    async def reached() -> bool:
        return await world.head() >= begun + part

    await eventually(reached)
    await asyncio.sleep(chance.uniform(0, 0.02))


async def cancelled(world: World, chance: random.Random) -> None:
    """It is told to stop."""
    for _ in range(2):
        async with world.projector():
            await some(world, chance)


async def cut_off(world: World, chance: random.Random) -> None:
    """Each connection of the projector breaks."""
    async with world.projector():
        await some(world, chance)
        await world.ask(TERMINATE, (world.projection.info.backend_pid,))


@contextmanager
def process(world: World) -> Iterator["subprocess.Popen[bytes]"]:
    """A projector in a process of its own."""
    root = Path(__file__).parents[2]
    child = subprocess.Popen([sys.executable, "-c", LEAD, world.conninfo], cwd=root)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def killed(world: World, chance: random.Random) -> None:
    """Its process ends without a word."""
    with process(world) as child:
        await some(world, chance)
        child.send_signal(signal.SIGKILL)


async def assert_done_once(world: World, topic: str, ids: set[UUID]) -> None:
    """Each of these tables, and no other, reacted to the last such event of a workspace, once."""
    cause, _ = await last(world, f"Workspace.{topic}")
    found = await effects(world, f"TableDef.{topic}")
    assert {(id, by): n for (id, by), n in found.items() if by} == {(id, cause): 1 for id in ids}


Trouble = Callable[[World, random.Random], Any]


@pytest.mark.parametrize("trouble", [cancelled, cut_off, killed])
async def test_whatever_stops_it_none_of_a_thousand_is_forgotten_and_none_done_twice(
    world: World, trouble: Trouble
) -> None:
    inside, before = await fill(world)
    chance = random.Random(7)
    for topic, command, gone in (
        ("Deleted", world.workspaces.delete, inside | before),
        ("Restored", world.workspaces.restore, before),
    ):
        await command(SALES, world.request())

        async def is_done(topic: str = f"Workspace.{topic}") -> bool:
            return await done(world, topic)

        await trouble(world, chance)
        assert not await is_done(), "it was stopped in the middle"
        async with world.projector():
            await eventually(is_done, timeout=20)
        await assert_done_once(world, topic, inside)
        assert await deleted_now(world) == gone
    assert await world.parked() == {}


async def leader(world: World) -> int | None:
    rows = await world.ask(LEADERS)
    assert len(rows) <= 1
    return rows[0][0] if rows else None


async def test_when_the_leader_is_lost_half_way_a_second_one_goes_on(world: World) -> None:
    inside, _ = await fill(world)
    others = PostgresEventStore(world.conninfo)
    second = Projector(world.conninfo, Cascade(others, uuid7))
    async with world.projector() as first:

        async def leads() -> bool:
            return await leader(world) is not None

        await eventually(leads)
        was = await leader(world)
        waiting = asyncio.create_task(second.run())
        await world.workspaces.delete(SALES, world.request())
        await some(world, random.Random(7))
        assert await leader(world) == was
        first.cancel()

        async def is_done() -> bool:
            return await done(world, "Workspace.Deleted")

        await eventually(is_done, timeout=20)
        assert await leader(world) not in (None, was)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    await others.close()
    await assert_done_once(world, "Deleted", inside)


async def test_who_lost_its_place_does_nothing(emptied: World) -> None:
    world = emptied
    await settle(world)
    for company in (world.ours, world.theirs):
        await world.create("Orders", company, workspaceId=SALES)
    stale = await world.project()
    await world.follower()
    before = await world.head()
    await world.workspaces.delete(SALES, world.request())
    with pytest.raises(Fenced):
        await stale.step(500)
    assert await world.position() == before
    assert await world.head() == before + 1


async def deleted_now(world: World) -> set[UUID]:
    """The tables that are deleted, told from the last of their events about it."""
    query = (
        "SELECT DISTINCT ON (originator_id) originator_id, topic FROM event_store.events"
        " WHERE topic IN ('TableDef.Deleted', 'TableDef.Restored')"
        " ORDER BY originator_id, originator_version DESC"
    )
    return {id for id, topic in await world.ask(query) if topic == "TableDef.Deleted"}


POISON = [
    pytest.param("Workspace.Exploded", {}, id="unknown topic"),
    pytest.param("Workspace.Deleted", b"{", id="broken JSON"),
    pytest.param("Workspace.Deleted", {}, id="missing field"),
]


@pytest.mark.parametrize(("topic", "state"), POISON)
async def test_an_event_that_it_cannot_read_stops_it_and_no_read_model(
    emptied: World, topic: str, state: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It may skip nothing: what was to follow would never follow."""
    world = emptied
    await settle(world)
    ours = await world.create("Orders", workspaceId=SALES)
    theirs = await world.create("Orders", world.theirs, workspaceId=SALES)
    broken = workspace_aggregate(world.ours, SALES)
    position = await world.append(broken, 2, topic, state)
    await world.workspaces.delete(SALES, world.request(world.theirs))

    async def stands_still() -> bool:
        return "cascade_v1: stands still" in caplog.text

    async with world.projector():
        await eventually(stands_still)
    assert await world.position() < position
    assert await world.parked() == {}
    assert await deleted_now(world) == set()
    for model in READ_MODELS:
        async with world_of(world.database, model) as reading:
            await reading.project()
            assert await reading.is_current()
            await world.owner.execute("DELETE FROM projections.parked")

    await world.repair(position, "Workspace.Deleted", {"workspaceId": str(SALES)})
    await world.project()
    assert await deleted(world) == {ours, theirs}
    assert await world.is_current()


async def test_a_member_that_cannot_be_read_is_waited_for_not_skipped(emptied: World) -> None:
    world = emptied
    await settle(world)
    broken = await world.create("Orders", workspaceId=SALES)
    others = {await world.create("Orders", workspaceId=SALES) for _ in range(5)}
    theirs = await world.create("Orders", world.theirs, workspaceId=SALES)
    position = await world.append(broken, 2, "TableDef.Renamed", b"{}")
    for company in (world.ours, world.theirs):
        await world.workspaces.delete(SALES, world.request(company))
    with pytest.raises(ExceptionGroup) as stopped:
        await world.project()
    assert stopped.group_contains(UnreadableEvent)
    assert await world.position() < await world.head()
    assert await world.parked() == {}
    await world.repair(position, "TableDef.Renamed", {"name": "Repaired"})
    await world.project()
    assert await deleted(world) == others | {broken, theirs}
    assert max((await effects(world, "TableDef.Deleted")).values()) == 1


async def test_it_passes_over_what_other_nouns_do_however_broken(emptied: World) -> None:
    world = emptied
    await settle(world)
    broken = await world.create("Orders", workspaceId=PEOPLE)
    inside = await world.create("Orders", workspaceId=SALES)
    await world.append(broken, 2, "TableDef.Exploded", b"{}")
    await world.append(uuid4(), 1, "Column.Added", b"{}", world.theirs)
    await world.workspaces.delete(SALES, world.request())
    await world.project()
    assert await world.is_current()
    assert (await effects(world, "TableDef.Deleted")).keys() == {
        (inside, (await last(world, "Workspace.Deleted"))[0])
    }


async def test_more_than_it_tells_at_once_follow(emptied: World) -> None:
    world = emptied
    await settle(world)
    inside = {
        *await asyncio.gather(
            *(world.create("Orders", workspaceId=SALES) for _ in range(2 * CHUNK + 1))
        )
    }
    await world.create("Orders", world.theirs, workspaceId=SALES)
    await world.workspaces.delete(SALES, world.request())
    await world.project()
    assert await deleted(world) == inside
