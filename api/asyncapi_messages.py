"""The messages of the AsyncAPI document: each type of event, in each form that it is sent in.

A message has the common shape of all events and, for its type, the schema of the data. Schemas keep
to what JSON Schema 2020-12 and draft 7 have in common, as AsyncAPI builds on the latter.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from api.cloud_events import EXAMPLE_CLOUD_EVENT, CloudEvent
from api.event_schemas import EXAMPLE_EVENT, Event
from api.event_types import EXAMPLES, EventType, Plain, event_types

JSON = "application/json"
CLOUD_EVENT = "application/cloudevents+json"
SCHEMA_REF = "#/components/schemas/{model}"
WEBHOOK_HEADERS = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {
            "type": "string",
            "format": "uuid",
            "description": "The id of the event: the same at each try, to drop repeats by.",
        },
        "webhook-timestamp": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "When this try was made, in seconds since 1970.",
        },
        "webhook-signature": {
            "type": "string",
            "pattern": "^v1,[A-Za-z0-9+/=]+( v1,[A-Za-z0-9+/=]+)*$",
            "description": "`v1,` and the Base64 of the HMAC-SHA256 of"
            " `<webhook-id>.<webhook-timestamp>.<body>`; two of them while the secret is rotated.",
        },
    },
}
NATS_HEADERS = {
    "type": "object",
    "required": ["Nats-Msg-Id"],
    "properties": {
        "Nats-Msg-Id": {
            "type": "string",
            "format": "uuid",
            "description": "The id of the event: JetStream drops repeats by it.",
        }
    },
}
TRAITS = {
    "webhook": {"headers": WEBHOOK_HEADERS},
    "nats": {"headers": NATS_HEADERS},
}


def ref(*path: str) -> dict[str, str]:
    """A reference to another part of the document."""
    return {"$ref": "#/" + "/".join(path)}


def schemas() -> dict[str, Any]:
    """For each type, its data, and the event in both forms; and what all of these share."""
    _, shared = models_json_schema(
        [(Event, "validation"), (CloudEvent, "validation")],
        ref_template=SCHEMA_REF,
        schema_generator=Plain,
    )
    found: dict[str, Any] = shared["$defs"]
    for each in event_types().values():
        found[each.name] = {k: v for k, v in each.schema.items() if k not in ("$schema", "$id")}
        found[f"{each.name}.item"] = _of_type("Event", each)
        found[f"{each.name}.cloudevent"] = _of_type("CloudEvent", each)
    return found


def _of_type(shape: str, each: EventType) -> dict[str, Any]:
    data = {"anyOf": [ref("components", "schemas", each.name), {"type": "null"}]}
    own = {"type": "object", "properties": {"type": {"const": each.name}, "data": data}}
    return {"title": each.title, "allOf": [ref("components", "schemas", shape), own]}


def items(*traits: str) -> dict[str, Any]:
    """Each type as an item of the feed, by its name."""
    return {each.name: _item(each, *traits) for each in event_types().values()}


def cloud_events(*traits: str, suffix: str = "") -> dict[str, Any]:
    """Each type as a CloudEvent, by its name and the suffix."""
    return {each.name + suffix: _cloud_event(each, *traits) for each in event_types().values()}


def _item(each: EventType, *traits: str) -> dict[str, Any]:
    example = {**EXAMPLE_EVENT, **_said(each), **_about(each)}
    if each.noun != "table-def":
        del example["tableId"]
    return {
        **_message(each, JSON, f"{each.name}.item", example, traits),
        "correlationId": {"location": "$message.payload#/correlationId"},
    }


def _cloud_event(each: EventType, *traits: str) -> dict[str, Any]:
    example = {**EXAMPLE_CLOUD_EVENT, **_said(each), "dataschema": each.address}
    return {
        **_message(each, CLOUD_EVENT, f"{each.name}.cloudevent", example, traits),
        "correlationId": {"location": "$message.payload#/correlationid"},
    }


def _message(
    each: EventType, content_type: str, schema: str, example: Any, traits: tuple[str, ...]
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": each.name,
        "title": each.title,
        "summary": each.summary,
        "contentType": content_type,
        "payload": ref("components", "schemas", schema),
        "examples": [{"payload": example}],
    }
    if traits:
        message["traits"] = [ref("components", "messageTraits", trait) for trait in traits]
    return message


def _said(each: EventType) -> dict[str, Any]:
    return {"type": each.name, "data": each.example}


def _about(each: EventType) -> dict[str, Any]:
    return {"workspaceId": EXAMPLES["workspaceId"]} if each.noun == "workspace" else {}
