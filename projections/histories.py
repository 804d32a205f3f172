"""What the stored events of one aggregate make of it, at any version that is asked for.

An erased event has no bytes left: it says nothing, and nothing can be folded over it. What should
be there of an aggregate that is gone for ever is nothing, whatever its events were.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from itertools import islice, zip_longest
from typing import Any, NamedTuple
from uuid import UUID

from domain.base import Aggregate, Event, Metadata, replay, states
from domain.company import Company
from domain.recorded import decode
from domain.table_def import TableDef
from domain.workspace import Workspace
from projections.expected import Kept, Tell, version_row
from projections.handlers import Row

KINDS: Mapping[str, type[Aggregate]] = {
    "TableDef": TableDef, "Workspace": Workspace, "Company": Company,
}  # fmt: skip
NOUNS: Mapping[str, str] = {"Workspace": "workspace", "Company": "company"}
ERASED = "TableDef.Erased"
GONE = {"TableDef.Purged", ERASED}  # what it was at each version is kept until it is erased
END = 2**63 - 1  # beyond every position
Key = tuple[bytes, int]  # the id of an aggregate, and a version of it; 0 = as it is


class Line(NamedTuple):
    """A stored event; `state` is None when it was erased, or is not to be folded."""

    id: bytes
    version: int
    topic: str
    state: bytes | None
    position: int
    recorded_at: datetime


class History:
    """The stored events of one aggregate, up to the last of all; folded up to `to`."""

    def __init__(self, lines: Sequence[Line], to: int = END) -> None:
        self.key = lines[0].id
        self._lines = lines
        self._to = to
        self._is_all = lines[-1].position <= to
        self._known = lines if self._is_all else [line for line in lines if line.position <= to]
        # Since when it is gone for ever, if its events do not tell what it was.
        erased = any(line.state is None for line in self._known)
        self._gone = self._since(GONE) if erased else None
        noun = lines[0].topic.partition(".")[0]
        self.kind = KINDS.get(noun, Aggregate)  # just that: none that this release knows
        self._state: Any = None
        self._versions: list[Row] = []
        self._present: dict[Tell, Row | None] = {}

    @property
    def name(self) -> str:
        """What people call it."""
        noun = self._lines[0].topic.partition(".")[0]
        return f"{NOUNS.get(noun, 'table')} {UUID(bytes=self.key)}"

    @property
    def folded(self) -> int:
        """How many of its events are folded."""
        return len(self._known)

    def fold(self) -> None:
        """Fold the events.

        Raises:
            Exception: one of them cannot be read, or one is missing.
        """
        if self._gone is not None:
            return
        events = list(self._events())
        for line, event, state in zip(self._known, events, states(events), strict=True):
            self._versions.append(version_row(state, line.position) | _cause(line, event.metadata))
            self._state = state

    def rows(self, kept: Kept, limit: int) -> Iterable[tuple[Key, Row | None]]:
        """The rows that should be there when everything up to position `limit` is in them.

        None = there may be any: what happened between `to` and `limit` was not folded, or was
        erased.
        """
        if self._gone is not None:
            return self._rows_when_gone(kept, limit)
        if kept.versions:
            return self._rows_of_versions(limit)
        if not self._is_all and any(self._to < line.position <= limit for line in self._lines):
            return [((self.key, 0), None)]
        row = self._row(kept.row[self.kind], limit)
        return [((self.key, 0), row)] if row else []

    def _row(self, tell: Tell, limit: int) -> Row | None:
        if self._is_all and self._lines[-1].position <= limit:
            if tell not in self._present:
                self._present[tell] = tell(self._state, self._versions)
            return self._present[tell]
        count = sum(line.position <= limit for line in self._known)
        if not count:
            return None
        return tell(replay(islice(self._events(), count)), self._versions[:count])

    def _rows_of_versions(self, limit: int) -> Iterable[tuple[Key, Row | None]]:
        return [
            ((self.key, line.version), row)
            for line, row in zip_longest(self._lines, self._versions)
            if line.position <= limit
        ]

    def _rows_when_gone(self, kept: Kept, limit: int) -> Iterable[tuple[Key, Row | None]]:
        since = self._since({ERASED}) if kept.versions else self._gone
        if not kept.outlives and since is not None and since <= limit:
            return []
        versions = [line.version for line in self._lines] if kept.versions else [0]
        return [((self.key, version), None) for version in versions]

    def _events(self) -> Iterator[Event]:
        id = UUID(bytes=self.key)
        for line in self._known:
            yield decode(line.topic, id, line.version, line.state or b"")

    def _since(self, topics: Set[str]) -> int | None:
        return next((line.position for line in self._lines if line.topic in topics), None)


def _cause(line: Line, metadata: Metadata) -> Row:
    """What a row of a version says of the event: which it was, by whom and why."""
    return {
        "topic": line.topic,
        "event_id": metadata.event_id,
        "recorded_at": line.recorded_at,
        "actor_kind": metadata.actor_kind,
        "command": metadata.command,
        "reason": metadata.reason,
        "request_id": metadata.request_id,
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
    }
