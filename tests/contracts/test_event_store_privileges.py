"""Who may do what to the events: processes append and read; nobody changes anything."""

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.event_store.postgres import APPEND
from tests.contracts.commands import documents
from tests.contracts.conftest import connected

ROLES = [API_ROLE, PROJECTOR_ROLE]
CHANGES = [
    "UPDATE event_store.events SET state = ''",
    "UPDATE event_store.events SET state = '' WHERE false",
    "DELETE FROM event_store.events",
    "DELETE FROM event_store.events WHERE position = 2",
    "TRUNCATE event_store.events",
]
ADDITIONS = [
    "INSERT INTO event_store.events SELECT * FROM event_store.events",
    "COPY event_store.events FROM STDIN",
    "INSERT INTO event_store.slugs SELECT * FROM event_store.slugs",
    "INSERT INTO event_store.topics VALUES ('T', 1)",
    "DELETE FROM event_store.slugs",
]
DEFINITIONS = [
    "CREATE TABLE event_store.mine (a integer)",
    "CREATE TABLE access.mine (a integer)",
    "CREATE TABLE public.mine (a integer)",
    "CREATE FUNCTION event_store.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE event_store.events DISABLE TRIGGER ALL",
    "DROP TABLE event_store.events",
    "DROP TRIGGER events_are_append_only ON event_store.events",
    "CREATE ROLE mine",
    "SET session_replication_role = replica",
]
# Writes to the feed's order only through the function; reads what its queries need.
API_RIGHTS = {
    "event_store.events": "select",
    "event_store.slugs": "select",
    "event_store.idempotency_keys": "select",
    "access.api_keys": "select",
    "access.secrets": "select",
}
PROJECTOR_RIGHTS = {
    "event_store.events": "select",
    "event_store.slugs": "select",
    "event_store.idempotency_keys": "delete select",
    "event_store.topics": "select",
}
RIGHTS = """
SELECT n.nspname || '.' || c.relname, string_agg(lower(privilege), ' ' ORDER BY privilege)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace,
       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
           AS privilege
 WHERE n.nspname IN ('event_store', 'access') AND c.relkind IN ('r', 'v')
   AND has_table_privilege(%s, c.oid, privilege)
 GROUP BY 1
"""
FUNCTIONS = """
SELECT proname
  FROM pg_proc
 WHERE pronamespace IN ('event_store'::regnamespace, 'access'::regnamespace)
   AND has_function_privilege(%s, oid, 'EXECUTE')
"""
OWNED = """
SELECT relname FROM pg_class
 WHERE relowner = %(role)s::regrole
   AND relnamespace IN ('event_store'::regnamespace, 'access'::regnamespace)
 UNION ALL
SELECT nspname FROM pg_namespace
 WHERE nspowner = %(role)s::regrole AND nspname IN ('event_store', 'access', 'public')
 UNION ALL
SELECT datname FROM pg_database WHERE datdba = %(role)s::regrole
 UNION ALL
SELECT proname FROM pg_proc WHERE proowner = %(role)s::regrole
"""
ATTRIBUTES = """
SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication OR rolcanlogin
  FROM pg_roles WHERE rolname = %s
"""


@pytest.fixture
def filled(any_database: str) -> str:
    """A database with two events."""
    with connected(as_role(any_database, API_ROLE)) as api:
        api.execute(APPEND, documents())
    return any_database


@pytest.fixture(params=ROLES)
def process(request: pytest.FixtureRequest, filled: str) -> Iterator[Connection[Any]]:
    """A connection as the API, or the projector, has it."""
    with connected(as_role(filled, request.param)) as connection:
        yield connection


def test_a_process_cannot_write_to_the_store_by_itself(process: Connection[Any]) -> None:
    for statement in [*CHANGES, *ADDITIONS, *DEFINITIONS]:
        with pytest.raises(InsufficientPrivilege):
            process.execute(statement)
    count = process.execute("SELECT count(*), max(position) FROM event_store.events").fetchall()
    assert count == [(2, 2)]


def test_not_even_the_owner_can_change_an_event(filled: str) -> None:
    with connected(filled) as owner:
        before = owner.execute("SELECT * FROM event_store.events").fetchall()
        for statement in CHANGES:
            with pytest.raises(InsufficientPrivilege, match="append-only"):
                owner.execute(statement)
        assert owner.execute("SELECT * FROM event_store.events").fetchall() == before


@pytest.mark.parametrize(
    ("role", "rights"), [(API_ROLE, API_RIGHTS), (PROJECTOR_ROLE, PROJECTOR_RIGHTS)]
)
def test_a_role_has_the_rights_it_needs_and_no_other(
    any_database: str, role: str, rights: dict[str, str]
) -> None:
    with connected(any_database) as owner:
        assert dict(owner.execute(RIGHTS, (role,)).fetchall()) == rights


@pytest.mark.parametrize(
    ("role", "functions"), [(API_ROLE, {"append", "resolve"}), (PROJECTOR_ROLE, set())]
)
def test_only_the_api_may_append(any_database: str, role: str, functions: set[str]) -> None:
    with connected(any_database) as owner:
        assert {name for (name,) in owner.execute(FUNCTIONS, (role,)).fetchall()} == functions


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_neither_superuser_nor_owner(any_database: str, role: str) -> None:
    with connected(any_database) as owner:
        assert owner.execute(ATTRIBUTES, (role,)).fetchall() == [(False,)]
        assert owner.execute(OWNED, {"role": role}).fetchall() == []


def test_the_api_role_cannot_make_a_schema(any_database: str) -> None:
    with (
        connected(as_role(any_database, API_ROLE)) as api,
        pytest.raises(InsufficientPrivilege),
    ):
        api.execute("CREATE SCHEMA mine")


def test_a_function_or_operator_planted_by_a_session_is_not_used(filled: str) -> None:
    with connected(as_role(filled, API_ROLE)) as api:
        api.execute("SET search_path = pg_temp, public")
        api.execute("CREATE TEMP TABLE events AS SELECT * FROM event_store.events WHERE false")
        api.execute(
            "CREATE FUNCTION pg_temp.hashtextextended(text, bigint) RETURNS bigint"
            " LANGUAGE plpgsql AS $$ BEGIN RAISE 'planted'; END $$"
        )
        api.execute(
            "CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz"
            " LANGUAGE plpgsql AS $$ BEGIN RAISE 'planted'; END $$"
        )
        appended = api.execute("SELECT * FROM event_store.append('[]', '[]')").fetchall()
        resolved = api.execute("SELECT * FROM event_store.resolve('[]', NULL)").fetchall()
    assert (appended, resolved) == ([], [])
