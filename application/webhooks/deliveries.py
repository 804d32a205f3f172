"""What was sent to an endpoint, attempt by attempt, for a month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from application.consumers.consumer import Connection
from application.webhooks.endpoints import Endpoint
from domain.errors import NotFound

LAST = UUID(int=2**128 - 1)
_COLUMNS = """
SELECT id, event_id, position, topic, replayed, attempt, began_at, milliseconds, status, error,
       answer
  FROM webhooks.deliveries
 WHERE company_id = %(company_id)s AND endpoint_id = %(endpoint_id)s
"""
PAGE = f"{_COLUMNS}   AND id < %(before)s ORDER BY endpoint_id DESC, id DESC LIMIT %(limit)s"
ONE = f"{_COLUMNS}   AND id = %(id)s"
FORGET = """
DELETE FROM webhooks.deliveries
 WHERE id IN (SELECT id FROM webhooks.deliveries
               WHERE began_at < now() - interval '30 days' LIMIT %s)
"""


@dataclass(frozen=True)
class Sent:
    """An attempt to send an event; `error`: None = it was taken."""

    id: UUID
    event_id: UUID
    position: int
    topic: str
    replayed: bool
    attempt: int
    began_at: datetime
    milliseconds: int
    status: int | None
    error: str | None
    answer: str | None


async def latest(
    connection: Connection, endpoint: Endpoint, before: UUID, limit: int
) -> Sequence[Sent]:
    """Attempts before another one, newest first."""
    return await _all(connection, PAGE, endpoint, before=before, limit=limit)


async def one(connection: Connection, endpoint: Endpoint, id: UUID) -> Sent:
    """One attempt.

    Raises:
        NotFound.
    """
    found = await _all(connection, ONE, endpoint, id=id)
    if not found:
        raise NotFound
    return found[0]


async def _all(
    connection: Connection, query: str, endpoint: Endpoint, **params: Any
) -> Sequence[Sent]:
    params |= {"company_id": endpoint.company_id, "endpoint_id": endpoint.id}
    rows = await connection.execute(query.encode(), params)
    return [Sent(*row) for row in await rows.fetchall()]
