"""What an aggregate was: at a version, or at a moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.base import replay
from domain.errors import InvalidValue
from domain.recorded import Recorded


@dataclass(frozen=True)
class Earlier:
    """A version, or a moment: then it was what its last event until that made of it."""

    version: int | None = None
    as_of: datetime | None = None

    @property
    def pointer(self) -> str:
        """What a client calls it."""
        return "/version" if self.as_of is None else "/asOf"

    def state(self, recorded: Sequence[Recorded], now: datetime) -> Any:
        """The aggregate as it was then.

        Raises:
            InvalidValue: that is in the future, or it did not exist yet.
        """
        return replay([each.event for each in recorded[: self._version(recorded, now)]])

    def _version(self, recorded: Sequence[Recorded], now: datetime) -> int:
        if self.as_of and self.as_of > now:
            raise InvalidValue(self.pointer, "future", "must not be in the future")
        version, present = self.version or 0, len(recorded)
        if self.as_of:
            version = sum(each.recorded_at <= self.as_of for each in recorded)
        if version > present:
            detail = f"must not be beyond the present version, which is {present}"
            raise InvalidValue(self.pointer, "future", detail)
        if version < 1:
            raise InvalidValue(self.pointer, "too-early", "must not be before it existed")
        return version
