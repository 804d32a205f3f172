"""Webhooks over HTTP: where events are sent, and whether that works."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import BODY, keeps, reads
from api.consuming import JSON, replayed
from api.endpoint import Call, Endpoint
from api.errors import ApiError
from api.ids import new_id
from api.orders import Connection, Order, carry_out, is_repeated, order, remembered
from api.reading import unless_known
from api.schemas import CacheHeaders, KeyHeaders, WriteQuery
from api.scopes import requires
from api.views import EXAMPLE_ID
from api.webhook_schemas import NewWebhook, SecretRotation, WebhookChange, changed
from api.webhook_views import (
    NewWebhookShown,
    Webhook,
    WebhookPage,
    WebhookRehearsal,
    summary,
    webhook_view,
    with_secret,
)
from api.writing import rehearsed
from application.consumers import registry
from application.consumers.consumer import behind_webhook, count
from application.consumers.registry import Place
from application.consumers.standing import behind, standing
from application.webhooks import endpoints
from application.webhooks.endpoints import Endpoint as Target
from application.webhooks.endpoints import Wanted

OWN = [requires("webhooks:write")]
MOST = 100  # webhooks of a company
WebhookId = Annotated[UUID, Path(description="The webhook.", examples=[EXAMPLE_ID])]
Change = Callable[[Connection, Target], Awaitable[Target]]

router = APIRouter(
    prefix="/api/webhooks",
    tags=["webhooks"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.post("", status_code=201, dependencies=OWN,
             responses=keeps(201, NewWebhookShown, WebhookRehearsal, *BODY, "limit-reached",
                             "feed-rewound"))  # fmt: skip
async def create_webhook(
    call: Call,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    new: Annotated[NewWebhook, Body()],
) -> Response:
    """Send events to an address from now on; its secret is shown this once."""
    await call.services.outbound.check(new.url)
    ordered = order(call, query, headers)
    wanted = Wanted(new.url, new.description, new.types, new.table_id, new.paused)
    start = Place(new.start if isinstance(new.start, int) else None)

    async def run(connection: Connection) -> tuple[UUID, dict[str, Any], bool]:
        company_id, id = ordered.company_id, new_id()
        made_id = await remembered(connection, ordered, id)
        if made_id != id:
            before = await endpoints.find(connection, company_id, made_id)
            return made_id, with_secret(await view(connection, before), None), True
        endpoint = await endpoints.add(connection, id, company_id, ordered.actor_id, wanted, start)
        if await count(connection, company_id, of_webhooks=True) > MOST:
            raise ApiError("limit-reached", f"There are {MOST} webhooks already.")
        return id, with_secret(await view(connection, endpoint), endpoint), False

    id, shown, repeated = await carry_out(call.services.transact, ordered, run)
    return _made(ordered, shown, repeated, {"Location": f"/api/webhooks/{id}"})


@router.get("", dependencies=OWN, responses=reads(WebhookPage, position=False))
async def list_webhooks(call: Call, headers: Annotated[CacheHeaders, Header()]) -> Response:
    """List the webhooks of the company, oldest first, without their secrets."""

    async def run(connection: Connection) -> list[dict[str, Any]]:
        items = []
        for endpoint in await endpoints.every(connection, call.caller.company_id):
            consumer = await endpoints.consumer_of(connection, endpoint)
            items.append(summary(endpoint, consumer, await standing(connection, consumer)))
        return items

    items = await call.services.transact(call.caller.company_id, run)
    return unless_known(headers, to_json({"items": items, "nextCursor": None}))


@router.get("/{id}", dependencies=OWN, responses=reads(Webhook, "not-found", position=False))
async def get_webhook(
    call: Call, id: WebhookId, headers: Annotated[CacheHeaders, Header()]
) -> Response:
    """Read a webhook, how far it is, and what does not work; without its secret."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> dict[str, Any]:
        return await view(connection, await endpoints.find(connection, company_id, id))

    return unless_known(headers, to_json(await call.services.transact(company_id, run)))


@router.patch("/{id}", dependencies=OWN, openapi_extra={"x-merge-patch": True},
              responses=keeps(200, Webhook, WebhookRehearsal, *BODY, "not-found"))  # fmt: skip
async def change_webhook(
    call: Call,
    id: WebhookId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    change: Annotated[WebhookChange, Body()],
) -> Response:
    """Change any mix of fields; pause it, or start it again with all that waited."""
    if "url" in change.model_fields_set:
        await call.services.outbound.check(change.url)
    ordered = order(call, query, headers)

    async def run(connection: Connection, endpoint: Target) -> Target:
        terms = (await endpoints.consumer_of(connection, endpoint)).terms
        known = {
            "url": endpoint.url, "description": endpoint.description, "types": terms.topics,
            "table_id": terms.originator_id, "paused": endpoint.paused_at is not None,
        }  # fmt: skip
        return await endpoints.change(
            connection, endpoint, ordered.actor_id, Wanted(*changed(known, change).values()),
            again="paused" in change.model_fields_set,
        )  # fmt: skip

    shown, _, repeated = await _changed(call, id, ordered, run)
    if ordered.dry_run:
        return rehearsed("webhook", shown)
    return Response(to_json(shown), 200, replayed(repeated), JSON)


@router.delete("/{id}", status_code=204, dependencies=OWN,
               responses=keeps(204, None, WebhookRehearsal, "not-found"))  # fmt: skip
async def delete_webhook(
    call: Call,
    id: WebhookId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Send nothing there any more, and forget what was sent."""
    ordered = order(call, query, headers)

    async def run(connection: Connection) -> tuple[dict[str, Any], bool]:
        if await is_repeated(connection, ordered):
            return {}, True
        endpoint = await endpoints.find(connection, ordered.company_id, id, for_update=True)
        shown = await view(connection, endpoint)
        await registry.remove(connection, ordered.company_id, id)
        return shown, False

    shown, repeated = await carry_out(call.services.transact, ordered, run)
    if ordered.dry_run:
        return rehearsed("webhook", shown)
    return Response(status_code=204, headers=replayed(repeated))


@router.post("/{id}/rotate", status_code=201, dependencies=OWN,
             responses=keeps(201, NewWebhookShown, WebhookRehearsal, *BODY,
                             "not-found"))  # fmt: skip
async def rotate_webhook_secret(
    call: Call,
    id: WebhookId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    rotation: Annotated[SecretRotation, Body(default_factory=SecretRotation)],
) -> Response:
    """Make another secret, shown this once; for a while messages are signed with both."""
    ordered = order(call, query, headers)

    async def run(connection: Connection, endpoint: Target) -> Target:
        return await endpoints.rotate(
            connection, endpoint, ordered.actor_id, rotation.overlap_seconds
        )

    found, endpoint, repeated = await _changed(call, id, ordered, run)
    shown = with_secret(found, None if repeated else endpoint)
    return _made(ordered, shown, repeated, {"Location": f"/api/webhooks/{id}"})


async def _changed(
    call: Call, id: UUID, ordered: Order, change: Change
) -> tuple[dict[str, Any], Target, bool]:
    """Change a webhook, once for each idempotency key; how it is now, and whether it was before."""

    async def run(connection: Connection) -> tuple[dict[str, Any], Target, bool]:
        endpoint = await endpoints.find(connection, ordered.company_id, id, for_update=True)
        repeated = await is_repeated(connection, ordered)
        if not repeated:
            endpoint = await change(connection, endpoint)
        return await view(connection, endpoint), endpoint, repeated

    return await carry_out(call.services.transact, ordered, run)


async def view(connection: Connection, endpoint: Target) -> dict[str, Any]:
    """A webhook as it is shown."""
    consumer = await behind_webhook(connection, endpoint.company_id, endpoint.id)
    now, lag = await standing(connection, consumer), await behind(connection, consumer)
    replays = await endpoints.replays(connection, endpoint)
    return webhook_view(endpoint, consumer, now, lag, replays)


def _made(ordered: Order, shown: dict[str, Any], repeated: bool, where: dict[str, str]) -> Response:
    if ordered.dry_run:
        return rehearsed("webhook", {name: shown[name] for name in shown if name != "secret"})
    headers = where | (replayed(True) if repeated else {"Cache-Control": "no-store"})
    return Response(to_json(shown), 201, headers, JSON)
