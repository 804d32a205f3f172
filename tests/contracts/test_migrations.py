"""Starting: whatever the database is like and however many start at once, its schema is right."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api import migrations
from api.embedded_postgres import attach
from api.migrations import migrate
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.event_store.postgres import PostgresEventStore
from tests.conftest import eventually
from tests.contracts.commands import creation
from tests.contracts.conftest import connected

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
CATALOGUE = """
SELECT 'table', c.oid::regclass::text, c.relkind::text, c.relacl::text, c.relowner::regrole::text,
       (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                          || ' ' || a.attnotnull, ',' ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)
  FROM pg_class c
 WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
 UNION ALL
SELECT 'constraint', conname, contype::text, pg_get_constraintdef(oid), NULL, NULL
  FROM pg_constraint WHERE connamespace::regnamespace::text !~ '^(pg_|information_schema)'
 UNION ALL
SELECT 'function', p.oid::regprocedure::text, NULL, p.proacl::text, p.proowner::regrole::text,
       md5(pg_get_functiondef(p.oid))
  FROM pg_proc p WHERE p.pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
 UNION ALL
SELECT 'trigger', tgname, tgenabled::text, pg_get_triggerdef(oid), NULL, NULL
  FROM pg_trigger WHERE NOT tgisinternal
 UNION ALL
SELECT 'schema', nspname, NULL, nspacl::text, nspowner::regrole::text, NULL
  FROM pg_namespace WHERE nspname !~ '^pg_'
 ORDER BY 1, 2, 3
"""


def catalogue(url: str) -> list[Any]:
    """Everything that a migration makes."""
    with connected(url) as connection:
        return connection.execute(CATALOGUE).fetchall()


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


def start_at_once(pairs: list[tuple[str, str]]) -> str:
    """Start a process for each of these at the same moment; what they complained of."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.contracts.starters", *chain(*pairs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr if done.returncode else ""


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
    store = PostgresEventStore(as_role(any_database, API_ROLE))
    await store.append(creation(uuid4()))
    before, secret = catalogue(any_database), cursor_secret(any_database)
    await migrate(any_database, any_database)
    assert catalogue(any_database) == before
    assert cursor_secret(any_database) == secret
    assert (await store.append(creation(uuid4()))).position == 2
    await store.close()


def cursor_secret(url: str) -> list[Any]:
    with connected(url) as connection:
        return connection.execute("SELECT name, value FROM access.secrets").fetchall()


async def test_rights_that_a_role_should_not_have_are_taken_back(any_database: str) -> None:
    before = catalogue(any_database)
    with connected(any_database) as owner:
        owner.execute(f"GRANT ALL ON event_store.events, event_store.topics TO {API_ROLE}")
        owner.execute("GRANT SELECT ON event_store.events TO PUBLIC")
    assert catalogue(any_database) != before
    await migrate(any_database, any_database)
    assert catalogue(any_database) == before


async def test_a_start_waits_for_no_writer_and_stops_none(any_database: str) -> None:
    """Not even for one whose transaction stays open, or for a VACUUM, which locks more."""
    with psycopg.connect(any_database) as busy:
        busy.execute("LOCK TABLE event_store.events IN SHARE UPDATE EXCLUSIVE MODE")
        busy.execute("LOCK TABLE event_store.events, event_store.slugs IN ROW EXCLUSIVE MODE")
        busy.execute("LOCK TABLE event_store.idempotency_keys IN ROW EXCLUSIVE MODE")
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


@pytest.fixture
def administered(any_database: str) -> Iterator[tuple[str, str]]:
    """A database whose administrator is no superuser, as in the cloud, and its service's login."""
    name = uuid4().hex
    admin, login, new = f"admin_{name}", f"login_{name}", f"managed_{name}"
    with connected(any_database) as owner:
        owner.execute(f"CREATE ROLE {admin} LOGIN CREATEROLE")
        owner.execute(f"CREATE ROLE {login} LOGIN")
        # As if it had made them itself, on a server of its own.
        owner.execute(f"GRANT {API_ROLE}, {PROJECTOR_ROLE} TO {admin} WITH ADMIN OPTION")
        owner.execute(f"CREATE DATABASE {new} OWNER {admin} TEMPLATE template0")
        yield (
            make_conninfo(any_database, dbname=new, user=admin),
            make_conninfo(any_database, dbname=new, user=login),
        )
        owner.execute(f"DROP DATABASE {new} WITH (FORCE)")
        owner.execute(f"DROP OWNED BY {admin}; DROP ROLE {login}; DROP ROLE {admin}")


async def test_an_administrator_need_not_be_a_superuser(administered: tuple[str, str]) -> None:
    admin, login = administered
    await migrate(admin, login)
    store = PostgresEventStore(as_role(login, API_ROLE))
    assert (await store.append(creation(uuid4()))).position == 1
    await store.close()
    with (
        connected(login) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE event_store.mine (a integer)")
