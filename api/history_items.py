"""How what happened is shown: a sentence, and what each field was before and after."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from api.pointers import escape
from application.feed import public_type, rfc3339
from domain.values import same_json

State = Mapping[str, Any]
Change = dict[str, Any]
Sentence = Callable[[State, State], str]

NAMED = {"name": None, "deletedAt": None}
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "TableDef": {
        **NAMED, "slug": None, "description": None, "icon": None, "color": None,
        "workspaceId": None, "settings": {}, "purgedAt": None,
    },
    "Workspace": NAMED,
    "Company": {"name": None, "settings": {}, "removedAt": None},
}  # fmt: skip


class Row(NamedTuple):
    """One event of the history as the read model keeps it; `before` and `after` are JSON texts."""

    id: UUID
    version: int
    position: int
    topic: str
    event_id: UUID
    recorded_at: Any
    occurred_at: Any
    actor_id: UUID | None
    actor_kind: str | None
    command: str | None
    reason: str | None
    request_id: str | None
    correlation_id: str | None
    causation_id: UUID | None
    workspace_id: UUID | None
    name: str | None
    erased: bool
    before: str | None
    after: str
    actor_name: str | None


def item(row: Row) -> dict[str, Any]:
    """One item of a history, as JSON values."""
    noun = row.topic.partition(".")[0]
    shown = {
        "version": row.version,
        "position": str(row.position),
        "eventId": str(row.event_id),
        "type": public_type(row.topic),
        **_subject(noun, row),
        "recordedAt": rfc3339(row.recorded_at),
    }
    if row.erased:
        rest = {"erased": True, "sentence": "happened, and was erased later", "changes": []}
        return shown | dict.fromkeys(_CAUSE) | rest
    before = _state(noun, row.before) if row.before else FIELDS[noun]  # nothing, or erased
    after = _state(noun, row.after)
    return shown | {
        "occurredAt": rfc3339(row.occurred_at),
        "actor": {"id": str(row.actor_id), "kind": row.actor_kind, "name": row.actor_name},
        "command": row.command or None,
        "reason": row.reason,
        "requestId": row.request_id,
        "correlationId": row.correlation_id,
        "causationId": row.causation_id and str(row.causation_id),
        "sentence": sentence(row.topic, before, after),
        "changes": changes(before, after) if row.before or row.version == 1 else [],
    }


_CAUSE = (
    "occurredAt", "actor", "command", "reason", "requestId", "correlationId", "causationId",
)  # fmt: skip


def _subject(noun: str, row: Row) -> dict[str, str]:
    if noun == "TableDef":
        return {"tableId": str(row.id)}
    return {"workspaceId": str(row.workspace_id)} if row.workspace_id else {}


def _state(noun: str, text: str) -> State:
    state = json.loads(text)
    state["removedAt"] = state["deletedAt"]
    return {name: state[name] for name in FIELDS[noun]}


def table_changes(before: str | None, after: str | None) -> Sequence[Change]:
    """What differs between two states of a table, as the read model keeps them; None = nothing."""
    first, second = (_state("TableDef", text) if text else FIELDS["TableDef"]
                     for text in (before, after))  # fmt: skip
    return changes(first, second)


def changes(before: State, after: State) -> Sequence[Change]:
    """What differs: `{"pointer", "before", "after"}`, objects by key, null = not set."""
    return list(_changes("", before, after))


def _changes(pointer: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _changes(f"{pointer}/{escape(key)}", before.get(key), after.get(key))
    elif not same_json(before, after):
        yield {"pointer": pointer, "before": before, "after": after}


def sentence(topic: str, before: State, after: State) -> str:
    """What happened, in words; names are emphasised as in Markdown."""
    return _SENTENCES[topic](before, after)


def _em(text: Any) -> str:
    return f"*{str(text).replace(chr(92), chr(92) * 2).replace('*', chr(92) + '*')}*"


def _plain(verb: str) -> Sentence:
    return lambda before, after: f"{verb} {_em(after['name'])}"


def _renamed(before: State, after: State) -> str:
    return f"renamed {_em(before['name'])} to {_em(after['name'])}"


def _slug_changed(before: State, after: State) -> str:
    slugs = f"from {_em(before['slug'])} to {_em(after['slug'])}"
    return f"changed the slug of {_em(after['name'])} {slugs}"


def _described(before: State, after: State) -> str:
    if after["description"] is None:
        return f"removed the description of {_em(after['name'])}"
    verb = "described" if before["description"] is None else "changed the description of"
    return f"{verb} {_em(after['name'])}"


def _looks(before: State, after: State) -> str:
    words = {"icon": "icon", "color": "colour"}
    what = [words[name] for name in words if before[name] != after[name]]
    return f"changed the {' and '.join(what) or 'appearance'} of {_em(after['name'])}"


def _settings(before: State, after: State) -> str:
    old, new = before["settings"] or {}, after["settings"] or {}
    keys = [key for key in sorted({*old, *new}) if not same_json(old.get(key), new.get(key))]
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"changed {', '.join(map(_em, keys[:3])) or 'nothing'}{more} in {_em(after['name'])}"


def _moved(before: State, after: State) -> str:
    where = "the whole company" if after["workspaceId"] is None else "another workspace"
    if before["workspaceId"] is None:
        where = "a workspace"
    return f"moved {_em(after['name'])} to {where}"


_SENTENCES: Mapping[str, Sentence] = {
    "TableDef.Created": _plain("created"),
    "TableDef.Renamed": _renamed,
    "TableDef.SlugChanged": _slug_changed,
    "TableDef.DescriptionChanged": _described,
    "TableDef.AppearanceChanged": _looks,
    "TableDef.SettingsChanged": _settings,
    "TableDef.MovedToWorkspace": _moved,
    "TableDef.Deleted": _plain("deleted"),
    "TableDef.Restored": _plain("restored"),
    "TableDef.Purged": _plain("purged"),
    "TableDef.Erased": lambda before, after: "erased all that was recorded of this table",
    "Workspace.Created": _plain("created the workspace"),
    "Workspace.Renamed": _renamed,
    "Workspace.Deleted": _plain("deleted the workspace"),
    "Workspace.Restored": _plain("restored the workspace"),
    "Company.Registered": _plain("registered the company"),
    "Company.Renamed": _renamed,
    "Company.SettingsChanged": _settings,
    "Company.Removed": _plain("removed the company"),
    "Company.Restored": _plain("restored the company"),
}
