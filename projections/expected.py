"""What the events say that the rows of each kind of aggregate are, and where to look for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from domain.base import Aggregate
from domain.company import Company
from domain.table_def import TableDef
from domain.workspace import Workspace
from projections.base import live_schema
from projections.eras import COLUMNS, FOR_EVER
from projections.folding import sort_key
from projections.handlers import Row
from projections.history import HistoryProjection
from projections.table_defs import TABLE, TableDefsProjection, searchable
from projections.tenancy import TenancyProjection

TABLES, TENANCY = live_schema(TableDefsProjection()), live_schema(TenancyProjection())
HISTORY = live_schema(HistoryProjection())

# S608: the names of the schemas are ours.
_SHOWS_ITSELF = "what is in it"  # which is compared with the events
_TABLES = f"""
SELECT id, company_id, workspace_id, name, slug, description, icon, color, settings, deleted_at,
       created_by, created_at, updated_by, updated_at, version, position, name_folded,
       search_folded, CASE WHEN shown::text = {TABLE} THEN '{_SHOWS_ITSELF}'
               ELSE shown::text END AS shows
  FROM {TABLES}.table_defs AS t
 WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id
"""  # noqa: S608
_TOMBSTONES = f"""
SELECT id, company_id, purged_at FROM {TABLES}.purged_table_defs
 WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id
"""  # noqa: S608
_FORMER_SLUGS = f"""
SELECT table_id AS id,
       array_agg((company_id, slug, position)::text ORDER BY position) AS former
  FROM {TABLES}.former_slugs
 WHERE table_id BETWEEN %(first)s AND %(last)s
 GROUP BY table_id ORDER BY table_id
"""  # noqa: S608
_SLUGS = """
SELECT table_id AS id, array_agg((company_id, slug)::text ORDER BY company_id, slug) AS reserved
  FROM event_store.slugs
 WHERE table_id BETWEEN %(first)s AND %(last)s
 GROUP BY table_id ORDER BY table_id
"""
_MEMBERSHIPS = """
SELECT member_id AS id, company_id, container_id
  FROM event_store.memberships
 WHERE member_id BETWEEN %(first)s AND %(last)s ORDER BY member_id
"""
_CONTAINERS = """
SELECT id, company_id, live FROM event_store.containers
 WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id
"""
_WORKSPACES = f"""
SELECT aggregate_id AS id, id AS workspace_id, company_id, name, deleted_at, created_by,
       created_at, updated_by, updated_at, version, position, name_folded
  FROM {TENANCY}.workspaces
 WHERE aggregate_id BETWEEN %(first)s AND %(last)s ORDER BY aggregate_id
"""  # noqa: S608
_COMPANIES = f"""
SELECT * FROM {TENANCY}.companies
 WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id
"""  # noqa: S608
_VERSIONS = f"""
SELECT id, version, company_id, position, topic, event_id, recorded_at, actor_kind, command, reason,
       request_id, correlation_id, causation_id, workspace_id, name, slug, description, icon, color,
       settings, deleted_at, purged_at, created_by, created_at, updated_by, updated_at
  FROM {HISTORY}.versions
 WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id, version
"""  # noqa: S608
_STANDINGS = f"""
SELECT s.*
  FROM {HISTORY}.standings s
  JOIN {HISTORY}.present_eras p ON p.company_id = s.company_id AND p.era = s.era
 WHERE s.id BETWEEN %(first)s AND %(last)s AND s.until = {FOR_EVER} ORDER BY s.id
"""  # noqa: S608

KEEP = f"""
LOCK TABLE {TABLES}.table_defs, {TABLES}.former_slugs, {TABLES}.purged_table_defs,
           {TENANCY}.workspaces, {TENANCY}.companies, {HISTORY}.versions, {HISTORY}.standings,
           {HISTORY}.present_eras, {HISTORY}.eras
        IN ACCESS SHARE MODE
"""

# Of an aggregate and the rows of all its versions, what its row should be, None = absent.
Tell = Callable[[Any, Sequence[Row]], Row | None]


@dataclass(frozen=True)
class Kept:
    """Rows that somebody keeps of aggregates, one of each, or one of each of its versions.

    `query` finds those of the aggregates between two ids, in the order of `id` and `version`; `row`
    tells by kind of aggregate what one should be. `read_model` is the schema whose
    position says how far they are; None = what the store keeps exact.

    `columns`: those that are compared; none = all that `row` tells. `derived`: those of them that
    follow from others.
    `versions`: there is a row of each version, what the aggregate was then, and it never changes.
    `outlives`: it stays when the aggregate is erased.
    """

    what: str
    query: str
    row: Mapping[type[Aggregate], Tell]
    read_model: str | None = None
    columns: Sequence[str] = ()
    derived: Sequence[str] = ()
    versions: bool = False
    outlives: bool = False

    def label(self, id: bytes, version: int) -> str:
        """What a row is called; `version` is 0 where there is one row of each aggregate."""
        return f"{self.what} {UUID(bytes=id)}" + (f" v{version}" if version else "")


def _of_both(aggregate: Any, versions: Sequence[Row]) -> Row:
    return {
        "id": aggregate.id,
        "name": aggregate.name,
        "name_folded": sort_key(aggregate.name),
        "created_by": aggregate.created_by,
        "created_at": aggregate.created_on,
        "updated_by": aggregate.updated_by,
        "updated_at": aggregate.modified_on,
        "version": aggregate.version,
        "position": versions[-1]["position"],
    }


def _table(table: TableDef, versions: Sequence[Row]) -> Row | None:
    if table.purged_at:
        return None
    return searchable(
        _of_both(table, versions)
        | {
            "shows": _SHOWS_ITSELF,
            "company_id": table.company_id,
            "workspace_id": table.workspace_id,
            "slug": table.slug,
            "description": table.description,
            "icon": table.icon,
            "color": table.color,
            "settings": table.settings,
            "deleted_at": table.deleted_at,
        }
    )


def _tombstone(table: TableDef, _: Sequence[Row]) -> Row | None:
    if not table.purged_at:
        return None
    return {"id": table.id, "company_id": table.company_id, "purged_at": table.purged_at}


def _former_slugs(table: TableDef, versions: Sequence[Row]) -> Row | None:
    former = [
        f"({table.company_id},{before['slug']},{after['position']})"
        for before, after in pairwise(versions)
        if before["slug"] != after["slug"]
    ]
    return {"id": table.id, "former": former} if former and not table.purged_at else None


def _reservation(table: TableDef, _: Sequence[Row]) -> Row | None:
    if table.standing.slug is None:
        return None
    return {"id": table.id, "reserved": [f"({table.company_id},{table.slug})"]}


def _place(member: TableDef | Workspace, _: Sequence[Row]) -> Row | None:
    container_id = member.standing.container_id
    if container_id is None:
        return None
    return {"id": member.id, "company_id": member.company_id, "container_id": container_id}


def _workspace(workspace: Workspace, versions: Sequence[Row]) -> Row:
    return _of_both(workspace, versions) | {
        "company_id": workspace.company_id,
        "workspace_id": workspace.workspace_id,
        "deleted_at": workspace.deleted_at,
    }


def _company(company: Company, versions: Sequence[Row]) -> Row:
    return _of_both(company, versions) | {
        "settings": company.settings,
        "removed_at": company.removed_at,
    }


def _container(container: Workspace | Company, _: Sequence[Row]) -> Row:
    company_id = container.company_id if isinstance(container, Workspace) else container.id
    return {"id": container.id, "company_id": company_id, "live": container.standing.live}


def _last(_: Any, versions: Sequence[Row]) -> Row:
    return versions[-1]


def version_row(aggregate: Any, position: int) -> Row:
    """The same columns whatever it is; a company belongs to itself, and is removed, not deleted."""
    is_table, is_company = isinstance(aggregate, TableDef), isinstance(aggregate, Company)
    return {
        "id": aggregate.id,
        "version": aggregate.version,
        "company_id": aggregate.id if is_company else aggregate.company_id,
        "position": position,
        "workspace_id": None if is_company else aggregate.workspace_id,
        "name": aggregate.name,
        "slug": aggregate.slug if is_table else None,
        "description": aggregate.description if is_table else None,
        "icon": aggregate.icon if is_table else None,
        "color": aggregate.color if is_table else None,
        "settings": aggregate.settings if is_table or is_company else None,
        "deleted_at": aggregate.removed_at if is_company else aggregate.deleted_at,
        "purged_at": aggregate.purged_at if is_table else None,
        "created_by": aggregate.created_by,
        "created_at": aggregate.created_on,
        "updated_by": aggregate.updated_by,
        "updated_at": aggregate.modified_on,
    }


KEPT: Sequence[Kept] = (
    Kept("table", _TABLES, {TableDef: _table}, TABLES, derived=("shows",)),
    Kept("tombstone of", _TOMBSTONES, {TableDef: _tombstone}, TABLES, outlives=True),
    Kept("former slugs of", _FORMER_SLUGS, {TableDef: _former_slugs}, TABLES),
    Kept("standing of", _STANDINGS, {TableDef: _table}, HISTORY, COLUMNS),
    Kept(
        "version",
        _VERSIONS,
        dict.fromkeys((TableDef, Workspace, Company), _last),
        HISTORY,
        versions=True,
        outlives=True,
    ),
    Kept("workspace", _WORKSPACES, {Workspace: _workspace}, TENANCY),
    Kept("company", _COMPANIES, {Company: _company}, TENANCY),
    Kept("reservation of", _SLUGS, {TableDef: _reservation}),
    Kept("place of", _MEMBERSHIPS, {TableDef: _place, Workspace: _place}),
    Kept("container", _CONTAINERS, {Workspace: _container, Company: _container}),
)
