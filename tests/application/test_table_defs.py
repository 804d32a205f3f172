"""What people do with table definitions: slugs, retries, preconditions, rehearsals."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from application.base import Outcome, Request, Stale, existing
from application.earlier import Earlier
from application.errors import AppendBusy, KeyReused, VersionConflict
from application.event_store.store import IdempotencyKey
from application.table_defs import SlugHeld, TableDefs
from domain.errors import InvalidValue, NotDeleted, NotFound, TableDeleted, TablePurged
from domain.table_def import TableDef
from tests.application.callers import (
    OURS,
    THEIRS,
    WatchedStore,
    all_of,
    ask,
    changes,
    details,
    own,
)
from tests.domain.vocabulary import NOON, state

pytestmark = pytest.mark.anyio

Use = Callable[[TableDefs, UUID, Request], Awaitable[Outcome]]


async def rename(tables: TableDefs, id: UUID, request: Request) -> Outcome:
    return await tables.change(id, request, changes(name="Sales"))


async def move(tables: TableDefs, id: UUID, request: Request) -> Outcome:
    return await tables.change(id, request, changes(slug="sales"))


async def duplicate(tables: TableDefs, id: UUID, request: Request) -> Outcome:
    return await tables.duplicate(id, request, own())


async def revert(tables: TableDefs, id: UUID, request: Request) -> Outcome:
    return await tables.revert(id, request, Earlier(version=1))


delete, restore, purge = TableDefs.delete, TableDefs.restore, TableDefs.purge

# Each use of an existing table, after the uses that bring it to where this one records something.
USES: dict[str, tuple[list[Use], Use]] = {
    "rename": ([], rename),
    "change the slug": ([], move),
    "delete": ([], delete),
    "restore": ([delete], restore),
    "purge": ([delete], purge),
    "duplicate": ([], duplicate),
    "revert": ([rename], revert),
}
every_use = pytest.mark.parametrize(("before", "use"), USES.values(), ids=USES)
every_conditional_use = pytest.mark.parametrize(
    ("before", "use"),
    [pytest.param(*u, id=name) for name, u in USES.items() if name != "duplicate"],
)


async def created(table_defs: TableDefs, name: str = "Orders", **fields: Any) -> TableDef:
    outcome = await table_defs.create(ask(), details(name, **fields))
    table: TableDef = outcome.aggregate
    return table


async def prepared(table_defs: TableDefs, before: list[Use]) -> UUID:
    table = await created(table_defs)
    for use in before:
        await use(table_defs, table.id, ask())
    return table.id


def numbered(first: int, last: int) -> list[str]:
    return [f"orders-{n}" if n > 1 else "orders" for n in range(first, last + 1)]


def slugs_of(outcomes: list[Any]) -> list[str]:
    """The slugs that were given, by their number; fails on an error among the outcomes."""
    given: list[str] = [outcome.aggregate.slug for outcome in outcomes]
    return sorted(given, key=lambda slug: (len(slug), slug))


# Creating


async def test_creating_stores_one_event_and_gives_a_receipt(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    outcome = await table_defs.create(ask(), details("Größe", icon="📏"))
    (recorded,) = await store.everything()
    assert (outcome.aggregate.name, outcome.aggregate.slug) == ("Größe", "grosse")
    assert outcome.receipt.originator_id == outcome.aggregate.id == recorded.event.originator_id
    assert (outcome.receipt.version, outcome.receipt.position) == (1, recorded.position)
    assert not outcome.receipt.replayed
    assert [type(event) for event in outcome.events] == [TableDef.Created]
    assert recorded.company_id == OURS


async def test_settings_beyond_a_limit_store_nothing(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    with pytest.raises(InvalidValue):
        await table_defs.create(ask(), details(settings={f"k{n}": n for n in range(101)}))
    assert await store.everything() == []
    assert (await created(table_defs)).slug == "orders"


async def test_a_second_table_of_the_same_name_gets_a_numbered_slug(table_defs: TableDefs) -> None:
    assert [(await created(table_defs)).slug for _ in range(3)] == numbered(1, 3)


async def test_slugs_are_apart_between_companies(table_defs: TableDefs) -> None:
    await created(table_defs)
    theirs = await table_defs.create(ask(company=THEIRS), details(slug="orders"))
    assert theirs.aggregate.slug == "orders"


async def test_a_hundred_at_once_get_the_first_hundred_slugs(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    outcomes = await all_of(table_defs.create(ask(), details()) for _ in range(100))
    assert slugs_of(outcomes) == numbered(1, 100)
    assert store.appends == 100


async def test_the_next_hundred_at_once_get_the_next_hundred_slugs_in_a_few_rounds(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    await all_of(table_defs.create(ask(), details()) for _ in range(100))
    store.appends = 0
    outcomes = await all_of(table_defs.create(ask(), details()) for _ in range(100))
    assert slugs_of(outcomes) == numbered(101, 200)
    assert store.appends <= 300


async def test_a_hundred_at_once_in_two_processes_get_the_first_hundred_slugs(
    table_defs: TableDefs, elsewhere: TableDefs
) -> None:
    outcomes = await all_of(
        tables.create(ask(), details()) for _ in range(50) for tables in (table_defs, elsewhere)
    )
    assert slugs_of(outcomes) == numbered(1, 100)


async def test_a_hundred_at_once_with_keys_like_slugs_do_not_wait_for_each_other_for_ever(
    table_defs: TableDefs,
) -> None:
    await created(table_defs)
    async with asyncio.timeout(5):
        outcomes = await all_of(
            table_defs.create(ask(key, key), details()) for key in ["orders", *numbered(2, 20)]
        )
    assert slugs_of(outcomes) == numbered(2, 21)


async def test_a_suggested_slug_is_what_a_new_table_gets(table_defs: TableDefs) -> None:
    await created(table_defs)
    await created(table_defs)
    suggestion = await table_defs.suggest_slug(OURS, "Orders")
    assert suggestion == "orders-3"
    assert (await created(table_defs)).slug == suggestion
    assert await table_defs.suggest_slug(THEIRS, "Orders") == "orders"


async def test_a_slug_that_somebody_is_just_getting_is_not_suggested(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    store.open.clear()
    creation = asyncio.create_task(table_defs.create(ask(), details()))
    await asyncio.sleep(0)
    assert await table_defs.suggest_slug(OURS, "Orders") == "orders-2"
    assert await table_defs.suggest_slug(THEIRS, "Orders") == "orders"
    store.open.set()
    assert (await creation).aggregate.slug == "orders"


async def test_a_slug_that_is_asked_for_and_taken_is_refused_with_its_holder(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    holder = await created(table_defs)
    await created(table_defs)
    with pytest.raises(SlugHeld) as refused:
        await table_defs.create(ask(), details("Mine", slug="orders"))
    assert refused.value == SlugHeld("orders", holder.id, None, "orders-3")
    assert len(await store.everything()) == 2
    taken = await table_defs.create(ask(), details("Mine", slug=refused.value.suggestion))
    assert taken.aggregate.slug == "orders-3"


async def test_a_deleted_table_keeps_its_slug_and_the_refusal_says_so(
    table_defs: TableDefs,
) -> None:
    holder = await created(table_defs)
    await table_defs.delete(holder.id, ask())
    with pytest.raises(SlugHeld) as refused:
        await table_defs.create(ask(), details(slug="orders"))
    assert refused.value == SlugHeld("orders", holder.id, NOON, "orders-2")
    assert (await created(table_defs)).slug == "orders-2"


async def test_of_a_hundred_who_ask_for_one_slug_at_once_one_gets_it(
    table_defs: TableDefs, elsewhere: TableDefs
) -> None:
    outcomes = await all_of(
        tables.create(ask(), details(slug="orders"))
        for _ in range(50)
        for tables in (table_defs, elsewhere)
    )
    (winner,) = [o for o in outcomes if isinstance(o, Outcome)]
    losers = [o for o in outcomes if isinstance(o, SlugHeld)]
    assert [loser.holder_id for loser in losers] == [winner.aggregate.id] * 99


# Changing


async def test_changing_facets_is_one_append(table_defs: TableDefs, store: WatchedStore) -> None:
    table = await created(table_defs)
    store.appends = 0
    outcome = await table_defs.change(
        table.id, ask(), changes(name="Sales", color="#AABBCC", settings={"enableForm": True})
    )
    assert (outcome.receipt.version, outcome.receipt.position, store.appends) == (4, 4, 1)
    assert [type(event) for event in outcome.events] == [
        TableDef.Renamed,
        TableDef.AppearanceChanged,
        TableDef.SettingsChanged,
    ]
    recorded = await store.load(OURS, table.id)
    assert [r.event.originator_version for r in recorded] == [1, 2, 3, 4]
    assert {r.recorded_at for r in recorded[1:]} == {outcome.receipt.recorded_at}


async def test_a_change_of_nothing_stores_nothing_and_says_where_the_table_is(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    table = await created(table_defs)
    await created(table_defs)
    outcome = await table_defs.change(table.id, ask(), changes(name="Orders"))
    assert (outcome.receipt.version, outcome.receipt.position, outcome.events) == (1, 1, ())
    assert len(await store.everything()) == 2


async def test_a_changed_slug_is_held_and_the_old_one_is_free(table_defs: TableDefs) -> None:
    table = await created(table_defs)
    await table_defs.change(table.id, ask(), changes(slug="sales"))
    assert (await created(table_defs)).slug == "orders"
    with pytest.raises(SlugHeld):
        await table_defs.create(ask(), details(slug="sales"))


async def test_a_slug_that_another_table_holds_refuses_the_whole_change(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    holder, table = await created(table_defs), await created(table_defs)
    with pytest.raises(SlugHeld) as refused:
        await table_defs.change(table.id, ask(), changes(name="Sales", slug="orders"))
    assert (refused.value.holder_id, refused.value.suggestion) == (holder.id, "orders-3")
    assert len(await store.load(OURS, table.id)) == 1


async def test_two_tables_can_swap_their_slugs_by_way_of_a_third(table_defs: TableDefs) -> None:
    one, two = await created(table_defs, "One"), await created(table_defs, "Two")
    for table, slug in ((one, "three"), (two, "one"), (one, "two")):
        await table_defs.change(table.id, ask(), changes(slug=slug))
    for slug, holder in (("one", two), ("two", one)):
        with pytest.raises(SlugHeld) as refused:
            await table_defs.create(ask(), details(slug=slug))
        assert refused.value.holder_id == holder.id
    assert (await created(table_defs, "Three")).slug == "three"


async def test_a_hundred_changes_at_once_all_happen_one_after_the_other(
    table_defs: TableDefs, elsewhere: TableDefs, store: WatchedStore
) -> None:
    table = await created(table_defs)
    outcomes = await all_of(
        tables.change(table.id, ask(), changes(settings={f"k{n}": n}))
        for n in range(50)
        for tables in (table_defs, elsewhere)
    )
    versions = {outcome.receipt.version for outcome in outcomes if isinstance(outcome, Outcome)}
    assert len([o for o in outcomes if isinstance(o, Outcome)]) == 100
    recorded = await store.load(OURS, table.id)
    assert [r.event.originator_version for r in recorded] == list(range(1, 52))
    assert versions == set(range(2, 52))


async def test_who_loses_every_race_is_told_to_come_back(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    table = await created(table_defs)
    store.failures = [VersionConflict(7) for _ in range(1_000)]
    with pytest.raises(AppendBusy):
        await rename(table_defs, table.id, ask())


# Deleting, restoring, purging


async def test_deleting_and_restoring_bring_back_what_was_there(table_defs: TableDefs) -> None:
    table = await created(table_defs, description="Everything.", settings={"a": [1]})
    deleted = await table_defs.delete(table.id, ask())
    restored = await table_defs.restore(table.id, ask())
    assert deleted.aggregate.deleted_at == NOON
    assert state(restored.aggregate) == state(table) | {"_version": 3}


@pytest.mark.parametrize(("before", "use"), [([delete], delete), ([], restore)])
async def test_deleting_or_restoring_twice_stores_nothing_more(
    table_defs: TableDefs, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(table_defs, before)
    outcome = await use(table_defs, id, ask())
    assert outcome.receipt.version == 1 + len(before) == len(await store.everything())


async def test_purging_frees_the_slug(table_defs: TableDefs) -> None:
    id = await prepared(table_defs, [delete, purge])
    again = await table_defs.create(ask(), details(slug="orders"))
    assert again.aggregate.slug == "orders"
    assert again.aggregate.id != id


async def test_a_live_table_is_not_purged(table_defs: TableDefs, store: WatchedStore) -> None:
    id = await prepared(table_defs, [])
    with pytest.raises(NotDeleted):
        await table_defs.purge(id, ask())
    assert len(await store.everything()) == 1


@every_use
async def test_a_purged_table_refuses_everything(
    table_defs: TableDefs, before: list[Use], use: Use
) -> None:
    id = await prepared(table_defs, [delete, purge])
    with pytest.raises(TablePurged):
        await use(table_defs, id, ask())


# Duplicating


async def test_a_copy_is_a_table_of_its_own(table_defs: TableDefs, store: WatchedStore) -> None:
    original = await created(table_defs, icon="📦", settings={"enableForm": True})
    copies = [(await duplicate(table_defs, original.id, ask())).aggregate for _ in range(2)]
    assert [(c.name, c.slug) for c in copies] == [
        ("Orders copy", "orders-copy"),
        ("Orders copy", "orders-copy-2"),
    ]
    assert (copies[0].icon, copies[0].settings, copies[0].version) == ("📦", original.settings, 1)
    assert len({original.id, *(c.id for c in copies)}) == 3
    assert len(await store.load(OURS, original.id)) == 1


async def test_a_copy_with_a_slug_that_is_taken_is_refused(table_defs: TableDefs) -> None:
    original = await created(table_defs)
    with pytest.raises(SlugHeld):
        await table_defs.duplicate(original.id, ask(), own(slug="orders"))


async def test_a_deleted_table_is_not_copied(table_defs: TableDefs) -> None:
    id = await prepared(table_defs, [delete])
    with pytest.raises(TableDeleted):
        await duplicate(table_defs, id, ask())


# Idempotency keys


async def test_the_same_creation_again_is_the_same_table(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    for sent in (details(), details("Mine", slug="mine")):
        key = sent.slug or "k"
        first = await table_defs.create(ask(key, "body"), sent)
        second = await table_defs.create(ask(key, "body"), sent)
        assert (first.receipt.replayed, second.receipt.replayed) == (False, True)
        assert state(second.aggregate) == state(first.aggregate)
        assert second.receipt.position == first.receipt.position
    assert len(await store.everything()) == 2


@every_use
async def test_the_same_request_again_gets_the_same_answer_whatever_happened_since(
    table_defs: TableDefs, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(table_defs, before)
    first = await use(table_defs, id, ask("k", "body"))
    for later in (restore, rename, delete, purge):
        with suppress(TablePurged):
            await later(table_defs, first.aggregate.id, ask())
    stored = await store.everything()
    second = await use(table_defs, id, ask("k", "body"))
    assert second.receipt.replayed
    assert state(second.aggregate) == state(first.aggregate)
    assert (second.receipt.version, second.receipt.position, second.receipt.recorded_at) == (
        first.receipt.version,
        first.receipt.position,
        first.receipt.recorded_at,
    )
    assert await store.everything() == stored


async def test_a_creation_is_replayed_after_its_table_was_purged(table_defs: TableDefs) -> None:
    first = await table_defs.create(ask("k"), details())
    for use in (delete, purge):
        await use(table_defs, first.aggregate.id, ask())
    second = await table_defs.create(ask("k"), details())
    assert (second.aggregate.version, second.aggregate.purged_at) == (1, None)


@every_use
async def test_a_key_is_refused_for_another_request(
    table_defs: TableDefs, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(table_defs, before)
    await table_defs.create(ask("k", "one"), details("Other"))
    stored = await store.everything()
    with pytest.raises(KeyReused):
        await use(table_defs, id, ask("k", "two"))
    with pytest.raises(KeyReused):
        await table_defs.create(ask("k", "two"), details())
    assert await store.everything() == stored


async def test_keys_are_apart_between_companies(table_defs: TableDefs) -> None:
    ours = await table_defs.create(ask("k", "one"), details())
    theirs = await table_defs.create(ask("k", "two", company=THEIRS), details())
    assert ours.aggregate.id != theirs.aggregate.id


@pytest.mark.parametrize(("before", "use"), [([], rename), ([delete], delete), ([], restore)])
async def test_a_request_that_changed_nothing_is_remembered_too(
    table_defs: TableDefs, store: WatchedStore, before: list[Use], use: Use
) -> None:
    table = await created(table_defs, "Sales")
    for earlier in before:
        await earlier(table_defs, table.id, ask())
    first = await use(table_defs, table.id, ask("k", "body"))
    assert not first.events
    assert not first.receipt.replayed
    await table_defs.restore(table.id, ask())
    await table_defs.change(table.id, ask(), changes(name="Something else"))
    second = await use(table_defs, table.id, ask("k", "body"))
    assert second.receipt.replayed
    assert state(second.aggregate) == state(first.aggregate)
    assert second.receipt.position == first.receipt.position == 1 + len(before)


async def test_a_refusal_is_not_remembered(table_defs: TableDefs) -> None:
    id = await prepared(table_defs, [delete])
    with pytest.raises(SlugHeld):
        await table_defs.create(ask("k"), details(slug="orders"))
    with pytest.raises(TableDeleted):
        await rename(table_defs, id, ask("l"))
    await table_defs.restore(id, ask())
    await table_defs.change(id, ask(), changes(slug="free"))
    assert not (await table_defs.create(ask("k"), details(slug="orders"))).receipt.replayed
    assert not (await rename(table_defs, id, ask("l"))).receipt.replayed


async def test_a_replay_asks_for_no_precondition(table_defs: TableDefs) -> None:
    id = await prepared(table_defs, [])
    await rename(table_defs, id, ask("k", if_match=[1]))
    again = await rename(table_defs, id, ask("k", if_match=[1]))
    assert (again.receipt.replayed, again.aggregate.version) == (True, 2)


async def test_fifty_at_once_with_one_key_do_it_once(
    table_defs: TableDefs, elsewhere: TableDefs, store: WatchedStore
) -> None:
    outcomes = await all_of(
        tables.create(ask("k"), details()) for _ in range(25) for tables in (table_defs, elsewhere)
    )
    receipts = [outcome.receipt for outcome in outcomes if isinstance(outcome, Outcome)]
    assert sorted(receipt.replayed for receipt in receipts) == [False] + [True] * 49
    assert len({receipt.originator_id for receipt in receipts}) == 1
    assert len(await store.everything()) == 1


@every_use
async def test_fifty_at_once_with_one_key_change_a_table_once(
    table_defs: TableDefs, elsewhere: TableDefs, before: list[Use], use: Use
) -> None:
    id = await prepared(table_defs, before)
    outcomes = await all_of(
        use(tables, id, ask("k")) for _ in range(25) for tables in (table_defs, elsewhere)
    )
    receipts = [outcome.receipt for outcome in outcomes if isinstance(outcome, Outcome)]
    assert sorted(receipt.replayed for receipt in receipts) == [False] + [True] * 49
    assert len({receipt.position for receipt in receipts}) == 1


@pytest.mark.parametrize("use", [rename, duplicate])
async def test_the_second_with_a_key_waits_for_the_first(
    table_defs: TableDefs, store: WatchedStore, use: Use
) -> None:
    id = await prepared(table_defs, [])
    store.open.clear()
    store.appends = 0
    first, second = (asyncio.create_task(use(table_defs, id, ask("k"))) for _ in range(2))
    done, _ = await asyncio.wait([first, second], timeout=0.01)
    assert (done, store.appends) == (set(), 1)
    store.open.set()
    assert [(await task).receipt.replayed for task in (first, second)] == [False, True]


async def test_whatever_two_requests_with_one_key_do_the_second_waits_for_the_first(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    id = await prepared(table_defs, [])
    store.open.clear()
    store.appends = 0
    first = asyncio.create_task(table_defs.create(ask("k", "one"), details()))
    second = asyncio.create_task(rename(table_defs, id, ask("k", "two")))
    done, _ = await asyncio.wait([first, second], timeout=0.01)
    assert (done, store.appends) == (set(), 1)
    store.open.set()
    assert not (await first).receipt.replayed
    with pytest.raises(KeyReused):
        await second


async def test_the_second_tries_itself_when_the_first_failed(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    store.failures = [AppendBusy()]
    first, second = await all_of(table_defs.create(ask("k"), details()) for _ in range(2))
    assert isinstance(first, AppendBusy)
    assert isinstance(second, Outcome)
    assert not second.receipt.replayed


async def test_the_second_copy_with_a_key_waits_even_if_the_original_is_deleted_meanwhile(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    id = await prepared(table_defs, [])
    store.open.clear()
    first = asyncio.create_task(duplicate(table_defs, id, ask("k")))
    await asyncio.sleep(0.001)
    deletion = asyncio.create_task(table_defs.delete(id, ask()))
    store.open.set()
    second = asyncio.create_task(duplicate(table_defs, id, ask("k")))
    await deletion
    assert (await second).aggregate.id == (await first).aggregate.id


# Preconditions


async def test_a_change_on_the_expected_version_happens(table_defs: TableDefs) -> None:
    id = await prepared(table_defs, [])
    assert (await rename(table_defs, id, ask(if_match=[1]))).aggregate.version == 2
    assert (await delete(table_defs, id, ask(if_match=[7, 2]))).aggregate.version == 3


@every_conditional_use
async def test_a_stale_request_is_refused_with_what_happened_since(
    table_defs: TableDefs, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(table_defs, before)
    known = state(existing(await store.load(OURS, id), OURS))
    await table_defs.restore(id, ask())
    await table_defs.change(id, ask(), changes(icon="📦", description="New."))
    if use is purge:  # which is refused at any version while the table is live
        await delete(table_defs, id, ask())
    stored = await store.load(OURS, id)
    with pytest.raises(Stale) as refused:
        await use(table_defs, id, ask(if_match=[known["_version"]]))
    assert state(refused.value.base) == known
    assert refused.value.current.version == len(stored)
    assert refused.value.current.icon == "📦"
    assert refused.value.since == stored[known["_version"] :]
    assert await store.load(OURS, id) == stored


async def test_of_several_versions_that_a_stale_request_knows_the_newest_counts(
    table_defs: TableDefs,
) -> None:
    id = await prepared(table_defs, [rename, move])
    with pytest.raises(Stale) as refused:
        await delete(table_defs, id, ask(if_match=[1, 2, 99]))
    assert (refused.value.base.version, refused.value.current.version) == (2, 3)
    assert [r.event.originator_version for r in refused.value.since] == [3]


@pytest.mark.parametrize("if_match", [[], [99], [0]])
async def test_a_version_that_never_was_is_stale_with_nothing_to_show(
    table_defs: TableDefs, if_match: list[int]
) -> None:
    id = await prepared(table_defs, [])
    with pytest.raises(Stale) as refused:
        await rename(table_defs, id, ask(if_match=if_match))
    assert (refused.value.base, list(refused.value.since)) == (None, [])
    assert refused.value.current.version == 1


async def test_a_stale_change_of_nothing_is_stale(table_defs: TableDefs) -> None:
    id = await prepared(table_defs, [rename])
    with pytest.raises(Stale):
        await rename(table_defs, id, ask(if_match=[1]))


async def test_of_a_hundred_changes_on_one_version_at_once_one_happens(
    table_defs: TableDefs, elsewhere: TableDefs, store: WatchedStore
) -> None:
    id = await prepared(table_defs, [])
    outcomes = await all_of(
        tables.change(id, ask(if_match=[1]), changes(name=f"Name {n}"))
        for n in range(50)
        for tables in (table_defs, elsewhere)
    )
    (winner,) = [o for o in outcomes if isinstance(o, Outcome)]
    stale = [o for o in outcomes if isinstance(o, Stale)]
    assert len(stale) == 99
    assert {(s.base.name, s.current.name, len(s.since)) for s in stale} == {
        ("Orders", winner.aggregate.name, 1)
    }
    assert len(await store.everything()) == 2


# Rehearsals


async def test_rehearsing_a_creation_stores_neither_event_nor_slug_nor_key(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    outcome = await table_defs.create(ask("k", dry_run=True), details(icon="📦"))
    assert (outcome.aggregate.slug, outcome.aggregate.icon) == ("orders", "📦")
    assert [type(event) for event in outcome.events] == [TableDef.Created]
    await nothing_is_kept(store, [], ["orders"])


@every_use
async def test_rehearsing_stores_neither_event_nor_slug_nor_key(
    table_defs: TableDefs, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(table_defs, before)
    stored = await store.everything()
    rehearsed = await use(table_defs, id, ask("k", dry_run=True))
    assert rehearsed.events
    await nothing_is_kept(store, stored, ["sales", "orders-copy"])
    done = await use(table_defs, id, ask("k"))
    assert not done.receipt.replayed
    assert done.aggregate.version == rehearsed.aggregate.version
    assert [type(event) for event in done.events] == [type(event) for event in rehearsed.events]


async def test_a_rehearsal_is_one_whatever_its_key_was_used_for(table_defs: TableDefs) -> None:
    id = await prepared(table_defs, [])
    await table_defs.create(ask("k", "one"), details())
    for body in ("one", "two"):
        for rehearsed in (
            await table_defs.create(ask("k", body, dry_run=True), details()),
            await rename(table_defs, id, ask("k", body, dry_run=True)),
        ):
            assert rehearsed.events
            assert not rehearsed.receipt.replayed


async def nothing_is_kept(store: WatchedStore, stored: list[Any], free: list[str]) -> None:
    assert await store.everything() == stored
    assert [await store.free_slug(OURS, [slug]) for slug in free] == free
    held = await store.free_slug(OURS, ["orders"])
    assert held == (None if stored else "orders")
    assert await store.recall(OURS, IdempotencyKey("k", "")) is None


async def test_a_rehearsal_is_refused_as_the_real_thing_would_be(table_defs: TableDefs) -> None:
    holder = await created(table_defs)
    other = await created(table_defs)
    rehearsal = ask(dry_run=True)
    with pytest.raises(SlugHeld):
        await table_defs.create(rehearsal, details(slug="orders"))
    with pytest.raises(SlugHeld):
        await table_defs.change(other.id, rehearsal, changes(slug="orders"))
    with pytest.raises(NotDeleted):
        await table_defs.purge(holder.id, rehearsal)
    with pytest.raises(Stale):
        await table_defs.delete(holder.id, ask(dry_run=True, if_match=[5]))
    with pytest.raises(NotFound):
        await table_defs.delete(UUID(int=404), rehearsal)


async def test_a_rehearsal_takes_no_slug_from_who_is_serious_at_the_same_time(
    table_defs: TableDefs,
) -> None:
    _, real = await asyncio.gather(
        table_defs.create(ask(dry_run=True), details()), table_defs.create(ask(), details())
    )
    assert real.aggregate.slug == "orders"


# Strangers


@every_use
async def test_another_company_finds_nothing_under_our_ids(
    table_defs: TableDefs, store: WatchedStore, before: list[Use], use: Use
) -> None:
    id = await prepared(table_defs, before)
    stored = await store.everything()
    for unknown in (id, UUID(int=404)):
        for request in (
            ask(company=THEIRS),
            ask("k", company=THEIRS),
            ask(company=THEIRS, if_match=[99]),
            ask(company=THEIRS, dry_run=True),
        ):
            with pytest.raises(NotFound) as refused:
                await use(table_defs, unknown, request)
            assert str(refused.value) == "There is nothing here under this id."
    assert await store.everything() == stored
    assert await store.recall(THEIRS, IdempotencyKey("k", "")) is None


async def test_a_key_of_another_company_replays_nothing(table_defs: TableDefs) -> None:
    id = await prepared(table_defs, [])
    await rename(table_defs, id, ask("k"))
    with pytest.raises(NotFound):
        await rename(table_defs, id, ask("k", company=THEIRS))


async def test_a_client_that_goes_away_leaves_the_way_free(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    id = await prepared(table_defs, [])
    store.open.clear()
    tasks = [asyncio.create_task(rename(table_defs, id, ask("k"))) for _ in range(3)]
    tasks.append(asyncio.create_task(table_defs.create(ask(), details())))
    await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    store.open.set()
    assert (await rename(table_defs, id, ask("k"))).aggregate.version == 2
    assert (await created(table_defs)).slug == "orders-2"
