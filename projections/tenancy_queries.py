"""Questions to the read model `tenancy`: run `scoped`, like those to the tables."""

import json
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.company_details import DEFAULT_COMPANY_SETTINGS
from projections.base import live_schema
from projections.keyset import TIME, Listing, SortKey
from projections.tenancy import TenancyProjection

SCHEMA = live_schema(TenancyProjection())
POSITION = f"(SELECT position FROM projections.positions WHERE projection = '{SCHEMA}')"  # noqa: S608
DEFAULTS = json.dumps(dict(DEFAULT_COMPANY_SETTINGS))

_MADE = f"""'createdBy', t.created_by, 'createdAt', {TIME.format("t.created_at")},
       'updatedBy', t.updated_by, 'updatedAt', {TIME.format("t.updated_at")}"""
WORKSPACE = f"""json_build_object(
       'id', t.id, 'companyId', t.company_id, 'name', t.name, {_MADE},
       'deletedAt', {TIME.format("t.deleted_at")}, 'version', t.version)"""
COMPANY = f"""json_build_object(
       'id', t.id, 'name', t.name, 'settings', t.settings,
       'effectiveSettings', '{DEFAULTS}'::jsonb || t.settings, {_MADE},
       'removedAt', {TIME.format("t.removed_at")}, 'version', t.version)"""

WORKSPACE_BY_ID = f"""
SELECT t.id, t.version, t.deleted_at, {WORKSPACE}::text, {POSITION}
  FROM {SCHEMA}.workspaces t
 WHERE t.company_id = %(company_id)s AND t.id = %(id)s
"""  # noqa: S608
COMPANY_BY_ID = f"""
SELECT t.id, t.version, t.removed_at, {COMPANY}::text, {POSITION}
  FROM {SCHEMA}.companies t
 WHERE t.id = %(id)s
"""  # noqa: S608
COMPANY_NAME = f"SELECT name FROM {SCHEMA}.companies WHERE id = %(id)s"  # noqa: S608
COMPANY_SETTINGS = f"""
SELECT t.id, '{DEFAULTS}'::jsonb || t.settings
  FROM {SCHEMA}.companies t
 WHERE t.id = ANY(%(company_ids)s)
"""  # noqa: S608

WORKSPACES = Listing(
    source=f"{SCHEMA}.workspaces",
    json=WORKSPACE,
    gone="(deleted_at IS NOT NULL)",
    sorts={"name": SortKey("name_folded", "text")},
    position=POSITION,
)
COMPANIES = Listing(
    source=f"{SCHEMA}.companies",
    json=COMPANY,
    gone="(removed_at IS NOT NULL)",
    sorts={"name": SortKey("name_folded", "text")},
    position=POSITION,
    owned=False,
)


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One workspace or company as JSON text, with what the answer's headers need."""

    id: UUID
    version: int
    gone_at: datetime | None
    json: str
    position: int
