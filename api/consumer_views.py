"""What is shown of consumers, and documented."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from api.consumer_schemas import EXAMPLE_TYPE, LEASE, TERMS
from api.event_schemas import EXAMPLE_EVENT, Event
from api.views import EXAMPLE_ID, WouldRecord, example, page, rehearsal
from application.consumers.consumer import Consumer as Consuming
from application.consumers.delivery import Delivery
from application.consumers.held import Held
from application.consumers.standing import Behind, Standing
from application.feed import public_item, public_type, rfc3339

_ACTOR_ID = "019ab3f2-0000-7000-8000-0000000000aa"
_SUMMARY: JsonDict = {
    "name": "warehouse-copy", **TERMS, "position": "48211", "head": "48231", "parked": 0,
    "retrying": 0, "createdBy": _ACTOR_ID, "createdAt": "2026-11-22T09:00:00.123456Z",
}  # fmt: skip
_CONSUMER: JsonDict = {
    **_SUMMARY,
    "lag": {"events": 7, "seconds": 1.25},
    "progress": [
        {"partition": 0, "position": "48211", "owner": _ACTOR_ID,
         "leasedUntil": "2026-11-22T09:01:00.123456Z"},
    ],
}  # fmt: skip
_PARKED: JsonDict = {
    "id": EXAMPLE_ID, "position": "48231", "eventId": EXAMPLE_EVENT["id"], "type": EXAMPLE_TYPE,
    "state": "parked", "attempts": 10, "error": "no such customer", "retryAt": None,
    "since": "2026-11-22T09:00:00.123456Z",
}  # fmt: skip


class Shown(BaseModel):
    """What is shown; its names are camelCase."""

    model_config = ConfigDict(alias_generator=to_camel)


class ConsumerSummary(Shown):
    """A consumer in a list."""

    model_config = example(_SUMMARY)

    name: str
    types: list[str] | None
    table_id: UUID | None
    partitions: int
    lease_seconds: int
    max_attempts: int
    position: str = Field(description="All up to there is acknowledged, but for what is held.")
    head: str = Field(description="The last position of the company.")
    parked: int = Field(description="Tables that wait for somebody to decide.")
    retrying: int = Field(description="Tables of which an event will be tried again.")
    created_by: UUID
    created_at: datetime


class Lag(Shown):
    """How far it is behind, without what is parked or held."""

    events: int = Field(description="Not acknowledged; more than 100,000 are not counted.")
    seconds: float = Field(description="Since the oldest of them was recorded.")


class Progress(Shown):
    """How far one partition is, and who reads it."""

    partition: int
    position: str
    owner: UUID | None = Field(description="Who has the lease now.")
    leased_until: datetime | None


class Consumer(ConsumerSummary):
    """A consumer, how far it is, and who reads for it."""

    model_config = example(_CONSUMER)

    lag: Lag
    progress: list[Progress]


class ConsumerPage(Shown):
    """All consumers of the company, by name."""

    model_config = page(_SUMMARY)

    items: list[ConsumerSummary]
    next_cursor: str | None


class ConsumerRehearsal(Shown):
    """What a write with `dryRun` would do; nothing was stored."""

    model_config = rehearsal("consumer", _CONSUMER)

    dry_run: Literal[True]
    consumer: Consumer
    events: list[WouldRecord] = Field(description="Consumers are no events.")


class Delivered(Shown):
    """Events under a lease: acknowledge `position` when all are dealt with; nulls = none."""

    model_config = example(
        {"lease": LEASE, "leasedUntil": "2026-11-22T09:01:00.123456Z", "partition": 0,
         "events": [EXAMPLE_EVENT], "position": "48231"}
    )  # fmt: skip

    lease: UUID | None
    leased_until: datetime | None
    partition: int | None
    events: list[Event]
    position: str | None


class Refused(Shown):
    """What became of it."""

    model_config = example({"attempts": 3, "parked": False})

    attempts: int = Field(description="How often this event was refused.")
    parked: bool = Field(description="Whether its table waits until somebody decides.")


class Parked(Shown):
    """A table, workspace or company of which an event was refused: what follows of it waits."""

    model_config = example(_PARKED)

    id: UUID
    position: str = Field(description="Of the event that was refused.")
    event_id: UUID | None
    type: str | None
    state: Literal["retrying", "parked"]
    attempts: int
    error: str | None
    retry_at: datetime | None
    since: datetime = Field(description="When it was refused last.")


class ParkedPage(Shown):
    """What waits, by its id."""

    model_config = page(_PARKED)

    items: list[Parked]
    next_cursor: str | None


SHOWN = (Consumer, ConsumerPage, ConsumerRehearsal, Delivered, Refused, ParkedPage)


def summary(consumer: Consuming, now: Standing) -> dict[str, Any]:
    """A consumer as a list shows it."""
    topics = consumer.terms.topics
    return {
        "name": consumer.name,
        "types": topics and sorted(map(public_type, topics)),
        "tableId": consumer.terms.originator_id,
        "partitions": consumer.terms.partitions,
        "leaseSeconds": consumer.terms.lease_seconds,
        "maxAttempts": consumer.terms.max_attempts,
        "position": str(now.position),
        "head": str(now.head),
        "parked": now.parked,
        "retrying": now.retrying,
        "createdBy": consumer.created_by,
        "createdAt": rfc3339(consumer.created_at),
    }


def consumer_view(consumer: Consuming, now: Standing, lag: Behind) -> dict[str, Any]:
    """A consumer, how far it is, and who reads for it."""
    progress = [
        {
            "partition": each.partition,
            "position": str(each.position),
            "owner": each.owner,
            "leasedUntil": each.leased_until and rfc3339(each.leased_until),
        }
        for each in now.partitions
    ]
    shown = summary(consumer, now)
    return shown | {"lag": {"events": lag.events, "seconds": lag.seconds}, "progress": progress}


def delivered(company_id: UUID, delivery: Delivery | None) -> dict[str, Any]:
    """What was handed out, if anything."""
    if delivery is None:
        return {
            "lease": None, "leasedUntil": None, "partition": None, "events": [], "position": None,
        }  # fmt: skip
    return {
        "lease": delivery.lease,
        "leasedUntil": rfc3339(delivery.leased_until),
        "partition": delivery.partition,
        "events": [public_item(company_id, row) for row in delivery.rows],
        "position": str(delivery.position),
    }


def parked_view(waiting: Held) -> dict[str, Any]:
    """An aggregate whose events wait."""
    return {
        "id": str(waiting.originator_id),
        "position": str(waiting.failed),
        "eventId": waiting.event_id and str(waiting.event_id),
        "type": waiting.topic and public_type(waiting.topic),
        "state": "retrying" if waiting.retry_at else "parked",
        "attempts": waiting.attempts,
        "error": waiting.error,
        "retryAt": waiting.retry_at and rfc3339(waiting.retry_at),
        "since": rfc3339(waiting.held_at),
    }
