"""What the release before companies and workspaces left becomes theirs, each thing once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege

from api.migrations import migrate
from api.read_models import READ_MODELS
from api.roles import ADMIN_ROLE, API_ROLE, as_role
from application.event_store.postgres import PostgresEventStore
from domain.containers import workspace_aggregate
from projections.base import connect, live_schema
from projections.check import check
from projections.follower import Follower
from tests.conftest import cloned
from tests.contracts.old_release import PEOPLE, SALES, Old, old, old_database, rows
from tests.contracts.starters import catalogue, start_at_once
from tests.contracts.stores import ApiStore, connected
from tests.projections.world import World, world_of

pytestmark = pytest.mark.anyio

REGISTERED = """
SELECT originator_id, company_id, data ->> 'name', metadata ->> 'actorKind'
  FROM (SELECT *, table_id AS originator_id FROM event_store.readable_events) AS event
 WHERE topic = 'Company.Registered'
"""
CREATED = """
SELECT company_id, (data ->> 'workspaceId')::uuid, table_id FROM event_store.readable_events
 WHERE topic = 'Workspace.Created'
"""
MOVED = """
INSERT INTO event_store.events (
    position, company_id, originator_id, originator_version, topic, state, event_id, recorded_at)
SELECT max(position) + 1, %s, %s, 99, 'TableDef.MovedToWorkspace', %s, gen_random_uuid(), now()
  FROM event_store.events
"""
EVERYTHING = """
SELECT (SELECT json_agg(e ORDER BY position) FROM event_store.readable_events e)::text,
       (SELECT json_agg(m ORDER BY member_id) FROM event_store.memberships m)::text,
       (SELECT json_agg(c ORDER BY id) FROM event_store.containers c)::text
"""


@pytest.fixture(scope="module", params=["18", "15"])
def left(request: pytest.FixtureRequest) -> Iterator[tuple[str, Old]]:
    """A database as that release left it, on each supported version; nobody changes this one."""
    server = request.getfixturevalue(f"postgres_{request.param}")
    for url in cloned(server):
        yield server, asyncio.run(old_database(url))


@pytest.fixture
def there(left: tuple[str, Old]) -> Iterator[Old]:
    """What was there, in a database of one's own."""
    server, old = left
    for url in cloned(server, str(conninfo_to_dict(old.url)["dbname"])):
        yield replace(deepcopy(old), url=url)


def everything(url: str) -> list[Any]:
    """All that an adoption may add to."""
    return rows(url, EVERYTHING)


def places(url: str) -> dict[UUID, tuple[UUID, UUID]]:
    """Where everything is, by the store's own rows."""
    query = "SELECT member_id, company_id, container_id FROM event_store.memberships"
    return {member: (company, container) for member, company, container in rows(url, query)}


def containers(url: str) -> dict[UUID, tuple[UUID, bool]]:
    query = "SELECT id, company_id, live FROM event_store.containers"
    return {id: (company, live) for id, company, live in rows(url, query)}


def assert_adopted(there: Old) -> None:
    """Each company and workspace was made once, and each table has its place in it."""
    registered = rows(there.url, REGISTERED)
    assert Counter(id for id, *_ in registered) == dict.fromkeys(there.companies, 1)
    assert {row[1:] for row in registered} == {
        (id, f"Company {id}", "system") for id in there.companies
    }
    created = rows(there.url, CREATED)
    assert Counter(row[:2] for row in created) == dict.fromkeys(there.workspaces, 1)
    workspaces = {workspace_aggregate(company, id): company for company, id in there.workspaces}
    assert {(company, aggregate) for company, _, aggregate in created} == {
        (company, aggregate) for aggregate, company in workspaces.items()
    }
    assert containers(there.url) == {
        **{id: (id, True) for id in there.companies},
        **{id: (company, True) for id, company in workspaces.items()},
    }
    assert places(there.url) == {
        **{id: (company, company) for id, company in workspaces.items()},
        **there.places,
    }


async def project_all(world: World) -> None:
    for model in READ_MODELS:
        schema = live_schema(model)
        async with await connect(world.conninfo, schema) as connection:
            follower = Follower(model, connection, schema)
            await follower.start()
            while await follower.step(500):
                pass


async def test_bare_companies_and_workspaces_are_made_and_tables_find_their_place(
    there: Old,
) -> None:
    before = rows(there.url, "SELECT count(*) FROM event_store.events")[0][0]
    await migrate(there.url, there.url)
    assert_adopted(there)
    query = "SELECT max(position) FROM event_store.memberships WHERE member_id = ANY ('{%s}')"
    members = ", ".join(map(str, there.places))
    assert 0 < rows(there.url, query % members)[0][0] <= before


async def test_an_upgraded_database_is_like_a_new_one(there: Old) -> None:
    assert catalogue(there.url) != there.fresh
    await migrate(there.url, there.url)
    assert catalogue(there.url) == there.fresh


async def test_the_past_is_kept_as_it_was(there: Old) -> None:
    query = "SELECT to_json(e)::text FROM event_store.events e WHERE topic ~ '^TableDef' ORDER BY 1"
    before = rows(there.url, query)
    keys = rows(there.url, "SELECT id, company_id, role FROM access.api_keys ORDER BY id")
    await migrate(there.url, there.url)
    assert rows(there.url, query) == before
    assert rows(there.url, "SELECT id, company_id, role FROM access.api_keys ORDER BY id") == keys


async def test_the_keys_are_known_by_their_labels(there: Old) -> None:
    await migrate(there.url, there.url)
    query = "SELECT company_id, id, kind, name, name_folded FROM access.people ORDER BY id"
    keys = "SELECT company_id, id, 'key', label, lower(label) FROM access.api_keys ORDER BY id"
    assert rows(there.url, query) == rows(there.url, keys)
    assert len(rows(there.url, query)) == 2
    with connected(there.url) as owner:
        owner.execute("UPDATE access.people SET name = NULL, name_folded = '', erased_at = now()")
    await migrate(there.url, there.url)
    assert {row[3] for row in rows(there.url, query)} == {None}


UNREADABLE = [
    b"\xff",
    b"{",
    b'{"data": {"workspaceId": "a\\u0000"}}',
    b'{"data": {"workspaceId": "x"}}',
]


@pytest.mark.parametrize("state", UNREADABLE)
async def test_an_event_that_cannot_be_read_stops_no_start(there: Old, state: bytes) -> None:
    """As it stops no read model: its own table waits."""
    broken = there.tables.pop(0)
    with connected(there.url) as owner:
        owner.execute(MOVED, (there.ours, broken.id, state))
    await migrate(there.url, there.url)
    assert places(there.url).items() >= there.places.items()


async def test_adopting_again_adds_nothing(there: Old) -> None:
    await migrate(there.url, there.url)
    before = everything(there.url)
    await migrate(there.url, there.url)
    assert everything(there.url) == before


async def test_whoever_was_stopped_half_way_goes_on(there: Old) -> None:
    """After any part of it, for nothing is noted before all is done."""
    await migrate(there.url, there.url)
    with connected(there.url) as owner:
        owner.execute("DELETE FROM event_store.adopted")
        owner.execute(
            "DELETE FROM event_store.memberships WHERE member_id = %s", (there.tables[0].id,)
        )
    await migrate(there.url, there.url)
    assert_adopted(there)


async def test_eight_that_start_at_once_add_each_only_once(there: Old) -> None:
    assert await asyncio.to_thread(start_at_once, [(there.url, there.url)] * 8) == ""
    assert_adopted(there)


async def test_the_read_models_and_the_check_agree(there: Old) -> None:
    await migrate(there.url, there.url)
    async with world_of(there.url) as world:
        await project_all(world)
        report = await check(world.conninfo)
    assert report.differences == []
    assert report.tables == len(there.places)


async def test_what_was_adopted_can_be_worked_with(there: Old) -> None:
    await migrate(there.url, there.url)
    async with world_of(there.url) as world:
        new = await world.create("New", there.ours, workspaceId=SALES)
        moved = next(iter(there.places))
        await world.workspaces.delete(SALES, world.request(there.ours))
        await world.workspaces.delete(SALES, world.request(there.theirs))
        await world.companies.remove(world.request(there.keyed))
    places_now, containers_now = places(there.url), containers(there.url)
    sales = workspace_aggregate(there.ours, SALES)
    assert places_now[new] == (there.ours, sales)
    assert places_now[moved] == there.places[moved]
    assert not containers_now[sales][1]
    assert not containers_now[there.keyed][1]


@pytest.fixture
async def late(there: Old) -> AsyncIterator[ApiStore]:
    """A process of the old release that still runs when the database is that of the new one."""
    await migrate(there.url, there.url)
    store = ApiStore(there.url)
    yield store
    await store.close()


async def test_what_the_old_release_writes_meanwhile_is_adopted_next_time(
    there: Old, late: ApiStore
) -> None:
    for company, workspace in ((there.ours, SALES), (there.theirs, PEOPLE), (uuid4(), SALES)):
        await late.append(old(there.table(company, workspace)))
    await migrate(there.url, there.url)
    assert_adopted(there)
    before = everything(there.url)
    await migrate(there.url, there.url)
    assert everything(there.url) == before


async def test_a_workspace_that_was_renamed_since_keeps_its_name(
    there: Old, late: ApiStore
) -> None:
    async with world_of(there.url) as world:
        await world.workspace("Sales", there.ours, SALES)
    await late.append(old(there.table(there.ours, SALES)))
    before = rows(there.url, "SELECT count(*) FROM event_store.events")
    await migrate(there.url, there.url)
    assert rows(there.url, "SELECT count(*) FROM event_store.events") == before
    assert places(there.url).items() >= there.places.items()


async def test_a_workspace_that_was_deleted_since_stops_no_start(
    there: Old, late: ApiStore
) -> None:
    async with world_of(there.url) as world:
        await world.workspaces.delete(SALES, world.request(there.ours))
    await late.append(old(there.table(there.ours, SALES)))
    await migrate(there.url, there.url)
    assert places(there.url).items() >= there.places.items()
    assert not containers(there.url)[workspace_aggregate(there.ours, SALES)][1]


async def test_a_company_that_was_removed_since_stops_no_start(there: Old, late: ApiStore) -> None:
    async with world_of(there.url) as world:
        await world.companies.remove(world.request(there.ours))
    await late.append(old(there.table(there.ours, uuid4())))
    await migrate(there.url, there.url)


async def test_an_administrator_that_is_no_superuser_adopts(administered: tuple[str, str]) -> None:
    admin, login = administered
    await migrate(admin, login)
    store = PostgresEventStore(as_role(login, API_ROLE))
    there = Old(admin)
    for table in there.live():
        await store.append(old(table))
    await store.close()
    there.keyed = there.ours
    await migrate(admin, login)
    assert_adopted(there)
    before = everything(admin)
    await migrate(admin, login)
    assert everything(admin) == before


async def test_the_services_login_cannot_act_for_all(administered: tuple[str, str]) -> None:
    admin, login = administered
    await migrate(admin, login)
    with connected(login) as connection:
        for statement in (
            f"SET ROLE {ADMIN_ROLE}",
            "INSERT INTO event_store.containers SELECT gen_random_uuid(), gen_random_uuid(), true",
            "SELECT FROM access.sessions",
        ):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement.encode())
