"""How a command is carried out: let the aggregate decide, as it is known or loaded, and append."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from application.errors import AppendBusy, Refused, VersionConflict, VersionMismatch
from application.event_store.store import Append, EventStore, IdempotencyKey, Receipt
from application.known import Known
from domain.base import Aggregate, Context, Event, Standing, replay
from domain.errors import DomainError, NotFound, TablePurged
from domain.recorded import Recorded

PATIENCE = 2.0  # seconds to wait for one's turn
ATTEMPTS = 20  # against other processes; inside one, commands on an aggregate queue up
NOBODY = Standing(live=False)  # before it came to be


@dataclass(frozen=True)
class Request:
    """One request to change something: the caller's context and the conditions put on it.

    `if_match`: the versions that the caller accepts; None = any.
    """

    context: Context
    if_match: frozenset[int] | None = None
    idempotency: IdempotencyKey | None = None
    dry_run: bool = False

    def accepts(self, version: int) -> bool:
        """Whether it is meant for the aggregate at this version."""
        return self.if_match is None or version in self.if_match


@dataclass(frozen=True)
class Outcome:
    """What a command did: the aggregate after it, what was recorded, and where.

    `began`: the aggregate came to be with it.
    """

    aggregate: Any
    receipt: Receipt
    events: Sequence[Event] = ()
    began: bool = False


class Stale(VersionMismatch):
    """The precondition failed: what happened since the version that the caller knows."""

    def __init__(self, base: Any, current: Any, since: Sequence[Recorded]) -> None:
        super().__init__()
        self.base = base
        self.current = current
        self.since = since


class Turns:
    """Lets one task at a time work under a key; the others wait in order."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    def of(self, key: Hashable) -> AbstractAsyncContextManager[None]:
        """Wait for one's turn under this key; None = no need to wait.

        Raises:
            AppendBusy: the others take too long.
        """
        return nullcontext() if key is None else self._turn(key)

    @asynccontextmanager
    async def _turn(self, key: Hashable) -> AsyncIterator[None]:
        with self._queued(key) as lock:
            await _acquire(lock)
            try:
                yield
            finally:
                lock.release()

    @contextmanager
    def _queued(self, key: Hashable) -> Iterator[asyncio.Lock]:
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            yield lock
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)


async def _acquire(lock: asyncio.Lock) -> None:
    if not lock.locked():
        await lock.acquire()
        return
    try:
        async with asyncio.timeout(PATIENCE):
            await lock.acquire()
    except TimeoutError:
        raise AppendBusy from None


class Application:
    """Carries out commands on aggregates. A class per noun adds its use cases.

    `known`: what the applications of a process share; by default each knows its own.
    """

    def __init__(self, store: EventStore, known: Known | None = None) -> None:
        self.store = store
        self.turns = Turns()
        self._known = known or Known()

    async def execute(
        self,
        id: UUID,
        request: Request,
        decide: Callable[[Any], None],
        begin: Callable[[], Aggregate] | None = None,
    ) -> Outcome:
        """Let an existing aggregate decide, or begin a missing one, and store what was recorded.

        Raises:
            NotFound: there is no such aggregate in the caller's company, and none is to be begun.
            Stale: `if_match` names other versions.
            Refused, DomainError: what the event store, or the aggregate, says no with.
        """
        async with self.turns.of(idempotency_turn(request)), self.turns.of(id):
            if outcome := await self._attempt_as_known(id, request, decide):
                return outcome
            for _ in range(ATTEMPTS):
                with suppress(VersionConflict):
                    return await self._attempt(id, request, decide, begin)
            raise AppendBusy

    async def append(
        self, aggregate: Aggregate, request: Request, was: Standing = NOBODY, position: int = 0
    ) -> Outcome:
        """Store what an aggregate recorded; `was` is its standing before."""
        events, now = aggregate.collect(), aggregate.standing
        moved = now.container_id != was.container_id
        receipt = await self.store.append(
            Append(
                company_id=request.context.company_id,
                originator_id=aggregate.id,
                expected_version=aggregate.version - len(events),
                events=events,
                position=position,
                claim=now.slug if now.slug != was.slug else None,
                release=was.slug if now.slug != was.slug else None,
                joins=now.container_id if now.live and (moved or not was.live) else None,
                leaves=moved and now.container_id is None,
                opens=now.live if now.is_container and now.live != was.live else None,
                idempotency=None if request.dry_run else request.idempotency,
                dry_run=request.dry_run,
            )
        )
        if receipt.replayed:
            return await self.replay(request, receipt)
        if was is not NOBODY and not request.dry_run:
            self._known.keep(request.context.company_id, aggregate, receipt.position)
        return Outcome(aggregate, receipt, events, began=was is NOBODY)

    async def replay(self, request: Request, receipt: Receipt) -> Outcome:
        """The outcome of a request that was carried out before, rebuilt from the events."""
        recorded = await self.store.load(request.context.company_id, receipt.originator_id)
        # What changed nothing at version 1 is remembered with a later moment.
        began = receipt.version == 1 and recorded[0].recorded_at == receipt.recorded_at
        return Outcome(_at(recorded, receipt.version), receipt, began=began)

    async def _attempt_as_known(
        self, id: UUID, request: Request, decide: Callable[[Any], None]
    ) -> Outcome | None:
        """Append to what is known, which stands if the event store agrees about the last event.

        None if nothing is known, or refused, or to be stored: that takes what is so for certain.
        """
        company_id = request.context.company_id
        state = self._known.get(company_id, id)
        if state is None or not request.accepts(state.aggregate.version):
            return None
        self._known.forget(company_id, id)  # unless it is stored, and known anew
        aggregate, was = state.aggregate, state.aggregate.standing
        with suppress(Refused, DomainError):
            decide(aggregate)
            if aggregate.pending_events:
                return await self.append(aggregate, request, was, state.position)
        return None

    async def _attempt(
        self,
        id: UUID,
        request: Request,
        decide: Callable[[Any], None],
        begin: Callable[[], Aggregate] | None,
    ) -> Outcome:
        recorded = await self.store.load(request.context.company_id, id)
        if receipt := await self.recall(request):
            return await self.replay(request, receipt)
        if begin and not recorded and request.if_match is None:
            return await self.append(begin(), request)
        aggregate = existing(recorded, request.context.company_id)
        was = aggregate.standing
        decide(aggregate)  # what is refused at any version needs no precondition (RFC 9110, 13.2.1)
        _check_precondition(request, recorded)
        if not aggregate.pending_events and request.idempotency is None:
            return Outcome(aggregate, _present(recorded))
        return await self.append(aggregate, request, was, recorded[-1].position)

    async def recall(self, request: Request) -> Receipt | None:
        """What the same request, with the same idempotency key, got before."""
        if request.idempotency is None or request.dry_run:
            return None
        return await self.store.recall(request.context.company_id, request.idempotency)


def idempotency_turn(request: Request) -> Hashable:
    """What requests with the same idempotency key take turns by: the second waits for the first."""
    return request.idempotency and (request.context.company_id, request.idempotency.key)


def existing(recorded: Sequence[Recorded], company_id: UUID) -> Any:
    """The aggregate of these events, if it is this company's.

    Raises:
        NotFound: it does not exist, or is another company's, which looks the same.
    """
    if not recorded or recorded[0].company_id != company_id:
        raise NotFound
    return replay([r.event for r in recorded])


def _at(recorded: Sequence[Recorded], version: int) -> Any:
    events = [r.event for r in recorded if r.event.originator_version <= version]
    if not events:  # what it was then has been erased
        raise TablePurged
    return replay(events)


def _present(recorded: Sequence[Recorded]) -> Receipt:
    last = recorded[-1]
    return Receipt(
        last.event.originator_id, last.event.originator_version, last.position, last.recorded_at
    )


def _check_precondition(request: Request, recorded: Sequence[Recorded]) -> None:
    version = len(recorded)
    if request.accepts(version):
        return
    known = max((v for v in request.if_match or () if 0 < v < version), default=None)
    base = _at(recorded, known) if known else None
    raise Stale(base, _at(recorded, version), recorded[known:] if known else ())
