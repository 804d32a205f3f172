"""Putting a table back to a version or a moment: what is found, refused, and stored."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from application.base import Outcome, Request
from application.earlier import Earlier
from application.errors import ContainerClosed, Refused
from application.table_defs import SlugHeld, TableDefs
from application.workspaces import Workspaces
from domain.containers import workspace_aggregate
from domain.errors import DomainError, InvalidValue, NotFound, TableDeleted, TablePurged
from domain.recorded import Recorded
from domain.table_def import TableDef
from domain.table_details import FIELDS, Facet
from tests.application.callers import OURS, THEIRS, WatchedStore, ask, called, changes, details
from tests.domain.vocabulary import WORKSPACE

pytestmark = pytest.mark.anyio

MOVED = {"workspaceId": None, "slug": "sales", "name": "Sales"}


def now(request: Request | None = None) -> Request:
    """A request of this moment, as the store's clock has it."""
    request = request or ask()
    return replace(request, context=replace(request.context, occurred_at=datetime.now(UTC)))


@pytest.fixture
async def table(table_defs: TableDefs, workspaces: Workspaces) -> UUID:
    """A table that has another name and slug, and left its workspace."""
    await workspaces.put(WORKSPACE, ask(), called("Sales"))
    outcome = await table_defs.create(ask(), details(workspaceId=str(WORKSPACE)))
    id: UUID = outcome.aggregate.id
    await table_defs.change(id, ask(), changes(**MOVED))
    return id


def shown(outcome: Outcome) -> Sequence[Any]:
    return [getattr(outcome.aggregate, field) for field in ("name", "slug", "workspace_id")]


async def test_a_version_comes_back_in_one_append(
    table_defs: TableDefs, store: WatchedStore, table: UUID
) -> None:
    store.appends = 0
    outcome = await table_defs.revert(table, ask(), Earlier(version=1))
    assert shown(outcome) == ["Orders", "orders", WORKSPACE]
    assert [type(event) for event in outcome.events] == [
        TableDef.Renamed, TableDef.SlugChanged, TableDef.MovedToWorkspace,
    ]  # fmt: skip
    assert (outcome.aggregate.version, outcome.receipt.version, store.appends) == (7, 7, 1)
    assert await store.free_slug(OURS, ["orders", "sales"]) == "sales"
    again = await table_defs.revert(table, ask(), Earlier(version=1))
    assert (again.events, again.aggregate.version, store.appends) == ((), 7, 1)


async def test_a_version_in_the_middle_of_a_change_comes_back(
    table_defs: TableDefs, table: UUID
) -> None:
    outcome = await table_defs.revert(table, ask(), Earlier(version=2))
    assert shown(outcome) == ["Sales", "orders", WORKSPACE]


async def test_a_moment_is_the_last_event_until_then(
    table_defs: TableDefs, store: WatchedStore, table: UUID
) -> None:
    recorded = await store.load(OURS, table)
    for moment, name in (
        (recorded[0].recorded_at, "Orders"),
        (recorded[1].recorded_at - timedelta(microseconds=1), "Orders"),
        (recorded[-1].recorded_at, "Sales"),
        (datetime.now(UTC), "Sales"),
    ):
        dry = now(ask(dry_run=True))
        outcome = await table_defs.revert(table, dry, Earlier(as_of=moment))
        assert outcome.aggregate.name == name


async def test_what_was_recorded_until_then_counts_even_if_it_comes_meanwhile(
    table_defs: TableDefs, store: WatchedStore, table: UUID
) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=1)
    request = replace(ask(), context=replace(ask().context, occurred_at=moment))
    async with table_defs.turns.of(table):
        reverting = asyncio.create_task(
            table_defs.revert(table, request, Earlier(as_of=moment), ["name"])
        )
        await asyncio.sleep(0.01)
        await TableDefs(store).change(table, ask(), changes(name="Meanwhile"))
    outcome = await reverting
    assert (outcome.aggregate.name, outcome.events) == ("Meanwhile", ())


@pytest.mark.parametrize(
    ("earlier", "pointer", "code"),
    [
        (Earlier(version=0), "/version", "too-early"),
        (Earlier(version=-1), "/version", "too-early"),
        (Earlier(version=5), "/version", "future"),
        (Earlier(as_of=datetime(2026, 1, 1, tzinfo=UTC)), "/asOf", "too-early"),
        (Earlier(as_of=datetime(9999, 12, 31, tzinfo=UTC)), "/asOf", "future"),
    ],
)
async def test_there_is_nothing_before_the_beginning_and_beyond_the_present(
    table_defs: TableDefs, store: WatchedStore, table: UUID,
    earlier: Earlier, pointer: str, code: str,
) -> None:  # fmt: skip
    error = await refused(table_defs, store, table, ask("k"), earlier, InvalidValue)
    assert (error.pointer, error.code) == (pointer, code)


async def refused(
    table_defs: TableDefs, store: WatchedStore, table: UUID, request: Request, earlier: Earlier,
    kind: type[Exception], facets: Sequence[Facet] = tuple(FIELDS),
) -> Any:  # fmt: skip
    """The error; nothing is stored, also not the key."""
    stored: list[Recorded] = await store.everything()
    with pytest.raises(kind) as found:
        await table_defs.revert(table, request, earlier, facets)
    assert await store.everything() == stored
    assert request.idempotency is None or await store.recall(OURS, request.idempotency) is None
    return found.value


async def test_a_version_at_which_it_was_deleted_is_refused(
    table_defs: TableDefs, store: WatchedStore, table: UUID
) -> None:
    await table_defs.delete(table, ask())
    deleted_at = (await store.load(OURS, table))[-1].recorded_at
    await table_defs.restore(table, ask())
    for earlier, pointer in (
        (Earlier(version=5), "/version"),
        (Earlier(as_of=deleted_at), "/asOf"),
    ):
        error = await refused(table_defs, store, table, now(), earlier, InvalidValue)
        assert (error.pointer, error.code) == (pointer, "deleted")


async def test_a_deleted_table_is_restored_first(
    table_defs: TableDefs, store: WatchedStore, table: UUID
) -> None:
    await table_defs.delete(table, ask())
    await refused(table_defs, store, table, ask(), Earlier(version=1), TableDeleted)
    await table_defs.restore(table, ask())
    assert (await table_defs.revert(table, ask(), Earlier(version=1))).events
    await table_defs.delete(table, ask())
    await table_defs.purge(table, ask())
    await refused(table_defs, store, table, ask(), Earlier(version=1), TablePurged)


async def test_another_companys_table_is_not_found(
    table_defs: TableDefs, store: WatchedStore, table: UUID
) -> None:
    for earlier in (Earlier(version=1), Earlier(version=99)):
        error: type[DomainError] = NotFound
        await refused(table_defs, store, table, ask(company=THEIRS), earlier, error)


@pytest.mark.parametrize("request_", [ask(), ask("k"), ask(dry_run=True)])
async def test_a_slug_that_another_table_has_now_is_refused_until_it_is_left_out(
    table_defs: TableDefs, store: WatchedStore, table: UUID, request_: Request
) -> None:
    holder = (await table_defs.create(ask(), details(slug="orders"))).aggregate
    error = await refused(table_defs, store, table, request_, Earlier(version=1), SlugHeld)
    assert error == SlugHeld("orders", holder.id, None, "orders-2")
    others: list[Facet] = [facet for facet in FIELDS if facet != "slug"]
    outcome = await table_defs.revert(table, request_, Earlier(version=1), others)
    assert shown(outcome) == ["Orders", "sales", WORKSPACE]


@pytest.mark.parametrize("request_", [ask(), ask("k"), ask(dry_run=True)])
async def test_a_workspace_that_is_deleted_now_is_refused_until_it_is_left_out(
    table_defs: TableDefs, workspaces: Workspaces, store: WatchedStore, table: UUID,
    request_: Request,
) -> None:  # fmt: skip
    await workspaces.delete(WORKSPACE, ask())
    error: Refused = await refused(
        table_defs, store, table, request_, Earlier(version=1), ContainerClosed
    )
    assert error == ContainerClosed(workspace_aggregate(OURS, WORKSPACE), OURS)
    others: list[Facet] = [facet for facet in FIELDS if facet != "workspaceId"]
    outcome = await table_defs.revert(table, request_, Earlier(version=1), others)
    assert shown(outcome) == ["Orders", "orders", None]
