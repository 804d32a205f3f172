"""Which leaves of a company's tree a range of positions is, in one snapshot of the database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, IsolationLevel

from application.audit_log import tiles
from application.audit_log.archive import Part
from application.audit_log.building import TILE
from application.audit_log.merkle import HASH_SIZE, Range, perfect_subtrees
from application.audit_log.tiles import Hashes, Missing
from application.event_store.session import ACT_AS, companies

LAST = 2**63 - 1
BEFORE_ALL = -(2**63)  # positions begin with 1; what was put before them is found as well
HEAD = "SELECT size, root, note FROM audit_log.heads WHERE company_id = %(company_id)s"
# The tile of the first event from a position on, and the events in it that are before.
PLACE = """
SELECT t.index, (SELECT count(*)
                   FROM event_store.events e
                  WHERE e.company_id = t.company_id AND e.position < %(position)s
                    AND e.position > coalesce(
                        (SELECT before.last_position
                           FROM audit_log.tiles before
                          WHERE before.company_id = t.company_id AND before.level = 0
                            AND before.index = t.index - 1), 0))
  FROM audit_log.tiles t
 WHERE t.company_id = %(company_id)s AND t.level = 0 AND t.last_position >= %(position)s
 ORDER BY t.index LIMIT 1
"""
END_OF_TILE = """
SELECT last_position FROM audit_log.tiles
 WHERE company_id = %(company_id)s AND level = 0 AND index <= %(index)s
 ORDER BY index DESC LIMIT 1
"""
EVENTS = """
SELECT company_id, position, originator_id, originator_version, topic, event_id, recorded_at,
       salt, state, commitment
  FROM event_store.events
 WHERE company_id = %(company_id)s AND position > %(after)s AND position <= %(until)s
 ORDER BY position LIMIT %(limit)s
"""
TILES = """
SELECT index, hashes FROM audit_log.tiles
 WHERE company_id = %(company_id)s AND level = 0 AND index >= %(first)s AND index <= %(last)s
 ORDER BY index
"""
EVENTS_AT_ONCE = 1_000
TILES_AT_ONCE = 64

Connection = AsyncConnection[Any]


class NothingSigned(Exception):
    """No head of this company's log is signed yet, or none that covers what just happened."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@dataclass(frozen=True)
class Wanted:
    """The events of a company from one position to another, both included.

    `awaited`: the signed head has to cover the event at this position; 0 = whatever it covers.
    """

    company_id: UUID
    first: int = 1
    last: int = LAST
    awaited: int = 0


@dataclass(frozen=True)
class Selection:
    """What is exported: `part` of the tree whose signed head is `note`, in one snapshot."""

    connection: Connection
    wanted: Wanted
    part: Part
    note: str
    until: int

    @property
    def size(self) -> int:
        """How many events there should be."""
        return self.part.end - self.part.begin

    async def events(self) -> AsyncIterator[Sequence[Sequence[Any]]]:
        """The events that there are, some at a time, as `event_line` takes them."""
        after, left = self.wanted.first - 1 or BEFORE_ALL, self.size
        while left > 0:
            limit = min(left, EVENTS_AT_ONCE)
            rows = await self._rows(EVENTS, after=after, until=self.until, limit=limit)
            if not rows:
                return
            yield rows
            after, left = rows[-1][1], left - len(rows)

    async def leaves(self) -> AsyncIterator[bytes]:
        """The leaf hashes as they were kept, some at a time."""
        begin, end = self.part.begin, self.part.end
        for first in range(begin // TILE, -(-end // TILE), TILES_AT_ONCE):
            for index, hashes in await self._rows(
                TILES, first=first, last=first + TILES_AT_ONCE - 1
            ):
                at = index * TILE
                yield hashes[max(0, begin - at) * 32 : max(0, end - at) * 32]

    async def _rows(self, query: str, **params: Any) -> Sequence[Sequence[Any]]:
        return await rows_of(self.connection, query, company_id=self.wanted.company_id, **params)


@asynccontextmanager
async def selected(connection: Connection, wanted: Wanted) -> AsyncIterator[Selection]:
    """A snapshot of what is exported, as long as the block lasts, on an idle connection.

    Raises:
        NothingSigned.
    """
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
    async with connection.transaction():
        await connection.execute(ACT_AS, (companies(wanted.company_id),))
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield await _selection(connection, wanted)


async def _selection(connection: Connection, wanted: Wanted) -> Selection:
    company_id = wanted.company_id
    heads = await rows_of(connection, HEAD, company_id=company_id)
    if not heads:
        raise NothingSigned
    size, root, note = heads[0]
    if wanted.awaited and await _index(connection, company_id, wanted.awaited) >= size:
        raise NothingSigned
    begin = min(size, await _index(connection, company_id, wanted.first))
    end = min(size, max(begin, await _index(connection, company_id, wanted.last + 1)))
    index = (max(size, 1) - 1) // TILE
    ends = await rows_of(connection, END_OF_TILE, company_id=company_id, index=index)
    until = min(wanted.last, ends[0][0] if ends else 0)
    before, after = list(perfect_subtrees(0, begin)), list(perfect_subtrees(end, size))
    known = await tiles.read(connection, [(company_id, each) for each in (*before, *after)])
    part = Part(
        company_id, begin, end, size, root,
        [_over(known, company_id, each) for each in before],
        [_over(known, company_id, each) for each in after],
    )  # fmt: skip
    return Selection(connection, wanted, part, note, until)


async def _index(connection: Connection, company_id: UUID, position: int) -> int:
    """Of the first leaf whose event is at this position or later."""
    if position <= 1:
        return 0
    if position > LAST:
        return LAST
    found = await rows_of(connection, PLACE, company_id=company_id, position=position)
    return found[0][0] * TILE + found[0][1] if found else LAST


def _over(known: Hashes, company_id: UUID, leaves: Range) -> bytes:
    """What is not there any more does not keep the rest from being exported; it will not verify."""
    try:
        return known.over(company_id, leaves)
    except Missing:
        return bytes(HASH_SIZE)


async def rows_of(connection: Connection, query: str, **params: Any) -> Sequence[Sequence[Any]]:
    """All rows of a query."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query.encode(), params)
        return await cursor.fetchall()
