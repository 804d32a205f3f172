"""What follows when a workspace or company is deleted or restored: its members follow it.

A process manager: it follows the events, finds the members through the membership rows of the
store, and has them deleted or restored by commands. Killed half-way, it starts the same event
again, with those whom it has not told yet; each member reacts to an event once, so nothing happens
twice. What is deleted says which event was the cause, and only that is brought back when the
container is restored.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from application.base import Application, Request
from application.errors import ContainerClosed
from application.event_store.session import ANSWER_TIMEOUT
from application.event_store.store import EventStore
from application.known import Known
from domain.base import Context
from domain.company import Company
from domain.recorded import Recorded
from domain.workspace import Workspace

CLOSES = (Workspace.Deleted, Company.Removed)
OPENS = (Workspace.Restored, Company.Restored)
CHUNK = 100  # members at once
ALIVE = "SELECT"
FIRST = UUID(int=0)
EVER = 2**63 - 1  # before this position: any

Decide = Callable[[Any, Context], None]
Pages = AsyncIterator[Sequence[UUID]]


class Cascade:
    """Deletes what is in a container that was deleted, and undoes just that when it is restored."""

    name = "cascade"
    version = 1
    acts = True
    nouns = frozenset({"Company", "Workspace"})

    def __init__(self, store: EventStore, new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._application = Application(store, Known(size=0))  # it comes by once
        self._new_id = new_id

    async def apply(self, connection: AsyncConnection, events: Sequence[Recorded]) -> None:
        """React to these events, in global order; the caller's transaction moves the position."""
        for recorded in events:
            if isinstance(recorded.event, CLOSES):
                await self._delete_members(connection, recorded)
            elif isinstance(recorded.event, OPENS):
                await self._restore_members(connection, recorded)

    recover = apply  # it parks nothing

    def filling(self) -> None:
        """It has no rows."""

    async def _delete_members(self, connection: AsyncConnection, cause: Recorded) -> None:
        """Only who was in it when it was deleted: it may have been restored, and filled, since."""
        members = self._members(cause, before=cause.position)
        await self._tell(connection, cause, "delete", members, lambda m, c: m.delete(c))

    async def _restore_members(self, connection: AsyncConnection, cause: Recorded) -> None:
        """Whoever was deleted with it: also who left and came in again just before that."""
        deletions = await self._deletions(cause)
        members = self._members(cause, because=deletions)
        await self._tell(
            connection, cause, "restore", members, lambda m, c: m.undo_delete(deletions, c)
        )

    async def _deletions(self, cause: Recorded) -> Collection[UUID]:
        """The events that deleted this container, until it was restored by `cause`."""
        past = await self._store.load(cause.company_id, cause.event.originator_id)
        return {
            r.event.metadata.event_id
            for r in past
            if isinstance(r.event, CLOSES) and r.position < cause.position
        }

    async def _tell(
        self, connection: AsyncConnection, cause: Recorded, command: str, pages: Pages, say: Decide
    ) -> None:
        async for members in pages:
            # A sign of life; and if somebody else leads by now, the end.
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await connection.execute(ALIVE)
            requests = [self._request(cause, command) for _ in members]
            async with asyncio.TaskGroup() as tasks:
                for id, request in zip(members, requests, strict=True):
                    tasks.create_task(self._have(id, cause, request, say))

    async def _have(self, id: UUID, cause: Recorded, request: Request, say: Decide) -> None:
        def decide(member: Any) -> None:
            if member.standing.container_id == cause.event.originator_id:  # it has not left since
                say(member, request.context)

        with suppress(ContainerClosed):  # once more: a later event's business
            await self._application.execute(id, request, decide)

    async def _members(
        self, cause: Recorded, before: int = EVER, because: Collection[UUID] | None = None
    ) -> Pages:
        """Who has not been told yet: whoever was, is not alive any more, or is again."""
        container_id, after = cause.event.originator_id, FIRST
        while True:
            members = await self._store.members(
                cause.company_id, container_id, before, after, CHUNK, because
            )
            if not members:
                return
            yield members
            after = members[-1]

    def _request(self, cause: Recorded, command: str) -> Request:
        """In the name of whoever deleted or restored the container."""
        metadata = cause.event.metadata
        return Request(
            Context(
                company_id=cause.company_id,
                actor_id=metadata.actor_id,
                actor_kind="system",
                occurred_at=datetime.now(UTC),
                new_id=self._new_id,
                request_id=metadata.request_id,
                correlation_id=metadata.correlation_id,
                command=command,
                causation_id=metadata.event_id,
                traceparent=metadata.traceparent,
                reason=metadata.reason,
            )
        )
