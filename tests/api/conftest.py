"""The real application on a real database, with its projector running, called over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from psycopg import AsyncConnection

from api import keys
from api.app import create_app
from api.bootstrap import PROJECTOR_ROLE, as_role
from api.keys import NewKey
from api.settings import Settings
from projections.projector import Projector
from projections.table_defs import TableDefsProjection


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
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    """An admin of our company."""
    async with service.client() as client:
        yield client


@pytest.fixture
async def stranger(service: Service) -> AsyncIterator[AsyncClient]:
    """An admin of another company."""
    async with service.client(company=service.theirs) as client:
        yield client
