"""People of a company, and the cascade that follows them when it is told to."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast
from uuid import UUID

from psycopg import AsyncConnection

from application.base import Outcome
from application.cascade import Cascade
from application.companies import Companies
from application.errors import StoreUnavailable
from application.event_store.in_memory import InMemoryEventStore
from application.event_store.store import Append, Receipt
from application.table_defs import TableDefs
from application.workspaces import Workspaces
from domain.base import Event, replay
from domain.company_details import CompanyDetails
from domain.recorded import Recorded
from domain.table_def import TableDef
from domain.workspace import Workspace
from tests.application.callers import OURS, ask, called, changes, details
from tests.domain.vocabulary import context

SALES, PURCHASING = UUID(int=4), UUID(int=5)
Place = UUID | None  # a workspace, or none
ALL = 1_000_000


class Connection:
    """Holds the transaction of the position; counts the signs of life, and is ended after some."""

    def __init__(self, ends_after: int = ALL) -> None:
        self.ends_after = ends_after
        self.signs = 0

    async def execute(self, query: str) -> None:
        """Give a sign of life."""
        if self.signs == self.ends_after:
            raise ConnectionError
        self.signs += 1


class EventfulStore(InMemoryEventStore):
    """The store in memory; is gone after so many appends, and people act when members are sought.

    `meanwhile`: what they do once, right after that. `loaded`: what was looked at.
    """

    appends_left = ALL
    loaded: Sequence[UUID] = ()
    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def load(self, company_id: UUID, originator_id: UUID) -> Sequence[Recorded]:
        """All events of one aggregate, which is noted."""
        self.loaded = (*self.loaded, originator_id)
        return await super().load(company_id, originator_id)

    async def append(self, append: Append) -> Receipt:
        """Store the events of one command."""
        if not self.appends_left:
            raise StoreUnavailable
        self.appends_left -= 1
        return await super().append(append)

    async def members(self, *wanted: Any) -> Sequence[UUID]:
        """Who belongs to a container."""
        found = await super().members(*wanted)
        await self.let_people_act()
        return found

    async def let_people_act(self) -> None:
        """Now, if they have something to do."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            await meanwhile()


class World:
    """What happens in our company, and how far the cascade has followed it.

    `put_aside`: the tables and workspaces that people deleted themselves, and did not restore.
    """

    def __init__(self) -> None:
        self.store = EventfulStore()
        self.tables = TableDefs(self.store)
        self.workspaces = Workspaces(self.store)
        self.companies = Companies(self.store)
        self.cascade = Cascade(self.store, context().new_id)
        self.connection = Connection()
        self.position = 0
        self.put_aside = set[UUID]()

    async def begin(self) -> "World":
        """There is a company with two workspaces."""
        await self.companies.register(ask(), CompanyDetails(name="Acme"))
        for workspace_id in (SALES, PURCHASING):
            await self.workspaces.put(workspace_id, ask(), called("Some"))
        return self

    async def follow(self, events: int = ALL) -> None:
        """React to so many more events; the position moves when all is done about one."""
        while events and (one := await self.store.read(self.position, 1)):
            await self.cascade.apply(cast(AsyncConnection, self.connection), one)
            self.position += 1
            events -= 1

    # What people do

    async def create(self, place: Place = SALES) -> UUID:
        told = details(workspaceId=place and str(place))
        id: UUID = (await self.tables.create(ask(), told)).aggregate.id
        return id

    async def move(self, id: UUID, place: Place) -> None:
        await self.tables.change(id, ask(), changes(workspaceId=place and str(place)))

    async def delete(self, id: UUID) -> None:
        if (await self.tables.delete(id, ask())).events:
            self.put_aside.add(id)

    async def restore(self, id: UUID) -> None:
        await self.tables.restore(id, ask())
        self.put_aside.discard(id)

    async def close(self, workspace_id: UUID = SALES) -> Outcome:
        outcome = await self.workspaces.delete(workspace_id, ask())
        if outcome.events:
            self.put_aside.add(workspace_id)
        return outcome

    async def open(self, workspace_id: UUID = SALES) -> Outcome:
        outcome = await self.workspaces.restore(workspace_id, ask())
        self.put_aside.discard(workspace_id)
        return outcome

    async def remove(self) -> Outcome:
        return await self.companies.remove(ask())

    async def bring_back(self) -> Outcome:
        return await self.companies.restore(ask())

    # What is there

    async def everything(self) -> list[Recorded]:
        return list(await self.store.read(0, ALL))

    async def aggregates(self, kind: type[Any]) -> list[Any]:
        """All tables, or all workspaces, of our company as they are now."""
        pasts = defaultdict[UUID, list[Event]](list)
        for recorded in await self.everything():
            if isinstance(recorded.event, kind.Event) and recorded.company_id == OURS:
                pasts[recorded.event.originator_id].append(recorded.event)
        return [replay(past) for past in pasts.values()]

    async def live(self) -> set[UUID]:
        """The tables of our company that are not deleted."""
        return {table.id for table in await self.aggregates(TableDef) if not table.deleted_at}

    async def deletions(self, id: UUID | None = None) -> list[Event]:
        """Each deletion of this table, or of any table or workspace."""
        deleted = (TableDef.Deleted, Workspace.Deleted)
        events = [recorded.event for recorded in await self.everything()]
        return [e for e in events if isinstance(e, deleted) and id in (None, e.originator_id)]

    async def causes(self, id: UUID) -> list[UUID | None]:
        """The event that caused each deletion of a table; None: a person did it."""
        return [event.metadata.causation_id for event in await self.deletions(id)]


def id_of(outcome: Outcome) -> UUID:
    """The event that consequences name as their cause."""
    (event,) = outcome.events
    return event.metadata.event_id
