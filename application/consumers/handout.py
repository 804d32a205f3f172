"""What a partition of a consumer has next: what was held and is due, then what lies ahead."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from application.consumers.consumer import Row, Statements
from application.event_feed import Rewound

SCAN = 2_000  # events looked at with one query
SCANS = 10  # queries for one partition, until another is looked at

KNOWN = """
SELECT FROM event_store.events WHERE company_id = %(company_id)s AND event_id = %(event_id)s
"""
# Once the others are beyond the event that was refused, what they passed over is this one's alone.
DUE = """
SELECT originator_id, position
  FROM consumers.held
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND retry_at <= coalesce(%(now)s, clock_timestamp()) AND failed <= %(position)s
   AND consumers.partition_of(originator_id, %(partitions)s) = %(partition)s
 ORDER BY retry_at, originator_id
 LIMIT 1
"""
HELD_EVENTS = """
SELECT position, originator_id, originator_version, topic, state, event_id
  FROM event_store.events
 WHERE company_id = %(company_id)s AND originator_id = %(originator_id)s
   AND position > %(after)s AND position <= %(until)s
   AND (%(topics)s::text[] IS NULL OR topic = ANY(%(topics)s::text[]))
   AND (%(of)s::uuid IS NULL OR originator_id = %(of)s::uuid)
 ORDER BY originator_version
 LIMIT %(limit)s
"""
NEXT_EVENTS = """
WITH scanned AS MATERIALIZED (
    SELECT position, originator_id, originator_version, topic, state, event_id
      FROM event_store.events
     WHERE company_id = %(company_id)s AND position > %(after)s
     ORDER BY position
     LIMIT %(scan)s
), matched AS MATERIALIZED (
    SELECT *
      FROM scanned s
     WHERE consumers.partition_of(originator_id, %(partitions)s) = %(partition)s
       AND (%(topics)s::text[] IS NULL OR topic = ANY(%(topics)s::text[]))
       AND (%(of)s::uuid IS NULL OR originator_id = %(of)s::uuid)
       AND NOT EXISTS (SELECT FROM consumers.held h
                        WHERE h.company_id = %(company_id)s AND h.consumer_id = %(consumer_id)s
                          AND h.originator_id = s.originator_id)
     ORDER BY position
     LIMIT %(limit)s
)
SELECT seen.*, matched.*
  FROM (SELECT count(*) AS count, max(position) AS last FROM scanned) AS seen
  LEFT JOIN matched ON true
 ORDER BY matched.position
"""
MOVE = """
UPDATE consumers.partitions p
   SET position = %(position)s,
       event_id = coalesce((SELECT event_id FROM event_store.events e
                             WHERE e.company_id = %(company_id)s AND e.position <= %(position)s
                             ORDER BY e.position DESC LIMIT 1), p.event_id)
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND partition = %(partition)s
"""
LET_GO = """
DELETE FROM consumers.held
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND originator_id = %(originator_id)s
"""


@dataclass(frozen=True)
class Handout:
    """What can be handed out of a partition, and up to where there is nothing else."""

    rows: Sequence[Row]
    scanned: int
    sequence: UUID | None = None


class Handouts:
    """Finds what can be handed out; the caller has locked the partition.

    `is_through`: whether all there is was looked at; if not, the next time goes on from there.
    """

    def __init__(self, sql: Statements) -> None:
        self.is_through = True
        self._sql = sql

    async def next(
        self, partition: int, position: int, event_id: UUID | None, limit: int
    ) -> Handout:
        """What a partition has: what was held and is due comes first."""
        if event_id and await self._sql.first(KNOWN, event_id=event_id) is None:
            raise Rewound
        named = {"partition": partition, "limit": limit}
        if held := await self._held(position, named):
            return held
        ahead = await self._ahead(position, named)
        if ahead.rows or ahead.scanned == position:
            return ahead
        return await self._held(ahead.scanned, named) or ahead

    async def _held(self, position: int, named: dict[str, int]) -> Handout | None:
        """What was held below a position and is due; an aggregate that lacks nothing is let go."""
        while due := await self._sql.first(DUE, **named, position=position):
            originator_id, after = due
            rows = await self._sql.all(
                HELD_EVENTS, **named, originator_id=originator_id, after=after, until=position
            )
            if rows:
                return Handout(rows, rows[-1][0], originator_id)
            await self._sql.run(LET_GO, originator_id=originator_id)
        return None

    async def _ahead(self, position: int, named: dict[str, int]) -> Handout:
        """The next events above a position; what is of no interest is passed over for good."""
        scanned = position
        for _ in range(SCANS):
            found = await self._sql.all(NEXT_EVENTS, **named, after=scanned, scan=SCAN)
            count, last, *_ = found[0]
            rows = [row[2:] for row in found if row[2] is not None]
            if rows:
                full = len(rows) == named["limit"]
                return Handout(rows, rows[-1][0] if full else last)
            scanned = last or scanned
            if count < SCAN:
                break
        else:
            self.is_through = False
        if scanned > position:
            await self.move(named["partition"], scanned)
        return Handout((), scanned)

    async def move(self, partition: int, position: int) -> None:
        """Everything up to a position is dealt with, or of no interest."""
        await self._sql.run(MOVE, partition=partition, position=position)
