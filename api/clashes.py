"""What two people set to different things: for whoever was refused because somebody was faster."""

from collections.abc import Iterator, Mapping
from typing import Any

from api.pointers import escape
from api.views import table_view
from application.base import Stale
from domain.table_details import Changes
from domain.values import merge_patch, same_json

Clash = dict[str, Any]


class StaleChange(Exception):
    """A change whose precondition failed, with what it wanted to set."""

    def __init__(self, stale: Stale, wanted: Changes) -> None:
        super().__init__()
        self.stale = stale
        self.wanted = wanted


def clashes(change: StaleChange) -> list[Clash]:
    """Each field that the caller wants to set and others set to something else since.

    Shape: `{"pointer", "base", "theirs", "yours"}`, settings by key, null = not set. Empty when the
    precondition named no version that the table ever had: then nobody knows what changed.
    """
    if change.stale.base is None:
        return []
    base, theirs = table_view(change.stale.base), table_view(change.stale.current)
    return list(_clashes("", base, theirs, wishes(change.wanted, theirs["settings"])))


def wishes(wanted: Changes, known: Mapping[str, Any]) -> dict[str, Any]:
    """The change as a merge patch on a table's JSON that has these settings."""
    wished: dict[str, Any] = wanted.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"settings"}
    )
    if wished.get("description") == "":
        wished["description"] = None
    if "settings" in wanted.model_fields_set:
        patch = wanted.settings_patch()
        wished["settings"] = dict.fromkeys(known) if patch is None else patch
    return wished


def _clashes(pointer: str, base: Any, theirs: Any, wish: Any) -> Iterator[Clash]:
    if isinstance(wish, dict) and isinstance(theirs, dict):
        before = base if isinstance(base, dict) else {}
        for key, value in wish.items():
            at = f"{pointer}/{escape(key)}"
            yield from _clashes(at, before.get(key), theirs.get(key), value)
        return
    yours = merge_patch(None, wish)
    if not same_json(base, theirs) and not same_json(theirs, yours):
        yield {"pointer": pointer, "base": base, "theirs": theirs, "yours": yours}
