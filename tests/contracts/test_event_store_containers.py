"""Nothing comes alive in a workspace or company that is not, whichever database is behind it."""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection

from api.roles import API_ROLE, as_role
from application.errors import (
    ContainerClosed,
    ContainerUnknown,
    KeyReused,
    SlugTaken,
    VersionConflict,
)
from application.event_store.in_memory import InMemoryEventStore
from application.event_store.postgres import PostgresEventStore
from application.event_store.store import Append, EventStore, Receipt
from domain.workspace import Workspace
from tests.contracts.commands import (
    command,
    context,
    creation,
    deleted,
    key,
    new_company,
    new_table,
    new_workspace,
    rename,
    restored,
    standing,
)
from tests.contracts.stores import ApiStore, at_once, everything, outcome

pytestmark = pytest.mark.anyio

FIRST = UUID(int=0)
EVER = 2**60
LOCK = "SELECT pg_advisory_lock(hashtextextended('event_store.append', 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('event_store.append', 0))"


async def opened(store: EventStore, company: UUID) -> Workspace:
    """A workspace that is alive."""
    workspace = new_workspace(company)
    await store.append(standing(workspace))
    return workspace


async def closed(store: EventStore, company: UUID) -> Workspace:
    """A workspace that was alive once."""
    workspace = await opened(store, company)
    await store.append(standing(deleted(workspace)))
    return workspace


async def members(
    store: EventStore, workspace: Workspace, before: int = EVER, company: UUID | None = None
) -> list[UUID]:
    """All that belongs to a workspace."""
    found = store.members(company or workspace.company_id, workspace.id, before, FIRST, 1000)
    return list(await found)


class ContainersContract:
    """Every store passes these tests; a subclass says which `store`."""

    async def test_a_table_comes_alive_in_a_live_workspace(self, store: EventStore) -> None:
        workspace = await opened(store, uuid4())
        receipt = await store.append(creation(workspace.company_id, joins=workspace.id))
        assert await members(store, workspace) == [receipt.originator_id]

    async def test_a_company_of_which_nothing_is_known_is_alive_for_itself(
        self, store: EventStore
    ) -> None:
        company = uuid4()
        assert (await store.append(creation(company, joins=company))).version == 1

    async def test_a_registered_company_is_alive(self, store: EventStore) -> None:
        company = uuid4()
        await store.append(standing(new_company(company)))
        assert (await store.append(creation(company, joins=company))).version == 1

    @pytest.mark.parametrize("dry_run", [False, True])
    async def test_nothing_comes_alive_in_what_nobody_knows(
        self, store: EventStore, dry_run: bool
    ) -> None:
        ours, theirs = uuid4(), await opened(store, uuid4())
        before = await everything(store)
        for unknown in (uuid4(), theirs.id, theirs.company_id):
            append = creation(ours, "orders", joins=unknown, idempotency=key("k"), dry_run=dry_run)
            with pytest.raises(ContainerUnknown) as refused:
                await store.append(append)
            assert refused.value.container_id == unknown
        assert await everything(store) == before
        assert await store.recall(ours, key("k")) is None
        assert await store.free_slug(ours, ["orders"]) == "orders"
        assert await members(store, theirs) == []

    @pytest.mark.parametrize("dry_run", [False, True])
    async def test_nothing_comes_alive_in_a_closed_workspace(
        self, store: EventStore, dry_run: bool
    ) -> None:
        workspace = await closed(store, uuid4())
        company, before = workspace.company_id, await everything(store)
        refused = creation(
            company, "orders", joins=workspace.id, idempotency=key("k"), dry_run=dry_run
        )
        with pytest.raises(ContainerClosed) as error:
            await store.append(refused)
        assert error.value.container_id == workspace.id
        assert await everything(store) == before
        assert await store.recall(company, key("k")) is None
        assert await store.free_slug(company, ["orders"]) == "orders"
        assert await members(store, workspace) == []

    async def test_nothing_comes_alive_in_a_removed_company(self, store: EventStore) -> None:
        company = new_company(uuid4())
        await store.append(standing(company))
        await store.append(standing(deleted(company)))
        for append in (creation(company.id, joins=company.id), standing(new_workspace(company.id))):
            with pytest.raises(ContainerClosed):
                await store.append(append)
        await store.append(standing(restored(company)))
        assert (await store.append(creation(company.id, joins=company.id))).version == 1

    async def test_closing_one_closes_no_other(self, store: EventStore) -> None:
        company = uuid4()
        other = await opened(store, company)
        await closed(store, company)
        assert (await store.append(creation(company, joins=other.id))).version == 1
        assert (await store.append(creation(company, joins=company))).version == 1

    async def test_what_is_in_a_closed_workspace_can_still_be_deleted_or_left(
        self, store: EventStore
    ) -> None:
        workspace = await opened(store, uuid4())
        table = new_table(workspace.company_id)
        await store.append(command(table, joins=workspace.id))
        await store.append(standing(deleted(workspace)))
        await store.append(command(rename(table)))
        assert await members(store, workspace) == [table.id]
        await store.append(command(rename(table), leaves=True))
        assert await members(store, workspace) == []

    async def test_a_workspace_that_was_reopened_takes_members_again(
        self, store: EventStore
    ) -> None:
        workspace = await closed(store, uuid4())
        await store.append(standing(restored(workspace)))
        await store.append(creation(workspace.company_id, joins=workspace.id))
        assert len(await members(store, workspace)) == 1

    async def test_a_command_that_says_nothing_of_it_leaves_a_container_as_it_is(
        self, store: EventStore
    ) -> None:
        workspace = await closed(store, uuid4())
        await store.append(standing(deleted(restored(workspace)), opens=None))
        refused = await outcome(store, creation(workspace.company_id, joins=workspace.id))
        assert isinstance(refused, ContainerClosed)

    async def test_a_dry_run_opens_closes_joins_and_leaves_nothing(self, store: EventStore) -> None:
        company = uuid4()
        workspace = await opened(store, company)
        table = new_table(company)
        await store.append(command(table, joins=workspace.id))
        rehearsed = [
            standing(new := new_workspace(company), dry_run=True),
            replace(standing(deleted(workspace)), dry_run=True),
            creation(company, joins=workspace.id, dry_run=True),
            command(rename(table), joins=company, dry_run=True),
            Append(company, table.id, 1, (), leaves=True, dry_run=True),
        ]
        before = await everything(store)
        for append in rehearsed:
            await store.append(append)
        assert await everything(store) == before
        assert await members(store, workspace) == [table.id]
        assert (await store.append(creation(company, joins=workspace.id))).version == 1
        assert isinstance(await outcome(store, creation(company, joins=new.id)), ContainerUnknown)

    async def test_a_replay_is_answered_although_the_workspace_was_closed_since(
        self, store: EventStore
    ) -> None:
        workspace = await opened(store, uuid4())
        append = creation(workspace.company_id, joins=workspace.id, idempotency=key("k"))
        first = await store.append(append)
        await store.append(standing(deleted(workspace)))
        assert await store.append(append) == replace(first, replayed=True)
        with pytest.raises(KeyReused):
            await store.append(replace(append, idempotency=key("k", "two")))

    async def test_a_replay_does_nothing_a_second_time(self, store: EventStore) -> None:
        company = uuid4()
        workspace, other = await opened(store, company), await opened(store, company)
        table = new_table(company)
        create = command(table, joins=workspace.id, idempotency=key("create"))
        await store.append(create)
        close = standing(deleted(workspace), idempotency=key("close"))
        await store.append(close)
        await store.append(standing(restored(workspace)))
        move = command(rename(table), joins=other.id, idempotency=key("move"))
        leave = replace(command(rename(table), leaves=True), idempotency=key("leave"))
        await store.append(move)
        assert [(await store.append(append)).replayed for append in (create, close)] == [True] * 2
        assert (await members(store, workspace), await members(store, other)) == ([], [table.id])
        assert (await store.append(creation(company, joins=workspace.id))).version == 1
        await store.append(leave)
        assert [(await store.append(append)).replayed for append in (create, move)] == [True] * 2
        assert await members(store, other) == []
        await store.append(command(rename(table), joins=other.id))
        assert (await store.append(leave)).replayed
        assert await members(store, other) == [table.id]

    async def test_a_version_is_looked_at_before_the_workspace_and_that_before_the_slug(
        self, store: EventStore
    ) -> None:
        workspace = await closed(store, uuid4())
        company = workspace.company_id
        table = new_table(company, "orders")
        await store.append(command(table))
        late = Append(company, table.id, 7, (), joins=workspace.id)
        assert isinstance(await outcome(store, late), VersionConflict)
        both = creation(company, "orders", joins=workspace.id)
        assert isinstance(await outcome(store, both), ContainerClosed)
        taken = creation(company, "orders", joins=company)
        assert isinstance(await outcome(store, taken), SlugTaken)

    async def test_members_come_in_pages_in_the_order_of_their_ids(self, store: EventStore) -> None:
        company = uuid4()
        workspace, other = await opened(store, company), await opened(store, company)
        tables = [new_table(company, id=uuid4()) for _ in range(7)]
        for table in tables:
            await store.append(command(table, joins=workspace.id))
            await store.append(creation(company, joins=other.id))
        found, after = list[UUID](), FIRST
        while page := await store.members(company, workspace.id, EVER, after, 3):
            assert len(page) <= 3
            found += page
            after = page[-1]
        assert found == sorted(table.id for table in tables)
        assert await store.members(company, workspace.id, EVER, after, 3) == []

    async def test_those_are_told_that_came_alive_in_it_before_a_position(
        self, store: EventStore
    ) -> None:
        workspace = await opened(store, uuid4())
        company = workspace.company_id
        first = await store.append(creation(company, events=3, joins=workspace.id))
        second = await store.append(creation(company, joins=workspace.id))
        assert await members(store, workspace, first.position) == []
        assert await members(store, workspace, second.position) == [first.originator_id]
        both = sorted([first.originator_id, second.originator_id])
        assert await members(store, workspace, second.position + 1) == both

    async def test_who_is_deleted_is_told_of_with_what_it_was_deleted_because_of(
        self, store: EventStore
    ) -> None:
        workspace = await opened(store, uuid4())
        company, causes = workspace.company_id, [uuid4(), uuid4()]
        tables = [new_table(company, id=uuid4()) for _ in range(4)]
        for table in tables:
            await store.append(command(table, joins=workspace.id))
        for table, cause in zip(tables, (*causes, None), strict=False):
            table.delete(replace(context(company), causation_id=cause))
            await store.append(command(table))

        async def told(because: Collection[UUID] | None) -> list[UUID]:
            return list(await store.members(company, workspace.id, EVER, FIRST, 9, because))

        assert await told(None) == [tables[3].id]
        assert await told(causes) == sorted(table.id for table in tables[:2])
        assert await told(causes[:1]) == [tables[0].id]
        assert await told([]) == await told([uuid4()]) == []
        tables[0].restore(context(company))
        await store.append(command(tables[0]))
        assert await told(causes) == [tables[1].id]
        assert await told(None) == sorted([tables[0].id, tables[3].id])

    async def test_who_comes_alive_again_is_in_it_since_then(self, store: EventStore) -> None:
        workspace = await opened(store, uuid4())
        table = new_table(workspace.company_id)
        first = await store.append(command(table, joins=workspace.id))
        await store.append(command(rename(table)))
        assert await members(store, workspace, first.position + 1) == [table.id]
        again = await store.append(command(rename(table), joins=workspace.id))
        assert await members(store, workspace, again.position) == []
        assert await members(store, workspace, again.position + 1) == [table.id]

    async def test_who_moves_belongs_to_the_other_one(self, store: EventStore) -> None:
        company = uuid4()
        workspace, other = await opened(store, company), await opened(store, company)
        table = new_table(company)
        await store.append(command(table, joins=workspace.id))
        moved = await store.append(command(rename(table), joins=other.id))
        assert await members(store, workspace) == []
        assert await members(store, other) == [table.id]
        assert await members(store, other, moved.position) == []

    async def test_who_is_refused_stays_where_it_was(self, store: EventStore) -> None:
        workspace = await opened(store, uuid4())
        company = workspace.company_id
        gone = await closed(store, company)
        table = new_table(company, "orders")
        await store.append(creation(company, "sales"))
        await store.append(command(table, joins=workspace.id))
        moving = rename(table).collect()
        for refused in (
            Append(company, table.id, 1, moving, joins=gone.id),
            Append(company, table.id, 1, moving, joins=uuid4()),
            Append(company, table.id, 7, moving, joins=company),
            Append(company, table.id, 1, moving, joins=company, claim="sales"),
            Append(company, table.id, 1, moving, leaves=True, claim="sales"),
        ):
            assert isinstance(await outcome(store, refused), Exception)
        assert await members(store, workspace) == [table.id]

    async def test_who_was_purged_belongs_nowhere(self, store: EventStore) -> None:
        workspace = await opened(store, uuid4())
        table, other = new_table(workspace.company_id), new_table(workspace.company_id)
        for each in (table, other):
            await store.append(command(each, joins=workspace.id))
        await store.append(command(rename(table), leaves=True))
        assert await members(store, workspace) == [other.id]

    async def test_who_was_nowhere_can_leave(self, store: EventStore) -> None:
        """As tables can that an earlier release wrote."""
        table = new_table(uuid4())
        await store.append(command(table))
        assert (await store.append(command(rename(table), leaves=True))).version == 2

    async def test_members_are_told_to_their_own_company_alone(self, store: EventStore) -> None:
        workspace = await opened(store, uuid4())
        await store.append(creation(workspace.company_id, joins=workspace.id))
        assert await members(store, workspace, company=uuid4()) == []
        assert len(await members(store, workspace)) == 1

    async def test_of_many_that_come_while_it_is_closed_none_is_behind_the_end(
        self, store: EventStore
    ) -> None:
        workspace = await opened(store, uuid4())
        creates = [creation(workspace.company_id, joins=workspace.id) for _ in range(200)]
        close = standing(deleted(workspace))
        answers = await at_once(store, [*creates[:100], close, *creates[100:]])
        end = answers.pop(100)
        assert isinstance(end, Receipt)
        assert_none_is_behind(end, answers)
        alive = {a.originator_id for a in answers if isinstance(a, Receipt)}
        assert set(await members(store, workspace)) == alive
        refused = [a for a in answers if not isinstance(a, Receipt)]
        again = await at_once(store, creates)
        assert not any(isinstance(a, Receipt) for a in again)
        assert {type(answer) for answer in refused} <= {ContainerClosed}

    async def test_of_many_that_come_before_it_is_opened_none_is_ahead_of_the_beginning(
        self, store: EventStore
    ) -> None:
        workspace = new_workspace(uuid4())
        creates = [creation(workspace.company_id, joins=workspace.id) for _ in range(40)]
        answers = await at_once(store, [*creates[:20], standing(workspace), *creates[20:]])
        beginning = answers.pop(20)
        assert isinstance(beginning, Receipt)
        kinds = Counter(map(type, answers))
        assert kinds[Receipt] + kinds[ContainerUnknown] == 40
        assert all(a.position > beginning.position for a in answers if isinstance(a, Receipt))


def assert_none_is_behind(end: Receipt, answers: list[Receipt | Exception]) -> None:
    """Each was in time, or was refused."""
    kinds = Counter(map(type, answers))
    assert kinds[Receipt] + kinds[ContainerClosed] == len(answers), kinds
    assert all(a.position < end.position for a in answers if isinstance(a, Receipt))


class TestInMemoryContainers(ContainersContract):
    @pytest.fixture
    def store(self) -> InMemoryEventStore:
        return InMemoryEventStore()


class TestPostgresContainers(ContainersContract):
    @pytest.fixture
    def store(self, postgres_store: ApiStore) -> ApiStore:
        return postgres_store


async def test_whoever_waits_for_the_lock_with_the_end_is_not_in_its_batch(
    postgres_store: ApiStore, owner: Connection[Any]
) -> None:
    """All of them lie in one queue, in front of the end and behind it."""
    for _ in range(3):
        workspace = await opened(postgres_store, uuid4())
        creates = [creation(workspace.company_id, joins=workspace.id) for _ in range(60)]
        close = standing(deleted(workspace))
        owner.execute(LOCK)
        first = asyncio.create_task(outcome(postgres_store, creation(uuid4())))
        await asyncio.sleep(0.02)  # it waits for the lock, and the others for it
        waiting = asyncio.create_task(
            at_once(postgres_store, [*creates[:30], close, *creates[30:]])
        )
        await asyncio.sleep(0.02)
        owner.execute(UNLOCK)
        assert isinstance(await first, Receipt)
        answers = await waiting
        end = answers.pop(30)
        assert isinstance(end, Receipt)
        assert_none_is_behind(end, answers)


async def test_of_many_processes_none_puts_a_table_behind_the_end(
    any_database: str, postgres_store: ApiStore
) -> None:
    """A workspace is closed and reopened while six others create tables in it all the time."""
    others = [PostgresEventStore(as_role(any_database, API_ROLE)) for _ in range(6)]
    workspace = await opened(postgres_store, uuid4())
    lives: list[tuple[int, int]] = []
    created: list[int] = []
    refused: Counter[type] = Counter()
    stop = asyncio.Event()

    async def create(store: PostgresEventStore) -> None:
        while not stop.is_set():
            answer = await outcome(store, creation(workspace.company_id, joins=workspace.id))
            if isinstance(answer, Receipt):
                created.append(answer.position)
            else:
                refused[type(answer)] += 1

    async def close_and_open() -> None:
        begin = 1
        while len(lives) < 25 or len(created) <= 100:
            await asyncio.sleep(0.01)
            end = (await postgres_store.append(standing(deleted(workspace)))).position
            lives.append((begin, end))
            await asyncio.sleep(0.005)
            begin = (await postgres_store.append(standing(restored(workspace)))).position
        lives.append((begin, EVER))
        stop.set()

    await asyncio.gather(close_and_open(), *(create(store) for store in others for _ in range(3)))
    for store in others:
        await store.close()
    assert refused.keys() == {ContainerClosed}
    for position in created:
        assert any(begin < position < end for begin, end in lives), position
