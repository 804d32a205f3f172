"""What tells an open page that something changed: a stream that says what, and nothing of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.errors import ApiError
from api.event_schemas import StreamHeaders
from api.event_stream import EventStream
from api.points import Position
from api.reading import POSITION
from api.schemas import Part
from api.table_defs import READ
from api.web.page import Page, PageCall
from application.event_feed import Wanted

SCOPES = ("tables:read",)
TOLD = ("type", "tableId", "version", "actor")

router = APIRouter(include_in_schema=False, route_class=Page)


class LiveQuery(Part):
    """The query of the stream: what the page shows already."""

    after: Position = 0


@router.get("/live", dependencies=READ)
async def stream(
    call: PageCall,
    query: Annotated[LiveQuery, Query()],
    headers: Annotated[StreamHeaders, Header()],
) -> Response:
    """Tell of each change since the page was made, until it is left."""
    last = headers.last_event_id
    if last is not None and not POSITION.fullmatch(last):
        raise ApiError("invalid-position")
    after = query.after if last is None else int(last)
    return EventStream(call, Wanted(call.caller.company_id), after, _what, SCOPES)


def _what(item: dict[str, Any]) -> bytes:
    told = {name: item.get(name) for name in TOLD}
    return b"id: %b\ndata: %b\n\n" % (item["position"].encode(), to_json(told))
