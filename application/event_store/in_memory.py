"""The event store in memory, for fast tests; it keeps the same contract as the one on Postgres."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from application.errors import (
    ContainerClosed,
    ContainerUnknown,
    KeyReused,
    SlugTaken,
    VersionConflict,
)
from application.event_store.store import Append, IdempotencyKey, Receipt
from domain.base import ErasingEvent
from domain.recorded import Recorded, decode, encode


class InMemoryEventStore:
    """Keeps events in a list; their bytes go through the same mapper."""

    def __init__(self) -> None:
        self._events: list[Recorded] = []
        self._erased: set[int] = set()
        self._slugs: dict[tuple[UUID, str], UUID] = {}
        self._keys: dict[tuple[UUID, str], tuple[str, Receipt]] = {}
        self._open: dict[tuple[UUID, UUID], bool] = {}
        self._members: dict[UUID, tuple[UUID, UUID, int]] = {}

    async def append(self, append: Append) -> Receipt:
        """Store the events of one command."""
        await asyncio.sleep(0)  # others may run in between, as they may with a database
        if append.idempotency and (receipt := self._recall(append.company_id, append.idempotency)):
            return receipt
        self._check(append)
        receipt = self._receipt(append)
        if not append.dry_run:
            self._store(append, receipt)
        return receipt

    async def load(self, company_id: UUID, originator_id: UUID) -> Sequence[Recorded]:
        """All events of one aggregate of a company in version order; empty if there are none."""
        await asyncio.sleep(0)
        wanted = (company_id, originator_id)
        found = (r for r in self._events if (r.company_id, r.event.originator_id) == wanted)
        return [recorded for recorded in found if recorded.position not in self._erased]

    async def recall(self, company_id: UUID, idempotency: IdempotencyKey) -> Receipt | None:
        """What the same request got before."""
        await asyncio.sleep(0)
        return self._recall(company_id, idempotency)

    async def members(
        self,
        company_id: UUID,
        container_id: UUID,
        before: int,
        after: UUID,
        limit: int,
        because: Collection[UUID] | None = None,
    ) -> Sequence[UUID]:
        """Who is alive in a container, or was deleted because of something, in pages."""
        await asyncio.sleep(0)
        found = (
            member
            for member, (*container, position) in self._members.items()
            if container == [company_id, container_id] and position < before and member > after
        )
        return sorted(member for member in found if self._is_meant(member, because))[:limit]

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """Events above a position, in global order."""
        await asyncio.sleep(0)
        page = self._events[after : after + limit]
        return [recorded for recorded in page if recorded.position not in self._erased]

    async def free_slug(self, company_id: UUID, candidates: Sequence[str]) -> str | None:
        """The first of these slugs that nobody in the company holds."""
        await asyncio.sleep(0)
        return next((slug for slug in candidates if (company_id, slug) not in self._slugs), None)

    def _is_meant(self, member: UUID, because: Collection[UUID] | None) -> bool:
        of_member = (r.event for r in reversed(self._events) if r.event.originator_id == member)
        turns = (event for event in of_member if event.TOPIC.endswith((".Deleted", ".Restored")))
        last = next(turns, None)
        if last is None or last.TOPIC.endswith(".Restored"):
            return because is None
        return because is not None and last.metadata.causation_id in because

    def _recall(self, company_id: UUID, idempotency: IdempotencyKey) -> Receipt | None:
        request_hash, receipt = self._keys.get((company_id, idempotency.key), ("", None))
        is_same = request_hash == idempotency.request_hash
        if receipt and not is_same and receipt.position not in self._erased:
            raise KeyReused
        return receipt

    def _check(self, append: Append) -> None:
        id, company_id = append.originator_id, append.company_id
        past = [r for r in self._events if r.event.originator_id == id]
        moved_on = append.position and past and past[-1].position != append.position
        is_ours = all(r.company_id == company_id for r in past)
        if len(past) != append.expected_version or moved_on or not is_ours:
            raise VersionConflict(len(past))
        if append.joins and not self._open.get(
            (company_id, append.joins), append.joins == company_id
        ):
            if (company_id, append.joins) in self._open:
                raise ContainerClosed(append.joins, company_id)
            raise ContainerUnknown(append.joins)
        holder = append.claim and self._slugs.get((append.company_id, append.claim))
        if append.claim and holder and holder != append.originator_id:
            raise SlugTaken(append.claim, holder)

    def _place(self, append: Append, receipt: Receipt) -> None:
        if append.opens is not None:
            self._open[append.company_id, append.originator_id] = append.opens
        if append.joins:
            place = (append.company_id, append.joins, receipt.position)
            self._members[append.originator_id] = place
        if append.leaves:
            self._members.pop(append.originator_id, None)

    def _erase(self, id: UUID) -> None:
        self._erased |= {r.position for r in self._events if r.event.originator_id == id}

    def _receipt(self, append: Append) -> Receipt:
        stored = 0 if append.dry_run else len(append.events)
        return Receipt(
            append.originator_id,
            append.expected_version + stored,
            len(self._events) + stored if stored else append.position,
            datetime.now(UTC),
        )

    def _store(self, append: Append, receipt: Receipt) -> None:
        for event in append.events:
            if isinstance(event, ErasingEvent):
                self._erase(append.originator_id)
            copy = decode(event.TOPIC, event.originator_id, event.originator_version, encode(event))
            position = len(self._events) + 1
            self._events.append(Recorded(copy, append.company_id, position, receipt.recorded_at))
        if self._slugs.get((append.company_id, append.release or "")) == append.originator_id:
            del self._slugs[append.company_id, append.release or ""]
        if append.claim:
            self._slugs[append.company_id, append.claim] = append.originator_id
        self._place(append, receipt)
        if key := append.idempotency:
            replay = Receipt(
                receipt.originator_id, receipt.version, receipt.position, receipt.recorded_at, True
            )
            self._keys[append.company_id, key.key] = (key.request_hash, replay)
