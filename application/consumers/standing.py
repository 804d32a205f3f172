"""How far a consumer is, who reads for it, and what it lacks."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from application.consumers.consumer import Connection, Consumer

COUNTED = 100_000  # events; more are not counted
PARTITIONS = """
SELECT partition, position, CASE WHEN leased_until > clock_timestamp() THEN owner END,
       CASE WHEN leased_until > clock_timestamp() THEN leased_until END
  FROM consumers.partitions
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
 ORDER BY partition
"""
LAG = """
SELECT count(*), extract(epoch FROM clock_timestamp() - min(recorded_at))::double precision
  FROM (SELECT e.recorded_at
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
    """How far a consumer is behind.

    `events`, `seconds`: what it has not acknowledged, and the age of the oldest of that; what is
    held or parked is counted apart, by aggregate. More than 100,000 events are not counted.
    """

    partitions: list[PartitionStanding]
    head: int
    events: int
    seconds: float
    parked: int
    retrying: int

    @property
    def position(self) -> int:
        """Everything up to there is acknowledged, but for what is held."""
        return min(each.position for each in self.partitions)


async def standing(connection: Connection, consumer: Consumer) -> Standing:
    """How far a consumer is now."""
    params = {
        **consumer.terms.params(),
        "company_id": consumer.company_id, "consumer_id": consumer.id, "counted": COUNTED,
    }  # fmt: skip
    async with connection.cursor(binary=True) as cursor:
        rows = await (await cursor.execute(PARTITIONS.encode(), params)).fetchall()
        partitions = [PartitionStanding(*row) for row in rows]
        [(events, seconds)] = await (await cursor.execute(LAG.encode(), params)).fetchall()
        [(head, parked, retrying)] = await (
            await cursor.execute(HEAD_AND_HELD.encode(), params)
        ).fetchall()
    return Standing(partitions, head, events, round(seconds or 0.0, 3), parked, retrying)
