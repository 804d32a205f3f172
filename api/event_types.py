"""The types of events as others know them, and the JSON Schema (2020-12) of what each one says.

The schemas are made from the classes of the stored events. They are open: fields may be added, so
whoever reads events takes what it knows and ignores the rest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from typing import Any

from pydantic import create_model
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.json_schema import GenerateJsonSchema

from application.feed import public_type
from domain.base import Event, Stored
from domain.recorded import event_classes

SCHEMAS = "/api/schemas"
NOTE = (
    "This is the `data` of an event of this type; that of an erased event is null. Fields may be"
    " added: ignore what you do not know."
)
EXAMPLES: JsonDict = {
    "companyId": "019ab3f2-0000-7000-8000-000000000001",
    "workspaceId": "019ab3f2-0000-7000-8000-000000000003",
    "name": "Sales orders",
    "slug": "sales-orders",
    "description": "Everything our customers ordered.",
    "icon": "📦",
    "color": "#1a73e8",
    "settings": {"enableForm": True},
    "changes": {"enableForm": True, "defaultView": None},
}
EXAMPLES_OF: Mapping[str, JsonDict] = {
    "company": {"name": "Example Ltd", "changes": {"requireIfMatch": True}},
    "workspace": {"name": "Sales"},
}


class Plain(GenerateJsonSchema):
    """Schemas without the titles that only repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class EventType:
    """A type of event: `noun` and `verb` as in `dynamic-tables.<noun>.<verb>.v1`."""

    name: str
    noun: str
    verb: str
    title: str
    summary: str
    schema: Mapping[str, Any]

    @property
    def address(self) -> str:
        """Where its schema is."""
        return f"{SCHEMAS}/{self.name}"

    @property
    def example(self) -> Any:
        """What such an event may say."""
        return self.schema["examples"][0]


@cache
def event_types() -> Mapping[str, EventType]:
    """Every type of event, by its name."""
    found = [_type(event_class) for event_class in event_classes().values()]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def _type(event_class: type[Event]) -> EventType:
    name = public_type(event_class.TOPIC)
    _, noun, verb, _ = name.split(".")
    title = f"{noun} {verb}".replace("-", " ").capitalize()
    summary = re.split(r"(?<=[.])\s", cleandoc(event_class.__doc__ or ""))[0]
    schema = {
        "$schema": Plain.schema_dialect,
        "$id": f"{SCHEMAS}/{name}",
        "title": title,
        "description": f"{summary} {NOTE}",
        **_business_fields(event_class),
        "examples": [_example(event_class, noun)],
    }
    return EventType(name, noun, verb, title, summary, schema)


def _business_fields(event_class: type[Event]) -> dict[str, Any]:
    """The schema of what is stored as `data`; fields that older events lack are not required."""
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in event_class.model_fields.items()
        if name not in event_class.ENVELOPE
    }
    model = create_model(event_class.__name__, __base__=Stored, **fields)
    schema = model.model_json_schema(schema_generator=Plain)
    return {key: value for key, value in schema.items() if key not in ("title", "description")}


def _example(event_class: type[Event], noun: str) -> dict[str, Any]:
    known = EXAMPLES | EXAMPLES_OF.get(noun, {})
    names = (each for each in event_class.model_fields if each not in event_class.ENVELOPE)
    return {name: known[name] for name in map(to_camel, names)}
