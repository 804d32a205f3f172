"""Consumers as a page: all of them, how far behind they are, and a new one."""

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.consumer_schemas import CONSUMER_NAME, ConsumerTerms
from api.consumer_views import consumer_view
from api.consumers import define
from api.consuming import OWN
from api.errors import ApiError, invalid
from api.orders import Connection
from api.web import consumer_form, writes
from api.web.event_filter import things
from api.web.orders import order_of
from api.web.page import Page, PageCall, redirect, render
from application.consumers.consumer import named
from application.consumers.standing import Behind, behind, standing
from domain.errors import NotFound

COUNTED = 1_000  # events of each consumer; more are not counted in a list

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/consumers", dependencies=OWN)
async def list_consumers(call: PageCall) -> Response:
    """All consumers of the company, by name."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> list[dict[str, Any]]:
        items = []
        for each in await named(connection, company_id):
            with contextlib.suppress(NotFound):  # it was deleted meanwhile
                now, lag = await standing(connection, each), await behind(connection, each, COUNTED)
                items.append(consumer_view(each, now, lag) | {"lag": lagging(lag)})
        return items

    items = await call.services.transact(company_id, run)
    tables = await things(call, [each["tableId"] for each in items])
    return await render(call, "consumers.html", consumers=items, tables=tables, counted=COUNTED)


@router.get("/consumers/_new", dependencies=OWN)  # no name begins so
async def new_consumer(call: PageCall) -> Response:
    """The form of a new consumer."""
    return await consumer_form.show(call, consumer_form.BLANK)


@router.post("/consumers/_new", dependencies=OWN)
async def create_consumer(call: PageCall) -> Response:
    """Make it; one that exists is not touched."""
    form = call.given
    name = form.get("name").strip()
    try:
        terms = _terms(name, await consumer_form.wanted(call))
        await define(call, order_of(call), name, terms, anew=True)
    except Exception as error:
        problem = writes.refusal(error, *consumer_form.REFUSALS)
        return await consumer_form.show(call, consumer_form.given(form), None, problem)
    return redirect(f"/consumers/{name}", {"text": "created", "name": name})


def lagging(lag: Behind) -> dict[str, Any]:
    """How many events lack, and since when the oldest of them does."""
    return {"events": lag.events, "since": datetime.now(UTC) - timedelta(seconds=lag.seconds)}


def _terms(name: str, asked: dict[str, Any]) -> ConsumerTerms:
    """The terms of a new one; what is wrong with its name is told beside what else is.

    Raises:
        ApiError: `validation`.
    """
    wrong = []
    if not re.fullmatch(CONSUMER_NAME, name):
        code = "invalid-consumer-name" if name else "required"
        detail = "must be letters, digits, '.', '_' and '-'" if name else "is needed"
        wrong.append({"pointer": "/name", "in": "body", "code": code, "detail": detail})
    try:
        terms = writes.read(ConsumerTerms, asked)
    except ApiError as error:
        raise invalid([*wrong, *error.members["errors"]]) from None
    if wrong:
        raise invalid(wrong)
    return terms
