"""One webhook as a page: what was sent there, what waits, and what may be done about it."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import webhook_orders
from api.consumer_views import parked_view
from api.errors import ApiError
from api.ids import new_id
from api.orders import Connection
from api.parked import FIRST
from api.reading import after
from api.tenancy_schemas import CursorQuery
from api.web import webhook_form, writes
from api.web.due import due
from api.web.event_filter import number, things
from api.web.orders import OVERLAPS, order_of
from api.web.page import Page, PageCall, invalid_fields, redirect, render
from api.web.webhooks import show_secret, state
from api.webhook_deliveries import DeliveryId, send_one_again, send_range_again, send_test, sent_to
from api.webhook_schemas import ReplayRange, SecretRotation, WebhookChange
from api.webhooks import OWN, WebhookId
from application.consumers import held
from application.webhooks import endpoints

PAGE = 50
MOST_WAITING = 50

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/webhooks/{id}", dependencies=OWN)
async def show_webhook(
    call: PageCall, id: WebhookId, query: Annotated[CursorQuery, Query()]
) -> Response:
    """How it is, what waits, and each attempt of the last 30 days."""
    webhook, waiting = await _now(call, id)
    bound = ("deliveries", call.caller.company_id, id)
    page = await sent_to(call, id, after(call, query.cursor, bound), PAGE)
    cursor = page.next and call.services.cursors.sign(page.next, call.caller.actor_id, bound)
    ids = [webhook["tableId"], *(each["id"] for each in waiting)]
    return await render(
        call, "webhook.html", webhook=webhook, waiting=waiting, tables=await things(call, ids),
        deliveries=_with_next_try(json.loads(f"[{page.items}]"), waiting), cursor=cursor,
        is_first=query.cursor is None, due=due,
    )  # fmt: skip


@router.get("/webhooks/{id}/edit", dependencies=OWN)
async def edit_webhook(call: PageCall, id: WebhookId) -> Response:
    """The form of one that exists."""
    webhook, _ = await _now(call, id)
    return await webhook_form.show(call, await webhook_form.of(call, webhook), webhook)


@router.post("/webhooks/{id}/edit", dependencies=OWN)
async def change_webhook(call: PageCall, id: WebhookId) -> Response:
    """Send elsewhere, or something else."""
    try:
        asked = await webhook_form.wanted(call)
        wanted = writes.read(WebhookChange, asked)
        writes.not_meanwhile(call, (await _now(call, id))[0], asked, webhook_form.OWN)
        await webhook_orders.change(call, id, order_of(call), wanted)
    except Exception as error:
        problem = writes.refusal(error, *webhook_form.REFUSALS)
        webhook, _ = await _now(call, id)
        return await webhook_form.show(call, webhook_form.given(call.given), webhook, problem)
    return redirect(f"/webhooks/{id}", {"text": "webhook-saved"})


@router.post("/webhooks/{id}/pause", dependencies=OWN)
async def pause_webhook(call: PageCall, id: WebhookId) -> Response:
    """Send nothing until somebody says so."""
    return await _set(call, id, paused=True)


@router.post("/webhooks/{id}/resume", dependencies=OWN)
async def resume_webhook(call: PageCall, id: WebhookId) -> Response:
    """Go on with all that waited, now."""
    return await _set(call, id, paused=False)


@router.get("/webhooks/{id}/rotate", dependencies=OWN)
async def ask_to_rotate(call: PageCall, id: WebhookId) -> Response:
    """The form that replaces the secret: for how long both sign."""
    webhook, _ = await _now(call, id)
    return await render(
        call, "webhook_rotate.html", webhook=webhook, overlaps=OVERLAPS, once=new_id().hex
    )


@router.post("/webhooks/{id}/rotate", dependencies=OWN)
async def rotate_secret(call: PageCall, id: WebhookId) -> Response:
    """Make another secret, and show it, this once."""
    given = {"overlapSeconds": number(call.given.get("overlap"))}
    rotation = writes.read(SecretRotation, given)
    shown, _ = await webhook_orders.rotate(call, id, order_of(call), rotation)
    return await show_secret(call, shown, rotated=True)


@router.get("/webhooks/{id}/delete", dependencies=OWN)
async def ask_to_delete(call: PageCall, id: WebhookId) -> Response:
    """What deleting it means."""
    webhook, _ = await _now(call, id)
    return await render(call, "webhook_delete.html", webhook=webhook)


@router.post("/webhooks/{id}/delete", dependencies=OWN)
async def delete_webhook(call: PageCall, id: WebhookId) -> Response:
    """Send nothing there any more, and forget what was sent."""
    await webhook_orders.remove(call, id, order_of(call))
    return redirect("/webhooks", {"text": "webhook-deleted"})


@router.post("/webhooks/{id}/test", dependencies=OWN)
async def test_webhook(call: PageCall, id: WebhookId) -> Response:
    """Send a message that says nothing, and show what came back."""
    result = await send_test(call, id)
    return await render(call, "webhook_test.html", id=id, result=result)


@router.post("/webhooks/{id}/deliveries/{delivery_id}/redeliver", dependencies=OWN)
async def redeliver(call: PageCall, id: WebhookId, delivery_id: DeliveryId) -> Response:
    """Send the event of an earlier attempt once more."""
    await send_one_again(call, id, order_of(call), delivery_id)
    return redirect(f"/webhooks/{id}", {"text": "webhook-resent"})


@router.get("/webhooks/{id}/replay", dependencies=OWN)
async def ask_to_replay(call: PageCall, id: WebhookId) -> Response:
    """The form that sends a range of events once more."""
    return await _replay_form(call, id)


@router.post("/webhooks/{id}/replay", dependencies=OWN)
async def replay_events(call: PageCall, id: WebhookId) -> Response:
    """Send a range of events once more, in order."""
    try:
        given = {name: call.given.get(name).strip() for name in ("after", "until")}
        await send_range_again(call, id, order_of(call), writes.read(ReplayRange, given))
    except Exception as error:
        return await _replay_form(call, id, writes.refusal(error, *webhook_form.REFUSALS))
    return redirect(f"/webhooks/{id}", {"text": "webhook-resent-range"})


def _with_next_try(
    sent: Sequence[dict[str, Any]], waiting: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """The attempts; the last one of an event that waits says when the next one is."""
    next_try = {each["eventId"]: each["retryAt"] for each in waiting}
    return [each | {"nextTry": next_try.pop(each["eventId"], None)} for each in sent]


async def _replay_form(call: PageCall, id: UUID, problem: ApiError | None = None) -> Response:
    webhook, _ = await _now(call, id)
    return await render(
        call, "webhook_replay.html", 200 if problem is None else 422,
        webhook=webhook, problem=problem, errors=invalid_fields(problem) if problem else {},
        given={name: call.given.get(name) for name in ("after", "until")},
        once=writes.once(call, problem),
    )  # fmt: skip


async def _set(call: PageCall, id: UUID, *, paused: bool) -> Response:
    await webhook_orders.change(call, id, order_of(call), WebhookChange(paused=paused))
    return redirect(f"/webhooks/{id}", {"text": "webhook-paused" if paused else "webhook-resumed"})


async def _now(call: PageCall, id: UUID) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """A webhook as it is, and what waits of it, each with when it is tried again.

    Raises:
        NotFound.
    """
    company_id = call.caller.company_id

    async def run(connection: Connection) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        endpoint = await endpoints.find(connection, company_id, id)
        consumer = await endpoints.consumer_of(connection, endpoint)
        waiting = await held.waiting(connection, consumer, FIRST, MOST_WAITING)
        return await webhook_orders.view(connection, endpoint), [*map(parked_view, waiting)]

    webhook, waiting = await call.services.transact(company_id, run)
    for each in waiting:  # while the address itself is left alone, so is all that waits for it
        if each["retryAt"]:
            each["retryAt"] = max(each["retryAt"], webhook["retryAt"] or "")
    return webhook | {"state": state(webhook)}, waiting
