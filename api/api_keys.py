"""API keys over HTTP: for the admins of a company."""

import json
from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from starlette.responses import Response

from api.answers import keeps, reads
from api.endpoint import Call, Endpoint
from api.failures import BODY
from api.key_ring import KEYS, Made, Wanted
from api.orders import Order, order
from api.reading import after, page_answer, unless_known
from api.schemas import CacheHeaders, KeyHeaders, WriteQuery
from api.scopes import ROLES
from api.security import requires
from api.tenancy_schemas import NewApiKey, PageQuery, Rotation
from api.tenancy_views import Key, KeyPage, KeyRehearsal, NewKeyShown
from api.views import EXAMPLE_ID
from api.writing import rehearsed

ADMIN = [requires("keys:write")]
KeyId = Annotated[UUID, Path(description="The key.", examples=[EXAMPLE_ID])]

router = APIRouter(
    prefix="/api/keys",
    tags=["keys"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.post("", status_code=201, dependencies=ADMIN,
             responses=keeps(201, NewKeyShown, KeyRehearsal, *BODY))  # fmt: skip
async def create_key(
    call: Call,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    new: Annotated[NewApiKey, Body()],
) -> Response:
    """Make a key; it is shown this once. Nobody can hand out more than they have."""
    wanted = wanted_key(call, new)
    ordered = order(call, query, headers)
    return _made(ordered, await call.services.keys.create(ordered, wanted))


@router.get("", dependencies=ADMIN, responses=reads(KeyPage, "invalid-cursor", position=False))
async def list_keys(
    call: Call, query: Annotated[PageQuery, Query()], headers: Annotated[CacheHeaders, Header()]
) -> Response:
    """List the keys of the company, oldest first, without their secrets."""
    company_id = call.caller.company_id
    wanted = ("keys", company_id, query.state)
    start = after(call, query.cursor, wanted)
    page = await call.services.tenancy.page(KEYS, company_id, query.state, start, query.limit)
    return page_answer(call, headers, page, wanted)


@router.get("/{id}", dependencies=ADMIN, responses=reads(Key, "not-found", position=False))
async def get_key(call: Call, id: KeyId, headers: Annotated[CacheHeaders, Header()]) -> Response:
    """Read one key, revoked or not, without its secret."""
    key = await call.services.keys.find(call.caller.company_id, id)
    return unless_known(headers, key.encode())


@router.post("/{id}/rotate", status_code=201, dependencies=ADMIN,
             responses=keeps(201, NewKeyShown, KeyRehearsal, *BODY, "not-found",
                             "key-revoked"))  # fmt: skip
async def rotate_key(
    call: Call,
    id: KeyId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
    rotation: Annotated[Rotation, Body(default_factory=Rotation)],
) -> Response:
    """Make a key in the place of another, which goes on working for a while."""
    ordered = order(call, query, headers)
    made = await call.services.keys.rotate(
        ordered, id, rotation.overlap_seconds, lambda wanted: check_scopes(call, wanted)
    )
    return _made(ordered, made)


@router.delete("/{id}", status_code=204, dependencies=ADMIN,
               responses=keeps(204, None, KeyRehearsal, "not-found"))  # fmt: skip
async def revoke_key(
    call: Call,
    id: KeyId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[KeyHeaders, Header()],
) -> Response:
    """Let a key in no more, within a second, everywhere. Again does nothing."""
    ordered = order(call, query, headers)
    revoked = await call.services.keys.revoke(ordered, id)
    if ordered.dry_run:
        return rehearsed("key", json.loads(revoked.json))
    replayed = {"Idempotency-Replayed": "true"} if revoked.replayed else {}
    return Response(status_code=204, headers=replayed)


def wanted_key(call: Call, new: NewApiKey) -> Wanted:
    """What a new key shall be.

    Raises:
        ApiError: `forbidden`; it would be let do what the caller is not.
    """
    scopes = None if new.scopes is None else frozenset[str](new.scopes)
    wanted = Wanted(new.label, new.role, scopes, new.expires_at)
    check_scopes(call, wanted)
    return wanted


def check_scopes(call: Call, wanted: Wanted) -> None:
    """Let nobody hand out more than they have.

    Raises:
        ApiError: `forbidden`.
    """
    scopes: Iterable[str] = ROLES[wanted.role] if wanted.role else wanted.scopes or ()
    for scope in sorted(scopes):
        call.caller.check_scope(scope)


def _made(ordered: Order, made: Made) -> Response:
    shown = json.loads(made.json)
    if ordered.dry_run:
        return rehearsed("key", shown)
    headers = {"Location": f"/api/keys/{made.id}"}
    if made.replayed:
        headers["Idempotency-Replayed"] = "true"
    else:
        headers["Cache-Control"] = "no-store"
    body = json.dumps(shown | {"key": made.token}, ensure_ascii=False).encode()
    return Response(body, 201, headers, "application/json")
