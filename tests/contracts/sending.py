"""A company whose events are sent to endpoints, and those who receive them, in simulated time."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.pooled import transacting
from api.roles import PROJECTOR_ROLE, as_role
from application.consumers.registry import Place
from application.event_store.session import Transact
from application.webhooks import endpoints
from application.webhooks.attempts import Answer, Message
from application.webhooks.deliveries import LAST, Sent, latest
from application.webhooks.endpoints import Endpoint, Wanted
from application.webhooks.sender import Sender
from tests.contracts.consuming import Company, T, connect

STATE = {
    "occurredAt": "2026-11-22T09:00:00.123456Z",
    "data": {"name": "Orders"},
    "metadata": {"actorId": str(uuid4()), "actorKind": "user"},
}
APPEND = """
INSERT INTO event_store.events (
       position, company_id, originator_id, originator_version, topic, state, salt, event_id,
       recorded_at)
SELECT coalesce(max(position), 0) + 1, %s, %s, %s, %s, convert_to(%s, 'UTF8'), '',
       gen_random_uuid(), greatest(max(recorded_at), %s)
  FROM event_store.events
RETURNING position
"""
REWIND = """
ALTER TABLE event_store.events DISABLE TRIGGER events_are_append_only;
DELETE FROM event_store.events WHERE company_id = '{}';
ALTER TABLE event_store.events ENABLE TRIGGER events_are_append_only;
"""
URL = "https://hooks.example.com/tables"
OK, BROKEN, SILENT = Answer(204), Answer(500, text="oops"), Answer(None, "no answer within 15 s")
Mood = Answer | Callable[[dict[str, Any]], Awaitable[Answer]]


@dataclass
class Receiver:
    """Whoever is sent events: answers as its mood is, and knows what it was sent and took.

    `moods`: for events of single tables, by their ids; `taken`: versions by table, repeats too.
    """

    mood: Mood = OK
    moods: dict[UUID, Mood] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    taken: dict[UUID, list[int]] = field(default_factory=lambda: defaultdict(list))

    async def post(self, message: Message) -> Answer:
        """Be sent something."""
        self.messages.append(message)
        item = json.loads(message.body)
        table = UUID(item["tableId"])
        mood = self.moods.get(table, self.mood)
        answer = mood if isinstance(mood, Answer) else await mood(item)
        if answer.status and answer.status < 300:
            self.taken[table].append(item["version"])
        return answer

    def firsts(self) -> dict[UUID, list[int]]:
        """What it took, by table, without repeats."""
        return {table: list(dict.fromkeys(versions)) for table, versions in self.taken.items()}

    def positions(self) -> list[int]:
        """Of everything that it was sent."""
        return [int(json.loads(each.body)["position"]) for each in self.messages]


@dataclass(kw_only=True)
class Publisher(Company):
    """A company with an endpoint; its time passes when it is told to, a little at each look."""

    projector: AsyncConnection[Any]
    transact: Transact
    receiver: Receiver = field(default_factory=Receiver)
    hook_id: UUID = field(default_factory=uuid4)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def act(self, run: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        """As the API does, one at a time."""
        async with self.turn:
            return await super().act(run)

    def clock(self) -> datetime:
        """What the sender believes the time to be."""
        self.now += timedelta(microseconds=1)
        return self.now

    async def append(self, table: UUID, topic: str = "TableDef.Renamed") -> int:
        """One more event of a table, that can be shown to others."""
        version = len(self.events[table]) + 1
        params = (self.id, table, version, topic, json.dumps(STATE), self.now)
        row = await (await self.owner.execute(APPEND, params)).fetchone()
        assert row
        self.events[table].append(row[0])
        return int(row[0])

    async def fill(self, each: int) -> None:
        """So many events of every table, by turns."""
        for _ in range(each):
            for table in self.tables:
                await self.append(table)

    async def hook(self, start: Place | None = None, **wanted: Any) -> Endpoint:
        """Make an endpoint; the last one made is the one that everything else is about."""
        self.hook_id = uuid4()
        what = Wanted(**{"url": URL} | wanted)
        where = start or Place(0)
        return await self.act(
            lambda c: endpoints.add(c, self.hook_id, self.id, self.id, what, where)
        )

    async def endpoint(self) -> Endpoint:
        """The endpoint as it is now."""
        return await self.act(lambda c: endpoints.find(c, self.id, self.hook_id))

    async def change(self, *, again: bool = False, **changes: Any) -> Endpoint:
        """Change it as a PATCH does."""

        async def run(connection: AsyncConnection[Any]) -> Endpoint:
            known = await endpoints.find(connection, self.id, self.hook_id, for_update=True)
            terms = (await endpoints.consumer_of(connection, known)).terms
            now = Wanted(
                known.url, known.description, terms.topics, terms.originator_id,
                known.paused_at is not None,
            )  # fmt: skip
            wanted = replace(now, **changes)
            return await endpoints.change(connection, known, self.id, wanted, again=again)

        return await self.act(run)

    async def send(self) -> int:
        """Let a new sender send all that is due; to how many endpoints it did."""
        sender = Sender("", self.transact, self.receiver.post, self.clock)
        return await sender.send_due(self.projector)

    async def deliveries(self) -> list[Sent]:
        """What was attempted, oldest first."""

        async def run(connection: AsyncConnection[Any]) -> list[Sent]:
            known = await endpoints.find(connection, self.id, self.hook_id)
            return [*reversed(await latest(connection, known, LAST, 10_000))]

        return await self.act(run)

    async def rewind(self) -> None:
        """Lose all events, as if a backup of the store alone had been restored."""
        await self.owner.execute(REWIND.format(self.id).encode())
        self.events.clear()

    def versions(self) -> dict[UUID, list[int]]:
        """Of all events there are, by table."""
        return {table: [*range(1, len(of) + 1)] for table, of in self.events.items() if of}

    def successor(self) -> "Publisher":
        """Another company on the same connections."""
        return Publisher(
            owner=self.owner, api=self.api, projector=self.projector, transact=self.transact
        )

    async def forget_others(self) -> None:
        """Leave nothing that an earlier test would have sent."""
        await self.owner.execute("DELETE FROM consumers.consumers")


@asynccontextmanager
async def publishing(url: str) -> AsyncIterator[Publisher]:
    """A company without endpoints, in a database in which there are no others."""
    conninfo = as_role(url, PROJECTOR_ROLE)
    options = {"autocommit": True, "prepare_threshold": 0}
    owner, api = await connect(url)
    pool = AsyncConnectionPool(conninfo, min_size=1, max_size=5, open=False, kwargs=options)
    async with owner, api, pool, await AsyncConnection.connect(conninfo, **options) as projector:
        made = Publisher(owner=owner, api=api, projector=projector, transact=transacting(pool))
        await made.forget_others()
        yield made
