"""Questions to the read model `table_defs`. Its rows have their JSON; nobody parses it on the way.

Whoever asks runs them `scoped`, so that row-level security holds under their conditions. Every
answer carries the position that it shows, read in the same statement as its rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from projections.base import live_schema
from projections.folding import fold
from projections.keyset import Keyset, Listing, SortKey, State, gone
from projections.table_defs import TableDefsProjection

Sort = Literal["name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt"]

SCHEMA = live_schema(TableDefsProjection())
POSITION = f"(SELECT position FROM projections.positions WHERE projection = '{SCHEMA}')"  # noqa: S608

# IS TRUE: found by their ids, then checked; a new table's statistics promise few rows of a company.
BY_ID = f"""
SELECT t.id, t.company_id, t.version, t.deleted_at, t.shown::text, {POSITION}
  FROM {SCHEMA}.table_defs t
 WHERE t.id = ANY(%(ids)s) AND (t.company_id = ANY(%(company_ids)s)) IS TRUE
"""  # noqa: S608
ID_BY_SLUG = f"""
SELECT id, slug, true
  FROM {SCHEMA}.table_defs WHERE company_id = %(company_id)s AND slug = %(slug)s
 UNION ALL
(SELECT t.id, t.slug, false
   FROM {SCHEMA}.former_slugs f JOIN {SCHEMA}.table_defs t ON t.id = f.table_id
  WHERE f.company_id = %(company_id)s AND f.slug = %(slug)s
  ORDER BY f.position DESC
  LIMIT 1)
 ORDER BY 3 DESC
 LIMIT 1
"""  # noqa: S608
IS_PURGED = f"""
SELECT purged_at FROM {SCHEMA}.purged_table_defs
 WHERE id = %(id)s AND company_id = %(company_id)s
"""  # noqa: S608

SORTS = {
    "name": SortKey("name_folded", "text"),
    "createdAt": SortKey("created_at", "timestamptz"),
    "updatedAt": SortKey("updated_at", "timestamptz"),
}
FILTERS = """
        AND (%(any_workspace)s OR workspace_id IS NOT DISTINCT FROM %(workspace_id)s::uuid)
        AND (%(updated_by)s::uuid IS NULL OR updated_by = %(updated_by)s::uuid)
        AND (%(pattern)s::text IS NULL OR search_folded LIKE %(pattern)s)"""

TABLES = Listing(
    source=f"{SCHEMA}.table_defs",
    json="t.shown",
    gone="(deleted_at IS NOT NULL)",
    sorts=SORTS,
    position=POSITION,
    filters=FILTERS,
)
LIST = TABLES.queries
COUNT = TABLES.count


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

    @property
    def is_narrowed(self) -> bool:
        """Whether some tables of that state are left out."""
        anyone = self.updated_by is None and self.text is None
        return not (self.any_workspace and anyone)

    def params(self) -> dict[str, Any]:
        """The parameters that the list and its count share."""
        return {
            "company_id": self.company_id,
            "gone": gone(self.state),
            "any_workspace": self.any_workspace,
            "workspace_id": self.workspace_id,
            "updated_by": self.updated_by,
            "pattern": None if self.text is None else _pattern(self.text),
        }


@dataclass(frozen=True, slots=True)
class TableRow:
    """One table as JSON text, with what the answer's headers and the checks on it need."""

    id: UUID
    company_id: UUID
    version: int
    deleted_at: datetime | None
    json: str
    position: int


def by_id_params(company_ids: Sequence[UUID], ids: Sequence[UUID]) -> dict[str, Any]:
    """The parameters of BY_ID."""
    return {"company_ids": list(company_ids), "ids": list(ids)}


def list_params(wanted: Filter, after: Keyset | None, limit: int) -> dict[str, Any]:
    """The parameters of a LIST query."""
    return wanted.params() | TABLES.params(wanted.sort, wanted.state, after, limit)


def _pattern(text: str) -> str:
    escaped = fold(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
