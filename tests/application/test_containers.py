"""A table comes alive only in a workspace that is there, or in the company while that is there."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from application.base import Outcome, Request
from application.companies import Companies
from application.errors import ContainerClosed, ContainerUnknown, Refused
from application.event_store.store import Append, IdempotencyKey
from application.table_defs import TableDefs
from application.workspaces import Workspaces
from domain.company_details import CompanyDetails
from domain.containers import workspace_aggregate
from domain.table_def import TableDef
from tests.application.callers import (
    OURS,
    THEIRS,
    WatchedStore,
    all_of,
    ask,
    called,
    changes,
    details,
    own,
)
from tests.domain.vocabulary import WORKSPACE, context

pytestmark = pytest.mark.anyio

OTHER, UNKNOWN = UUID(int=5), UUID(int=404)
Enter = Callable[[TableDefs, UUID, Request, UUID | None], Awaitable[Outcome]]


def told(workspace_id: UUID | None) -> dict[str, Any]:
    """A workspace as a client names it."""
    return {"workspaceId": workspace_id and str(workspace_id)}


async def create(
    tables: TableDefs, id: UUID, request: Request, workspace_id: UUID | None
) -> Outcome:
    return await tables.create(request, details("New", **told(workspace_id)))


async def move(tables: TableDefs, id: UUID, request: Request, workspace_id: UUID | None) -> Outcome:
    return await tables.change(id, request, changes(name="New", **told(workspace_id)))


async def duplicate(
    tables: TableDefs, id: UUID, request: Request, workspace_id: UUID | None
) -> Outcome:
    return await tables.duplicate(id, request, own(slug="new", **told(workspace_id)))


# The ways into a workspace, for an existing table of another one or for a new one.
every_way_in = pytest.mark.parametrize("enter", [create, move, duplicate])
every_request = pytest.mark.parametrize(
    "request_", [ask(), ask("k"), ask(dry_run=True)], ids=["request", "with a key", "rehearsal"]
)


@pytest.fixture
async def table(table_defs: TableDefs, workspaces: Workspaces) -> UUID:
    """A table in a workspace of its own, beside another one and a deleted one."""
    await workspaces.put(WORKSPACE, ask(), called("Sales"))
    await workspaces.put(OTHER, ask(), called("Purchasing"))
    outcome = await table_defs.create(ask(), details(**told(OTHER)))
    id: UUID = outcome.aggregate.id
    return id


async def refuses(
    store: WatchedStore, request: Request, use: Awaitable[Outcome], error: Refused
) -> None:
    """Nothing is stored, no key remembered and no slug taken."""
    stored = await store.everything()
    with pytest.raises(type(error)) as refused:
        await use
    assert refused.value == error
    assert await store.everything() == stored
    assert await store.free_slug(OURS, ["new"]) == "new"
    if request.idempotency:
        assert await store.recall(OURS, request.idempotency) is None


@every_way_in
@pytest.mark.parametrize("workspace_id", [WORKSPACE, None])
async def test_a_table_comes_alive_in_a_live_workspace_or_in_none(
    table_defs: TableDefs, table: UUID, enter: Enter, workspace_id: UUID | None
) -> None:
    rehearsed = await enter(table_defs, table, ask(dry_run=True), workspace_id)
    outcome = await enter(table_defs, table, ask(), workspace_id)
    assert outcome.aggregate.workspace_id == rehearsed.aggregate.workspace_id == workspace_id


@every_way_in
@every_request
async def test_a_table_does_not_come_alive_in_an_unknown_workspace(
    table_defs: TableDefs, store: WatchedStore, table: UUID, enter: Enter, request_: Request
) -> None:
    error = ContainerUnknown(workspace_aggregate(OURS, UNKNOWN))
    await refuses(store, request_, enter(table_defs, table, request_, UNKNOWN), error)


@every_way_in
async def test_a_workspace_of_another_company_is_unknown(
    table_defs: TableDefs, workspaces: Workspaces, store: WatchedStore, table: UUID, enter: Enter
) -> None:
    await workspaces.put(UNKNOWN, ask(company=THEIRS), called("Theirs"))
    error = ContainerUnknown(workspace_aggregate(OURS, UNKNOWN))
    await refuses(store, ask(), enter(table_defs, table, ask(), UNKNOWN), error)


@every_way_in
async def test_a_workspace_that_was_only_rehearsed_is_unknown(
    table_defs: TableDefs, workspaces: Workspaces, store: WatchedStore, table: UUID, enter: Enter
) -> None:
    await workspaces.put(UNKNOWN, ask(dry_run=True), called("Rehearsed"))
    error = ContainerUnknown(workspace_aggregate(OURS, UNKNOWN))
    await refuses(store, ask(), enter(table_defs, table, ask(), UNKNOWN), error)


@every_way_in
@every_request
async def test_a_table_does_not_come_alive_in_a_deleted_workspace_until_that_is_restored(
    table_defs: TableDefs,
    workspaces: Workspaces,
    store: WatchedStore,
    table: UUID,
    enter: Enter,
    request_: Request,
) -> None:
    await workspaces.delete(WORKSPACE, ask())
    error = ContainerClosed(workspace_aggregate(OURS, WORKSPACE), OURS)
    await refuses(store, request_, enter(table_defs, table, request_, WORKSPACE), error)
    await workspaces.restore(WORKSPACE, ask(dry_run=True))
    await refuses(store, request_, enter(table_defs, table, request_, WORKSPACE), error)
    await workspaces.restore(WORKSPACE, ask())
    assert (await enter(table_defs, table, request_, WORKSPACE)).events


@every_way_in
@every_request
async def test_a_table_without_workspace_does_not_come_alive_in_a_removed_company(
    table_defs: TableDefs,
    companies: Companies,
    store: WatchedStore,
    table: UUID,
    enter: Enter,
    request_: Request,
) -> None:
    await companies.register(ask(), CompanyDetails(name="Acme"))
    await companies.remove(ask())
    await refuses(
        store, request_, enter(table_defs, table, request_, None), ContainerClosed(OURS, OURS)
    )
    await companies.restore(ask())
    assert (await enter(table_defs, table, request_, None)).events


@every_way_in
@pytest.mark.parametrize("workspace_id", [WORKSPACE, None])
async def test_rehearsing_a_deletion_closes_nothing(
    table_defs: TableDefs,
    workspaces: Workspaces,
    companies: Companies,
    table: UUID,
    enter: Enter,
    workspace_id: UUID | None,
) -> None:
    await companies.register(ask(), CompanyDetails(name="Acme"))
    await companies.remove(ask(dry_run=True))
    await workspaces.delete(WORKSPACE, ask(dry_run=True))
    assert (await enter(table_defs, table, ask(), workspace_id)).events


# Coming back


@every_request
async def test_a_deleted_table_comes_back_only_into_a_live_workspace(
    table_defs: TableDefs,
    workspaces: Workspaces,
    store: WatchedStore,
    table: UUID,
    request_: Request,
) -> None:
    await table_defs.delete(table, ask())
    await workspaces.delete(OTHER, ask())
    error = ContainerClosed(workspace_aggregate(OURS, OTHER), OURS)
    await refuses(store, request_, table_defs.restore(table, request_), error)
    await workspaces.restore(OTHER, ask())
    assert (await table_defs.restore(table, request_)).events


@every_request
async def test_a_deleted_table_comes_back_only_into_a_company_that_is_there(
    table_defs: TableDefs,
    companies: Companies,
    store: WatchedStore,
    table: UUID,
    request_: Request,
) -> None:
    await companies.register(ask(), CompanyDetails(name="Acme"))
    await move(table_defs, table, ask(), None)
    await table_defs.change(table, ask(), changes(slug="kept"))
    await table_defs.delete(table, ask())
    await companies.remove(ask())
    await refuses(store, request_, table_defs.restore(table, request_), ContainerClosed(OURS, OURS))
    await companies.restore(ask())
    assert (await table_defs.restore(table, request_)).events


async def test_a_table_of_an_earlier_release_does_not_come_back_into_an_unknown_workspace(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    earlier = TableDef.create(UUID(int=9), details(**told(UNKNOWN)), "orders", context())
    await store.append(Append(OURS, earlier.id, 0, earlier.collect()))  # which knew no workspaces
    await table_defs.delete(earlier.id, ask())
    error = ContainerUnknown(workspace_aggregate(OURS, UNKNOWN))
    await refuses(store, ask(), table_defs.restore(earlier.id, ask()), error)


# What needs no live workspace


async def test_a_table_in_a_deleted_workspace_can_be_changed_moved_out_and_copied_elsewhere(
    table_defs: TableDefs, workspaces: Workspaces, table: UUID
) -> None:
    await workspaces.delete(OTHER, ask())
    assert (await table_defs.change(table, ask(), changes(name="Renamed"))).events
    with pytest.raises(ContainerClosed):
        await table_defs.duplicate(table, ask(), own())
    assert (await table_defs.duplicate(table, ask(), own(**told(None)))).events
    assert (await move(table_defs, table, ask(), WORKSPACE)).events


async def test_a_table_in_a_deleted_workspace_can_be_deleted_and_purged(
    table_defs: TableDefs, workspaces: Workspaces, table: UUID
) -> None:
    await workspaces.delete(OTHER, ask())
    assert (await table_defs.delete(table, ask())).events
    assert (await table_defs.purge(table, ask())).events


async def test_a_company_that_nobody_registered_has_tables_and_workspaces_all_the_same(
    table_defs: TableDefs, workspaces: Workspaces
) -> None:
    await workspaces.put(WORKSPACE, ask(company=THEIRS), called("Theirs"))
    for workspace_id in (WORKSPACE, None):
        created = await table_defs.create(ask(company=THEIRS), details(**told(workspace_id)))
        assert created.events


async def test_whoever_asks_while_the_workspace_is_being_deleted_is_in_before_or_refused(
    table_defs: TableDefs, workspaces: Workspaces, store: WatchedStore, table: UUID
) -> None:
    entering = [create(table_defs, table, ask(), WORKSPACE) for _ in range(20)]
    outcomes = await all_of([*entering[:10], workspaces.delete(WORKSPACE, ask()), *entering[10:]])
    deletion = outcomes.pop(10)
    assert isinstance(deletion, Outcome)
    for outcome in outcomes:
        if isinstance(outcome, Outcome):
            assert outcome.receipt.position < deletion.receipt.position
        else:
            assert outcome == ContainerClosed(deletion.aggregate.id, OURS)


async def test_a_refusal_by_a_workspace_is_not_remembered_under_the_key(
    table_defs: TableDefs, workspaces: Workspaces, store: WatchedStore, table: UUID
) -> None:
    with pytest.raises(ContainerUnknown):
        await create(table_defs, table, ask("k"), UNKNOWN)
    assert await store.recall(OURS, IdempotencyKey("k", "")) is None
    await workspaces.put(UNKNOWN, ask(), called("Known now"))
    assert not (await create(table_defs, table, ask("k"), UNKNOWN)).receipt.replayed
