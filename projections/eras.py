"""Which version of each table stood when: era by era, so that any moment is as near as the present.

Each event adds a row to its company's present era and ends the row before it. When an era has seen
as many events as there were tables, the next one is filled with what stands now, a share at each
batch; then it is the present one. So an era has about two rows for each table that stands in it.

Those that ended are told apart by the part of the era in which they did, so that whoever asks for a
position need not pass over all that ended before it, which is what was updated longest ago.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
# The parts of an era are 0 to 15; what ended before it began is in one before, what still stands is
# in one after.
PARTS, BEFORE = 16, -1
NOTHING = UUID(int=0)
BEGINNING = datetime.min.replace(tzinfo=UTC)

COLUMNS = (
    "id", "version", "company_id", "position", "workspace_id", "updated_by", "deleted_at",
    "created_at", "updated_at", "name_folded", "search_folded",
)  # fmt: skip
LOAD = """
SELECT * FROM present_eras WHERE company_id = ANY(%s)
"""
SAVE = """
INSERT INTO present_eras SELECT * FROM json_populate_recordset(NULL::present_eras, %s::json)
    ON CONFLICT (company_id) DO UPDATE
   SET era = excluded.era, part = excluded.part, events = excluded.events,
       tables = excluded.tables, filled_to = excluded.filled_to, latest = excluded.latest
"""
BEGIN = "INSERT INTO eras SELECT * FROM json_populate_recordset(NULL::eras, %s::json)"
END = f"""
UPDATE standings s
   SET until = ended.until,
       ended_in = CASE WHEN s.era = ended.era THEN ended.part ELSE {BEFORE} END
  FROM unnest(%s::uuid[], %s::integer[], %s::bigint[], %s::integer[], %s::smallint[])
       AS ended(id, version, until, era, part)
 WHERE s.id = ended.id AND s.version = ended.version AND s.era >= ended.era
"""  # noqa: S608
# What each company's eras and their parts are; the n-th of them is that in which a position is for
# which `width_bucket(position, begins)` is n.
SPANS = """
SELECT company_id, array_agg(begins ORDER BY begins) AS begins,
       array_agg(era ORDER BY begins) AS eras, array_agg(part ORDER BY begins) AS parts
  FROM {eras}
 GROUP BY company_id
"""
STAND_NO_MORE = "DELETE FROM standings WHERE id = ANY(%s)"
_CARRIED = ", ".join((*COLUMNS, "until", "ended_in", "latest"))
ADD = f"""
INSERT INTO standings ({_CARRIED}, era)
SELECT {_CARRIED}, era FROM json_populate_recordset(NULL::standings, %s::json)
"""  # noqa: S608
CARRY = f"""
WITH carried AS (
    INSERT INTO standings ({_CARRIED}, era)
    SELECT {_CARRIED}, era + 1
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
    """The era and its part that a company's events go to.

    `events`: since it began. `tables`: that stood then. `filled_to`: how far the next one is
    filled. `latest`: the last time that any table of the company was updated.
    """

    company_id: UUID
    era: int
    part: int = 0
    events: int = 0
    tables: int = 0
    filled_to: UUID | None = None
    latest: datetime = BEGINNING

    @property
    def full(self) -> bool:
        """Whether the next era is to be filled."""
        return self.events >= max(SHORTEST, self.tables)

    def count(self, *, at_once: bool = False) -> bool:
        """Count an event; whether a part begins with it.

        `at_once`: the next era begins as soon as this one is full, and is not filled meanwhile.
        """
        expected = max(SHORTEST, self.tables) * (1 if at_once else 1 + 1 / SHARE)
        # Never back: who goes on where a rebuild ended expects fewer parts by now.
        before, part = self.part, int(PARTS * self.events / expected)
        self.part = min(PARTS - 1, max(before, part))
        self.events += 1
        return self.part != before

    def begin_next(self, tables: int) -> None:
        """Go on to the next era, in which so many tables stand."""
        self.era, self.part, self.events = self.era + 1, 0, 0
        self.tables, self.filled_to = tables, None

    def beginning(self, position: int) -> Row:
        """The row that says that its part answers from a position on."""
        return {
            "company_id": self.company_id, "begins": position, "era": self.era, "part": self.part,
        }  # fmt: skip

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
    presents = await load(connection, rows)
    standing: list[Row] = []
    last: dict[UUID, Row] = {}
    ended, begun = [], []
    for row in rows:
        id, position, present = row["id"], row["position"], presents[row["company_id"]]
        if present.count():
            begun.append(present.beginning(position - 1))
        if id in last:
            last.pop(id).update({"until": position, "ended_in": present.part})
        elif id in former:
            ended.append((id, former[id], position, present.era, present.part))
        if row.get("purged_at") is None:
            present.latest = max(present.latest, row["updated_at"])
            last[id] = {column: row[column] for column in COLUMNS}
            last[id] |= {"until": FOR_EVER, "ended_in": PARTS, "latest": present.latest}
            standing.append(last[id])
    if ended:
        await connection.execute(
            END.encode(), [list(column) for column in zip(*ended, strict=True)]
        )
    await _add(connection, standing, presents)
    await begin(connection, begun + await _go_on(connection, rows, presents))
    await save(connection, presents)


async def load(connection: AsyncConnection, rows: Sequence[Row]) -> dict[UUID, Present]:
    """Where each company is that these rows are of; one that is new begins."""
    wanted = {row["company_id"] for row in rows}
    async with connection.cursor(row_factory=class_row(Present), binary=True) as cursor:
        await cursor.execute(LOAD, (list(wanted),))
        found = {present.company_id: present async for present in cursor}
    new = {company_id: Present(company_id, era=1) for company_id in wanted - found.keys()}
    await begin(connection, [present.beginning(0) for present in new.values()])
    return found | new


async def save(connection: AsyncConnection, presents: Mapping[UUID, Present]) -> None:
    """Keep where each company is."""
    kept = [vars(present) for present in presents.values()]
    await connection.execute(SAVE, (to_json(kept).decode(),))


async def begin(connection: AsyncConnection, beginnings: Sequence[Row]) -> None:
    """Keep from where on parts of eras answer."""
    if beginnings:
        await connection.execute(BEGIN, (to_json(beginnings).decode(),))


async def _add(
    connection: AsyncConnection, standing: Sequence[Row], presents: Mapping[UUID, Present]
) -> None:
    """Add rows to the present era; to the next one only what may still stand when it begins."""
    kept = []
    for row in standing:
        present = presents[row["company_id"]]
        eras = present.of(row["id"]) if row["until"] == FOR_EVER else [present.era]
        kept += [row | {"era": era} for era in eras]
    if kept:
        await connection.execute(ADD, (to_json(kept).decode(),))


async def _go_on(
    connection: AsyncConnection, rows: Sequence[Row], presents: Mapping[UUID, Present]
) -> list[Row]:
    """Fill the next era of each company that has seen enough; returns those that begin now."""
    begun = []
    of_company: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        of_company[row["company_id"]].append(row)
    for company_id, events in of_company.items():
        present = presents[company_id]
        if present.filled_to is None and present.full:
            present.filled_to = NOTHING
        if present.filled_to is not None and await _fill(connection, present, len(events)):
            begun.append(present.beginning(events[-1]["position"]))
    return begun


async def _fill(connection: AsyncConnection, present: Present, events: int) -> bool:
    """Fill the next era by a share; whether it is full, and the present one from now on."""
    share = max(LEAST_SHARE, SHARE * events)
    params: dict[str, Any] = {**vars(present), "share": share}
    carried, last = await _one(connection, CARRY, params)
    if carried == share:
        present.filled_to = last
        return False
    [tables] = await _one(connection, COUNT, (present.company_id, present.era + 1))
    present.begin_next(tables)
    return True


async def _one(connection: AsyncConnection, query: str, params: Any) -> Any:
    return await (await connection.execute(query.encode(), params)).fetchone()
