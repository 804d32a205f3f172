"""Events as others see them: the public form of what was recorded."""

import re
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_jsonable_python

from domain.base import Event
from domain.recorded import Recorded
from domain.table_def import TableDef
from domain.workspace import Workspace


def public_type(topic: str) -> str:
    """`TableDef.SlugChanged` is `dynamic-tables.table-def.slug-changed.v1` to others."""
    noun, verb = (re.sub(r"(?<!^)(?=[A-Z])", "-", part).lower() for part in topic.split("."))
    return f"dynamic-tables.{noun}.{verb}.v1"


def rfc3339(moment: datetime) -> str:
    """A moment in UTC with microseconds, also where they are zero."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event_data(event: Event) -> dict[str, Any]:
    """The business fields of an event as JSON values."""
    data: dict[str, Any] = event.model_dump(mode="json", by_alias=True, exclude=set(event.ENVELOPE))
    return data


def _subject(event: Event) -> dict[str, Any]:
    """What it happened to; a company is named by every item anyway."""
    if isinstance(event, TableDef.Event):
        return {"tableId": event.originator_id}
    return {"workspaceId": event.workspace_id} if isinstance(event, Workspace.Event) else {}


def feed_item(recorded: Recorded) -> dict[str, Any]:
    """One item of the feed, with JSON values; positions are strings."""
    event = recorded.event
    metadata = event.metadata
    item = {
        "position": str(recorded.position),
        "id": metadata.event_id,
        "type": public_type(event.TOPIC),
        **_subject(event),
        "companyId": recorded.company_id,
        "version": event.originator_version,
        "occurredAt": rfc3339(event.timestamp),
        "actor": {"id": metadata.actor_id, "kind": metadata.actor_kind},
        "reason": metadata.reason,
        "correlationId": metadata.correlation_id,
        "causationId": metadata.causation_id,
        "data": event_data(event),
    }
    return to_jsonable_python(item)  # type: ignore[no-any-return]  # a dict stays a dict
