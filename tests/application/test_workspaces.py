"""What people do with workspaces: under ids of their own, with retries and rehearsals."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from application.base import Outcome, Request, Stale
from application.companies import Companies
from application.errors import ContainerClosed, KeyReused
from application.event_store.store import IdempotencyKey
from application.workspaces import Workspaces
from domain.company_details import CompanyDetails, WorkspaceChanges
from domain.errors import NotFound, WorkspaceDeleted
from domain.workspace import Workspace
from tests.application.callers import OURS, THEIRS, WatchedStore, all_of, ask, called
from tests.domain.vocabulary import NOON, WORKSPACE, parsed, state

pytestmark = pytest.mark.anyio

Use = Callable[[Workspaces, UUID, Request], Awaitable[Outcome]]


async def rename(workspaces: Workspaces, id: UUID, request: Request) -> Outcome:
    return await workspaces.change(id, request, parsed(WorkspaceChanges, name="Purchasing"))


async def put(workspaces: Workspaces, id: UUID, request: Request) -> Outcome:
    return await workspaces.put(id, request, called("Purchasing"))


delete, restore = Workspaces.delete, Workspaces.restore

# Each use of an existing workspace, after the uses without which it would record nothing.
USES: dict[str, tuple[list[Use], Use]] = {
    "rename": ([], rename),
    "put": ([], put),
    "delete": ([], delete),
    "restore": ([delete], restore),
}
every_use = pytest.mark.parametrize(("before", "use"), USES.values(), ids=USES)
every_use_of_what_is_there = pytest.mark.parametrize(
    ("before", "use"), [pytest.param(*u, id=name) for name, u in USES.items() if name != "put"]
)


async def prepared(workspaces: Workspaces, before: list[Use]) -> UUID:
    workspace: Workspace = (await workspaces.create(ask(), called("Sales"))).aggregate
    for use in before:
        await use(workspaces, workspace.workspace_id, ask())
    return workspace.workspace_id


# Creating


async def test_creating_stores_one_event_and_gives_a_receipt(
    workspaces: Workspaces, store: WatchedStore
) -> None:
    outcome = await workspaces.create(ask(), called("Größe"))
    (recorded,) = await store.everything()
    assert (outcome.aggregate.name, outcome.began) == ("Größe", True)
    assert outcome.receipt.originator_id == outcome.aggregate.id == recorded.event.originator_id
    assert (outcome.receipt.version, outcome.receipt.position) == (1, recorded.position)
    assert [type(event) for event in outcome.events] == [Workspace.Created]
    assert recorded.company_id == OURS


async def test_two_workspaces_may_have_one_name(workspaces: Workspaces) -> None:
    ids = {await prepared(workspaces, []) for _ in range(3)}
    assert len(ids) == 3


async def test_putting_creates_what_is_not_there_under_the_id_that_was_given(
    workspaces: Workspaces, store: WatchedStore
) -> None:
    outcome = await workspaces.put(WORKSPACE, ask(), called("Sales"))
    assert (outcome.aggregate.workspace_id, outcome.aggregate.name) == (WORKSPACE, "Sales")
    assert (outcome.began, len(await store.everything())) == (True, 1)


async def test_putting_the_same_again_stores_nothing(
    workspaces: Workspaces, store: WatchedStore
) -> None:
    await workspaces.put(WORKSPACE, ask(), called("Sales"))
    again = await workspaces.put(WORKSPACE, ask(), called("Sales"))
    assert (again.began, again.receipt.version, again.events) == (False, 1, ())
    assert len(await store.everything()) == 1


async def test_putting_another_name_renames(workspaces: Workspaces) -> None:
    await workspaces.put(WORKSPACE, ask(), called("Sales"))
    again = await workspaces.put(WORKSPACE, ask(), called("Purchasing"))
    assert (again.began, again.aggregate.name) == (False, "Purchasing")
    assert [type(event) for event in again.events] == [Workspace.Renamed]


@pytest.mark.parametrize("name", ["Sales", "Purchasing"])
async def test_putting_what_is_deleted_is_refused(
    workspaces: Workspaces, store: WatchedStore, name: str
) -> None:
    await workspaces.put(WORKSPACE, ask(), called("Sales"))
    await workspaces.delete(WORKSPACE, ask())
    with pytest.raises(WorkspaceDeleted) as refused:
        await workspaces.put(WORKSPACE, ask(), called(name))
    assert (refused.value.workspace_id, refused.value.deleted_at) == (WORKSPACE, NOON)
    assert len(await store.everything()) == 2


async def test_of_fifty_who_put_at_once_in_two_processes_one_creates(
    workspaces: Workspaces, store: WatchedStore
) -> None:
    elsewhere = Workspaces(store)
    outcomes = await all_of(
        process.put(WORKSPACE, ask(), called("Sales"))
        for _ in range(25)
        for process in (workspaces, elsewhere)
    )
    began = [outcome.began for outcome in outcomes if isinstance(outcome, Outcome)]
    assert sorted(began) == [False] * 49 + [True]
    assert len(await store.everything()) == 1


# Changing, deleting, restoring


async def test_each_use_stores_one_event(workspaces: Workspaces, store: WatchedStore) -> None:
    id = await prepared(workspaces, [])
    outcomes = [await use(workspaces, id, ask()) for use in (rename, delete, restore)]
    assert [type(event) for outcome in outcomes for event in outcome.events] == [
        Workspace.Renamed,
        Workspace.Deleted,
        Workspace.Restored,
    ]
    assert [outcome.receipt.version for outcome in outcomes] == [2, 3, 4]
    assert (outcomes[-1].aggregate.name, outcomes[-1].aggregate.deleted_at) == ("Purchasing", None)


@every_use
async def test_each_use_again_stores_nothing(
    workspaces: Workspaces, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(workspaces, [*before, use])
    stored = await store.everything()
    again = await use(workspaces, id, ask())
    assert (again.events, again.receipt.version) == ((), len(stored))
    assert await store.everything() == stored


@pytest.mark.parametrize("use", [rename, put])
async def test_a_deleted_workspace_refuses_a_new_name(workspaces: Workspaces, use: Use) -> None:
    id = await prepared(workspaces, [delete])
    with pytest.raises(WorkspaceDeleted):
        await use(workspaces, id, ask())


@every_use_of_what_is_there
async def test_a_stale_request_is_refused(
    workspaces: Workspaces, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(workspaces, before)
    stored = await store.everything()
    with pytest.raises(Stale):
        await use(workspaces, id, ask(if_match=[len(stored) + 1]))
    assert await store.everything() == stored
    assert (await use(workspaces, id, ask(if_match=[len(stored)]))).events


# Idempotency keys


async def test_the_same_creation_again_is_the_same_workspace(
    workspaces: Workspaces, store: WatchedStore
) -> None:
    first, second = [await workspaces.create(ask("k", "body"), called("Sales")) for _ in range(2)]
    assert (first.receipt.replayed, second.receipt.replayed) == (False, True)
    assert (first.began, second.began) == (True, True)
    assert state(second.aggregate) == state(first.aggregate)
    assert len(await store.everything()) == 1


async def test_a_putting_that_created_is_replayed_as_one_after_the_workspace_was_deleted(
    workspaces: Workspaces,
) -> None:
    first = await workspaces.put(WORKSPACE, ask("k"), called("Sales"))
    same = await workspaces.put(WORKSPACE, ask("l"), called("Sales"))
    await workspaces.delete(WORKSPACE, ask())
    for key, before in (("k", first), ("l", same)):
        again = await workspaces.put(WORKSPACE, ask(key), called("Sales"))
        assert (again.receipt.replayed, again.began) == (True, before.began)
        assert state(again.aggregate) == state(before.aggregate)


@every_use
async def test_the_same_request_again_gets_the_same_answer_whatever_happened_since(
    workspaces: Workspaces, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(workspaces, before)
    first = await use(workspaces, id, ask("k", "body"))
    for later in (restore, delete, restore, delete):
        await later(workspaces, id, ask())
    stored = await store.everything()
    second = await use(workspaces, id, ask("k", "body"))
    assert (first.receipt.replayed, second.receipt.replayed) == (False, True)
    assert state(second.aggregate) == state(first.aggregate)
    assert second.receipt.position == first.receipt.position
    assert await store.everything() == stored


@every_use
async def test_a_key_is_refused_for_another_request(
    workspaces: Workspaces, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(workspaces, before)
    await workspaces.create(ask("k", "one"), called("Other"))
    stored = await store.everything()
    with pytest.raises(KeyReused):
        await use(workspaces, id, ask("k", "two"))
    with pytest.raises(KeyReused):
        await workspaces.create(ask("k", "two"), called("Sales"))
    assert await store.everything() == stored


async def test_fifty_at_once_with_one_key_create_one_workspace(
    workspaces: Workspaces, store: WatchedStore
) -> None:
    elsewhere = Workspaces(store)
    outcomes = await all_of(
        process.create(ask("k"), called("Sales"))
        for _ in range(25)
        for process in (workspaces, elsewhere)
    )
    receipts = [outcome.receipt for outcome in outcomes if isinstance(outcome, Outcome)]
    assert sorted(receipt.replayed for receipt in receipts) == [False] + [True] * 49
    assert len(await store.everything()) == 1


# Rehearsals


async def test_rehearsing_a_creation_stores_neither_event_nor_key(
    workspaces: Workspaces, store: WatchedStore
) -> None:
    for outcome in (
        await workspaces.create(ask("k", dry_run=True), called("Sales")),
        await workspaces.put(WORKSPACE, ask("k", dry_run=True), called("Sales")),
    ):
        assert [type(event) for event in outcome.events] == [Workspace.Created]
        assert outcome.began
    await nothing_is_kept(store, [])


@every_use
async def test_rehearsing_stores_neither_event_nor_key(
    workspaces: Workspaces, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(workspaces, before)
    stored = await store.everything()
    rehearsed = await use(workspaces, id, ask("k", dry_run=True))
    await nothing_is_kept(store, stored)
    done = await use(workspaces, id, ask("k"))
    assert done.aggregate.version == rehearsed.aggregate.version
    assert [type(event) for event in done.events] == [type(event) for event in rehearsed.events]


async def nothing_is_kept(store: WatchedStore, stored: list[Any]) -> None:
    assert await store.everything() == stored
    assert await store.recall(OURS, IdempotencyKey("k", "")) is None


# Strangers


@every_use_of_what_is_there
async def test_another_company_finds_nothing_under_our_ids(
    workspaces: Workspaces, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(workspaces, before)
    stored = await store.everything()
    for unknown in (id, UUID(int=404)):
        for request in (
            ask(company=THEIRS),
            ask("k", company=THEIRS),
            ask(company=THEIRS, if_match=[99]),
            ask(company=THEIRS, dry_run=True),
        ):
            with pytest.raises(NotFound):
                await use(workspaces, unknown, request)
    assert await store.everything() == stored


async def test_another_company_may_use_the_id_of_ours_and_touches_nothing_of_it(
    workspaces: Workspaces, store: WatchedStore
) -> None:
    ours = await workspaces.put(WORKSPACE, ask(), called("Sales"))
    theirs = await workspaces.put(WORKSPACE, ask(company=THEIRS), called("Theirs"))
    assert theirs.began
    await workspaces.delete(WORKSPACE, ask(company=THEIRS))
    assert len(await store.load(OURS, ours.aggregate.id)) == 1
    assert len(await store.load(THEIRS, theirs.aggregate.id)) == 2


# In a removed company


async def test_no_workspace_comes_alive_in_a_removed_company(
    workspaces: Workspaces, companies: Companies, store: WatchedStore
) -> None:
    id = await prepared(workspaces, [delete])
    await companies.register(ask(), CompanyDetails(name="Acme"))
    await companies.remove(ask())
    stored = await store.everything()
    for request in (ask(), ask("k"), ask(dry_run=True)):
        for refused in (
            workspaces.create(request, called("Sales")),
            workspaces.put(WORKSPACE, request, called("Sales")),
            workspaces.restore(id, request),
        ):
            with pytest.raises(ContainerClosed) as closed:
                await refused
            assert closed.value.container_id == OURS
    assert await store.everything() == stored
    await companies.restore(ask())
    assert (await workspaces.restore(id, ask())).events
    assert (await workspaces.create(ask("k"), called("Sales"))).began
