"""The real application on a real database, with its projector running, called over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from psycopg import AsyncConnection
from psycopg.rows import class_row

from api import keys
from api.app import create_app
from api.keys import NewKey
from api.protocol import BoundedProtocol
from api.roles import PROJECTOR_ROLE, as_role
from api.settings import Settings
from projections.projector import Projector
from projections.table_defs import TableDefsProjection


@dataclass
class StoredEvent:
    """An event with its JSON decoded."""

    topic: str
    version: int
    position: int
    data: dict[str, Any]
    metadata: dict[str, Any]


@dataclass
class Service:
    """A running service with two companies, and a key for each role in both."""

    app: FastAPI
    database: str
    ours: UUID
    theirs: UUID
    tokens: dict[tuple[UUID, str], str]

    def client(self, role: str = "admin", company: UUID | None = None) -> AsyncClient:
        """A client with a key of this role, of our company unless told."""
        token = self.tokens[company or self.ours, role]
        return AsyncClient(
            transport=ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://test",
            headers={"Authorization": f"Bearer {token}"},
        )

    async def events(self) -> list[tuple[str, int]]:
        """The topic and version of every stored event, in global order."""
        async with await AsyncConnection.connect(self.database) as connection:
            cursor = await connection.execute(
                "SELECT topic, originator_version FROM event_store.events ORDER BY position"
            )
            return await cursor.fetchall()

    async def stored(self, table_id: str | None = None) -> list[StoredEvent]:
        """Every stored event, or those of one table, as people with SQL see them."""
        async with await AsyncConnection.connect(self.database) as connection:
            cursor = connection.cursor(row_factory=class_row(StoredEvent))
            await cursor.execute(
                "SELECT topic, version, position, data, metadata FROM event_store.readable_events"
                " WHERE %(id)s::uuid IS NULL OR table_id = %(id)s::uuid ORDER BY position",
                {"id": table_id},
            )
            return await cursor.fetchall()

    async def topics(self, table_id: str | None = None) -> list[str]:
        """What happened, in order."""
        return [event.topic.removeprefix("TableDef.") for event in await self.stored(table_id)]


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service]:
    ours, theirs = uuid4(), uuid4()
    tokens = {}
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        for company in (ours, theirs):
            for role in keys.ROLES:
                key = NewKey.make()
                await keys.store(connection, key, company, role, role)
                tokens[company, role] = str(key)
    app = create_app(Settings(), database)
    projector = Projector(as_role(database, PROJECTOR_ROLE), TableDefsProjection())
    task = asyncio.create_task(projector.run())
    try:
        async with app.router.lifespan_context(app):
            yield Service(app, database, ours, theirs, tokens)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


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
async def port(service: Service) -> AsyncIterator[int]:
    """The service behind a real server."""
    config = uvicorn.Config(
        service.app, port=0, http=BoundedProtocol, lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn tells nobody
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving
