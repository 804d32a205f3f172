"""Questions to the read model `history`: run `scoped`, like those to the tables.

A moment is answered by the position that was the last one then; a position by the versions that
stood at it. Tables look as the present list shows them, byte for byte.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from projections.base import live_schema
from projections.eras import PARTS
from projections.history import HistoryProjection
from projections.keyset import TIME, Keyset, Listing
from projections.table_def_queries import FILTERS, SORTS, Filter
from projections.table_defs import TABLE

SCHEMA = live_schema(HistoryProjection())
NEWEST = 2**63 - 1

# Moments and positions have the same order, so that both ends of what was asked for are exact.
OVER = "SELECT event_store.is_over(%(moment)s::timestamptz)"
NOW = "SELECT clock_timestamp()"
HEAD = "SELECT event_store.head()"
LAST = f"""
SELECT position FROM {SCHEMA}.versions
 WHERE company_id = %(company_id)s ORDER BY position DESC LIMIT 1
"""  # noqa: S608
BEFORE = "SELECT event_store.position_before(%(moment)s::timestamptz)"
UNTIL = """
SELECT event_store.position_before(%(moment)s::timestamptz + interval '1 microsecond')
"""

_STATE = """json_build_object(
       'name', {0}.name, 'slug', {0}.slug, 'description', {0}.description, 'icon', {0}.icon,
       'color', {0}.color, 'settings', {settings}, 'workspaceId', {0}.workspace_id,
       'deletedAt', {time_deleted}, 'purgedAt', {time_purged})::text"""


def _state(alias: str, settings: str = "{0}.settings") -> str:
    return _STATE.format(
        alias,
        settings=settings.format(alias),
        time_deleted=TIME.format(f"{alias}.deleted_at"),
        time_purged=TIME.format(f"{alias}.purged_at"),
    )


_CHANGED_SETTINGS = "CASE WHEN v.settings IS DISTINCT FROM p.settings THEN {0}.settings END"
# What it was before is a step of a walk: `version - 1` would be no condition of an index, because
# subtraction is not leakproof, and a policy of row-level security applies.
ITEM = f"""
SELECT v.id, v.version, v.position, v.topic, v.event_id, v.recorded_at, v.updated_at, v.updated_by,
       v.actor_kind, v.command, v.reason, v.request_id, v.correlation_id, v.causation_id,
       v.workspace_id, v.name, v.updated_by IS NULL,
       CASE WHEN p.updated_by IS NOT NULL THEN {_state("p", _CHANGED_SETTINGS)} END,
       {_state("v", _CHANGED_SETTINGS)}
  FROM ({{source}}) AS v
  LEFT JOIN LATERAL (
       SELECT * FROM {SCHEMA}.versions
        WHERE id = v.id AND version < v.version
        ORDER BY version DESC LIMIT 1) AS p ON true
 ORDER BY v.{{key}} {{direction}}
"""  # noqa: S608
_OF_TABLE = f"""
SELECT * FROM {SCHEMA}.versions
 WHERE id = %(id)s AND (company_id = %(company_id)s) IS TRUE AND version {{beyond}} %(after)s
   AND topic LIKE 'TableDef.%%'
 ORDER BY version {{direction}}
 LIMIT %(limit)s + 1
"""  # noqa: S608
ORDERS = {"newest": ("<", "DESC"), "oldest": (">", "ASC")}

OF_TABLE = {
    order: ITEM.format(
        source=_OF_TABLE.format(beyond=beyond, direction=direction),
        key="version",
        direction=direction,
    )
    for order, (beyond, direction) in ORDERS.items()
}

# One table: at a version, or at a position. Also what it was before it was purged.
_ONE = f"""
SELECT t.version, t.position, t.updated_by IS NULL, t.deleted_at, t.purged_at,
       {_state("t")}, {TABLE}
  FROM {SCHEMA}.versions t
 WHERE t.id = %(id)s AND (t.company_id = %(company_id)s) IS TRUE AND t.topic LIKE 'TableDef.%%'
"""  # noqa: S608
AT_VERSION = f"{_ONE} AND t.version = %(version)s"
AT_POSITION = f"{_ONE} AND t.position <= %(position)s ORDER BY t.position DESC LIMIT 1"

# What happened to tables at some versions of theirs; each is found by its index.
TOPICS = f"""
SELECT wanted.id, (SELECT topic FROM {SCHEMA}.versions t
                    WHERE t.id = wanted.id AND t.version = wanted.version
                      AND (t.company_id = %(company_id)s) IS TRUE)
  FROM unnest(%(ids)s::uuid[], %(versions)s::integer[]) AS wanted(id, version)
"""  # noqa: S608

# What a company's tables were at a position: its era, and of that what stood.
_ERA = f"""(SELECT {{}} FROM {SCHEMA}.eras
                    WHERE company_id = %(company_id)s AND begins <= %({{}})s
                    ORDER BY begins DESC LIMIT 1)"""  # noqa: S608
_ERA_ASKED = _ERA.format("era", "position")
_LATEST = f"""(SELECT latest FROM {SCHEMA}.standings
                       WHERE company_id = %(company_id)s AND era = {_ERA_ASKED}
                         AND position <= %(position)s
                       ORDER BY position DESC LIMIT 1)"""  # noqa: S608
_STOOD = f"""
        AND era = {_ERA_ASKED}
        AND position <= %(position)s AND until > %(position)s"""
LIST_AT = Listing(
    source=f"{SCHEMA}.standings",
    json=f"""(SELECT {TABLE} FROM {SCHEMA}.versions AS t
               WHERE t.id = of_page.id AND t.position = of_page.position)""",  # noqa: S608
    gone="gone",
    sorts={
        "name": SORTS["name"],
        "createdAt": replace(SORTS["createdAt"], last=_LATEST),
        "updatedAt": replace(
            SORTS["updatedAt"],
            last=_LATEST,
            run="ended_in",
            runs=f"generate_series({_ERA.format('part', 'position')}, {PARTS})",
        ),
    },
    position="%(position)s::bigint",
    filters=_STOOD + FILTERS,
    row="of_page",
    columns="id, position, {key}",
)
# By whether the list is narrowed; if not, all that is to be looked at is in an index.
LISTS_AT = {True: LIST_AT, False: replace(LIST_AT, filters=_STOOD)}

# What became of tables between two positions: what changed is what stands at the second, since a
# position after the first; and what was purged.
CHANGED = f"""
WITH changed AS (
    (SELECT id, version, position FROM {SCHEMA}.standings
      WHERE company_id = %(company_id)s AND era = {_ERA.format("era", "to")}
        AND position > %(after)s AND position <= %(to)s AND until > %(to)s
      ORDER BY position LIMIT %(limit)s + 1)
     UNION ALL
    (SELECT id, version, position FROM {SCHEMA}.versions
      WHERE company_id = %(company_id)s AND topic = 'TableDef.Purged'
        AND position > %(after)s AND position <= %(to)s
      ORDER BY position LIMIT %(limit)s + 1)
     ORDER BY position LIMIT %(limit)s + 1
)
SELECT c.id, c.position,
       CASE WHEN b.updated_by IS NOT NULL AND b.purged_at IS NULL THEN {_state("b")} END,
       CASE WHEN a.updated_by IS NOT NULL AND a.purged_at IS NULL THEN {_state("a")} END
  FROM changed c
  JOIN {SCHEMA}.versions a ON a.id = c.id AND a.version = c.version
  LEFT JOIN LATERAL (
       SELECT * FROM {SCHEMA}.versions
        WHERE id = c.id AND position <= %(from)s
        ORDER BY position DESC LIMIT 1) AS b ON true
 ORDER BY c.position
"""  # noqa: S608


def list_params(wanted: Filter, position: int, after: Keyset | None, limit: int) -> dict[str, Any]:
    """The parameters of a query of LISTS_AT."""
    paging = LIST_AT.params(wanted.sort, wanted.state, after, limit)
    return wanted.params() | paging | {"position": position}


@dataclass(frozen=True, slots=True)
class PastRow:
    """One table as it was at a version; `erased`: nothing is left of it."""

    version: int
    position: int
    erased: bool
    deleted_at: datetime | None
    purged_at: datetime | None
    state: str
    json: str
