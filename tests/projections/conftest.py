"""A world of two companies, on a database of its own or on one that is emptied for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conftest import cloned
from tests.projections.world import World, world_of


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
    yield from cloned(postgres_18)


@pytest.fixture
async def emptied_world(shared_database: str) -> AsyncIterator[World]:
    """The shared one, without what the tests before have left."""
    async with world_of(shared_database) as world:
        await world.forget_everything()
        yield world
