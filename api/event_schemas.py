"""The shapes of requests for events, and of the events themselves."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from api.points import digits, position
from api.schemas import Part
from api.views import EXAMPLE_ID
from application.feed import public_type
from domain.recorded import event_classes

TOPICS = {public_type(topic): topic for topic in event_classes()}
LONGEST_WAIT = 30
EXAMPLE_EVENT: JsonDict = {
    "position": "48231",
    "id": "019ab3f2-7c1e-7d55-9f30-2b1f6a0c4d12",
    "type": "dynamic-tables.table-def.renamed.v1",
    "companyId": "019ab3f2-0000-7000-8000-000000000001",
    "tableId": EXAMPLE_ID,
    "version": 7,
    "occurredAt": "2026-11-22T09:00:00.123456Z",
    "actor": {"id": "019ab3f2-0000-7000-8000-0000000000aa", "kind": "user"},
    "reason": "Asked for by the sales team",
    "correlationId": "5f0c9b1e",
    "causationId": None,
    "data": {"name": "Sales orders"},
}


def _after(text: Any) -> Any:
    """A position, or `head`."""
    return text if text == "head" else position(text, "must be a position, or 'head'")


def _types(text: Any) -> Any:
    """The topics of public types, comma-separated; a typo must not look like silence."""
    topics = set[str]()
    for name in str(text).split(","):
        if name not in TOPICS:
            raise PydanticCustomError(
                "unknown-value", "'{name}' is no type of event", {"name": name[:100]}
            )
        topics.add(TOPICS[name])
    return frozenset(topics)


_TYPE = "|".join(name.replace(".", "[.]") for name in sorted(TOPICS))
Types = Annotated[
    frozenset[str] | None,
    BeforeValidator(_types, json_schema_input_type=str),
    Field(
        description="Only these types, comma-separated.",
        json_schema_extra={"pattern": f"^({_TYPE})(,({_TYPE}))*$"},
        examples=["dynamic-tables.table-def.created.v1,dynamic-tables.table-def.renamed.v1"],
    ),
]
After = Annotated[
    int | Literal["head"],
    BeforeValidator(_after, json_schema_input_type=str),
    Field(
        description="Events above this position; `0` from the beginning, `head` only new ones.",
        json_schema_extra={"pattern": "^([0-9]{1,18}|head)$"},
        examples=["48211"],
    ),
]


Limit = Annotated[
    int,
    Field(ge=1, le=1000),
    BeforeValidator(digits),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1000}),
]


class StreamQuery(Part):
    """Where a stream begins, and what is in it."""

    after: After = "head"
    types: Types = None
    table_id: UUID | None = Field(None, description="Only of this table.", examples=[EXAMPLE_ID])


class EventsQuery(StreamQuery):
    """Where a page of the feed begins, and what is in it."""

    after: After = Field("0", validate_default=True)
    after_id: UUID | None = Field(
        None,
        description="The id of the event at `after`, as the caller has seen it: 409 if it is not.",
        examples=["019ab3f2-7c1e-7d55-9f30-2b1f6a0c4d12"],
    )
    limit: Limit | None = Field(
        None,
        description="The most events of an answer: 200 by default; NDJSON has all by default.",
        examples=[200],
    )
    wait: Annotated[int, BeforeValidator(digits)] = Field(
        0, ge=0, le=LONGEST_WAIT, description="Seconds to wait for one, if there is none yet.",
        examples=[0],
    )  # fmt: skip


class EventHeaders(Part):
    """The headers of a request for events."""

    accept: str = Field(
        "application/json",
        alias="Accept",
        description="`application/json`, `application/cloudevents-batch+json` or"
        " `application/x-ndjson`.",
        examples=["application/json"],
    )
    if_none_match: str | None = Field(
        None,
        alias="If-None-Match",
        description="Answer 304 if this ETag is still right.",
        examples=['"7"'],
    )


class StreamHeaders(Part):
    """The headers of a request for a stream."""

    last_event_id: str | None = Field(
        None,
        alias="Last-Event-ID",
        description="The last position that was received; beats `after`.",
        json_schema_extra={"pattern": "^[0-9]{1,18}$", "examples": ["48231"]},
    )


class Who(BaseModel):
    """Who acted; `GET /api/people` knows what they are called."""

    id: UUID
    kind: Literal["user", "key", "system"]


class Event(BaseModel):
    """Something that happened; if it was erased, with `data: null, erased: true` and ids alone."""

    model_config = ConfigDict(
        alias_generator=to_camel, json_schema_extra={"examples": [EXAMPLE_EVENT]}
    )

    position: str = Field(description="Its place in the order of all events.")
    id: UUID
    type: str
    company_id: UUID
    table_id: UUID | None = Field(None, description="Of a table's event.")
    workspace_id: UUID | None = Field(None, description="Of a workspace's event.")
    version: int = Field(description="Of the table, workspace or company, after it.")
    occurred_at: datetime | None = None
    actor: Who | None = None
    reason: str | None = None
    correlation_id: str | None = None
    causation_id: UUID | None = Field(None, description="The event that was the cause.")
    data: dict[str, Any] | None
    erased: bool = False


class EventList(RootModel[list[Event]]):
    """Events in order; `[]` = caught up."""

    model_config = ConfigDict(json_schema_extra={"examples": [[EXAMPLE_EVENT]]})
