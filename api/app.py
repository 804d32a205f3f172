"""The ASGI application."""

import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from api import errors, operation, table_defs
from api.bootstrap import services
from api.endpoint import MERGE_PATCH
from api.middleware import Requests
from api.openapi import ProblemDetails
from api.settings import Settings

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
            # What lives now lives until the end: the collector need not look at it again.
            gc.freeze()
            gc.set_threshold(50_000, 50, 100)
            yield

    app = FastAPI(
        title="Dynamic Tables",
        version="0.1.0",
        description=DESCRIPTION.strip(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (table_defs.router, operation.router):
        app.router.routes.extend(router.routes)
    operation.mount_docs(app)
    app.add_exception_handler(HTTPException, lambda request, error: errors.respond(error, request))
    app.add_middleware(Requests)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own way
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with what FastAPI cannot be told route by route."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    document["components"]["schemas"]["Problem"] = ProblemDetails.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )
    for path in document["paths"].values():
        for operation_ in path.values():
            if operation_.pop("x-merge-patch", False):
                content = operation_["requestBody"]["content"]
                content[MERGE_PATCH] = content["application/json"]
    app.openapi_schema = document
    return document
