"""Aggregates whose events wait: to be tried again, or parked until somebody decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from application.consumers.consumer import Connection, Consumer
from domain.errors import NotFound

WAITING = """
SELECT h.originator_id, h.failed, e.event_id, e.topic, h.attempts, h.error,
       CASE WHEN h.retry_at < 'infinity' THEN greatest(h.retry_at, h.held_at) END, h.held_at
  FROM consumers.held h
  LEFT JOIN event_store.events e
    ON e.company_id = h.company_id AND e.position = h.failed
 WHERE h.company_id = %(company_id)s AND h.consumer_id = %(consumer_id)s
   AND h.originator_id > %(originator_id)s
 ORDER BY h.originator_id
 LIMIT %(limit)s
"""
REPLAY = """
UPDATE consumers.held SET attempts = 0, retry_at = '-infinity'
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND originator_id = %(originator_id)s
"""
REPLAY_ALL = """
UPDATE consumers.held SET attempts = 0, retry_at = '-infinity'
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
"""
DROP = """
DELETE FROM consumers.held
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND originator_id = %(originator_id)s
"""
END_LEASE = """
UPDATE consumers.partitions SET lease = NULL, leased_until = NULL
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND sequence = %(originator_id)s
"""


@dataclass(frozen=True)
class Held:
    """An aggregate whose events wait, and the event that was refused.

    `retry_at`: None = parked.
    """

    originator_id: UUID
    failed: int
    event_id: UUID | None
    topic: str | None
    attempts: int
    error: str | None
    retry_at: datetime | None
    held_at: datetime


async def waiting(
    connection: Connection, consumer: Consumer, after: UUID, limit: int
) -> Sequence[Held]:
    """What waits of a consumer, by the id of the aggregate."""
    params = _params(consumer, after) | {"limit": limit}
    rows = await connection.execute(WAITING.encode(), params)
    return [Held(*row) for row in await rows.fetchall()]


async def replay(connection: Connection, consumer: Consumer, originator_id: UUID) -> None:
    """Hand out at once what waits of an aggregate, then what follows, in order.

    Raises:
        NotFound: nothing of it waits.
    """
    await _of(connection, REPLAY, consumer, originator_id)


async def replay_all(connection: Connection, consumer: Consumer) -> None:
    """The same for all that waits."""
    params = {"company_id": consumer.company_id, "consumer_id": consumer.id}
    await connection.execute(REPLAY_ALL.encode(), params)


async def drop(connection: Connection, consumer: Consumer, originator_id: UUID) -> None:
    """Never hand out what waits of an aggregate; what follows comes as if nothing had been.

    Raises:
        NotFound: nothing of it waits.
    """
    await _of(connection, DROP, consumer, originator_id)
    await connection.execute(END_LEASE.encode(), _params(consumer, originator_id))


async def _of(connection: Connection, query: str, consumer: Consumer, id: UUID) -> None:
    if (await connection.execute(query.encode(), _params(consumer, id))).rowcount == 0:
        raise NotFound


def _params(consumer: Consumer, originator_id: UUID) -> dict[str, Any]:
    return {
        "company_id": consumer.company_id, "consumer_id": consumer.id,
        "originator_id": originator_id,
    }  # fmt: skip
