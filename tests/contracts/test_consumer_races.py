"""Consumers, on 18 and on 15: those who read and those who change them on connections of their own.

What comes at the same time is stepped through: somebody stops in the middle, somebody else comes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from psycopg import AsyncConnection

from application.consumers import held, registry
from application.consumers.consumer import Consumer, Terms, find, named
from application.consumers.delivery import Delivery, Reader
from application.consumers.registry import Definition, Place
from application.consumers.standing import standing
from application.errors import LeaseLost
from application.event_store.session import ACT_AS, companies
from domain.errors import NotFound
from tests.conftest import cloned
from tests.contracts.consuming import NAME, Company, connect, tables

pytestmark = pytest.mark.anyio
AT_ONCE = 12
HELD_UP = 0.1  # seconds after which whoever could go on would have

Connection = AsyncConnection[Any]


@pytest.fixture(scope="module", params=["18", "15"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from cloned(request.getfixturevalue(f"postgres_{request.param}"))


@asynccontextmanager
async def seen_by(count: int, url: str) -> AsyncIterator[list[Company]]:
    """The same company as several see it, each on a connection of their own."""
    async with AsyncExitStack() as opened:
        owner, api = await connect(url)
        for connection in (owner, api):
            await opened.enter_async_context(connection)
        found = [Company(owner, api)]
        while len(found) < count:
            found.append(await found[0].again(url))
            await opened.enter_async_context(found[-1].api)
        yield found


@pytest.fixture
async def people(url: str) -> AsyncIterator[list[Company]]:
    async with seen_by(3, url) as found:
        yield found


@pytest.fixture
async def crowd(url: str) -> AsyncIterator[list[Company]]:
    async with seen_by(AT_ONCE, url) as found:
        yield found


@asynccontextmanager
async def stopped(company: Company) -> AsyncIterator[tuple[Connection, Consumer]]:
    """In the middle of a request that hands out events."""
    async with company.api.transaction():
        await company.api.execute(ACT_AS, (companies(company.id),))
        yield company.api, await find(company.api, company.id, NAME, lock="share")


class Interrupted:
    """A connection; something else happens after its first statement."""

    def __init__(self, connection: Connection, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._meanwhile: list[Callable[[], Awaitable[None]]] = [meanwhile]

    async def execute(self, *statement: Any) -> Any:
        cursor = await self._connection.execute(*statement)
        while self._meanwhile:
            await self._meanwhile.pop()()
        return cursor


async def waits(task: "asyncio.Task[Any]") -> bool:
    """Whether somebody cannot go on."""
    await asyncio.sleep(HELD_UP)
    return not task.done()


async def test_many_who_fetch_at_once_never_get_the_same_partition(crowd: list[Company]) -> None:
    first = crowd[0]
    await first.define(Terms(partitions=4))
    for _ in range(12):
        for table in first.tables:
            await first.append(table)
        found = await asyncio.gather(*(one.fetch() for one in crowd))
        given = [delivery for delivery in found if delivery]
        assert sorted(delivery.partition for delivery in given) == [0, 1, 2, 3]
        for one, delivery in zip(crowd, given, strict=False):
            await one.ack(delivery.lease, delivery.position)


async def test_nobody_waits_for_somebody_else_who_fetches(people: list[Company]) -> None:
    one, other, third = people
    await one.define(Terms(partitions=2))
    for table in one.tables:
        await one.append(table)
    async with stopped(one) as (connection, consumer):
        ours = await Reader(connection, consumer, one.now).fetch(uuid4(), 100)
        theirs = await asyncio.wait_for(other.fetch(), 1)
        assert await asyncio.wait_for(third.fetch(), 1) is None
    assert ours
    assert theirs
    assert {ours.partition, theirs.partition} == {0, 1}


async def everything_comes(company: Company) -> None:
    """What was lost with a lease is handed out again, and nothing is left out."""
    found = [position for batch in await company.drain() for position in batch]
    assert sorted(found) == sorted(p for each in company.events.values() for p in each)


async def test_whoever_shares_anew_waits_for_who_fetches(people: list[Company]) -> None:
    """Otherwise they would be given what belongs to one of the old partitions, and pass over it."""
    one, other, _ = people
    await one.define(Terms(partitions=2))
    for table in one.tables:
        await one.append(table)
    async with stopped(one) as (connection, consumer):
        sharing = asyncio.create_task(other.share(1))
        assert await waits(sharing)
        delivery = await Reader(connection, consumer, one.now).fetch(uuid4(), 100)
    assert delivery
    await sharing
    with pytest.raises(LeaseLost):
        await one.ack(delivery.lease, delivery.position)
    await everything_comes(one)


async def test_whoever_sets_it_elsewhere_waits_for_who_fetches(people: list[Company]) -> None:
    one, other, _ = people
    await one.define(Terms())
    await one.append(one.tables[0])
    async with stopped(one) as (connection, consumer):
        delivery = await Reader(connection, consumer, one.now).fetch(uuid4(), 100)
        seeking = asyncio.create_task(other.seek(Place(0)))
        assert await waits(seeking)
    assert delivery
    await seeking
    with pytest.raises(LeaseLost):
        await one.ack(delivery.lease, delivery.position)
    await everything_comes(one)


async def test_nothing_is_handed_out_of_what_is_set_elsewhere_just_now(
    people: list[Company],
) -> None:
    one, other, _ = people
    await one.define(Terms())
    await one.append(one.tables[0])
    await one.drain()

    async def seek(connection: Connection) -> None:
        consumer = await find(connection, one.id, NAME, lock="update")
        await registry.seek(connection, consumer, Place(0))
        fetching.append(asyncio.create_task(other.fetch()))
        assert await waits(fetching[0])

    fetching: list[asyncio.Task[Delivery | None]] = []
    await one.act(seek)
    delivery = await fetching[0]
    assert delivery
    assert [row[0] for row in delivery.rows] == one.events[one.tables[0]]


async def test_whoever_forgets_it_waits_for_who_fetches(people: list[Company]) -> None:
    one, other, _ = people
    made = await one.define(Terms())
    await one.append(one.tables[0])
    async with stopped(one) as (connection, consumer):
        delivery = await Reader(connection, consumer, one.now).fetch(uuid4(), 100)
        removing = asyncio.create_task(other.act(lambda c: registry.remove(c, one.id, made.id)))
        assert await waits(removing)
    assert delivery
    await removing
    with pytest.raises(NotFound):
        await one.ack(delivery.lease, delivery.position)


@pytest.mark.parametrize("action", ["ack", "nack"])
async def test_who_sets_it_elsewhere_and_who_reads_do_not_wait_for_each_other(
    people: list[Company], action: str
) -> None:
    """Both lock the consumer first."""
    one, other, _ = people
    await one.define(Terms())
    position = await one.append(one.tables[0])
    delivery = await one.fetch()
    assert delivery

    async def seek(connection: Connection) -> None:
        consumer = await find(connection, one.id, NAME, "update")
        reading.append(asyncio.create_task(getattr(other, action)(delivery.lease, position)))
        assert await waits(reading[0])
        await registry.seek(connection, consumer, Place(0))

    reading: list[asyncio.Task[Any]] = []
    await one.act(seek)
    with pytest.raises(LeaseLost):
        await reading[0]
    await everything_comes(one)


async def test_who_drops_a_table_and_who_deals_with_it_do_not_wait_for_each_other(
    people: list[Company],
) -> None:
    one, other, _ = people
    await one.define(Terms(max_attempts=1))
    table = one.tables[0]
    position = await one.append(table)
    delivery = await one.fetch()
    assert delivery
    await one.nack(delivery.lease, position)
    await one.replay(table)
    again = await one.fetch()
    assert again

    async def deal_with_it() -> None:
        dealing.append(asyncio.create_task(other.ack(again.lease, position)))
        assert await waits(dealing[0])

    async def drop(connection: Connection) -> None:
        consumer = await find(connection, one.id, NAME, "update")
        await held.drop(Interrupted(connection, deal_with_it), consumer, table)  # type: ignore[arg-type]

    dealing: list[asyncio.Task[None]] = []
    await one.act(drop)
    with pytest.raises(LeaseLost):
        await dealing[0]
    assert await one.drain() == []


async def test_what_is_forgotten_meanwhile_is_not_found(people: list[Company]) -> None:
    one, other, _ = people
    made = await one.define(Terms())

    async def show(connection: Connection) -> None:
        [consumer] = await named(connection, one.id)
        await other.act(lambda c: registry.remove(c, one.id, made.id))
        with pytest.raises(NotFound):
            await standing(connection, consumer)

    await one.act(show)


async def test_what_is_forgotten_while_it_is_defined_is_made_anew(people: list[Company]) -> None:
    one, other, _ = people
    before = await one.define(Terms())

    async def remove() -> None:
        await other.act(lambda c: registry.remove(c, one.id, before.id))

    async def define(connection: Connection) -> tuple[Consumer, bool]:
        wanted = Definition(one.id, NAME, Terms(partitions=2), uuid4(), Place(0))
        return await registry.define(Interrupted(connection, remove), wanted, uuid4())  # type: ignore[arg-type]

    made, is_new = await one.act(define)
    assert (is_new, made.terms.partitions) == (True, 2)


async def test_who_changes_it_after_somebody_else_knows_what_they_made_of_it(
    people: list[Company],
) -> None:
    one, other, _ = people
    await one.define(Terms(partitions=1))

    async def change(connection: Connection) -> None:
        known = await find(connection, one.id, NAME, "update")
        changing.append(asyncio.create_task(other.define(Terms(partitions=1, max_attempts=3))))
        assert await waits(changing[0])
        await registry.change(connection, known, Terms(partitions=2))

    changing: list[asyncio.Task[Consumer]] = []
    await one.act(change)
    await changing[0]
    [consumer] = await one.act(lambda c: named(c, one.id))
    assert consumer.terms == Terms(partitions=1, max_attempts=3)
    assert len((await one.act(lambda c: standing(c, consumer))).partitions) == 1


async def test_of_many_who_define_it_at_once_one_makes_it(crowd: list[Company]) -> None:
    id = crowd[0].id

    async def define(one: Company, partitions: int) -> bool:
        wanted = Definition(id, NAME, Terms(partitions=partitions), uuid4(), Place(0))
        return (await one.act(lambda c: registry.define(c, wanted, uuid4())))[1]

    made = await asyncio.gather(*(define(one, 1 + number % 4) for number, one in enumerate(crowd)))
    assert sorted(made) == [False] * (AT_ONCE - 1) + [True]
    [consumer] = await crowd[0].act(lambda c: named(c, id))
    now = await crowd[0].act(lambda c: standing(c, consumer))
    assert len(now.partitions) == consumer.terms.partitions


async def test_a_position_between_our_events_is_not_beyond_a_restored_backup(
    people: list[Company],
) -> None:
    """What comes after the backup may get positions that had been somebody else's."""
    one, theirs = people[0], Company(people[0].owner, people[0].api)
    await one.append(one.tables[0])
    between = await theirs.append(tables(1)[0])
    await one.define(Terms(), Place(between))
    assert await one.drain() == []
    await one.forget_events(between)
    position = await one.append(one.tables[0])
    assert position == between
    assert await one.drain() == [[position]]
