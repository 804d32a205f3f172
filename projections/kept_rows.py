"""The rows that are kept of aggregates, read side by side with what they should be.

They are many, so what they hold is compared as PostgreSQL sends it, in its binary format, and made
a value of Python only to tell a difference.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any
from uuid import UUID

from psycopg import AsyncServerCursor
from psycopg.abc import Loader
from psycopg.postgres import types
from psycopg.rows import TupleRow
from psycopg.types.numeric import Int8BinaryLoader
from psycopg.types.string import ByteaBinaryLoader
from pydantic_core import from_json, to_json

from domain.values import same_json
from projections.expected import Kept
from projections.handlers import Row
from projections.histories import Key

FETCH = 200  # rows
MOST_SETTINGS = 5_000  # that are compared once for many rows
EPOCH, MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
UUIDS, JSONB = types["uuid"].oid, types["jsonb"].oid


@dataclass(frozen=True)
class Form:
    """How values of a type are sent: which loader leaves them so, and how to read them.

    `sent`: an expression of what a value `x` is sent as.
    """

    loader: type[Loader]
    read: Callable[[Any], Any]
    sent: str = "x"


def _moment(sent: int) -> Any:
    try:
        return EPOCH + sent * MICROSECOND
    except OverflowError:
        return "what no calendar has"


FORMS: Mapping[int, Form] = {
    UUIDS: Form(ByteaBinaryLoader, lambda sent: UUID(bytes=bytes(sent)), "x.bytes"),
    types["timestamptz"].oid: Form(Int8BinaryLoader, _moment, "(x - EPOCH) // MICROSECOND"),
    JSONB: Form(ByteaBinaryLoader, lambda sent: from_json(sent[1:])),  # after its version
}


def leave_as_sent(cursor: AsyncServerCursor[TupleRow], oids: Iterable[int] = FORMS) -> None:
    """Let a cursor's rows have ids as bytes, moments as microseconds since 2000, JSON as text.

    `oids`: of the types that are left so.
    """
    for oid in oids:
        cursor.adapters.register_loader(oid, FORMS[oid].loader)


class Rows:
    """Rows that a cursor finds in the order of the ids of their aggregates, and how they compare.

    All that are compared have the same columns.
    """

    def __init__(self, cursor: AsyncServerCursor[TupleRow], kept: Kept) -> None:
        self._cursor = cursor
        self._kept = kept
        self._types = {each.name: each.type_code for each in cursor.description or ()}
        self._at = {name: n for n, name in enumerate(self._types)}
        self._rest: list[TupleRow] = []
        self._more = True
        self._equal: Callable[[Row, TupleRow], bool] | None = None

    async def until(self, id: bytes) -> dict[Key, TupleRow]:
        """The next rows, to those of this aggregate."""
        at = self._at["id"]
        found: list[TupleRow] = []
        while self._more and (not self._rest or self._rest[-1][at] <= id):
            found += self._rest
            self._rest = await self._cursor.fetchmany(FETCH)
            self._more = bool(self._rest)
        count = bisect_right(self._rest, id, key=itemgetter(at))
        found += self._rest[:count]
        self._rest = self._rest[count:]
        if self._kept.versions:
            version = self._at["version"]
            return {(row[at], row[version]): row for row in found}
        return {(row[at], 0): row for row in found}

    def equal(self, expected: Row, found: TupleRow) -> bool:
        """Whether a row is what it should be."""
        if self._equal is None:
            self._equal = self._comparison(self._kept.columns or tuple(expected))
        return self._equal(expected, found)

    def _comparison(self, columns: Sequence[str]) -> Callable[[Row, TupleRow], bool]:
        plain = [name for name in columns if self._types[name] != JSONB]
        given = itemgetter(*map(self._at.__getitem__, plain))
        # Compiled: to go through the columns in a loop takes half as long again.
        sent = ", ".join(self._sent(name) for name in plain)
        wanted = eval(f"lambda row: ({sent})", {"EPOCH": EPOCH, "MICROSECOND": MICROSECOND})  # noqa: S307
        json = [(name, self._at[name]) for name in columns if self._types[name] == JSONB]

        def equal(expected: Row, found: TupleRow) -> bool:
            if wanted(expected) != given(found):
                return False
            for name, n in json:  # noqa: SIM110  # for one column, a generator costs as much
                if not _same_settings(to_json(expected[name]), found[n]):
                    return False
            return True

        return equal

    def _sent(self, name: str) -> str:
        """An expression of what a column of a `row` is sent as."""
        form = FORMS.get(self._types[name])
        if form is None:
            return f"row[{name!r}]"
        return f"(None if (x := row[{name!r}]) is None else {form.sent})"

    def differences(self, expected: Row, found: TupleRow) -> Iterator[str]:
        """Each column of it that differs, in words; what follows from others, if these do not."""
        names = self._kept.columns or expected
        wrong = [name for name in names if not _same(expected[name], self._read(name, found))]
        for name in [name for name in wrong if name not in self._kept.derived] or wrong:
            value, other = expected[name], self._read(name, found)
            yield f", {name}: the events say {value!r}, found {other!r}"

    def _read(self, name: str, row: TupleRow) -> Any:
        sent, form = row[self._at[name]], FORMS.get(self._types[name])
        return form.read(sent) if form and sent is not None else sent


@lru_cache(MOST_SETTINGS)
def _same_settings(expected: bytes, sent: bytes | None) -> bool:
    return _same(from_json(expected), sent and from_json(sent[1:]))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; in JSON, `true` is not `1`, and 1e300 has many spellings."""
    if isinstance(one, dict):
        return same_json(one, other) or same_json(_floats(one), _floats(other))
    return bool(one == other)


def _floats(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_int=float)
