"""Webhooks over HTTP: where events are sent, and whether that works."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response

from api import webhook_orders
from api.answers import keeps, reads
from api.consuming import JSON, replayed
from api.endpoint import Call, Endpoint
from api.failures import BODY
from api.orders import Connection, Order, order
from api.reading import unless_known
from api.schemas import CacheHeaders, KeyHeaders, WriteQuery
from api.security import requires
from api.views import EXAMPLE_ID
from api.webhook_schemas import NewWebhook, SecretRotation, WebhookChange
from api.webhook_views import NewWebhookShown, Webhook, WebhookPage, WebhookRehearsal
from api.writing import rehearsed
from application.webhooks import endpoints

OWN = [requires("webhooks:write")]
WebhookId = Annotated[UUID, Path(description="The webhook.", examples=[EXAMPLE_ID])]

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
    ordered = order(call, query, headers)
    id, shown, repeated = await webhook_orders.make(call, ordered, new)
    return _made(ordered, shown, repeated, {"Location": f"/api/webhooks/{id}"})


@router.get("", dependencies=OWN, responses=reads(WebhookPage, position=False))
async def list_webhooks(call: Call, headers: Annotated[CacheHeaders, Header()]) -> Response:
    """List the webhooks of the company, oldest first, without their secrets."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> list[dict[str, Any]]:
        return await webhook_orders.every(connection, company_id)

    items = await call.services.transact(company_id, run)
    return unless_known(headers, to_json({"items": items, "nextCursor": None}))


@router.get("/{id}", dependencies=OWN, responses=reads(Webhook, "not-found", position=False))
async def get_webhook(
    call: Call, id: WebhookId, headers: Annotated[CacheHeaders, Header()]
) -> Response:
    """Read a webhook, how far it is, and what does not work; without its secret."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> dict[str, Any]:
        found = await endpoints.find(connection, company_id, id)
        return await webhook_orders.view(connection, found)

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
    ordered = order(call, query, headers)
    shown, repeated = await webhook_orders.change(call, id, ordered, change)
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
    shown, repeated = await webhook_orders.remove(call, id, ordered)
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
    shown, repeated = await webhook_orders.rotate(call, id, ordered, rotation)
    return _made(ordered, shown, repeated, {"Location": f"/api/webhooks/{id}"})


def _made(ordered: Order, shown: dict[str, Any], repeated: bool, where: dict[str, str]) -> Response:
    if ordered.dry_run:
        return rehearsed("webhook", {name: shown[name] for name in shown if name != "secret"})
    headers = where | (replayed(True) if repeated else {"Cache-Control": "no-store"})
    return Response(to_json(shown), 201, headers, JSON)
