"""What must hold of the events of a company, whatever they say: looked at one after the other.

Keeps for a million events about 10 MB, and for a million aggregates 120 MB more: of each event id
a hash of 64 bits, of each aggregate its id and version.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from application.audit_log.archive import Manifest
from application.audit_log.exported import Exported

ERASED = "TableDef.Erased"
_PARTS = 64  # of the hashes, so that few are sorted at once


@dataclass(frozen=True)
class Bad:
    """An event that cannot be right, and why; `event`: as its line has it, if it can be read."""

    index: int
    why: str
    event: Exported | None = None

    def __str__(self) -> str:
        said = self.event
        if said is None:
            return f"event {self.index}: {self.why}"
        return (
            f"event {self.index} (position {said.position}, event id {said.event_id},"
            f" aggregate {said.aggregate_id}, version {said.version}): {self.why}"
        )


class History:
    """The events of an archive so far."""

    def __init__(self, manifest: Manifest) -> None:
        self.counts = Counter[str]()
        self.erased = 0
        self.positions: tuple[str, str] | None = None
        self.next = self._begin = manifest.range.from_index
        self._company_id = manifest.company_id
        self._position, self._moment = 0, ""
        self._versions = dict[bytes, int]()
        self._ids = [array("q") for _ in range(_PARTS)]
        self._erasing = dict[bytes, Bad]()

    def add(self, event: Exported) -> str | None:
        """The next event; why it cannot be right, None = it can."""
        index, self.next = self.next, self.next + 1
        self.counts[event.topic] += 1
        first = self.positions[0] if self.positions else event.position
        self.positions = (first, event.position)
        aggregate = bytes.fromhex(event.aggregate_id.replace("-", ""))
        hash_of_id = hash(event.event_id)
        self._ids[hash_of_id % _PARTS].append(hash_of_id)
        why = self._misplaced(index, event) or self._version(aggregate, event.version)
        self._position, self._moment = int(event.position), event.recorded_at
        self.erased += event.erased
        if event.topic == ERASED:  # were it erased itself, that would be said of it alone
            self._erasing.pop(aggregate, None)
        elif event.erased:
            unsaid = "it is erased, but no event says so"
            self._erasing.setdefault(aggregate, Bad(index, unsaid, event))
        return why

    @property
    def unexplained(self) -> Iterable[Bad]:
        """What is erased with no event after it that says so, one for each aggregate."""
        return self._erasing.values()

    def repeated_ids(self) -> set[int]:
        """The hashes of what may be the id of two events; hardly ever is it not."""
        found = set[int]()
        for part in self._ids:
            found |= {first for first, second in pairwise(sorted(part)) if first == second}
        return found

    def _misplaced(self, index: int, event: Exported) -> str | None:
        if event.index != index:
            return f"its index is {event.index}, not {index}"
        if event.company_id != self._company_id:
            return "it is of another company"
        if int(event.position) <= self._position:
            return f"its position does not follow {self._position}"
        if event.recorded_at < self._moment:
            return "it was recorded before the event before it"
        if event.topic == ERASED and event.erased:
            return "an event that tells of an erasure is never erased"
        return None

    def _version(self, aggregate: bytes, version: int) -> str | None:
        before = self._versions.get(aggregate, 0 if self._begin == 0 else version - 1)
        self._versions[aggregate] = version
        if version == before + 1:
            return None
        return f"version {before} of its aggregate is followed by version {version}"


def first_repeated(suspects: set[int], events: Iterable[Exported]) -> Bad | None:
    """The first event with the id of an earlier one, of those with these hashes."""
    seen = set[str]()
    for event in events:
        if hash(event.event_id) in suspects:
            if event.event_id in seen:
                return Bad(event.index, "its id is that of an earlier event", event)
            seen.add(event.event_id)
    return None
