"""Webhooks as a page: all of them, and a new one, whose secret is shown on that answer alone."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api import webhook_orders
from api.orders import Connection
from api.web import webhook_form, writes
from api.web.due import due
from api.web.event_filter import things
from api.web.orders import order_of
from api.web.page import Page, PageCall, render
from api.webhook_schemas import NewWebhook
from api.webhook_views import delivery_view
from api.webhooks import OWN
from application.webhooks import deliveries, endpoints

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/webhooks", dependencies=OWN)
async def list_webhooks(call: PageCall) -> Response:
    """All webhooks of the company, how they are, and what was sent last."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> list[dict[str, Any]]:
        last = await _last(connection, company_id)
        items = await webhook_orders.every(connection, company_id)
        return [each | {"state": state(each), "last": last.get(each["id"])} for each in items]

    items = await call.services.transact(company_id, run)
    tables = await things(call, [each["tableId"] for each in items])
    return await render(call, "webhooks.html", webhooks=items, tables=tables, due=due)


@router.get("/webhooks/new", dependencies=OWN)
async def new_webhook(call: PageCall) -> Response:
    """The form of a new webhook."""
    return await webhook_form.show(call, webhook_form.BLANK)


@router.post("/webhooks/new", dependencies=OWN)
async def create_webhook(call: PageCall) -> Response:
    """Make it, and show its secret, this once."""
    form = call.given
    try:
        asked = await webhook_form.wanted(call) | webhook_form.beginning(form)
        new = writes.read(NewWebhook, asked)
        _, shown, _ = await webhook_orders.make(call, order_of(call), new)
    except Exception as error:
        problem = writes.refusal(error, *webhook_form.REFUSALS)
        return await webhook_form.show(call, webhook_form.given(form), None, problem)
    return await show_secret(call, shown, rotated=False)


async def show_secret(call: PageCall, webhook: Mapping[str, Any], *, rotated: bool) -> Response:
    """The answer that has the secret; nothing else ever does."""
    return await render(call, "webhook_secret.html", 201, webhook=webhook, rotated=rotated)


def state(webhook: Mapping[str, Any]) -> str:
    """How it is: on, failing, waiting to be tried again, or why it is paused."""
    if webhook["paused"]:
        return str(webhook["pausedFor"])
    retry_at = webhook["retryAt"]
    if retry_at and datetime.fromisoformat(retry_at) > datetime.now(UTC):
        return "waiting"
    return "failing" if webhook["failures"] else "on"


async def _last(connection: Connection, company_id: UUID) -> Mapping[UUID, Mapping[str, Any]]:
    """The last attempt of each webhook to which anything was sent in the last 30 days."""
    sent = {}
    for endpoint in await endpoints.every(connection, company_id):
        for each in await deliveries.latest(connection, endpoint, deliveries.LAST, 1):
            sent[endpoint.id] = delivery_view(each)
    return sent
