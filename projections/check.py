"""Is the present state really what the events say? Folds from zero and compares.

The fold goes through the aggregates, not through the projection's own handlers, so that the two
check each other. Memory does not grow with the log: events come aggregate by aggregate.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from domain.base import replay
from domain.recorded import Recorded, decode
from domain.table_def import TableDef
from projections.base import connect, live_schema
from projections.table_defs import TableDefsProjection, searchable

SCHEMA = live_schema(TableDefsProjection())
POSITION = "SELECT position FROM projections.positions WHERE projection = %s"
EVENTS = """
SELECT originator_id, originator_version, topic, state, company_id, position, recorded_at
  FROM event_store.events
 ORDER BY originator_id, originator_version
"""
ROWS = "SELECT * FROM table_defs WHERE id = ANY(%s)"
ROW_COUNT = "SELECT count(*) AS number FROM table_defs"
SLUGS = "SELECT table_id, slug FROM event_store.slugs WHERE table_id = ANY(%s)"
SLUG_COUNT = "SELECT count(*) AS number FROM event_store.slugs"
CHUNK = 1_000  # tables
MOST_DIFFERENCES = 100


@dataclass
class Report:
    """What was compared, and every difference found (the first hundred of them)."""

    position: int = 0
    events: int = 0
    tables: int = 0
    differences: list[str] = field(default_factory=list)

    def differs(self, what: str, expected: object, found: object) -> None:
        """Note a difference."""
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append(f"{what}: the events say {expected!r}, found {found!r}")


async def check(conninfo: str) -> Report:
    """Compare every row of the read model, and every slug reservation, with the events."""
    report = Report()
    async with await connect(conninfo, SCHEMA) as connection:
        await connection.set_read_only(True)
        async with connection.transaction():
            await connection.execute(b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            row = await (await connection.execute(POSITION, (SCHEMA,))).fetchone()
            report.position = row[0] if row else 0
            await _compare(connection, report)
    return report


async def _compare(connection: AsyncConnection, report: Report) -> None:
    rows = slugs = 0
    async for histories in _chunks(connection):
        report.events += sum(map(len, histories))
        projected = [h for past in histories if (h := _until(past, report.position))]
        rows += await _compare_rows(connection, report, list(map(_expected, projected)))
        slugs += await _compare_slugs(connection, report, histories)
    report.tables = rows
    await _compare_count(connection, report, "rows of table_defs", ROW_COUNT, rows)
    await _compare_count(connection, report, "slug reservations", SLUG_COUNT, slugs)


async def _chunks(connection: AsyncConnection) -> AsyncIterator[list[list[Recorded]]]:
    """Whole histories of aggregates, a thousand at a time."""
    histories: list[list[Recorded]] = []
    async with connection.cursor("events", binary=True) as cursor:
        cursor.itersize = 5_000
        await cursor.execute(EVENTS)
        async for id, version, topic, state, company_id, position, recorded_at in cursor:
            event = decode(topic, id, version, state)
            if version == 1 and len(histories) >= CHUNK:
                yield histories
                histories = []
            if version == 1:
                histories.append([])
            histories[-1].append(Recorded(event, company_id, position, recorded_at))
    yield histories


def _until(history: Sequence[Recorded], position: int) -> list[Recorded]:
    return [recorded for recorded in history if recorded.position <= position]


def _expected(history: Sequence[Recorded]) -> tuple[TableDef, int]:
    return _fold(history), history[-1].position


def _fold(history: Sequence[Recorded]) -> TableDef:
    table: TableDef = replay([recorded.event for recorded in history])
    return table


async def _compare_rows(
    connection: AsyncConnection, report: Report, tables: Sequence[tuple[TableDef, int]]
) -> int:
    expected = {t.id: searchable(_row(t, position)) for t, position in tables if not t.purged_at}
    found = await _fetch(connection, ROWS, [table.id for table, _ in tables])
    present: dict[UUID, Any] = {row["id"]: row for row in found}
    for id in expected.keys() | present.keys():
        one, other = expected.get(id), present.get(id)
        if one is None or other is None:
            report.differs(f"table {id}", "exists" if one else "gone", "row" if other else "none")
            continue
        for column in one:
            if one[column] != other[column]:
                report.differs(f"table {id}, {column}", one[column], other[column])
    return len(expected)


async def _compare_slugs(
    connection: AsyncConnection, report: Report, histories: Sequence[Sequence[Recorded]]
) -> int:
    tables = [_fold(history) for history in histories]
    expected = {table.id: table.slug for table in tables if not table.purged_at}
    found = await _fetch(connection, SLUGS, [table.id for table in tables])
    present = {row["table_id"]: row["slug"] for row in found}
    for id in expected.keys() | present.keys():
        if expected.get(id) != present.get(id):
            report.differs(f"reservation of {id}", expected.get(id), present.get(id))
    return len(expected)


async def _compare_count(
    connection: AsyncConnection, report: Report, what: str, query: str, expected: int
) -> None:
    row = (await _fetch(connection, query))[0]
    if row["number"] != expected:
        report.differs(what, expected, row["number"])


async def _fetch(
    connection: AsyncConnection, query: str, ids: Sequence[UUID] | None = None
) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query.encode(), None if ids is None else (list(ids),))
        return await cursor.fetchall()


def _row(table: TableDef, position: int) -> dict[str, Any]:
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
