"""Two companies that change what they have through the real store, and a look at what is shown."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from uuid_utils.compat import uuid7

from api.bootstrap import KEYSET_PLANS
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.base import Outcome, Request
from application.companies import Companies
from application.table_defs import TableDefs
from application.workspaces import Workspaces
from domain.base import Context
from domain.company_details import CompanyDetails, WorkspaceDetails
from domain.recorded import event_classes
from domain.table_details import Changes, Details
from projections.base import Projection, connect, live_schema
from projections.follower import Follower
from projections.history import HistoryProjection
from projections.keyset import Keyset, Page
from projections.projector import Projector
from projections.table_def_queries import LIST, Filter, list_params
from projections.table_defs import TableDefsProjection
from projections.tenancy import TenancyProjection
from tests.contracts.stores import ApiStore

PROJECTION = TableDefsProjection()
SCHEMA = live_schema(PROJECTION)
TENANCY = live_schema(TenancyProjection())
HISTORY = live_schema(HistoryProjection())
TABLES = {
    SCHEMA: ("table_defs", "former_slugs", "purged_table_defs"),
    TENANCY: ("companies", "workspaces"),
    HISTORY: ("versions", "standings", "eras", "present_eras"),
}
DERIVED = ("slugs", "idempotency_keys", "containers", "memberships")
INSERT = """
INSERT INTO event_store.events (
    position, company_id, originator_id, originator_version, topic, state, event_id, recorded_at)
SELECT coalesce(max(position), 0) + 1, %s, %s, %s, %s, %s, gen_random_uuid(), now()
  FROM event_store.events
RETURNING position
"""


@dataclass
class World:
    """What the tests of a read model act with. `owner` is a superuser's connection."""

    database: str
    store: ApiStore
    owner: AsyncConnection
    projection: AsyncConnection
    model: Projection = PROJECTION
    ours: UUID = field(default_factory=uuid4)
    theirs: UUID = field(default_factory=uuid4)
    actor: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.table_defs = TableDefs(self.store)
        self.workspaces = Workspaces(self.store)
        self.companies = Companies(self.store)
        self.conninfo = as_role(self.database, PROJECTOR_ROLE)
        self.schema = live_schema(self.model)

    def request(self, company: UUID | None = None) -> Request:
        return Request(
            Context(
                company_id=company or self.ours,
                actor_id=self.actor,
                actor_kind="user",
                occurred_at=datetime.now(UTC),
                new_id=uuid7,
                request_id="request",
                correlation_id="correlation",
            )
        )

    async def create(self, name: str, company: UUID | None = None, **details: Any) -> UUID:
        wanted = Details.model_validate({"name": name, **details})
        outcome = await self.table_defs.create(self.request(company), wanted)
        return outcome.aggregate.id

    async def change(self, id: UUID, company: UUID | None = None, **changes: Any) -> Outcome:
        wanted = Changes.model_validate(changes)
        return await self.table_defs.change(id, self.request(company), wanted)

    async def delete(self, id: UUID, company: UUID | None = None) -> Outcome:
        return await self.table_defs.delete(id, self.request(company))

    async def restore(self, id: UUID, company: UUID | None = None) -> Outcome:
        return await self.table_defs.restore(id, self.request(company))

    async def purge(self, id: UUID, company: UUID | None = None, *, erase: bool = False) -> Outcome:
        """Delete it, then end it for ever."""
        await self.delete(id, company)
        return await self.table_defs.purge(id, self.request(company), erase)

    async def register(self, name: str, company: UUID | None = None) -> None:
        await self.companies.register(self.request(company), CompanyDetails(name=name))

    async def workspace(
        self, name: str = "Sales", company: UUID | None = None, id: UUID | None = None
    ) -> UUID:
        """A workspace by the id that its company knows it by."""
        id = id or uuid4()
        await self.workspaces.put(id, self.request(company), WorkspaceDetails(name=name))
        return id

    async def follower(self, strict: bool = False) -> Follower:
        """A follower of the live tables that has started."""
        strict = strict or self.model.acts
        follower = Follower(self.model, self.projection, self.schema, strict)
        await follower.start()
        return follower

    async def project(self, batch: int = 500) -> Follower:
        """Bring the read model up to date, as a leader that comes and goes."""
        follower = await self.follower()
        while await follower.step(batch):
            pass
        return follower

    @contextlib.asynccontextmanager
    async def projector(self, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
        """A projector that runs meanwhile."""
        task = asyncio.create_task(Projector(self.conninfo, self.model, **options).run())
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def append(
        self, id: UUID, version: int, topic: str, state: bytes | dict[str, Any], company: Any = None
    ) -> int:
        """Store an event that our own code would not write; returns its position."""
        if isinstance(state, dict):
            state = json.dumps(self.stored(state)).encode()
        row = (company or self.ours, id, version, topic, state)
        return (await self.ask(INSERT, row))[0][0]

    def stored(self, data: dict[str, Any]) -> dict[str, Any]:
        """Business data as the event store keeps it."""
        metadata = self.request().context.metadata().model_dump(mode="json", by_alias=True)
        return {"occurredAt": "2026-01-01T00:00:00Z", "data": data, "metadata": metadata}

    async def repair(self, position: int, topic: str, data: dict[str, Any]) -> None:
        """Rewrite a stored event, which only an owner can who switches the trigger off."""
        async with self.owner.transaction():
            await self.owner.execute("SET LOCAL session_replication_role = replica")
            await self.owner.execute(
                "UPDATE event_store.events SET topic = %s, state = %s WHERE position = %s",
                (topic, json.dumps(self.stored(data)).encode(), position),
            )

    async def ask(self, query: str, params: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query, as the owner."""
        cursor = await self.owner.execute(query, params)
        return await cursor.fetchall()

    async def head(self) -> int:
        return (await self.ask("SELECT coalesce(max(position), 0) FROM event_store.events"))[0][0]

    async def position(self) -> int:
        query = "SELECT position FROM projections.positions WHERE projection = %s"
        return (await self.ask(query, (self.schema,)))[0][0]

    async def is_current(self) -> bool:
        return await self.position() == await self.head()

    async def shown(self, table: str = "table_defs") -> dict[Any, dict[str, Any]]:
        """The rows of one table of the read model, by id.

        Former slugs by company and slug; workspaces by company and id.
        """
        async with self.owner.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(f"SELECT * FROM {self.schema}.{table}")
            return {_key(table, row): row async for row in cursor}

    async def everything_shown(self) -> list[Any]:
        return [await self.shown(table) for table in TABLES[self.schema]]

    async def parked(self) -> dict[UUID, int]:
        rows = await self.ask("SELECT originator_id, position FROM projections.parked")
        return dict(rows)

    async def list(
        self, wanted: Filter, after: Keyset | None = None, limit: int = 200
    ) -> tuple[Page, list[Any]]:
        """One page of the list, and its tables."""
        params = list_params(wanted, after, limit)
        page = Page(*(await self.ask(LIST[wanted.sort], params))[0])
        return page, json.loads(f"[{page.items}]")

    async def forget_everything(self) -> None:
        """Back to an empty store and read model."""
        tables = [f"{schema}.{table}" for schema, names in TABLES.items() for table in names]
        tables += ["projections.parked", "event_store.events"]
        tables += [f"event_store.{table}" for table in DERIVED]
        async with self.owner.transaction():
            await self.owner.execute("SET LOCAL session_replication_role = replica")
            await self.owner.execute("SET LOCAL synchronous_commit = off")
            await self.owner.execute("; ".join(f"DELETE FROM {table}" for table in tables))
            await self.owner.execute("UPDATE projections.positions SET position = 0")
            known = {topic: c.class_version for topic, c in event_classes().items()}
            await self.owner.execute(
                "DELETE FROM event_store.topics WHERE class_version > ALL"
                " (SELECT value::integer FROM jsonb_each_text(%s) WHERE key = topic)",
                (json.dumps(known),),
            )


def _key(table: str, row: dict[str, Any]) -> Any:
    """What names a row in the tests."""
    if table == "former_slugs":
        return row["company_id"], row["slug"], row["position"]
    if table == "workspaces":
        return row["company_id"], row["id"]
    return row["id"]


@contextlib.asynccontextmanager
async def world_of(database: str, model: Projection = PROJECTION) -> AsyncIterator[World]:
    """A world on a migrated database."""
    store = ApiStore(database)
    schema = live_schema(model)
    async with (
        await AsyncConnection.connect(database, autocommit=True) as owner,
        await connect(as_role(database, PROJECTOR_ROLE), schema) as projection,
    ):
        yield World(database, store, owner, projection, model)
    await store.close()


async def reader(database: str) -> AsyncConnection:
    """A connection as those that the API reads lists through."""
    conninfo = as_role(database, API_ROLE, KEYSET_PLANS)
    return await AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=0)
