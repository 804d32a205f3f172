"""Questions to the read model `table_defs`. Postgres builds the JSON; nobody parses it on the way.

Every answer carries the position that it shows, read in the same statement as its rows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from domain.values import DEFAULT_SETTINGS
from projections.base import live_schema
from projections.folding import fold
from projections.table_defs import TableDefsProjection

Sort = Literal["name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt"]
State = Literal["active", "deleted", "all"]

SCHEMA = live_schema(TableDefsProjection())
_TIME = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
TABLE = f"""json_build_object(
       'id', t.id, 'companyId', t.company_id, 'workspaceId', t.workspace_id,
       'name', t.name, 'slug', t.slug, 'description', t.description,
       'icon', t.icon, 'color', t.color, 'settings', t.settings,
       'effectiveSettings', %(defaults)s::jsonb || t.settings,
       'createdBy', t.created_by, 'createdAt', {_TIME.format("t.created_at")},
       'updatedBy', t.updated_by, 'updatedAt', {_TIME.format("t.updated_at")},
       'deletedAt', {_TIME.format("t.deleted_at")}, 'version', t.version)"""
POSITION = f"(SELECT position FROM projections.positions WHERE projection = '{SCHEMA}')"  # noqa: S608

BY_ID = f"""
SELECT t.id, t.company_id, t.version, t.deleted_at, {TABLE}::text, {POSITION}
  FROM {SCHEMA}.table_defs t
 WHERE t.id = ANY(%(ids)s)
"""  # noqa: S608
ID_BY_SLUG = f"""
SELECT id, slug, true
  FROM {SCHEMA}.table_defs WHERE company_id = %(company_id)s AND slug = %(slug)s
 UNION ALL
SELECT t.id, t.slug, false
  FROM {SCHEMA}.former_slugs f JOIN {SCHEMA}.table_defs t ON t.id = f.table_id
 WHERE f.company_id = %(company_id)s AND f.slug = %(slug)s
 ORDER BY 3 DESC
 LIMIT 1
"""  # noqa: S608
IS_PURGED = f"""
SELECT purged_at FROM {SCHEMA}.purged_table_defs WHERE id = %s AND company_id = %s
"""  # noqa: S608

_FILTERS = """
        AND (%(any_workspace)s OR workspace_id IS NOT DISTINCT FROM %(workspace_id)s::uuid)
        AND (%(updated_by)s::uuid IS NULL OR updated_by = %(updated_by)s::uuid)
        AND (%(pattern)s::text IS NULL OR search_folded LIKE %(pattern)s)"""
_LIST = """
WITH page AS (
    SELECT t.*, row_number() OVER (ORDER BY t.{key} {direction}, t.id {direction}) AS place
      FROM unnest(%(deleted)s::boolean[]) AS wanted(deleted)
     CROSS JOIN LATERAL (
        SELECT * FROM {schema}.table_defs
         WHERE company_id = %(company_id)s AND (deleted_at IS NOT NULL) = wanted.deleted
           AND ({key}, id) {beyond} (%(after_key)s::{type}, %(after_id)s::uuid){filters}
         ORDER BY {key} {direction}, id {direction}
         LIMIT %(limit)s + 1) AS t
     ORDER BY place
     LIMIT %(limit)s + 1
)
SELECT coalesce(string_agg({table}::text, ',' ORDER BY place)
                FILTER (WHERE place <= %(limit)s), ''),
       count(*) > %(limit)s,
       (SELECT {key}::text FROM page WHERE place = %(limit)s),
       (SELECT id FROM page WHERE place = %(limit)s),
       {position}
  FROM page t
"""
COUNT = f"""
SELECT count(*) FROM {SCHEMA}.table_defs
 WHERE company_id = %(company_id)s AND (deleted_at IS NOT NULL) = ANY(%(deleted)s){_FILTERS}
"""  # noqa: S608

_KEYS = {
    "name": ("name_folded", "text", "", "\U0010ffff"),
    "createdAt": ("created_at", "timestamptz", "-infinity", "infinity"),
    "updatedAt": ("updated_at", "timestamptz", "-infinity", "infinity"),
}
_FIRST_ID, _LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
_DELETED: Mapping[State, list[bool]] = {
    "active": [False], "deleted": [True], "all": [False, True],
}  # fmt: skip
_DEFAULTS = json.dumps(dict(DEFAULT_SETTINGS))


def _list_query(sort: str) -> str:
    key, type_, _, _ = _KEYS[sort.removeprefix("-")]
    down = sort.startswith("-")
    return _LIST.format(
        schema=SCHEMA, table=TABLE, position=POSITION, filters=_FILTERS, key=key, type=type_,
        beyond="<" if down else ">", direction="DESC" if down else "ASC",
    )  # fmt: skip


LIST: Mapping[str, str] = {sort: _list_query(sort) for name in _KEYS for sort in (name, f"-{name}")}


@dataclass(frozen=True)
class Filter:
    """Which tables of a company, and in which order."""

    company_id: UUID
    state: State = "active"
    sort: Sort = "name"
    any_workspace: bool = True
    workspace_id: UUID | None = None
    updated_by: UUID | None = None
    text: str | None = None

    def params(self) -> dict[str, Any]:
        """The parameters that the list and its count share."""
        return {
            "company_id": self.company_id,
            "deleted": _DELETED[self.state],
            "any_workspace": self.any_workspace,
            "workspace_id": self.workspace_id,
            "updated_by": self.updated_by,
            "pattern": None if self.text is None else _pattern(self.text),
        }


@dataclass(frozen=True)
class Keyset:
    """Where a page begins: behind the row with this sort key and id."""

    key: str
    id: UUID


@dataclass(frozen=True, slots=True)
class TableRow:
    """One table as JSON text, with what the answer's headers and the checks on it need."""

    id: UUID
    company_id: UUID
    version: int
    deleted_at: datetime | None
    json: str
    position: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list: the tables as comma-separated JSON, and where the next page begins."""

    items: str
    more: bool
    last_key: str | None
    last_id: UUID | None
    position: int

    @property
    def next(self) -> Keyset | None:
        """Where the next page begins, or None."""
        if not self.more or self.last_key is None or self.last_id is None:
            return None
        return Keyset(self.last_key, self.last_id)


def by_id_params(ids: Sequence[UUID]) -> dict[str, Any]:
    """The parameters of BY_ID."""
    return {"ids": list(ids), "defaults": _DEFAULTS}


def list_params(wanted: Filter, after: Keyset | None, limit: int) -> dict[str, Any]:
    """The parameters of a LIST query."""
    after = after or _beginning(wanted.sort)
    return wanted.params() | {
        "after_key": after.key,
        "after_id": after.id,
        "limit": limit,
        "defaults": _DEFAULTS,
    }


def _beginning(sort: str) -> Keyset:
    _, _, first, last = _KEYS[sort.removeprefix("-")]
    return Keyset(last, _LAST_ID) if sort.startswith("-") else Keyset(first, _FIRST_ID)


def _pattern(text: str) -> str:
    escaped = fold(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
