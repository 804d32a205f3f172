"""The channels of the AsyncAPI document, their servers, and what is sent through them.

Events are asked for (the feed), listened to (the stream), delivered to an address (webhooks), or
read from a broker (NATS JetStream).
"""

from typing import Any

from pydantic import BaseModel

from api.asyncapi_messages import cloud_events, items, ref
from api.event_schemas import EventsQuery, StreamQuery
from api.event_types import EXAMPLES, Plain, event_types

HTTP_BINDING = "0.3.0"
SERVERS = {
    "api": {
        "host": "{host}",
        "protocol": "http",
        "description": "This service.",
        "variables": {"host": {"default": "localhost:8000", "description": "Where it listens."}},
    },
    "receiver": {
        "host": "{host}",
        "protocol": "https",
        "description": "Whoever registered a webhook.",
        "variables": {
            "host": {"default": "receiver.example", "description": "Of the address registered."}
        },
    },
    "nats": {
        "host": "{host}",
        "protocol": "nats",
        "description": "The NATS server to which this installation publishes, if to any.",
        "variables": {"host": {"default": "localhost:4222", "description": "Where it listens."}},
    },
}


READS = "Needs the scope `events:read`."


def channels() -> dict[str, Any]:
    """Where messages are, and which."""
    return {
        "feed": _channel(
            "api",
            "/api/events",
            "Pages of events, oldest first: an array as `application/json` or"
            " `application/cloudevents-batch+json`, or one a line as `application/x-ndjson`. Follow"
            " from the header `Feed-Position` of each answer.",
            _known(items() | cloud_events(suffix=".cloudevent")),
        ),
        "stream": _channel(
            "api",
            "/api/events/stream",
            "Server-sent events: `id` is the position, `event` the type, `data` the message."
            " Whoever comes back with `Last-Event-ID` misses nothing.",
            _known(items()),
        ),
        "webhook": _webhook(),
        "nats": _nats(),
    }


def _webhook() -> dict[str, Any]:
    description = (
        "Standard Webhooks 1.0: an event is the body of a POST to the address that was registered."
    )
    channel = _channel("receiver", "{path}", description, items("webhook"))
    return channel | {"parameters": {"path": {"description": "The path of the address."}}}


def _nats() -> dict[str, Any]:
    description = (
        "NATS JetStream: CloudEvents in structured mode, a copy that can be made again from the"
        " store."
    )
    subject = "dynamic-tables.{company}.{noun}.{event}"
    types = event_types().values()
    parameters = {
        "company": {"description": "The company's id.", "examples": [EXAMPLES["companyId"]]},
        "noun": {
            "description": "What it happened to: the second part of the type.",
            "enum": sorted({each.noun for each in types}),
        },
        "event": {
            "description": "What happened: the third part of the type.",
            "enum": sorted({each.verb for each in types}),
        },
    }
    return _channel("nats", subject, description, cloud_events("nats")) | {"parameters": parameters}


def _channel(
    server: str, address: str, description: str, messages: dict[str, Any]
) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "servers": [ref("servers", server)],
        "messages": messages,
    }


def _known(messages: dict[str, Any]) -> dict[str, Any]:
    return {name: ref("components", "messages", name) for name in messages}


def operations() -> dict[str, Any]:
    """What this service does there: it only ever sends."""
    return {
        "readFeed": {
            **_sends("feed", "Answer with the next events", READS, "bearer", "session"),
            "bindings": _http("GET", EventsQuery),
        },
        "streamEvents": {
            **_sends("stream", "Send each event as it happens", READS, "bearer", "session"),
            "bindings": _http("GET", StreamQuery),
        },
        "deliverWebhook": {
            **_sends(
                "webhook",
                "Deliver each event to an address",
                "2xx within 15 seconds is success. 410 ends it; 429 and 503 may say `Retry-After`;"
                " all else is tried again for days. The events of one table come in order.",
                "signature",
            ),
            "bindings": _http("POST"),
        },
        "publishToNats": _sends(
            "nats", "Publish each event", "At least once; JetStream drops repeats by their ids."
        ),
    }


def _sends(channel: str, title: str, description: str, *schemes: str) -> dict[str, Any]:
    known = [ref("components", "securitySchemes", scheme) for scheme in schemes]
    return {
        "action": "send",
        "channel": ref("channels", channel),
        "title": title,
        "description": description,
        **({"security": known} if known else {}),
    }


def _http(method: str, query: type[BaseModel] | None = None) -> dict[str, Any]:
    asked = {"query": _query(query)} if query else {}
    return {"http": {"method": method, **asked, "bindingVersion": HTTP_BINDING}}


def _query(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=Plain)
    properties = {name: _on_the_wire(each) for name, each in schema["properties"].items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _on_the_wire(field: dict[str, Any]) -> dict[str, Any]:
    """A parameter, of which nothing is ever null."""
    [given] = [each for each in field.get("anyOf", [{}]) if each != {"type": "null"}]
    kept = {k: v for k, v in field.items() if k != "anyOf" and (k, v) != ("default", None)}
    return {**kept, **given}
