"""The feed of events over HTTP: pages, long polls, and a stream."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from api.answers import events_read, found, streamed
from api.endpoint import Call, Endpoint
from api.errors import ApiError
from api.event_hub import CutOff
from api.event_schemas import (
    Event,
    EventHeaders,
    EventList,
    EventsQuery,
    StreamHeaders,
    StreamQuery,
)
from api.event_stream import EventStream, ServerSentEvents
from api.failures import EVERY, failures
from api.reading import POSITION
from api.security import requires
from application.event_feed import Batch, Wanted
from application.feed import cloud_event, public_item
from domain.errors import NotFound

READ = [requires("events:read")]
JSON = "application/json"
CLOUD_EVENTS = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
PAGE = 200
CHUNK = 250  # events that a stream of lines reads at once

EXAMPLE_ID = "019ab3f2-7c1e-7d55-9f30-2b1f6a0c4d12"
EventId = Annotated[UUID, Path(description="The event.", examples=[EXAMPLE_ID])]

router = APIRouter(
    prefix="/api/events",
    tags=["events"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("", dependencies=READ, responses=events_read(EventList, CLOUD_EVENTS, NDJSON))
async def list_events(
    call: Call, query: Annotated[EventsQuery, Query()], headers: Annotated[EventHeaders, Header()]
) -> Response:
    """Follow what happens: the next events of the company, oldest first."""
    wanted = _wanted(call, query)
    media_type = _media_type(headers.accept)
    if media_type == NDJSON and query.limit is None and not query.wait:
        return await _all_lines(call, wanted, await _beginning(call, wanted, query))
    limit = query.limit or PAGE
    async with call.services.hub.turn():
        batch = await _next(call, wanted, query, limit)
    if not batch.rows and query.wait:
        batch = await _first_to_come(call, wanted, batch, query.wait, limit)
    answer = _positions(batch) | await call.services.checkpoints.header(wanted.company_id)
    return _answer(call, headers, batch, media_type, answer, full=len(batch.rows) == limit)


@router.get("/stream", dependencies=READ, response_class=ServerSentEvents, responses=streamed())
async def stream_events(
    call: Call, query: Annotated[StreamQuery, Query()], headers: Annotated[StreamHeaders, Header()]
) -> Response:
    """Follow what happens as server-sent events, from `after` or `Last-Event-ID` on."""
    if headers.last_event_id is not None:
        if not POSITION.fullmatch(headers.last_event_id):
            raise ApiError("invalid-position")
        query = query.model_copy(update={"after": int(headers.last_event_id)})
    wanted, hub = _wanted(call, query), call.services.hub
    async with hub.turn():
        after = await _beginning(call, wanted, query)
        if after > hub.position:  # it may be beyond the head, which is said before we begin
            await call.services.feed.read(wanted, after, 1)
    return EventStream(call, wanted, after)


@router.get("/{id}", dependencies=READ,
            responses=found(Event) | failures(*EVERY, "not-found"))  # fmt: skip
async def get_event(call: Call, id: EventId) -> Response:
    """Read one event by its id."""
    item = await call.services.feed.one(call.caller.company_id, id)
    if item is None:
        raise NotFound
    return Response(to_json(item), media_type=JSON)


def _wanted(call: Call, query: StreamQuery) -> Wanted:
    return Wanted(call.caller.company_id, query.types, query.table_id)


async def _beginning(call: Call, wanted: Wanted, query: StreamQuery) -> int:
    """The position to begin above.

    Raises:
        Rewound: the caller has seen there what is there no more.
    """
    feed = call.services.feed
    if query.after == "head":
        return (await _end(call, wanted)).position
    if isinstance(query, EventsQuery) and query.after_id and query.after:
        await feed.check(wanted.company_id, query.after, query.after_id)
    return query.after


async def _end(call: Call, wanted: Wanted) -> Batch:
    """Nothing yet, from the head on."""
    first = await call.services.feed.read(replace(wanted, topics=None), 0, 1)
    return replace(first, rows=(), position=first.head)


async def _next(call: Call, wanted: Wanted, query: EventsQuery, limit: int) -> Batch:
    if query.after == "head":
        return await _end(call, wanted)
    after = await _beginning(call, wanted, query)
    return await call.services.feed.read(wanted, after, limit)


async def _first_to_come(
    call: Call, wanted: Wanted, batch: Batch, seconds: float, limit: int
) -> Batch:
    """What comes first within so many seconds; while nothing does, no connection is held."""
    hub, deadline = call.services.hub, asyncio.get_running_loop().time() + seconds
    with hub.subscribed(wanted, batch.position) as subscription:
        if hub.reach > batch.store_head:  # something may have come before we were listening
            async with hub.turn():
                batch = await call.services.feed.read(wanted, batch.position, limit)
        while not batch.rows and (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                rows = await subscription.take(left)
            except CutOff:
                break
            batch = _arrived(batch, rows, subscription.position, limit)
    return batch


def _arrived(batch: Batch, rows: Sequence[Any], seen: int, limit: int) -> Batch:
    """A batch of what the hub handed over, as far as it is new."""
    new = [row for row in rows if row[0] > batch.position][:limit]
    position = new[-1][0] if len(new) == limit else max(batch.position, seen)
    head = max(batch.head, seen)
    return Batch(new, position, head, max(batch.store_head, head))


def _answer(
    call: Call,
    headers: EventHeaders,
    batch: Batch,
    media_type: str,
    answer: dict[str, str],
    *,
    full: bool,
) -> Response:
    body = _body(call.caller.company_id, batch.rows, media_type)
    etag = f'"{hashlib.sha256(body + str(batch.position).encode()).hexdigest()[:32]}"'
    answer |= {"ETag": etag, "Vary": "Accept"}
    if full:
        following = call.url.include_query_params(after=batch.position).remove_query_params(
            "afterId"
        )
        answer["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    if etag in [tag.strip() for tag in (headers.if_none_match or "").split(",")]:
        return Response(status_code=304, headers=answer)
    return Response(body, 200, answer, media_type)


async def _all_lines(call: Call, wanted: Wanted, after: int) -> Response:
    """Everything there is now, as one line each, read as fast as it is taken."""
    feed = call.services.feed
    first = await feed.read(wanted, after, CHUNK)
    until = max(first.head, after)
    begun = _body(wanted.company_id, first.rows, NDJSON)  # what cannot be shown is said at once

    async def lines() -> AsyncIterator[bytes]:
        yield begun
        pages = feed.pages(wanted, first.position, until, CHUNK)
        async with contextlib.aclosing(pages):
            async for batch in pages:
                yield _body(wanted.company_id, batch.rows, NDJSON)

    answer = _positions(replace(first, position=until)) | {"Vary": "Accept"}
    answer |= await call.services.checkpoints.header(wanted.company_id)
    return StreamingResponse(lines(), 200, answer, NDJSON)


def _body(company_id: UUID, rows: Sequence[Any], media_type: str) -> bytes:
    form = cloud_event if media_type == CLOUD_EVENTS else public_item
    items = (form(company_id, row) for row in rows)
    if media_type == NDJSON:  # each is bytes before the next is made: its memory is still near
        return b"".join(to_json(item) + b"\n" for item in items)
    return to_json([*items])


def _positions(batch: Batch) -> dict[str, str]:
    return {"Feed-Position": str(batch.position), "Feed-Head": str(batch.head)}


def _media_type(accept: str) -> str:
    """The first of ours that the header names; whoever takes anything gets JSON."""
    for part in accept.split(","):
        name = part.partition(";")[0].strip().lower()
        if name in (JSON, CLOUD_EVENTS, NDJSON):
            return name
    return JSON
