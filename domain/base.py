"""What every aggregate and event has. Only here does the domain know the library for it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast
from uuid import UUID

from eventsourcing.domain import BaseAggregate, CanInitAggregate, CanMutateAggregate
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

ActorKind = Literal["user", "key", "system"]


class Stored(BaseModel):
    """A part of a stored event: immutable, camelCase as JSON, and read leniently."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Metadata(Stored):
    """Who caused an event, by which request and why: everything that is not business."""

    event_id: UUID
    company_id: UUID
    actor_id: UUID
    actor_kind: ActorKind
    command: str
    request_id: str
    correlation_id: str
    causation_id: UUID | None = None
    traceparent: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Context:
    """What a command brings from outside: who acts, when and why, and where ids come from."""

    company_id: UUID
    actor_id: UUID
    actor_kind: ActorKind
    occurred_at: datetime
    new_id: Callable[[], UUID]
    request_id: str
    correlation_id: str
    command: str = ""
    causation_id: UUID | None = None
    traceparent: str | None = None
    reason: str | None = None

    def metadata(self) -> Metadata:
        """The metadata of one new event."""
        return Metadata(
            event_id=self.new_id(),
            company_id=self.company_id,
            actor_id=self.actor_id,
            actor_kind=self.actor_kind,
            command=self.command,
            request_id=self.request_id,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            traceparent=self.traceparent,
            reason=self.reason,
        )


class Event(Stored, CanMutateAggregate[UUID]):
    """Something that happened to an aggregate. Subclasses add the business fields."""

    ENVELOPE: ClassVar[frozenset[str]] = frozenset(
        {"originator_id", "originator_version", "originator_topic", "timestamp", "metadata"}
    )
    TOPIC: ClassVar[str]
    class_version: ClassVar[int] = 1

    originator_id: UUID
    originator_version: int
    timestamp: datetime
    metadata: Metadata

    def apply(self, aggregate: Any) -> None:
        """Let the aggregate's applier for this kind of event change its state."""
        _applier(aggregate.__class__, self.__class__)(aggregate, self)
        aggregate.updated_by = self.metadata.actor_id
        if cause := self.metadata.causation_id:
            aggregate.reacted_to |= {cause}

    def _as_dict(self) -> dict[str, Any]:
        return self.__dict__.copy()


@cache
def _applier(aggregate: type, event: type[Event]) -> Callable[[Any, Event], None]:
    """What `aggregate.apply` would look up anew for each event, at more than it costs to apply."""
    return cast(
        Callable[[Any, Event], None], getattr_static(aggregate, "apply").dispatcher.dispatch(event)
    )


class CreatedEvent(Event, CanInitAggregate[UUID]):
    """The first event of an aggregate."""


class ErasingEvent(Event, CanInitAggregate[UUID]):
    """The last event of an aggregate: those before it say nothing any more."""

    def mutate(self, aggregate: Any) -> Any:
        """Change what the events before it made, or begin with what it says by itself."""
        if aggregate is None:
            return super().mutate(None)
        return CanMutateAggregate.mutate(self, aggregate)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an aggregate is to others, which the event store keeps exact at the moment of an append.

    `slug`: which it keeps from others in its company. `container_id`: the aggregate that it belongs
    to, and can only come alive in while that is alive. `is_container`: others may belong to it.
    """

    live: bool = True
    slug: str | None = None
    container_id: UUID | None = None
    is_container: bool = False


class Aggregate(BaseAggregate[UUID]):
    """A consistency boundary: commands decide, events change state, versions count events.

    `reacted_to`: the events of others whose consequences it took; each has them once.
    """

    if TYPE_CHECKING:  # a plain annotation would make the library turn the class into a dataclass
        updated_by: UUID

    reacted_to = frozenset[UUID]()

    @property
    def standing(self) -> Standing:
        """What it is to others now."""
        raise NotImplementedError(type(self))

    @classmethod
    def begin(
        cls, id: UUID, event_class: type[CreatedEvent], context: Context, **data: Any
    ) -> Self:
        """Create the aggregate with its first event."""
        return cls._create(
            event_class,
            id=id,
            timestamp=context.occurred_at,
            metadata=context.metadata(),
            **data,
        )

    def record(self, event_class: type[Event], context: Context, **data: Any) -> None:
        """Record one more event, at the next version."""
        self.trigger_event(
            event_class, timestamp=context.occurred_at, metadata=context.metadata(), **data
        )

    def __copy__(self) -> Self:
        """As it is, with nothing recorded. Events replace values: neither changes the other's."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self), _pending_events=[])
        return twin

    def collect(self) -> Sequence[Event]:
        """Hand over the events that were recorded since the last call."""
        return cast(Sequence[Event], self.collect_events())


def states(events: Iterable[Event]) -> Iterator[Any]:
    """What each event of one aggregate, in version order, makes of it: one object, which changes.

    Raises:
        eventsourcing.domain.OriginatorVersionError: a version is missing or repeated.
    """
    aggregate: Any = None
    for event in events:
        aggregate = event.mutate(aggregate)
        yield aggregate


def replay(events: Iterable[Event]) -> Any:
    """Fold the events of one aggregate into its state; None if there are none.

    Raises:
        As `states`.
    """
    aggregate: Any = None
    for aggregate in states(events):  # noqa: B007
        pass
    return aggregate
