"""Consumers, on 18 and on 15: what several readers are told, whatever they and time do."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from application.consumers.consumer import Terms
from application.consumers.delivery import Delivery, Row
from application.consumers.registry import Place, remove
from application.errors import LeaseLost, NotDelivered
from application.event_feed import Rewound
from domain.errors import NotFound
from tests.conftest import cloned, sized
from tests.contracts.consuming import Company, connect, tables

pytestmark = pytest.mark.anyio
LEASE = 60


@pytest.fixture(scope="module", params=["18", "15"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from cloned(request.getfixturevalue(f"postgres_{request.param}"))


@pytest.fixture
async def company(url: str) -> AsyncIterator[Company]:
    owner, api = await connect(url)
    async with owner, api:
        yield Company(owner, api)


async def test_events_are_handed_out_until_they_are_acknowledged(company: Company) -> None:
    await company.define(Terms())
    first, second = [await company.append(company.tables[0]) for _ in range(2)]
    delivery = await company.fetch()
    assert delivery
    assert [row[0] for row in delivery.rows] == [first, second]
    assert await company.fetch() is None, "one reader at a time"
    company.later(LEASE + 1)
    again = await company.fetch()
    assert again
    assert again.rows == delivery.rows
    await company.ack(again.lease, again.position)
    assert await company.fetch() is None


async def test_a_part_can_be_acknowledged_and_prolongs_the_lease(company: Company) -> None:
    await company.define(Terms())
    first, second = [await company.append(company.tables[0]) for _ in range(2)]
    delivery = await company.fetch()
    assert delivery
    company.later(LEASE - 1)
    await company.ack(delivery.lease, first)
    company.later(LEASE - 1)
    assert await company.fetch() is None
    company.later(2)
    rest = await company.fetch()
    assert rest
    assert [row[0] for row in rest.rows] == [second]


async def test_a_stale_lease_is_refused_and_moves_nothing(company: Company) -> None:
    await company.define(Terms())
    position = await company.append(company.tables[0])
    stale = await company.fetch()
    assert stale
    company.later(LEASE)
    with pytest.raises(LeaseLost):
        await company.ack(stale.lease, position)
    present = await company.fetch()
    assert present
    with pytest.raises(LeaseLost):
        await company.ack(stale.lease, position)
    with pytest.raises(LeaseLost):
        await company.nack(stale.lease, position)
    await company.ack(present.lease, position)
    assert await company.fetch() is None


async def test_an_acknowledgement_whose_answer_was_lost_can_be_sent_again(company: Company) -> None:
    await company.define(Terms())
    await company.append(company.tables[0])
    delivery = await company.fetch()
    assert delivery
    await company.ack(delivery.lease, delivery.position)
    company.later(10 * LEASE)
    await company.ack(delivery.lease, delivery.position)
    later = await company.append(company.tables[0])
    with pytest.raises(LeaseLost):
        await company.ack(delivery.lease, later)


async def test_what_was_not_handed_out_is_not_acknowledged(company: Company) -> None:
    await company.define(Terms())
    await company.append(company.tables[0])
    delivery = await company.fetch()
    assert delivery
    later = await company.append(company.tables[0])
    with pytest.raises(NotDelivered):
        await company.ack(delivery.lease, later)
    with pytest.raises(NotDelivered):
        await company.nack(delivery.lease, later)


async def only_these_are_refused(company: Company, *given: int) -> None:
    """What comes next is these; none that lies between them can be refused."""
    delivery = await company.fetch()
    assert delivery
    assert tuple(row[0] for row in delivery.rows) == given
    for position in set(range(given[-1])) - set(given):
        with pytest.raises(NotDelivered):
            await company.nack(delivery.lease, position)
    assert await company.nack(delivery.lease, given[-1], after=0) == 1


async def test_what_it_does_not_want_is_not_refused(company: Company) -> None:
    table, other = company.tables[:2]
    await company.define(Terms(frozenset({"TableDef.Renamed"}), table), Place())
    await company.append(table, "TableDef.Deleted")
    await company.append(other)
    await only_these_are_refused(company, await company.append(table))


async def test_what_is_somebody_else_s_share_is_not_refused(company: Company) -> None:
    await company.define(Terms(partitions=2), Place())
    first, _, second = [await company.append(company.tables[number]) for number in (0, 1, 0)]
    await only_these_are_refused(company, first, second)


async def test_what_is_held_back_is_not_refused_with_the_rest(company: Company) -> None:
    await company.define(Terms(max_attempts=1), Place())
    held, other = company.tables[:2]
    one, two = await company.append(held), await company.append(other)
    delivery = await company.fetch()
    assert delivery
    await company.nack(delivery.lease, one)
    await company.append(held)
    await only_these_are_refused(company, two, await company.append(other))


async def test_what_is_tried_again_is_acknowledged_in_parts_and_never_moves_back(
    company: Company,
) -> None:
    await company.define(Terms(max_attempts=1))
    positions = [await company.append(company.tables[0]) for _ in range(3)]
    delivery = await company.fetch()
    assert delivery
    await company.nack(delivery.lease, positions[0])
    assert await company.drain() == []
    await company.replay(company.tables[0])
    again = await company.fetch()
    assert again
    for position in (positions[1], positions[0]):
        await company.ack(again.lease, position)
    company.later(LEASE)
    assert await company.drain() == [[positions[2]]]


async def test_a_refused_event_holds_back_its_own_table_alone(company: Company) -> None:
    await company.define(Terms(max_attempts=2))
    ours, theirs = company.tables[:2]
    one, other = await company.append(ours), await company.append(theirs)
    delivery = await company.fetch()
    assert delivery
    assert await company.nack(delivery.lease, one, after=5) == 1
    two = await company.append(ours)
    assert await company.drain() == [[other]]
    company.later(5)
    held = await company.fetch()
    assert held
    assert [row[0] for row in held.rows] == [one, two]
    assert await company.nack(held.lease, one) == 2
    company.later(10**6)
    assert await company.fetch() is None, "it is parked"
    another, three = await company.append(theirs), await company.append(ours)
    assert await company.drain() == [[another]]
    await company.replay(ours)
    assert await company.drain() == [[one, two, three]]
    after = await company.append(ours)
    assert await company.drain() == [[after]]


async def test_patience_grows_with_each_attempt(company: Company) -> None:
    await company.define(Terms(max_attempts=99))
    position = await company.append(company.tables[0])
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        delivery = await company.fetch()
        assert delivery
        await company.nack(delivery.lease, position)
        company.later(seconds - 0.01)
        assert await company.fetch() is None
        company.later(0.01)


async def test_what_is_dropped_is_left_out_and_the_rest_comes(company: Company) -> None:
    await company.define(Terms(max_attempts=1))
    table = company.tables[0]
    position = await company.append(table)
    delivery = await company.fetch()
    assert delivery
    await company.nack(delivery.lease, position)
    assert await company.drain() == []
    await company.drop(table)
    with pytest.raises(NotFound):
        await company.drop(table)
    with pytest.raises(NotFound):
        await company.replay(table)
    after = await company.append(table)
    assert await company.drain() == [[after]]


async def test_each_partition_has_its_tables_and_a_reader_of_its_own(company: Company) -> None:
    await company.define(Terms(partitions=2))
    positions = [await company.append(table) for table in company.tables]
    one, two = await company.fetch(), await company.fetch()
    assert one
    assert two
    assert {one.partition, two.partition} == {0, 1}
    assert sorted(row[0] for each in (one, two) for row in each.rows) == positions
    assert {row[1].bytes[15] % 2 for row in one.rows} == {one.partition}
    assert await company.fetch() is None


async def test_the_partition_that_is_most_behind_comes_first(company: Company) -> None:
    await company.define(Terms(partitions=2))
    ahead, behind = company.tables[:2]
    for table in (ahead, behind):
        await company.append(table)
    delivery = await company.fetch()
    assert delivery
    await company.ack(delivery.lease, delivery.position)
    for _ in range(2):
        await company.append(ahead)
    found = await company.fetch()
    assert found
    assert found.partition == 1 - delivery.partition


async def test_what_is_tried_again_ends_where_the_others_are_and_nothing_comes_twice(
    company: Company,
) -> None:
    await company.define(Terms())
    table = company.tables[0]
    one = await company.append(table)
    delivery = await company.fetch()
    assert delivery
    await company.nack(delivery.lease, one, after=5)
    assert await company.drain() == []
    two = await company.append(table)
    company.later(5)
    assert await company.drain() == [[one], [two]]


async def test_only_what_is_wanted_is_tried_again(company: Company) -> None:
    await company.define(Terms(frozenset({"TableDef.Renamed"})))
    table = company.tables[0]
    one = await company.append(table)
    delivery = await company.fetch()
    assert delivery
    await company.nack(delivery.lease, one, after=5)
    await company.append(table, "TableDef.Deleted")
    two = await company.append(table)
    assert await company.drain() == []
    company.later(5)
    assert await company.drain() == [[one, two]]


async def test_only_what_is_wanted_is_handed_out_and_the_rest_is_passed_over(
    company: Company,
) -> None:
    table, other = company.tables[:2]
    await company.define(Terms(frozenset({"TableDef.Deleted"}), table))
    await company.append(table, "TableDef.Created")
    await company.append(other, "TableDef.Deleted")
    wanted = await company.append(table, "TableDef.Deleted")
    last = await company.append(other, "TableDef.Restored")
    delivery = await company.fetch()
    assert delivery
    assert [row[0] for row in delivery.rows] == [wanted]
    assert delivery.position == last
    with pytest.raises(NotDelivered):
        await company.nack(delivery.lease, last)
    await company.ack(delivery.lease, wanted)
    assert await company.fetch() is None


async def test_a_consumer_begins_and_goes_on_where_it_is_told(company: Company) -> None:
    company.later(10**8)
    first = await company.append(company.tables[0])
    await company.define(Terms(), Place())
    assert await company.drain() == [], "from the head"
    company.later(3600)
    second = await company.append(company.tables[0])
    assert await company.drain() == [[second]]
    await company.seek(Place(first))
    assert await company.drain() == [[second]]
    await company.seek(Place(moment=company.now - timedelta(seconds=1)))
    assert await company.drain() == [[second]]
    await company.seek(Place(0))
    assert await company.drain() == [[first, second]]
    with pytest.raises(Rewound):
        await company.seek(Place(2**40))


async def test_a_restored_backup_is_told(company: Company) -> None:
    await company.define(Terms())
    lost = await company.append(company.tables[0])
    await company.drain()
    await company.forget_events(lost)
    with pytest.raises(Rewound):
        await company.fetch()
    await company.append(tables(1)[0])
    with pytest.raises(Rewound):
        await company.fetch()
    await company.seek(Place(0))
    assert len(await company.drain()) == 1


@pytest.mark.parametrize("sought", [True, False])
async def test_a_restored_backup_is_told_also_where_nothing_was_read(
    company: Company, sought: bool
) -> None:
    lost = await company.append(company.tables[0])
    await company.define(Terms(), Place(0) if sought else Place())
    if sought:
        await company.seek(Place(lost))
    await company.forget_events(lost)
    with pytest.raises(Rewound):
        await company.fetch()


async def test_what_is_not_there_is_not_removed(company: Company) -> None:
    with pytest.raises(NotFound):
        await company.act(lambda c: remove(c, company.id, uuid4()))


async def test_two_companies_have_a_consumer_of_one_name_each(company: Company) -> None:
    theirs = Company(company.owner, company.api)
    await company.define(Terms())
    await theirs.define(Terms())
    ours = await company.append(company.tables[0])
    other = await theirs.append(theirs.tables[0])
    delivery = await company.fetch()
    assert delivery
    with pytest.raises(LeaseLost):
        await theirs.ack(delivery.lease, other)
    assert [row[0] for row in delivery.rows] == [ours]
    assert await theirs.drain() == [[other]]


@dataclass
class Readers:
    """Several readers of one consumer; checks at each step what was promised."""

    company: Company
    attempts: int
    holding: list[tuple[Delivery, set[UUID]]] = field(default_factory=list)
    stale: list[Delivery] = field(default_factory=list)
    dealt_with: dict[UUID, int] = field(default_factory=dict)
    refusals: dict[UUID, tuple[int, int]] = field(default_factory=dict)

    async def fetch(self, limit: int) -> None:
        delivery = await self.company.fetch(limit)
        if delivery is None:
            return
        now = self.company.now
        busy = {t for each, ours in self.holding if each.leased_until > now for t in ours}
        concerned = {row[1] for row in delivery.rows}
        assert not busy & concerned, "one reader at a time"
        for table in concerned:
            events = self.company.events[table]
            given = [row[0] for row in delivery.rows if row[1] == table]
            first = events.index(given[0])
            assert given == events[first : first + len(given)], "in order, without a hole"
            assert first <= self.dealt_with.get(table, 0), "nothing is left out"
        self.holding.append((delivery, concerned))

    async def ack(self, which: int, share: int) -> None:
        if not self.holding:
            return
        delivery, _ = self.holding[which % len(self.holding)]
        rows = delivery.rows[: 1 + share % len(delivery.rows)]
        is_all = len(rows) == len(delivery.rows)
        position = delivery.position if is_all else rows[-1][0]
        try:
            await self.company.ack(delivery.lease, position)
        except LeaseLost:
            self._let_go(delivery)
            return
        self._deal_with(rows)
        self._let_go(delivery)
        rest = delivery.rows[len(rows) :]
        if rest:
            until = self.company.now + timedelta(seconds=LEASE)
            left = Delivery(delivery.lease, delivery.partition, rest, delivery.position, until)
            self.holding.append((left, {row[1] for row in rest}))

    async def nack(self, which: int, row: int, after: int) -> None:
        if not self.holding:
            return
        delivery, _ = self.holding[which % len(self.holding)]
        failed, table, *_ = delivery.rows[row % len(delivery.rows)]
        with suppress(LeaseLost):
            attempts = await self.company.nack(delivery.lease, failed, after)
            before, count = self.refusals.get(table, (0, 0))
            self.refusals[table] = failed, 1 + (count if before == failed else 0)
            assert (failed, attempts) == self.refusals[table], "each refusal counts"
            assert attempts <= self.attempts, "it would be parked"
        self._let_go(delivery)

    async def crash(self, which: int) -> None:
        if self.holding:
            self._let_go(self.holding[which % len(self.holding)][0])

    async def come_late(self, which: int) -> None:
        if not self.stale:
            return
        delivery = self.stale[which % len(self.stale)]
        with suppress(LeaseLost):
            await self.company.ack(delivery.lease, delivery.rows[0][0])
            self._deal_with(delivery.rows[:1])

    async def share(self, partitions: int) -> None:
        if await self.company.share(partitions):
            for delivery, _ in list(self.holding):
                self._let_go(delivery)

    async def replay(self, table: UUID) -> None:
        with suppress(NotFound):
            await self.company.replay(table)
            self.refusals.pop(table, None)

    async def replay_all(self) -> None:
        await self.company.replay_all()
        self.refusals.clear()

    def _deal_with(self, rows: Sequence[Row]) -> None:
        for position, table, *_ in rows:
            index = self.company.events[table].index(position)
            assert index <= self.dealt_with.get(table, 0), "none acknowledged past"
            self.dealt_with[table] = max(index + 1, self.dealt_with.get(table, 0))
            if position >= self.refusals.get(table, (position + 1, 0))[0]:
                self.refusals.pop(table, None)

    def _let_go(self, delivery: Delivery) -> None:
        self.holding = [each for each in self.holding if each[0] is not delivery]
        self.stale.append(delivery)


Step = Callable[[Readers], Awaitable[object]]
NUMBERS = st.integers(0, 7)


def appending(table: int) -> Step:
    return lambda r: r.company.append(r.company.tables[table % 4])


def fetching(limit: int) -> Step:
    return lambda r: r.fetch(limit + 1)


def acknowledging(which: int, share: int) -> Step:
    return lambda r: r.ack(which, share)


def refusing(which: int, row: int, after: int) -> Step:
    return lambda r: r.nack(which, row, after)


def refusing_what_comes(row: int, after: int) -> Step:
    async def fetch_and_refuse(readers: Readers) -> None:
        await readers.fetch(8)
        await readers.nack(-1, row, after)

    return fetch_and_refuse


def crashing(which: int) -> Step:
    return lambda r: r.crash(which)


def coming_late(which: int) -> Step:
    return lambda r: r.come_late(which)


def waiting(seconds: int) -> Step:
    async def wait(readers: Readers) -> None:
        readers.company.later(seconds)

    return wait


def sharing(partitions: int) -> Step:
    return lambda r: r.share(partitions)


def replaying(table: int) -> Step:
    return lambda r: r.replay(r.company.tables[table % 4])


SECONDS = st.sampled_from([0, 0, 5, 100])
STEPS = st.one_of(
    st.builds(appending, NUMBERS),
    st.builds(fetching, NUMBERS),
    st.builds(acknowledging, NUMBERS, NUMBERS),
    st.builds(refusing, NUMBERS, NUMBERS, SECONDS),
    st.builds(refusing_what_comes, st.integers(0, 1), SECONDS),
    st.builds(refusing_what_comes, st.integers(0, 1), st.just(0)),
    st.builds(crashing, NUMBERS),
    st.builds(coming_late, NUMBERS),
    st.builds(waiting, st.sampled_from([1, LEASE // 2, LEASE + 1])),
    st.builds(sharing, st.integers(1, 4)),
    st.builds(replaying, NUMBERS),
)


@settings(
    max_examples=sized(40, 1_000),
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    partitions=st.integers(1, 4),
    attempts=st.integers(1, 3),
    appended=st.lists(NUMBERS, min_size=1, max_size=10),
    steps=st.lists(STEPS, min_size=8, max_size=50),
)
async def test_whatever_readers_and_time_do_each_table_comes_in_order_and_whole(
    company: Company, partitions: int, attempts: int, appended: list[int], steps: list[Step]
) -> None:
    readers = Readers(Company(company.owner, company.api), attempts)
    await readers.company.define(Terms(None, None, partitions, LEASE, attempts))
    for table in appended:
        await appending(table)(readers)
    for step in steps:
        await step(readers)
    await everything_arrives_in_the_end(readers)


async def everything_arrives_in_the_end(readers: Readers) -> None:
    company = readers.company
    for _ in range(2):
        readers.holding.clear()
        company.later(10 * LEASE)
        await readers.replay_all()
        for _ in range(500):
            await readers.fetch(3)
            if not readers.holding:
                break
            await readers.ack(0, len(readers.holding[0][0].rows) - 1)
    assert readers.dealt_with == {t: len(events) for t, events in company.events.items() if events}
