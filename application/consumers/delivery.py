"""Handing out events under a lease, and taking the answer: dealt with, or refused.

Everybody who reads has a partition to themselves for as long as their lease lasts, so the events of
an aggregate are dealt with one after the other. Of each it is known up to where; what was handed
out and not acknowledged is handed out again. An event that is refused holds back those of its own
aggregate alone. All of this runs in the caller's transaction, which names the company.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from application.consumers.consumer import Connection, Consumer, Row, Statements
from application.consumers.handout import Handout, Handouts
from application.errors import LeaseLost, NotDelivered

LONGEST_BACKOFF = 60  # seconds

# Which partitions nobody reads and may have something, or are ahead of the store: a backup was
# restored. The one most behind comes first.
FREE = """
SELECT p.partition
  FROM consumers.partitions p
 WHERE p.company_id = %(company_id)s AND p.consumer_id = %(consumer_id)s
   AND (p.leased_until IS NULL OR p.leased_until <= coalesce(%(now)s, clock_timestamp()))
   AND (p.position <> (SELECT coalesce(max(position), 0) FROM event_store.events
                        WHERE company_id = %(company_id)s)
        OR (p.event_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM event_store.events e
                             WHERE e.company_id = %(company_id)s AND e.event_id = p.event_id))
        OR EXISTS (SELECT FROM consumers.held h
                    WHERE h.company_id = %(company_id)s AND h.consumer_id = p.consumer_id
                      AND h.retry_at <= coalesce(%(now)s, clock_timestamp())
                      AND consumers.partition_of(h.originator_id, %(partitions)s) = p.partition))
 ORDER BY p.position, p.partition
"""
TAKE = """
SELECT p.position, p.event_id
  FROM consumers.partitions p
 WHERE p.company_id = %(company_id)s AND p.consumer_id = %(consumer_id)s
   AND p.partition = %(partition)s
   AND (p.leased_until IS NULL OR p.leased_until <= coalesce(%(now)s, clock_timestamp()))
   FOR UPDATE SKIP LOCKED
"""
LEASE = """
UPDATE consumers.partitions
   SET lease = %(lease)s, owner = %(owner)s, sequence = %(sequence)s,
       leased_until = coalesce(%(now)s, clock_timestamp()) + make_interval(secs => %(seconds)s),
       delivered = %(delivered)s, scanned = %(scanned)s
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND partition = %(partition)s
RETURNING leased_until
"""
# The consumer, to which partitions refer, is locked first, as it is by whoever changes it.
LEASED = """
SELECT p.partition, p.position, p.sequence, p.delivered, p.scanned,
       p.leased_until IS NULL,
       coalesce(p.leased_until, 'infinity') > coalesce(%(now)s, clock_timestamp())
  FROM consumers.consumers c
  JOIN consumers.partitions p ON p.company_id = c.company_id AND p.consumer_id = c.id
 WHERE c.company_id = %(company_id)s AND c.id = %(consumer_id)s AND p.lease = %(lease)s
   FOR KEY SHARE OF c
   FOR UPDATE OF p
"""
EXTEND = """
UPDATE consumers.partitions
   SET leased_until = coalesce(%(now)s, clock_timestamp()) + make_interval(secs => %(seconds)s)
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s AND lease = %(lease)s
"""
# The lease stays known: an acknowledgement whose answer was lost is sent again.
GIVE_BACK = """
UPDATE consumers.partitions SET leased_until = NULL
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s AND lease = %(lease)s
"""
END_LEASE = """
UPDATE consumers.partitions SET lease = NULL, leased_until = NULL
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s AND lease = %(lease)s
"""
MOVE_HELD = """
UPDATE consumers.held
   SET position = greatest(position, %(position)s),
       attempts = CASE WHEN failed <= %(position)s THEN 0 ELSE attempts END
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND originator_id = %(originator_id)s
"""
# Whose event is at a position, if it was handed out with this lease and is not acknowledged.
REFUSED = """
SELECT e.originator_id
  FROM event_store.events e
  LEFT JOIN consumers.held h
    ON h.company_id = e.company_id AND h.consumer_id = %(consumer_id)s
   AND h.originator_id = e.originator_id
 WHERE e.company_id = %(company_id)s AND e.position = %(failed)s
   AND e.position <= %(delivered)s
   AND e.position > coalesce(h.position, %(position)s)
   AND h.originator_id IS NOT DISTINCT FROM %(sequence)s::uuid
   AND (%(topics)s::text[] IS NULL OR e.topic = ANY(%(topics)s::text[]))
   AND (%(of)s::uuid IS NULL OR e.originator_id = %(of)s::uuid)
   AND consumers.partition_of(e.originator_id, %(partitions)s) = %(partition)s
"""
# An event that is refused again counts on; another one of the same aggregate begins anew.
HOLD = """
INSERT INTO consumers.held AS h (
       consumer_id, company_id, originator_id, position, failed, attempts, error, retry_at, held_at)
VALUES (%(consumer_id)s, %(company_id)s, %(originator_id)s, %(position)s, %(failed)s, 1,
        %(error)s, 'infinity', coalesce(%(now)s, clock_timestamp()))
    ON CONFLICT (consumer_id, originator_id) DO UPDATE
   SET attempts = CASE WHEN h.failed = excluded.failed THEN h.attempts + 1 ELSE 1 END,
       failed = excluded.failed, error = excluded.error, held_at = excluded.held_at
RETURNING attempts
"""
RETRY = """
UPDATE consumers.held
   SET retry_at = coalesce(coalesce(%(now)s, clock_timestamp())
                           + make_interval(secs => %(seconds)s::double precision), 'infinity')
 WHERE company_id = %(company_id)s AND consumer_id = %(consumer_id)s
   AND originator_id = %(originator_id)s
"""

Patience = Callable[[int], float]


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: one, and twice as long each time, up to a minute."""
    return float(min(LONGEST_BACKOFF, 2 ** (attempts - 1)))


@dataclass(frozen=True)
class Delivery:
    """Events that were handed out to one reader: acknowledge `position` when all are dealt with.

    `rows`: as the feed reads them. `leased_until`: the reader's time is over then.
    """

    lease: UUID
    partition: int
    rows: Sequence[Row]
    position: int
    leased_until: datetime


@dataclass(frozen=True)
class _Lease:
    partition: int
    position: int
    sequence: UUID | None
    delivered: int
    scanned: int
    returned: bool


class Reader:
    """Whoever deals with the events of a consumer, in a transaction of theirs.

    `now`: the moment to decide by; None = the database's own clock.
    """

    def __init__(
        self, connection: Connection, consumer: Consumer, now: datetime | None = None
    ) -> None:
        self._consumer = consumer
        self._sql = Statements(
            connection,
            {
                "company_id": consumer.company_id,
                "consumer_id": consumer.id,
                "partitions": consumer.terms.partitions,
                "topics": consumer.terms.params()["topics"],
                "of": consumer.terms.originator_id,
                "now": now,
            },
        )
        self._handouts = Handouts(self._sql)

    @property
    def is_through(self) -> bool:
        """Whether the last fetch looked at all there is; if not, the next goes on from there."""
        return self._handouts.is_through

    async def fetch(self, owner: UUID, limit: int, seconds: float | None = None) -> Delivery | None:
        """The next events of some partition that nobody reads; None = there are none.

        Raises:
            Rewound: what was dealt with is not in the store any more.
        """
        for [partition] in await self._sql.all(FREE):
            for position, event_id in await self._sql.all(TAKE, partition=partition):
                found = await self._handouts.next(partition, position, event_id, limit)
                if found.rows:
                    return await self._lease(partition, found, owner, seconds)
        return None

    async def ack(self, lease: UUID, position: int) -> None:
        """All that was handed out up to a position is dealt with; the lease begins anew, or ends.

        Raises:
            LeaseLost: its time is over, or somebody else has the partition now.
            NotDelivered: nothing was handed out there.
        """
        leased = await self._leased(lease)
        if leased.returned:
            if position > leased.position:
                raise LeaseLost
            return
        if position > leased.scanned:
            raise NotDelivered
        is_all = position >= leased.delivered
        if leased.sequence:
            await self._sql.run(MOVE_HELD, position=position, originator_id=leased.sequence)
        elif position > leased.position:
            await self._handouts.move(leased.partition, leased.scanned if is_all else position)
        if is_all:
            await self._sql.run(GIVE_BACK, lease=lease)
        else:
            await self._sql.run(EXTEND, lease=lease, seconds=self._consumer.terms.lease_seconds)

    async def give_back(self, lease: UUID) -> None:
        """Let somebody else have what is not acknowledged, at once."""
        await self._sql.run(END_LEASE, lease=lease)

    async def nack(
        self, lease: UUID, failed: int, error: str | None, patience: Patience = backoff
    ) -> int:
        """The event at a position was refused: its aggregate waits; the lease ends.

        `patience`: how long, by the number of attempts. Returns that number; at the most that the
        terms allow, the aggregate is parked.

        Raises:
            LeaseLost, NotDelivered: as `ack`.
        """
        leased = await self._leased(lease)
        if leased.returned:
            raise LeaseLost
        originator_id = await self._refused(leased, failed)
        held = await self._sql.first(
            HOLD, originator_id=originator_id, failed=failed, position=leased.position, error=error
        )
        attempts: int = held[0] if held else 0
        is_over = attempts >= self._consumer.terms.max_attempts
        seconds = None if is_over else patience(attempts)
        await self._sql.run(RETRY, originator_id=originator_id, seconds=seconds)
        await self._sql.run(END_LEASE, lease=lease)
        return attempts

    async def _lease(
        self, partition: int, found: Handout, owner: UUID, seconds: float | None
    ) -> Delivery:
        lease = uuid4()
        [[leased_until]] = await self._sql.all(
            LEASE, partition=partition, lease=lease, owner=owner, sequence=found.sequence,
            seconds=seconds or self._consumer.terms.lease_seconds,
            delivered=found.rows[-1][0], scanned=found.scanned,
        )  # fmt: skip
        return Delivery(lease, partition, found.rows, found.scanned, leased_until)

    async def _leased(self, lease: UUID) -> _Lease:
        row = await self._sql.first(LEASED, lease=lease)
        if row is None or not row[-1]:
            raise LeaseLost
        return _Lease(*row[:-1])

    async def _refused(self, leased: _Lease, failed: int) -> UUID:
        row = await self._sql.first(REFUSED, **vars(leased), failed=failed)
        if row is None:
            raise NotDelivered
        return UUID(str(row[0]))
