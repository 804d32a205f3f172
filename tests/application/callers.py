"""Who asks for what: requests of two companies, as the API would make them."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from application.base import Request
from application.event_store.in_memory import InMemoryEventStore
from application.event_store.store import Append, IdempotencyKey, Receipt
from domain.company_details import WorkspaceDetails
from domain.recorded import Recorded
from domain.table_details import Changes, Copy, Details
from tests.domain.vocabulary import COMPANY, context, parsed

OURS, THEIRS = COMPANY, UUID(int=2_000_000)
T = TypeVar("T")


def ask(
    key: str | None = None,
    body: str = "",
    *,
    company: UUID = OURS,
    if_match: Iterable[int] | None = None,
    dry_run: bool = False,
) -> Request:
    """One request of a client; `body` stands for all that an idempotency key is bound to."""
    return Request(
        context(company_id=company),
        None if if_match is None else frozenset(if_match),
        IdempotencyKey(key, body) if key else None,
        dry_run,
    )


def details(name: str = "Orders", **fields: Any) -> Details:
    """A new table as a client sends it."""
    return parsed(Details, name=name, **fields)


def changes(**fields: Any) -> Changes:
    """A merge patch as a client sends it."""
    return parsed(Changes, **fields)


def called(name: str) -> WorkspaceDetails:
    """A workspace as a client sends it."""
    return parsed(WorkspaceDetails, name=name)


def own(**fields: Any) -> Copy:
    """What a client wants a copy to have of its own."""
    return parsed(Copy, **fields)


async def all_of(tasks: Iterable[Awaitable[T]]) -> list[T | BaseException]:
    """Let everybody ask at once; each gets an answer or an error."""
    return await asyncio.gather(*tasks, return_exceptions=True)


class WatchedStore(InMemoryEventStore):
    """The store in memory; counts loads, and appends, which it can hold up or turn down."""

    def __init__(self) -> None:
        super().__init__()
        self.appends = self.loads = 0
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[Exception] = []

    async def append(self, append: Append) -> Receipt:
        """Store the events of one command once the gate is open."""
        self.appends += 1
        await self.open.wait()
        if self.failures:
            raise self.failures.pop()
        return await super().append(append)

    async def load(self, company_id: UUID, originator_id: UUID) -> Sequence[Recorded]:
        """All events of one aggregate."""
        self.loads += 1
        return await super().load(company_id, originator_id)

    def lose_the_last(self) -> None:
        """Be as before the last event, as a backup may be."""
        self._events.pop()

    async def everything(self) -> list[Recorded]:
        """All that was ever stored."""
        return list(await self.read(0, 100_000))
