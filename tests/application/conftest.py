"""The use cases on an event store in memory."""

import pytest

from application.companies import Companies
from application.table_defs import TableDefs
from application.workspaces import Workspaces
from tests.application.callers import WatchedStore


@pytest.fixture
async def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
async def table_defs(store: WatchedStore) -> TableDefs:
    """One process."""
    return TableDefs(store)


@pytest.fixture
async def elsewhere(store: WatchedStore) -> TableDefs:
    """Another process on the same store."""
    return TableDefs(store)


@pytest.fixture
async def workspaces(store: WatchedStore) -> Workspaces:
    return Workspaces(store)


@pytest.fixture
async def companies(store: WatchedStore) -> Companies:
    return Companies(store)
