"""The form of a table: from its fields to what is asked for, and back to its fields."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.edge import parse_json
from api.errors import ApiError, invalid
from api.web.forms import Form
from domain.values import DEFAULT_SETTINGS, diff_patch, merge_patch, same_json

SWITCHES = tuple(name for name, value in DEFAULT_SETTINGS.items() if isinstance(value, bool))
TEXTS = tuple(name for name, value in DEFAULT_SETTINGS.items() if isinstance(value, str))
VIEWS = ("grid", "kanban", "calendar", "gallery", "form")
COLORS = (
    "#e5484d", "#e8710a", "#f9ab00", "#7cb342", "#188038", "#0d9488",
    "#0891b2", "#1a73e8", "#5b5bd6", "#8e4ec6", "#d6409f", "#6b7280",
)  # fmt: skip
ICONS = (
    "table-2", "package", "shopping-cart", "users", "user", "contact", "building-2", "store",
    "briefcase", "handshake", "file-text", "files", "folder", "inbox", "mail", "phone",
    "calendar", "clock", "list-checks", "square-check-big", "flag", "target", "trophy", "star",
    "heart", "lightbulb", "rocket", "bug", "wrench", "hammer", "cpu", "database",
    "server", "globe", "map-pin", "truck", "plane", "car", "house", "key-round",
    "lock", "shield", "credit-card", "receipt", "wallet", "piggy-bank", "chart-line", "chart-pie",
    "megaphone", "message-square", "book-open", "graduation-cap", "flask-conical", "microscope",
    "stethoscope", "pill", "leaf", "sprout", "utensils", "coffee", "music", "camera",
    "film", "palette", "gamepad-2", "gift",
)  # fmt: skip
PLAIN = ("name", "slug", "description", "icon", "color", "workspaceId")


@dataclass(frozen=True)
class Fields:
    """What the fields show: a table as JSON, with the settings that no field is for as a text."""

    table: Mapping[str, Any]
    further: str

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Fields":
        """The fields of a table."""
        known, settings = DEFAULT_SETTINGS, table["settings"]
        further = {key: value for key, value in settings.items() if key not in known}
        effective = {**known, **settings}
        text = json.dumps(further, ensure_ascii=False, indent=2) if further else ""
        return cls({**table, "effectiveSettings": effective}, text)

    @classmethod
    def given(cls, form: Form, table: Mapping[str, Any]) -> "Fields":
        """What somebody made of the fields of a table, right or wrong."""
        shown = {**table, **{name: form.get(name) for name in PLAIN if name in form}}
        effective = {**table["effectiveSettings"], **_known(form)}
        return cls({**shown, "effectiveSettings": effective}, form.get("further"))


BLANK: Mapping[str, Any] = {
    "name": "", "slug": "", "description": None, "icon": None, "color": None, "workspaceId": None,
    "settings": {}, "effectiveSettings": dict(DEFAULT_SETTINGS),
}  # fmt: skip


def wanted(form: Form, base: Mapping[str, Any]) -> dict[str, Any]:
    """What a form changes of a table, as a merge patch (RFC 7396) on its JSON.

    Raises:
        ApiError: `validation`; the further settings are no JSON object.
    """
    patch: dict[str, Any] = {}
    for name in PLAIN:
        if name in form:
            given: str | None = form.get(name).strip() or None
            if given not in (base[name] or None, _as_shown(name, base[name] or "") or None):
                patch[name] = given
    if settings := diff_patch(base["settings"], _settings(form, base)):
        patch["settings"] = settings
    return patch


def _settings(form: Form, base: Mapping[str, Any]) -> dict[str, Any]:
    """All settings as the form has them; what says the same as before stays as it was."""
    settings: dict[str, Any] = dict(base["settings"])
    effective = base["effectiveSettings"]
    shown = {name: _as_shown(name, effective[name]) for name in TEXTS}
    settings |= {
        name: value
        for name, value in _known(form).items()
        if not same_json(value, effective[name]) and value != shown.get(name)
    }
    if "further" in form:
        settings = {key: value for key, value in settings.items() if key in DEFAULT_SETTINGS}
        settings |= _further(form.get("further"))
    return merge_patch({}, settings)  # type: ignore[no-any-return]  # an object with an object


def _known(form: Form) -> dict[str, Any]:
    texts = {name: form.get(name).strip() for name in TEXTS if name in form}
    on: Sequence[str] = form.all("on")
    return texts | {name: name in on for name in SWITCHES if name in form.all("switch")}


def _as_shown(name: str, text: str) -> str:
    """A text with the line ends that its field can have (HTML Standard, 4.10.5.1 and 4.10.11)."""
    lines = text.replace("\r\n", "\n")
    return lines if name == "description" else lines.replace("\n", "")


def _further(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        value = parse_json(text.encode("utf-8", "surrogatepass"))
    except ApiError as error:
        raise _wrong("invalid-json", error.detail) from None
    if not isinstance(value, dict):
        raise _wrong("type", 'must be an object such as {"rows": 50}')
    if known := next((key for key in value if key in DEFAULT_SETTINGS), None):
        raise _wrong("read-only", f"{known!r} has a field of its own")
    return value


def _wrong(code: str, detail: str) -> ApiError:
    return invalid([{"pointer": "/further", "in": "body", "code": code, "detail": detail}])
