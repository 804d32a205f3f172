"""What this process knows of the aggregates that it changed last, to change them again at once."""

import asyncio
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from uuid import UUID

from cachetools import TTLCache
from pydantic_core import to_json

from domain.base import Aggregate

SIZE = 4 * 1024 * 1024  # bytes, as JSON; in memory up to fifteen times as many
SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class State:
    """An aggregate as it was at its own version, whose event has this position."""

    aggregate: Aggregate
    position: int


class Known:
    """States that may be outdated: another process may have changed the aggregate since.

    Those that were changed last, as many as have room, `size` bytes as JSON; and each for `seconds`
    after that, or at most for twice as long while nothing else is changed.
    """

    def __init__(self, size: int = SIZE, seconds: float = SECONDS) -> None:
        self._states: TTLCache[tuple[UUID, UUID], State] = TTLCache(
            size, seconds, getsizeof=lambda state: len(to_json(vars(state.aggregate)))
        )
        self._will_forget = False

    def get(self, company_id: UUID, id: UUID) -> State | None:
        """A state to work on: what happens to it does not change what is known."""
        state = self._states.get((company_id, id))
        return state and State(copy(state.aggregate), state.position)

    def keep(self, company_id: UUID, aggregate: Aggregate, position: int) -> None:
        """Know what it is like now. What is not live is forgotten: so all is that was erased here.

        Nobody may change this aggregate any more.
        """
        self.forget(company_id, aggregate.id)
        if aggregate.standing.live:
            with suppress(ValueError):  # it is larger than all the room there is
                self._states[company_id, aggregate.id] = State(aggregate, position)
            self._forget_later()

    def forget(self, company_id: UUID, id: UUID) -> None:
        """Know nothing of it any more."""
        self._states.pop((company_id, id), None)

    def _forget_later(self) -> None:
        """What is too old leaves by itself, also when nothing else is changed any more."""
        if not self._will_forget:
            asyncio.get_running_loop().call_later(self._states.ttl, self._forget_old)
            self._will_forget = True

    def _forget_old(self) -> None:
        self._will_forget = False
        self._states.expire()
        if self._states:
            self._forget_later()
