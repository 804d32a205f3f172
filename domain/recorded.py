"""Events as plain JSON bytes and back, and their place in the global order.

The stored state is `{"occurredAt", "data", "metadata", "classVersion"}`: business fields apart from
metadata, camelCase, no wrappers; `classVersion` is left out when it is 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from domain.base import Aggregate, Event
from domain.errors import UnreadableEvent


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its place in the global order."""

    event: Event
    company_id: UUID
    position: int
    recorded_at: datetime


@cache
def event_classes() -> Mapping[str, type[Event]]:
    """Every event topic that this release can read, with its class."""
    return {event_class.TOPIC: event_class for event_class in _event_classes()}


def encode(event: Event) -> bytes:
    """The state of an event as the bytes that are stored."""
    data = event.__pydantic_serializer__.to_json(event, by_alias=True, exclude=set(event.ENVELOPE))
    metadata = event.metadata.__pydantic_serializer__.to_json(event.metadata, by_alias=True)
    version = b',"classVersion":%d' % event.class_version if event.class_version > 1 else b""
    return b'{"occurredAt":%b,"data":%b,"metadata":%b%b}' % (
        to_json(event.timestamp), data, metadata, version,
    )  # fmt: skip


def decode(topic: str, originator_id: UUID, originator_version: int, state: bytes) -> Event:
    """The event of stored bytes, upcast to the present class version.

    Raises:
        UnreadableEvent: unknown topic, newer class version, or a broken shape.
    """
    try:
        event_class = event_classes()[topic]
        stored = from_json(state)
        if (version := stored.get("classVersion", 1)) != event_class.class_version:
            _check_version(event_class, version)
            upcast(topic, stored)
        event: Event = event_class.__pydantic_validator__.validate_python(
            {
                **stored["data"],
                "originatorId": originator_id,
                "originatorVersion": originator_version,
                "timestamp": datetime.fromisoformat(stored["occurredAt"]),
                "metadata": stored["metadata"],
            }
        )
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableEvent(
            f"{topic} of {originator_id} v{originator_version}: {error}"
        ) from error
    return event


def upcast(topic: str, stored: dict[str, Any]) -> dict[str, Any]:
    """Bring a stored state to the present class version; what is newer stays as it is."""
    event_class = event_classes().get(topic)
    if event_class is not None:
        for version in range(stored.get("classVersion", 1), event_class.class_version):
            getattr(event_class, f"upcast_v{version}_v{version + 1}")(stored["data"])
    return stored


def _check_version(event_class: type[Event], version: int) -> None:
    if version > event_class.class_version:
        raise ValueError(f"class version {version} is newer than this release")


def _event_classes() -> Iterable[type[Event]]:
    for aggregate in Aggregate.__subclasses__():
        for value in vars(aggregate).values():
            if isinstance(value, type) and issubclass(value, Event) and hasattr(value, "TOPIC"):
                yield value
