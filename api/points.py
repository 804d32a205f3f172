"""Points in a history, as requests name them: versions, positions and moments."""

import re
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, LiteralString

from pydantic import BeforeValidator, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

EXAMPLE_MOMENT = "2026-03-31T23:59:59Z"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
MOMENT_PATTERN = f"{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}})"
_DATETIME = TypeAdapter(datetime)
_DATETIME_SCHEMA = {"type": "string", "format": "date-time", "examples": [EXAMPLE_MOMENT]}


def digits(text: Any) -> Any:
    """A whole number, as a query has it."""
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise PydanticCustomError("type", "must be a whole number")
    return int(text)


def moment(text: Any, what: LiteralString = "a time") -> Any:
    """A time with its offset, as RFC 3339 has it; a number is none: it may mean a position."""
    if isinstance(text, str) and "-" in text.lstrip("-"):
        with suppress(ValidationError):
            found = _DATETIME.validate_python(text)
            if found.tzinfo is not None:
                return found
    message = f"must be {what} with its offset, such as '2026-03-31T23:59:59Z'"
    raise PydanticCustomError("datetime", message)


def position(text: Any, message: LiteralString = "must be a position such as '48231'") -> Any:
    """A position: digits, as text."""
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 18):
        raise PydanticCustomError("invalid-position", message)
    return int(text)


def point(text: Any) -> Any:
    """A position or a moment."""
    return position(text) if str(text).isdigit() else moment(text, "a position, or a time")


def _version_or_moment(text: Any) -> Any:
    return digits(text) if str(text).isdigit() else moment(text)


Moment = Annotated[datetime, BeforeValidator(moment), WithJsonSchema(_DATETIME_SCHEMA)]
Position = Annotated[
    int,
    BeforeValidator(position),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,18}$", "examples": ["48231"]}),
]
Point = Annotated[
    int | datetime,
    BeforeValidator(point),
    WithJsonSchema(
        {"type": "string", "pattern": f"^([0-9]{{1,18}}|{MOMENT_PATTERN})$",
         "examples": ["48231"]}
    ),
]  # fmt: skip
VersionOrMoment = Annotated[
    int | datetime,
    BeforeValidator(_version_or_moment),
    WithJsonSchema(
        {"type": "string", "pattern": f"^([0-9]{{1,9}}|{MOMENT_PATTERN})$", "examples": ["2"]}
    ),
]
