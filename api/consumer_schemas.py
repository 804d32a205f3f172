"""The shapes of requests about consumers."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from api.event_schemas import TOPICS, After
from api.points import Moment, Position
from api.schemas import Part
from api.tenancy_schemas import whole
from api.views import EXAMPLE_ID
from domain.values import plain_text

CONSUMER_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
EXAMPLE_TYPE = "dynamic-tables.table-def.renamed.v1"
LEASE = "5d0f6a0c-4d12-4e06-9f30-2b1f6a0c4d12"
TERMS: JsonDict = {
    "types": [EXAMPLE_TYPE], "tableId": None, "partitions": 4, "leaseSeconds": 60,
    "maxAttempts": 10,
}  # fmt: skip


def _topic(name: str) -> str:
    """The topic of a public type; a typo must not look like silence."""
    if name not in TOPICS:
        raise PydanticCustomError(
            "unknown-value", "'{name}' is no type of event", {"name": name[:100]}
        )
    return TOPICS[name]


TypeList = Annotated[
    frozenset[Annotated[str, AfterValidator(_topic)]] | None,
    Field(
        min_length=1,
        description="Only these types; null = all.",
        examples=[[EXAMPLE_TYPE]],
        json_schema_extra={
            "anyOf": [
                {"type": "array", "items": {"enum": sorted(TOPICS)}, "minItems": 1},
                {"type": "null"},
            ]
        },
    ),
]


Whole = BeforeValidator(whole)


class Body(BaseModel):
    """What is said in a body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class ConsumerTerms(Body):
    """What a consumer is told of, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**TERMS, "start": "0"}]})

    types: TypeList = None
    table_id: Annotated[UUID | None, Field(strict=False)] = Field(
        None, description="Only of this table; null = of all.", examples=[EXAMPLE_ID]
    )
    partitions: Annotated[int, Whole] = Field(
        1, ge=1, le=16, description="How many may read at once, each the events of other tables."
    )
    lease_seconds: Annotated[int, Whole] = Field(
        60, ge=1, le=3600, description="How long a reader is waited for."
    )
    max_attempts: Annotated[int, Whole] = Field(
        10, ge=1, le=100, description="How often an event may be refused until its table is parked."
    )
    start: After = Field(
        "0",
        validate_default=True,
        description="Where a new one begins: behind a position, `0`, or `head` for only what is"
        " new. One that exists goes on where it is.",
    )


class NoQuery(Part):
    """Nothing can be asked for in the query; a wish to rehearse is refused, and not ignored."""


class Fetch(Body):
    """How many events, and how long to wait for one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"limit": 100, "wait": 0}]})

    limit: Annotated[int, Whole] = Field(100, ge=1, le=1000, description="The most events.")
    wait: Annotated[int, Whole] = Field(
        0, ge=0, le=30, description="Seconds to wait for one, if there is none yet."
    )


class Acknowledgement(Body):
    """Up to where the events of a lease are dealt with."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lease": LEASE, "position": "48231"}]}
    )

    lease: Annotated[UUID, Field(strict=False)]
    position: Position


class Refusal(Body):
    """Which event of a lease could not be dealt with."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"lease": LEASE, "position": "48231", "error": "no such customer"}]
        }
    )

    lease: Annotated[UUID, Field(strict=False)]
    position: Position
    error: Annotated[str, AfterValidator(plain_text)] | None = Field(
        None, max_length=1000, description="Why, for whoever looks at what is parked."
    )
    retry_after_seconds: float | None = Field(
        None,
        ge=0,
        le=86_400,
        description="When to try again; absent: after 1, 2, 4 … seconds, 60 at most.",
    )


class Seek(Body):
    """Where to go on: behind a position, or at a time."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"position": "0"}]})

    position: After | None = Field(
        None, description="Behind this position; `0` from the beginning, `head` only what is new."
    )
    time: Moment | None = Field(
        None, description="With the first event that was recorded then or later."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.position is None) == (self.time is None):
            raise PydanticCustomError("required", "give either a position or a time")
        return self
