"""Stores on real databases, and a way to look behind their backs."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from api.roles import API_ROLE, as_role
from application.event_store.postgres import PostgresEventStore


@pytest.fixture
async def postgres_store(any_database: str) -> AsyncIterator[PostgresEventStore]:
    """A store as an API process has it."""
    store = PostgresEventStore(as_role(any_database, API_ROLE))
    yield store
    await store.close()


@pytest.fixture
def owner(any_database: str) -> Iterator[Connection[Any]]:
    """A connection of the owner of `any_database`."""
    with connected(any_database) as connection:
        yield connection


@contextmanager
def connected(conninfo: str) -> Iterator[Connection[Any]]:
    """A connection whose statements commit by themselves; closed afterwards."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection
