"""How a read model moves on: rows and position together, and what cannot be projected waits."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from domain.errors import UnreadableEvent
from domain.recorded import Recorded, decode, event_classes
from projections.base import Projection, Statements, channel, execute

# What was erased has no state, and is passed over; what has none and was not, cannot be read.
READ = """
SELECT originator_id, originator_version, topic,
       CASE WHEN split_part(topic, '.', 1) = ANY(%(nouns)s)
            THEN coalesce(state, CASE WHEN commitment IS NULL THEN ''::bytea END) END,
       company_id, position, recorded_at
  FROM event_store.events
 WHERE position > %(after)s
 ORDER BY position
 LIMIT %(limit)s
"""
READ_PARKED = """
SELECT originator_id, originator_version, topic,
       coalesce(state, CASE WHEN commitment IS NULL THEN ''::bytea END), company_id, position,
       recorded_at
  FROM event_store.events
 WHERE originator_id = %s AND position >= %s AND position <= %s
 ORDER BY originator_version
"""
BEGIN_TERM = """
UPDATE projections.positions SET term = term + 1
 WHERE projection = %s
RETURNING position, term
"""
ADVANCE = """
UPDATE projections.positions SET position = %(new)s
 WHERE projection = %(schema)s AND position = %(old)s AND term = %(term)s
RETURNING pg_notify(%(channel)s, %(new)s::text)
"""
PARKED = """
SELECT originator_id, position FROM projections.parked WHERE projection = %s ORDER BY position
"""
PARK = """
INSERT INTO projections.parked (projection, originator_id, position, error)
VALUES (%s, %s, %s, %s)
    ON CONFLICT (projection, originator_id) DO UPDATE SET error = excluded.error
"""
UNPARK = "DELETE FROM projections.parked WHERE projection = %s AND originator_id = ANY(%s)"
# What waited for long takes as long as it takes; were it given up, it would be tried for ever.
NO_HURRY = "SET LOCAL statement_timeout = 0"
# How its connection looks for rows, whatever the planner believed of a table when it was small.
BY_INDEX = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
KNOWN_TO_ANY_RELEASE = """
SELECT max(class_version) FROM event_store.topics WHERE topic = %s
"""
PROGRAM_LIMITS = "54"  # the class of SQLSTATEs for values that are too large to process

logger = logging.getLogger(__name__)

Waiting = Sequence[tuple[UUID, Sequence[Recorded]]]


class NotCreated(Exception):
    """This projection has no tables yet; `migrate` makes them."""


class Fenced(Exception):
    """Somebody else moves this projection now: another leader, or a finished rebuild."""


class NewerEvent(Exception):
    """A newer release wrote this event; only that release can project it."""


@dataclass
class Follower:
    """Moves one projection along the global order, a batch and a transaction at a time.

    `strict`: stop at an event that cannot be projected instead of parking its aggregate. `idle`:
    there was nothing to do at the last step.
    """

    projection: Projection
    connection: AsyncConnection[Any]
    schema: str
    strict: bool = False
    position: int = 0
    idle: bool = False

    async def start(self) -> None:
        """Fence off whoever was here before, and try once more what is parked.

        Raises:
            NotCreated: there is nothing to move.
        """
        row = await (await self.connection.execute(BEGIN_TERM, (self.schema,))).fetchone()
        if row is None:
            raise NotCreated(self.schema)
        self.position, self._term = row
        parked = await (await self.connection.execute(PARKED, (self.schema,))).fetchall()
        self._parked: set[UUID] = {originator_id for originator_id, _ in parked}
        await self._replay([w for one in parked if (w := await self._readable(*one))])

    async def step(self, limit: int) -> int:
        """Project the next events; returns how many there were.

        Raises:
            Fenced: the position is not where this follower left it; nothing was written.
            NewerEvent: the next event belongs to a newer release.
            UnreadableEvent, psycopg.Error: only when strict, at an event that is broken.
        """
        rows = await self.read(self.connection, self.position, limit)
        if not rows:
            return 0
        if self.projection.acts:
            rows = self._until_it_must_act(rows)
        try:
            await self.project(rows, self.understood(rows))
        except Exception as error:
            if self.strict or not _is_poison(error):
                raise
            await self._project_singly(rows)
        return len(rows)

    async def read(self, connection: AsyncConnection[Any], after: int, limit: int) -> list[Any]:
        """The next rows of the log, on any connection."""
        async with connection.cursor(binary=True) as cursor:
            nouns = list(self.projection.nouns)
            await cursor.execute(READ, {"nouns": nouns, "after": after, "limit": limit})
            return await cursor.fetchall()

    def understood(self, rows: Iterable[Any]) -> Sequence[Recorded]:
        """The events of these rows that the projection is shown.

        Raises:
            UnreadableEvent.
        """
        return [_recorded(row) for row in rows if self._concerns(row)]

    async def project(self, rows: Sequence[Any], events: Sequence[Recorded]) -> None:
        """Apply what was understood of these rows, which come next, and move behind them.

        Raises:
            As `step`.
        """
        erasing = [_recorded(row) for row in rows if self._ends_waiting(row)]
        erased = [recorded.event.originator_id for recorded in erasing]
        self.idle = not events and not erasing
        if self.idle:
            await self._advance(last_position(rows))
        else:
            async with self.connection.transaction():
                await self._advance(last_position(rows))
                await self.projection.apply(self.connection, events)
                if erasing:
                    await self._recover(erased, erasing)
        self._parked.difference_update(erased)
        self.position = last_position(rows)

    async def fill(self, statements: Statements) -> None:
        """Write what follows from events, without moving."""
        async with self.connection.transaction():
            await execute(self.connection, statements)

    async def filled(self, position: int) -> None:
        """Move to where what was filled comes from."""
        await self._advance(position)
        self.position = position

    def _until_it_must_act(self, rows: list[Any]) -> list[Any]:
        """Up to the first event that it acts on: the position tells what is done."""
        first = next((n for n, row in enumerate(rows, 1) if self._concerns(row)), len(rows))
        return rows[:first]

    def _concerns(self, row: Any) -> bool:
        """What was erased says nothing, until the event that says so."""
        originator_id, _, topic, state, *_ = row
        ours = topic.partition(".")[0] in self.projection.nouns
        return ours and state is not None and originator_id not in self._parked

    def _ends_waiting(self, row: Any) -> bool:
        """Of all that could not be projected of what is erased, nothing is left but that it is."""
        originator_id, _, topic, *_ = row
        return originator_id in self._parked and topic.endswith(".Erased")

    async def _project_singly(self, rows: Sequence[Any]) -> None:
        for row in rows:
            try:
                await self.project([row], self.understood([row]))
            except Exception as error:
                if not _is_poison(error):
                    raise
                await self._park(row, error)

    async def _park(self, row: Any, error: Exception) -> None:
        originator_id, _, topic, *_, position, _ = row
        if isinstance(error, UnreadableEvent) and await self._is_newer(topic):
            raise NewerEvent(f"{topic} at position {position}") from error
        logger.error("parked %s at position %s: %s", originator_id, position, error)
        async with self.connection.transaction():
            await self._advance(position)
            await self.connection.execute(
                PARK, (self.schema, originator_id, position, str(error)[:1000])
            )
        self._parked.add(originator_id)
        self.position = position

    async def _is_newer(self, topic: str) -> bool:
        cursor = await self.connection.execute(KNOWN_TO_ANY_RELEASE, (topic,))
        row = await cursor.fetchone()
        newest = row and row[0]
        ours = event_classes().get(topic)
        return newest is not None and (ours is None or ours.class_version < newest)

    async def _readable(
        self, originator_id: UUID, position: int
    ) -> tuple[UUID, Sequence[Recorded]] | None:
        """What waits for a parked aggregate, if this release can read all of it."""
        async with self.connection.cursor(binary=True) as cursor:
            await cursor.execute(READ_PARKED, (originator_id, position, self.position))
            rows = await cursor.fetchall()
        try:
            return originator_id, [_recorded(row) for row in rows if row[3] is not None]
        except UnreadableEvent as error:
            logger.warning("still parked: %s: %s", originator_id, error)
            return None

    async def _replay(self, waiting: Waiting) -> None:
        """Project what was parked: all together, for two tables may wait for each other's slug.

        If that fails, one by one, until a round helps nobody.
        """
        if not waiting or await self._unpark(waiting):
            return
        before = 0
        while len(waiting) != before:
            before = len(waiting)
            waiting = [one for one in waiting if not await self._unpark([one])]

    async def _unpark(self, waiting: Waiting) -> bool:
        ids = [originator_id for originator_id, _ in waiting]
        events = _in_global_order(recorded for _, past in waiting for recorded in past)
        try:
            async with self.connection.transaction():
                await self._advance(self.position)
                await self._recover(ids, events)
        except Exception as error:
            if not _is_poison(error):
                raise
            logger.warning("still parked: %s: %s", ", ".join(map(str, ids)), error)
            return False
        self._parked.difference_update(ids)
        return True

    async def _recover(self, ids: Sequence[UUID], events: Sequence[Recorded]) -> None:
        await self.connection.execute(NO_HURRY)
        await self.projection.recover(self.connection, events)
        await self.connection.execute(UNPARK, (self.schema, ids))

    async def _advance(self, position: int) -> None:
        """Move the position, before any row: a follower that lost its place writes nothing."""
        moved = await self.connection.execute(
            ADVANCE,
            {
                "new": position, "schema": self.schema, "channel": channel(self.schema),
                "old": self.position, "term": self._term,
            },
        )  # fmt: skip
        if moved.rowcount != 1:
            raise Fenced(self.schema)


def last_position(rows: Sequence[Any]) -> int:
    """The position of the last of these rows of the log."""
    *_, position, _ = rows[-1]
    return int(position)


def _is_poison(error: Exception) -> bool:
    """Whether the event is at fault, rather than the database, a lock, or who leads."""
    if isinstance(error, psycopg.Error):
        too_large = (error.sqlstate or "").startswith(PROGRAM_LIMITS)
        return too_large or isinstance(error, psycopg.DataError | psycopg.IntegrityError)
    return not isinstance(error, Fenced | NewerEvent | OSError)


def _in_global_order(events: Iterable[Recorded]) -> list[Recorded]:
    return sorted(events, key=lambda recorded: recorded.position)


def _recorded(row: Any) -> Recorded:
    originator_id, version, topic, state, company_id, position, recorded_at = row
    return Recorded(decode(topic, originator_id, version, state), company_id, position, recorded_at)
