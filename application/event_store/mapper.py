"""Our event bytes for the event-sourcing library's own `Application` and its tools."""

from typing import cast
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent
from eventsourcing.utils import get_topic

from domain.base import Event
from domain.recorded import decode, encode


class EventMapper(Mapper[UUID]):
    """Converts between domain events and stored events; name it as the library's `MAPPER_TOPIC`."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """The stored form of a domain event."""
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=get_topic(type(domain_event)),
            state=encode(cast(Event, domain_event)),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """The domain event of a stored form, upcast to the present class version."""
        return decode(
            stored_event.topic,
            cast(UUID, stored_event.originator_id),
            stored_event.originator_version,
            stored_event.state,
        )
