"""Making consumers, changing their terms, setting them to another place, and removing them."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from application.consumers.consumer import Connection, Consumer, Terms, find
from application.event_feed import Rewound
from domain.errors import NotFound

# Whoever defines the same name at the same time waits here.
INSERT = """
INSERT INTO consumers.consumers (
       id, company_id, name, topics, originator_id, partitions, lease_seconds, max_attempts,
       created_by)
VALUES (%(id)s, %(company_id)s, %(name)s, %(topics)s, %(originator_id)s, %(partitions)s,
        %(lease_seconds)s, %(max_attempts)s, %(created_by)s)
    ON CONFLICT (company_id, name) DO NOTHING
RETURNING created_at
"""
UPDATE = """
UPDATE consumers.consumers
   SET topics = %(topics)s, originator_id = %(originator_id)s, partitions = %(partitions)s,
       lease_seconds = %(lease_seconds)s, max_attempts = %(max_attempts)s
 WHERE company_id = %(company_id)s AND id = %(id)s
"""
DELETE = "DELETE FROM consumers.consumers WHERE company_id = %(company_id)s AND id = %(id)s"
# Whether the store goes that far, and the company's last event up to there. Were a backup restored
# that has this event, what follows might get positions that had been another company's.
PLACE = """
SELECT %(position)s <= event_store.head(), coalesce(last.position, 0), last.event_id
  FROM (VALUES (true)) AS one
  LEFT JOIN LATERAL (
       SELECT position, event_id FROM event_store.events
        WHERE company_id = %(company_id)s AND position <= %(position)s
        ORDER BY position DESC LIMIT 1) AS last ON true
"""
HEAD = """
SELECT coalesce(max(position), 0) FROM event_store.events WHERE company_id = %(company_id)s
"""
BEFORE = "SELECT event_store.position_before(%(moment)s)"
LOWEST = """
SELECT min(position) FROM consumers.partitions
 WHERE company_id = %(company_id)s AND consumer_id = %(id)s
"""
FORGET_PARTITIONS = """
DELETE FROM consumers.partitions WHERE company_id = %(company_id)s AND consumer_id = %(id)s
"""
FORGET_HELD = """
DELETE FROM consumers.held WHERE company_id = %(company_id)s AND consumer_id = %(id)s
"""
BEGIN = """
INSERT INTO consumers.partitions (consumer_id, company_id, partition, position, event_id)
SELECT %(id)s, %(company_id)s, partition, %(position)s, %(event_id)s
  FROM generate_series(0, %(partitions)s - 1) AS partition
"""


@dataclass(frozen=True)
class Place:
    """Where to go on: behind a position, before a moment, or at the head when both are None."""

    position: int | None = None
    moment: datetime | None = None


@dataclass(frozen=True)
class Definition:
    """A consumer that somebody wants: its name (None: of a webhook), terms, and where it begins."""

    company_id: UUID
    name: str | None
    terms: Terms
    created_by: UUID
    start: Place


async def define(connection: Connection, wanted: Definition, id: UUID) -> tuple[Consumer, bool]:
    """Make a consumer of this name, or give the one that exists these terms; and whether it is new.

    An existing one goes on where it is. If it is shared among another number of partitions, all
    leases end, and all go on from where the one most behind is.

    Raises:
        Rewound: the start is beyond the end of the store.
    """
    params = {
        **wanted.terms.params(),
        "id": id, "company_id": wanted.company_id, "name": wanted.name,
        "created_by": wanted.created_by,
    }  # fmt: skip
    row = await (await connection.execute(INSERT.encode(), params)).fetchone()
    if row is None:
        try:
            known = await find(connection, wanted.company_id, str(wanted.name), "update")
        except NotFound:  # it was removed in between
            return await define(connection, wanted, id)
        return await change(connection, known, wanted.terms), False
    consumer = Consumer(id, wanted.company_id, wanted.name, wanted.terms, wanted.created_by, row[0])
    await _begin(connection, consumer, await position_of(connection, consumer, wanted.start))
    return consumer, True


async def change(connection: Connection, known: Consumer, terms: Terms) -> Consumer:
    """Give a consumer other terms; see `define`."""
    changed = replace(known, terms=terms)
    if terms == known.terms:
        return known
    await connection.execute(UPDATE.encode(), {**terms.params(), **_ids(known)})
    if terms.partitions != known.terms.partitions:
        row = await (await connection.execute(LOWEST.encode(), _ids(known))).fetchone()
        await connection.execute(FORGET_PARTITIONS.encode(), _ids(known))
        await _begin(connection, changed, row[0] if row else 0)
    return changed


async def seek(connection: Connection, consumer: Consumer, place: Place) -> None:
    """Go on from another place: leases end, and what was held or parked is forgotten.

    Raises:
        Rewound: it is beyond the end of the store.
    """
    position = await position_of(connection, consumer, place)
    await connection.execute(FORGET_PARTITIONS.encode(), _ids(consumer))
    await connection.execute(FORGET_HELD.encode(), _ids(consumer))
    await _begin(connection, consumer, position)


async def remove(connection: Connection, company_id: UUID, id: UUID) -> None:
    """Forget a consumer and all that is known of it.

    Raises:
        NotFound.
    """
    params = {"company_id": company_id, "id": id}
    if (await connection.execute(DELETE.encode(), params)).rowcount == 0:
        raise NotFound


async def position_of(connection: Connection, consumer: Consumer, place: Place) -> int:
    """The position behind which to go on."""
    if place.position is not None:
        return place.position
    params = {"company_id": consumer.company_id, "moment": place.moment}
    query = HEAD if place.moment is None else BEFORE
    row = await (await connection.execute(query.encode(), params)).fetchone()
    return int(row[0]) if row else 0


async def _begin(connection: Connection, consumer: Consumer, position: int) -> None:
    params: dict[str, Any] = {**_ids(consumer), "position": position}
    [(reached, last, event_id)] = await (
        await connection.execute(PLACE.encode(), params)
    ).fetchall()
    if not reached:
        raise Rewound
    params |= {"position": last, "event_id": event_id, "partitions": consumer.terms.partitions}
    await connection.execute(BEGIN.encode(), params)


def _ids(consumer: Consumer) -> dict[str, Any]:
    return {"id": consumer.id, "company_id": consumer.company_id}
