"""Proofs that an event is in a company's log, and that the log only ever grew.

They hold for sizes up to that of the last signed head, to which they can be compared.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from application.audit_log import tiles
from application.audit_log.building import COMMITMENT
from application.audit_log.heads import sound
from application.audit_log.merkle import EMPTY_ROOT, Range, consistency_ranges, inclusion_ranges
from application.audit_log.tiles import Missing
from application.errors import StoreUnavailable

EVENT = f"""
SELECT position, originator_id, originator_version, topic, event_id, recorded_at, {COMMITMENT}
  FROM event_store.events
 WHERE company_id = %(company_id)s AND event_id = %(event_id)s
"""  # noqa: S608  # our own text alone
# The tile that the leaf of a position is in, and how many leaves in it are before.
PLACE = """
SELECT t.index * 256 + (
           SELECT count(*) FROM event_store.events e
            WHERE e.company_id = t.company_id AND e.position < %(position)s
              AND e.position > coalesce((SELECT before.last_position FROM audit_log.tiles before
                                          WHERE before.company_id = t.company_id
                                            AND before.level = 0 AND before.index = t.index - 1),
                                        -9223372036854775808))
  FROM audit_log.tiles t
 WHERE t.company_id = %(company_id)s AND t.level = 0 AND t.last_position >= %(position)s
 ORDER BY t.last_position
 LIMIT 1
"""

Connection = AsyncConnection[Any]


class NotInLog(Exception):
    """There is no such event in the signed log of this company: it may be, in a second."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@dataclass
class NoSuchSize(Exception):
    """No proof is given for a tree of this size."""

    name: str
    size: int
    least: int
    most: int

    def __str__(self) -> str:
        return f"must be from {self.least} to {self.most}"


@dataclass(frozen=True)
class Leaf:
    """What a leaf is made of; see `leaf.leaf_data`."""

    position: int
    aggregate_id: UUID
    version: int
    topic: str
    event_id: UUID
    recorded_at: datetime
    commitment: bytes


@dataclass(frozen=True)
class Inclusion:
    """The proof that a leaf is in the tree of a size and root."""

    index: int
    size: int
    root: bytes
    hash: bytes
    leaf: Leaf
    hashes: list[bytes]


@dataclass(frozen=True)
class Consistency:
    """The proof that the second tree begins with the first."""

    first: int
    second: int
    first_root: bytes
    second_root: bytes
    hashes: list[bytes]


async def inclusion(
    connection: Connection, company_id: UUID, event_id: UUID, size: int | None
) -> Inclusion:
    """The proof that an event is in the tree of a size; None = that of the last signed head.

    Raises:
        NothingSigned, SigningRefused, NotInLog, NoSuchSize.
        StoreUnavailable: the tiles lack something.
    """
    head = await sound(connection, company_id)
    leaf, index = await _leaf(connection, company_id, event_id)
    if index >= head.size:
        raise NotInLog
    size = _within("size", head.size if size is None else size, index + 1, head.size)
    path = inclusion_ranges(index, size)
    root, hash, *hashes = await _hashes(
        connection, company_id, [(0, size), (index, index + 1), *path]
    )
    return Inclusion(index, size, root, hash, leaf, hashes)


async def consistency(
    connection: Connection, company_id: UUID, first: int, second: int | None
) -> Consistency:
    """The proof that the tree of a size, None = that of the last head, begins with a smaller one.

    Raises:
        NothingSigned, SigningRefused, NoSuchSize.
        StoreUnavailable: the tiles lack something.
    """
    head = await sound(connection, company_id)
    second = _within("to", head.size if second is None else second, 0, head.size)
    path = consistency_ranges(_within("from", first, 0, second), second)
    roots = [(0, first), (0, second)]
    old, new, *hashes = await _hashes(connection, company_id, [*roots, *path])
    return Consistency(first, second, old, new, hashes)


async def _leaf(connection: Connection, company_id: UUID, event_id: UUID) -> tuple[Leaf, int]:
    params = {"company_id": company_id, "event_id": event_id}
    row = await (await connection.execute(EVENT.encode(), params)).fetchone()
    if row is None:
        raise NotInLog
    leaf = Leaf(*row)
    of = {"company_id": company_id, "position": leaf.position}
    place = await (await connection.execute(PLACE, of)).fetchone()
    if place is None:
        raise NotInLog
    return leaf, place[0]


async def _hashes(connection: Connection, company_id: UUID, wanted: list[Range]) -> list[bytes]:
    found = await tiles.read(connection, [(company_id, each) for each in wanted])
    try:
        return [found.over(company_id, each) if each[1] else EMPTY_ROOT for each in wanted]
    except Missing:
        raise StoreUnavailable("the tiles of the audit log lack something") from None


def _within(name: str, size: int, least: int, most: int) -> int:
    if not least <= size <= most:
        raise NoSuchSize(name, size, least, most)
    return size
