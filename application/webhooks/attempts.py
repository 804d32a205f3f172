"""What became of an attempt to send an event: how it is kept, and when the next one is due."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from application.consumers.consumer import Connection
from application.consumers.delivery import Row
from application.webhooks.endpoints import ATTEMPTS, Endpoint

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
# Attempts that were under way together count as one.
COUNT_FAILURE = """
UPDATE webhooks.endpoints
   SET failures = CASE WHEN failed_at IS NULL OR failed_at <= %(began_at)s
                       THEN failures + 1 ELSE failures END,
       failed_at = CASE WHEN failed_at IS NULL OR failed_at <= %(began_at)s
                        THEN %(now)s ELSE failed_at END,
       last_error = %(error)s
 WHERE company_id = %(company_id)s AND id = %(endpoint_id)s
RETURNING failures, failed_at = %(now)s
"""
WAIT = """
UPDATE webhooks.endpoints
   SET retry_at = %(now)s + make_interval(secs => %(seconds)s)
 WHERE company_id = %(company_id)s AND id = %(endpoint_id)s
"""
FORGIVE = """
UPDATE webhooks.endpoints
   SET failures = 0, failed_at = NULL, retry_at = NULL, last_error = NULL
 WHERE company_id = %(company_id)s AND id = %(endpoint_id)s AND failures > 0
"""
# It was the address that failed, not these events: they need not wait any longer.
HURRY = """
UPDATE consumers.held SET retry_at = %(now)s
 WHERE company_id = %(company_id)s AND consumer_id = %(endpoint_id)s
   AND retry_at > %(now)s AND retry_at < 'infinity'
   AND (SELECT failures FROM webhooks.endpoints
         WHERE company_id = %(company_id)s AND id = %(endpoint_id)s) > 1
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


def patience(attempts: int) -> float:
    """Seconds to wait after so many attempts, more or less."""
    seconds = SCHEDULE[min(attempts, len(SCHEDULE) - 1)]
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret


class Outcomes:
    """Keeps what became of the attempts of one endpoint, in a transaction of the caller's."""

    def __init__(self, connection: Connection, endpoint: Endpoint, now: datetime) -> None:
        self._connection = connection
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

    async def succeeded(self) -> None:
        """The address works: if it did not, what waits is due now."""
        await self._run(HURRY)
        await self._run(FORGIVE)

    async def failed(self, attempt: Attempt) -> bool:
        """The address, or the event, does not work; whether it is time to give up.

        One event may be at fault; at the second failure in a row it is the address, that nothing is
        sent to for a while.
        """
        cursor = await self._connection.execute(
            COUNT_FAILURE.encode(),
            self._params | {"began_at": attempt.began_at, "error": attempt.error},
        )
        [(failures, is_counted)] = await cursor.fetchall()
        if attempt.retry_after is not None:
            await self._run(WAIT, seconds=attempt.retry_after)
        elif is_counted and failures > 1:
            await self._run(WAIT, seconds=patience(failures - 1))
        return bool(failures > ATTEMPTS)

    async def _run(self, query: str, **params: Any) -> int:
        return (await self._connection.execute(query.encode(), self._params | params)).rowcount
