"""The ways in which a use case or the event store says no. Only `api/errors.py` knows HTTP."""

from dataclasses import dataclass
from uuid import UUID


class Refused(Exception):
    """The event store refused this command; nothing of it was stored."""


@dataclass
class VersionConflict(Refused):
    """Somebody else changed the aggregate in between."""

    actual_version: int


@dataclass
class SlugTaken(Refused):
    """Another table of the company holds the slug, perhaps a deleted one."""

    slug: str
    holder_id: UUID


@dataclass
class ContainerUnknown(Refused):
    """What the aggregate would belong to does not exist in its company."""

    container_id: UUID


@dataclass
class ContainerClosed(Refused):
    """What the aggregate would come alive in is deleted: a workspace, or the company itself."""

    container_id: UUID
    company_id: UUID


class KeyReused(Refused):
    """The idempotency key was used before, for another request."""


class LeaseLost(Exception):
    """The time of the lease is over, or somebody else has been given the partition since."""


class NotDelivered(Exception):
    """Nothing was handed out at this position with this lease, or it is dealt with."""


class VersionMismatch(Exception):
    """The caller's precondition names a version that is not the present one."""


class Fault(Exception):
    """Not the caller's fault: try again later."""


class AppendBusy(Fault):
    """Others held the append lock, or filled the queue, for too long."""


class StoreUnavailable(Fault):
    """The database cannot be reached or did not answer."""
