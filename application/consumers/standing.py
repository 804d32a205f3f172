"""How far a consumer is, who reads for it, and what it lacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import TupleRow

from application.consumers.consumer import Connection, Consumer
from domain.errors import NotFound

COUNTED = 100_000  # events; more are not counted
PARTITIONS = """
SELECT partition, position, CASE WHEN leased_until > clock_timestamp() THEN owner END,
       CASE WHEN leased_until > clock_timestamp() THEN leased_until END
  FROM consumers.partitions
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
 ORDER BY partition
"""
LAG = """
SELECT partition, count(*),
       extract(epoch FROM clock_timestamp() - min(recorded_at))::double precision
  FROM (SELECT e.recorded_at, consumers.partition_of(e.originator_id, %(partitions)s) AS partition
          FROM event_store.events e
         WHERE e.company_id = %(company_id)s
           AND e.position > (SELECT min(position) FROM consumers.partitions
                              WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s)
           AND (%(topics)s::text[] IS NULL OR e.topic = ANY(%(topics)s::text[]))
           AND (%(originator_id)s::uuid IS NULL OR e.originator_id = %(originator_id)s::uuid)
           AND e.position > (SELECT position FROM consumers.partitions p
                              WHERE p.company_id = %(company_id)s
                                AND p.consumer_id = %(consumer_id)s
                                AND p.partition = consumers.partition_of(
                                        e.originator_id, %(partitions)s))
         ORDER BY e.position
         LIMIT %(counted)s) AS missing
 GROUP BY partition
"""
HEAD_AND_HELD = """
SELECT (SELECT coalesce(max(position), 0) FROM event_store.events
         WHERE company_id = %(company_id)s),
       count(*) FILTER (WHERE retry_at = 'infinity'),
       count(*) FILTER (WHERE retry_at < 'infinity')
  FROM consumers.held
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
"""


@dataclass(frozen=True)
class PartitionStanding:
    """Up to where a partition is, and who reads it until when."""

    partition: int
    position: int
    owner: UUID | None
    leased_until: datetime | None


@dataclass(frozen=True)
class Standing:
    """How far a consumer is; what is held or parked is counted by aggregate."""

    partitions: list[PartitionStanding]
    head: int
    parked: int
    retrying: int

    @property
    def position(self) -> int:
        """Everything up to there is acknowledged, but for what is held."""
        return min(each.position for each in self.partitions)


@dataclass(frozen=True)
class Behind:
    """What a consumer has not acknowledged, and the age in seconds of the oldest of that.

    Without what is held or parked. More than 100,000 events are not counted.
    """

    events: int
    seconds: float


async def standing(connection: Connection, consumer: Consumer) -> Standing:
    """How far a consumer is now.

    Raises:
        NotFound: it was removed meanwhile.
    """
    rows = await _all(connection, PARTITIONS, consumer)
    if not rows:
        raise NotFound
    [(head, parked, retrying)] = await _all(connection, HEAD_AND_HELD, consumer)
    return Standing([PartitionStanding(*row) for row in rows], head, parked, retrying)


async def behind(connection: Connection, consumer: Consumer, most: int = COUNTED) -> Behind:
    """How far it is behind; of more than `most` events, these are counted."""
    return total(await behind_each(connection, consumer, most))


async def behind_each(
    connection: Connection, consumer: Consumer, most: int = COUNTED
) -> Mapping[int, Behind]:
    """The same by partition; one that is not behind is not there."""
    rows = await _all(connection, LAG, consumer, most)
    return {partition: Behind(events, round(seconds, 3)) for partition, events, seconds in rows}


def total(each: Mapping[int, Behind]) -> Behind:
    """How far all partitions are behind together."""
    oldest = max((one.seconds for one in each.values()), default=0.0)
    return Behind(sum(one.events for one in each.values()), oldest)


async def _all(
    connection: Connection, query: str, consumer: Consumer, counted: int = COUNTED
) -> Sequence[TupleRow]:
    params = {
        **consumer.terms.params(),
        "company_id": consumer.company_id, "consumer_id": consumer.id, "counted": counted,
    }  # fmt: skip
    async with connection.cursor(binary=True) as cursor:
        return await (await cursor.execute(query.encode(), params)).fetchall()
