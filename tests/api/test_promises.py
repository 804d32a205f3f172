"""Whoever follows events can go on as they are: what was promised to them is kept.

`event_schemas.json` holds the promised schema of each type of event, `asyncapi.json` the promised
channels, operations, messages and shapes.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.api.promises import (
    ASYNCAPI,
    EVENTS,
    broken,
    lost,
    of_asyncapi,
    of_events,
    unkept,
    written,
)

HOW = "write it down with: python -m tests.api.promises"
Change = Callable[[dict[str, Any]], Any]


def test_everything_that_was_promised_is_kept() -> None:
    assert unkept() == []


def test_everything_that_was_added_is_promised() -> None:
    for path, present in ((EVENTS, of_events()), (ASYNCAPI, of_asyncapi())):
        assert lost(present, written(path)) == [], HOW


# What breaks a promise

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Thing",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "kind": {"enum": ["a", "b"]},
        "who": {"$ref": "#/$defs/Who"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "settings": {"type": "object", "additionalProperties": True},
    },
    "$defs": {"Who": {"type": "object", "required": ["id"], "properties": {"id": {}, "at": {}}}},
}
REFUSED: dict[str, Change] = {
    "a field is gone": lambda s: s["properties"].pop("note"),
    "a field has another name": lambda s: s["properties"].update(title=s["properties"].pop("name")),
    "a field has another type": lambda s: s["properties"]["name"].update(type="integer"),
    "a field has another format": lambda s: s["properties"]["name"].update(format="uuid"),
    "a field is shorter": lambda s: s["properties"]["name"].update(maxLength=10),
    "a field has a pattern": lambda s: s["properties"]["name"].update(pattern="^a"),
    "a field cannot be null any more": lambda s: s["properties"]["note"]["anyOf"].pop(),
    "a field can be null now": lambda s: s["properties"].update(
        name={"anyOf": [{"type": "string"}, {"type": "null"}]}
    ),
    "a choice has another type": lambda s: s["properties"]["note"]["anyOf"][0].update(
        type="integer"
    ),
    "a field that was left out means something else": lambda s: s["properties"]["note"].update(
        default="none"
    ),
    "a value is gone": lambda s: s["properties"]["kind"]["enum"].pop(),
    "a value is new": lambda s: s["properties"]["kind"]["enum"].append("c"),
    "elements have another type": lambda s: s["properties"]["tags"]["items"].update(type="number"),
    "free fields are forbidden": lambda s: s.update(additionalProperties=False),
    "free keys are forbidden": lambda s: s["properties"]["settings"].update(
        additionalProperties=False
    ),
    "an old field is required": lambda s: s["required"].append("note"),
    "a new field is required": lambda s: (
        s["properties"].update(size={"type": "integer"}),
        s["required"].append("size"),
    ),
    "a field need not be there any more": lambda s: s.pop("required"),
    "a field inside is gone": lambda s: s["$defs"]["Who"]["properties"].pop("at"),
    "a field inside is required": lambda s: s["$defs"]["Who"]["required"].append("at"),
    "what is inside is gone": lambda s: s["$defs"].pop("Who"),
    "it is no object": lambda s: s.update(type="array"),
    "nothing is allowed": lambda s: s.update({"not": {}}),
    "it is at another address": lambda s: s.update({"$id": "/elsewhere"}),
}
ALLOWED: dict[str, Change] = {
    "nothing changed": lambda s: None,
    "a field that may be absent is new": lambda s: s["properties"].update(size={"type": "integer"}),
    "so is one inside": lambda s: s["$defs"]["Who"]["properties"].update(size={}),
    "it is described better": lambda s: s.update(title="A thing", description="…", examples=[{}]),
    "a field is described": lambda s: s["properties"]["name"].update(description="…"),
}


def after(change: Change) -> dict[str, Any]:
    changed = deepcopy(SCHEMA)
    change(changed)
    return changed


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_breaks_whoever_reads_old_or_new_events_is_refused(change: Change) -> None:
    assert broken(SCHEMA, after(change)) != []


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED)
def test_what_breaks_nobody_is_allowed(change: Change) -> None:
    assert broken(SCHEMA, after(change)) == []


def test_a_field_called_like_a_keyword_is_a_field() -> None:
    promised = {"properties": {"description": {"type": "string"}, "required": {}}}
    assert broken(promised, {"properties": {"required": {}}}) == ["/properties/description is gone"]
    other = {"properties": {"description": {"type": "null"}, "required": {}}}
    assert broken(promised, other) == ["/properties/description/type was string, is null"]


@pytest.mark.parametrize("name", of_events())
def test_no_field_of_any_event_can_go_change_or_become_required(name: str) -> None:
    schema = of_events()[name]
    for field, kind in schema["properties"].items():
        without = schema["properties"].keys() - {field}
        kept = {each: schema["properties"][each] for each in without}
        assert broken(schema, schema | {"properties": kept}) == [f"/properties/{field} is gone"]
        for other in ({"type": "integer"}, {**kind, "minLength": 1}):
            changed = schema | {"properties": schema["properties"] | {field: other}}
            assert broken(schema, changed) != []
        required = set(schema.get("required", ())) ^ {field}
        assert len(broken(schema, schema | {"required": sorted(required)})) == 1


def test_no_channel_operation_or_message_can_go_or_change() -> None:
    promised = of_asyncapi()
    gone = deepcopy(promised)
    del gone["channels"]["nats"], gone["operations"]["readFeed"]
    faults = {"/channels/nats is gone", "/operations/readFeed is gone"}
    assert set(lost(promised, gone)) == faults
    for channel, each in promised["channels"].items():
        for message in each["messages"]:
            less = deepcopy(promised)
            del less["channels"][channel]["messages"][message]
            assert lost(promised, less) == [f"/channels/{channel}/messages/{message} is gone"]
    moved = deepcopy(promised)
    moved["channels"]["feed"]["address"] = "/api/feed"
    assert lost(promised, moved) == ["/channels/feed/address was /api/events, is /api/feed"]


def test_channels_operations_and_messages_may_be_added() -> None:
    promised = of_asyncapi()
    more = deepcopy(promised)
    more["channels"]["kafka"] = more["operations"]["publishToKafka"] = {}
    more["channels"]["feed"]["messages"]["dynamic-tables.table-def.archived.v1"] = {}
    assert lost(promised, more) == []
