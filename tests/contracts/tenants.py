"""Two companies that have something of everything, so that each could see what is the other's."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection

from api import keys
from api.keys import NewKey
from api.read_models import READ_MODELS
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from api.sessions import BEGIN
from application.audit_log import exports
from application.audit_log.log import AuditLog
from application.audit_log.selection import Wanted as LogRange
from application.consumers.consumer import Terms
from application.consumers.delivery import Reader
from application.consumers.registry import Definition, Place, define
from application.event_store.session import Session
from application.event_store.store import IdempotencyKey
from application.webhooks import endpoints
from application.webhooks.attempts import Answer, Attempt, Outcomes
from domain.table_details import Details
from projections.base import connect, live_schema
from projections.follower import Follower
from tests.projections.world import World, world_of

WORKSPACE = UUID(int=77)  # both have one of this id
REQUEST = "the-same-key"


@dataclass
class Tenant:
    """A company, and the ids of what it has. Its names begin with its own."""

    name: str
    tables: int  # how many live ones, of which one had another slug once
    id: UUID = field(default_factory=uuid4)
    table: UUID = field(init=False)
    purged: UUID = field(init=False)
    key: UUID = field(init=False)
    session: UUID = field(default_factory=uuid4)
    webhook: UUID = field(default_factory=uuid4)
    delivery: UUID = field(default_factory=uuid4)

    @property
    def slug(self) -> str:
        """The slug of its first table, which was called `old-…` before."""
        return f"{self.name.lower()}-first"

    @property
    def consumer(self) -> str:
        """The name of its consumer."""
        return f"{self.name.lower()}-copy"

    @property
    def marks(self) -> set[str]:
        """What only its own rows contain."""
        ids = (self.id, self.table, self.purged, self.key, self.session)
        return {self.name, self.name.lower(), *map(str, ids)}


@dataclass(frozen=True)
class Tenants:
    """A database with two of them, by its superuser's URL."""

    url: str
    ours: Tenant
    theirs: Tenant


async def furnish(url: str) -> Tenants:
    """Fill an empty database, through our own code, and project it."""
    ours, theirs = Tenant("Ours", 2), Tenant("Theirs", 3)
    async with world_of(url) as world:
        for tenant in (ours, theirs):
            await _settle(world, tenant)
            await _let_in(world, tenant)
            await _follow(world, tenant)
            await _ask_for_an_export(world, tenant)
        for model in READ_MODELS:
            schema = live_schema(model)
            async with await connect(world.conninfo, schema) as connection:
                follower = Follower(model, connection, schema)
                await follower.start()
                assert await follower.step(1000) == await world.head()
        async with await AsyncConnection.connect(world.conninfo, autocommit=True) as connection:
            assert await AuditLog(world.conninfo).step(connection) == await world.head()
    return Tenants(url, ours, theirs)


async def _settle(world: World, tenant: Tenant) -> None:
    name, company = tenant.name, tenant.id
    await world.register(f"{name} Inc", company)
    await world.workspace(f"{name} Sales", company, WORKSPACE)
    request = replace(world.request(company), idempotency=IdempotencyKey(REQUEST, name))
    details = Details(name=f"{name} 1", slug=f"old-{name.lower()}", workspace_id=WORKSPACE)
    tenant.table = (await world.table_defs.create(request, details)).aggregate.id
    await world.change(tenant.table, company, slug=tenant.slug)
    for number in range(1, tenant.tables):
        await world.create(f"{name} {number + 1}", company)
    tenant.purged = await world.create(f"{name} gone", company)
    await world.purge(tenant.purged, company)


async def _let_in(world: World, tenant: Tenant) -> None:
    key = NewKey.make()
    tenant.key = key.id
    async with await AsyncConnection.connect(world.database, autocommit=True) as owner:
        await keys.store(owner, key, tenant.id, "admin", f"{tenant.name} key")
    session = Session(as_role(world.database, API_ROLE))
    await session.fetch(BEGIN, (tenant.session, tenant.key, 1.0))
    await session.close()


async def _follow(world: World, tenant: Tenant) -> None:
    """A consumer of which a table is parked, and a webhook with an attempt and a replay."""
    now = datetime.now(UTC)
    async with await AsyncConnection.connect(
        as_role(world.database, PROJECTOR_ROLE), autocommit=True
    ) as connection:
        wanted = Definition(tenant.id, tenant.consumer, Terms(max_attempts=1), tenant.id, Place(0))
        consumer, _ = await define(connection, wanted, uuid4())
        delivery = await Reader(connection, consumer).fetch(tenant.id, 1)
        assert delivery
        await Reader(connection, consumer).nack(delivery.lease, delivery.position, tenant.name)
        url = endpoints.Wanted(f"https://{tenant.name}.example.com", tenant.name)
        endpoint = await endpoints.add(
            connection, tenant.webhook, tenant.id, tenant.id, url, Place(0)
        )
        answer = Answer(None, tenant.name)
        attempt = Attempt(tenant.delivery, delivery.rows[0], now, 1, answer)
        await Outcomes(connection, endpoint, now).keep(attempt)
        await endpoints.replay(connection, endpoint, uuid4(), tenant.id, 0, delivery.position)


async def _ask_for_an_export(world: World, tenant: Tenant) -> None:
    """With bytes: a name of the company's own."""
    async with await AsyncConnection.connect(world.database, autocommit=True) as owner:
        export = await exports.ask(owner, uuid4(), LogRange(tenant.id), "csv", tenant.id)
        await owner.execute(
            "INSERT INTO audit_log.export_chunks VALUES (%s, %s, 0, %s)",
            (tenant.id, export.id, tenant.name.encode()),
        )


def rows_of(count: int, company: UUID, prefix: str) -> list[dict[str, Any]]:
    """Rows that have what every list is sorted by, for `jsonb_populate_recordset`."""
    moments = [datetime(2026, 1, 1, n // 60, n % 60, tzinfo=UTC) for n in range(count)]
    return [
        {
            "id": uuid4(), "aggregate_id": uuid4(), "company_id": company, "kind": "user",
            "name": f"{prefix} {number}", "slug": f"{prefix.lower()}-{number}", "label": "",
            "settings": {}, "secret_hash": "", "version": 1, "position": 1,
            "created_by": company, "updated_by": company, "created_at": moment,
            "updated_at": moment, "name_folded": f"{prefix.lower()} {number:06}",
            "search_folded": f"{prefix.lower()} {number}",
            "shown": {"name": f"{prefix} {number}"},
        }
        for number, moment in enumerate(moments)
    ]  # fmt: skip
