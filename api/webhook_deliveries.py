"""What was sent to a webhook, over HTTP; and how to have it sent again."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import BODY, EVERY, failures, found, keeps, reads
from api.consuming import JSON, replayed
from api.endpoint import Call, Endpoint
from api.errors import ApiError
from api.ids import new_id
from api.orders import Connection, carry_out, is_repeated, order
from api.reading import after, page_answer
from api.schemas import CacheHeaders, KeyHeaders, Part, WriteQuery
from api.tenancy_schemas import CursorQuery
from api.views import EXAMPLE_ID
from api.webhook_schemas import ReplayRange
from api.webhook_views import DeliveryPage, TestResult, Webhook, WebhookRehearsal, delivery_view
from api.webhooks import OWN, WebhookId, view
from api.writing import rehearsed
from application.event_feed import Rewound
from application.feed import rfc3339
from application.webhooks import deliveries, endpoints
from application.webhooks.attempts import Attempt
from application.webhooks.endpoints import Endpoint as Target
from application.webhooks.sending import message
from projections.keyset import Page

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
    company_id = call.caller.company_id
    wanted = ("deliveries", company_id, id)
    start = after(call, query.cursor, wanted)

    async def run(connection: Connection) -> Page:
        endpoint = await endpoints.find(connection, company_id, id)
        before = start.id if start else deliveries.LAST
        sent = await deliveries.latest(connection, endpoint, before, query.limit + 1)
        shown = sent[: query.limit]
        items = ",".join(to_json(delivery_view(each)).decode() for each in shown)
        return Page(items, len(sent) > len(shown), "", shown[-1].id if shown else None, None)

    return page_answer(call, headers, await call.services.transact(company_id, run), wanted)


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

    async def run(connection: Connection, endpoint: Target) -> tuple[int, int]:
        sent = await deliveries.one(connection, endpoint, delivery_id)
        return sent.position - 1, sent.position

    return await _replay(call, id, query, headers, run)


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

    async def run(connection: Connection, endpoint: Target) -> tuple[int, int]:
        if wanted.until > await endpoints.head(connection, endpoint):
            raise Rewound
        return wanted.after, wanted.until

    return await _replay(call, id, query, headers, run)


@router.post("/{id}/test", dependencies=OWN,
             responses=found(TestResult) | failures(*EVERY, "not-found", "csrf"))  # fmt: skip
async def test_webhook(call: Call, id: WebhookId, query: Annotated[Part, Query()]) -> Response:
    """Send a message that says nothing, signed like all others, and tell what came back."""
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
    shown = {
        "delivered": attempt.error is None, "status": answer.status, "error": attempt.error,
        "answer": answer.text, "milliseconds": milliseconds,
    }  # fmt: skip
    return Response(to_json(shown), media_type=JSON)


async def _replay(
    call: Call,
    id: UUID,
    query: WriteQuery,
    headers: KeyHeaders,
    positions: Callable[[Connection, Target], Awaitable[tuple[int, int]]],
) -> Response:
    """Order that events be sent again, once for each idempotency key."""
    ordered = order(call, query, headers)

    async def run(connection: Connection) -> tuple[dict[str, Any], bool]:
        endpoint = await endpoints.find(connection, ordered.company_id, id, for_update=True)
        above, until = await positions(connection, endpoint)
        repeated = await is_repeated(connection, ordered)
        if not repeated:
            if await endpoints.replays(connection, endpoint) >= MOST:
                raise ApiError("limit-reached", f"There are {MOST} to be sent again already.")
            await endpoints.replay(connection, endpoint, new_id(), ordered.actor_id, above, until)
        return await view(connection, endpoint), repeated

    shown, repeated = await carry_out(call.services.transact, ordered, run)
    if ordered.dry_run:
        return rehearsed("webhook", shown)
    return Response(to_json(shown), 202, replayed(repeated), JSON)
