"""Reading as a consumer over HTTP: events under a lease, and what became of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import done, found
from api.consumer_schemas import (
    Acknowledgement,
    Fetch,
    NoQuery,
    Refusal,
)
from api.consumer_views import (
    Delivered,
    Refused,
    delivered,
)
from api.consuming import JSON, OWN, Name, with_consumer
from api.endpoint import Call, Endpoint
from api.event_hub import CutOff
from api.failures import BODY, EVERY, failures
from api.orders import Connection
from application.consumers.consumer import Consumer as Consuming
from application.consumers.delivery import Delivery, Reader, backoff
from application.event_feed import Wanted

LONGEST_SEARCH = 5.0  # seconds, among events that are not wanted
POLL = 1.0  # seconds; leases end and refused events are due without anybody telling

router = APIRouter(
    prefix="/api/consumers",
    tags=["consumers"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.post("/{name}/fetch", dependencies=OWN,
             responses=found(Delivered) | failures(*EVERY, *BODY, "not-found", "csrf",
                                                   "feed-rewound"))  # fmt: skip
async def fetch_events(
    call: Call,
    name: Name,
    query: Annotated[NoQuery, Query()],
    wanted: Annotated[Fetch, Body(default_factory=Fetch)],
) -> Response:
    """Take the next events of a partition that nobody else reads, for the time of a lease."""
    company_id, owner = call.caller.company_id, call.caller.actor_id

    async def run(connection: Connection, consumer: Consuming) -> tuple[Delivery | None, bool]:
        reader = Reader(connection, consumer)
        return await reader.fetch(owner, wanted.limit), reader.is_through

    async def fetch() -> Delivery | None:
        until = time.monotonic() + LONGEST_SEARCH
        while True:
            found, is_through = await with_consumer(call, name, run, "share")  # on the same terms
            if found or is_through or time.monotonic() > until:
                return found

    delivery = await fetch()
    if delivery is None and wanted.wait:
        delivery = await _first_to_come(call, wanted.wait, fetch)
    return Response(to_json(delivered(company_id, delivery)), media_type=JSON)


@router.post("/{name}/ack", status_code=204, dependencies=OWN,
             responses=done() | failures(*EVERY, *BODY, "not-found", "csrf",
                                         "lease-lost"))  # fmt: skip
async def acknowledge_events(
    call: Call,
    name: Name,
    query: Annotated[NoQuery, Query()],
    said: Annotated[Acknowledgement, Body()],
) -> Response:
    """Say up to where events are dealt with. Less than all of the lease: it begins anew."""

    async def run(connection: Connection, consumer: Consuming) -> None:
        await Reader(connection, consumer).ack(said.lease, said.position)

    await with_consumer(call, name, run)
    return Response(status_code=204)


@router.post("/{name}/nack", dependencies=OWN,
             responses=found(Refused) | failures(*EVERY, *BODY, "not-found", "csrf",
                                                 "lease-lost"))  # fmt: skip
async def refuse_event(
    call: Call,
    name: Name,
    query: Annotated[NoQuery, Query()],
    said: Annotated[Refusal, Body()],
) -> Response:
    """Say that an event cannot be dealt with: its table waits, the lease ends, the rest goes on."""

    async def run(connection: Connection, consumer: Consuming) -> dict[str, Any]:
        reader = Reader(connection, consumer)
        seconds = said.retry_after_seconds
        patience = backoff if seconds is None else lambda _: seconds
        attempts = await reader.nack(said.lease, said.position, said.error, patience)
        return {"attempts": attempts, "parked": attempts >= consumer.terms.max_attempts}

    return Response(to_json(await with_consumer(call, name, run)), media_type=JSON)


async def _first_to_come(
    call: Call, seconds: float, fetch: Callable[[], Awaitable[Delivery | None]]
) -> Delivery | None:
    """What can be handed out first within so many seconds; no connection is held meanwhile.

    Whoever has gone away gets no lease: nobody would acknowledge it.
    """
    company_id, now = call.caller.company_id, asyncio.get_running_loop().time
    deadline = now() + seconds
    head = (await call.services.feed.read(Wanted(company_id), 0, 1)).head
    with call.services.hub.subscribed(Wanted(company_id), head) as subscription:
        while (delivery := await fetch()) is None and (left := deadline - now()) > 0:
            try:
                await subscription.take(min(left, POLL))
            except CutOff:
                break
            if await call.is_disconnected():
                break
    return delivery
