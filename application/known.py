"""What aggregates were like when this process last changed them, to change them again at once."""

from copy import copy
from dataclasses import dataclass
from uuid import UUID

from cachetools import TTLCache
from pydantic_core import to_json

from domain.base import Aggregate

SIZE = 4 * 1024 * 1024  # bytes, as JSON; in memory up to fifteen times as many
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class State:
    """An aggregate as it was at its own version, whose event has this position."""

    aggregate: Aggregate
    position: int


class Known:
    """States that may be outdated: another process may have changed the aggregate since.

    Those that were changed last, as many as have room, and none for longer than `seconds`.
    """

    def __init__(self, size: int = SIZE, seconds: float = SECONDS) -> None:
        self._states: TTLCache[tuple[UUID, UUID], State] = TTLCache(
            size, seconds, getsizeof=lambda state: len(to_json(vars(state.aggregate)))
        )

    def take(self, company_id: UUID, id: UUID) -> State | None:
        """A state to work on, which is kept no longer."""
        return self._states.pop((company_id, id), None)

    def keep(self, company_id: UUID, aggregate: Aggregate, position: int) -> None:
        """Know what it is like now; whatever is done to this aggregate later is not known.

        What is not live is not kept: so nothing is that was erased here.
        """
        if aggregate.standing.live:
            self._states[company_id, aggregate.id] = State(copy(aggregate), position)
