"""Is the present state really what the events say? Folds from zero and compares.

The fold goes through the aggregates, not through the projection's own handlers, so that the two
check each other. Memory does not grow with the log: events come aggregate by aggregate.
"""

import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from domain.base import replay
from domain.recorded import decode
from domain.table_def import TableDef
from domain.values import same_json
from projections.base import connect
from projections.expected import KEEP, KEPT, READ_MODEL_OF, STRAY, TABLES, TENANCY, Kept
from projections.handlers import Row

POSITIONS = "SELECT projection, position FROM projections.positions WHERE projection = ANY(%s)"
EVENTS = """
SELECT originator_id, originator_version, topic, state, position
  FROM event_store.events
 ORDER BY originator_id, originator_version
"""
# Sorting a large log takes as long as it takes.
NO_HURRY = "-c statement_timeout=0"
CHUNK = 1_000  # tables
MOST_DIFFERENCES = 100
MISSING = "the events say that it is there, it is missing"
STRAY_ROW = "the events know nothing of it, it is there"

KNOWN_AS = {"Workspace": "workspace", "Company": "company"}


@dataclass
class Report:
    """What was compared, and every difference found (the first hundred of them)."""

    position: int = 0
    events: int = 0
    tables: int = 0
    differences: list[str] = field(default_factory=list)

    def differs(self, what: str, expected: object, found: object) -> None:
        """Note a difference."""
        self.note(f"{what}: the events say {expected!r}, found {found!r}")

    def note(self, difference: str) -> None:
        """Note a difference in words."""
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append(difference)


@dataclass
class History:
    """The stored events of one aggregate, and what they make of it: now, and as projected."""

    id: UUID
    rows: list[Any] = field(default_factory=list)
    now: Any = None
    projected: Any = None
    position: int = 0

    def fold(self, positions: Mapping[str, int]) -> None:
        """Fold the events: all of them, and those that the read model has seen.

        Raises:
            Exception: one of them cannot be read, or one is missing.
        """
        events = [decode(topic, id, version, state) for id, version, topic, state, _ in self.rows]
        read_model = READ_MODEL_OF[events[0].TOPIC.partition(".")[0]]
        seen = [row[4] for row in self.rows if row[4] <= positions[read_model]]
        self.now = replay(events)
        self.projected = self.now if len(seen) == len(events) else replay(events[: len(seen)])
        self.position = seen[-1] if seen else 0


async def check(conninfo: str) -> Report:
    """Compare every row of the read models, and all that the store keeps, with the events."""
    report = Report()
    async with await connect(conninfo, "public", NO_HURRY) as connection:
        await connection.set_read_only(True)
        async with connection.transaction():
            await connection.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # Before the snapshot is taken, so that a rebuild cannot put tables under it that it
            # does not see.
            await connection.execute(KEEP.encode())
            found = await connection.execute(POSITIONS, (list(READ_MODEL_OF.values()),))
            positions = {TABLES: 0, TENANCY: 0} | dict(await found.fetchall())
            report.position = positions[TABLES]
            await _compare(connection, report, positions)
    return report


async def _compare(
    connection: AsyncConnection, report: Report, positions: Mapping[str, int]
) -> None:
    async with aclosing(_chunks(connection)) as chunks:
        async for chunk in chunks:
            report.events += sum(len(history.rows) for history in chunk)
            folded = [history for history in chunk if _folds(history, report, positions)]
            for kind, kept in KEPT.items():
                ours = [history for history in folded if isinstance(history.now, kind)]
                for each in kept:
                    await _compare_kept(connection, report, each, ours)
    for stray in await _fetch(connection, STRAY):
        report.note(f"{stray['what']}: {STRAY_ROW}")


async def _chunks(connection: AsyncConnection) -> AsyncGenerator[list[History], None]:
    """Whole histories of aggregates, a thousand at a time."""
    histories: list[History] = []
    async with connection.cursor("events", binary=True) as cursor:
        cursor.itersize = 5_000
        await cursor.execute(EVENTS)
        async for row in cursor:
            if not histories or histories[-1].id != row[0]:
                if len(histories) >= CHUNK:
                    yield histories
                    histories = []
                histories.append(History(row[0]))
            histories[-1].rows.append(row)
    yield histories


def _folds(history: History, report: Report, positions: Mapping[str, int]) -> bool:
    try:
        history.fold(positions)
    except Exception as error:  # whatever is wrong with it, the others are to be compared
        noun = KNOWN_AS.get(history.rows[0][2].partition(".")[0], "table")
        report.note(f"{noun} {history.id}: its events cannot be read: {error}")
        return False
    report.tables += isinstance(history.projected, TableDef) and not history.projected.purged_at
    return True


async def _compare_kept(
    connection: AsyncConnection, report: Report, kept: Kept, histories: Sequence[History]
) -> None:
    expected = {}
    for history in histories:
        aggregate = history.projected if kept.projected else history.now
        row = aggregate and kept.row(aggregate, history.position)
        if row:
            expected[history.id] = row
    found = await _fetch(connection, kept.query, [history.id for history in histories])
    _compare_rows(report, kept.what, expected, found)


def _compare_rows(
    report: Report, what: str, expected: Mapping[UUID, Row], found: Iterable[Row]
) -> None:
    present = {row["id"]: row for row in found}
    for id in sorted(expected.keys() | present.keys()):
        one, other = expected.get(id), present.get(id)
        if one is None or other is None:
            report.note(f"{what} {id}: {MISSING if one else STRAY_ROW}")
            continue
        for column in one:
            if not _same(one[column], other[column]):
                report.differs(f"{what} {id}, {column}", one[column], other[column])


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; in JSON, `true` is not `1`, and 1e300 has many spellings."""
    if isinstance(one, dict):
        return same_json(_floats(one), _floats(other))
    return bool(one == other)


def _floats(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_int=float)


async def _fetch(
    connection: AsyncConnection, query: str, ids: Sequence[UUID] | None = None
) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query.encode(), None if ids is None else (list(ids),))
        return await cursor.fetchall()
