"""Consumers over HTTP: checkpoints that the service keeps for those who follow its events."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import keeps, reads
from api.consumer_schemas import (
    ConsumerTerms,
    Seek,
)
from api.consumer_views import (
    Consumer,
    ConsumerPage,
    ConsumerRehearsal,
    summary,
)
from api.consuming import JSON, OWN, Name, change_consumer, replayed, view, with_consumer
from api.endpoint import Call, Endpoint
from api.errors import ApiError, invalid
from api.failures import BODY
from api.ids import new_id
from api.orders import Connection, Order, carry_out, order, remembered
from api.reading import unless_known
from api.schemas import CacheHeaders, KeyHeaders, WriteQuery
from api.writing import rehearsed
from application.consumers import registry
from application.consumers.consumer import Consumer as Consuming
from application.consumers.consumer import Terms, count, find, named
from application.consumers.registry import Definition, Place
from application.consumers.standing import standing
from domain.errors import NotFound

MOST = 100  # consumers of a company

router = APIRouter(
    prefix="/api/consumers",
    tags=["consumers"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("", dependencies=OWN, responses=reads(ConsumerPage, position=False))
async def list_consumers(call: Call, headers: Annotated[CacheHeaders, Header()]) -> Response:
    """List the consumers of the company, by name."""

    async def run(connection: Connection) -> list[dict[str, Any]]:
        items = []
        for each in await named(connection, call.caller.company_id):
            with contextlib.suppress(NotFound):  # it was deleted meanwhile
                items.append(summary(each, await standing(connection, each)))
        return items

    items = await call.services.transact(call.caller.company_id, run)
    return unless_known(headers, to_json({"items": items, "nextCursor": None}))


@router.put("/{name}", dependencies=OWN,
            responses=keeps(201, Consumer, ConsumerRehearsal, *BODY, "not-found",
                            "limit-reached", "feed-rewound", puts=True))  # fmt: skip
async def put_consumer(
    call: Call,
    name: Name,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    terms: Annotated[ConsumerTerms, Body()],
) -> Response:
    """Make a consumer, or give the one of this name other terms: it goes on where it is.

    The same request again shows it as it is now; 404 if it was deleted since.
    """
    ordered = order(call, query, headers)
    shown, is_new, repeated = await define(call, ordered, name, terms)
    if ordered.dry_run:
        return rehearsed("consumer", shown)
    headers_ = replayed(repeated) | ({"Location": f"/api/consumers/{name}"} if is_new else {})
    return Response(to_json(shown), 201 if is_new else 200, headers_, JSON)


@router.get("/{name}", dependencies=OWN,
            responses=reads(Consumer, "not-found", position=False))  # fmt: skip
async def get_consumer(
    call: Call, name: Name, headers: Annotated[CacheHeaders, Header()]
) -> Response:
    """Read how far a consumer is, how much it lacks, and who reads for it."""
    return unless_known(headers, to_json(await with_consumer(call, name, view)))


@router.delete("/{name}", status_code=204, dependencies=OWN,
               responses=keeps(204, None, ConsumerRehearsal, "not-found"))  # fmt: skip
async def delete_consumer(
    call: Call,
    name: Name,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Forget a consumer, how far it is, and what is parked for it."""

    async def run(connection: Connection, consumer: Consuming) -> None:
        await registry.remove(connection, consumer.company_id, consumer.id)

    return await change_consumer(call, name, query, headers, run)


@router.post("/{name}/seek", dependencies=OWN,
             responses=keeps(200, Consumer, ConsumerRehearsal, *BODY, "not-found",
                             "feed-rewound"))  # fmt: skip
async def seek_consumer(
    call: Call,
    name: Name,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    sought: Annotated[Seek, Body()],
) -> Response:
    """Go on from another place: all leases end, and what is held or parked is forgotten."""
    return await change_consumer(call, name, query, headers, seeking(sought), shows=True)


async def define(
    call: Call, ordered: Order, name: str, terms: ConsumerTerms, *, anew: bool = False
) -> tuple[dict[str, Any], bool, bool]:
    """Make a consumer, or give the one of this name other terms; if it is new, if it was before.

    `anew`: one that exists is not touched.

    Raises:
        ApiError: `limit-reached`; with `anew`, `validation` if the name is taken.
        NotFound: it was made by the same request, and deleted since.
        Rewound: the start is beyond the end of the store.
    """
    company_id = ordered.company_id
    wanted = Definition(company_id, name, terms_of(terms), ordered.actor_id, _place(terms.start))

    async def run(connection: Connection) -> tuple[dict[str, Any], bool, bool]:
        id = new_id()
        made = await remembered(connection, ordered, id)
        if made != id:
            consumer = await find(connection, company_id, name)
            return await view(connection, consumer), consumer.id == made, True
        consumer, is_new = await registry.define(connection, wanted, id)
        if anew and not is_new:
            fault = {"pointer": "/name", "code": "name-taken", "detail": "is in use"}
            raise invalid([fault])
        if is_new and await count(connection, company_id, of_webhooks=False) > MOST:
            raise ApiError("limit-reached", f"There are {MOST} consumers already.")
        return await view(connection, consumer), is_new, False

    return await carry_out(call.services.transact, ordered, run)


def seeking(sought: Seek) -> Callable[[Connection, Consuming], Awaitable[None]]:
    """What sets a consumer to another place."""
    place = Place(moment=sought.time) if sought.time else _place(sought.position)

    async def run(connection: Connection, consumer: Consuming) -> None:
        await registry.seek(connection, consumer, place)

    return run


def terms_of(wanted: ConsumerTerms) -> Terms:
    """What a consumer is told of, and how."""
    return Terms(
        wanted.types, wanted.table_id, wanted.partitions, wanted.lease_seconds, wanted.max_attempts
    )


def _place(position: int | str | None) -> Place:
    return Place(position if isinstance(position, int) else None)
