"""The operations of the API as its OpenAPI document lists them, ready to be called.

Tests that go through all of them read them here, so that a new route is tested or fails a test.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from httpx import AsyncClient, Response

from api.app import create_app
from api.settings import Settings

REF = "#/components/schemas/"
STREAMS = {"stream_events"}  # have no end to wait for; see test_events.py
PUBLIC = {  # no credentials, and no company's data
    "livez", "readyz", "metrics", "problem_page", "list_schemas", "get_schema", "get_asyncapi",
}  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One route with one method; `body` is the document's own example of what to send."""

    id: str
    method: str
    path: str
    scopes: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, Any]]
    schema: Mapping[str, Any] | None
    body: Any

    @property
    def collection(self) -> str:
        """What the `{id}` of its path is one of, such as `tables`."""
        return self.path.split("/")[2]

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"

    @property
    def names_one(self) -> bool:
        """Whether it is about one thing that exists."""
        return "{id}" in self.path or "{name}" in self.path

    def takes(self, name: str) -> bool:
        """Whether it has a parameter of this name."""
        return name in self.parameters

    async def call(
        self,
        client: AsyncClient,
        ids: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Response:
        """Call it for what the path names by these ids, with all that it needs besides."""
        given = {**self._required("query"), **(query or {})}
        return await client.request(
            self.method,
            self.path.format_map({**self._required("path"), **ids}),
            params=given,
            headers=headers,
            json=self.body if body is None else body,
        )

    def _required(self, where: str) -> dict[str, Any]:
        return {
            name: parameter["example"]
            for name, parameter in self.parameters.items()
            if parameter["in"] == where and parameter["required"]
        }


def is_id(parameter: Mapping[str, Any]) -> bool:
    """Whether a parameter names something by its id."""
    return any(True for _ in fields(parameter["schema"], "uuid"))


def operations(app: FastAPI) -> list[Operation]:
    """Everything that needs credentials."""
    document = json.loads(json.dumps(app.openapi()))
    found = [
        _operation(document, method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return [operation for operation in found if operation.id not in PUBLIC | STREAMS]


def fields(schema: Any, kind: str, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in a body there is a value of this type or format, such as `uuid`."""
    if kind in (schema.get("format"), schema.get("type")):
        yield at
    for choice in schema.get("anyOf", ()):
        yield from fields(choice, kind, at)
    for name, inner in schema.get("properties", {}).items():
        yield from fields(inner, kind, (*at, name))
    if "items" in schema:
        yield from fields(schema["items"], kind, (*at, "0"))


def _operation(document: Any, method: str, path: str, said: Any) -> Operation:
    content = said.get("requestBody", {}).get("content", {}).get("application/json")
    schema = content and _resolved(document, content["schema"])
    return Operation(
        id=said["operationId"],
        method=method,
        path=path,
        scopes=tuple(said["security"][0]["bearer"]) if "security" in said else (),
        parameters={parameter["name"]: parameter for parameter in said["parameters"]},
        schema=schema,
        body=copy.deepcopy(schema["examples"][0]) if schema else None,
    )


def _resolved(document: Any, schema: Any) -> Any:
    """A schema with all that it refers to in its place."""
    if isinstance(schema, list):
        return [_resolved(document, each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        named = document["components"]["schemas"][schema["$ref"].removeprefix(REF)]
        return _resolved(document, named | {k: v for k, v in schema.items() if k != "$ref"})
    return {key: _resolved(document, value) for key, value in schema.items()}


OPERATIONS = operations(create_app(Settings(), "postgresql://nowhere/nothing"))
