"""No company sees another's rows, even where our own conditions should fail: on 18 and on 15."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from api.read_models import READ_MODELS
from api.roles import ADMIN_ROLE, API_ROLE, PROJECTOR_ROLE, as_role
from api.tenancy_reads import AS_PLATFORM
from application.event_store.session import ACT_AS, Session, companies, scoped
from projections.base import live_schema
from projections.tenancy_queries import SCHEMA as TENANCY
from tests.contracts.stores import connected, prepared
from tests.contracts.tenants import Tenants

pytestmark = pytest.mark.anyio

SCHEMAS = [
    "event_store", "access", "consumers", "webhooks", "audit_log", *map(live_schema, READ_MODELS)
]  # fmt: skip
# Of no company; the processes may look into `topics`, `secrets` and the audit log's, no others.
COMMON = {
    "event_store.topics",
    "access.secrets",
    "event_store.adopted",
    "access.sign_in_codes",
    "audit_log.keys",
    "audit_log.progress",
}
COMPANY_TABLE = f"{TENANCY}.companies"
TABLES = """
SELECT c.oid::regclass::text, c.relrowsecurity AND c.relforcerowsecurity,
       (SELECT a.attname FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped)
  FROM pg_class c
 WHERE c.relnamespace::regnamespace::text = ANY(%s) AND c.relkind IN ('r', 'p', 'm', 'f')
 ORDER BY 1
"""
POLICIES = """
SELECT polrelid::regclass::text, polname, polpermissive, polcmd::text,
       array_remove(array[
           CASE WHEN %(api)s::regrole = ANY (polroles) THEN 'api' END,
           CASE WHEN %(projector)s::regrole = ANY (polroles) THEN 'projector' END,
           CASE WHEN %(admin)s::regrole = ANY (polroles) THEN 'admin' END,
           CASE WHEN 0 = ANY (polroles) THEN 'public' END], NULL)
  FROM pg_policy
"""
ROLES = {"api": API_ROLE, "projector": PROJECTOR_ROLE, "admin": ADMIN_ROLE}
NAMED = ("named_companies", True, "*", ["api"])
EVERY = ("every_company", True, "*", ["projector", "admin"])
PLATFORM = ("platform", True, "r", ["api"])


@pytest.fixture
def owner(tenants: Tenants) -> Iterator[Connection[Any]]:
    """A superuser's connection."""
    with connected(tenants.url) as connection:
        yield connection


@pytest.fixture
def api(tenants: Tenants) -> Iterator[Connection[Any]]:
    """A connection as the API has it."""
    with prepared(as_role(tenants.url, API_ROLE)) as connection:
        yield connection


def owned_tables(owner: Connection[Any]) -> dict[str, str]:
    """Each table in which every row is a company's, and the column that says whose."""
    found = {name: column for name, _, column in owner.execute(TABLES, (SCHEMAS,)).fetchall()}
    return {
        name: column or "id" for name, column in found.items() if column or name == COMPANY_TABLE
    }


def counts(connection: Connection[Any], table: str, column: str) -> dict[UUID, int]:
    """How many rows of each company somebody sees."""
    query = f"SELECT {column}, count(*) FROM {table} GROUP BY 1"
    return dict(connection.execute(query.encode()).fetchall())


@contextmanager
def anything_goes(owner: Connection[Any], *named: UUID) -> Iterator[Connection[Any]]:
    """The API's role with every right on every table, so that only the policies are left.

    In a transaction in the name of these companies; it is undone in the end.
    """
    with owner.transaction(force_rollback=True):
        for schema in SCHEMAS:
            owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {API_ROLE}")
        owner.execute(f"SET LOCAL ROLE {API_ROLE}")
        if named:
            owner.execute(ACT_AS, (companies(*named),))
        yield owner


def test_every_table_with_a_company_has_its_policies_and_forces_them_on_its_owner(
    owner: Connection[Any],
) -> None:
    tables = owner.execute(TABLES, (SCHEMAS,)).fetchall()
    policies: dict[str, list[Any]] = {}
    for table, *policy in owner.execute(POLICIES, ROLES).fetchall():
        policies.setdefault(table, []).append(tuple(policy))
    assert {name for name, _, _ in tables} - owned_tables(owner).keys() == COMMON
    for name, forced, _ in tables:
        if name in COMMON:
            continue
        assert forced, name
        platform = [PLATFORM] if name == COMPANY_TABLE else []
        assert sorted(policies[name]) == sorted([NAMED, EVERY, *platform]), name
    assert policies.keys() == owned_tables(owner).keys()


def test_every_table_holds_rows_of_both(owner: Connection[Any], tenants: Tenants) -> None:
    """Or the other tests would show nothing."""
    for table, column in owned_tables(owner).items():
        seen = counts(owner, table, column)
        assert seen.keys() == {tenants.ours.id, tenants.theirs.id}, table


def test_who_names_no_company_sees_no_row(owner: Connection[Any]) -> None:
    tables = owned_tables(owner)
    with anything_goes(owner) as api:
        assert not any(counts(api, table, column) for table, column in tables.items())


def test_who_names_a_company_sees_its_rows_alone(owner: Connection[Any], tenants: Tenants) -> None:
    tables, ours = owned_tables(owner), tenants.ours.id
    all_of_them = {table: counts(owner, table, column) for table, column in tables.items()}
    with anything_goes(owner, ours) as api:
        for table, column in tables.items():
            assert counts(api, table, column) == {ours: all_of_them[table][ours]}, table
    with anything_goes(owner, ours, tenants.theirs.id) as api:
        assert {
            table: counts(api, table, column) for table, column in tables.items()
        } == all_of_them


@pytest.mark.parametrize("setting", ["", "{}", "{NULL}"])
def test_a_name_that_says_nothing_shows_nothing(owner: Connection[Any], setting: str) -> None:
    tables = owned_tables(owner)
    with anything_goes(owner) as api:
        api.execute(ACT_AS, (setting,))
        for table, column in tables.items():
            assert counts(api, table, column) == {}, table


def rows_as_json(owner: Connection[Any], table: str, column: str, company: UUID) -> str:
    """The rows of a company, to be inserted again."""
    query = f"SELECT json_agg(t)::text FROM {table} t WHERE {column} = %s"
    return owner.execute(query.encode(), (company,)).fetchall()[0][0]  # type: ignore[no-any-return]


def insert(connection: Connection[Any], table: str, rows: str) -> None:
    own = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
    named = connection.execute(
        f"{own} AND attgenerated = '' AND NOT attisdropped".encode(), (table,)
    )
    columns = ", ".join(name for (name,) in named)
    query = f"""
        INSERT INTO {table} ({columns})
        SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s)"""
    with connection.transaction():
        connection.execute(query.encode(), (rows,))


def test_nobody_inserts_a_row_of_a_company_that_is_not_named(
    owner: Connection[Any], tenants: Tenants
) -> None:
    for table, column in owned_tables(owner).items():
        theirs = rows_as_json(owner, table, column, tenants.theirs.id)
        for named in ((), (tenants.ours.id,)):
            with (
                anything_goes(owner, *named) as api,
                pytest.raises(InsufficientPrivilege, match="row-level security"),
            ):
                insert(api, table, theirs)
        # Those who may, get as far as the row that is there already.
        with anything_goes(owner, tenants.theirs.id) as api, pytest.raises(UniqueViolation):
            insert(api, table, theirs)


def test_nobody_changes_or_deletes_a_row_of_a_company_that_is_not_named(
    owner: Connection[Any], tenants: Tenants
) -> None:
    ours, theirs = tenants.ours.id, tenants.theirs.id
    tables = {t: c for t, c in owned_tables(owner).items() if t != "event_store.events"}
    for table, column in tables.items():
        expected = counts(owner, table, column)
        for named in ((), (ours,)):
            with anything_goes(owner, *named) as api:
                update = f"UPDATE {table} SET {column} = {column}"
                changed = api.execute(update.encode()).rowcount
                assert changed == (expected[ours] if named else 0), table
                take = f"UPDATE {table} SET {column} = %s WHERE {column} = %s"
                assert api.execute(take.encode(), (ours, theirs)).rowcount == 0, table
                delete = f"DELETE FROM {table} WHERE {column} = %s"
                assert api.execute(delete.encode(), (theirs,)).rowcount == 0, table
        give = f"UPDATE {table} SET {column} = %s"
        with (
            anything_goes(owner, ours) as api,
            pytest.raises(InsufficientPrivilege, match="row-level security"),
        ):
            api.execute(give.encode(), (theirs,))


def test_row_level_security_cannot_be_switched_off_by_a_session(api: Connection[Any]) -> None:
    api.execute("SET row_security = off")
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        api.execute("SELECT FROM event_store.events")


def test_an_owner_sees_nothing_unless_it_acts_for_all(owner: Connection[Any]) -> None:
    tables = owned_tables(owner)
    all_of_them = {table: counts(owner, table, column) for table, column in tables.items()}
    with owner.transaction(force_rollback=True):
        owner.execute("CREATE ROLE ordinary")
        owner.execute(f"GRANT USAGE ON SCHEMA {', '.join(SCHEMAS)} TO ordinary")
        for table in tables:
            owner.execute(f"ALTER TABLE {table} OWNER TO ordinary".encode())
        owner.execute("SET LOCAL ROLE ordinary")
        assert all(counts(owner, table, column) == {} for table, column in tables.items())
        owner.execute("RESET ROLE")
        owner.execute(f"GRANT {ADMIN_ROLE} TO ordinary")
        owner.execute("SET LOCAL ROLE ordinary")
        assert {t: counts(owner, t, c) for t, c in tables.items()} == all_of_them


READABLE = [
    ("event_store.events", "company_id"),
    ("event_store.memberships", "company_id"),
    ("access.api_keys", "company_id"),
    (COMPANY_TABLE, "id"),
]


@pytest.mark.parametrize(("table", "column"), READABLE)
def test_a_name_ends_with_its_statement(
    api: Connection[Any], tenants: Tenants, table: str, column: str
) -> None:
    query = scoped(f"SELECT DISTINCT {column} FROM {table}").encode()
    for tenant in (tenants.ours, tenants.theirs) * 4:  # the later ones are prepared
        named = api.execute(query, {"companies": companies(tenant.id)}).fetchall()
        assert named == [(tenant.id,)]
        assert counts(api, table, column) == {}
    assert api.execute(query, {"companies": ""}).fetchall() == []


def test_a_name_ends_with_a_statement_that_fails(api: Connection[Any], tenants: Tenants) -> None:
    query = scoped("SELECT 1 / (count(*) - count(*)) FROM event_store.events").encode()
    with pytest.raises(psycopg.errors.DivisionByZero):
        api.execute(query, {"companies": companies(tenants.ours.id)})
    assert counts(api, "event_store.events", "company_id") == {}


async def test_a_name_ends_with_its_transaction(tenants: Tenants) -> None:
    ours, theirs = tenants.ours.id, tenants.theirs.id
    session = Session(as_role(tenants.url, API_ROLE))
    query = "SELECT DISTINCT company_id FROM access.people"

    async def look(connection: Any) -> list[Any]:
        return await (await connection.execute(query)).fetchall()  # type: ignore[no-any-return]

    async def fail(connection: Any) -> None:
        await look(connection)
        raise ZeroDivisionError

    for company in (ours, theirs) * 3:
        assert await session.run_as(company, look) == [(company,)]
        assert await session.fetch(query) == []
    with pytest.raises(ZeroDivisionError):
        await session.run_as(ours, fail)
    assert await session.fetch(query) == []
    await session.close()


def test_the_platform_sees_all_companies_and_nothing_else(
    owner: Connection[Any], tenants: Tenants
) -> None:
    tables = owned_tables(owner)
    with anything_goes(owner) as api:
        api.execute(AS_PLATFORM)
        seen = {table: counts(api, table, column) for table, column in tables.items()}
        assert seen.pop(COMPANY_TABLE) == {tenants.ours.id: 1, tenants.theirs.id: 1}
        assert not any(seen.values())
        with api.transaction(force_rollback=True):
            changed = api.execute(f"UPDATE {COMPANY_TABLE} SET name = 'x'".encode())
            assert changed.rowcount == 0


def test_the_platform_s_view_ends_with_its_transaction(api: Connection[Any]) -> None:
    with api.transaction():
        api.execute(AS_PLATFORM)
        assert len(counts(api, COMPANY_TABLE, "id")) == 2
    assert counts(api, COMPANY_TABLE, "id") == {}


REMEMBER = "SELECT * FROM access.remember(%s, 'k', 'hash', gen_random_uuid())"


def remember(api: Connection[Any], company: UUID, *named: UUID) -> int:
    """How many keys are remembered for a company, in the name of some; it is undone in the end."""
    with api.transaction(force_rollback=True):
        if named:
            api.execute(ACT_AS, (companies(*named),))
        return api.execute(REMEMBER, (company,)).rowcount


def test_a_key_is_remembered_in_the_name_of_its_company_alone(
    api: Connection[Any], tenants: Tenants
) -> None:
    ours, theirs = tenants.ours.id, tenants.theirs.id
    for named in ((), (theirs,), (ours, theirs), (theirs, ours)):
        with pytest.raises(InsufficientPrivilege, match="name of this company"):
            remember(api, ours, *named)
    assert remember(api, ours, ours) == 1
