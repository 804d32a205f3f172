"""Routes of pages: as those of the API, but for people.

Whoever is not signed in may do so, and what goes wrong is a page as well.
"""

import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from api.caller import SAFE_METHODS
from api.endpoint import Call, Endpoint
from api.errors import ApiError, as_api_error
from api.problems import CATALOGUE
from api.progress import Progress
from api.reading import DEFAULT_WAIT
from api.web import notices
from api.web.forms import Form, read_form
from api.web.languages import Language, choose, known_zone
from api.web.templating import environment

LANGUAGE, THEME, ZONE = (f"dynamic_tables_{name}" for name in ("language", "theme", "zone"))
THEMES = ("system", "light", "dark")
LOCAL = re.compile(r"/(?![/\\])[!-~]*")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers hide the origin of our own forms
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language",
}


class PageCall(Call):
    """A request for a page, with the form that it brings.

    `position`: what the page shows is not older; what happened since, its stream tells.
    """

    given: Form = Form({})
    position: int = 0


class Page(Endpoint):
    """A route of the pages: it authenticates, checks scopes and the form's token, and answers."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = PageCall(scope, receive, send)
        try:
            response = await self._respond(call)
        except Exception as error:
            response = await failed(call, error)
        await response(scope, receive, send)

    async def _let_in(self, call: Call) -> None:
        page = cast(PageCall, call)
        if call.method not in SAFE_METHODS:
            page.given = await read_form(call)
        await call.authenticate(self.scopes, page.given.get("csrf"))
        services = call.services
        models = (services.tables, services.tenancy, services.history)
        shown = min(model.progress.position for model in models)
        page.position = min(services.hub.position, shown)


class OpenPage(Page):
    """A route of the pages for which nobody need be signed in."""

    async def _let_in(self, call: Call) -> None:
        if call.method not in SAFE_METHODS:
            cast(PageCall, call).given = await read_form(call)


async def caught_up(call: Call, progress: Progress) -> None:
    """Wait until a person can see what they just did: nobody likes to see the state before."""
    await progress.own_writes(call.caller.reader, DEFAULT_WAIT)


def language_of(request: Request) -> Language:
    """The language and the time zone that somebody chose, or that their browser tells."""
    accepted = request.headers.get("accept-language", "")
    code = choose(accepted, request.cookies.get(LANGUAGE))
    return Language(code, known_zone(request.cookies.get(ZONE)))


async def render(call: Call, template: str, status: int = 200, **shown: Any) -> Response:
    """A page with what all pages have: who is signed in, where to go, and what was just done."""
    services, caller = call.services, call.caller
    shown |= {"me": caller, "actor": None, "company": None}
    if caller.company:
        shown["actor"] = await services.directory.name(caller.company, caller.actor_id)
        shown["company"] = await services.tenancy.company_name(caller.company)
    notice = notices.taken(call)
    position = cast(PageCall, call).position
    response = plain(call, template, status, notice=notice, position=position, **shown)
    if notice:
        response.delete_cookie(notices.COOKIE)
    return response


def plain(request: Request, template: str, status: int = 200, **shown: Any) -> Response:
    """A page without anybody signed in."""
    theme = request.cookies.get(THEME)
    content = environment().get_template(template).render(
        {"me": None, "notice": None}
        | shown
        | {
            "language": language_of(request),
            "theme": theme if theme in THEMES else THEMES[0],
            "path": request.url.path,
            "here": here(request),
        }
    )  # fmt: skip
    return HTMLResponse(content, status, HEADERS)


def here(request: Request) -> str:
    """The address of a page in this service."""
    query = request.url.query
    return f"{quote(request.url.path)}?{query}" if query else quote(request.url.path)


def ours(target: str) -> str:
    """An address that a form says to go on to: a page of ours, and nowhere else."""
    return target if LOCAL.fullmatch(target) else "/"


def redirect(target: str, notice: Mapping[str, Any] | None = None) -> Response:
    """On to a page, which says what was done."""
    response = RedirectResponse(target, 303, HEADERS)
    if notice:
        notices.give(response, notice)
    return response


def wants_page(request: Request) -> bool:
    """Whether it is a browser that looks for a page which is not there."""
    of_programs = request.url.path.startswith(("/api/", "/static/"))
    return not of_programs and "text/html" in request.headers.get("accept", "")


def not_found(request: Request) -> Response:
    """The page of an address that there is not."""
    kind = CATALOGUE["not-found"]
    shown = {"problem": ApiError(kind.code), "kind": kind}
    return plain(request, "problem.html", 404, request_id=request.scope["request_id"], **shown)


async def failed(call: Call, error: Exception) -> Response:
    """What went wrong, as a page: what it means, and what to do."""
    problem = as_api_error(error)
    if problem.code == "unauthenticated":
        return redirect(_sign_in(call))
    kind = CATALOGUE[problem.code]
    shown = {"problem": problem, "kind": kind, "request_id": call.request_id}
    headers = dict(problem.headers)
    if kind.status == 503:
        headers.setdefault("Retry-After", "1")
    response = await _with_frame(call, kind.status, shown)
    response.headers.update(headers)
    return response


def _sign_in(call: Call) -> str:
    """Where to sign in, and then go on with what was asked for."""
    on = here(call) if call.method in SAFE_METHODS else "/"
    return "/sign-in" if on == "/" else f"/sign-in?{urlencode({'next': on})}"


async def _with_frame(call: Call, status: int, shown: Mapping[str, Any]) -> Response:
    """With the way to the other pages, if it is known who asks and the database answers."""
    if hasattr(call, "caller") and status < 500:
        return await render(call, "problem.html", status, **shown)
    return plain(call, "problem.html", status, **shown)


def invalid_fields(error: ApiError) -> Mapping[str, Mapping[str, str]]:
    """What is wrong, by the pointer of the field that it is about."""
    return {fault["pointer"]: fault for fault in error.members.get("errors", [])}
