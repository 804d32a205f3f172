"""The shapes of requests for proofs."""

from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from api.event_schemas import EXAMPLE_EVENT
from api.schemas import Part


def _size(text: object) -> object:
    """How many leaves; there may be more than `digits` counts."""
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 18):
        raise PydanticCustomError("type", "must be a whole number that is not negative")
    return int(text)


Size = Annotated[int, BeforeValidator(_size, json_schema_input_type=int)]


class InclusionQuery(Part):
    """Of which event, and in which tree."""

    event_id: UUID = Field(description="The id of the event.", examples=[EXAMPLE_EVENT["id"]])
    size: Size | None = Field(
        None,
        description="How large the tree is that the event is in; by default that of the last"
        " signed head.",
        examples=[48231],
    )


class ConsistencyQuery(Part):
    """Of which trees."""

    first: Size = Field(alias="from", description="The size of the earlier tree.", examples=[48000])
    second: Size | None = Field(
        None,
        alias="to",
        description="The size of the later tree; by default that of the last signed head.",
        examples=[48231],
    )
