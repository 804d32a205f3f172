"""The shapes of requests about webhooks."""

from typing import Annotated, Any, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from api.consumer_schemas import EXAMPLE_TYPE, Body, TypeList, Whole
from api.event_schemas import After
from api.points import Position
from api.views import EXAMPLE_ID
from domain.values import plain_text

LONGEST_OVERLAP = 30 * 24 * 3600  # seconds
ENDPOINT: JsonDict = {
    "url": "https://hooks.example.com/tables", "description": "The warehouse",
    "types": [EXAMPLE_TYPE], "tableId": None, "paused": False,
}  # fmt: skip


def _url(text: str) -> str:
    """An address that can be called as it stands."""
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable or not all("!" <= each <= "~" for each in text):
        raise PydanticCustomError("invalid-url", "must be an http or https URL, in ASCII")
    if "@" in url.netloc:
        raise PydanticCustomError("invalid-url", "must not hold a password: verify the signature")
    if url.fragment:
        raise PydanticCustomError("invalid-url", "must have no fragment")
    return text


Url = Annotated[
    str,
    AfterValidator(_url),
    Field(
        max_length=2000,
        description="Where events are sent by POST; a public address.",
        json_schema_extra={"pattern": "^https?://[!-~]+$"},
        examples=["https://hooks.example.com/tables"],
    ),
]
Description = Annotated[
    Annotated[str, AfterValidator(plain_text)] | None,
    Field(max_length=1000, description="What it is for.", examples=["The warehouse"]),
]
TableId = Annotated[
    UUID | None,
    Field(strict=False, description="Only of this table; null = of all.", examples=[EXAMPLE_ID]),
]


class NewWebhook(Body):
    """Where events are to be sent, and which."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**ENDPOINT, "start": "head"}]})

    url: Url
    description: Description = None
    types: TypeList = None
    table_id: TableId = None
    paused: bool = Field(False, description="Whether events wait until it is set to false.")
    start: After = Field(
        "head", description="Events above this position: `head` only new ones, `0` all there were."
    )


class WebhookChange(Body):
    """A merge patch (RFC 7396): absent = keep, null = clear."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"paused": True}]})

    url: Url = ""
    description: Description = None
    types: TypeList = None
    table_id: TableId = None
    paused: bool = Field(
        False, description="false also starts again what was paused, and tries what waits now."
    )


class SecretRotation(Body):
    """How a secret is replaced by another."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlapSeconds": 86400}]})

    overlap_seconds: Annotated[int, Whole] = Field(
        86_400, ge=0, le=LONGEST_OVERLAP,
        description="How long messages are signed with both; a day by default, 30 at most.",
    )  # fmt: skip


class ReplayRange(Body):
    """Which events to send again: those above one position, up to another."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"after": "0", "until": "1"}]})

    after: Position
    until: Position

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until <= self.after:
            raise PydanticCustomError("out-of-order", "until must be above after")
        return self


def changed(known: dict[str, Any], change: WebhookChange) -> dict[str, Any]:
    """The fields of an endpoint after a merge patch."""
    return known | {name: getattr(change, name) for name in change.model_fields_set}
