"""Compares what is kept of the aggregates of a range of ids with their events.

Both come in the order of their ids, and are gone through side by side, so that memory does not grow
with the log, and a row that no event knows of is met as well. Then the eras of past versions are
compared with the versions.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncServerCursor
from psycopg.rows import TupleRow

from projections import past_standings
from projections.expected import KEPT, Kept
from projections.handlers import Row
from projections.histories import END, History, Key, Line
from projections.kept_rows import FORMS, UUIDS, Rows, leave_as_sent

# Of what is not folded nothing is read.
EVENTS = """
SELECT originator_id, originator_version, topic,
       CASE WHEN position <= %(to)s THEN state END AS state, position, recorded_at
  FROM event_store.events
 WHERE originator_id BETWEEN %(first)s AND %(last)s
 ORDER BY originator_id, originator_version
"""
CHUNK = 500  # events, which the processor's cache can hold; no history is cut in two
MOST_DIFFERENCES = 100
MISSING = ": the events say that it is there, it is missing"
STRAY_ROW = ": the events know nothing of it, it is there"
FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)


@dataclass
class Report:
    """What was compared, and every difference found (the first hundred of them)."""

    position: int = 0
    events: int = 0
    tables: int = 0
    differences: list[str] = field(default_factory=list)

    def note(self, difference: str) -> None:
        """Note a difference in words."""
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append(difference)

    def add(self, other: "Report") -> None:
        """Note what was found in the next range."""
        self.events += other.events
        self.tables += other.tables
        for difference in other.differences:
            self.note(difference)


@dataclass(frozen=True)
class Range:
    """Aggregates by their ids, both ends included; and how far to fold and compare.

    `positions`: how far each read model has come.
    """

    positions: Mapping[str, int]
    first: UUID = FIRST
    last: UUID = LAST
    to: int = END

    def params(self) -> dict[str, Any]:
        """What the queries are asked with."""
        return {"first": self.first, "last": self.last, "to": self.to}


async def compare(connection: AsyncConnection, range: Range) -> Report:
    """Compare a range, in the caller's transaction."""
    report = Report()
    async with AsyncExitStack() as open:
        kept = [
            (each, Rows(await _cursor(open, connection, f"kept_{number}", each.query, range), each))
            for number, each in enumerate(KEPT)
        ]
        events = await _cursor(open, connection, "events", EVENTS, range, [UUIDS])
        async for histories, last in _chunks(events, range):
            report.events += sum(history.folded for history in histories)
            folded = [history for history in histories if _folds(history, report)]
            unreadable = {each.key for each in histories} - {each.key for each in folded}
            for each, rows in kept:
                limit = END if each.read_model is None else range.positions[each.read_model]
                ours = (history for history in folded if history.kind in each.row)
                expected = (pair for history in ours for pair in history.rows(each, limit))
                found = await rows.until(last)
                _compare(report, each, rows, expected, found)
                for id, version in found:  # what nobody expected
                    if id not in unreadable:
                        report.note(each.label(id, version) + STRAY_ROW)
    past = past_standings.differences(connection, range.params(), MOST_DIFFERENCES)
    async for difference in past:
        report.note(difference)
    return report


async def _cursor(
    open: AsyncExitStack,
    connection: AsyncConnection,
    name: str,
    query: str,
    range: Range,
    as_sent: Iterable[int] = FORMS,
) -> AsyncServerCursor[TupleRow]:
    cursor = await open.enter_async_context(connection.cursor(name, binary=True))
    leave_as_sent(cursor, as_sent)
    await cursor.execute(query.encode(), range.params())
    return cursor


async def _chunks(
    events: AsyncServerCursor[TupleRow], range: Range
) -> AsyncIterator[tuple[list[History], bytes]]:
    """Whole histories of aggregates, and up to which id they are all of them."""
    begun: list[Line] = []  # of which there may be more
    while rows := await events.fetchmany(CHUNK):
        histories = []
        for id, lines in groupby(map(Line._make, rows), attrgetter("id")):
            if begun and id != begun[0].id:
                histories.append(History(begun, range.to))
                begun = []
            begun.extend(lines)
        if histories:
            yield histories, histories[-1].key
    yield [History(begun, range.to)] if begun else [], range.last.bytes


def _folds(history: History, report: Report) -> bool:
    try:
        history.fold()
    except Exception as error:  # whatever is wrong with it, the others are to be compared
        report.note(f"{history.name}: its events cannot be read: {error}")
        return False
    return True


def _compare(
    report: Report,
    kept: Kept,
    rows: Rows,
    expected: Iterable[tuple[Key, Row | None]],
    found: dict[Key, TupleRow],
) -> None:
    """Compare the rows that should be there, and take them out of those that were found."""
    for key, row in expected:
        other = found.pop(key, None)
        if row is None:
            continue
        report.tables += kept.what == "table"
        if other is None:
            report.note(kept.label(*key) + MISSING)
        elif not rows.equal(row, other):
            for difference in rows.differences(row, other):
                report.note(kept.label(*key) + difference)
