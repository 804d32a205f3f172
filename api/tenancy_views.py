"""The shapes of companies, workspaces, keys and people, as they are shown and documented."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.scopes import COMPANY_SCOPES
from api.views import EXAMPLE_ID, WouldRecord, example, page, rehearsal
from application.feed import rfc3339
from domain.company import Company as CompanyAggregate
from domain.company_details import DEFAULT_COMPANY_SETTINGS, CompanySettings
from domain.workspace import Workspace as WorkspaceAggregate

_COMPANY_ID = "019ab3f2-0000-7000-8000-000000000001"
_ACTOR_ID = "019ab3f2-0000-7000-8000-0000000000aa"
_MADE: JsonDict = {
    "createdBy": _ACTOR_ID,
    "createdAt": "2026-11-22T09:00:00.123456Z",
    "updatedBy": _ACTOR_ID,
    "updatedAt": "2026-11-22T09:00:00.123456Z",
}
_WORKSPACE: JsonDict = {
    "id": EXAMPLE_ID, "companyId": _COMPANY_ID, "name": "Sales", **_MADE, "deletedAt": None,
    "version": 1,
}  # fmt: skip
_COMPANY: JsonDict = {
    "id": _COMPANY_ID, "name": "Example Ltd", "settings": {},
    "effectiveSettings": {"requireIfMatch": False}, **_MADE, "removedAt": None, "version": 1,
}  # fmt: skip
_KEY: JsonDict = {
    "id": EXAMPLE_ID, "label": "Nightly import", "role": "editor",
    "scopes": ["tables:read", "tables:write"], "createdBy": _ACTOR_ID,
    "createdAt": "2026-11-22T09:00:00.123456Z", "expiresAt": None, "lastUsedAt": None,
    "revokedAt": None, "revokedBy": None,
}  # fmt: skip
_PERSON: JsonDict = {"id": _ACTOR_ID, "kind": "user", "name": "Ada Lovelace", "erasedAt": None}
_TOKEN = f"dtk_{EXAMPLE_ID.replace('-', '')}_" + "0f" * 24


class Made(BaseModel):
    """Who made it, who changed it last, and when."""

    created_by: UUID
    created_at: datetime
    updated_by: UUID
    updated_at: datetime
    version: int = Field(ge=1, description="Also the ETag.")


class Workspace(Made):
    """A workspace of the company."""

    model_config = example(_WORKSPACE)

    id: UUID
    company_id: UUID
    name: str
    deleted_at: datetime | None


class WorkspacePage(BaseModel):
    """One page of workspaces."""

    model_config = page(_WORKSPACE)

    items: list[Workspace]
    next_cursor: str | None


class WorkspaceRehearsal(BaseModel):
    """What a write with `dryRun` would do; nothing was stored."""

    model_config = rehearsal(
        "workspace", _WORKSPACE, "dynamic-tables.workspace.renamed.v1",
        workspaceId=EXAMPLE_ID, name="Sales",
    )  # fmt: skip

    dry_run: Literal[True]
    workspace: Workspace
    events: list[WouldRecord]


class Company(Made):
    """A company."""

    model_config = example(_COMPANY)

    id: UUID
    name: str
    settings: CompanySettings
    effective_settings: CompanySettings = Field(description="The settings with their defaults.")
    removed_at: datetime | None


class CompanyPage(BaseModel):
    """One page of companies."""

    model_config = page(_COMPANY)

    items: list[Company]
    next_cursor: str | None


class CompanyRehearsal(BaseModel):
    """What a write with `dryRun` would do; nothing was stored."""

    model_config = rehearsal(
        "company", _COMPANY, "dynamic-tables.company.renamed.v1", name="Example Ltd"
    )

    dry_run: Literal[True]
    company: Company
    events: list[WouldRecord]


class Key(BaseModel):
    """An API key, without its secret."""

    model_config = example(_KEY)

    id: UUID
    label: str
    role: str | None = Field(description="null: just the scopes.")
    scopes: list[str]
    created_by: UUID | None = Field(description="null: made on the command line.")
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None
    revoked_by: UUID | None


class NewKeyShown(Key):
    """A new API key."""

    model_config = example({**_KEY, "key": _TOKEN})

    key: str | None = Field(
        None,
        description="The key itself, shown this once; a repeated request does not get it again.",
    )


class KeyPage(BaseModel):
    """One page of keys, oldest first."""

    model_config = page(_KEY)

    items: list[Key]
    next_cursor: str | None


class KeyRehearsal(BaseModel):
    """What a write with `dryRun` would do; nothing was stored."""

    model_config = rehearsal("key", _KEY)

    dry_run: Literal[True]
    key: Key
    events: list[WouldRecord] = Field(description="Keys are no events.")


class Person(BaseModel):
    """Somebody who acts in the company, by key or in person."""

    model_config = example(_PERSON)

    id: UUID = Field(description="The actor of events.")
    kind: Literal["user", "key"]
    name: str | None = Field(description="null: erased.")
    erased_at: datetime | None


class PersonPage(BaseModel):
    """One page of people."""

    model_config = page(_PERSON)

    items: list[Person]
    next_cursor: str | None


class PersonRehearsal(BaseModel):
    """What a write with `dryRun` would do; nothing was stored."""

    model_config = rehearsal("person", _PERSON)

    dry_run: Literal[True]
    person: Person
    events: list[WouldRecord] = Field(description="Names are no events.")


class Named(BaseModel):
    """An id with its name."""

    id: UUID
    name: str | None


class Actor(Named):
    """Who is calling."""

    kind: Literal["user", "key"]


class Me(BaseModel):
    """Who is calling, for which company, and what they may do."""

    model_config = example(
        {
            "actor": {"id": _ACTOR_ID, "name": "Ada Lovelace", "kind": "user"},
            "company": {"id": _COMPANY_ID, "name": "Example Ltd"},
            "role": "admin",
            "scopes": sorted(COMPANY_SCOPES),
            "csrfToken": None,
        }
    )

    actor: Actor
    company: Named | None = Field(description="null: the platform.")
    role: str | None
    scopes: list[str]
    csrf_token: str | None = Field(description="For a browser's writes: `X-CSRF-Token`.")


SHOWN = (
    Workspace, WorkspacePage, WorkspaceRehearsal, Company, CompanyPage, CompanyRehearsal, Key,
    NewKeyShown, KeyPage, KeyRehearsal, Person, PersonPage, PersonRehearsal, Me,
)  # fmt: skip


def workspace_view(workspace: WorkspaceAggregate) -> dict[str, Any]:
    """A workspace as JSON, equal to what the read model will show."""
    return {
        "id": str(workspace.workspace_id),
        "companyId": str(workspace.company_id),
        "name": workspace.name,
        **_made(workspace),
        "deletedAt": workspace.deleted_at and rfc3339(workspace.deleted_at),
        "version": workspace.version,
    }


def company_view(company: CompanyAggregate) -> dict[str, Any]:
    """A company as JSON, equal to what the read model will show."""
    return {
        "id": str(company.id),
        "name": company.name,
        "settings": company.settings,
        "effectiveSettings": {**DEFAULT_COMPANY_SETTINGS, **company.settings},
        **_made(company),
        "removedAt": company.removed_at and rfc3339(company.removed_at),
        "version": company.version,
    }


def _made(aggregate: WorkspaceAggregate | CompanyAggregate) -> dict[str, Any]:
    return {
        "createdBy": str(aggregate.created_by),
        "createdAt": rfc3339(aggregate.created_on),
        "updatedBy": str(aggregate.updated_by),
        "updatedAt": rfc3339(aggregate.modified_on),
    }
