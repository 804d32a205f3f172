"""What became of an attempt to send an event: how it is kept, and when the next one is due."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from application.consumers.consumer import Connection, Row
from application.webhooks.endpoints import Endpoint

# Seconds to wait before each attempt; about, so that not all come back at once.
SCHEDULE = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
GONE = 410
THROTTLED = (429, 503)
LONGEST_RETRY_AFTER = 86_400  # seconds

INSERT = """
INSERT INTO webhooks.deliveries (
       id, company_id, endpoint_id, event_id, position, topic, replayed, attempt, began_at,
       milliseconds, status, error, answer)
SELECT %(id)s, %(company_id)s, %(endpoint_id)s, %(event_id)s, %(position)s, %(topic)s,
       %(replayed)s,
       coalesce(%(attempt)s, 1 + coalesce((SELECT attempts FROM consumers.held
                                            WHERE company_id = %(company_id)s
                                              AND consumer_id = %(endpoint_id)s
                                              AND originator_id = %(originator_id)s
                                              AND failed = %(position)s), 0)),
       %(began_at)s, %(milliseconds)s, %(status)s, %(error)s, %(answer)s
"""
COUNT = """
UPDATE webhooks.endpoints
   SET failures = %(failures)s, failed_at = %(failed_at)s, failed_of = %(failed_of)s,
       last_error = %(error)s
 WHERE company_id = %(company_id)s AND id = %(endpoint_id)s
"""
# Nothing shortens the time that was asked for.
WAIT = """
UPDATE webhooks.endpoints
   SET retry_at = greatest(retry_at, %(now)s + make_interval(secs => %(seconds)s))
 WHERE company_id = %(company_id)s AND id = %(endpoint_id)s
"""
FORGIVE = """
UPDATE webhooks.endpoints
   SET failures = 0, failed_at = NULL, failed_of = NULL, retry_at = NULL, last_error = NULL
 WHERE company_id = %(company_id)s AND id = %(endpoint_id)s
"""
# It was the address that failed, not these events: they need not wait any longer.
HURRY = """
UPDATE consumers.held SET retry_at = %(now)s, attempts = 0
 WHERE company_id = %(company_id)s AND consumer_id = %(endpoint_id)s
   AND retry_at > %(now)s AND retry_at < 'infinity'
"""


@dataclass(frozen=True)
class Message:
    """What is sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came back: a status, or an error when nothing did.

    `retry_after`: seconds. `text`: how the answer began.
    """

    status: int | None
    error: str | None = None
    retry_after: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Attempt:
    """An event that was sent, or was not taken."""

    id: UUID
    row: Row
    began_at: datetime
    milliseconds: int
    answer: Answer

    @property
    def error(self) -> str | None:
        """Why it was not taken; None = it was."""
        status = self.answer.status
        if status is None:
            return self.answer.error or "no answer"
        if 200 <= status < 300:
            return None
        if 300 <= status < 400:
            return f"answered {status}: redirects are not followed"
        return f"answered {status}"

    @property
    def retry_after(self) -> float | None:
        """For how many seconds the address wants to be left alone."""
        if self.answer.status not in THROTTLED or self.answer.retry_after is None:
            return None
        return min(LONGEST_RETRY_AFTER, self.answer.retry_after)

    def patience(self, attempts: int) -> float:
        """Seconds to wait after so many of its kind: never less than the schedule has."""
        return max(self.retry_after or 0.0, patience(attempts))


def patience(attempts: int) -> float:
    """Seconds to wait after so many attempts, more or less."""
    seconds = SCHEDULE[min(attempts, len(SCHEDULE) - 1)]
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret


class Outcomes:
    """Keeps what became of the attempts of one endpoint, in a transaction that has locked it."""

    def __init__(self, connection: Connection, endpoint: Endpoint, now: datetime) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._now = now
        self._params: dict[str, Any] = {
            "company_id": endpoint.company_id, "endpoint_id": endpoint.id, "now": now,
        }  # fmt: skip

    async def keep(self, attempt: Attempt, replayed: int | None = None) -> None:
        """Add it to the list of deliveries; `replayed`: the number of the attempt, of a replay."""
        position, originator_id, _, topic, _, event_id = attempt.row
        await self._run(
            INSERT, id=attempt.id, event_id=event_id, position=position, topic=topic,
            replayed=replayed is not None, attempt=replayed, originator_id=originator_id,
            began_at=attempt.began_at, milliseconds=attempt.milliseconds,
            status=attempt.answer.status, error=attempt.error, answer=attempt.answer.text,
        )  # fmt: skip

    async def succeeded(self, attempt: Attempt) -> None:
        """The address works: if it did not, what waits is due now."""
        if self._endpoint.failures == 0 or self._was_under_way(attempt):
            return
        if self._endpoint.failures > 1:
            await self._run(HURRY)
        await self._run(FORGIVE)

    async def failed(self, attempt: Attempt) -> int:
        """The address, or the event, does not work; returns how often in a row it was the address.

        While one table alone fails, that may be its event. Once another does, it is the address,
        that nothing is sent to for a while. Attempts that were under way together count as one.
        """
        known, table = self._endpoint, attempt.row[1]
        is_first, is_alone = known.failures == 0, known.failed_of == table
        counts = is_first or not (is_alone or self._was_under_way(attempt))
        failures = known.failures + counts
        await self._run(
            COUNT, failures=failures, error=attempt.error,
            failed_of=table if is_first or is_alone else None,
            failed_at=self._now if counts or is_alone else known.failed_at,
        )  # fmt: skip
        await self.leave_alone(attempt.patience(failures - 1) if counts else attempt.retry_after)
        return failures

    def _was_under_way(self, attempt: Attempt) -> bool:
        """Whether it began before the last failure: nothing begins while nothing is to be sent."""
        failed_at, retry_at = self._endpoint.failed_at, self._endpoint.retry_at
        return bool(
            (failed_at and failed_at > attempt.began_at) or (retry_at and retry_at > self._now)
        )

    async def leave_alone(self, seconds: float | None) -> None:
        """Send nothing there for a while."""
        if seconds:
            await self._run(WAIT, seconds=seconds)

    async def _run(self, query: str, **params: Any) -> None:
        await self._connection.execute(query.encode(), self._params | params)
