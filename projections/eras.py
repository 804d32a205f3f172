"""Which version of each table stood when: era by era, so that any moment is as near as the present.

Each event adds a row to its company's present era and ends the row before it. When an era has seen
as many events as there were tables, the next one is filled with what stands now, a share at each
batch; then it is the present one. So an era has about two rows for each table that stands in it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row
from pydantic_core import to_json

from projections.handlers import Row

FOR_EVER = 2**63 - 1
SHORTEST = 1_000  # events
SHARE = 4  # rows that are carried over for each event
LEAST_SHARE = 1_000
NOTHING = UUID(int=0)

COLUMNS = (
    "id", "version", "company_id", "position", "workspace_id", "updated_by", "deleted_at",
    "created_at", "updated_at", "name_folded", "search_folded",
)  # fmt: skip
LOAD = """
SELECT company_id, era, events, tables, filled_to FROM present_eras WHERE company_id = ANY(%s)
"""
SAVE = """
INSERT INTO present_eras (company_id, era, events, tables, filled_to) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (company_id) DO UPDATE
   SET era = excluded.era, events = excluded.events, tables = excluded.tables,
       filled_to = excluded.filled_to
"""
BEGIN = "INSERT INTO eras (company_id, era, begins) VALUES (%s, %s, %s)"
END = """
UPDATE standings s SET until = ended.until
  FROM unnest(%s::uuid[], %s::integer[], %s::bigint[], %s::integer[])
       AS ended(id, version, until, era)
 WHERE s.id = ended.id AND s.version = ended.version AND s.era >= ended.era
"""
ADD = """
INSERT INTO standings SELECT * FROM jsonb_populate_recordset(NULL::standings, %s::jsonb)
"""
_CARRIED = ", ".join(COLUMNS)
CARRY = f"""
WITH carried AS (
    INSERT INTO standings ({_CARRIED}, era, until)
    SELECT {_CARRIED}, era + 1, until
      FROM standings
     WHERE company_id = %(company_id)s AND era = %(era)s AND until = {FOR_EVER}
       AND id > %(filled_to)s
     ORDER BY id
     LIMIT %(share)s
    RETURNING id
)
SELECT count(*), (SELECT id FROM carried ORDER BY id DESC LIMIT 1) FROM carried
"""  # noqa: S608
COUNT = f"""
SELECT count(*) FROM standings WHERE company_id = %s AND era = %s AND until = {FOR_EVER}
"""  # noqa: S608


@dataclass
class Present:
    """The era that a company's events go to; `filled_to`: how far the next one is filled."""

    company_id: UUID
    era: int
    events: int = 0
    tables: int = 0
    filled_to: UUID | None = None

    def of(self, id: UUID) -> Sequence[int]:
        """The eras in which a table stands now."""
        if self.filled_to is None or id > self.filled_to:
            return (self.era,)
        return (self.era, self.era + 1)


async def stand(
    connection: AsyncConnection, rows: Sequence[Row], former: Mapping[UUID, int]
) -> None:
    """Let these versions of tables, in global order, stand from their position on.

    `former`: the version that each table had before. What was purged stands no more.
    """
    presents = await _load(connection, rows)
    lasting: list[tuple[Row, int]] = []
    latest: dict[UUID, int] = {}
    ended = []
    for row in rows:
        id, position = row["id"], row["position"]
        if id in latest:
            lasting[latest[id]] = (lasting[latest[id]][0], position)
        elif id in former:
            ended.append((id, former[id], position, presents[row["company_id"]].era))
        if row.get("purged_at") is None:
            latest[id] = len(lasting)
            lasting.append((row, FOR_EVER))
        else:
            latest.pop(id, None)
    if ended:
        await connection.execute(
            END.encode(), [list(column) for column in zip(*ended, strict=True)]
        )
    await _add(connection, lasting, presents)
    await _go_on(connection, rows, presents)


async def _load(connection: AsyncConnection, rows: Sequence[Row]) -> dict[UUID, Present]:
    wanted = {row["company_id"] for row in rows}
    async with connection.cursor(row_factory=class_row(Present), binary=True) as cursor:
        await cursor.execute(LOAD, (list(wanted),))
        found = {present.company_id: present async for present in cursor}
    for company_id in wanted - found.keys():
        await connection.execute(BEGIN, (company_id, 1, 0))
        found[company_id] = Present(company_id, era=1)
    return found


async def _add(
    connection: AsyncConnection,
    lasting: Sequence[tuple[Row, int]],
    presents: Mapping[UUID, Present],
) -> None:
    if not lasting:
        return
    kept = [
        {column: row[column] for column in COLUMNS} | {"era": era, "until": until}
        for row, until in lasting
        for era in presents[row["company_id"]].of(row["id"])
    ]
    await connection.execute(ADD, (to_json(kept).decode(),))


async def _go_on(
    connection: AsyncConnection, rows: Sequence[Row], presents: Mapping[UUID, Present]
) -> None:
    """Count the events of each era, and fill the next one when it has seen enough."""
    of_company: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        of_company[row["company_id"]].append(row)
    for company_id, events in of_company.items():
        present = presents[company_id]
        present.events += len(events)
        if present.filled_to is None and present.events >= max(SHORTEST, present.tables):
            present.filled_to = NOTHING
        if present.filled_to is not None:
            await _fill(connection, present, len(events), events[-1]["position"])
    states = [(p.company_id, p.era, p.events, p.tables, p.filled_to) for p in presents.values()]
    async with connection.cursor() as cursor:
        await cursor.executemany(SAVE, states)


async def _fill(connection: AsyncConnection, present: Present, events: int, position: int) -> None:
    share = max(LEAST_SHARE, SHARE * events)
    params: dict[str, Any] = {**vars(present), "share": share}
    carried, last = await _one(connection, CARRY, params)
    if carried == share:
        present.filled_to = last
        return
    present.era, present.events, present.filled_to = present.era + 1, 0, None
    [present.tables] = await _one(connection, COUNT, (present.company_id, present.era))
    await connection.execute(BEGIN, (present.company_id, present.era, position))


async def _one(connection: AsyncConnection, query: str, params: Any) -> Any:
    return await (await connection.execute(query.encode(), params)).fetchone()
