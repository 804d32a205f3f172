"""What happens to every request: an id, a metric, and an answer even when something breaks."""

import asyncio
import re
import time
from functools import cache

from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from api.ids import new_id
from api.metrics import REQUESTS, SECONDS
from application.errors import StoreUnavailable

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)

# A metric has one series per method: a client must not be able to invent them.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Requests:
    """Pure ASGI: gives each request its id, counts it, and turns a crash into a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["asked"] = scope["method"]
        if scope["method"] == "HEAD":  # as GET; the server leaves out the body (RFC 9110, 9.3.2)
            scope = {**scope, "method": "GET"}
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 0
        echoed = _identify(scope)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *echoed]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except (Exception, asyncio.CancelledError) as error:
            if status:
                raise
            stopped = isinstance(error, asyncio.CancelledError)  # at the end of the grace period
            cause = StoreUnavailable("we are stopping") if stopped else error
            response = errors.respond(cause, Request(scope))  # type: ignore[arg-type]
            await response(scope, receive, sending)
        finally:
            _measure(scope, status, time.perf_counter() - started)


def _identify(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Give the request an id, its caller's if that is usable; returns the headers to echo."""
    given = dict(scope["headers"])
    request_id = given.get(b"x-request-id", b"")
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = new_id().hex.encode()
    scope["request_id"] = request_id.decode()
    echoed = [(b"x-request-id", request_id), (b"x-content-type-options", b"nosniff")]
    traceparent = given.get(b"traceparent", b"")
    scope["traceparent"] = None
    if _TRACEPARENT.fullmatch(traceparent):
        scope["traceparent"] = traceparent.decode()
        echoed.append((b"traceparent", traceparent))
    return echoed


def _measure(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unknown")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    requests, duration = _series(method, route, status)
    requests.inc()
    duration.observe(seconds)


@cache
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Where they are counted; there are as many as there are routes, methods and statuses."""
    return REQUESTS.labels(method, route, status), SECONDS.labels(route)
