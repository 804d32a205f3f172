"""What happened to tables, workspaces and the company, and what each was after every event."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from domain.base import CreatedEvent, ErasingEvent
from domain.recorded import Recorded
from projections import eras, late_standings, table_defs
from projections.base import Filling, execute
from projections.handlers import Row
from projections.history_filling import HistoryFilling
from projections.versions import STATE, adding, forgetting, version_of

LOAD = f"""
SELECT v.*
  FROM unnest(%s::uuid[]) AS wanted(id)
 CROSS JOIN LATERAL (
       SELECT id, version, company_id, {", ".join(STATE)}
         FROM versions WHERE id = wanted.id ORDER BY version DESC LIMIT 1) AS v
"""  # noqa: S608
VERSIONS = f"""
SELECT id, version, company_id, position, {", ".join(STATE)}
  FROM versions WHERE id = ANY(%s) ORDER BY id, version
"""  # noqa: S608


class HistoryProjection:
    """The read model `history`."""

    name = "history"
    version = 2
    acts = False
    nouns = frozenset({"TableDef", "Workspace", "Company"})

    async def apply(self, connection: AsyncConnection, events: Sequence[Recorded]) -> None:
        """Add a version for each event, and let those of tables stand from then on."""
        rows, former = await _add(connection, events)
        if rows:
            await eras.stand(connection, rows, former)

    async def recover(self, connection: AsyncConnection, events: Sequence[Recorded]) -> None:
        """Add them, and let those tables stand anew, in all eras since."""
        rows, _ = await _add(connection, events)
        if rows:
            versions = await _versions(connection, list({row["id"] for row in rows}))
            await late_standings.stand_again(connection, versions)

    def filling(self) -> Filling:
        """Versions first, then which stood when."""
        return HistoryFilling()


async def _add(
    connection: AsyncConnection, events: Sequence[Recorded]
) -> tuple[Sequence[Row], Mapping[UUID, int]]:
    """Add a version for each event; those of tables, and which version was the last before."""
    states = await _load(connection, events)
    for recorded in events:
        if isinstance(recorded.event, ErasingEvent):
            await execute(connection, forgetting(recorded.event))
            states.pop(recorded.event.originator_id, None)
    former = {id: state["version"] for id, state in states.items()}
    rows = [version_of(states, recorded) for recorded in events]
    await execute(connection, adding(rows))
    return [row for row in rows if row["topic"].startswith("TableDef.")], former


async def _load(connection: AsyncConnection, events: Sequence[Recorded]) -> dict[UUID, Row]:
    """The last version of whatever these events happened to, but for what they create."""
    created = {r.event.originator_id for r in events if isinstance(r.event, CreatedEvent)}
    wanted = {recorded.event.originator_id for recorded in events} - created
    if not wanted:
        return {}
    async with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        set_json_loads(from_json, cursor)
        await cursor.execute(LOAD.encode(), (list(wanted),))
        return {row["id"]: row async for row in cursor}


async def _versions(connection: AsyncConnection, ids: Sequence[UUID]) -> Sequence[Row]:
    """All versions of these tables, in their order."""
    async with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        await cursor.execute(VERSIONS.encode(), (ids,))
        rows = await cursor.fetchall()
    return [row if row["name"] is None else table_defs.searchable(row) for row in rows]
