"""A CloudEvent (1.0, in its JSON format) as this service makes it; `application/feed.py` does."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from api.event_schemas import EXAMPLE_EVENT

TRACEPARENT = f"00-{'4b' * 16}-{'00f1' * 4}-01"
EXAMPLE_CLOUD_EVENT: JsonDict = {
    "specversion": "1.0",
    "id": EXAMPLE_EVENT["id"],
    "source": f"/companies/{EXAMPLE_EVENT['companyId']}",
    "subject": EXAMPLE_EVENT["tableId"],
    "type": EXAMPLE_EVENT["type"],
    "time": EXAMPLE_EVENT["occurredAt"],
    "datacontenttype": "application/json",
    "dataschema": f"/api/schemas/{EXAMPLE_EVENT['type']}",
    "position": EXAMPLE_EVENT["position"],
    "sequence": "0000000000000048231",
    "companyid": EXAMPLE_EVENT["companyId"],
    "actorid": "019ab3f2-0000-7000-8000-0000000000aa",
    "correlationid": EXAMPLE_EVENT["correlationId"],
    "traceparent": TRACEPARENT,
    "data": EXAMPLE_EVENT["data"],
}


def _forget_default(schema: JsonDict) -> None:
    schema.pop("default", None)


def _absent(description: str) -> Any:
    """A field that is left out where there is nothing to say, and never null."""
    return Field(None, description=description, json_schema_extra=_forget_default)


class CloudEvent(BaseModel):
    """Something that happened; if it was erased, with `data: null, erased: true` and ids alone."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_CLOUD_EVENT]})

    specversion: Literal["1.0"]
    id: UUID
    source: str = Field(
        description="`/companies/<id>`.", json_schema_extra={"format": "uri-reference"}
    )
    subject: UUID = Field(description="The aggregate that it happened to; a table by its id.")
    type: str
    time: datetime | SkipJsonSchema[None] = _absent("When it happened.")
    datacontenttype: Literal["application/json"]
    dataschema: str = Field(
        description="Where the schema of `data` is.", json_schema_extra={"format": "uri-reference"}
    )
    position: str = Field(description="Its place in the order of all events.")
    sequence: str = Field(description="The same, with zeros before it: sorts as text.")
    companyid: UUID
    actorid: UUID | SkipJsonSchema[None] = _absent("Who acted.")
    correlationid: str | SkipJsonSchema[None] = _absent("Of the request, or what it belongs to.")
    causationid: UUID | SkipJsonSchema[None] = _absent("The event that was the cause.")
    traceparent: str | SkipJsonSchema[None] = _absent("W3C trace context of the request.")
    data: dict[str, Any] | None
    erased: bool = False
