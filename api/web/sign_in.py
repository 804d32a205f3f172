"""Signing in and out with a browser, by key or by a link that works once; what it remembers."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.errors import ApiError
from api.scopes import COOKIE
from api.web.languages import LANGUAGES
from api.web.page import (
    LANGUAGE,
    THEME,
    THEMES,
    OpenPage,
    PageCall,
    ours,
    plain,
    redirect,
)

YEAR = 365 * 24 * 3600  # seconds

router = APIRouter(include_in_schema=False, route_class=OpenPage)


@router.get("/sign-in")
async def sign_in_form(call: PageCall) -> Response:
    """The form; or, with the code of a link, at once."""
    code = call.query_params.get("code")
    looks_ahead = "prefetch" in call.headers.get("sec-purpose", "")
    if code is None or looks_ahead or call.scope["asked"] == "HEAD":
        return _form(call, ours(call.query_params.get("next", "")))
    services = call.services
    services.authenticator.check_address(call.address)
    key_id = await services.sessions.use_code(code)
    if key_id is None:
        services.authenticator.note_failure(call.address)
        return _form(call, "/", "link-used", 401)
    return await _signed_in(call, key_id, "/")


@router.post("/sign-in")
async def sign_in(call: PageCall) -> Response:
    """Begin a session with a key."""
    form = call.given
    target = ours(form.get("next"))
    try:
        key = await call.services.authenticator.open(form.get("key"), call.address)
    except ApiError as error:
        if error.code != "unauthenticated":
            raise
        return _form(call, target, "key-wrong", 401)
    return await _signed_in(call, key.id, target)


@router.post("/sign-out")
async def sign_out(call: PageCall) -> Response:
    """End the session, also for whoever has a copy of its cookie."""
    services = call.services
    cookie = call.cookies.get(COOKIE)
    if not cookie:
        return redirect("/sign-in")
    try:
        caller = await services.authenticator.authenticate(None, cookie, call.address)
        caller.check_origin("POST", call.given.get("csrf"))
    except ApiError as error:
        if error.code != "unauthenticated":  # then it has ended already
            raise
    await services.sessions.end(cookie)
    services.authenticator.forget(cookie)
    response = redirect("/sign-in")
    response.delete_cookie(COOKIE)
    return response


@router.post("/preferences")
async def prefer(call: PageCall) -> Response:
    """Remember the language and the theme that somebody wants, in their browser."""
    form = call.given
    response = redirect(ours(form.get("next")))
    for field, cookie, known in (("language", LANGUAGE, LANGUAGES), ("theme", THEME, THEMES)):
        if form.get(field) in known:
            response.set_cookie(cookie, form.get(field), YEAR, httponly=True, samesite="lax")
    return response


async def _signed_in(call: PageCall, key_id: UUID, target: str) -> Response:
    cookie, expires_at = await call.services.sessions.begin(key_id)
    response = redirect(target)
    response.set_cookie(
        COOKIE, cookie, expires=expires_at, secure=call.url.scheme == "https",
        httponly=True, samesite="lax",
    )  # fmt: skip
    return response


def _form(call: PageCall, target: str, error: str = "", status: int = 200) -> Response:
    return plain(call, "sign_in.html", status, next=target, error=error)
