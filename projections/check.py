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
from projections.base import POSITION, connect, live_schema
from projections.table_defs import TableDefsProjection, searchable

SCHEMA = live_schema(TableDefsProjection())
# Before the snapshot is taken, so that a rebuild cannot put tables under it that it does not see.
KEEP = "LOCK TABLE table_defs, purged_table_defs IN ACCESS SHARE MODE"
EVENTS = """
SELECT originator_id, originator_version, topic, state, position
  FROM event_store.events
 ORDER BY originator_id, originator_version
"""
ROWS = "SELECT * FROM table_defs WHERE id = ANY(%s)"
TOMBSTONES = "SELECT id, company_id, purged_at FROM purged_table_defs WHERE id = ANY(%s)"
SLUGS = """
SELECT table_id AS id, array_agg((company_id, slug)::text ORDER BY company_id, slug) AS reserved
  FROM event_store.slugs
 WHERE table_id = ANY(%s)
 GROUP BY table_id
"""
STRAY = """
SELECT 'table ' || id AS what FROM table_defs r
 WHERE NOT EXISTS (SELECT FROM event_store.events WHERE originator_id = r.id)
 UNION ALL
SELECT 'tombstone of ' || id FROM purged_table_defs r
 WHERE NOT EXISTS (SELECT FROM event_store.events WHERE originator_id = r.id)
 UNION ALL
SELECT 'reservation of ' || slug || ' by ' || table_id FROM event_store.slugs r
 WHERE NOT EXISTS (SELECT FROM event_store.events WHERE originator_id = r.table_id)
 ORDER BY what
"""
# Sorting a large log takes as long as it takes.
NO_HURRY = "-c statement_timeout=0"
CHUNK = 1_000  # tables
MOST_DIFFERENCES = 100
MISSING = "the events say that it is there, it is missing"
STRAY_ROW = "the events know nothing of it, it is there"

Row = dict[str, Any]


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
    """The stored events of one aggregate, and the table that they make: now, and as projected."""

    id: UUID
    rows: list[Any] = field(default_factory=list)
    table: TableDef | None = None
    projected: TableDef | None = None
    position: int = 0

    def fold(self, position: int) -> None:
        """Fold the events: all of them, and those that a projection at this position has seen.

        Raises:
            Exception: one of them cannot be read, or one is missing.
        """
        events = [decode(topic, id, version, state) for id, version, topic, state, _ in self.rows]
        seen = [row[4] for row in self.rows if row[4] <= position]
        self.table = replay(events)
        self.projected = self.table if len(seen) == len(events) else replay(events[: len(seen)])
        self.position = seen[-1] if seen else 0


async def check(conninfo: str) -> Report:
    """Compare every row of the read model, and every slug reservation, with the events."""
    report = Report()
    async with await connect(conninfo, SCHEMA, NO_HURRY) as connection:
        await connection.set_read_only(True)
        async with connection.transaction():
            await connection.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await connection.execute(KEEP)
            row = await (await connection.execute(POSITION, (SCHEMA,))).fetchone()
            report.position = row[0] if row else 0
            await _compare(connection, report)
    return report


async def _compare(connection: AsyncConnection, report: Report) -> None:
    async with aclosing(_chunks(connection)) as chunks:
        async for chunk in chunks:
            report.events += sum(len(history.rows) for history in chunk)
            await _compare_chunk(connection, report, [h for h in chunk if _folds(h, report)])
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


def _folds(history: History, report: Report) -> bool:
    try:
        history.fold(report.position)
    except Exception as error:  # whatever is wrong with it, the others are to be compared
        report.note(f"table {history.id}: its events cannot be read: {error}")
        return False
    return True


async def _compare_chunk(
    connection: AsyncConnection, report: Report, histories: Sequence[History]
) -> None:
    ids = [history.id for history in histories]
    projected = [(h.projected, h.position) for h in histories if h.projected]
    rows = {t.id: searchable(_row(t, p)) for t, p in projected if not t.purged_at}
    tombstones = {t.id: _tombstone(t) for t, _ in projected if t.purged_at}
    slugs = {h.id: _reservation(h.table) for h in histories if h.table and not h.table.purged_at}
    report.tables += len(rows)
    _compare_rows(report, "table", rows, await _fetch(connection, ROWS, ids))
    _compare_rows(report, "tombstone of", tombstones, await _fetch(connection, TOMBSTONES, ids))
    _compare_rows(report, "reservation of", slugs, await _fetch(connection, SLUGS, ids))


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


def _row(table: TableDef, position: int) -> Row:
    return {
        "id": table.id,
        "company_id": table.company_id,
        "workspace_id": table.workspace_id,
        "name": table.name,
        "slug": table.slug,
        "description": table.description,
        "icon": table.icon,
        "color": table.color,
        "settings": table.settings,
        "deleted_at": table.deleted_at,
        "created_by": table.created_by,
        "created_at": table.created_on,
        "updated_by": table.updated_by,
        "updated_at": table.modified_on,
        "version": table.version,
        "position": position,
    }


def _tombstone(table: TableDef) -> Row:
    return {"id": table.id, "company_id": table.company_id, "purged_at": table.purged_at}


def _reservation(table: TableDef) -> Row:
    return {"id": table.id, "reserved": [f"({table.company_id},{table.slug})"]}
