"""A consumer: what it wants to follow, in how many shares, and on which terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from domain.errors import NotFound

Connection = AsyncConnection[TupleRow]
Row = Sequence[Any]
Lock = Literal["share", "update"]

FIND = """
SELECT id, company_id, name, topics, originator_id, partitions, lease_seconds, max_attempts,
       created_by, created_at
  FROM consumers.consumers
 WHERE company_id = %(company_id)s AND name = %(name)s
"""
FIND_AND_LOCK = {"share": f"{FIND}   FOR SHARE", "update": f"{FIND}   FOR UPDATE"}
ALL = """
SELECT id, company_id, name, topics, originator_id, partitions, lease_seconds, max_attempts,
       created_by, created_at
  FROM consumers.consumers
 WHERE company_id = %(company_id)s AND name IS NOT NULL
 ORDER BY name
"""
# Whoever makes one waits for those who make one at the same time, and counts theirs too.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('consumers ' || %(company_id)s, 0))"
COUNT = """
SELECT count(*) FROM consumers.consumers
 WHERE company_id = %(company_id)s AND (name IS NULL) = %(of_webhooks)s
"""
OF_WEBHOOK = """
SELECT id, company_id, name, topics, originator_id, partitions, lease_seconds, max_attempts,
       created_by, created_at
  FROM consumers.consumers
 WHERE company_id = %(company_id)s AND id = %(id)s AND name IS NULL
"""


@dataclass(frozen=True)
class Terms:
    """What a consumer is told of, and how.

    `topics`, `originator_id`: None = all. `partitions`: how many may read at once, each the events
    of other aggregates. `lease_seconds`: for which a reader is waited for. `max_attempts`: to deal
    with an event, until its aggregate is parked.
    """

    topics: frozenset[str] | None = None
    originator_id: UUID | None = None
    partitions: int = 1
    lease_seconds: int = 60
    max_attempts: int = 10

    def params(self) -> dict[str, Any]:
        """The columns of the same names."""
        topics = None if self.topics is None else sorted(self.topics)
        return vars(self) | {"topics": topics}


@dataclass(frozen=True)
class Consumer:
    """One that exists; `name` is None for the one behind a webhook."""

    id: UUID
    company_id: UUID
    name: str | None
    terms: Terms
    created_by: UUID
    created_at: datetime


async def find(
    connection: Connection, company_id: UUID, name: str, lock: Lock | None = None
) -> Consumer:
    """The consumer of a name; `lock`: nobody else changes it meanwhile, or even shares the lock.

    Raises:
        NotFound.
    """
    query = FIND_AND_LOCK[lock] if lock else FIND
    return await _one(connection, query, {"company_id": company_id, "name": name})


async def named(connection: Connection, company_id: UUID) -> Sequence[Consumer]:
    """All consumers of a company, by name."""
    rows = await connection.execute(ALL.encode(), {"company_id": company_id})
    return [_consumer(row) for row in await rows.fetchall()]


async def count(connection: Connection, company_id: UUID, *, of_webhooks: bool) -> int:
    """How many there are in a company, with a name, or behind its webhooks, and no others soon."""
    params = {"company_id": company_id, "of_webhooks": of_webhooks}
    await connection.execute(ONE_AT_A_TIME.encode(), {"company_id": str(company_id)})
    row = await (await connection.execute(COUNT.encode(), params)).fetchone()
    return int(row[0]) if row else 0


async def behind_webhook(connection: Connection, company_id: UUID, id: UUID) -> Consumer:
    """The consumer of a webhook's id.

    Raises:
        NotFound.
    """
    return await _one(connection, OF_WEBHOOK, {"company_id": company_id, "id": id})


async def _one(connection: Connection, query: str, params: dict[str, Any]) -> Consumer:
    row = await (await connection.execute(query.encode(), params)).fetchone()
    if row is None:
        raise NotFound
    return _consumer(row)


def _consumer(row: Sequence[Any]) -> Consumer:
    id, company_id, name, topics, *terms, created_by, created_at = row
    wanted = None if topics is None else frozenset(topics)
    return Consumer(id, company_id, name, Terms(wanted, *terms), created_by, created_at)


class Statements:
    """Runs statements that share parameters, on the connection of a transaction."""

    def __init__(self, connection: Connection, params: Mapping[str, Any]) -> None:
        self._connection = connection
        self._params = dict(params)

    async def run(self, query: str, **params: Any) -> None:
        """A statement whose rows do not matter."""
        await self._connection.execute(query.encode(), self._params | params)

    async def first(self, query: str, **params: Any) -> Row | None:
        """The first row, if there is one."""
        rows = await self.all(query, **params)
        return rows[0] if rows else None

    async def all(self, query: str, **params: Any) -> Sequence[Row]:
        """All rows."""
        async with self._connection.cursor(binary=True) as cursor:
            await cursor.execute(query.encode(), self._params | params)
            return await cursor.fetchall()
