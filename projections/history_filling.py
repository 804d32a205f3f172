"""How the read model `history` is built anew: versions first, then which of them stood when.

A version of a table stands until the next one does, which is told by the events of that table. In
which eras it stood depends on all tables of its company, so that comes last, in one statement.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, pairwise
from uuid import UUID

from psycopg import AsyncConnection
from pydantic_core import to_json

from domain.base import ErasingEvent
from domain.recorded import Recorded
from projections.base import Statements, execute
from projections.eras import BEGINNING, COLUMNS, FOR_EVER, PARTS, SPANS, Present, begin, save
from projections.handlers import Row
from projections.versions import COLUMNS as VERSION
from projections.versions import forgetting, version_of

STOOD = ", ".join((*COLUMNS, "until"))
# What a version is with what is needed to let it stand; and those that stood.
CREATE_TOLD = """
CREATE TABLE told AS
SELECT v.*, s.name_folded, s.search_folded, s.until
  FROM versions v, standings s WITH NO DATA
"""
CREATE_STOOD = f"CREATE UNLOGGED TABLE stood AS SELECT {STOOD} FROM standings WITH NO DATA"  # noqa: S608
# What stood since a position at which another table of the company had been updated later already.
CREATE_OVERTAKEN = """
CREATE UNLOGGED TABLE overtaken AS SELECT company_id, position, latest FROM standings WITH NO DATA
"""
OVERTAKE = """
INSERT INTO overtaken SELECT * FROM json_populate_recordset(NULL::overtaken, %s::json)
"""
ADD = f"""
WITH rows AS MATERIALIZED (
    SELECT * FROM json_populate_recordset(NULL::told, %s::json)
), added AS (
    INSERT INTO versions SELECT {", ".join(VERSION)} FROM rows
)
INSERT INTO stood SELECT {STOOD} FROM rows WHERE until IS NOT NULL
"""  # noqa: S608
FETCH = 10_000
# All rows of all companies are joined; a follower, who looks up a few, is kept to indexes.
AT_EASE: Statements = [("SET LOCAL work_mem = '128MB'", ()), ("SET LOCAL enable_hashjoin = on", ())]
# The events of each company, how many tables more there are after each, and when what stands since
# was updated.
EVENTS = """
SELECT company_id, position,
       CASE topic WHEN 'TableDef.Created' THEN 1 WHEN 'TableDef.Purged' THEN -1 ELSE 0 END,
       CASE WHEN purged_at IS NULL THEN updated_at END
  FROM versions
 WHERE topic LIKE 'TableDef.%' AND updated_by IS NOT NULL
 ORDER BY company_id, position
"""
ANALYZE = "ANALYZE eras, overtaken"
# In each era from the one in which it came to the one in which it ended. They were added in the
# order of ids, and are to be left in it: neither the indexes nor the rows are jumped about in.
STAND = f"""
WITH spans AS MATERIALIZED ({SPANS.format(eras="eras")})
INSERT INTO standings ({STOOD}, latest, era, ended_in)
SELECT {STOOD}, coalesce(latest, updated_at), era,
       CASE WHEN era = eras[n] AND until < {FOR_EVER} THEN parts[n] ELSE {PARTS} END
  FROM stood
  JOIN spans USING (company_id)
  LEFT JOIN overtaken USING (company_id, position)
 CROSS JOIN LATERAL (SELECT width_bucket(until - 1, begins) AS n OFFSET 0) AS ended
 CROSS JOIN LATERAL generate_series(eras[width_bucket(position, begins)], eras[n]) AS era
"""  # noqa: S608
DONE = "DROP TABLE stood, told, overtaken"


class HistoryFilling:
    """Adds versions as it is told of them, and lets them stand when it knows of all."""

    whole: Collection[str] = ("versions",)

    def __init__(self) -> None:
        self._prepare: Statements = [(CREATE_TOLD, ()), (CREATE_STOOD, ()), (CREATE_OVERTAKEN, ())]
        self._states: dict[UUID, Row] = {}
        self._last: Row | None = None

    def fold(self, events: Sequence[Recorded]) -> Statements:
        """What adds a version for each event, but for the last one."""
        if not events:
            return []
        erasing = [r.event for r in events if isinstance(r.event, ErasingEvent)]
        forgotten = list(chain.from_iterable(forgetting(event) for event in erasing))
        rows = [version_of(self._states, recorded) for recorded in events]
        if self._last:
            rows.insert(0, self._last)
        for row, after in pairwise(rows):
            _let_stand(row, after)
        self._last = last = rows.pop()
        self._states = {last["id"]: self._states[last["id"]]}
        prepare, self._prepare = self._prepare, []
        return [*prepare, *forgotten, *_adding(rows)]

    def rest(self) -> Statements:
        """What adds the last version."""
        if not self._last:
            return self._prepare
        _let_stand(self._last)
        return [*self._prepare, *_adding([self._last])]

    async def finish(self, connection: AsyncConnection) -> None:
        """Divide what happened into eras, and let each version stand in its own."""
        await execute(connection, AT_EASE)
        await _plan(connection)
        await execute(connection, [(ANALYZE, ()), (STAND, ()), (DONE, ())])


def _let_stand(row: Row, after: Row | None = None) -> None:
    """Let a version of a table stand until the one after it, unless it is purged."""
    if row["topic"].startswith("TableDef.") and row.get("purged_at") is None:
        row["until"] = FOR_EVER
        if after and after["id"] == row["id"]:
            row["until"] = after["position"]


def _adding(rows: Sequence[Row]) -> Statements:
    return [(ADD, (to_json(rows).decode(),))] if rows else []


async def _plan(connection: AsyncConnection) -> None:
    """Write where eras and their parts begin, in which each company is now, and who was overtaken.

    Nobody waits for one that is filled, so an era begins as soon as the one before it is full.
    """
    presents: dict[UUID, Present] = {}
    beginnings: list[Row] = []
    overtaken: list[Row] = []
    tables = before = 0
    async with connection.cursor("events", binary=True) as cursor:
        cursor.itersize = FETCH
        await cursor.execute(EVENTS)
        async for company_id, position, change, updated_at in cursor:
            present = presents.get(company_id)
            if present is None:
                present, tables = Present(company_id, era=1), 0
                presents[company_id] = present
                beginnings.append(present.beginning(0))
            elif present.full:
                present.begin_next(tables)
                beginnings.append(present.beginning(before))
            if present.count(at_once=True):
                beginnings.append(present.beginning(position - 1))
            if updated_at and updated_at < present.latest:
                place = {"company_id": company_id, "position": position}
                overtaken.append(place | {"latest": present.latest})
            present.latest = max(present.latest, updated_at or BEGINNING)
            tables, before = tables + change, position
            if len(beginnings) + len(overtaken) >= FETCH:
                await _keep(connection, beginnings, overtaken, presents)
                presents, beginnings, overtaken = {company_id: present}, [], []
    await _keep(connection, beginnings, overtaken, presents)


async def _keep(
    connection: AsyncConnection,
    beginnings: Sequence[Row],
    overtaken: Sequence[Row],
    presents: Mapping[UUID, Present],
) -> None:
    await begin(connection, beginnings)
    await execute(connection, [(OVERTAKE, (to_json(overtaken).decode(),))])
    await save(connection, presents)
