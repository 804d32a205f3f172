"""What an event store promises, whichever database is behind it: memory, Postgres 18 or 15."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain, pairwise, product
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection
from uuid_utils.compat import uuid7

from application.errors import KeyReused, SlugTaken, VersionConflict
from application.event_store.in_memory import InMemoryEventStore
from application.event_store.postgres import PostgresEventStore
from application.event_store.store import Append, EventStore, Receipt
from domain.base import replay
from domain.table_def import TableDef
from tests.conftest import sized
from tests.contracts.commands import (
    command,
    creation,
    erasure,
    key,
    new_table,
    rename,
    replayed,
)
from tests.contracts.stores import at_once, everything, outcome

pytestmark = pytest.mark.anyio


class EventStoreContract:
    """Every store passes these tests; a subclass says which `store`."""

    async def test_what_was_appended_is_loaded_in_version_order(self, store: EventStore) -> None:
        company, table = uuid4(), new_table(uuid4(), events=3)
        append = command(table)
        await store.append(creation(company))
        await store.append(append)
        loaded = await store.load(table.company_id, table.id)
        assert [r.event for r in loaded] == list(append.events)
        assert {r.company_id for r in loaded} == {table.company_id}

    async def test_an_unknown_aggregate_has_no_events(self, store: EventStore) -> None:
        await store.append(creation(uuid4()))
        assert await store.load(uuid4(), uuid4()) == []

    async def test_another_company_s_aggregate_cannot_be_told_from_none(
        self, store: EventStore
    ) -> None:
        table, stranger = new_table(uuid4()), uuid4()
        await store.append(command(table))
        await store.append(creation(stranger))
        assert await store.load(stranger, table.id) == []
        assert len(await store.load(table.company_id, table.id)) == 1

    async def test_another_company_s_aggregate_cannot_be_added_to(self, store: EventStore) -> None:
        table = new_table(uuid4())
        await store.append(command(table))
        with pytest.raises(VersionConflict):
            await store.append(Append(uuid4(), table.id, 1, rename(table).collect()))
        assert len(await everything(store)) == 1

    async def test_a_receipt_names_the_last_event(self, store: EventStore) -> None:
        await store.append(creation(uuid4(), events=2))
        append = creation(uuid4(), events=3)
        receipt = await store.append(append)
        last = (await store.load(append.company_id, append.originator_id))[-1]
        assert receipt == Receipt(append.originator_id, 3, last.position, last.recorded_at)
        assert last.position == 5

    async def test_an_event_is_recorded_when_it_is_stored(self, store: EventStore) -> None:
        await store.append(creation(uuid4()))
        before = datetime.now(UTC)
        receipt = await store.append(creation(uuid4()))
        assert before <= receipt.recorded_at <= datetime.now(UTC)

    async def test_pages_of_the_global_order_join_without_a_seam(self, store: EventStore) -> None:
        for _ in range(3):
            await store.append(creation(uuid4(), events=3))
        first = await store.read(0, 4)
        second = await store.read(first[-1].position, 4)
        third = await store.read(second[-1].position, 4)
        assert [len(first), len(second), len(third)] == [4, 4, 1]
        assert [*first, *second, *third] == list(await everything(store))
        assert await store.read(third[-1].position, 4) == []

    @pytest.mark.parametrize("expected", [0, 1, 3])
    async def test_another_version_than_expected_is_a_conflict(
        self, store: EventStore, expected: int
    ) -> None:
        table = new_table(uuid4(), events=2)
        await store.append(command(table))
        event = rename(table).collect()[0]
        before = await everything(store)
        with pytest.raises(VersionConflict) as refused:
            await store.append(Append(table.company_id, table.id, expected, [event]))
        assert refused.value.actual_version == 2
        assert await everything(store) == before

    async def test_another_event_than_expected_is_a_conflict(self, store: EventStore) -> None:
        """The version is right, but a store that was put back has given it to another event."""
        await store.append(command(new_table(uuid4())))
        table = new_table(uuid4(), "other", events=2)
        position = (await store.append(command(table))).position
        event = rename(table).collect()[0]
        before = await everything(store)
        for other in (1, position - 1, position + 1):
            wanted = Append(table.company_id, table.id, 2, [event], position=other)
            with pytest.raises(VersionConflict) as refused:
                await store.append(wanted)
            assert refused.value.actual_version == 2
        assert await everything(store) == before
        right = Append(table.company_id, table.id, 2, [event], position=position)
        assert (await store.append(right)).version == 3

    async def test_an_aggregate_that_does_not_exist_has_version_zero(
        self, store: EventStore
    ) -> None:
        table = new_table(uuid4(), events=2)
        late = Append(table.company_id, table.id, 1, table.collect()[1:])
        with pytest.raises(VersionConflict) as refused:
            await store.append(late)
        assert refused.value.actual_version == 0

    async def test_a_slug_is_free_for_others_only_after_its_release(
        self, store: EventStore
    ) -> None:
        company = uuid4()
        first = new_table(company, "orders")
        await store.append(command(first))
        with pytest.raises(SlugTaken) as refused:
            await store.append(creation(company, "orders"))
        assert (refused.value.slug, refused.value.holder_id) == ("orders", first.id)
        assert len(await everything(store)) == 1
        await store.append(command(rename(first), release="orders", claim="sales"))
        assert (await store.append(creation(company, "orders"))).version == 1
        assert isinstance(await outcome(store, creation(company, "sales")), SlugTaken)

    async def test_a_slug_of_another_company_is_free(self, store: EventStore) -> None:
        ours, theirs = uuid4(), uuid4()
        await store.append(creation(theirs, "orders"))
        assert await store.free_slug(ours, ["orders"]) == "orders"
        assert (await store.append(creation(ours, "orders"))).version == 1

    async def test_the_first_free_slug_is_found(self, store: EventStore) -> None:
        company = uuid4()
        for slug in ("orders", "orders-3"):
            await store.append(creation(company, slug))
        candidates = ["orders", "orders-3", "orders-2", "orders-4"]
        assert await store.free_slug(company, candidates) == "orders-2"
        assert await store.free_slug(company, candidates[:2]) is None
        assert await store.free_slug(company, []) is None

    async def test_a_slug_that_the_table_holds_already_may_be_claimed_again(
        self, store: EventStore
    ) -> None:
        table = new_table(uuid4(), "orders")
        await store.append(command(table))
        await store.append(command(rename(table), claim="orders"))
        await store.append(command(rename(table), claim="orders", release="orders"))
        assert isinstance(await outcome(store, creation(table.company_id, "orders")), SlugTaken)

    async def test_a_table_cannot_release_what_another_holds(self, store: EventStore) -> None:
        company = uuid4()
        await store.append(creation(company, "orders"))
        await store.append(creation(company, "sales", release="orders"))
        assert isinstance(await outcome(store, creation(company, "orders")), SlugTaken)

    async def test_a_repeated_key_gets_the_first_answer(self, store: EventStore) -> None:
        company = uuid4()
        first = await store.append(creation(company, events=2, idempotency=key("k")))
        await store.append(creation(company))
        again = await store.append(creation(company, events=2, idempotency=key("k")))
        assert again == replayed(first)
        assert len(await everything(store)) == 3
        assert await store.recall(company, key("k")) == again

    async def test_a_key_of_another_request_is_refused(self, store: EventStore) -> None:
        company = uuid4()
        await store.append(creation(company, idempotency=key("k")))
        with pytest.raises(KeyReused):
            await store.append(creation(company, idempotency=key("k", "two")))
        with pytest.raises(KeyReused):
            await store.recall(company, key("k", "two"))
        assert len(await everything(store)) == 1

    async def test_each_key_of_a_company_answers_for_its_own_request(
        self, store: EventStore
    ) -> None:
        company = uuid4()
        first, second = [
            await store.append(creation(company, idempotency=key(name))) for name in ("k", "l")
        ]
        for name, receipt in (("k", first), ("l", second)):
            again = await store.recall(company, key(name))
            assert again
            assert again.originator_id == receipt.originator_id
            assert again.position == receipt.position
        assert await store.recall(company, key("m")) is None

    async def test_the_same_key_of_another_company_is_another_key(self, store: EventStore) -> None:
        await store.append(creation(uuid4(), idempotency=key("k")))
        company = uuid4()
        assert await store.recall(company, key("k")) is None
        assert not (await store.append(creation(company, idempotency=key("k", "2")))).replayed

    async def test_a_key_answers_before_versions_and_slugs_are_looked_at(
        self, store: EventStore
    ) -> None:
        append = creation(uuid4(), "orders", idempotency=key("k"))
        await store.append(append)
        assert (await store.append(append)).replayed

    async def test_a_command_that_changes_nothing_remembers_its_key(
        self, store: EventStore
    ) -> None:
        table = new_table(uuid4(), events=2)
        stored = await store.append(command(table))
        nothing = command(table, position=stored.position, idempotency=key("k"))
        first = await store.append(nothing)
        assert (first.version, first.position, first.replayed) == (2, stored.position, False)
        await store.append(command(rename(table)))
        again = await store.append(nothing)
        assert (again.version, again.position, again.replayed) == (2, stored.position, True)
        assert len(await everything(store)) == 3

    async def test_a_refused_command_does_not_use_up_its_key(self, store: EventStore) -> None:
        company = uuid4()
        await store.append(creation(company, "orders"))
        with pytest.raises(SlugTaken):
            await store.append(creation(company, "orders", idempotency=key("k")))
        assert await store.recall(company, key("k")) is None
        assert not (await store.append(creation(company, idempotency=key("k", "2")))).replayed

    async def test_a_dry_run_stores_nothing(self, store: EventStore) -> None:
        table = new_table(uuid4(), "orders")
        stored = await store.append(command(table))
        renamed = command(
            rename(table, 2),
            claim="sales",
            release="orders",
            position=stored.position,
            idempotency=key("k"),
            dry_run=True,
        )
        receipt = await store.append(renamed)
        assert (receipt.version, receipt.position, receipt.replayed) == (1, 1, False)
        assert len(await everything(store)) == 1
        assert await store.recall(table.company_id, key("k")) is None
        assert await store.free_slug(table.company_id, ["orders", "sales"]) == "sales"

    async def test_a_dry_run_is_refused_as_the_real_run_would_be(self, store: EventStore) -> None:
        append = creation(uuid4(), "orders", dry_run=True)
        await store.append(creation(append.company_id, "orders"))
        with pytest.raises(SlugTaken):
            await store.append(append)

    async def test_one_refused_command_of_fifty_disturbs_no_other(self, store: EventStore) -> None:
        company, other = uuid4(), uuid4()
        table = new_table(company, "orders")
        await store.append(command(table, idempotency=key("k")))
        bad = {
            10: creation(company, "orders"),
            20: Append(company, table.id, 7, rename(table).collect()),
            30: creation(company, idempotency=key("k", "two")),
        }
        appends = [bad.get(number) or creation(other, events=2) for number in range(50)]
        answers = await at_once(store, appends)
        kinds = {index: type(answer) for index, answer in enumerate(answers)}
        assert {i: k for i, k in kinds.items() if k is not Receipt} == {
            10: SlugTaken,
            20: VersionConflict,
            30: KeyReused,
        }
        assert len(await everything(store)) == 1 + 2 * 47
        for append, answer in zip(appends, answers, strict=True):
            loaded = await store.load(append.company_id, append.originator_id)
            if isinstance(answer, Receipt):
                assert [r.event for r in loaded] == list(append.events)
                assert loaded[-1].position == answer.position

    async def test_one_of_a_hundred_that_want_a_slug_gets_it(self, store: EventStore) -> None:
        company = uuid4()
        answers = await at_once(store, [creation(company, "orders") for _ in range(100)])
        assert Counter(map(type, answers)) == {Receipt: 1, SlugTaken: 99}
        (winner,) = await everything(store)
        holders = {answer.holder_id for answer in answers if isinstance(answer, SlugTaken)}
        assert holders == {winner.event.originator_id}

    async def test_one_of_a_hundred_that_change_the_same_version_wins(
        self, store: EventStore
    ) -> None:
        table = new_table(uuid4())
        await store.append(command(table))
        created = [r.event for r in await store.load(table.company_id, table.id)]
        rivals = [command(rename(replay(created))) for _ in range(100)]
        answers = await at_once(store, rivals)
        assert Counter(map(type, answers)) == {Receipt: 1, VersionConflict: 99}
        assert {a.actual_version for a in answers if isinstance(a, VersionConflict)} == {2}

    async def test_fifty_with_one_key_do_it_once(self, store: EventStore) -> None:
        company = uuid4()
        answers = await at_once(store, [creation(company, idempotency=key("k")) for _ in range(50)])
        assert all(isinstance(answer, Receipt) for answer in answers)
        assert Counter(answer.replayed for answer in answers) == {False: 1, True: 49}  # type: ignore[union-attr]
        assert len({(a.originator_id, a.position) for a in answers}) == 1  # type: ignore[union-attr]
        assert len(await everything(store)) == 1

    async def test_two_tables_can_pass_a_slug_on_in_either_order(self, store: EventStore) -> None:
        company = uuid4()
        giver, taker = new_table(company, "orders"), new_table(company, "sales")
        for table in (giver, taker):
            await store.append(command(table))
        give = command(rename(giver), release="orders", claim="old-orders")
        take = command(rename(taker), release="sales", claim="orders")
        answers = await at_once(store, [take, give])
        assert isinstance(answers[1], Receipt)
        free = await store.free_slug(company, ["sales", "orders"])
        assert free == ("sales" if isinstance(answers[0], Receipt) else "orders")

    async def test_a_caller_that_goes_away_disturbs_no_other(self, store: EventStore) -> None:
        appends = [creation(uuid4()) for _ in range(20)]
        tasks = [asyncio.create_task(store.append(append)) for append in appends]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        receipts = [await task for task in tasks[1::2]]
        assert {r.originator_id for r in receipts} == {a.originator_id for a in appends[1::2]}

    async def test_of_what_is_erased_only_that_is_left(self, store: EventStore) -> None:
        company = uuid4()
        first, kept, second = (new_table(company, events=2) for _ in range(3))
        for table in (first, kept, second):
            await store.append(command(table))
        await store.append(erasure(first))
        await at_once(store, [erasure(second), command(rename(kept))])
        for table, position in ((first, 9), (second, 12)):
            (last,) = await store.load(company, table.id)
            assert (type(last.event), last.position) == (TableDef.Erased, position)
        assert len(await store.load(company, kept.id)) == 3
        assert [r.position for r in await everything(store)] == [3, 4, 9, 12, 13]
        with pytest.raises(VersionConflict) as refused:
            await store.append(Append(company, first.id, 1))
        assert refused.value.actual_version == 5

    async def test_what_an_erased_request_was_cannot_be_told_by_its_key(
        self, store: EventStore
    ) -> None:
        company = uuid4()
        gone, kept = (new_table(company, events=2) for _ in range(2))
        first = await store.append(command(gone, idempotency=key("create")))
        nothing = await store.append(
            command(gone, position=first.position, idempotency=key("change nothing"))
        )
        await store.append(command(kept, idempotency=key("kept")))
        await store.append(replace(erasure(gone), idempotency=key("erase")))
        for name, receipt in (("create", first), ("change nothing", nothing)):
            for request in ("one", "two"):
                assert await store.recall(company, key(name, request)) == replayed(receipt)
                again = creation(company, idempotency=key(name, request))
                assert await store.append(again) == replayed(receipt)
        for name in ("kept", "erase"):
            assert await store.recall(company, key(name))
            with pytest.raises(KeyReused):
                await store.recall(company, key(name, "two"))
            with pytest.raises(KeyReused):
                await store.append(creation(company, idempotency=key(name, "two")))

    async def test_positions_have_no_gap_and_time_never_goes_back(self, store: EventStore) -> None:
        async def work(number: int) -> None:
            table = new_table(company, f"t-{number}")
            await store.append(command(table))
            for _ in range(5):
                await outcome(store, creation(company, "t-0"))  # refused: uses no position
                await store.append(command(rename(table, 1 + number % 3)))

        company = uuid4()
        await store.append(creation(company, "t-0"))
        await asyncio.gather(*(work(number) for number in range(1, 20)))
        recorded = await everything(store)
        assert [r.position for r in recorded] == list(range(1, len(recorded) + 1))
        assert all(a.recorded_at <= b.recorded_at for a, b in pairwise(recorded))
        versions: Counter[UUID] = Counter()
        for event in (r.event for r in recorded):
            versions[event.originator_id] += 1
            assert event.originator_version == versions[event.originator_id]


class TestInMemoryEventStore(EventStoreContract):
    @pytest.fixture
    def store(self) -> InMemoryEventStore:
        return InMemoryEventStore()


class TestPostgresEventStore(EventStoreContract):
    @pytest.fixture
    def store(self, postgres_store: PostgresEventStore) -> PostgresEventStore:
        return postgres_store

    async def test_what_was_erased_is_still_committed_to(
        self, store: PostgresEventStore, owner: Connection[Any]
    ) -> None:
        gone = new_table(uuid4())
        await store.append(command(gone))
        owner.execute(UNSALTED, (uuid4(),))
        rename(gone).collect()
        await store.append(creation(gone.company_id))
        before = owner.execute(SAID).fetchall()
        await store.append(erasure(gone))
        after = owner.execute(SAID).fetchall()
        assert [row[:2] for row in after[:2]] == [(None, None)] * 2
        said = [(salt or b"") + state for salt, state, _ in before[:2]]
        assert [row[2] for row in after[:2]] == [sha256(each).digest() for each in said]
        assert after[2] == before[2]
        assert [row[2] is None for row in after] == [False, False, True, False, False, True]

    async def test_the_hash_of_what_was_asked_goes_with_what_is_erased(
        self, store: PostgresEventStore, owner: Connection[Any]
    ) -> None:
        company = uuid4()
        gone, kept = (new_table(company, events=2) for _ in range(2))
        await at_once(
            store, [command(each, idempotency=key(f"{each.id}")) for each in (gone, kept)]
        )
        position = (await store.load(company, gone.id))[-1].position
        await store.append(command(gone, position=position, idempotency=key("nothing")))
        await store.append(replace(erasure(gone), idempotency=key("erase")))
        found = dict(owner.execute("SELECT key, request_hash FROM event_store.idempotency_keys"))
        assert found == {f"{gone.id}": "", f"{kept.id}": "one", "nothing": "", "erase": "one"}

    async def test_what_became_of_a_command_is_found_though_its_table_is_erased_since(
        self, store: PostgresEventStore, owner: Connection[Any]
    ) -> None:
        gone = new_table(uuid4())
        created = await store.append(command(gone))
        nothing = command(gone, position=created.position, idempotency=key("nothing"))
        await store.append(nothing)
        await store.append(erasure(gone))
        lost = {"command": 0, "company_id": str(gone.company_id), "key": "nothing"}
        document = json.dumps([lost | {"request_hash": "one"}])
        [found] = owner.execute("SELECT * FROM event_store.resolve(%s, 0)", (document,)).fetchall()
        assert found[:4] == (0, gone.id, created.version, created.position)

    async def test_who_listens_is_told_the_last_position_of_each_append(
        self, store: PostgresEventStore, owner: Connection[Any]
    ) -> None:
        company = uuid4()
        owner.execute("LISTEN dynamic_tables_events")
        await store.append(creation(company, "orders", events=3))
        await outcome(store, creation(company, "orders"))
        await store.append(creation(company, dry_run=True))
        await store.append(creation(company))
        assert [told.payload for told in owner.notifies(timeout=0.2)] == ["3", "4"]


SAID = "SELECT salt, state, commitment FROM event_store.events ORDER BY position"
# As events were stored before there was an audit log.
UNSALTED = """
INSERT INTO event_store.events
SELECT position + 1, company_id, originator_id, originator_version + 1, topic, state, NULL, %s,
       recorded_at
  FROM event_store.events ORDER BY position DESC LIMIT 1
"""
SLUGS = ["a", "b", "c"]
STEP = st.fixed_dictionaries(
    {
        "number": st.integers(0, 2),
        "company": st.integers(0, 1),
        "events": st.sampled_from([1, 2, 3, 0]),
        "claim": st.sampled_from(["a", "b", None, "c"]),
        "release": st.sampled_from([None, "a", "b", "c"]),
        "key": st.none() | st.tuples(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2"])),
        # A place: stay, leave, come alive in one's own company, in one of its tables, in another's.
        "place": st.sampled_from(["stay", "leave", "company", 0, 1, 2, "stranger"]),
        "opens": st.sampled_from([None, None, True, True, False]),
        "stranger": st.sampled_from([False] * 9 + [True]),
        "dry_run": st.sampled_from([False, False, False, True]),
        "off_by": st.sampled_from([0, 0, 0, 0, 0, 1, -1]),
    }
)


class Twins:
    """The same commands for two stores: what one says, the other says too."""

    def __init__(self, postgres: EventStore) -> None:
        self.stores: tuple[EventStore, EventStore] = (InMemoryEventStore(), postgres)
        self.companies = [uuid4(), uuid4()]
        self.ids = [[uuid7() for _ in range(3)] for _ in self.companies]

    async def step(self, start: int, **step: Any) -> None:
        append = await self._append(**step)
        ours, theirs = [await outcome(store, append) for store in self.stores]
        assert _comparable(ours, 0) == _comparable(theirs, start)
        for company in self.companies:
            free = [await store.free_slug(company, SLUGS) for store in self.stores]
            assert free[0] == free[1]

    async def end(self, start: int) -> None:
        """Both stores agree on who belongs where, and since when."""
        in_memory, postgres = self.stores
        for company, before in product(self.companies, (2, 5, 10**9)):
            ours = await self._members(in_memory, company, before)
            assert ours == await self._members(postgres, company, start + before)

    async def _members(self, store: EventStore, company: UUID, before: int) -> list[list[UUID]]:
        containers = [*self.companies, *chain(*self.ids)]
        return [
            list(await store.members(company, id, before, UUID(int=0), 10)) for id in containers
        ]

    def _place(self, company: int, place: str | int) -> dict[str, Any]:
        if isinstance(place, int):
            return {"joins": self.ids[company][place]}
        joins = {"company": self.companies[company], "stranger": self.ids[not company][0]}
        return {"joins": joins.get(place), "leaves": place == "leave"}

    async def _append(self, company: int, number: int, events: int, **step: Any) -> Append:
        company_id, id = self.companies[company], self.ids[company][number]
        stored = [r.event for r in await self.stores[0].load(company_id, id)]
        table = replay(stored) if stored else new_table(company_id, id=id)
        rename(table, events)
        return Append(
            self.companies[not company] if step["stranger"] else company_id,
            id,
            len(stored) + step["off_by"],
            table.collect()[:events],
            opens=step["opens"],
            **self._place(company, step["place"]),
            claim=step["claim"],
            release=step["release"],
            idempotency=step["key"] and key(*step["key"]),
            dry_run=step["dry_run"],
        )


def _comparable(answer: Receipt | Exception, start: int) -> object:
    if isinstance(answer, Receipt):
        position = answer.position - start if answer.position else 0
        return (answer.originator_id, answer.version, position, answer.replayed)
    return type(answer), vars(answer)


@settings(
    max_examples=sized(20, 60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEP, min_size=8, max_size=20))
async def test_postgres_says_what_the_store_in_memory_says(
    postgres_store: PostgresEventStore, steps: list[dict[str, Any]]
) -> None:
    start = len(await everything(postgres_store))
    twins = Twins(postgres_store)
    for step in steps:
        await twins.step(start, **step)
    await twins.end(start)
    ours, theirs = [await everything(store) for store in twins.stores]
    assert [r.event for r in ours] == [r.event for r in theirs[start:]]


async def test_each_event_has_a_salt_of_its_own(
    postgres_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    await at_once(postgres_store, [creation(uuid4(), events=3) for _ in range(2)])
    salts = owner.execute("SELECT salt FROM event_store.events").fetchall()
    assert [len(salt) for (salt,) in set(salts)] == [16] * 6
