"""The shapes that requests share: queries and headers, validated and documented."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from domain.values import line

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
