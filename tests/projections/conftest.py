"""A world of two companies, on a database of its own or on one that is emptied for each test."""

import os
from collections.abc import AsyncIterator, Iterator
from itertools import count

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.conftest import TEMPLATE
from tests.projections.world import World, world_of

_numbers = count(1)


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with world_of(database) as world:
        yield world


@pytest.fixture
async def any_world(any_database: str) -> AsyncIterator[World]:
    """The same on each supported version of PostgreSQL."""
    async with world_of(any_database) as world:
        yield world


@pytest.fixture(scope="module")
def shared_database(postgres_18: str) -> Iterator[str]:
    """One for the tests of a module that change nothing but events and rows."""
    name = sql.Identifier(f"projections_{os.getpid()}_{next(_numbers)}")
    with psycopg.connect(postgres_18, autocommit=True) as connection:
        template = sql.Identifier(TEMPLATE)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))
        yield make_conninfo(postgres_18, dbname=name.as_string().strip('"'))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
async def emptied_world(shared_database: str) -> AsyncIterator[World]:
    """The shared one, without what the tests before have left."""
    async with world_of(shared_database) as world:
        await world.forget_everything()
        yield world
