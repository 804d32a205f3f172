"""The API keys of a company as a page: made, shown this once, rotated and revoked."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.api_keys import ADMIN, KeyId, check_scopes, wanted_key
from api.errors import ApiError
from api.ids import new_id
from api.key_ring import KEYS, Made
from api.scopes import COMPANY_SCOPES, COOKIE, ROLES, Scope
from api.tenancy_schemas import NewApiKey, Rotation
from api.web import writes
from api.web.event_filter import number
from api.web.listing import ListingQuery, listed
from api.web.orders import OVERLAPS, order_of
from api.web.page import Page, PageCall, invalid_fields, language_of, redirect, render
from application.feed import rfc3339

ROLE_NAMES = [role for role in ROLES if role != "platform"]
SCOPES = [scope for scope in get_args(Scope) if scope in COMPANY_SCOPES]
SINGLE = "scopes"  # instead of a role

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/keys", dependencies=ADMIN)
async def list_keys(call: PageCall, query: Annotated[ListingQuery, Query()]) -> Response:
    """The keys, oldest first, or those that were revoked."""
    shown = await listed(call, KEYS, query)
    return await render(call, "keys.html", now=rfc3339(datetime.now(UTC)), **shown)


@router.get("/keys/new", dependencies=ADMIN)
async def new_key(call: PageCall) -> Response:
    """The form of a new one."""
    return await _form(call)


@router.post("/keys/new", dependencies=ADMIN)
async def create_key(call: PageCall) -> Response:
    """Make it and show it, here and nowhere else; the same form sent again shows it no more."""
    role = call.given.get("role")
    may = {"scopes": call.given.all("scope")} if role == SINGLE else {"role": role}
    given = {"label": call.given.get("label"), "expiresAt": _expiry(call), **may}
    try:
        wanted = wanted_key(call, writes.read(NewApiKey, given))
        made = await call.services.keys.create(order_of(call), wanted)
    except Exception as error:
        return await _form(call, writes.refusal(error, "validation", "idempotency-key-reused"))
    return await _made(call, made)


@router.get("/keys/{id}/rotate", dependencies=ADMIN)
async def ask_to_rotate(call: PageCall, id: KeyId) -> Response:
    """The form that makes another in its place: for how long it goes on."""
    key = await _find(call, id)
    if key["revokedAt"]:
        return _revoked(key)
    own = id == call.caller.actor_id
    return await render(
        call, "key_rotate.html", key=key, own=own, overlaps=OVERLAPS, once=new_id().hex
    )


@router.post("/keys/{id}/rotate", dependencies=ADMIN)
async def rotate_key(call: PageCall, id: KeyId) -> Response:
    """Make one of the same name and rights, show it, and say when the former ends."""
    given = {"overlapSeconds": number(call.given.get("overlap"))}
    overlap = writes.read(Rotation, given).overlap_seconds
    made = await call.services.keys.rotate(
        order_of(call), id, overlap, lambda wanted: check_scopes(call, wanted)
    )
    return await _made(call, made, await _find(call, id))


@router.get("/keys/{id}/revoke", dependencies=ADMIN)
async def ask_to_revoke(call: PageCall, id: KeyId) -> Response:
    """The form that revokes it: what that means."""
    key = await _find(call, id)
    if key["revokedAt"]:
        return _revoked(key)
    return await render(call, "key_revoke.html", key=key, own=id == call.caller.actor_id)


@router.post("/keys/{id}/revoke", dependencies=ADMIN)
async def revoke_key(call: PageCall, id: KeyId) -> Response:
    """Let it in no more; whoever came with it is signed out."""
    revoked = await call.services.keys.revoke(order_of(call), id)
    if id == call.caller.actor_id and call.caller.csrf_token:
        return await _signed_out(call)
    return _revoked(json.loads(revoked.json))


async def _find(call: PageCall, id: UUID) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await call.services.keys.find(call.caller.company_id, id))
    return found


async def _made(call: PageCall, made: Made, former: Mapping[str, Any] | None = None) -> Response:
    """The answer that has the key; nothing else ever does."""
    return await render(
        call, "key_made.html", 200 if made.replayed else 201,
        key=json.loads(made.json), token=made.token, former=former, now=rfc3339(datetime.now(UTC)),
    )  # fmt: skip


def _revoked(key: dict[str, Any]) -> Response:
    return redirect("/keys", {"text": "key-revoked", "name": key["label"]})


async def _signed_out(call: PageCall) -> Response:
    services, cookie = call.services, call.cookies[COOKIE]
    await services.sessions.end(cookie)
    services.authenticator.forget(cookie)
    response = redirect("/sign-in")
    response.delete_cookie(COOKIE)
    return response


def _expiry(call: PageCall) -> str | None:
    """The end of the day that the form names, in the reader's zone; what is no day, as it is."""
    text = call.given.get("expires").strip()
    try:
        after = date.fromisoformat(text) + timedelta(days=1)
    except (ValueError, OverflowError):
        return text or None
    return datetime.combine(after, time(), language_of(call).tz).isoformat()


async def _form(call: PageCall, problem: ApiError | None = None) -> Response:
    now = datetime.now(language_of(call).tz)
    return await render(
        call,
        "key_form.html",
        200 if problem is None else 422,
        given={
            "label": call.given.get("label"),
            "expires": call.given.get("expires"),
            "role": call.given.get("role") or ROLE_NAMES[0],
            "scopes": call.given.all("scope"),
        },
        scopes={scope: scope in call.caller.scopes for scope in SCOPES},
        roles={role: ROLES[role] <= call.caller.scopes for role in ROLE_NAMES},
        today=now.date().isoformat(),
        problem=problem,
        errors=invalid_fields(problem) if problem else {},
        once=writes.once(call, problem),
    )
