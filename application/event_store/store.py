"""What an event store does, whichever database is behind it. Two keep it: Postgres and memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.base import Event
from domain.recorded import Recorded


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key for one request, and the hash of that request."""

    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Append:
    """What one command wants stored, all or nothing.

    `expected_version` is the aggregate's version before `events`; `position` that of its last event
    then, which is the answer of a command without events, 0 = unknown. Another version, or another
    event there, is a conflict: the store may have been put back. `claim` and `release` are slugs;
    `joins` is the container in which the aggregate comes alive, which must be alive itself;
    `leaves`: it belongs nowhere any more; `opens`: whether others may come alive in it from now on,
    None = as before.
    """

    company_id: UUID
    originator_id: UUID
    expected_version: int
    events: Sequence[Event] = ()
    position: int = 0
    claim: str | None = None
    release: str | None = None
    joins: UUID | None = None
    leaves: bool = False
    opens: bool | None = None
    idempotency: IdempotencyKey | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was stored: the aggregate's version and the global position of its last event.

    `replayed`: nothing now; the same request was carried out before, with this result.
    """

    originator_id: UUID
    version: int
    position: int
    recorded_at: datetime
    replayed: bool = False


class EventStore(Protocol):
    """Keeps events in one global order: nobody at position n ever sees an event appear below it."""

    async def append(self, append: Append) -> Receipt:
        """Store the events of one command.

        Raises:
            VersionConflict, SlugTaken, ContainerUnknown, ContainerClosed, KeyReused: refused,
                nothing was stored.
            AppendBusy, StoreUnavailable: not stored as far as can be known; the same request with
                the same idempotency key is safe.
        """

    async def load(self, company_id: UUID, originator_id: UUID) -> Sequence[Recorded]:
        """All events of one aggregate of a company in version order; empty if there are none.

        Of what was erased, only the event that says so is left.
        """

    async def recall(self, company_id: UUID, idempotency: IdempotencyKey) -> Receipt | None:
        """What the same request got before.

        Whatever is asked by the key of a request about something that was erased since counts as
        the same: nobody can tell any more.

        Raises:
            KeyReused: the key belongs to another request.
        """

    async def members(
        self,
        company_id: UUID,
        container_id: UUID,
        before: int,
        after: UUID,
        limit: int,
        because: Collection[UUID] | None = None,
    ) -> Sequence[UUID]:
        """Who is alive in a container, in the order of their ids above `after`.

        Only those that came alive in it before this position. With `because`, those that are
        deleted instead, in consequence of one of these events.
        """

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """Events above a position, in global order."""

    async def free_slug(self, company_id: UUID, candidates: Sequence[str]) -> str | None:
        """The first of these slugs that nobody in the company holds."""
