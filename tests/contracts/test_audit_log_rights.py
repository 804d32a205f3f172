"""Who may do what to the audit log: the projector builds and signs it, the API looks at it."""

from typing import Any

import pytest
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from api.roles import ADMIN_ROLE, API_ROLE, PROJECTOR_ROLE, as_role
from tests.contracts.stores import connected

RIGHTS = """
SELECT c.relname, string_agg(lower(privilege), ' ' ORDER BY privilege)
  FROM pg_class c,
       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
           AS privilege
 WHERE c.relnamespace = 'audit_log'::regnamespace AND c.relkind IN ('r', 'v')
   AND has_table_privilege(%s, c.oid, privilege)
 GROUP BY 1
"""
FOR_ALL = {
    "exports": "select update", "export_chunks": "delete select", "heads": "select",
    "progress": "select",
}  # fmt: skip
OF_KEYS = """
SELECT attname FROM pg_attribute
 WHERE attrelid = 'audit_log.keys'::regclass AND attnum > 0
   AND has_column_privilege(%s, attrelid, attnum, %s)
"""
READS = {
    "tiles": "select",
    "heads": "select",
    "progress": "select",
    "exports": "delete insert select update",
    "export_chunks": "delete select",
}
KEEPS = {
    "exports": "delete select update",
    "export_chunks": "delete insert select",
    "tiles": "delete insert select update",
    "heads": "insert select update",
    "keys": "insert select update",
    "progress": "select update",
}


@pytest.mark.parametrize(
    ("role", "rights"), [(API_ROLE, READS), (PROJECTOR_ROLE, KEEPS), (ADMIN_ROLE, FOR_ALL)]
)
def test_a_role_has_the_rights_it_needs_and_no_other(
    owner: Connection[Any], role: str, rights: dict[str, str]
) -> None:
    assert dict(owner.execute(RIGHTS, (role,)).fetchall()) == rights


def test_how_far_the_log_is_can_be_asked_by_those_who_watch(owner: Connection[Any]) -> None:
    allowed = "SELECT has_function_privilege(%s, 'audit_log.standing()', 'EXECUTE')"
    for role in (API_ROLE, PROJECTOR_ROLE, "pg_monitor"):
        assert owner.execute(allowed, (role,)).fetchone() == (role != "pg_monitor",)


def test_the_api_sees_all_of_a_key_but_the_secret(owner: Connection[Any]) -> None:
    seen = {name for (name,) in owner.execute(OF_KEYS, (API_ROLE, "SELECT")).fetchall()}
    assert seen == {"number", "name", "key_id", "public_key", "created_at", "retired_at"}
    assert not owner.execute(OF_KEYS, (API_ROLE, "UPDATE")).fetchall()


def test_the_api_cannot_read_a_private_key(any_database: str) -> None:
    with connected(as_role(any_database, API_ROLE)) as api:
        for column in ("private_key", "*"):
            with pytest.raises(InsufficientPrivilege):
                api.execute(f"SELECT {column} FROM audit_log.keys".encode())
