"""Sending to one endpoint what is due: several tables at once, each in order."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from application.consumers import registry
from application.consumers.consumer import Connection, Row
from application.consumers.delivery import Delivery, Reader
from application.consumers.registry import Place
from application.errors import LeaseLost, NotDelivered
from application.event_feed import Rewound
from application.event_store.session import Transact
from application.feed import public_item
from application.webhooks import endpoints, signing
from application.webhooks.attempts import GONE, Answer, Attempt, Message, Outcomes
from application.webhooks.endpoints import ATTEMPTS, PARTITIONS, Endpoint
from application.webhooks.replays import Replay, Replays
from domain.errors import NotFound

BATCH = 20
AGENT = "dynamic-tables/0.1 (webhooks)"

Post = Callable[[Message], Awaitable[Answer]]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


def message(endpoint: Endpoint, message_id: str, item: Any, now: datetime) -> Message:
    """Something as it is sent to an endpoint, signed."""
    body = to_json(item)
    signed = signing.headers(message_id, now, body, endpoint.secrets(now))
    headers = {"content-type": "application/json", "user-agent": AGENT, **signed}
    return Message(endpoint.url, headers, body)


@dataclass(frozen=True)
class Sending:
    """Sends to one endpoint. `post` never raises: what goes wrong is an answer with no status.

    `owner`: of the leases. `until`: when this ends, whatever is left.
    """

    transact: Transact
    post: Post
    clock: Clock
    owner: UUID
    company_id: UUID
    id: UUID
    until: datetime

    async def send(self) -> None:
        """Send all that is due now, and what somebody asked to have sent again.

        Raises:
            Whatever broke one of the lanes, once the others are through.
        """
        lanes = (*(self._lane() for _ in range(PARTITIONS)), self._replay())
        for broken in await asyncio.gather(*lanes, return_exceptions=True):
            if broken and not isinstance(broken, NotFound):  # it was deleted meanwhile
                raise broken

    async def _lane(self) -> None:
        while taken := await self.transact(self.company_id, self._take):
            await self._deliver(*taken)

    async def _take(self, connection: Connection) -> tuple[Endpoint, Delivery] | None:
        """The next events of some tables, unless the endpoint is left alone now."""
        now = self.clock()
        endpoint = await self._locked(connection)
        if not self._goes_on(endpoint, now):
            return None
        consumer = await endpoints.consumer_of(connection, endpoint)
        try:
            delivery = await Reader(connection, consumer, now).fetch(self.owner, BATCH)
        except Rewound:
            # What it was sent may never have happened: somebody has to know before it goes on.
            await registry.seek(connection, consumer, Place())
            await endpoints.pause(connection, endpoint, "rewound", now)
            return None
        return (endpoint, delivery) if delivery else None

    async def _deliver(self, endpoint: Endpoint, delivery: Delivery) -> None:
        """One event after the other, until one is not taken."""
        for row in delivery.rows:
            attempt = await self._attempt(endpoint, row)
            position = delivery.position if row is delivery.rows[-1] else row[0]

            async def conclude(
                connection: Connection, attempt: Attempt = attempt, position: int = position
            ) -> Endpoint | None:
                return await self._conclude(connection, delivery.lease, attempt, position)

            found = await self.transact(self.company_id, conclude)
            if found is None:
                return
            endpoint = found

    async def _conclude(
        self, connection: Connection, lease: UUID, attempt: Attempt, position: int
    ) -> Endpoint | None:
        """Keep what became of an event; returns the endpoint if the lease goes on."""
        endpoint, now = await self._locked(connection), self.clock()
        consumer = await endpoints.consumer_of(connection, endpoint)
        reader, outcomes = Reader(connection, consumer, now), Outcomes(connection, endpoint, now)
        await outcomes.keep(attempt)
        try:
            if attempt.error is None:
                await reader.ack(lease, position)
                await outcomes.succeeded(attempt)
                if self._goes_on(endpoint, now):
                    return endpoint
            else:
                tried = await reader.nack(lease, attempt.row[0], attempt.error, attempt.patience)
                await self._blame(connection, endpoint, attempt, tried, now)
        except (LeaseLost, NotDelivered):
            pass  # it took too long, and somebody else goes on; or it is not wanted any more
        await reader.give_back(lease)
        return None

    async def _blame(
        self,
        connection: Connection,
        endpoint: Endpoint,
        attempt: Attempt,
        tried: int,
        now: datetime,
    ) -> None:
        """Leave the address alone for a while, or for good.

        An event that is refused to the last, although others were taken since it was refused
        before, holds back its own table alone.
        """
        failures = await Outcomes(connection, endpoint, now).failed(attempt)
        if attempt.answer.status == GONE:
            await endpoints.pause(connection, endpoint, "gone", now)
        elif failures > ATTEMPTS or (tried >= ATTEMPTS and endpoint.failures):
            await endpoints.pause(connection, endpoint, "failed", now)

    async def _replay(self) -> None:
        """What somebody asked to have sent again, one after the other."""
        while taken := await self.transact(self.company_id, self._take_replay):
            endpoint, replay = taken
            attempt = await self._attempt(endpoint, replay.row)

            async def conclude(
                connection: Connection, replay: Replay = replay, attempt: Attempt = attempt
            ) -> None:
                await self._conclude_replay(connection, replay, attempt)

            await self.transact(self.company_id, conclude)

    async def _conclude_replay(
        self, connection: Connection, replay: Replay, attempt: Attempt
    ) -> None:
        endpoint, now = await self._locked(connection), self.clock()
        outcomes, replays = Outcomes(connection, endpoint, now), Replays(connection, endpoint, now)
        await outcomes.keep(attempt, replay.attempts + 1)
        if attempt.error is None:
            await replays.succeeded(replay)
            return
        await replays.failed(replay, attempt)
        await outcomes.leave_alone(attempt.retry_after)
        if attempt.answer.status == GONE:
            await endpoints.pause(connection, endpoint, "gone", now)

    async def _locked(self, connection: Connection) -> Endpoint:
        """Whoever changes something of an endpoint locks it first: so nobody waits in a circle."""
        return await endpoints.find(connection, self.company_id, self.id, for_update=True)

    def _goes_on(self, endpoint: Endpoint, now: datetime) -> bool:
        return endpoint.is_open(now) and now < self.until

    async def _take_replay(self, connection: Connection) -> tuple[Endpoint, Replay] | None:
        now = self.clock()
        endpoint = await self._locked(connection)
        if not self._goes_on(endpoint, now):
            return None
        consumer = await endpoints.consumer_of(connection, endpoint)
        replay = await Replays(connection, endpoint, now).take(consumer)
        return (endpoint, replay) if replay else None

    async def _attempt(self, endpoint: Endpoint, row: Row) -> Attempt:
        item, now = public_item(self.company_id, row), self.clock()
        began = time.monotonic()
        answer = await self.post(message(endpoint, item["id"], item, now))
        milliseconds = round(1000 * (time.monotonic() - began))
        return Attempt(UUID(str(uuid7())), row, now, milliseconds, answer)
