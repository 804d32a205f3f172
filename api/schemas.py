"""The shapes of requests and answers: what is validated, and what the OpenAPI document shows."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import unquote
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from domain.table_def import Changes, Copy, Details, TableDef
from domain.values import DEFAULT_SETTINGS, Settings, line, plain_text

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
_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def _versions(header: Any) -> Any:
    """The versions that an If-Match header accepts; None = any. Weak tags never match."""
    if not isinstance(header, str) or header.strip() == "*":
        return None
    tags = [tag.strip() for tag in header.split(",")]
    if not all(_ETAG.fullmatch(tag) for tag in tags):
        raise PydanticCustomError("invalid-etag", 'must be an ETag such as "7", with its quotes')
    return frozenset(int(tag[1:-1]) for tag in tags if re.fullmatch(r'"[0-9]{1,9}"', tag))


def _reason(header: str) -> str:
    """Undo percent-encoding (RFC 3986) of UTF-8 text."""
    try:
        text = unquote(header, errors="strict") if header.isascii() else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise PydanticCustomError("invalid-text", "must be percent-encoded UTF-8")
    text = line(text)
    if len(text) > 500:
        raise PydanticCustomError("too-long", "must have at most 500 characters")
    return text


def _visible_ascii(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", text):
        raise PydanticCustomError("invalid-text", "must be 1 to 255 visible ASCII characters")
    return text


class Part(BaseModel):
    """Parameters of a request; unknown ones are refused, so that a typo is not silence."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class WriteQuery(Part):
    """The query of every write."""

    dry_run: bool = Field(
        False, description="Validate everything, store nothing, and show what would be recorded."
    )


class WriteHeaders(Part):
    """The headers of every write."""

    idempotency_key: Annotated[str, AfterValidator(_visible_ascii)] | None = Field(
        None,
        alias="Idempotency-Key",
        description="Makes a retry safe: the same key and request get the same answer, once.",
        json_schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    )
    reason: Annotated[str, AfterValidator(_reason)] | None = Field(
        None,
        alias="Reason",
        description="Why, for the history: at most 500 characters, percent-encoded UTF-8.",
    )


class ConditionalHeaders(WriteHeaders):
    """The headers of a write to an existing table."""

    if_match: Annotated[frozenset[int] | None, BeforeValidator(_versions)] = Field(
        None,
        alias="If-Match",
        description='Change only this version, such as `"7"`.',
        json_schema_extra={"type": "string", "examples": ['"7"']},
    )


class ReadHeaders(Part):
    """The headers of every read."""

    if_none_match: str | None = Field(
        None, alias="If-None-Match", description="Answer 304 if this ETag is still right."
    )
    min_position: str | None = Field(
        None,
        alias="Min-Position",
        description="Wait until the read model is at this position.",
        json_schema_extra={"pattern": "^[0-9]{1,18}$", "examples": ["48231"]},
    )
    prefer: str | None = Field(
        None, alias="Prefer", description="`wait=5`: how many seconds Min-Position may take."
    )


class OneQuery(Part):
    """The query of reading one table."""

    state: Literal["active", "deleted", "all"] = Field(
        "active", description="`all` or `deleted` shows a deleted table too."
    )


class ListQuery(Part):
    """The query of the list."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(
        None, description="`nextCursor` of the page before.", max_length=4000
    )
    state: Literal["active", "deleted", "all"] = "active"
    workspace_id: UUID | Literal["none"] | None = None
    updated_by: UUID | Literal["me"] | None = None
    q: Annotated[str, AfterValidator(plain_text)] | None = Field(
        None,
        max_length=255,
        description="Part of name, slug or description; case and accents do not matter.",
    )
    sort: Literal["name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt"] = "name"
    count: bool = Field(False, description="Also count the whole list.")


class SuggestionQuery(Part):
    """The query of a slug suggestion."""

    name: Annotated[str, AfterValidator(line)] = Field(max_length=255)


class NewTable(Details):
    """What a new table starts with."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Orders", "color": "#1a73e8", "settings": {"enableForm": True}}]
        }
    )


class TableChanges(Changes):
    """A merge patch (RFC 7396): absent = keep, null = clear."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Sales orders", "settings": {"defaultView": "kanban"}}]
        }
    )


class CopyOptions(Copy):
    """What a copy has of its own; the rest is the original's."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Orders 2027"}]})


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

    slug: str = Field(examples=["orders-2"])


def rfc3339(moment: datetime | None) -> str | None:
    """UTC with microseconds, as Postgres writes it in our queries."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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
        "deletedAt": rfc3339(table.deleted_at),
        "version": table.version,
    }
