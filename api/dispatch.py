"""Finding the endpoint of a request by the words of its path, however many routes there are.

The framework's router tries one route after the other: the last of many costs more to find than a
read costs to answer. What is found here goes straight to its endpoint, which answers for its own
errors; all else, also a method that a path does not have, is left to the framework.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.endpoint import Endpoint


class _Target(NamedTuple):
    """An endpoint, and at which place of the path each of its parameters is."""

    route: Endpoint
    parameters: Mapping[str, int]


class _Node:
    """What can follow the same beginning of a path: certain words, or any word; or nothing."""

    def __init__(self) -> None:
        self.words: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.targets: dict[str, _Target] = {}  # by method

    def after(self, part: str) -> "_Node":
        """What can follow this part of a declared path."""
        if not part.startswith("{"):
            return self.words.setdefault(part, _Node())
        self.any = self.any or _Node()
        return self.any


class Dispatch:
    """Pure ASGI: hands a request to its endpoint, and to the application if it has none."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._root = _Node()
        for route in routes:
            if isinstance(route, Endpoint):
                self._add(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        route = self.find(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
        else:
            await route.app(scope, receive, send)

    def find(self, scope: Scope) -> Endpoint | None:
        """The endpoint of a request, noted in its scope as the framework's router would."""
        if scope.get("root_path") or scope["path"].endswith("\n"):  # to `$`, the end is before it
            return None
        words = _parts(scope["path"])
        target = _find(self._root, words, 0, scope["method"])
        if target is None:
            return None
        route, parameters = target
        scope["route"], scope["endpoint"] = route, route.endpoint
        scope["path_params"] = {name: words[place] for name, place in parameters.items()}
        return route

    def _add(self, route: Endpoint) -> None:
        node, parts = self._root, _parts(route.path)
        for part in parts:
            node = node.after(part)
        parameters = {part[1:-1]: n for n, part in enumerate(parts) if part.startswith("{")}
        for method in route.methods or ():
            node.targets.setdefault(method, _Target(route, parameters))


def _parts(path: str) -> Sequence[str]:
    return path.split("/")[1:]


def _find(node: _Node, words: Sequence[str], at: int, method: str) -> _Target | None:
    """A certain word comes before any: in this order routes are declared."""
    if at == len(words):
        return node.targets.get(method)
    word, found = words[at], None
    if word in node.words:
        found = _find(node.words[word], words, at + 1, method)
    if found is None and node.any and word:
        found = _find(node.any, words, at + 1, method)
    return found
