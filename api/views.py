"""The shapes of answers: what is shown, and what the OpenAPI document says of it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from application.feed import rfc3339
from domain.table_def import TableDef
from domain.values import DEFAULT_SETTINGS, Settings

EXAMPLE_ID = "019ab3f2-7c1e-7d55-9f30-2b1f6a0c4d11"
EXAMPLE_TABLE: JsonDict = {
    "id": EXAMPLE_ID,
    "companyId": "019ab3f2-0000-7000-8000-000000000001",
    "workspaceId": None,
    "name": "Orders",
    "slug": "orders",
    "description": "Everything our customers ordered.",
    "icon": "📦",
    "color": "#1a73e8",
    "settings": {"enableForm": True},
    "effectiveSettings": {**DEFAULT_SETTINGS, "enableForm": True},
    "createdBy": "019ab3f2-0000-7000-8000-0000000000aa",
    "createdAt": "2026-11-22T09:00:00.123456Z",
    "updatedBy": "019ab3f2-0000-7000-8000-0000000000aa",
    "updatedAt": "2026-11-22T09:00:00.123456Z",
    "deletedAt": None,
    "version": 1,
}


def example(shown: JsonDict) -> ConfigDict:
    """The configuration of a model, with what it looks like."""
    return ConfigDict(alias_generator=to_camel, json_schema_extra={"examples": [shown]})


def page(item: JsonDict) -> ConfigDict:
    """The same for a page of a list, with one of its items."""
    return example({"items": [item], "nextCursor": None})


def rehearsal(noun: str, item: JsonDict, type_: str = "", **data: Any) -> ConfigDict:
    """The same for what a write would do: a noun as it would be, and an event with its data."""
    events: list[Any] = [{"type": type_, "data": data}] if type_ else []
    return example({"dryRun": True, noun: item, "events": events})


class Table(BaseModel):
    """A table definition."""

    model_config = ConfigDict(
        alias_generator=to_camel, json_schema_extra={"examples": [EXAMPLE_TABLE]}
    )

    id: UUID
    company_id: UUID
    workspace_id: UUID | None
    name: str
    slug: str
    description: str | None
    icon: str | None
    color: str | None
    settings: Settings
    effective_settings: Settings = Field(description="The settings with their defaults.")
    created_by: UUID
    created_at: datetime
    updated_by: UUID
    updated_at: datetime
    deleted_at: datetime | None
    version: int = Field(ge=1, description="Also the ETag.")


class WouldRecord(BaseModel):
    """An event that a rehearsed write would record."""

    type: str
    data: dict[str, Any]


class Rehearsal(BaseModel):
    """What a write with `dryRun` would do; nothing was stored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        json_schema_extra={
            "examples": [
                {
                    "dryRun": True,
                    "table": EXAMPLE_TABLE,
                    "events": [
                        {
                            "type": "dynamic-tables.table-def.renamed.v1",
                            "data": {"name": "Orders"},
                        }
                    ],
                }
            ]
        },
    )

    dry_run: Literal[True]
    table: Table
    events: list[WouldRecord]


class TablePage(BaseModel):
    """One page of tables."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        json_schema_extra={"examples": [{"items": [EXAMPLE_TABLE], "nextCursor": None}]},
    )

    items: list[Table]
    next_cursor: str | None
    total_count: int = Field(0, description="Only with `count=true`.")


class Suggestion(BaseModel):
    """A free slug."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"slug": "orders-2"}]})

    slug: str


class Health(BaseModel):
    """How the process is, and how far each read model and the audit log."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        json_schema_extra={
            "examples": [
                {
                    "status": "ok",
                    "projections": [
                        {
                            "projection": "table_defs_v1",
                            "position": "48231",
                            "lag": 0,
                            "parked": 0,
                        }
                    ],
                    "auditLog": {
                        "position": "48231",
                        "lag": 0,
                        "refused": 0,
                        "waitingSeconds": 0.0,
                    },
                    "eventStore": {"isStoring": True},
                }
            ]
        },
    )

    status: Literal["ok", "degraded"]
    projections: list[dict[str, Any]] = []
    audit_log: dict[str, Any] = {}
    event_store: dict[str, Any] = {}


def table_view(table: TableDef) -> dict[str, Any]:
    """A table as JSON, equal to what the read model will show."""
    return {
        "id": str(table.id),
        "companyId": str(table.company_id),
        "workspaceId": table.workspace_id and str(table.workspace_id),
        "name": table.name,
        "slug": table.slug,
        "description": table.description,
        "icon": table.icon,
        "color": table.color,
        "settings": table.settings,
        "effectiveSettings": {**DEFAULT_SETTINGS, **table.settings},
        "createdBy": str(table.created_by),
        "createdAt": rfc3339(table.created_on),
        "updatedBy": str(table.updated_by),
        "updatedAt": rfc3339(table.modified_on),
        "deletedAt": table.deleted_at and rfc3339(table.deleted_at),
        "version": table.version,
    }
