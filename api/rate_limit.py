"""How often somebody may ask: so many at once, and so many a second after that."""

import time
from collections.abc import Callable, Hashable

from api.errors import ApiError

REMEMBERED = 50_000  # who asked lately


class RateLimit:
    """The generic cell rate algorithm (ITU-T I.371): one moment kept for each who asks.

    `per_second`: 0 = no limit. `burst`: how many may come at once. Counted in this process alone.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._tolerance = self._interval * (burst - 1)
        self._clock = clock
        self._due: dict[Hashable, float] = {}

    def take(self, who: Hashable) -> None:
        """Count one.

        Raises:
            ApiError: `rate-limited`; it was one too many, and does not count.
        """
        if not self._interval:
            return
        self.check(who)
        now = self._clock()
        if len(self._due) >= REMEMBERED:
            self._forget(now)
        self._due[who] = max(self._due.get(who, now), now) + self._interval

    def check(self, who: Hashable) -> None:
        """Whether one more may come, without counting it.

        Raises:
            ApiError: `rate-limited`.
        """
        wait = self._due.get(who, 0.0) - self._tolerance - self._clock()
        if wait > 0:
            seconds = str(max(1, round(wait + 0.5)))
            raise ApiError("rate-limited", headers={"Retry-After": seconds})

    def _forget(self, now: float) -> None:
        """Drop who is long due; if that is nobody, everybody: memory is bounded."""
        self._due = {who: due for who, due in self._due.items() if due > now}
        if len(self._due) >= REMEMBERED:
            self._due.clear()
