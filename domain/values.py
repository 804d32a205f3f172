"""The values that have rules: names, slugs, colours, settings. Each is a type that validates.

Lengths count code points after NFC normalisation. A broken rule is a `PydanticCustomError` whose
type is the error code that a client sees.
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

NAME_LENGTH = 255
SLUG_LENGTH = 255
DESCRIPTION_LENGTH = 10_000
ICON_LENGTH = 50
SETTINGS_BYTES = 32 * 1024
SETTINGS_DEPTH = 8
SETTINGS_KEYS = 100

_JOINERS = "\u200c\u200d"  # needed inside Persian or Indic words and emoji, deceptive elsewhere
_PLAIN = "\\s\u0000-\u058f"  # spaces, and scripts without joiners: Latin, Greek, Cyrillic …
_VARIATIONS = "\u180b-\u180d\ufe00-\ufe0f\U000e0100-\U000e01ef"  # of the character before
_TAGS = "\U000e0020-\U000e007f"  # spell the region of a black flag, and could spell anything
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls but tab and line ends
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # bidi controls, line separators
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff"
    "\uffa0\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"  # invisible
    "\ud800-\udfff\ufdd0-\ufdef\ufff0-\uffff\U0010fffe\U0010ffff]"  # surrogates, non-characters
    f"|(?<![^{_PLAIN}{_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?![^{_PLAIN}{_JOINERS}])"
    f"|(?<![^\\s{_JOINERS}{_VARIATIONS}])[{_VARIATIONS}]"
    f"|(?<![\U0001f3f4{_TAGS}])[{_TAGS}]"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SUSPICIOUS = re.compile(r"\\u0000|[\ud800-\udfff]|NaN|Infinity")  # in JSON
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_LINE_BREAK = re.compile(r"[\t\r\n]")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def plain_text(text: str) -> str:
    """NFC text without control, bidirectional-override or invisible characters."""
    if text.isascii() and text.isprintable():  # most text: nothing to normalise or to find
        return text.strip()
    text = unicodedata.normalize("NFC", text).strip()
    if found := _FORBIDDEN.search(text):
        raise PydanticCustomError(
            "invalid-text",
            "contains the invisible or control character U+{codepoint}",
            {"codepoint": f"{ord(found[0]):04X}"},
        )
    return text


def line(text: str) -> str:
    """Plain text on one line, not empty."""
    text = plain_text(text)
    if _LINE_BREAK.search(text):
        raise PydanticCustomError("invalid-text", "must be a single line without tabs")
    if not text:
        raise PydanticCustomError("too-short", "must have at least 1 character")
    return text


def cut(text: str, length: int) -> str:
    """The beginning of a text, without a space or joiner left dangling where it was cut."""
    return re.sub(rf"[\s{_JOINERS}]+$", "", text[:length])


def _at_most(limit: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > limit:
            raise PydanticCustomError(
                "too-long",
                "must have at most {limit} characters, has {length}",
                {"limit": limit, "length": len(text)},
            )
        return text

    return AfterValidator(check)


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise PydanticCustomError(
            "invalid-slug",
            "must be words of a-z and 0-9 joined by single hyphens, like 'sales-2026'",
        )
    return text


def _color(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise PydanticCustomError("invalid-color", "must look like '#1a2b3c'")
    return text.lower()


def _schema(limit: int, **extra: Any) -> Any:
    return Field(json_schema_extra={"minLength": 1, "maxLength": limit, **extra})


Name = Annotated[str, AfterValidator(line), _at_most(NAME_LENGTH), _schema(NAME_LENGTH)]
Slug = Annotated[
    str,
    _at_most(SLUG_LENGTH),
    AfterValidator(_slug),
    _schema(SLUG_LENGTH, pattern=f"^{_SLUG.pattern}$"),
]
Description = Annotated[
    str,
    AfterValidator(plain_text),
    _at_most(DESCRIPTION_LENGTH),
    Field(json_schema_extra={"maxLength": DESCRIPTION_LENGTH}),
]
Icon = Annotated[str, AfterValidator(line), _at_most(ICON_LENGTH), _schema(ICON_LENGTH)]
Color = Annotated[
    str, AfterValidator(_color), Field(json_schema_extra={"pattern": "^#[0-9a-fA-F]{6}$"})
]
SettingName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}\z")]
SettingText = Annotated[str, AfterValidator(plain_text)]


class Settings(BaseModel):
    """Settings as a merge patch (RFC 7396): known keys typed, others free, null = not set."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[SettingName, JsonValue]

    # Named as in JSON: under a name of its own, a field would collide with a free key.
    allowMultiple: bool | None = Field(  # noqa: N815
        None, description="Several records per user. Default true."
    )
    recordNameFormat: SettingText | None = Field(  # noqa: N815
        None, description="How records are titled, such as `{{name}} – {{date}}`. Default empty."
    )
    defaultView: Annotated[str, AfterValidator(line), _at_most(255)] | None = Field(  # noqa: N815
        None, description="The view that opens first. Default `grid`."
    )
    enableComments: bool | None = Field(None, description="Default true.")  # noqa: N815
    enableAttachments: bool | None = Field(None, description="Default true.")  # noqa: N815
    enableRevisions: bool | None = Field(None, description="Default true.")  # noqa: N815
    enableForm: bool | None = Field(  # noqa: N815
        None, description="Public form submission. Default false."
    )

    def patch(self) -> dict[str, Any]:
        """The keys that were given, as JSON values; None = remove."""
        given = {key: value for key, value in vars(self).items() if key in self.model_fields_set}
        return given | self.__pydantic_extra__

    @classmethod
    def kept(cls, settings: Mapping[str, Any]) -> "Settings":
        """Settings as they were stored, by the rules of their time."""
        kept = cls.model_construct(set(settings))
        kept.__pydantic_extra__.update(settings)
        return kept


DEFAULT_SETTINGS: Mapping[str, Any] = {
    "allowMultiple": True,
    "recordNameFormat": "",
    "defaultView": "grid",
    "enableComments": True,
    "enableAttachments": True,
    "enableRevisions": True,
    "enableForm": False,
}


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396, section 2); neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def diff_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest merge patch from `old` to `new`, neither with None outside arrays."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            if inner := diff_patch(before, value):
                patch[key] = inner
        elif not same_json(before, value):
            patch[key] = value
    return patch


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; unlike in Python, `true` is not `1`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(map(same_json, one.values(), map(other.get, one)))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def settings_fault(settings: Mapping[str, Any]) -> tuple[str, str] | None:
    """The limit that these settings exceed, as (error code, detail), or None."""
    if not settings:
        return None
    if len(settings) > SETTINGS_KEYS:
        return (
            "too-many-keys",
            f"must have at most {SETTINGS_KEYS} keys, would have {len(settings)}",
        )
    text = _COMPACT(settings)
    # A second look only at what may be wrong: nothing nests deeper than it has brackets.
    if text.count("{") + text.count("[") > SETTINGS_DEPTH and _depth(settings) > SETTINGS_DEPTH:
        return "too-deep", f"must nest at most {SETTINGS_DEPTH} levels"
    if _SUSPICIOUS.search(text) and not _storable(settings):
        return "invalid-text", "must not contain NUL, lone surrogates, NaN or Infinity"
    if (size := len(text.encode())) > SETTINGS_BYTES:
        return "too-large", f"must have at most {SETTINGS_BYTES} bytes as JSON, would have {size}"
    return None


def _depth(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _storable(value: Any) -> bool:
    """Whether Postgres can ever read this as jsonb; an event with anything else stays for ever."""
    if isinstance(value, Mapping):
        return all(_storable(key) and _storable(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(map(_storable, value))
    if isinstance(value, str):
        return not _UNSTORABLE.search(value)
    return not isinstance(value, float) or math.isfinite(value)
