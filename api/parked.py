"""What waits for a consumer, over HTTP: tables of which an event was refused."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import keeps, reads
from api.consumer_views import (
    ConsumerRehearsal,
    ParkedPage,
    parked_view,
)
from api.consuming import OWN, Name, change_consumer, with_consumer
from api.endpoint import Call, Endpoint
from api.orders import Connection
from api.reading import after, page_answer
from api.schemas import CacheHeaders, KeyHeaders, WriteQuery
from api.tenancy_schemas import CursorQuery
from api.views import EXAMPLE_ID
from application.consumers import held
from application.consumers.consumer import Consumer as Consuming
from projections.keyset import Page

FIRST = UUID(int=0)
Id = Annotated[
    UUID, Path(description="The table, workspace or company that waits.", examples=[EXAMPLE_ID])
]

router = APIRouter(
    prefix="/api/consumers",
    tags=["consumers"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("/{name}/parked", dependencies=OWN,
            responses=reads(ParkedPage, "not-found", "invalid-cursor", position=False))  # fmt: skip
async def list_parked(
    call: Call,
    name: Name,
    query: Annotated[CursorQuery, Query()],
    headers: Annotated[CacheHeaders, Header()],
) -> Response:
    """List the tables of which an event was refused: it is tried again, or they are parked."""
    wanted = ("parked", call.caller.company_id, name)
    start = after(call, query.cursor, wanted)

    async def run(connection: Connection, consumer: Consuming) -> Page:
        found = await held.waiting(
            connection, consumer, start.id if start else FIRST, query.limit + 1
        )
        shown = found[: query.limit]
        items = ",".join(to_json(parked_view(each)).decode() for each in shown)
        more = len(found) > len(shown)
        return Page(items, more, "", shown[-1].originator_id if shown else None, None)

    return page_answer(call, headers, await with_consumer(call, name, run), wanted)


@router.post("/{name}/parked/replay", status_code=204, dependencies=OWN,
             responses=keeps(204, None, ConsumerRehearsal, "not-found"))  # fmt: skip
async def replay_all_parked(
    call: Call,
    name: Name,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Hand out all that waits, of every table, at once and in order."""
    return await change_consumer(call, name, query, headers, held.replay_all)


@router.post("/{name}/parked/{id}/replay", status_code=204, dependencies=OWN,
             responses=keeps(204, None, ConsumerRehearsal, "not-found"))  # fmt: skip
async def replay_parked(
    call: Call,
    name: Name,
    id: Id,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Hand out what waits of a table at once, then what follows, in order."""

    async def run(connection: Connection, consumer: Consuming) -> None:
        await held.replay(connection, consumer, id)

    return await change_consumer(call, name, query, headers, run)


@router.post("/{name}/parked/{id}/drop", status_code=204, dependencies=OWN,
             responses=keeps(204, None, ConsumerRehearsal, "not-found"))  # fmt: skip
async def drop_parked(
    call: Call,
    name: Name,
    id: Id,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Never hand out what waits of a table; what happens to it from now on comes again."""

    async def run(connection: Connection, consumer: Consuming) -> None:
        await held.drop(connection, consumer, id)

    return await change_consumer(call, name, query, headers, run)
