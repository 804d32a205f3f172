"""Only what belongs there gets into the stream, whoever else writes to it, dies or comes late."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from uuid import UUID

import pytest

from api.nats_broker import NatsBroker, connected
from api.roles import PROJECTOR_ROLE, as_role
from application.publisher import BrokerUnavailable, Displaced, Emptied, Message, Place, Publisher
from tests.conftest import eventually, sized
from tests.journeys.nats_server import STREAM, NatsServer
from tests.journeys.publishing import check, head, places, writers

pytestmark = pytest.mark.anyio

WINDOW = 0.1  # seconds; the shortest that NATS takes
TYPE = "dynamic-tables.table-def.renamed.v1"


def events(first: int, last: int) -> list[Message]:
    company = UUID(int=1)
    return [
        Message(position, UUID(int=position), company, company, TYPE, b"{}")
        for position in range(first, last + 1)
    ]


async def positions(server: NatsServer) -> list[int]:
    messages = await asyncio.to_thread(server.messages)
    return [position for position, _ in places(messages)]


@contextlib.asynccontextmanager
async def brokers(server: NatsServer) -> AsyncIterator[Sequence[NatsBroker]]:
    """Two at once, who both know where the stream is."""
    async with connected(server.url, STREAM) as one, connected(server.url, STREAM) as other:
        await one.last()
        await other.last()
        yield one, other


async def forgotten(server: NatsServer) -> None:
    """Make a stream whose duplicates are soon forgotten."""
    await asyncio.to_thread(server.make, duplicate_window=WINDOW)


async def test_two_who_publish_the_same_publish_it_once(server: NatsServer) -> None:
    async with brokers(server) as (one, other):
        await one.publish(events(1, 5))
        with contextlib.suppress(Displaced):  # newer servers look at the sequence number first
            await other.publish(events(1, 7))
        with contextlib.suppress(Displaced):
            await one.publish(events(6, 8))
    assert await positions(server) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_whoever_comes_late_adds_only_what_is_missing_when_duplicates_are_forgotten(
    server: NatsServer,
) -> None:
    await forgotten(server)
    async with brokers(server) as (one, other):
        await one.publish(events(1, 5))
        await asyncio.sleep(WINDOW * 5)
        with pytest.raises(Displaced):
            await other.publish(events(1, 3))
        with pytest.raises(Displaced):
            await other.publish(events(1, 7))
        assert await positions(server) == [1, 2, 3, 4, 5, 6, 7]
        assert await other.last() == Place(7, UUID(int=7))
        await other.publish(events(8, 9))
    assert await positions(server) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


async def test_what_leaves_one_out_is_refused_by_all_that_follow(server: NatsServer) -> None:
    await forgotten(server)
    async with brokers(server) as (one, other):
        await one.publish(events(1, 5))
        await asyncio.sleep(WINDOW * 5)
        with pytest.raises(Displaced):
            await other.publish([*events(1, 4), *events(6, 8)])
    assert await positions(server) == [1, 2, 3, 4, 5]


async def test_whoever_was_at_work_before_a_rebuild_cannot_go_on(server: NatsServer) -> None:
    await forgotten(server)
    async with brokers(server) as (one, other):
        await one.publish(events(1, 5))
        await asyncio.sleep(WINDOW * 5)
        await other.clear()
        await other.publish(events(1, 1))
        with pytest.raises(Displaced):
            await one.publish(events(6, 9))
        await other.publish(events(2, 3))
    assert await positions(server) == [1, 2, 3]


async def test_a_rebuild_that_somebody_got_ahead_of_is_refused(server: NatsServer) -> None:
    await forgotten(server)
    async with brokers(server) as (one, other):
        await one.publish(events(1, 5))
        await asyncio.sleep(WINDOW * 5)
        await other.clear()
        await one.publish(events(6, 7))
        with pytest.raises(Displaced):
            await other.publish(events(1, 1))
        await other.clear()
        await other.publish(events(1, 1))
        with pytest.raises(Displaced):
            await one.publish(events(8, 9))
    assert await positions(server) == [1]


async def test_what_nats_takes_for_a_duplicate_of_before_a_rebuild_does_not_count(
    server: NatsServer,
) -> None:
    async with brokers(server) as (one, _):
        await one.publish(events(1, 3))
        await one.clear()
        with pytest.raises(Displaced):
            await one.publish(events(1, 1))
        with pytest.raises(Emptied):
            await one.last()


async def test_a_server_that_forgot_the_last_id_goes_on(server: NatsServer) -> None:
    await forgotten(server)
    async with connected(server.url, STREAM) as broker:
        assert await broker.last() is None
        await broker.publish(events(1, 3))
    await asyncio.sleep(WINDOW * 5)
    server.kill()
    await asyncio.to_thread(server.start)
    async with connected(server.url, STREAM) as broker:
        assert await broker.last() == Place(3, UUID(int=3))
        await broker.publish(events(4, 6))
    assert await positions(server) == [1, 2, 3, 4, 5, 6]


async def test_a_broken_connection_is_noticed_at_once(server: NatsServer) -> None:
    async with connected(server.url, STREAM) as broker:
        await broker.last()
        server.kill()
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            await broker.publish(events(1, 1000))
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("window", [WINDOW, 120])
async def test_two_publishers_that_do_not_know_of_each_other_are_harmless(
    database: str, server: NatsServer, window: float
) -> None:
    await asyncio.to_thread(server.make, duplicate_window=window)
    connect = partial(connected, server.url, STREAM)
    conninfo = as_role(database, PROJECTOR_ROLE)
    tasks = [
        asyncio.create_task(Publisher(name, conninfo, connect).run()) for name in ("one", "other")
    ]
    with writers(database):
        await asyncio.sleep(sized(2, 4))
    wanted = head(database)

    async def all_there() -> bool:
        return (await asyncio.to_thread(server.state)).messages >= wanted

    await eventually(all_there, 60, "all is published")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    check(database, await asyncio.to_thread(server.messages))
