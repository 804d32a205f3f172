"""A database as the release before companies and workspaces left it: bare ids, no places kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from application.event_store.store import Append
from domain.containers import container_of
from domain.table_def import TableDef
from domain.table_details import Changes
from tests.contracts.commands import command, context, new_table
from tests.contracts.starters import catalogue
from tests.contracts.stores import ApiStore, connected

# What that release did not have; and what it had instead.
UNDO = """
DO $$
DECLARE
    ours text;
BEGIN
    FOR ours IN
        SELECT format('FUNCTION %s', oid::regprocedure) FROM pg_proc
         WHERE pronamespace = 'access'::regnamespace
            OR pronamespace = 'event_store'::regnamespace AND proname IN ('head', 'isolate')
         UNION ALL
        SELECT format('SCHEMA %I', nspname) FROM pg_namespace
         WHERE nspname ~ '^(table_defs|tenancy|history)_v|^(consumers|webhooks|audit_log)$'
    LOOP
        EXECUTE format('DROP %s CASCADE', ours);
    END LOOP;
    FOR ours IN
        SELECT format('FUNCTION %s', oid::regprocedure) FROM pg_proc
         WHERE pronamespace = 'event_store'::regnamespace AND prosecdef
         UNION ALL
        SELECT format('VIEW %s', oid::regclass) FROM pg_class
         WHERE relnamespace = 'event_store'::regnamespace AND relkind = 'v'
    LOOP
        EXECUTE format('ALTER %s OWNER TO postgres', ours);
    END LOOP;
    FOR ours IN SELECT format('%I ON %s', polname, polrelid::regclass) FROM pg_policy LOOP
        EXECUTE format('DROP POLICY %s', ours);
    END LOOP;
END
$$;
DROP INDEX event_store.idempotency_keys_by_originator;
DROP TABLE event_store.containers, event_store.memberships, event_store.adopted;
ALTER TABLE event_store.events DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE event_store.slugs DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE event_store.idempotency_keys DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON ALL TABLES IN SCHEMA event_store, access FROM dynamic_tables_admin;
REVOKE ALL ON SCHEMA event_store, access FROM dynamic_tables_admin;
DELETE FROM event_store.topics WHERE topic NOT LIKE 'TableDef.%';
DELETE FROM projections.positions;
INSERT INTO projections.positions (projection, position) VALUES ('table_defs_v1', 3);
DELETE FROM access.secrets WHERE name <> 'cursor';
DROP TABLE access.api_keys, access.sessions, access.sign_in_codes, access.people;
CREATE TABLE access.api_keys (
    id           uuid        NOT NULL,
    company_id   uuid        NOT NULL,
    role         text        NOT NULL,
    label        text        NOT NULL,
    secret_hash  bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id)
);
CREATE INDEX api_keys_by_company ON access.api_keys (company_id);
GRANT SELECT ON access.api_keys TO dynamic_tables_api;
GRANT UPDATE (last_used_at) ON access.api_keys TO dynamic_tables_api;
"""
KEY = """
INSERT INTO access.api_keys (id, company_id, role, label, secret_hash)
VALUES (gen_random_uuid(), %s, 'admin', 'Key', '')
"""
SALES, PEOPLE, ONCE, PURGED = (UUID(int=n) for n in range(11, 15))


def old(table: TableDef) -> Append:
    """A command as that release sent it: it says nothing of where the table is."""
    return command(table, claim=table.standing.slug)


@dataclass
class Old:
    """What was there. `keyed` has a key and nothing else; `empty` had one table, now purged.

    `fresh`: what a new database of the present release consists of.
    """

    url: str
    fresh: Sequence[Any] = ()
    ours: UUID = field(default_factory=uuid4)
    theirs: UUID = field(default_factory=uuid4)
    keyed: UUID = field(default_factory=uuid4)
    empty: UUID = field(default_factory=uuid4)
    tables: list[TableDef] = field(default_factory=list)

    @property
    def companies(self) -> set[UUID]:
        """All of whom anything was known."""
        return {self.keyed, *(table.company_id for table in self.tables)}

    @property
    def places(self) -> Mapping[UUID, tuple[UUID, UUID]]:
        """Company and container of each table that was not purged, folded from its events."""
        return {
            table.id: (table.company_id, container_of(table.company_id, table.workspace_id))
            for table in self.tables
            if not table.purged_at
        }

    @property
    def workspaces(self) -> set[tuple[UUID, UUID]]:
        """Company and id of each workspace in which there is a table."""
        return {
            (table.company_id, table.workspace_id)
            for table in self.tables
            if table.workspace_id and not table.purged_at
        }

    def table(self, company: UUID, first: UUID | None = None, *then: UUID | None) -> TableDef:
        """One that was in each of these workspaces in turn."""
        table = new_table(company, workspace_id=first)
        for workspace in then:
            table.change(Changes(workspace_id=workspace), context(company))
        self.tables.append(table)
        return table

    def ended(self, company: UUID, place: UUID | None = None) -> TableDef:
        """One that was purged."""
        table = self.table(company, place)
        table.delete(context(company))
        table.purge(context(company))
        return table

    def live(self) -> Sequence[TableDef]:
        """Tables that have been through everything that can happen to them."""
        ours, theirs = self.ours, self.theirs
        deleted, restored = self.table(ours, SALES), self.table(theirs, None, SALES)
        for table in (deleted, restored):
            table.delete(context(table.company_id))
        restored.restore(context(theirs))
        self.table(ours)
        self.table(ours, SALES, PEOPLE)
        self.table(ours, SALES, None)
        self.table(ours, ONCE, None)
        self.table(theirs)
        self.table(theirs, SALES, PEOPLE, SALES)
        self.ended(ours, PURGED)
        self.ended(self.empty)
        return self.tables


async def old_database(url: str) -> Old:
    """Make of a new database one of that release, in which people had tables and keys."""
    there = Old(url, catalogue(url))
    store = ApiStore(url)
    for table in there.live():
        await store.append(old(table))
    await store.close()
    with connected(url) as owner:
        owner.execute(UNDO)
        for company in (there.ours, there.keyed):
            owner.execute(KEY, (company,))
    return there


def rows(url: str, query: str) -> list[Any]:
    """What the administrator sees."""
    with connected(url) as owner:
        return owner.execute(query.encode()).fetchall()
