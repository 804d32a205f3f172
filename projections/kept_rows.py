"""The rows that are kept of aggregates, read side by side with what they should be."""

import json
from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import Any
from uuid import UUID

from psycopg import AsyncServerCursor
from psycopg.rows import TupleRow

from domain.values import same_json
from projections.expected import Kept
from projections.handlers import Row
from projections.histories import Key

FETCH = 2_000  # rows
JSONB = 3802  # the object id of the type


class Rows:
    """Rows that a cursor finds in the order of the ids of their aggregates, and how they compare.

    All that are compared have the same columns.
    """

    def __init__(self, cursor: AsyncServerCursor[TupleRow]) -> None:
        self._cursor = cursor
        described = cursor.description or ()
        self._columns = [column.name for column in described]
        self._id = self._columns.index("id")
        self._rest: list[TupleRow] = []
        self._more = True
        self._json = [(c.name, n) for n, c in enumerate(described) if c.type_code == JSONB]
        self._compared = False

    async def until(self, id: UUID) -> list[TupleRow]:
        """The next rows, to that of this aggregate."""
        found: list[TupleRow] = []
        while self._more and (not self._rest or self._rest[-1][self._id] <= id):
            found += self._rest
            self._rest = await self._cursor.fetchmany(FETCH)
            self._more = bool(self._rest)
        count = bisect_right(self._rest, id, key=itemgetter(self._id))
        found += self._rest[:count]
        self._rest = self._rest[count:]
        return found

    def key(self, row: TupleRow, kept: Kept) -> Key:
        """Which row it is."""
        return row[self._id], row[self._columns.index("version")] if kept.versions else 0

    def equal(self, expected: Row, found: TupleRow) -> bool:
        """Whether a row is what it should be."""
        if not self._compared:
            self._compared = True
            self._wanted = itemgetter(*expected)
            self._given = itemgetter(*map(self._columns.index, expected))
        if self._wanted(expected) != self._given(found):
            return not list(self.differences(expected, found))
        return all(_same(expected[name], found[n]) for name, n in self._json if expected[name])

    def differences(self, expected: Row, found: TupleRow) -> Iterator[str]:
        """Each column of it that differs, in words."""
        for name, value in expected.items():
            other = found[self._columns.index(name)]
            if not _same(value, other):
                yield f", {name}: the events say {value!r}, found {other!r}"


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; in JSON, `true` is not `1`, and 1e300 has many spellings."""
    if isinstance(one, dict):
        return same_json(one, other) or same_json(_floats(one), _floats(other))
    return bool(one == other)


def _floats(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_int=float)
