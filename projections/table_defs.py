"""The table definitions as they are now: for reading one, the list, and slugs that moved on."""

import json
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from pydantic_core import to_json

from domain.recorded import Recorded
from domain.table_def import TableDef
from domain.values import DEFAULT_SETTINGS, merge_patch
from projections.base import Filling, Statements, execute
from projections.folding import fold, sort_key
from projections.handlers import Handlers, Row
from projections.keyset import TIME

_DEFAULTS = json.dumps(dict(DEFAULT_SETTINGS))
_ID = "coalesce('\"' || {} || '\"', 'null')"
_JSON = "coalesce(({})::text, 'null')"
_TEXT = "coalesce(to_json({})::text, 'null')"
_MOMENT = f"coalesce('\"' || {TIME} || '\"', 'null')"
_SHOWN = {
    "id": _ID.format("t.id"),
    "companyId": _ID.format("t.company_id"),
    "workspaceId": _ID.format("t.workspace_id"),
    "name": _TEXT.format("t.name"),
    "slug": _TEXT.format("t.slug"),
    "description": _TEXT.format("t.description"),
    "icon": _TEXT.format("t.icon"),
    "color": _TEXT.format("t.color"),
    "settings": _JSON.format("t.settings"),
    "effectiveSettings": _JSON.format(f"'{_DEFAULTS}'::jsonb || t.settings"),
    "createdBy": _ID.format("t.created_by"),
    "createdAt": _MOMENT.format("t.created_at"),
    "updatedBy": _ID.format("t.updated_by"),
    "updatedAt": _MOMENT.format("t.updated_at"),
    "deletedAt": _MOMENT.format("t.deleted_at"),
    "version": _JSON.format("t.version"),
}
# How a row `t` is answered with, as text. `json_build_object` says the same, and looks up for each
# row anew how each of its arguments is to be shown.
_MEMBERS = " || ', ' || ".join(f"""'"{name}" : ' || {value}""" for name, value in _SHOWN.items())
TABLE = f"('{{' || {_MEMBERS} || '}}')"
LOAD = """
SELECT id, company_id, workspace_id, name, slug, description, icon, color, settings, deleted_at,
       created_by, created_at, updated_by, updated_at, version, position
  FROM table_defs
 WHERE id = ANY(%s)
"""
SAVE = f"""
INSERT INTO table_defs (
    id, company_id, workspace_id, name, slug, description, icon, color, settings, deleted_at,
    created_by, created_at, updated_by, updated_at, version, position, name_folded, search_folded,
    shown)
SELECT id, company_id, workspace_id, name, slug, description, icon, color, settings, deleted_at,
       created_by, created_at, updated_by, updated_at, version, position, name_folded,
       search_folded, {TABLE}::json
  FROM json_to_recordset(%s::json) AS t(
    id uuid, company_id uuid, workspace_id uuid, name text, slug text, description text,
    icon text, color text, settings jsonb, deleted_at timestamptz, created_by uuid,
    created_at timestamptz, updated_by uuid, updated_at timestamptz, version integer,
    position bigint, name_folded text, search_folded text)
    ON CONFLICT (id) DO UPDATE
   SET workspace_id = excluded.workspace_id, name = excluded.name, slug = excluded.slug,
       description = excluded.description, icon = excluded.icon, color = excluded.color,
       settings = excluded.settings, deleted_at = excluded.deleted_at,
       updated_by = excluded.updated_by, updated_at = excluded.updated_at,
       version = excluded.version, position = excluded.position,
       name_folded = excluded.name_folded, search_folded = excluded.search_folded,
       shown = excluded.shown
"""  # noqa: S608
PURGE = """
WITH purged AS (
    INSERT INTO purged_table_defs (id, company_id, purged_at)
    SELECT id, company_id, purged_at
      FROM jsonb_to_recordset(%s::jsonb)
        AS row(id uuid, company_id uuid, purged_at timestamptz)
        ON CONFLICT (id) DO UPDATE SET purged_at = excluded.purged_at
    RETURNING id
), forgotten AS (
    DELETE FROM former_slugs WHERE table_id IN (SELECT id FROM purged)
)
DELETE FROM table_defs WHERE id IN (SELECT id FROM purged)
"""
FORMER_SLUGS = """
INSERT INTO former_slugs (company_id, slug, table_id, position)
SELECT company_id, slug, table_id, position
  FROM jsonb_to_recordset(%s::jsonb)
    AS row(company_id uuid, slug text, table_id uuid, position bigint)
"""

handles = Handlers()


class TableDefsProjection:
    """The read model `table_defs`."""

    name = "table_defs"
    version = 4
    acts = False
    nouns = frozenset({"TableDef"})

    async def apply(self, connection: AsyncConnection, events: Sequence[Recorded]) -> None:
        """Fold the events into the rows that they touch, and write each row once."""
        events = [recorded for recorded in events if handles.know(recorded)]
        rows = await _load(connection, events)
        former = _fold(rows, events)
        await execute(connection, _saving(rows.values(), former))

    recover = apply  # no row depends on others

    def filling(self) -> Filling:
        """Row by row."""
        return _RowByRow()


class _RowByRow:
    """Each row is written once, when all events of its table are there."""

    whole: Collection[str] = ()  # what is caught up may be at odds with what was read half

    def __init__(self) -> None:
        self._last: dict[UUID, Row] = {}

    def fold(self, events: Sequence[Recorded]) -> Statements:
        rows, self._last = self._last, {}
        former = _fold(rows, [recorded for recorded in events if handles.know(recorded)])
        if rows:
            self._last = dict([rows.popitem()])
        return _saving(rows.values(), former)

    def rest(self) -> Statements:
        return _saving(self._last.values(), [])

    async def finish(self, connection: AsyncConnection) -> None:
        pass


@handles(TableDef.Created)
def _created(row: Row, event: TableDef.Created) -> None:
    row |= {
        "id": event.originator_id,
        "company_id": event.company_id,
        "workspace_id": event.workspace_id,
        "name": event.name,
        "slug": event.slug,
        "description": event.description,
        "icon": event.icon,
        "color": event.color,
        "settings": event.settings,
        "deleted_at": None,
        "created_by": event.metadata.actor_id,
        "created_at": event.timestamp,
    }


@handles(TableDef.Renamed)
def _renamed(row: Row, event: TableDef.Renamed) -> None:
    row["name"] = event.name


@handles(TableDef.SlugChanged)
def _slug_changed(row: Row, event: TableDef.SlugChanged) -> None:
    row["slug"] = event.slug


@handles(TableDef.DescriptionChanged)
def _description_changed(row: Row, event: TableDef.DescriptionChanged) -> None:
    row["description"] = event.description


@handles(TableDef.AppearanceChanged)
def _appearance_changed(row: Row, event: TableDef.AppearanceChanged) -> None:
    row["icon"], row["color"] = event.icon, event.color


@handles(TableDef.SettingsChanged)
def _settings_changed(row: Row, event: TableDef.SettingsChanged) -> None:
    row["settings"] = merge_patch(row["settings"], event.changes)


@handles(TableDef.MovedToWorkspace)
def _moved(row: Row, event: TableDef.MovedToWorkspace) -> None:
    row["workspace_id"] = event.workspace_id


@handles(TableDef.Deleted)
def _deleted(row: Row, event: TableDef.Deleted) -> None:
    row["deleted_at"] = event.timestamp


@handles(TableDef.Restored)
def _restored(row: Row, event: TableDef.Restored) -> None:
    row["deleted_at"] = None


@handles(TableDef.Purged)
def _purged(row: Row, event: TableDef.Purged) -> None:
    row["purged_at"] = event.timestamp


@handles(TableDef.Erased)
def _erased(row: Row, event: TableDef.Erased) -> None:
    row |= {
        "id": event.originator_id,
        "company_id": event.metadata.company_id,
        "purged_at": event.timestamp,
    }


def _fold(rows: dict[UUID, Row], events: Iterable[Recorded]) -> Sequence[Row]:
    """Change rows as events say; returns the slugs that were given up."""
    former = []
    for recorded in events:
        event = recorded.event
        row = rows.setdefault(event.originator_id, {})
        if isinstance(event, TableDef.SlugChanged):
            given_up = {"slug": row["slug"], "table_id": event.originator_id}
            place = {"company_id": recorded.company_id, "position": recorded.position}
            former.append(given_up | place)
        handles.project(row, recorded)
    return former


async def _load(connection: AsyncConnection, events: Sequence[Recorded]) -> dict[UUID, Row]:
    """The rows that these events change, but for those that they create."""
    created = {r.event.originator_id for r in events if isinstance(r.event, TableDef.Created)}
    wanted = {recorded.event.originator_id for recorded in events} - created
    if not wanted:
        return {}
    async with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        await cursor.execute(LOAD, (list(wanted),))
        return {row["id"]: row async for row in cursor}


def _saving(rows: Collection[Row], former: Sequence[Row]) -> Statements:
    kept = [searchable(row) for row in rows if "purged_at" not in row]
    purged = [row for row in rows if "purged_at" in row]
    written = ((SAVE, kept), (FORMER_SLUGS, former), (PURGE, purged))
    return [(query, (to_json(those).decode(),)) for query, those in written if those]


def searchable(row: Row) -> Row:
    """Add to a row what it is sorted and searched by."""
    texts = (row["name"], row["slug"], row["description"] or "")
    row["name_folded"] = sort_key(row["name"])
    row["search_folded"] = fold("\n".join(texts))
    return row
