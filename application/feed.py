"""Events as others see them: the public form of what was recorded."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_jsonable_python

from domain.base import Event
from domain.recorded import Recorded, upcast
from domain.table_def import TableDef
from domain.workspace import Workspace

MOST_COMPANIES = 1_000  # whose ids are made texts once for many events


@cache
def public_type(topic: str) -> str:
    """`TableDef.SlugChanged` is `dynamic-tables.table-def.slug-changed.v1` to others."""
    noun, verb = (re.sub(r"(?<!^)(?=[A-Z])", "-", part).lower() for part in topic.split("."))
    return f"dynamic-tables.{noun}.{verb}.v1"


@lru_cache(MOST_COMPANIES)
def _text(company_id: UUID) -> str:
    return str(company_id)


def rfc3339(moment: datetime) -> str:
    """A moment in UTC with microseconds, also where they are zero."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def event_data(event: Event) -> dict[str, Any]:
    """The business fields of an event as JSON values."""
    data: dict[str, Any] = event.model_dump(mode="json", by_alias=True, exclude=set(event.ENVELOPE))
    return data


def _subject(event: Event) -> dict[str, Any]:
    """What it happened to; a company is named by every item anyway."""
    if isinstance(event, TableDef.Event):
        return {"tableId": event.originator_id}
    return {"workspaceId": event.workspace_id} if isinstance(event, Workspace.Event) else {}


def public_item(company_id: UUID, row: Sequence[Any]) -> dict[str, Any]:
    """The same item from a stored row, without making an event of it: many times faster.

    `row`: position, aggregate, version, topic, state and event id. An erased event has no state.
    """
    position, originator_id, version, topic, state, event_id = row
    item: dict[str, Any] = {
        "position": str(position),
        "id": str(event_id),
        "type": public_type(topic),
        "companyId": _text(company_id),
        "version": version,
    }
    is_table = topic.startswith("TableDef.")
    if is_table:
        item["tableId"] = str(originator_id)
    if state is None:
        return item | {"data": None, "erased": True}
    stored = upcast(topic, from_json(state))
    data, metadata = stored["data"], stored["metadata"]
    if not is_table and "workspaceId" in data:
        item["workspaceId"] = data["workspaceId"]
    return item | {
        "occurredAt": _with_microseconds(stored["occurredAt"]),
        "actor": {"id": metadata["actorId"], "kind": metadata["actorKind"]},
        "reason": metadata.get("reason"),
        "correlationId": metadata.get("correlationId"),
        "causationId": metadata.get("causationId"),
        "data": data,
    }


def cloud_event(company_id: UUID, row: Sequence[Any]) -> dict[str, Any]:
    """The same as a CloudEvent 1.0, in its JSON format; `row` as for `public_item`.

    Extensions are texts: CloudEvents' integers have 32 bits. An absent one is left out.
    """
    position, originator_id, _, _, state, _ = row
    item = public_item(company_id, row)
    event = {
        "specversion": "1.0",
        "id": item["id"],
        "source": f"/companies/{company_id}",
        "subject": str(originator_id),
        "type": item["type"],
        "datacontenttype": "application/json",
        "dataschema": f"/api/schemas/{item['type']}",
        "position": item["position"],
        "sequence": f"{position:019}",
        "companyid": item["companyId"],
        "data": item["data"],
    }
    if state is None:
        return event | {"erased": True}
    metadata = from_json(state)["metadata"]
    extensions = {
        "time": item["occurredAt"],
        "actorid": metadata["actorId"],
        "correlationid": metadata["correlationId"],
        "causationid": metadata.get("causationId"),
        "traceparent": metadata.get("traceparent"),
    }
    return event | {name: value for name, value in extensions.items() if value is not None}


def _with_microseconds(moment: str) -> str:
    """As `rfc3339`; nearly all are stored that way."""
    if len(moment) == len("2026-11-22T09:00:00.123456Z") and moment.endswith("Z"):
        return moment
    return rfc3339(datetime.fromisoformat(moment))


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
