"""What each event makes of what it happened to: the rows of the read model `history`."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from domain.base import Event
from domain.company import Company
from domain.recorded import Recorded
from domain.table_def import TableDef
from domain.workspace import Workspace
from projections import table_defs, tenancy
from projections.base import Statements
from projections.eras import STAND_NO_MORE
from projections.folding import fold
from projections.handlers import Row

STATE = (
    "workspace_id", "name", "slug", "description", "icon", "color", "settings", "deleted_at",
    "purged_at", "created_by", "created_at", "updated_by", "updated_at",
)  # fmt: skip
CAUSE = ("actor_kind", "command", "reason", "request_id", "correlation_id", "causation_id")
COLUMNS = (
    "id", "version", "company_id", "position", "topic", "event_id", "recorded_at", *CAUSE, *STATE,
    "words",
)  # fmt: skip
ADD = """
INSERT INTO versions SELECT * FROM json_populate_recordset(NULL::versions, %s::json)
"""
# Of what was erased there is left that it was there; when this is built anew, it is there already.
ERASE = f"""
INSERT INTO versions (id, version, company_id, position, topic, event_id, recorded_at)
SELECT originator_id, originator_version, company_id, position, topic, event_id, recorded_at
  FROM event_store.events
 WHERE originator_id = %s AND originator_version < %s
    ON CONFLICT (id, version) DO UPDATE
   SET {", ".join(f"{column} = NULL" for column in (*CAUSE, *STATE, "words"))}
"""  # noqa: S608
FORGET_PARKED = "UPDATE projections.parked SET error = '' WHERE originator_id = %s"
MOST_WORDS, LONGEST_WORD = 200, 64
MOST_TEXTS = 1_000  # that are taken apart once for many events
_HANDLERS = {"TableDef": table_defs.handles, "Workspace": tenancy.handles,
             "Company": tenancy.handles}  # fmt: skip
_TEXTS = ("changes", "settings", "description")
_WORD = re.compile(r"\w+")


def adding(rows: Sequence[Row]) -> Statements:
    """What adds these versions; what else they hold is left out."""
    return [(ADD, (to_json(rows).decode(),))]


def forgetting(event: Event) -> Statements:
    """What leaves nothing of what an event erases, in this process neither."""
    words.cache_clear()
    id = event.originator_id
    return [(ERASE, (id, event.originator_version)), (STAND_NO_MORE, ([id],)),
            (FORGET_PARKED, (id,))]  # fmt: skip


def version_of(states: dict[UUID, Row], recorded: Recorded) -> Row:
    """What an event makes of what it happened to, and who caused it, how and why."""
    event, metadata = recorded.event, recorded.event.metadata
    before = states.get(event.originator_id, {})
    after = _after(before, recorded)
    states[event.originator_id] = after
    texts = [
        before.get("name"),
        after.get("name"),
        after.get("slug"),
        metadata.reason,
        *_texts(event),
    ]
    return after | {
        "position": recorded.position,
        "topic": event.TOPIC,
        "event_id": metadata.event_id,
        "recorded_at": recorded.recorded_at,
        "actor_kind": metadata.actor_kind,
        "command": metadata.command,
        "reason": metadata.reason,
        "request_id": metadata.request_id,
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
        "words": _words(recorded.company_id, texts),
    }


def _after(before: Row, recorded: Recorded) -> Row:
    """The state as the other read models fold it, under one name for what they name apart."""
    event = recorded.event
    row = dict(before)
    _HANDLERS[event.TOPIC.partition(".")[0]].project(row, recorded)
    if isinstance(event, Workspace.Event):
        row["workspace_id"] = event.workspace_id
    if isinstance(event, Company.Event) and "removed_at" in row:
        row["deleted_at"] = row.pop("removed_at")
    row |= {"id": event.originator_id, "company_id": recorded.company_id}
    is_table = isinstance(event, TableDef.Event) and "name" in row
    return table_defs.searchable(row) if is_table else row


def _texts(event: Event) -> Iterable[str]:
    data = vars(event)
    return _strings(*[data[name] for name in _TEXTS if data.get(name)])


def _strings(*values: Any) -> Iterable[str]:
    for value in values:
        if isinstance(value, dict):
            yield from value
            yield from _strings(*value.values())
        elif isinstance(value, list):
            yield from _strings(*value)
        elif isinstance(value, str):
            yield value


@lru_cache(MOST_TEXTS)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, without case and accents, as the history is searched by them."""
    found: list[str] = _WORD.findall(fold(text))
    return tuple([word[:LONGEST_WORD] for word in found])


@lru_cache(MOST_TEXTS)
def prefix(company_id: UUID) -> str:
    """What a company's words begin with: those of others are far away in the index."""
    return f"{company_id.hex[-8:]}:"


def _words(company_id: UUID, texts: Iterable[str | None]) -> str:
    found = dict.fromkeys(chain.from_iterable(map(words, filter(None, texts))))
    ours = prefix(company_id)
    between = f"' '{ours}".join(islice(found, MOST_WORDS))
    return f"'{ours}{between}'" if found else ""
