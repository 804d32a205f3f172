"""What happened, as pages tell it: in the reader's language, day by day."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from markupsafe import Markup

from api.history_items import Row, item
from api.web.languages import Language
from api.web.people import SERVICE
from api.web.templating import emphasised
from domain.values import DEFAULT_SETTINGS

# What an event of this kind is about, where it is one field.
FACETS = {
    "Renamed": "/name",
    "SlugChanged": "/slug",
    "DescriptionChanged": "/description",
    "MovedToWorkspace": "/workspaceId",
}
SETTINGS = "/settings/"
MOST_KEYS = 3  # that a sentence names


@dataclass(frozen=True)
class Happening:
    """One thing that happened: its item as the API has it, who did it, and what, in words.

    `shown`: what it happened to can be shown as it was then. `live`: and was not deleted then.
    """

    kind: str
    item: Mapping[str, Any]
    by: str | None
    said: Markup
    shown: bool
    live: bool

    @property
    def json(self) -> str:
        """Its item, to be read."""
        return json.dumps(self.item, ensure_ascii=False, indent=2)

    @property
    def is_erased(self) -> bool:
        """Whether little is left of it."""
        return "erased" in self.item


@dataclass(frozen=True)
class Day:
    """A day in the reader's zone, and what happened on it."""

    day: str
    name: str
    happenings: Sequence[Happening]


def by_day(language: Language, rows: Iterable[Row]) -> Sequence[Day]:
    """What happened, in the order given, under the days on which it was recorded."""
    days = groupby(rows, key=lambda row: language.local(row.recorded_at).date())
    return [_day(language, date, list(of_day)) for date, of_day in days]


def _day(language: Language, day: date, rows: Sequence[Row]) -> Day:
    happenings = [happening(language, row) for row in rows]
    return Day(day.isoformat(), language.day(rows[0].recorded_at), happenings)


def happening(language: Language, row: Row) -> Happening:
    """One row of the history."""
    shown, after = item(row), json.loads(row.after)
    is_table = row.topic.startswith("TableDef.") and not row.erased and after["purgedAt"] is None
    return Happening(
        kind=row.topic.replace(".", "-"),
        item=shown,
        by=None if row.erased else _actor(language, row),
        said=sentence(language, row, shown),
        shown=is_table and after["name"] is not None,
        live=after["deletedAt"] is None,
    )


def sentence(language: Language, row: Row, shown: Mapping[str, Any]) -> Markup:
    """What happened, in words; in a language whose catalogue has none of its own, in English."""
    kind = row.topic.replace(".", "-")
    if row.erased:
        return language.text("history-erased", kind=language.text(f"kind-{kind}"))
    if not language.has(f"event-{kind}"):
        return emphasised(shown["sentence"])
    return language.text(f"event-{kind}", **_arguments(language, row, shown["changes"]))


def _actor(language: Language, row: Row) -> str:
    unnamed = SERVICE if row.actor_kind == "system" else str(language.text("somebody"))
    return row.actor_name or unnamed


def _arguments(
    language: Language, row: Row, changes: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What sentences are made of: `change` tells in what way the one field of an event changed."""
    by_pointer = {change["pointer"]: change for change in changes}
    facet = by_pointer.get(FACETS.get(row.topic.partition(".")[2], ""), {})
    before, after = facet.get("before"), facet.get("after")
    looks = [pointer[1:] for pointer in ("/icon", "/color") if pointer in by_pointer]
    keys = dict.fromkeys(
        pointer.removeprefix(SETTINGS).partition("/")[0]
        for pointer in by_pointer
        if pointer.startswith(SETTINGS)
    )
    return {
        "name": row.name or "",
        "before": before or "",
        "after": after or "",
        "change": "added" if before is None else "removed" if after is None else "changed",
        "looks": looks[0] if len(looks) == 1 else "both",
        "keys": _listed([_setting(language, key) for key in keys]),
        "count": len(keys),
        "more": max(len(keys) - MOST_KEYS, 0),
    }


def _setting(language: Language, key: str) -> str:
    """A setting as its field is called; one that only other programs know, by its key."""
    if key in DEFAULT_SETTINGS:
        return str(language.text(key))
    return key.replace("~1", "/").replace("~0", "~")


def _listed(names: Sequence[str]) -> Markup:
    return Markup(", ").join(Markup("<em>{}</em>").format(name) for name in names[:MOST_KEYS])
