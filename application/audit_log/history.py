"""What must hold of the events of a company, whatever they say: looked at one after the other.

Keeps for a million events about 10 MB, and for a million aggregates 120 MB more: of each event id
a hash of 64 bits, of each aggregate its id and version.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from application.audit_log.archive import Manifest
from application.audit_log.exported import Exported

ERASED = "TableDef.Erased"
_PARTS = 64  # of the hashes, so that few are sorted at once


@dataclass(frozen=True)
class Bad:
    """An event that cannot be right, and why; `fields`: what its line says, if it can be read."""

    index: int
    why: str
    fields: dict[str, Any] | None = None

    def __str__(self) -> str:
        said = self.fields
        if said is None:
            return f"event {self.index}: {self.why}"
        return (
            f"event {self.index} (position {said['position']}, event id {said['eventId']},"
            f" aggregate {said['aggregateId']}, version {said['version']}): {self.why}"
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
        fields = event.fields
        index, self.next = self.next, self.next + 1
        self.counts[fields["topic"]] += 1
        text: str = fields["position"]
        self.positions = (self.positions[0] if self.positions else text, text)
        aggregate = bytes.fromhex(fields["aggregateId"].replace("-", ""))
        hash_of_id = hash(fields["eventId"])
        self._ids[hash_of_id % _PARTS].append(hash_of_id)
        why = self._misplaced(index, fields) or self._version(aggregate, fields["version"])
        self._position, self._moment = int(text), fields["recordedAt"]
        self.erased += event.erased
        if fields["topic"] == ERASED:  # were it erased itself, that would be said of it alone
            self._erasing.pop(aggregate, None)
        elif event.erased:
            unsaid = "it is erased, but no event says so"
            self._erasing.setdefault(aggregate, Bad(index, unsaid, fields))
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

    def _misplaced(self, index: int, fields: dict[str, Any]) -> str | None:
        if fields["index"] != index:
            return f"its index is {fields['index']}, not {index}"
        if fields["companyId"] != self._company_id:
            return "it is of another company"
        if int(fields["position"]) <= self._position:
            return f"its position does not follow {self._position}"
        if fields["recordedAt"] < self._moment:
            return "it was recorded before the event before it"
        if fields["topic"] == ERASED and "erased" in fields:
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
        id: str = event.fields["eventId"]
        if hash(id) in suspects:
            if id in seen:
                return Bad(
                    event.fields["index"], "its id is that of an earlier event", event.fields
                )
            seen.add(id)
    return None
