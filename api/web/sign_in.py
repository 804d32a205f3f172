"""Signing in and out with a browser: by key, or by a link that works once."""

import html
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bootstrap import Services
from api.caller import Caller
from api.edge import read_body
from api.errors import ApiError
from api.scopes import COOKIE

FORM_LIMIT = 16 * 1024
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers hide the origin of our own forms
    "Cache-Control": "no-store",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} – Dynamic Tables</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>{title}</h1>{body}</main></body></html>
"""
FORM = """{message}
<form method="post" action="/sign-in">
<p><label for="key">API key</label><br>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus></p>
<p><button>Sign in</button></p></form>
"""
HOME = """<p>You are signed in as <strong>{actor}</strong> of <strong>{company}</strong>
({role}).</p>
<p><a href="/docs">Look through the API and try it</a></p>
<form method="post" action="/sign-out"><input type="hidden" name="csrf" value="{csrf}">
<p><button>Sign out</button></p></form>
"""

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request) -> Response:
    """Who is signed in; whoever is not, may do so."""
    try:
        caller = await _caller(request)
    except ApiError as error:
        if error.code != "unauthenticated":
            raise
        return RedirectResponse("/sign-in", 303)
    return _page("Dynamic Tables", await _home(_services(request), caller))


@router.get("/sign-in")
async def sign_in_form(request: Request) -> Response:
    """The form; or, with the code of a link, at once."""
    code = request.query_params.get("code")
    looks_ahead = "prefetch" in request.headers.get("sec-purpose", "")
    if code is None or looks_ahead or request.scope["asked"] == "HEAD":
        return _page("Sign in", FORM.format(message=""))
    services = _services(request)
    services.authenticator.check_address(_address(request))
    key_id = await services.sessions.use_code(code)
    if key_id is None:
        services.authenticator.note_failure(_address(request))
        message = "<p role=alert>This link was used before, or is too old. Use your key.</p>"
        return _page("Sign in", FORM.format(message=message), 401)
    return await _signed_in(request, key_id)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Begin a session with a key."""
    _refuse_other_sites(request)
    form = await _form(request)
    try:
        key = await _services(request).authenticator.open(form.get("key", ""), _address(request))
    except ApiError as error:
        if error.code != "unauthenticated":
            raise
        message = f"<p role=alert>{html.escape(error.detail)}</p>"
        return _page("Sign in", FORM.format(message=message), 401)
    return await _signed_in(request, key.id)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session, also for whoever has a copy of its cookie."""
    _refuse_other_sites(request)
    form = await _form(request)
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return RedirectResponse("/sign-in", 303, HEADERS)
    try:
        (await _caller(request)).check_origin("POST", form.get("csrf"))
    except ApiError as error:
        if error.code != "unauthenticated":  # then it has ended already
            raise
    await _services(request).sessions.end(cookie)
    _services(request).authenticator.forget(cookie)
    response = RedirectResponse("/sign-in", 303, HEADERS)
    response.delete_cookie(COOKIE)
    return response


async def _home(services: Services, caller: Caller) -> str:
    actor = company = None
    if caller.company:
        actor = await services.directory.name(caller.company, caller.actor_id)
        company = await services.tenancy.company_name(caller.company)
    return HOME.format(
        actor=html.escape(actor or str(caller.actor_id)),
        company=html.escape(company or "the platform"),
        role=html.escape(caller.role or ", ".join(sorted(caller.scopes))),
        csrf=caller.csrf_token,
    )


async def _caller(request: Request) -> Caller:
    cookie = request.cookies.get(COOKIE)
    return await _services(request).authenticator.authenticate(None, cookie, _address(request))


async def _signed_in(request: Request, key_id: UUID) -> Response:
    cookie, expires_at = await _services(request).sessions.begin(key_id)
    response = RedirectResponse("/", 303, HEADERS)
    response.set_cookie(
        COOKIE, cookie, expires=expires_at, secure=request.url.scheme == "https",
        httponly=True, samesite="lax",
    )  # fmt: skip
    return response


async def _form(request: Request) -> dict[str, str]:
    body = await read_body(request.receive, FORM_LIMIT)
    return {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}


def _refuse_other_sites(request: Request) -> None:
    """A form of another site signs nobody in here, or out."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    elsewhere = origin is not None and urlsplit(origin).netloc != request.url.netloc
    if site not in ("same-origin", "none") or elsewhere:
        raise ApiError("csrf", "This form is not one of ours.")


def _page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(PAGE.format(title=title, body=body), status, HEADERS)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
