"""What is shown of webhooks, and documented."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from pydantic.config import JsonDict

from api.consumer_schemas import EXAMPLE_TYPE
from api.consumer_views import Lag, Shown
from api.event_schemas import EXAMPLE_EVENT
from api.views import EXAMPLE_ID, WouldRecord, example, page, rehearsal
from api.webhook_schemas import ENDPOINT
from application.consumers.consumer import Consumer
from application.consumers.standing import Behind, Standing
from application.feed import public_type, rfc3339
from application.webhooks import signing
from application.webhooks.deliveries import Sent
from application.webhooks.endpoints import Endpoint

_ACTOR_ID = "019ab3f2-0000-7000-8000-0000000000aa"
_SUMMARY: JsonDict = {
    "id": EXAMPLE_ID, **ENDPOINT, "pausedFor": None, "failures": 0, "retryAt": None,
    "lastError": None, "position": "48211", "head": "48231", "createdBy": _ACTOR_ID,
    "createdAt": "2026-11-22T09:00:00.123456Z", "updatedBy": _ACTOR_ID,
    "updatedAt": "2026-11-22T09:00:00.123456Z",
}  # fmt: skip
_WEBHOOK: JsonDict = {
    **_SUMMARY, "lag": {"events": 7, "seconds": 1.25}, "waiting": 0, "replays": 0,
    "formerSecretUntil": None,
}  # fmt: skip
_SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
_DELIVERY: JsonDict = {
    "id": EXAMPLE_ID, "eventId": EXAMPLE_EVENT["id"], "position": "48231", "type": EXAMPLE_TYPE,
    "attempt": 2, "replayed": False, "at": "2026-11-22T09:00:00.123456Z", "milliseconds": 84,
    "status": 503, "error": "answered 503", "answer": "try later",
}  # fmt: skip


class WebhookSummary(Shown):
    """A webhook in a list."""

    model_config = example(_SUMMARY)

    id: UUID
    url: str
    description: str | None
    types: list[str] | None
    table_id: UUID | None
    paused: bool
    paused_for: Literal["asked", "gone", "failed", "rewound"] | None = Field(
        description="Why nothing is sent: somebody asked for it, it answered 410, it failed for too"
        " long, or a backup of ours was restored."
    )
    failures: int = Field(description="Attempts that failed in a row.")
    retry_at: datetime | None = Field(description="Nothing is sent before, after failures.")
    last_error: str | None
    position: str = Field(description="All up to there is delivered, but for what waits.")
    head: str = Field(description="The last position of the company.")
    created_by: UUID
    created_at: datetime
    updated_by: UUID
    updated_at: datetime


class Webhook(WebhookSummary):
    """Where events are sent, which, and how far that is."""

    model_config = example(_WEBHOOK)

    lag: Lag
    waiting: int = Field(
        description="Tables whose events wait because one of them was refused: until it is tried"
        " again, or somebody sets `paused` to false."
    )
    replays: int = Field(description="Requests to send something again that are not finished.")
    former_secret_until: datetime | None = Field(description="Until then both secrets sign.")


class NewWebhookShown(Webhook):
    """A webhook with its secret, which is shown this once."""

    model_config = example(_WEBHOOK | {"secret": _SECRET})

    secret: str | None = Field(description="null: this request was answered before.")


class WebhookPage(Shown):
    """All webhooks of the company, oldest first."""

    model_config = page(_SUMMARY)

    items: list[WebhookSummary]
    next_cursor: str | None


class WebhookRehearsal(Shown):
    """What a write with `dryRun` would do; nothing was stored."""

    model_config = rehearsal("webhook", _WEBHOOK)

    dry_run: Literal[True]
    webhook: Webhook
    events: list[WouldRecord] = Field(description="Webhooks are no events.")


class Delivery(Shown):
    """An attempt to send an event."""

    model_config = example(_DELIVERY)

    id: UUID
    event_id: UUID
    position: str
    type: str
    attempt: int
    replayed: bool = Field(description="Whether somebody asked to have it sent again.")
    at: datetime
    milliseconds: int
    status: int | None = Field(description="null: there was no answer.")
    error: str | None = Field(description="null: it was taken.")
    answer: str = Field(description="How the answer began.")


class DeliveryPage(Shown):
    """Attempts of the last 30 days, newest first."""

    model_config = page(_DELIVERY)

    items: list[Delivery]
    next_cursor: str | None


class TestResult(Shown):
    """What became of a message that says nothing."""

    __test__ = False
    model_config = example(
        {"delivered": True, "status": 204, "error": None, "answer": "", "milliseconds": 84}
    )

    delivered: bool
    status: int | None
    error: str | None
    answer: str
    milliseconds: int


SHOWN = (Webhook, NewWebhookShown, WebhookPage, WebhookRehearsal, DeliveryPage, TestResult)


def summary(endpoint: Endpoint, consumer: Consumer, now: Standing) -> dict[str, Any]:
    """A webhook as a list shows it."""
    topics = consumer.terms.topics
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "types": topics and sorted(map(public_type, topics)),
        "tableId": consumer.terms.originator_id,
        "paused": endpoint.paused_at is not None,
        "pausedFor": endpoint.paused_for,
        "failures": endpoint.failures,
        "retryAt": endpoint.retry_at and rfc3339(endpoint.retry_at),
        "lastError": endpoint.last_error,
        "position": str(now.position),
        "head": str(now.head),
        "createdBy": consumer.created_by,
        "createdAt": rfc3339(consumer.created_at),
        "updatedBy": endpoint.updated_by,
        "updatedAt": rfc3339(endpoint.updated_at),
    }


def webhook_view(
    endpoint: Endpoint, consumer: Consumer, now: Standing, lag: Behind, replays: int
) -> dict[str, Any]:
    """Where events are sent, which, and how far that is."""
    return summary(endpoint, consumer, now) | {
        "lag": {"events": lag.events, "seconds": lag.seconds},
        "waiting": now.parked + now.retrying,
        "replays": replays,
        "formerSecretUntil": endpoint.former_until and rfc3339(endpoint.former_until),
    }


def with_secret(view: dict[str, Any], endpoint: Endpoint | None) -> dict[str, Any]:
    """The same with its secret, unless that was shown before."""
    return view | {"secret": endpoint and signing.shown(endpoint.secret)}


def delivery_view(sent: Sent) -> dict[str, Any]:
    """An attempt to send an event."""
    return {
        "id": str(sent.id),
        "eventId": str(sent.event_id),
        "position": str(sent.position),
        "type": public_type(sent.topic),
        "attempt": sent.attempt,
        "replayed": sent.replayed,
        "at": rfc3339(sent.began_at),
        "milliseconds": sent.milliseconds,
        "status": sent.status,
        "error": sent.error,
        "answer": sent.answer,
    }
