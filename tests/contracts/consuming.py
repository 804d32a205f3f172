"""A company's events, its consumer, and those who read for it: for tests of what they are told."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from api.bootstrap import KEYSET_PLANS
from api.roles import API_ROLE, as_role
from application.consumers import held
from application.consumers.consumer import Consumer, Lock, Terms, find
from application.consumers.delivery import Delivery, Reader, backoff
from application.consumers.registry import Definition, Place, change, define, seek
from application.event_store.session import ACT_AS, companies

APPEND = """
INSERT INTO event_store.events (
       position, company_id, originator_id, originator_version, topic, state, salt, event_id,
       recorded_at)
SELECT coalesce(max(position), 0) + 1, %s, %s, %s, %s, '{}', '', gen_random_uuid(),
       greatest(max(recorded_at), %s)
  FROM event_store.events
RETURNING position
"""
TRIGGER = "ALTER TABLE event_store.events {} TRIGGER events_are_append_only"
NAME = "copy"
T = TypeVar("T")


def tables(count: int) -> list[UUID]:
    """So many ids of tables, of partitions 0, 1, 2 …"""
    return [UUID(int=uuid4().int >> 8 << 8 | number) for number in range(count)]


@dataclass
class Company:
    """One company with a consumer, seen from outside: what happened, and what was dealt with."""

    owner: AsyncConnection[Any]
    api: AsyncConnection[Any]
    id: UUID = field(default_factory=uuid4)
    tables: list[UUID] = field(default_factory=lambda: tables(4))
    now: datetime = datetime(2026, 11, 22, tzinfo=UTC)
    events: dict[UUID, list[int]] = field(default_factory=lambda: defaultdict(list))

    async def append(self, table: UUID, topic: str = "TableDef.Renamed") -> int:
        """One more event of a table."""
        version = len(self.events[table]) + 1
        params = (self.id, table, version, topic, self.now)
        row = await (await self.owner.execute(APPEND, params)).fetchone()
        assert row
        self.events[table].append(row[0])
        return int(row[0])

    async def again(self, url: str) -> "Company":
        """The same company, seen through another connection of the API's."""
        conninfo = as_role(url, API_ROLE, KEYSET_PLANS)
        api = await AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=0)
        return replace(self, api=api)

    async def forget_events(self, since: int) -> None:
        """Restore a backup that ends before a position."""
        await self.owner.execute(TRIGGER.format("DISABLE").encode())
        await self.owner.execute("DELETE FROM event_store.events WHERE position >= %s", (since,))
        await self.owner.execute(TRIGGER.format("ENABLE").encode())
        for positions in self.events.values():
            positions[:] = [each for each in positions if each < since]

    async def act(self, run: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        """As the API does: in a transaction that sees this company alone."""
        async with self.api.transaction():
            await self.api.execute(ACT_AS, (companies(self.id),))
            return await run(self.api)

    async def define(self, terms: Terms, start: Place | None = None) -> Consumer:
        """Make the consumer, or give it other terms."""
        wanted = Definition(self.id, NAME, terms, uuid4(), start or Place(0))
        consumer, _ = await self.act(lambda c: define(c, wanted, uuid4()))
        return consumer

    async def _with_consumer(
        self,
        run: Callable[[AsyncConnection[Any], Consumer], Awaitable[T]],
        lock: Lock | None = None,
    ) -> T:
        async def found(connection: AsyncConnection[Any]) -> T:
            return await run(connection, await find(connection, self.id, NAME, lock))

        return await self.act(found)

    async def fetch(self, limit: int = 100) -> Delivery | None:
        """Read as somebody new."""
        return await self._with_consumer(
            lambda c, consumer: Reader(c, consumer, self.now).fetch(uuid4(), limit), "share"
        )

    async def ack(self, lease: UUID, position: int) -> None:
        """Deal with everything up to a position."""
        await self._with_consumer(
            lambda c, consumer: Reader(c, consumer, self.now).ack(lease, position)
        )

    async def nack(self, lease: UUID, position: int, after: float | None = None) -> int:
        """Refuse the event at a position."""
        patience = backoff if after is None else lambda _: after
        return await self._with_consumer(
            lambda c, consumer: Reader(c, consumer, self.now).nack(lease, position, "no", patience)
        )

    async def share(self, partitions: int) -> bool:
        """Let so many read at once; whether that is another number than before."""

        async def run(connection: AsyncConnection[Any], consumer: Consumer) -> bool:
            terms = replace(consumer.terms, partitions=partitions)
            await change(connection, consumer, terms)
            return terms != consumer.terms

        return await self._with_consumer(run, "update")

    async def seek(self, place: Place) -> None:
        """Go on from elsewhere."""
        await self._with_consumer(lambda c, consumer: seek(c, consumer, place), "update")

    async def replay(self, table: UUID) -> None:
        """Try once more what is parked of a table."""
        await self._with_consumer(lambda c, consumer: held.replay(c, consumer, table), "update")

    async def replay_all(self) -> None:
        """Try once more whatever is parked."""
        await self._with_consumer(held.replay_all, "update")

    async def drop(self, table: UUID) -> None:
        """Leave out what is parked of a table."""
        await self._with_consumer(lambda c, consumer: held.drop(c, consumer, table), "update")

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    async def drain(self) -> list[Sequence[int]]:
        """Deal with all there is, in order; the positions of each batch."""
        batches = []
        while delivery := await self.fetch():
            batches.append([row[0] for row in delivery.rows])
            await self.ack(delivery.lease, delivery.position)
        return batches


async def connect(url: str) -> tuple[AsyncConnection[Any], AsyncConnection[Any]]:
    """The owner's connection, and one as the API has it."""
    owner = await AsyncConnection.connect(make_conninfo(url), autocommit=True)
    api = await AsyncConnection.connect(
        as_role(url, API_ROLE, KEYSET_PLANS), autocommit=True, prepare_threshold=0
    )
    return owner, api
