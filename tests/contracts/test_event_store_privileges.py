"""Who may do what to the events and keys: each role what it needs; nobody changes an event."""

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from api.roles import ADMIN_ROLE, API_ROLE, PROJECTOR_ROLE, as_role
from application.event_store.postgres import APPEND
from tests.contracts.commands import documents
from tests.contracts.stores import connected

ROLES = [API_ROLE, PROJECTOR_ROLE]
ALL_ROLES = [*ROLES, ADMIN_ROLE]
CHANGES = [
    "UPDATE event_store.events SET state = ''",
    "UPDATE event_store.events SET salt = NULL, state = NULL",
    "UPDATE event_store.events SET topic = 'TableDef.Erased'",
    "DELETE FROM event_store.events",
    "DELETE FROM event_store.events WHERE position = 2",
    "TRUNCATE event_store.events",
]
ADDITIONS = [
    "INSERT INTO event_store.events SELECT * FROM event_store.events",
    "COPY event_store.events FROM STDIN",
    "INSERT INTO event_store.slugs SELECT * FROM event_store.slugs",
    "INSERT INTO event_store.topics VALUES ('T', 1)",
    "INSERT INTO event_store.containers SELECT gen_random_uuid(), gen_random_uuid(), true",
    "INSERT INTO event_store.memberships SELECT * FROM event_store.memberships",
    "INSERT INTO event_store.adopted VALUES (1)",
    "DELETE FROM event_store.slugs",
    "UPDATE event_store.containers SET live = true",
    "DELETE FROM event_store.memberships",
    "DELETE FROM access.api_keys",
    "UPDATE access.api_keys SET role = 'admin'",
    "SELECT FROM access.sessions",
    "SELECT FROM access.sign_in_codes",
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
    "ALTER TABLE event_store.events DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE event_store.events NO FORCE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON event_store.events USING (true)",
    "DROP POLICY named_companies ON access.api_keys",
    f"ALTER ROLE {API_ROLE} BYPASSRLS",
]
# Writes to the feed's order only through the function; reads what its queries need.
API_RIGHTS = {
    "event_store.events": "select",
    "event_store.slugs": "select",
    "event_store.idempotency_keys": "select",
    "event_store.containers": "select",
    "event_store.memberships": "select",
    "access.api_keys": "insert select",
    "access.people": "insert select update",
    "access.secrets": "select",
}
PROJECTOR_RIGHTS = {
    "event_store.events": "select",
    "event_store.slugs": "select",
    "event_store.idempotency_keys": "delete select",
    "event_store.containers": "select",
    "event_store.memberships": "select",
    "event_store.topics": "select",
}
# What its functions need, and what the command line does for keys.
EVERYTHING = "delete insert select update"
VIEWS = ["event_store.dynamic_tables_events", "event_store.readable_events"]
ADMIN_RIGHTS = {
    "event_store.events": "insert select",
    "event_store.slugs": EVERYTHING,
    "event_store.idempotency_keys": EVERYTHING,
    "event_store.containers": EVERYTHING,
    "event_store.memberships": EVERYTHING,
    "access.api_keys": EVERYTHING,
    "access.sessions": EVERYTHING,
    "access.sign_in_codes": EVERYTHING,
    "access.people": EVERYTHING,
    "access.secrets": EVERYTHING,
}
APPENDING = {"append", "resolve"}
LETTING_IN = {
    "find_keys", "find_sessions", "note_use", "begin_session", "end_session", "use_sign_in_code",
    "remember",
}  # fmt: skip
DEFINERS = APPENDING | LETTING_IN | {"head", "position_before", "is_over"}
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
KEY_COLUMNS = """
SELECT attname FROM pg_attribute
 WHERE attrelid = 'access.api_keys'::regclass AND attnum > 0
   AND has_column_privilege(%s, attrelid, attnum, 'UPDATE')
"""
MEMBERS = """
SELECT member::regrole::text FROM pg_auth_members WHERE roleid = %s::regrole
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


def test_a_process_cannot_write_to_the_store_by_itself(
    process: Connection[Any], owner: Connection[Any]
) -> None:
    for statement in [*CHANGES, *ADDITIONS, *DEFINITIONS]:
        with pytest.raises(InsufficientPrivilege):
            process.execute(statement)
    count = owner.execute("SELECT count(*), max(position) FROM event_store.events").fetchall()
    assert count == [(2, 2)]


def test_not_even_the_owner_can_change_an_event(filled: str) -> None:
    with connected(filled) as owner:
        before = owner.execute("SELECT * FROM event_store.events").fetchall()
        for statement in CHANGES:
            with pytest.raises(InsufficientPrivilege, match="append-only"):
                owner.execute(statement)
        assert owner.execute("SELECT * FROM event_store.events").fetchall() == before


@pytest.mark.parametrize(
    ("role", "rights"),
    [(API_ROLE, API_RIGHTS), (PROJECTOR_ROLE, PROJECTOR_RIGHTS), (ADMIN_ROLE, ADMIN_RIGHTS)],
)
def test_a_role_has_the_rights_it_needs_and_no_other(
    any_database: str, role: str, rights: dict[str, str]
) -> None:
    with connected(any_database) as owner:
        found = dict(owner.execute(RIGHTS, (role,)).fetchall())
    if role == ADMIN_ROLE:  # what is its own
        assert all(found.pop(view).split() for view in VIEWS)
    assert found == rights


@pytest.mark.parametrize(
    ("role", "functions"),
    [
        (API_ROLE, DEFINERS),
        (
            PROJECTOR_ROLE,
            APPENDING | {"isolate", "head"},
        ),  # commands, read models
        (ADMIN_ROLE, DEFINERS),
        ("pg_monitor", set()),  # as anybody else
    ],
)
def test_a_role_may_call_what_it_needs_and_nothing_else(
    any_database: str, role: str, functions: set[str]
) -> None:
    with connected(any_database) as owner:
        assert {name for (name,) in owner.execute(FUNCTIONS, (role,)).fetchall()} == functions


def test_the_api_can_change_what_a_key_is_called_and_when_it_ends_not_what_it_may(
    any_database: str,
) -> None:
    with connected(any_database) as owner:
        columns = {name for (name,) in owner.execute(KEY_COLUMNS, (API_ROLE,)).fetchall()}
    assert columns == {"label", "retires_at", "revoked_at", "revoked_by"}


@pytest.mark.parametrize("role", ALL_ROLES)
def test_a_role_is_no_superuser_and_nobody_can_sign_in_as_it(any_database: str, role: str) -> None:
    with connected(any_database) as owner:
        assert owner.execute(ATTRIBUTES, (role,)).fetchall() == [(False,)]


@pytest.mark.parametrize("role", ROLES)
def test_a_process_owns_neither_the_store_nor_what_acts_for_all(
    any_database: str, role: str
) -> None:
    with connected(any_database) as owner:
        assert owner.execute(OWNED, {"role": role}).fetchall() == []


def test_what_acts_for_all_companies_belongs_to_a_role_of_its_own(any_database: str) -> None:
    with connected(any_database) as owner:
        owned = {name for (name,) in owner.execute(OWNED, {"role": ADMIN_ROLE}).fetchall()}
        assert owned == DEFINERS | {"standing"} | {view.partition(".")[2] for view in VIEWS}
        members = {name for (name,) in owner.execute(MEMBERS, (ADMIN_ROLE,)).fetchall()}
        assert members.isdisjoint(ROLES)
        inherited = {name for (name,) in owner.execute(MEMBERS, (PROJECTOR_ROLE,)).fetchall()}
        assert inherited.isdisjoint(ALL_ROLES)


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
