"""Reads of many companies that wait together share a query; each gets its own rows alone."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from api import table_reads
from api.bootstrap import KEYSET_PLANS
from api.progress import Progress
from api.roles import API_ROLE, as_role
from api.table_reads import TableReads
from api.tenancy_reads import TenancyReads
from application.event_store import postgres
from application.event_store.postgres import Identity, PostgresEventStore, Row
from application.event_store.session import Session, companies
from domain.company_details import CompanyChanges
from domain.errors import NotFound
from projections.table_def_queries import TableRow
from projections.tenancy import TenancyProjection
from tests.contracts.commands import command, new_table
from tests.contracts.stores import ApiStore
from tests.contracts.test_queries_without_conditions import QUERIES
from tests.projections.world import World, world_of

pytestmark = pytest.mark.anyio

MANY = 40


class WatchedStore(PostgresEventStore):
    """A store that remembers which loads shared a query."""

    def __init__(self, conninfo: str) -> None:
        self.shared: list[Sequence[Identity]] = []
        super().__init__(conninfo)

    async def _load_many(self, wanted: Sequence[Identity]) -> Mapping[Identity, list[Row]]:
        self.shared.append(wanted)
        return await super()._load_many(wanted)


class WatchedReads(TableReads):
    """Reads that remember which of them shared a query."""

    def __init__(self, *parts: Any) -> None:
        self.shared: list[Sequence[Identity]] = []
        super().__init__(*parts)

    async def _fetch_rows(self, wanted: Sequence[Identity]) -> Mapping[Identity, TableRow]:
        self.shared.append(wanted)
        return await super()._fetch_rows(wanted)


def assert_shared(queries: Sequence[Sequence[Identity]]) -> None:
    """All that were asked for went together, whatever their companies."""
    [query] = queries
    assert len({company for company, _ in query}) == MANY


@pytest.fixture
async def identities(postgres_store: ApiStore) -> list[Identity]:
    """A table of each of many companies."""
    tables = [new_table(uuid4()) for _ in range(MANY)]
    await asyncio.gather(*(postgres_store.append(command(table)) for table in tables))
    return [(table.company_id, table.id) for table in tables]


@pytest.fixture
async def store(any_database: str) -> AsyncIterator[WatchedStore]:
    store = WatchedStore(as_role(any_database, API_ROLE))
    yield store
    await store.close()


def of_another(identities: Sequence[Identity]) -> list[Identity]:
    """Each company asks for the table of its neighbour."""
    ids = [id for _, id in identities]
    shifted = zip(identities, ids[1:] + ids[:1], strict=True)
    return [(company, id) for (company, _), id in shifted]


@pytest.mark.parametrize("query", [postgres.LOAD, QUERIES["LOAD"].forgetful])
async def test_loads_of_many_companies_share_a_query_and_none_gets_another_s_events(
    store: WatchedStore,
    identities: list[Identity],
    monkeypatch: pytest.MonkeyPatch,
    query: str,
) -> None:
    """Not even when the query has forgotten whose rows it wants."""
    monkeypatch.setattr(postgres, "LOAD", query)
    wanted = [*identities, *of_another(identities)]
    loaded = await asyncio.gather(*(store.load(*identity) for identity in wanted))
    for (company, id), events in zip(identities, loaded[:MANY], strict=True):
        assert [(r.company_id, r.event.originator_id) for r in events] == [(company, id)]
    assert loaded[MANY:] == [[]] * MANY
    assert_shared(store.shared)


@pytest.mark.parametrize("query", [postgres.LOAD, QUERIES["LOAD"].forgetful])
async def test_a_shared_query_sees_exactly_the_companies_that_share_it(
    any_database: str, identities: list[Identity], query: str
) -> None:
    asking = identities[:7]
    session = Session(as_role(any_database, API_ROLE))
    params = {"ids": [id for _, id in identities], "company_ids": [c for c, _ in identities]}
    named = {"companies": companies(*(company for company, _ in asking))}
    rows = await session.fetch(query, params | named)
    await session.close()
    assert sorted((row[4], row[0]) for row in rows) == sorted(asking)


@pytest.fixture
async def reads(any_world: World) -> AsyncIterator[tuple[WatchedReads, TenancyReads]]:
    """The reads of an API process."""
    session = Session(as_role(any_world.database, API_ROLE))
    pool = AsyncConnectionPool(
        as_role(any_world.database, API_ROLE, KEYSET_PLANS),
        open=False,
        min_size=1,
        kwargs={"autocommit": True, "prepare_threshold": 0},
    )
    async with pool:
        parts = (session, pool, Progress())
        yield WatchedReads(*parts), TenancyReads(*parts)
    await session.close()


async def found(reads: TableReads, company: UUID, id: UUID) -> TableRow | None:
    try:
        return await reads.one(company, id)
    except NotFound:
        return None


@pytest.mark.parametrize("query", [table_reads.BY_ID, QUERIES["BY_ID"].forgetful])
async def test_tables_of_many_companies_share_a_query_and_none_is_shown_another_s(
    any_world: World,
    reads: tuple[WatchedReads, TenancyReads],
    monkeypatch: pytest.MonkeyPatch,
    query: str,
) -> None:
    monkeypatch.setattr(table_reads, "BY_ID", query)
    owners = [uuid4() for _ in range(MANY)]
    ids = await asyncio.gather(*(any_world.create("Orders", company) for company in owners))
    await any_world.project()
    identities = list(zip(owners, ids, strict=True))
    wanted = [*identities, *of_another(identities)]
    rows = await asyncio.gather(*(found(reads[0], *identity) for identity in wanted))
    assert [(row.company_id, row.id) for row in rows[:MANY] if row] == identities
    assert rows[MANY:] == [None] * MANY
    assert_shared(reads[0].shared)


async def test_the_settings_of_many_companies_are_asked_for_at_once_and_not_mixed_up(
    any_world: World, any_database: str, reads: tuple[WatchedReads, TenancyReads]
) -> None:
    strict = CompanyChanges.model_validate({"settings": {"requireIfMatch": True}})
    owners = [uuid4() for _ in range(MANY)]

    async def settle(number: int, company: UUID) -> None:
        await any_world.register(f"Company {number}", company)
        if number % 3 == 0:
            await any_world.companies.change(any_world.request(company), strict)

    await asyncio.gather(*(settle(*each) for each in enumerate(owners)))
    async with world_of(any_database, TenancyProjection()) as tenancy:
        await tenancy.project()
    settings = await asyncio.gather(*(reads[1].settings(company) for company in owners))
    assert [each["requireIfMatch"] for each in settings] == [n % 3 == 0 for n in range(MANY)]
