"""Routes that are declared as FastAPI declares them, and run without its per-request machinery.

An endpoint takes what its signature names: path parameters, one model of query parameters, one of
headers, one body, and the `Call`. The same models make the OpenAPI document. FastAPI would solve
dependencies and open exit stacks for each request, at more than the cost of everything else.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import parse_qsl

from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import errors
from api.caller import Caller
from api.edge import parse_json, read_body
from api.errors import ApiError, invalid
from api.pointers import escape
from api.scopes import COOKIE

if TYPE_CHECKING:
    from api.bootstrap import Services

READ_ONLY = frozenset(
    {"id", "companyId", "createdBy", "createdAt", "updatedBy", "updatedAt", "deletedAt",
     "removedAt", "version", "effectiveSettings"}
)  # fmt: skip
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
_CODES = {
    "missing": "required",
    "string_pattern_mismatch": "invalid-name",
    "string_too_long": "too-long",
    "uuid_parsing": "invalid-uuid",
    "uuid_type": "invalid-uuid",
    "int_parsing": "type",
    "greater_than_equal": "out-of-range",
    "less_than_equal": "out-of-range",
    "literal_error": "unknown-value",
}
Fault = dict[str, str]
Read = Callable[["Call"], Any]


class Call(Request):
    """A request with who makes it and what it may use."""

    caller: Caller
    content: bytes = b""

    @property
    def services(self) -> "Services":
        """What this process can do."""
        return cast("Services", self.scope["app"].state.services)

    async def authenticate(self, scopes: Sequence[str], csrf_token: str | None = None) -> None:
        """Find out who is calling; here, and only here, every route refuses whoever may not.

        `csrf_token`: that of a form; scripts send it in a header.

        Raises:
            ApiError: `unauthenticated`, `rate-limited`, `csrf`, or `forbidden`.
        """
        headers = self.headers
        authorization = headers.get("authorization")
        cookie = None if authorization else self.cookies.get(COOKIE)
        authenticator = self.services.authenticator
        caller = await authenticator.authenticate(authorization, cookie, self.address)
        caller.check_origin(self.method, csrf_token or headers.get("x-csrf-token"))
        self.caller = caller
        for scope in scopes:
            caller.check_scope(scope)

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return self.client.host if self.client else ""

    def hang_up(self) -> None:
        """Drop the connection with all that was sent but not taken."""
        self.scope.get("hang_up", lambda: None)()

    @property
    def request_id(self) -> str:
        """The id that the answer, the log and the events carry."""
        return cast(str, self.scope["request_id"])


class Endpoint(APIRoute):
    """A route of the API: it authenticates, checks its scope, validates, and answers."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        needs = self.dependant
        self.scopes = [s for part in needs.dependencies for s in part.own_oauth_scopes or ()]
        self._reads: list[tuple[str, str, Read]] = [
            *(("path", f.name, _path_reader(f)) for f in needs.path_params),
            *(("query", f.name, _query_reader(_type(f))) for f in needs.query_params),
            *(("header", f.name, _header_reader(_type(f))) for f in needs.header_params),
        ]
        self._body = next(((f.name, _type(f)) for f in needs.body_params), None)
        self._body_required = bool(self.body_field and self.body_field.field_info.is_required())
        self._media_types = (JSON, MERGE_PATCH) if "PATCH" in (self.methods or ()) else (JSON,)
        self.app = self._handle

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send)
        try:
            response = await self._respond(call)
        except Exception as error:
            response = errors.respond(error, call)
        await response(scope, receive, send)

    async def _respond(self, call: Call) -> Response:
        await self._let_in(call)
        arguments = await self._arguments(call)
        if self.dependant.request_param_name:
            arguments[self.dependant.request_param_name] = call
        endpoint = cast(Callable[..., Awaitable[Response]], self.endpoint)
        return await endpoint(**arguments)

    async def _let_in(self, call: Call) -> None:
        await call.authenticate(self.scopes)

    async def _arguments(self, call: Call) -> dict[str, Any]:
        """Everything that the endpoint asks for.

        Raises:
            ApiError: with all that is wrong with path, query, headers and body at once.
        """
        wrong: list[Fault] = []
        arguments: dict[str, Any] = {}
        for where, name, read in self._reads:
            try:
                arguments[name] = read(call)
            except ValidationError as error:
                wrong += faults(error, where, name)
        if self._body:
            try:
                arguments[self._body[0]] = await self._read_body(call, self._body[1])
            except ValidationError as error:
                wrong += faults(error, "body")
        if wrong:
            raise invalid(wrong)
        return arguments

    async def _read_body(self, call: Call, model: type[BaseModel]) -> BaseModel:
        call.content = await read_body(call.receive)
        if not call.content and not self._body_required:
            return model()
        self._check_media_type(call)
        parse_json(call.content)
        return model.model_validate_json(call.content)

    def _check_media_type(self, call: Call) -> None:
        if call.headers.get("content-type", JSON) in self._media_types:
            return
        given, charset = _media_type(call.headers["content-type"])
        if given not in self._media_types or charset != "utf-8":
            header = "Accept-Patch" if MERGE_PATCH in self._media_types else "Accept-Post"
            raise ApiError("unsupported-media-type", headers={header: ", ".join(self._media_types)})


def _type(field: Any) -> Any:
    return field.field_info.annotation


def _media_type(content_type: str) -> tuple[str, str]:
    """The media type and charset of a Content-Type header; other parameters say nothing here."""
    given, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = (p.removeprefix("charset=") for p in parameters if p.startswith("charset="))
    return given, next(charsets, "utf-8").strip('"')


def _path_reader(field: Any) -> Read:
    annotation: Any = Annotated[_type(field), field.field_info]
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    return lambda call: adapter.validate_python(call.path_params[field.name])


def _query_reader(model: type[BaseModel]) -> Read:
    return lambda call: model.model_validate(_query_values(call.scope["query_string"]))


def _query_values(query: bytes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if query:
        try:
            pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            raise invalid(
                [{"pointer": "", "in": "query", "code": "invalid-text", "detail": "must be UTF-8"}]
            ) from None
        for key, value in pairs:
            values[key] = [values[key], value] if key in values else value
    return values


def _header_reader(model: type[BaseModel]) -> Read:
    known = [field.alias for field in model.model_fields.values() if field.alias]

    def read(call: Call) -> BaseModel:
        headers = call.headers
        given = {name: ", ".join(headers.getlist(name)) for name in known if name in headers}
        return model.model_validate(given)

    return read


def faults(error: ValidationError, where: str, name: str = "") -> list[Fault]:
    """One entry for each value that is wrong, with a JSON pointer into the part of the request."""
    prefix = (name,) if where == "path" else ()
    return [
        {
            "pointer": "".join(f"/{escape(part)}" for part in (*prefix, *_location(fault["loc"]))),
            "in": where,
            "code": _code(fault["type"], fault["loc"]),
            "detail": _detail(fault["type"], fault["msg"]),
        }
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _location(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return tuple(part for part in loc if part not in ("[key]", "JsonValue"))


def _code(kind: str, loc: tuple[int | str, ...]) -> str:
    if kind == "extra_forbidden":
        return "read-only" if loc[-1] in READ_ONLY else "unknown-field"
    if kind in _CODES:
        return _CODES[kind]
    return "type" if kind.endswith("_type") else kind.replace("_", "-")


def _detail(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "cannot be set"
    return message.removeprefix("Value error, ").removeprefix("Input ")
