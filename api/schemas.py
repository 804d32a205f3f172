"""The shapes of requests: query, headers and bodies, validated and documented."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import unquote
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from api.points import EXAMPLE_MOMENT, Moment, Position, digits
from api.views import EXAMPLE_ID
from domain.table_details import Changes, Copy, Details
from domain.values import Name, Settings, line, merge_patch, plain_text, settings_fault

State = Literal["active", "deleted", "all"]
_ETAG = '(W/)?"[!#-~]*"'
_ETAGS = f"{_ETAG}([ \\t]*,[ \\t]*{_ETAG})*"
_VERSION = re.compile(r'(?:^|[,\s])"([0-9]{1,9})"(?=$|[,\s])')


def _versions(header: Any) -> Any:
    """The versions that an If-Match header accepts; None = any. Weak tags never match."""
    if not isinstance(header, str) or header.strip() == "*":
        return None
    if not re.fullmatch(_ETAGS, header.strip()):
        raise PydanticCustomError("invalid-etag", 'must be an ETag such as "7", with its quotes')
    return frozenset(int(version) for version in _VERSION.findall(header))


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


def _flag(text: Any) -> Any:
    if text not in ("true", "false"):
        raise PydanticCustomError("type", "must be true or false")
    return text == "true"


def _id_or(word: str) -> Any:
    """An id or one word that stands for one."""

    def check(text: Any) -> Any:
        try:
            return word if text == word else UUID(text)
        except (ValueError, TypeError, AttributeError):
            message = "must be a UUID or '{word}'"
            raise PydanticCustomError("invalid-uuid", message, {"word": word}) from None

    return BeforeValidator(check)


Flag = Annotated[bool, BeforeValidator(_flag)]


class Part(BaseModel):
    """Parameters of a request; unknown ones are refused, so that a typo is not silence."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class WriteQuery(Part):
    """The query of every write."""

    dry_run: Flag = Field(
        False,
        description="Validate everything, store nothing, and show what would be recorded.",
        examples=[True],
    )


class KeyHeaders(Part):
    """The headers of every write, also of one that records no event."""

    idempotency_key: Annotated[str, AfterValidator(_visible_ascii)] | None = Field(
        None,
        alias="Idempotency-Key",
        description="Makes a retry safe: the same key and request get the same answer, once.",
        json_schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        examples=["0b6c2f1e-create-orders"],
    )


class WriteHeaders(KeyHeaders):
    """The headers of every write that records events."""

    reason: Annotated[str, AfterValidator(_reason)] | None = Field(
        None,
        alias="Reason",
        description="Why, for the history: at most 500 characters, percent-encoded UTF-8.",
        examples=["Asked%20for%20by%20the%20sales%20team"],
        json_schema_extra={"minLength": 1, "pattern": "^[ -~]+$"},
    )


class ConditionalHeaders(WriteHeaders):
    """The headers of a write to an existing table."""

    if_match: Annotated[
        frozenset[int] | None,
        BeforeValidator(_versions),
        WithJsonSchema(
            {
                "anyOf": [{"type": "string", "pattern": f"^{_ETAGS}$"}, {"const": "*"}],
                "examples": ['"7"'],
            }
        ),
    ] = Field(
        None,
        alias="If-Match",
        description='Change only this version, such as `"7"`.',
    )


class CacheHeaders(Part):
    """The headers of every read, also of what is no read model."""

    if_none_match: str | None = Field(
        None,
        alias="If-None-Match",
        description="Answer 304 if this ETag is still right.",
        examples=['"7"'],
    )


class ReadHeaders(CacheHeaders):
    """The headers of every read of a read model."""

    min_position: str | None = Field(
        None,
        alias="Min-Position",
        description="Wait until the read model is at this position.",
        json_schema_extra={"pattern": "^[0-9]{1,18}$", "examples": ["48231"]},
    )
    prefer: str | None = Field(
        None,
        alias="Prefer",
        description="`wait=5`: how many seconds Min-Position may take, at most 30.",
        examples=["wait=5"],
    )


class OneQuery(Part):
    """The query of reading one table."""

    state: State = Field(
        "active", description="`all` or `deleted` shows a deleted table too.", examples=["all"]
    )


def _one_point(query: Any) -> Any:
    """Nobody can see two points in time at once."""
    points = [query.as_of, getattr(query, "version", None), getattr(query, "as_of_position", None)]
    if sum(point is not None for point in points) > 1:
        raise PydanticCustomError("contradiction", "give one point in time")
    return query


class PastQuery(OneQuery):
    """The query of reading one table, as it is or as it was."""

    version: Annotated[int, Field(ge=1, le=999_999_999), BeforeValidator(digits)] | None = Field(
        None, description="As it was at this version.", examples=[2]
    )
    as_of: Moment | None = Field(
        None, description="As it was at this time.", examples=[EXAMPLE_MOMENT]
    )

    _one_point = model_validator(mode="after")(_one_point)


class ListQuery(Part):
    """The query of the list."""

    limit: Annotated[int, BeforeValidator(digits)] = Field(
        50, ge=1, le=200, description="The most tables on one page.", examples=[50]
    )
    cursor: str | None = Field(
        None,
        description="`nextCursor` of the page before.",
        max_length=4000,
        examples=["KD4tX0b6c2f1e"],
    )
    state: State = Field("active", description="Which tables.", examples=["active"])
    workspace_id: Annotated[UUID | Literal["none"], _id_or("none")] | None = Field(
        None, description="`none`: those of the whole company.", examples=[EXAMPLE_ID]
    )
    updated_by: Annotated[UUID | Literal["me"], _id_or("me")] | None = Field(
        None, description="Who changed them last.", examples=["me"]
    )
    q: Annotated[str, AfterValidator(plain_text)] | None = Field(
        None,
        max_length=255,
        description="Part of name, slug or description; case and accents do not matter.",
        examples=["order"],
    )
    sort: Literal["name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt"] = Field(
        "name", description="The order; `-` turns it round.", examples=["-updatedAt"]
    )
    count: Flag = Field(False, description="Also count the whole list.", examples=[True])
    as_of: Moment | None = Field(
        None, description="The list as it was at this time.", examples=[EXAMPLE_MOMENT]
    )
    as_of_position: Position | None = Field(
        None, description="The list as it was at this position.", examples=["48231"]
    )

    _one_point = model_validator(mode="after")(_one_point)


class SuggestionQuery(Part):
    """The query of a slug suggestion."""

    name: Name = Field(description="What the table would be called.", examples=["Orders"])


class NewTable(Details):
    """What a new table starts with."""

    @field_validator("settings")
    @classmethod
    def _within_limits(cls, settings: Settings | None) -> Settings | None:
        """Checked here as well, so that it is told together with all else that is wrong."""
        kept = merge_patch({}, settings.patch()) if settings else {}
        if fault := settings_fault(kept):
            raise PydanticCustomError(*fault)
        return settings

    model_config = ConfigDict(
        populate_by_name=False,
        json_schema_extra={
            "examples": [{"name": "Orders", "color": "#1a73e8", "settings": {"enableForm": True}}]
        },
    )


class TableChanges(Changes):
    """A merge patch (RFC 7396): absent = keep, null = clear."""

    model_config = ConfigDict(
        populate_by_name=False,
        json_schema_extra={
            "examples": [{"name": "Sales orders", "settings": {"defaultView": "kanban"}}]
        },
    )


class PurgeOptions(BaseModel):
    """How much is to go."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"erase": False}]}
    )

    erase: bool = Field(
        False,
        description="Also erase all that was recorded of it, in every copy: only that it was there,"
        " and who erased it and why, is kept. Needs a `Reason`.",
    )


class CopyOptions(Copy):
    """What a copy has of its own; the rest is the original's."""

    model_config = ConfigDict(
        populate_by_name=False, json_schema_extra={"examples": [{"name": "Orders 2027"}]}
    )
