"""Every event of every company, in global order, copied to a broker that others listen to.

The copy itself tells how far it is; no position is kept here. It refuses whatever does not come
right after its last event, so a publisher that died, hangs or has a twin leaves no gap in it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from pydantic_core import to_json

from application.errors import Fault
from application.event_store.session import connect
from application.feed import cloud_event, public_type
from domain.errors import UnreadableEvent

CHANNEL = "dynamic_tables_events"
POLL = 1.0  # seconds; a missed NOTIFY costs no more than this
SILENCE = 30  # seconds; a publisher that shows the database no life for so long loses its place
BATCH = 1_000
TRY_TO_LEAD = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
# With the event at the place itself, which the store must have too.
READ = """
SELECT company_id, position, originator_id, originator_version, topic, state, event_id
  FROM event_store.events
 WHERE position >= %(place)s
 ORDER BY position
 LIMIT %(limit)s
"""

logger = logging.getLogger(__name__)


class BrokerUnavailable(Fault):
    """The broker cannot be reached, or did not answer."""


class Displaced(Exception):
    """The copy does not end where we left it: somebody else wrote to it."""


class Emptied(Exception):
    """The copy had events, but its last one is gone."""


class CannotContinue(Exception):
    """Where the copy goes on is for whoever runs this to say."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position, and the event that is there; None = whichever."""

    position: int
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """An event as a broker takes it: `payload` is a CloudEvent in its JSON format."""

    position: int
    event_id: UUID
    company_id: UUID
    originator_id: UUID
    type: str
    payload: bytes


class Broker(Protocol):
    """A connection to the copy, which grows only at its end."""

    async def last(self) -> Place | None:
        """The last event in the copy; None = there never was one.

        Raises:
            Emptied: there was one.
            CannotContinue: what is there is not ours.
            BrokerUnavailable: try again later.
        """

    async def clear(self) -> None:
        """Take everything out of the copy.

        Raises:
            Displaced: somebody put something in meanwhile.
            BrokerUnavailable: try again later.
        """

    async def publish(self, messages: Sequence[Message]) -> None:
        """Add events right after the last one, in order; when it fails, perhaps the first few.

        Raises:
            Displaced: the last one is not that which was seen or added here last.
            BrokerUnavailable: try again later.
        """


@dataclass
class Publisher:
    """Keeps one copy current while it can; stands by while another publisher does.

    `name`: of the copy. `after`: where it begins when it is empty. `rebuild`: empty it first.
    """

    name: str
    conninfo: str
    connect: Callable[[], AbstractAsyncContextManager[Broker]]
    after: int | None = None
    rebuild: bool = False

    async def run(self) -> None:
        """Copy until cancelled; survives the database, the broker and other publishers.

        Raises:
            CannotContinue: somebody has to decide.
            UnreadableEvent: an event has a broken shape; none may be left out.
        """
        while True:
            try:
                await self._copy(follow=True)
            except (Fault, Displaced, psycopg.Error, OSError) as broken:
                logger.warning("%s: starts again: %s", self.name, str(broken).strip())
            await asyncio.sleep(POLL)

    async def once(self) -> None:
        """Copy what is there.

        Raises:
            As `run`; and Fault, psycopg.Error, OSError: the database or the broker is away.
        """
        while True:
            try:
                return await self._copy(follow=False)
            except Displaced as displaced:
                logger.warning("%s: looks again: %s", self.name, displaced)
            await asyncio.sleep(POLL)

    async def _copy(self, follow: bool) -> None:
        async with await connect(self.conninfo) as store:
            await self._lead(store, patient=follow and not self.rebuild)
            await store.execute(f"LISTEN {CHANNEL}".encode())
            async with self.connect() as broker:
                place = await self._start(broker)
                logger.info("%s: publishes what is above position %s", self.name, place.position)
                while (moved := await self._step(store, broker, place)) or follow:
                    place = moved or place
                    await _news(store, 0 if moved else POLL)

    async def _lead(self, store: AsyncConnection[Any], patient: bool) -> None:
        """Be the only one, to spare the broker: the copy would be right with several, too."""
        while not await self._lock(store):
            if not patient:
                raise CannotContinue(f"Another publisher is at work on {self.name}.")
            await asyncio.sleep(POLL)

    async def _lock(self, store: AsyncConnection[Any]) -> bool:
        cursor = await store.execute(TRY_TO_LEAD, (f"publisher:{self.name}",))
        row = await cursor.fetchone()
        return bool(row and row[0])

    async def _start(self, broker: Broker) -> Place:
        beginning = Place(self.after or 0)
        if self.rebuild:
            await broker.clear()
            return beginning
        try:
            return await broker.last() or beginning
        except Emptied:
            if self.after is None:
                raise CannotContinue(
                    f"{self.name} had events, but its last one is gone, and with it the place to go"
                    " on from: say --after POSITION, or --rebuild to begin at zero."
                ) from None
            return beginning

    async def _step(
        self, store: AsyncConnection[Any], broker: Broker, place: Place
    ) -> Place | None:
        """Publish the next events, if there are any; returns where the copy ends then.

        What is rebuilt begins with one event: if somebody else was faster, it is emptied again, and
        otherwise nobody else can write to it from then on.
        """
        messages = [
            _message(row) for row in await _read(store, place, 1 if self.rebuild else BATCH)
        ]
        if not messages:
            return None
        await broker.publish(messages)
        self.rebuild = False
        return Place(messages[-1].position, messages[-1].event_id)


async def _read(store: AsyncConnection[Any], place: Place, limit: int) -> Sequence[Any]:
    """The events above a place.

    Raises:
        CannotContinue: the store has another event there, or none: a backup was restored.
    """
    async with store.cursor(binary=True) as cursor:
        await cursor.execute(READ, {"place": place.position, "limit": limit + 1})
        rows = await cursor.fetchall()
    if not place.position:
        return rows[:limit]
    if not rows or rows[0][1] != place.position or place.event_id not in (None, rows[0][6]):
        raise CannotContinue(
            f"The copy is ahead of the store, which has no event {place.event_id or ''} at position"
            f" {place.position}. If a backup was restored, publish anew with --rebuild."
        )
    return rows[1:]


async def _news(store: AsyncConnection[Any], patience: float) -> None:
    """Wait until events are announced, and take in what was announced meanwhile."""
    async for _ in store.notifies(timeout=patience, stop_after=1 if patience else None):
        pass


def _message(row: Sequence[Any]) -> Message:
    company_id, *event = row
    position, originator_id, _, topic, _, event_id = event
    try:
        payload = to_json(cloud_event(company_id, event))
        type = public_type(topic)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableEvent(f"{topic} at position {position}: {error!r}") from error
    return Message(position, event_id, company_id, originator_id, type, payload)
