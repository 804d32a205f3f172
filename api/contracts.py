"""What others may build on, to be read by programs: the schema of each event, and of the feed.

None of it needs credentials, and none of it shows a company's data. It changes with releases alone.
"""

import json
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api import asyncapi
from api.answers import found, published, text
from api.event_types import SCHEMAS, EventType, event_types
from api.failures import JSON, failures
from api.reading import etag, unless_known
from api.schemas import CacheHeaders

SCHEMA = "application/schema+json"
FRESH = "public, max-age=3600"  # after a release, somebody may see the one before for an hour
EXAMPLE = event_types()["dynamic-tables.table-def.renamed.v1"]
Known = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="Answer 304 if this ETag is still right.",
        examples=['"7f0c"'],
    ),
]
TypeName = Annotated[
    str,
    Path(
        description="The type of an event.",
        examples=[EXAMPLE.name],
        json_schema_extra={"enum": list(event_types())},
    ),
]

router = APIRouter(tags=["contracts"], generate_unique_id_function=lambda route: route.name)


class JsonSchema(Response):
    """A JSON Schema."""

    media_type = SCHEMA


class SchemaOfType(BaseModel):
    """A type of event, and where the schema of its data is."""

    type: str
    title: str
    description: str
    schema_: str = Field(alias="schema", description="The address of the schema.")


def _listed(each: EventType) -> dict[str, Any]:
    return {
        "type": each.name,
        "title": each.title,
        "description": each.summary,
        "schema": each.address,
    }


class SchemaList(BaseModel):
    """Every type of event; more may be added."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        json_schema_extra={"examples": [{"items": [_listed(EXAMPLE)], "nextCursor": None}]},
    )

    items: list[SchemaOfType]
    next_cursor: None = Field(description="There is no other page.")


@router.get(SCHEMAS, responses=published(found(SchemaList)))
async def list_schemas(if_none_match: Known = None) -> Response:
    """Which types of events there are."""
    return _answer(_list(), if_none_match)


@router.get(
    SCHEMAS + "/{type}",
    response_class=JsonSchema,
    responses=published(text(SCHEMA, dict(EXAMPLE.schema), "object")) | failures("not-found"),
)
async def get_schema(type: TypeName, if_none_match: Known = None) -> Response:
    """What an event of this type says: the JSON Schema (2020-12) of its `data`."""
    if type not in event_types():
        raise HTTPException(404)
    return _answer(_schema(type), if_none_match, SCHEMA)


@router.get(
    "/asyncapi.json",
    responses=published(text(JSON, {"asyncapi": asyncapi.VERSION}, "object")),
)
async def get_asyncapi(request: Request, if_none_match: Known = None) -> Response:
    """Every way to follow what happens, as an AsyncAPI document."""
    return _answer(_asyncapi(request.app.version), if_none_match)


def _answer(body: bytes, known: str | None, media_type: str = JSON) -> Response:
    headers = CacheHeaders.model_construct(if_none_match=known)
    kept = {"ETag": etag(body), "Cache-Control": FRESH}
    return unless_known(headers, body, kept, media_type)


@cache
def _list() -> bytes:
    return _json({"items": [_listed(each) for each in event_types().values()], "nextCursor": None})


@cache
def _schema(type: str) -> bytes:
    return _json(event_types()[type].schema)


@cache
def _asyncapi(version: str) -> bytes:
    return _json(asyncapi.document(version))


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()
