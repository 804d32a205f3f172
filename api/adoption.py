"""What was there before there were companies and workspaces as such becomes theirs.

Companies were bare ids once, and tables named workspaces that nobody had made. Each gets an
aggregate of its own, and each table its place in it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from api import keys
from api.operator import by_operator
from application.base import Request
from application.companies import Companies
from application.errors import ContainerClosed
from application.event_store.postgres import PostgresEventStore
from application.workspaces import Workspaces
from domain.company_details import CompanyDetails, WorkspaceDetails
from domain.containers import container_of, workspace_aggregate
from domain.errors import UnreadableEvent
from domain.recorded import decode
from domain.workspace import Workspace
from projections.folding import sort_key

BARE_COMPANIES = """
SELECT company_id FROM (
    SELECT company_id FROM access.api_keys WHERE company_id IS NOT NULL
     UNION
    SELECT company_id FROM event_store.events WHERE position > %s) AS named
 WHERE NOT EXISTS (SELECT FROM event_store.containers WHERE id = named.company_id)
 ORDER BY company_id
"""
# The last word on where each table is, of those that the store has no place for.
PLACELESS = """
SELECT DISTINCT ON (originator_id) originator_id, company_id, position, topic, state,
       originator_version
  FROM event_store.events e
 WHERE topic IN ('TableDef.Created', 'TableDef.MovedToWorkspace') AND position > %s
   AND NOT EXISTS (SELECT FROM event_store.memberships WHERE member_id = e.originator_id)
   AND NOT EXISTS (SELECT FROM event_store.events p
                    WHERE p.originator_id = e.originator_id AND p.topic = 'TableDef.Purged')
 ORDER BY originator_id, originator_version DESC
"""
PLACE = """
INSERT INTO event_store.memberships (member_id, company_id, container_id, position)
VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
UNNAMED = """
SELECT id, company_id, label
  FROM access.api_keys k
 WHERE company_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM access.people p WHERE p.company_id = k.company_id AND p.id = k.id)
"""
DONE = "SELECT coalesce(max(position), 0) FROM event_store.adopted"
HEAD = "SELECT coalesce(max(position), 0) FROM event_store.events"
NOTE = "INSERT INTO event_store.adopted (position) VALUES (%s)"


async def adopt(connection: AsyncConnection, database_url: str) -> None:
    """Register bare companies and workspaces, and note where each table is, and keys' names.

    `connection`: the administrator's. Looks only at what happened since it was here last.
    """
    done, head = await _number(connection, DONE), await _number(connection, HEAD)
    store = PostgresEventStore(database_url)
    try:
        rows = await (await connection.execute(BARE_COMPANIES, (done,))).fetchall()
        for (company_id,) in rows:
            await _register(store, company_id)
        places, complete = await _places(connection, done)
        for company_id, workspace_id in dict.fromkeys(
            (p.company_id, p.workspace_id) for p in places
        ):
            if workspace_id:
                await _create(store, company_id, workspace_id)
    finally:
        await store.close()
    for place in places:
        container = container_of(place.company_id, place.workspace_id)
        row = (place.table_id, place.company_id, container, place.position)
        await connection.execute(PLACE, row)
    for id, company_id, label in await (await connection.execute(UNNAMED)).fetchall():
        name = {"id": id, "company_id": company_id, "label": label, "name_folded": sort_key(label)}
        await connection.execute(keys.NAME, name)
    if head > done and complete:
        await connection.execute(NOTE, (head,))


@dataclass(frozen=True)
class Place:
    """Where a table is, by its last event that says so."""

    table_id: UUID
    company_id: UUID
    position: int
    workspace_id: UUID | None


async def _places(connection: AsyncConnection, done: int) -> tuple[Sequence[Place], bool]:
    """The place of each table that the store knows none of, and whether all could be read.

    One that cannot be read has none until it is mended.
    """
    places, complete = [], True
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(PLACELESS, (done,))
        async for id, company_id, position, topic, state, version in cursor:
            try:
                event: Any = decode(topic, id, version, state)
                places.append(Place(id, company_id, position, event.workspace_id))
            except UnreadableEvent:
                complete = False
    return places, complete


async def _number(connection: AsyncConnection, query: str) -> int:
    row = await (await connection.execute(query.encode())).fetchone()
    return int(row[0]) if row else 0


async def _register(store: PostgresEventStore, company_id: UUID) -> None:
    details = CompanyDetails(name=f"Company {company_id}")
    await Companies(store).register(_request(company_id), details)


async def _create(store: PostgresEventStore, company_id: UUID, workspace_id: UUID) -> None:
    """One that is there already stays as it is; of a removed company it cannot be made now."""
    id, request = workspace_aggregate(company_id, workspace_id), _request(company_id)
    name = WorkspaceDetails(name=f"Workspace {workspace_id}").name
    with suppress(ContainerClosed):
        await Workspaces(store).execute(
            id,
            request,
            lambda _: None,
            lambda: Workspace.create(workspace_id, name, request.context),
        )


def _request(company_id: UUID) -> Request:
    return Request(by_operator(company_id, "adopt", "It was there before it had a name."))
