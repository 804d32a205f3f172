"""The companies and workspaces as they are now: for their lists, and for a company's settings."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from pydantic_core import to_json

from domain.company import Company
from domain.recorded import Recorded
from domain.values import merge_patch
from domain.workspace import Workspace
from projections.folding import sort_key
from projections.handlers import Handlers, Row

LOAD_COMPANIES = """
SELECT id, name, settings, removed_at, created_by, created_at
  FROM companies
 WHERE id = ANY(%s)
"""
LOAD_WORKSPACES = """
SELECT aggregate_id, company_id, id, name, deleted_at, created_by, created_at
  FROM workspaces
 WHERE aggregate_id = ANY(%s)
"""
SAVE_COMPANIES = """
INSERT INTO companies
SELECT * FROM jsonb_populate_recordset(NULL::companies, %s::jsonb)
    ON CONFLICT (id) DO UPDATE
   SET name = excluded.name, settings = excluded.settings, removed_at = excluded.removed_at,
       updated_by = excluded.updated_by, updated_at = excluded.updated_at,
       version = excluded.version, position = excluded.position,
       name_folded = excluded.name_folded
"""
SAVE_WORKSPACES = """
INSERT INTO workspaces
SELECT * FROM jsonb_populate_recordset(NULL::workspaces, %s::jsonb)
    ON CONFLICT (aggregate_id) DO UPDATE
   SET name = excluded.name, deleted_at = excluded.deleted_at,
       updated_by = excluded.updated_by, updated_at = excluded.updated_at,
       version = excluded.version, position = excluded.position,
       name_folded = excluded.name_folded
"""

handles = Handlers()


class TenancyProjection:
    """The read model `tenancy`."""

    name = "tenancy"
    version = 1
    acts = False
    nouns = frozenset({"Company", "Workspace"})

    async def apply(self, connection: AsyncConnection, events: Sequence[Recorded]) -> None:
        """Fold the events into the rows that they touch, and write each row once."""
        known = [recorded for recorded in events if handles.know(recorded)]
        for noun, load, save in (
            (Company, LOAD_COMPANIES, SAVE_COMPANIES),
            (Workspace, LOAD_WORKSPACES, SAVE_WORKSPACES),
        ):
            ours = [recorded for recorded in known if isinstance(recorded.event, noun.Event)]
            if ours:
                rows = await _load(connection, load, ours)
                _fold(rows, ours)
                await connection.execute(save.encode(), (to_json(list(rows.values())).decode(),))

    recover = apply  # one row does not depend on others

    def filling(self) -> None:
        """It has few rows."""


@handles(Company.Registered)
def _registered(row: Row, event: Company.Registered) -> None:
    row |= {
        "id": event.originator_id,
        "name": event.name,
        "settings": {},
        "removed_at": None,
        "created_by": event.metadata.actor_id,
        "created_at": event.timestamp,
    }


@handles(Company.Renamed)
def _company_renamed(row: Row, event: Company.Renamed) -> None:
    row["name"] = event.name


@handles(Company.SettingsChanged)
def _settings_changed(row: Row, event: Company.SettingsChanged) -> None:
    row["settings"] = merge_patch(row["settings"], event.changes)


@handles(Company.Removed)
def _removed(row: Row, event: Company.Removed) -> None:
    row["removed_at"] = event.timestamp


@handles(Company.Restored)
def _company_restored(row: Row, event: Company.Restored) -> None:
    row["removed_at"] = None


@handles(Workspace.Created)
def _created(row: Row, event: Workspace.Created) -> None:
    row |= {
        "aggregate_id": event.originator_id,
        "company_id": event.company_id,
        "id": event.workspace_id,
        "name": event.name,
        "deleted_at": None,
        "created_by": event.metadata.actor_id,
        "created_at": event.timestamp,
    }


@handles(Workspace.Renamed)
def _workspace_renamed(row: Row, event: Workspace.Renamed) -> None:
    row["name"] = event.name


@handles(Workspace.Deleted)
def _deleted(row: Row, event: Workspace.Deleted) -> None:
    row["deleted_at"] = event.timestamp


@handles(Workspace.Restored)
def _workspace_restored(row: Row, event: Workspace.Restored) -> None:
    row["deleted_at"] = None


async def _load(
    connection: AsyncConnection, query: str, events: Sequence[Recorded]
) -> dict[UUID, Row]:
    ids = list({recorded.event.originator_id for recorded in events})
    async with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        await cursor.execute(query.encode(), (ids,))
        return {row.get("aggregate_id") or row["id"]: row async for row in cursor}


def _fold(rows: dict[UUID, Row], events: Sequence[Recorded]) -> None:
    for recorded in events:
        row = rows.setdefault(recorded.event.originator_id, {})
        handles.project(row, recorded)
        row["name_folded"] = sort_key(row["name"])
