"""The directory over HTTP: who the actors of the events are, and how a name is erased."""

import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from api.answers import keeps, reads
from api.directory import PEOPLE
from api.endpoint import Call, Endpoint
from api.reading import after, page_answer
from api.schemas import CacheHeaders, KeyHeaders, WriteQuery
from api.security import requires
from api.tenancy_schemas import PageQuery
from api.tenancy_views import PersonPage, PersonRehearsal
from api.views import EXAMPLE_ID
from api.writing import idempotency, rehearsed

PersonId = Annotated[UUID, Path(description="The actor of events.", examples=[EXAMPLE_ID])]

router = APIRouter(
    prefix="/api/people",
    tags=["people"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("", dependencies=[requires("tables:read")],
            responses=reads(PersonPage, "invalid-cursor", position=False))  # fmt: skip
async def list_people(
    call: Call, query: Annotated[PageQuery, Query()], headers: Annotated[CacheHeaders, Header()]
) -> Response:
    """List everybody who acted in the company, and every key, by name."""
    company_id = call.caller.company_id
    wanted = ("people", company_id, query.state)
    start = after(call, query.cursor, wanted)
    page = await call.services.tenancy.page(PEOPLE, company_id, query.state, start, query.limit)
    return page_answer(call, headers, page, wanted)


@router.delete("/{id}", status_code=204, dependencies=[requires("people:write")],
               responses=keeps(204, None, PersonRehearsal, "not-found"))  # fmt: skip
async def erase_person(
    call: Call,
    id: PersonId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Erase a name for good; events keep the id, which says nothing by itself."""
    key = idempotency(call, headers)
    directory, company_id = call.services.directory, call.caller.company_id
    erased, replayed = await directory.erase(company_id, id, key, query.dry_run)
    if query.dry_run:
        return rehearsed("person", json.loads(erased))
    return Response(status_code=204, headers={"Idempotency-Replayed": "true"} if replayed else {})
