"""One consumer as a page: how far each partition is, what waits, and what may be done about it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.consumer_schemas import ConsumerTerms, Seek
from api.consumer_views import consumer_view, parked_view
from api.consumers import seeking, terms_of
from api.consuming import OWN, Name, once, with_consumer
from api.errors import ApiError, invalid
from api.ids import new_id
from api.orders import Connection
from api.parked import FIRST, Id
from api.web import consumer_form, writes
from api.web.consumers import lagging
from api.web.due import due
from api.web.event_filter import things
from api.web.forms import Form
from api.web.orders import order_of
from api.web.page import Page, PageCall, invalid_fields, language_of, redirect, render
from api.web.people import names_of
from application.consumers import held, registry
from application.consumers.consumer import Consumer
from application.consumers.standing import COUNTED, Behind, behind_each, standing, total
from application.feed import rfc3339

MOST_WAITING = 100
NOT_BEHIND = Behind(0, 0.0)
REFUSALS = ("validation", "feed-rewound", "idempotency-key-reused")

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/consumers/{name}", dependencies=OWN)
async def show_consumer(call: PageCall, name: Name) -> Response:
    """How far it is, who reads, and what waits."""
    consumer, waiting = await _now(call, name)
    owners = {each["owner"] for each in consumer["progress"] if each["owner"]}
    tables = await things(call, [consumer["tableId"], *(each["id"] for each in waiting)])
    return await render(
        call, "consumer.html", consumer=consumer, waiting=waiting, tables=tables, counted=COUNTED,
        people=await names_of(call, owners),
        base=str(call.base_url).rstrip("/"), due=due,
    )  # fmt: skip


@router.get("/consumers/{name}/edit", dependencies=OWN)
async def edit_consumer(call: PageCall, name: Name) -> Response:
    """The form of one that exists."""
    consumer, _ = await _now(call, name)
    return await consumer_form.show(call, await consumer_form.of(call, consumer), consumer)


@router.post("/consumers/{name}/edit", dependencies=OWN)
async def change_consumer(call: PageCall, name: Name) -> Response:
    """Give it other terms: it goes on where it is."""
    try:
        wanted = await consumer_form.wanted(call)
        terms = terms_of(writes.read(ConsumerTerms, wanted | {"start": "0"}))
    except Exception as error:
        problem = writes.refusal(error, *REFUSALS)
        consumer, _ = await _now(call, name)
        return await consumer_form.show(call, consumer_form.given(call.given), consumer, problem)

    async def run(connection: Connection, consumer: Consumer) -> None:
        await registry.change(connection, consumer, terms)

    return await _done(call, name, run, "saved")


@router.get("/consumers/{name}/seek", dependencies=OWN)
async def ask_to_seek(call: PageCall, name: Name) -> Response:
    """The form that sets it to another place."""
    return await _seek_form(call, name)


@router.post("/consumers/{name}/seek", dependencies=OWN)
async def seek_consumer(call: PageCall, name: Name) -> Response:
    """Go on from another place."""
    try:
        sought = writes.read(Seek, _place(call))
        await once(call, name, order_of(call), seeking(sought))
    except Exception as error:
        return await _seek_form(call, name, writes.refusal(error, *REFUSALS))
    return redirect(f"/consumers/{name}", {"text": "consumer-sought"})


@router.get("/consumers/{name}/delete", dependencies=OWN)
async def ask_to_delete(call: PageCall, name: Name) -> Response:
    """The form that ends it: its name is to be typed."""
    consumer, _ = await _now(call, name)
    return await render(call, "consumer_delete.html", consumer=consumer, wrong=False)


@router.post("/consumers/{name}/delete", dependencies=OWN)
async def delete_consumer(call: PageCall, name: Name) -> Response:
    """Forget it, how far it is, and what is parked for it, if its name was typed."""
    if call.given.get("name").strip() != name:
        consumer, _ = await _now(call, name)
        return await render(call, "consumer_delete.html", 422, consumer=consumer, wrong=True)

    async def run(connection: Connection, consumer: Consumer) -> None:
        await registry.remove(connection, consumer.company_id, consumer.id)

    await once(call, name, order_of(call), run)
    return redirect("/consumers", {"text": "consumer-deleted", "name": name})


@router.post("/consumers/{name}/parked/replay", dependencies=OWN)
async def replay_all(call: PageCall, name: Name) -> Response:
    """Hand out all that waits, of every table, at once and in order."""
    return await _done(call, name, held.replay_all, "consumer-replayed")


@router.post("/consumers/{name}/parked/{id}/replay", dependencies=OWN)
async def replay(call: PageCall, name: Name, id: Id) -> Response:
    """Hand out what waits of a table at once, then what follows."""

    async def run(connection: Connection, consumer: Consumer) -> None:
        await held.replay(connection, consumer, id)

    return await _done(call, name, run, "consumer-replayed")


@router.get("/consumers/{name}/parked/{id}/drop", dependencies=OWN)
async def ask_to_drop(call: PageCall, name: Name, id: Id) -> Response:
    """What dropping means."""
    consumer, _ = await _now(call, name)
    tables = await things(call, [id])
    return await render(call, "consumer_drop.html", consumer=consumer, id=str(id), tables=tables)


@router.post("/consumers/{name}/parked/{id}/drop", dependencies=OWN)
async def drop(call: PageCall, name: Name, id: Id) -> Response:
    """Never hand out what waits of a table."""

    async def run(connection: Connection, consumer: Consumer) -> None:
        await held.drop(connection, consumer, id)

    return await _done(call, name, run, "consumer-dropped")


async def _done(
    call: PageCall,
    name: str,
    run: Callable[[Connection, Consumer], Awaitable[None]],
    text: str,
) -> Response:
    await once(call, name, order_of(call), run)
    return redirect(f"/consumers/{name}", {"text": text, "name": name})


async def _seek_form(call: PageCall, name: str, problem: ApiError | None = None) -> Response:
    consumer, _ = await _now(call, name)
    return await render(
        call, "consumer_seek.html", 200 if problem is None else 422,
        consumer=consumer, problem=problem, errors=invalid_fields(problem) if problem else {},
        given=_sought(call.given), once=call.given.get("once") if problem else new_id().hex,
    )  # fmt: skip


def _sought(form: Form) -> Mapping[str, str]:
    """The fields as they were filled in."""
    return {
        "to": form.get("to") or "head", "position": form.get("position"), "time": form.get("time"),
    }  # fmt: skip


def _place(call: PageCall) -> Mapping[str, str]:
    """Where to go on, as the API has it; a time is one of the reader's zone.

    Raises:
        ApiError: `validation`.
    """
    given = _sought(call.given)
    if given["to"] == "position":
        return {"position": given["position"].strip()}
    if given["to"] != "time":
        return {"position": given["to"]}
    try:
        local = datetime.fromisoformat(given["time"])
    except ValueError:
        fault = {"in": "body", "code": "datetime", "detail": "must be a date and a time"}
        raise invalid([{"pointer": "/time", **fault}]) from None
    return {"time": rfc3339(local if local.tzinfo else local.replace(tzinfo=language_of(call).tz))}


async def _now(call: PageCall, name: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """A consumer as it is, with the lag of each partition; and what waits of it.

    Raises:
        NotFound.
    """

    async def run(
        connection: Connection, consumer: Consumer
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        now, each = await standing(connection, consumer), await behind_each(connection, consumer)
        lag = total(each)
        shown = consumer_view(consumer, now, lag) | {"lag": lagging(lag)}
        for partition in shown["progress"]:
            partition["lag"] = lagging(each.get(partition["partition"], NOT_BEHIND))
        waiting = await held.waiting(connection, consumer, FIRST, MOST_WAITING)
        return shown, [*map(parked_view, waiting)]

    return await with_consumer(call, name, run)
