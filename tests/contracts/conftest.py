"""Stores on real databases, and a way to look behind their backs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from api.roles import ADMIN_ROLE, API_ROLE, PROJECTOR_ROLE
from tests.conftest import cloned
from tests.contracts.stores import ApiStore, connected
from tests.contracts.tenants import Tenants, furnish
from tests.projections.world import World, world_of


@pytest.fixture
async def postgres_store(any_database: str) -> AsyncIterator[ApiStore]:
    """A store as an API process has it, that can be read through."""
    store = ApiStore(any_database)
    yield store
    await store.close()


@pytest.fixture
async def any_world(any_database: str) -> AsyncIterator[World]:
    """Two companies that use it, on each supported version of PostgreSQL."""
    async with world_of(any_database) as world:
        yield world


@pytest.fixture
def owner(any_database: str) -> Iterator[Connection[Any]]:
    """A connection of the owner of `any_database`."""
    with connected(any_database) as connection:
        yield connection


@pytest.fixture(scope="module", params=["18", "15"])
def tenants(request: pytest.FixtureRequest) -> Iterator[Tenants]:
    """Two companies on each supported version of PostgreSQL; the tests of a module share them."""
    for url in cloned(request.getfixturevalue(f"postgres_{request.param}")):
        yield asyncio.run(furnish(url))


@pytest.fixture
def administered(any_database: str) -> Iterator[tuple[str, str]]:
    """A database whose administrator is no superuser, as in the cloud, and its service's login."""
    name = uuid4().hex
    admin, login, new = f"admin_{name}", f"login_{name}", f"managed_{name}"
    with connected(any_database) as owner:
        owner.execute(f"CREATE ROLE {admin} LOGIN CREATEROLE")
        owner.execute(f"CREATE ROLE {login} LOGIN")
        # As if it had made them itself, on a server of its own.
        roles = f"{API_ROLE}, {PROJECTOR_ROLE}, {ADMIN_ROLE}"
        owner.execute(f"GRANT {roles} TO {admin} WITH ADMIN OPTION")
        owner.execute(f"CREATE DATABASE {new} OWNER {admin} TEMPLATE template0")
        yield (
            make_conninfo(any_database, dbname=new, user=admin),
            make_conninfo(any_database, dbname=new, user=login),
        )
        owner.execute(f"DROP DATABASE {new} WITH (FORCE)")
        owner.execute(f"DROP OWNED BY {admin}; DROP ROLE {login}; DROP ROLE {admin}")
