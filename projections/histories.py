"""What the stored events of one aggregate make of it, at any version that is asked for.

An erased event has no bytes left: it says nothing, and nothing can be folded over it. What should
be there of an aggregate that is gone for ever is nothing, whatever its events were.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from domain.base import Aggregate, Event, replay, states
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

    version: int
    topic: str
    state: bytes | None
    position: int


@dataclass
class History:
    """The stored events of one aggregate, up to the last of all; folded up to `to`."""

    id: UUID
    to: int = END
    lines: list[Line] = field(default_factory=list)
    _present_rows: dict[Tell, Row | None] = field(default_factory=dict)

    @cached_property
    def key(self) -> bytes:
        """Its id as it is sent."""
        return self.id.bytes

    @property
    def noun(self) -> str:
        """What people call it."""
        return NOUNS.get(self.lines[0].topic.partition(".")[0], "table")

    @cached_property
    def kind(self) -> type[Aggregate]:
        """Which kind of aggregate it is; just that = none that this release knows."""
        return KINDS.get(self.lines[0].topic.partition(".")[0], Aggregate)

    @property
    def folded(self) -> int:
        """How many of its events are folded."""
        if self.lines[-1].position <= self.to:
            return len(self.lines)
        return sum(line.position <= self.to for line in self.lines)

    @cached_property
    def _gone(self) -> int | None:
        """Since which position it is gone for ever, if its events do not tell what it was."""
        if all(line.state is not None for line in self.lines if line.position <= self.to):
            return None
        return self._since(GONE)

    @cached_property
    def _events(self) -> list[Event]:
        known = (line for line in self.lines if line.position <= self.to)
        return [decode(line.topic, self.id, line.version, line.state or b"") for line in known]

    @cached_property
    def _all_folded(self) -> tuple[Any, list[Row]]:
        """What the events make of it, and the row of each version on the way there."""
        state, rows = None, []
        for line, state in zip(self.lines, states(self._events), strict=False):
            rows.append(version_row(state, line.position))
        return state, rows

    def fold(self) -> None:
        """Fold the events.

        Raises:
            Exception: one of them cannot be read, or one is missing.
        """
        if self._gone is None:
            self._all_folded  # noqa: B018

    def rows(self, kept: Kept, limit: int) -> Iterator[tuple[Key, Row | None]]:
        """The rows that should be there when everything up to position `limit` is in them.

        None = there may be any: what happened between `to` and `limit` was not folded, or was
        erased.
        """
        if self._gone is not None:
            yield from self._rows_when_gone(kept, limit)
        elif kept.versions:
            yield from self._versions(limit)
        elif self.to < self.lines[-1].position and self._happened(self.to, limit):
            yield (self.key, 0), None
        elif row := self._present(kept, limit):
            yield (self.key, 0), row

    def _present(self, kept: Kept, limit: int) -> Row | None:
        last = self.lines[-1].position
        row = kept.row[self.kind]
        if last <= limit and last <= self.to:
            if row not in self._present_rows:
                self._present_rows[row] = row(*self._all_folded)
            return self._present_rows[row]
        count = sum(line.position <= min(limit, self.to) for line in self.lines)
        if not count:
            return None
        return row(replay(self._events[:count]), self._all_folded[1][:count])

    def _versions(self, limit: int) -> Iterator[tuple[Key, Row | None]]:
        for line, row in zip(self.lines, self._all_folded[1], strict=False):
            if line.position <= limit:
                yield (self.key, line.version), row
        for line in self.lines[len(self._events) :]:
            if line.position <= limit:
                yield (self.key, line.version), None

    def _rows_when_gone(self, kept: Kept, limit: int) -> Iterator[tuple[Key, Row | None]]:
        since = self._since({ERASED}) if kept.versions else self._gone
        if not kept.outlives and since is not None and since <= limit:
            return
        versions = [line.version for line in self.lines] if kept.versions else [0]
        yield from (((self.key, version), None) for version in versions)

    def _since(self, topics: Set[str]) -> int | None:
        return next((line.position for line in self.lines if line.topic in topics), None)

    def _happened(self, after: int, until: int) -> bool:
        return any(after < line.position <= until for line in self.lines)
