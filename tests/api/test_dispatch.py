"""A request is dispatched to the endpoint that the framework's router would choose."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match
from starlette.types import Message, Scope

from api.app import create_app
from api.dispatch import Dispatch
from api.endpoint import Endpoint
from api.settings import Settings
from api.views import EXAMPLE_ID

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(), "postgresql:///nowhere")


@pytest.fixture(scope="module")
def dispatch(app: FastAPI) -> Dispatch:
    return Dispatch(app, app.router.routes)


def chosen_by_the_framework(app: FastAPI, scope: Scope) -> tuple[Endpoint, object] | None:
    """The first of its routes that matches, if that is an endpoint, with its parameters."""
    for route in app.router.routes:
        match, found = route.matches(scope)
        if match == Match.FULL:
            return (route, found["path_params"]) if isinstance(route, Endpoint) else None
    return None


def chosen_here(dispatch: Dispatch, scope: Scope) -> tuple[Endpoint, object] | None:
    route = dispatch.find(scope)
    return route and (route, scope["path_params"])


def requested(path: str, method: str) -> Scope:
    return {"type": "http", "path": path, "method": method}


def declared(app: FastAPI) -> list[list[str]]:
    """The parts of every endpoint's path."""
    routes = [route for route in app.router.routes if isinstance(route, Endpoint)]
    return [route.path.split("/") for route in routes]


def paths(app: FastAPI) -> Iterator[str]:
    """Each path that is declared, with any word in place of a parameter, also one of its peers."""
    everything = declared(app)
    for parts in everything:
        filled = ["word" if part.startswith("{") else part for part in parts]
        for place, part in enumerate(parts):
            if part.startswith("{"):
                peers = {other[place] for other in everything if place < len(other)}
                for word in (peers - {part}) | {"a b", "ä\n.", EXAMPLE_ID}:
                    yield "/".join([*filled[:place], word, *filled[place + 1 :]])
        yield "/".join(filled)


def test_every_declared_path_leads_where_the_framework_would(
    app: FastAPI, dispatch: Dispatch
) -> None:
    for path in set(paths(app)):
        for method in METHODS:
            scope = requested(path, method)
            assert chosen_here(dispatch, dict(scope)) == chosen_by_the_framework(app, scope), path


@given(data=st.data(), method=st.sampled_from(METHODS))
def test_so_does_any_other_path(
    app: FastAPI, dispatch: Dispatch, data: st.DataObject, method: str
) -> None:
    known = {part for parts in declared(app) for part in parts if not part.startswith("{")}
    words = st.sampled_from(["", "..", "x", *sorted(known)])
    path = "/" + "/".join(data.draw(st.lists(words, max_size=7)))
    scope = requested(path, method)
    assert chosen_here(dispatch, dict(scope)) == chosen_by_the_framework(app, scope)


def test_a_path_that_ends_in_a_line_break_is_left_to_the_framework(dispatch: Dispatch) -> None:
    assert dispatch.find(requested("/tables/new", "GET"))
    assert dispatch.find(requested("/tables/new\n", "GET")) is None, "to it, the page of a new one"


def test_below_a_prefix_the_framework_decides(dispatch: Dispatch) -> None:
    assert dispatch.find(requested("/api/tables", "GET"))
    assert dispatch.find(requested("/api/tables", "GET") | {"root_path": "/below"}) is None


@pytest.mark.anyio
async def test_what_has_no_endpoint_goes_on_to_the_application() -> None:
    seen: list[Scope] = []

    async def application(scope: Scope, *_: object) -> None:
        seen.append(scope)

    async def nothing(*_: object) -> Message:
        return {}

    dispatch = Dispatch(application, [])
    scopes: list[Scope] = [{"type": "lifespan"}, requested("/", "GET")]
    for scope in scopes:
        await dispatch(scope, nothing, nothing)
    assert seen == scopes
