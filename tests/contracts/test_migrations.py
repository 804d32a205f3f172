"""Starting: whatever the database is like and however many start at once, its schema is right."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api import migrations
from api.embedded_postgres import attach
from api.migrations import migrate
from api.roles import ADMIN_ROLE, API_ROLE, PROJECTOR_ROLE, as_role
from application.event_store.postgres import PostgresEventStore
from tests.conftest import eventually
from tests.contracts.commands import creation, new_company, standing
from tests.contracts.starters import CATALOGUE, catalogue, start_at_once
from tests.contracts.stores import connected

pytestmark = pytest.mark.anyio


@pytest.fixture
def new(any_database: str) -> Iterator[list[tuple[str, str]]]:
    """Two databases of one server in which nothing was ever made.

    Each by the URL of its administrator and of the service, whose login is new, too.
    """
    names = [f"new_{uuid4().hex}" for _ in range(2)]
    login = f"login_{uuid4().hex}"
    with connected(any_database) as owner:
        owner.execute(f"CREATE ROLE {login} LOGIN")
        for name in names:
            owner.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        urls = [make_conninfo(any_database, dbname=name) for name in names]
        yield [(url, make_conninfo(url, user=login)) for url in urls]
        for name in names:
            owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
        owner.execute(f"DROP ROLE {login}")


def test_eight_processes_that_start_on_an_empty_database_all_come_up(
    any_database: str, new: list[tuple[str, str]]
) -> None:
    assert start_at_once(new[:1] * 8) == ""
    assert catalogue(new[0][0]) == catalogue(any_database)


def test_two_databases_of_one_server_can_be_started_at_once(
    any_database: str, new: list[tuple[str, str]]
) -> None:
    assert start_at_once(new * 4) == ""
    assert catalogue(new[0][0]) == catalogue(new[1][0]) == catalogue(any_database)


async def test_another_database_s_start_may_add_the_same_member_in_the_same_moment(
    any_database: str, new: list[tuple[str, str]]
) -> None:
    login = conninfo_to_dict(new[0][1])["user"]

    async def waits() -> bool:
        with connected(any_database) as owner:
            return owner.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount == 1

    with psycopg.connect(any_database) as other:
        other.execute(f"GRANT {API_ROLE} TO {login}".encode())
        start = asyncio.create_task(migrate(*new[0]))
        await eventually(waits)
    await start


def test_eight_processes_on_a_server_that_never_saw_the_roles_all_come_up(tmp_path: Path) -> None:
    with attach(tmp_path) as url:
        with connected(url) as owner:
            owner.execute("CREATE DATABASE other")
        other = make_conninfo(url, dbname="other")
        assert start_at_once([(url, url), (other, other)] * 4) == ""


async def test_migrating_again_changes_nothing(any_database: str) -> None:
    store, company = PostgresEventStore(as_role(any_database, API_ROLE)), uuid4()
    await store.append(standing(new_company(company)))
    await store.append(creation(company, joins=company))
    before, secrets = catalogue(any_database), kept_secrets(any_database)
    await migrate(any_database, any_database)
    assert catalogue(any_database) == before
    assert kept_secrets(any_database) == secrets
    assert (await store.append(creation(company))).position == 3
    await store.close()


def kept_secrets(url: str) -> list[Any]:
    """By which cursors are known, and the audit log is signed."""
    with connected(url) as connection:
        secrets = connection.execute("SELECT name, value FROM access.secrets").fetchall()
        signers = "SELECT name, key_id, private_key, retired_at FROM audit_log.keys"
        return [*secrets, *connection.execute(signers).fetchall()]


EXCESS = [
    f"GRANT ALL ON event_store.events, event_store.topics TO {API_ROLE}",
    "GRANT SELECT ON event_store.events TO PUBLIC",
    f"GRANT ALL ON event_store.containers, event_store.memberships TO {PROJECTOR_ROLE}",
    f"GRANT ALL ON access.api_keys, access.sessions TO {API_ROLE}",
    "GRANT SELECT ON access.people TO PUBLIC",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA event_store, access TO PUBLIC",
    f"GRANT ALL ON event_store.events, access.secrets TO {ADMIN_ROLE}",
]


@pytest.mark.parametrize("excess", EXCESS)
async def test_rights_that_a_role_should_not_have_are_taken_back(
    any_database: str, excess: str
) -> None:
    before = catalogue(any_database)
    with connected(any_database) as owner:
        owner.execute(excess.encode())
    assert catalogue(any_database) != before
    await migrate(any_database, any_database)
    assert catalogue(any_database) == before


WRITTEN_TO = """
SELECT string_agg(oid::regclass::text, ', ' ORDER BY oid::regclass::text)
  FROM pg_class
 WHERE relkind = 'r' AND relnamespace IN ('event_store'::regnamespace, 'access'::regnamespace)
"""


async def test_a_start_waits_for_no_writer_and_stops_none(any_database: str) -> None:
    """Not even for one whose transaction stays open, or for a VACUUM, which locks more."""
    with psycopg.connect(any_database) as busy:
        busy.execute("LOCK TABLE event_store.events IN SHARE UPDATE EXCLUSIVE MODE")
        [(tables,)] = busy.execute(WRITTEN_TO).fetchall()
        assert tables.count(",") == 11
        busy.execute(f"LOCK TABLE {tables} IN ROW EXCLUSIVE MODE".encode())
        async with asyncio.timeout(5):
            await migrate(any_database, any_database)


async def test_one_start_is_done_before_the_next_begins(
    any_database: str, new: list[tuple[str, str]]
) -> None:
    """A start that has begun never waits for another one: it might wait for too long."""
    url, _ = new[0]

    def wait_and_look() -> list[Any]:
        with connected(url) as connection:
            connection.execute(migrations.LOCK)
            return connection.execute(CATALOGUE).fetchall()

    async def waiting(number: int) -> bool:
        return first.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount == number

    with connected(url) as first:
        first.execute(migrations.LOCK)
        second = asyncio.create_task(migrate(*new[0]))
        await eventually(lambda: waiting(1))
        third = asyncio.create_task(asyncio.to_thread(wait_and_look))
        await eventually(lambda: waiting(2))
    assert await third == catalogue(any_database)
    await second


async def test_an_administrator_need_not_be_a_superuser(administered: tuple[str, str]) -> None:
    admin, login = administered
    for _ in range(2):
        await migrate(admin, login)
    store = PostgresEventStore(as_role(login, API_ROLE))
    assert (await store.append(creation(uuid4()))).position == 1
    await store.close()
    with (
        connected(login) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE event_store.mine (a integer)")


async def test_an_administrator_that_makes_the_roles_itself_need_not_be_a_superuser(
    tmp_path: Path,
) -> None:
    with attach(tmp_path) as url:
        with connected(url) as owner:
            owner.execute("CREATE ROLE manager LOGIN CREATEROLE")
            owner.execute("CREATE ROLE service LOGIN")
            owner.execute("CREATE DATABASE managed OWNER manager")
        admin = make_conninfo(url, dbname="managed", user="manager")
        login = make_conninfo(url, dbname="managed", user="service")
        for _ in range(2):
            await migrate(admin, login)
        store = PostgresEventStore(as_role(login, API_ROLE))
        assert (await store.append(creation(uuid4()))).position == 1
        await store.close()
