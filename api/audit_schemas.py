"""The shapes of requests for proofs."""

import re
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from api.event_schemas import EXAMPLE_EVENT
from api.schemas import Part

MOST = 10**18  # leaves


def _whole(text: object) -> object:
    """A whole number, as a query has it; there may be more leaves than `digits` counts."""
    if not (isinstance(text, str) and re.fullmatch(r"-?[0-9]{1,19}", text)):
        raise PydanticCustomError("type", "must be a whole number")
    return int(text)


Size = Annotated[int, Field(ge=0, le=MOST), BeforeValidator(_whole)]


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
