"""What was sent to a webhook, over HTTP; and how to have it sent again."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import found, keeps, reads
from api.consuming import JSON, replayed
from api.endpoint import Call, Endpoint
from api.errors import ApiError
from api.failures import BODY, EVERY, failures
from api.ids import new_id
from api.orders import Connection, Order, carry_out, is_repeated, order
from api.reading import after, page_answer
from api.schemas import CacheHeaders, KeyHeaders, Part, WriteQuery
from api.tenancy_schemas import CursorQuery
from api.views import EXAMPLE_ID
from api.webhook_orders import view
from api.webhook_schemas import ReplayRange
from api.webhook_views import DeliveryPage, TestResult, Webhook, WebhookRehearsal, delivery_view
from api.webhooks import OWN, WebhookId
from api.writing import rehearsed
from application.event_feed import Rewound
from application.feed import rfc3339
from application.webhooks import deliveries, endpoints
from application.webhooks.attempts import Attempt
from application.webhooks.endpoints import Endpoint as Target
from application.webhooks.sending import message
from projections.keyset import Keyset, Page

MOST = 100  # requests for one webhook that are not finished
TEST_TYPE = "dynamic-tables.webhook.test.v1"
DeliveryId = Annotated[UUID, Path(description="An attempt to send it.", examples=[EXAMPLE_ID])]

router = APIRouter(
    prefix="/api/webhooks",
    tags=["webhooks"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("/{id}/deliveries", dependencies=OWN,
            responses=reads(DeliveryPage, "not-found", "invalid-cursor",
                            position=False))  # fmt: skip
async def list_deliveries(
    call: Call,
    id: WebhookId,
    query: Annotated[CursorQuery, Query()],
    headers: Annotated[CacheHeaders, Header()],
) -> Response:
    """List what was sent in the last 30 days, newest first, and what came of it."""
    wanted = ("deliveries", call.caller.company_id, id)
    page = await sent_to(call, id, after(call, query.cursor, wanted), query.limit)
    return page_answer(call, headers, page, wanted)


@router.post("/{id}/deliveries/{delivery_id}/redeliver", status_code=202, dependencies=OWN,
             responses=keeps(202, Webhook, WebhookRehearsal, "not-found",
                             "limit-reached"))  # fmt: skip
async def redeliver(
    call: Call,
    id: WebhookId,
    delivery_id: DeliveryId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Send the event of an earlier attempt once more, as soon as it is its turn."""
    ordered = order(call, query, headers)
    return _ordered(ordered, *await send_one_again(call, id, ordered, delivery_id))


@router.post("/{id}/replay", status_code=202, dependencies=OWN,
             responses=keeps(202, Webhook, WebhookRehearsal, *BODY, "not-found", "feed-rewound",
                             "limit-reached"))  # fmt: skip
async def replay_events(
    call: Call,
    id: WebhookId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    wanted: Annotated[ReplayRange, Body()],
) -> Response:
    """Send a range of events once more, in order, beside those that are new."""
    ordered = order(call, query, headers)
    return _ordered(ordered, *await send_range_again(call, id, ordered, wanted))


@router.post("/{id}/test", dependencies=OWN,
             responses=found(TestResult) | failures(*EVERY, "not-found", "csrf"))  # fmt: skip
async def test_webhook(call: Call, id: WebhookId, query: Annotated[Part, Query()]) -> Response:
    """Send a message that says nothing, signed like all others, and tell what came back."""
    return Response(to_json(await send_test(call, id)), media_type=JSON)


def _ordered(ordered: Order, shown: dict[str, Any], repeated: bool) -> Response:
    if ordered.dry_run:
        return rehearsed("webhook", shown)
    return Response(to_json(shown), 202, replayed(repeated), JSON)


async def sent_to(call: Call, id: UUID, start: Keyset | None, limit: int) -> Page:
    """Attempts of the last 30 days, newest first.

    Raises:
        NotFound.
    """
    company_id = call.caller.company_id

    async def run(connection: Connection) -> Page:
        endpoint = await endpoints.find(connection, company_id, id)
        before = start.id if start else deliveries.LAST
        sent = await deliveries.latest(connection, endpoint, before, limit + 1)
        shown = sent[:limit]
        items = ",".join(to_json(delivery_view(each)).decode() for each in shown)
        return Page(items, len(sent) > len(shown), "", shown[-1].id if shown else None, None)

    return await call.services.transact(company_id, run)


async def send_one_again(
    call: Call, id: UUID, ordered: Order, delivery_id: UUID
) -> tuple[dict[str, Any], bool]:
    """Order that the event of an earlier attempt be sent once more.

    Raises:
        ApiError: `limit-reached`.
        NotFound.
    """

    async def run(connection: Connection, endpoint: Target) -> tuple[int, int]:
        sent = await deliveries.one(connection, endpoint, delivery_id)
        return sent.position - 1, sent.position

    return await _send_again(call, id, ordered, run)


async def send_range_again(
    call: Call, id: UUID, ordered: Order, wanted: ReplayRange
) -> tuple[dict[str, Any], bool]:
    """Order that a range of events be sent once more.

    Raises:
        ApiError: `limit-reached`.
        NotFound.
        Rewound: it goes beyond the end of the store.
    """

    async def run(connection: Connection, endpoint: Target) -> tuple[int, int]:
        if wanted.until > await endpoints.head(connection, endpoint):
            raise Rewound
        return wanted.after, wanted.until

    return await _send_again(call, id, ordered, run)


async def _send_again(
    call: Call,
    id: UUID,
    ordered: Order,
    positions: Callable[[Connection, Target], Awaitable[tuple[int, int]]],
) -> tuple[dict[str, Any], bool]:
    """Order it once for each idempotency key; the webhook, and whether it was ordered before."""

    async def run(connection: Connection) -> tuple[dict[str, Any], bool]:
        endpoint = await endpoints.find(connection, ordered.company_id, id, for_update=True)
        above, until = await positions(connection, endpoint)
        repeated = await is_repeated(connection, ordered)
        if not repeated:
            if await endpoints.replays(connection, endpoint) >= MOST:
                raise ApiError("limit-reached", f"There are {MOST} to be sent again already.")
            await endpoints.replay(connection, endpoint, new_id(), ordered.actor_id, above, until)
        return await view(connection, endpoint), repeated

    return await carry_out(call.services.transact, ordered, run)


async def send_test(call: Call, id: UUID) -> dict[str, Any]:
    """Send a message that says nothing; what came back.

    Raises:
        NotFound.
    """
    company_id, now = call.caller.company_id, datetime.now(UTC)

    async def run(connection: Connection) -> Target:
        return await endpoints.find(connection, company_id, id)

    endpoint = await call.services.transact(company_id, run)
    test_id = new_id()
    item = {
        "id": str(test_id), "type": TEST_TYPE, "companyId": str(company_id),
        "occurredAt": rfc3339(now), "data": {"webhookId": str(id)},
    }  # fmt: skip
    began = time.monotonic()
    answer = await call.services.outbound.post(message(endpoint, str(test_id), item, now))
    milliseconds = round(1000 * (time.monotonic() - began))
    attempt = Attempt(test_id, (), now, milliseconds, answer)
    return {
        "delivered": attempt.error is None, "status": answer.status, "error": attempt.error,
        "answer": answer.text, "milliseconds": milliseconds,
    }  # fmt: skip
