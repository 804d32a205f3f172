"""What can be done with webhooks, for the routes of the API and for the pages."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from api.endpoint import Call
from api.errors import ApiError
from api.ids import new_id
from api.orders import Connection, Order, carry_out, is_repeated, remembered
from api.webhook_schemas import NewWebhook, SecretRotation, WebhookChange, changed
from api.webhook_views import summary, webhook_view, with_secret
from application.consumers import registry
from application.consumers.consumer import behind_webhook, count
from application.consumers.registry import Place
from application.consumers.standing import behind, standing
from application.webhooks import endpoints
from application.webhooks.endpoints import Endpoint, Wanted

MOST = 100  # webhooks of a company
Change = Callable[[Connection, Endpoint], Awaitable[Endpoint]]


async def make(call: Call, ordered: Order, new: NewWebhook) -> tuple[UUID, dict[str, Any], bool]:
    """A new webhook with its secret, and whether it was made before: then without.

    Raises:
        ApiError: `validation` or `limit-reached`.
        Rewound: the start is beyond the end of the store.
    """
    await call.services.outbound.check(new.url)
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

    return await carry_out(call.services.transact, ordered, run)


async def every(connection: Connection, company_id: UUID) -> list[dict[str, Any]]:
    """The webhooks of a company, oldest first."""
    items = []
    for endpoint in await endpoints.every(connection, company_id):
        consumer = await endpoints.consumer_of(connection, endpoint)
        items.append(summary(endpoint, consumer, await standing(connection, consumer)))
    return items


async def change(
    call: Call, id: UUID, ordered: Order, wanted: WebhookChange
) -> tuple[dict[str, Any], bool]:
    """A webhook as it is after a change, and whether it was changed so before.

    Raises:
        ApiError: `validation`.
        NotFound.
    """
    if "url" in wanted.model_fields_set:
        await call.services.outbound.check(wanted.url)

    async def run(connection: Connection, endpoint: Endpoint) -> Endpoint:
        terms = (await endpoints.consumer_of(connection, endpoint)).terms
        known = {
            "url": endpoint.url, "description": endpoint.description, "types": terms.topics,
            "table_id": terms.originator_id, "paused": endpoint.paused_at is not None,
        }  # fmt: skip
        return await endpoints.change(
            connection, endpoint, ordered.actor_id, Wanted(*changed(known, wanted).values()),
            again="paused" in wanted.model_fields_set,
        )  # fmt: skip

    shown, _, repeated = await _changed(call, id, ordered, run)
    return shown, repeated


async def rotate(
    call: Call, id: UUID, ordered: Order, rotation: SecretRotation
) -> tuple[dict[str, Any], bool]:
    """A webhook with its new secret, and whether that was made before: then without.

    Raises:
        NotFound.
    """

    async def run(connection: Connection, endpoint: Endpoint) -> Endpoint:
        return await endpoints.rotate(
            connection, endpoint, ordered.actor_id, rotation.overlap_seconds
        )

    found, endpoint, repeated = await _changed(call, id, ordered, run)
    return with_secret(found, None if repeated else endpoint), repeated


async def remove(call: Call, id: UUID, ordered: Order) -> tuple[dict[str, Any], bool]:
    """A webhook as it was, and whether it was removed before: then nothing of it.

    Raises:
        NotFound.
    """

    async def run(connection: Connection) -> tuple[dict[str, Any], bool]:
        if await is_repeated(connection, ordered):
            return {}, True
        endpoint = await endpoints.find(connection, ordered.company_id, id, for_update=True)
        shown = await view(connection, endpoint)
        await registry.remove(connection, ordered.company_id, id)
        return shown, False

    return await carry_out(call.services.transact, ordered, run)


async def _changed(
    call: Call, id: UUID, ordered: Order, run: Change
) -> tuple[dict[str, Any], Endpoint, bool]:
    """Change a webhook, once for each idempotency key; how it is now, and whether it was before."""

    async def once(connection: Connection) -> tuple[dict[str, Any], Endpoint, bool]:
        endpoint = await endpoints.find(connection, ordered.company_id, id, for_update=True)
        repeated = await is_repeated(connection, ordered)
        if not repeated:
            endpoint = await run(connection, endpoint)
        return await view(connection, endpoint), endpoint, repeated

    return await carry_out(call.services.transact, ordered, once)


async def view(connection: Connection, endpoint: Endpoint) -> dict[str, Any]:
    """A webhook as it is shown."""
    consumer = await behind_webhook(connection, endpoint.company_id, endpoint.id)
    now, lag = await standing(connection, consumer), await behind(connection, consumer)
    replays = await endpoints.replays(connection, endpoint)
    return webhook_view(endpoint, consumer, now, lag, replays)
