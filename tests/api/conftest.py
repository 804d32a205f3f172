"""The real application on a real database, with its projector running, called over HTTP.

One installation serves the tests of a module, and each test has two companies of its own in it.
What disturbs everybody, such as an outage, asks for an installation of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from psycopg import AsyncConnection
from psycopg.rows import class_row

from api import keys
from api.app import create_app
from api.background import followers
from api.bootstrap import Services
from api.keys import NewKey
from api.operator import by_operator
from api.protocol import BoundedProtocol
from api.roles import PROJECTOR_ROLE, as_role
from api.scopes import CompanyRole
from api.settings import Settings
from application.base import Request
from domain.company_details import CompanyDetails, WorkspaceDetails
from projections.projector import Projector
from tests.conftest import cloned

cloning = contextlib.contextmanager(cloned)
ROLES: Sequence[str] = get_args(CompanyRole)

# Both companies of a test have a workspace of this id: each knows its own alone.
WORKSPACE = UUID("019ab3f2-0000-7000-8000-000000000003")
STORED = """
SELECT topic, version, position, table_id, company_id, data, metadata
  FROM event_store.readable_events
 WHERE (%(id)s::uuid IS NULL OR table_id = %(id)s::uuid)
   AND company_id = ANY (%(companies)s) AND position > %(since)s
 ORDER BY position
"""

TABLES = """
SELECT format('%I.%I', table_schema, table_name)
  FROM information_schema.tables
 WHERE table_schema IN ('event_store', 'access', 'consumers', 'webhooks', 'audit_log')
   AND table_type = 'BASE TABLE'
   AND table_name NOT IN ('partitions', 'tiles', 'heads', 'progress')
"""


@dataclass
class StoredEvent:
    """An event with its JSON decoded; `table_id` may also be a workspace or company."""

    topic: str
    version: int
    position: int
    table_id: UUID
    company_id: UUID
    data: dict[str, Any]
    metadata: dict[str, Any]


@dataclass
class Installation:
    """A running application and its projector, and a key of the platform."""

    app: FastAPI
    database: str
    platform: str

    @property
    def services(self) -> Services:
        """What the application's endpoints use."""
        services: Services = self.app.state.services
        return services


@dataclass
class Service:
    """An installation with two companies, and a key for each role in both.

    `since`: the position of the last event before the test began.
    """

    app: FastAPI
    database: str
    ours: UUID
    theirs: UUID
    tokens: dict[tuple[UUID | None, str], str]
    since: int = 0
    others: list[UUID] = field(default_factory=list)

    def client(self, role: str = "admin", company: UUID | None = None) -> AsyncClient:
        """A client with a key of this role, of our company unless told."""
        owner = None if role == "platform" else company or self.ours
        return self.with_token(self.tokens[owner, role])

    def with_token(self, token: str | None, address: str = "127.0.0.1") -> AsyncClient:
        """A client with this credential, or none, at some address."""
        return calling(self.app, token, address)

    async def stored(self, id: str | None = None) -> list[StoredEvent]:
        """Every event since the test began, or those of one aggregate, as people with SQL see them.

        Only those of the test's own companies: others may be at work at the same time.
        """
        companies = [self.ours, self.theirs, *self.others]
        async with await AsyncConnection.connect(self.database) as connection:
            cursor = connection.cursor(row_factory=class_row(StoredEvent))
            params = {"id": id, "companies": companies, "since": self.since}
            await cursor.execute(STORED, params)
            return await cursor.fetchall()

    async def kept(self) -> set[tuple[str, str]]:
        """All that is stored, of whomever, but for when a key was used last and what follows."""
        async with await AsyncConnection.connect(self.database) as connection:
            found = set[tuple[str, str]]()
            for (table,) in await (await connection.execute(TABLES)).fetchall():
                query = f"SELECT (to_jsonb(t) - 'last_used_at')::text FROM {table} t"
                rows = await (await connection.execute(query.encode())).fetchall()
                found |= {(table, row) for (row,) in rows}
            return found

    async def head(self) -> int:
        """The position of the last event of all."""
        async with await AsyncConnection.connect(self.database) as connection:
            row = await (await connection.execute("SELECT event_store.head()")).fetchone()
            return int(row[0]) if row else 0

    async def topics(self, id: str | None = None) -> list[str]:
        """What happened, in order."""
        return [event.topic.removeprefix("TableDef.") for event in await self.stored(id)]


def calling(app: FastAPI, token: str | None, address: str = "127.0.0.1") -> AsyncClient:
    """A client of an application, with this credential, or none."""
    return AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False, client=(address, 1)),
        base_url="http://test",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


@contextlib.asynccontextmanager
async def serving(database: str, **settings: Any) -> AsyncIterator[FastAPI]:
    """One API process on a database; a test of wrong credentials may try as many as it likes."""
    app = create_app(Settings(**{"failed_logins_per_minute": 0} | settings), database)
    async with app.router.lifespan_context(app):
        yield app


@contextlib.asynccontextmanager
async def projecting(database: str) -> AsyncIterator[None]:
    """The projector process on a database."""
    conninfo = as_role(database, PROJECTOR_ROLE)
    tasks = [
        asyncio.create_task(Projector(conninfo, each).run(), name=each.name)
        for each in followers(conninfo)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def installed(database: str, **settings: Any) -> AsyncIterator[Installation]:
    """A whole installation on an empty database."""
    key = NewKey.make()
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        await keys.store(connection, key, None, "platform", "platform")
    async with projecting(database), serving(database, **settings) as app:
        yield Installation(app, database, str(key))


@pytest.fixture(scope="module")
async def installation(postgres_18: str) -> AsyncIterator[Installation]:
    """An installation for all tests of a module."""
    with cloning(postgres_18) as database:
        async with installed(database) as made:
            yield made


async def registered(made: Installation) -> UUID:
    """A new company, which has one workspace."""
    company, services = uuid4(), made.services
    details = CompanyDetails(name=f"Company {company}")
    await services.companies.register(Request(by_operator(company, "register")), details)
    sales = WorkspaceDetails(name="Sales")
    await services.workspaces.put(WORKSPACE, Request(by_operator(company, "create")), sales)
    return company


async def two_companies(installation: Installation) -> Service:
    """Two companies that nothing happened to yet, and a key for each role in both."""
    tokens: dict[tuple[UUID | None, str], str] = {(None, "platform"): installation.platform}
    ours, theirs = await registered(installation), await registered(installation)
    async with await AsyncConnection.connect(installation.database, autocommit=True) as connection:
        for company in (ours, theirs):
            for role in ROLES:
                key = NewKey.make()
                await keys.store(connection, key, company, role, role)
                tokens[company, role] = str(key)
        cursor = await connection.execute("SELECT event_store.head()")
        [since] = await cursor.fetchone() or [0]
    assert await installation.app.state.services.tenancy.progress.reach(since, timeout=10)
    return Service(installation.app, installation.database, ours, theirs, tokens, since)


@pytest.fixture
async def service(installation: Installation) -> Service:
    """Two companies for this test."""
    return await two_companies(installation)


@pytest.fixture
async def sql(service: Service) -> AsyncIterator[AsyncConnection]:
    """The service's database, as its superuser."""
    async with await AsyncConnection.connect(service.database, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    """An admin of our company."""
    async with service.client() as client:
        yield client


@pytest.fixture
async def stranger(service: Service) -> AsyncIterator[AsyncClient]:
    """An admin of another company."""
    async with service.client(company=service.theirs) as client:
        yield client


@pytest.fixture
async def platform(service: Service) -> AsyncIterator[AsyncClient]:
    """Whoever registers companies."""
    async with service.client("platform") as client:
        yield client


@pytest.fixture
async def anyone(service: Service) -> AsyncIterator[AsyncClient]:
    """Somebody without a key."""
    async with service.with_token(None) as client:
        yield client


@pytest.fixture
async def port(service: Service) -> AsyncIterator[int]:
    """The service behind a real server."""
    async with listening(service.app) as port:
        yield port


@contextlib.asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[int]:
    """A real server for an application; its port."""
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn tells nobody
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving
