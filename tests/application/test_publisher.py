"""The copy goes on where it ended, whatever a broker does to a batch."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import uuid4

import pytest
from psycopg import AsyncConnection

from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application import publisher
from application.event_store.postgres import PostgresEventStore
from application.publisher import (
    BrokerUnavailable,
    CannotContinue,
    Displaced,
    Emptied,
    Message,
    Place,
    Publisher,
)
from domain.errors import UnreadableEvent
from tests.contracts.commands import creation

pytestmark = pytest.mark.anyio

EVENTS = 30
ACCEPT_NONE, ACCEPT_SOME = 0, 7


class Copy:
    """A broker in memory. `failures`: how many of the next batches it accepts, and then raises."""

    def __init__(self, *failures: tuple[int, Exception]) -> None:
        self.kept: list[Message] = []
        self.cleared = 0
        self.used = False
        self.failures = list(failures)
        self.batches: list[int] = []

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator["Copy"]:
        yield self

    async def last(self) -> Place | None:
        if self.used and not self.kept:
            raise Emptied
        return Place(self.kept[-1].position, self.kept[-1].event_id) if self.kept else None

    async def clear(self) -> None:
        self.kept.clear()
        self.cleared += 1

    async def publish(self, messages: Sequence[Message]) -> None:
        self.batches.append(len(messages))
        accepted, error = self.failures.pop(0) if self.failures else (len(messages), None)
        self.kept += messages[:accepted]
        if error:
            raise error


Make = Callable[..., Publisher]


@pytest.fixture
async def make(database: str, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Publishers of a store with a few events, that do not wait for long."""
    monkeypatch.setattr(publisher, "POLL", 0.01)
    monkeypatch.setattr(publisher, "BATCH", 10)
    store = PostgresEventStore(as_role(database, API_ROLE))
    for _ in range(EVENTS // 5):
        await store.append(creation(uuid4(), events=5))
    await store.close()

    def made(copy: Copy, **options: object) -> Publisher:
        return Publisher("copy", as_role(database, PROJECTOR_ROLE), copy.connected, **options)  # type: ignore[arg-type]

    return made


def positions(copy: Copy) -> list[int]:
    return [message.position for message in copy.kept]


ALL = list(range(1, EVENTS + 1))


async def test_everything_is_copied_in_order_in_batches(make: Make) -> None:
    copy = Copy()
    await make(copy).once()
    assert positions(copy) == ALL
    assert copy.batches == [10, 10, 10]


@pytest.mark.parametrize("accepted", [ACCEPT_NONE, ACCEPT_SOME, 10])
async def test_a_broker_that_went_away_is_asked_where_the_copy_ends(
    make: Make, accepted: int
) -> None:
    copy = Copy((10, None), (accepted, BrokerUnavailable("gone")))  # type: ignore[arg-type]
    with pytest.raises(BrokerUnavailable):
        await make(copy).once()
    assert positions(copy) == ALL[: 10 + accepted]
    await make(copy).once()
    assert positions(copy) == ALL


@pytest.mark.parametrize("accepted", [ACCEPT_NONE, ACCEPT_SOME])
async def test_a_copy_that_ends_elsewhere_is_looked_at_again(make: Make, accepted: int) -> None:
    copy = Copy((accepted, Displaced()), (accepted, Displaced()))
    await make(copy).once()
    assert positions(copy) == ALL


async def test_a_rebuild_is_begun_again_until_its_first_event_is_in(make: Make) -> None:
    copy = Copy((0, Displaced()), (0, Displaced()), (1, None), (ACCEPT_SOME, Displaced()))  # type: ignore[arg-type]
    await make(copy, rebuild=True).once()
    assert positions(copy) == ALL
    assert copy.cleared == 3
    assert copy.batches[:4] == [1, 1, 1, 10]


async def test_an_emptied_copy_begins_only_where_it_is_told(make: Make) -> None:
    copy = Copy()
    copy.used = True
    with pytest.raises(CannotContinue, match="say --after POSITION, or --rebuild"):
        await make(copy).once()
    await make(copy, after=20).once()
    assert positions(copy) == ALL[20:]


async def test_where_a_copy_has_something_it_goes_on_whatever_it_is_told(make: Make) -> None:
    copy = Copy()
    await make(copy).once()
    del copy.kept[10:]
    await make(copy, after=20).once()
    assert positions(copy) == ALL


async def test_an_event_with_a_broken_shape_stops_it(make: Make, database: str) -> None:
    async with await AsyncConnection.connect(database, autocommit=True) as owner:
        await owner.execute("SET session_replication_role = replica")
        await owner.execute("UPDATE event_store.events SET state = '7' WHERE position = 12")
    copy = Copy()
    with pytest.raises(UnreadableEvent, match="at position 12"):
        await make(copy).run()
    assert positions(copy) == ALL[:10]
