"""The ASGI application."""

import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from api import (
    api_keys,
    audit_exports,
    audit_log,
    companies,
    consumer_delivery,
    consumers,
    contracts,
    errors,
    events,
    history,
    me,
    operation,
    parked,
    people,
    table_defs,
    webhook_deliveries,
    webhooks,
    workspaces,
)
from api.bootstrap import services
from api.dispatch import Dispatch
from api.edition import VERSION
from api.middleware import Requests
from api.openapi import document
from api.settings import Settings
from api.web import (
    company,
    exports,
    keys,
    live,
    selected_tables,
    sign_in,
    static_files,
    table,
    table_actions,
    tables,
)
from api.web import consumer as consumer_page
from api.web import consumers as consumer_pages
from api.web import history as history_pages
from api.web import webhook as webhook_page
from api.web import webhooks as webhook_pages
from api.web import workspaces as workspace_pages
from api.web.page import not_found, wants_page

# The tables first: routes are tried in this order.
MODULES = (
    table_defs, history, events, consumers, consumer_delivery, parked, webhooks, webhook_deliveries,
    workspaces, companies, api_keys, people, audit_log, audit_exports, me, contracts, operation,
    sign_in, tables, selected_tables, table, table_actions, history_pages, exports, live,
    static_files, workspace_pages, company, keys,
    webhook_pages, webhook_page, consumer_pages, consumer_page,
)  # fmt: skip
DESCRIPTION = """
Tables whose shape people change at run time. Every change is an event; nothing that ever happened
to a table is lost.
"""


def create_app(settings: Settings, database_url: str) -> FastAPI:
    """An application on this database; connections are opened when it starts."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with services(settings, database_url) as opened:
            app.state.services = opened
            app.state.caught_up = False
            # What lives now lives until the end: the collector need not look at it again.
            gc.freeze()
            yield

    app = FastAPI(
        title="Dynamic Tables",
        version=VERSION,
        description=DESCRIPTION.strip(),
        lifespan=lifespan,
        # Requests are counted in api/metrics.py; asking for a tracer at each costs 3 % of a create.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for module in MODULES:
        app.router.routes.extend(module.router.routes)
    operation.mount_docs(app)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_middleware(Dispatch, routes=app.router.routes)
    app.add_middleware(Requests)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own way
    return app


def _refuse(request: Request, error: Exception) -> Response:
    """The answer of the router itself: no such route, or not with this method."""
    response = errors.respond(error, request)
    if response.status_code == 404 and wants_page(request):
        return not_found(request)
    if response.status_code == 405:
        response.headers["Allow"] = ", ".join(_methods(request)) or "GET, HEAD"
    return response


def _methods(request: Request) -> list[str]:
    """What may be done at this address; the router names the first of its routes alone."""
    routes = request.app.router.routes
    here = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
    return sorted({method for route in here for method in getattr(route, "methods", None) or ()})


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = document(app)
    return app.openapi_schema
