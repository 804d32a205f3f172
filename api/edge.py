"""What is refused at the edge, before anything looks at it: bodies that break something later.

JSON as RFC 8259 has it, with the limits of I-JSON (RFC 7493): UTF-8, unique keys, no numbers that
a double cannot hold, no lone surrogates; no NUL, which Postgres cannot store; bounded in size and
depth.
"""

import asyncio
import contextlib
import json
import math
from typing import Any, NoReturn

from starlette.types import Receive

from api.errors import MAX_ERRORS, ApiError, invalid
from api.pointers import escape

BODY_LIMIT = 256 * 1024
DISCARD_LIMIT, DISCARD_SECONDS = 64 * 1024 * 1024, 5.0
DEPTH_LIMIT = 32
INTEGER_LIMIT = 2**53
SMALLEST = 1e-15


async def read_body(receive: Receive, limit: int = BODY_LIMIT) -> bytes:
    """The whole body, counted while it streams in.

    Raises:
        ApiError: `body-too-large`, or `invalid-json` when the client went away in the middle.
    """
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError("invalid-json", "The connection ended before the body did.")
        chunks.append(message.get("body", b""))
        size, more = size + len(chunks[-1]), message.get("more_body", False)
        if size > limit:
            if more:
                await _discard(receive)
            raise ApiError("body-too-large", headers={"Connection": "close"})
    return b"".join(chunks)


async def _discard(receive: Receive) -> None:
    """Read on for a while: who still sends when the connection closes never sees the answer."""
    left = DISCARD_LIMIT
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def parse_json(body: bytes) -> Any:
    """The value of a JSON body that is safe to store.

    Raises:
        ApiError: `invalid-json`, or `validation` with a pointer to each value that is not safe.
    """
    try:
        return _checked(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ApiError("invalid-json", f"The body is not UTF-8: {error.reason}.") from None
    except RecursionError:
        raise invalid([_TOO_DEEP]) from None
    except ValueError as error:
        raise ApiError("invalid-json", f"{error}.") from None


def _checked(text: str) -> Any:
    suspicious = "\\u" in text or text.count("{") + text.count("[") > DEPTH_LIMIT
    try:
        value = _STRICT.decode(text)
    except _Unsafe:
        return _refuse(text)
    return _refuse(text) if suspicious and _unsafe_parts(value) else value


class _Unsafe(Exception):
    """Something that needs a closer look, to tell where it is."""


class _Duplicate(dict[str, Any]):
    """An object in which this key appears twice."""

    key: str = ""


_TOO_DEEP = {"pointer": "", "code": "too-deep", "detail": f"nests more than {DEPTH_LIMIT} levels"}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Unsafe
    return value


def _integer(digits: str) -> int:
    if len(digits) > 15 and (len(digits) > 17 or abs(int(digits)) > INTEGER_LIMIT):
        raise _Unsafe
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if abs(value) > INTEGER_LIMIT or _is_tiny(value):
        raise _Unsafe  # jsonb would write 1e300 and 1e-300 out, with all their digits
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _mark_duplicate(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    marked, seen = _Duplicate(value), set[str]()
    marked.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return marked


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
_LENIENT = json.JSONDecoder(
    object_pairs_hook=_mark_duplicate,
    parse_int=lambda digits: int(digits) if len(digits) <= 20 else math.inf,
    parse_constant=_constant,
)


def _refuse(text: str) -> NoReturn:
    errors = _unsafe_parts(_LENIENT.decode(text))
    if any(error["code"] == "duplicate-key" for error in errors):
        raise ApiError("invalid-json", "An object has a key twice.", errors=errors)
    raise invalid(errors)


def _unsafe_parts(root: Any) -> list[dict[str, str]]:
    errors: list[dict[str, str]] = []
    stack: list[tuple[str, Any, int]] = [("", root, 0)]
    while stack and len(errors) < MAX_ERRORS:
        pointer, value, depth = stack.pop()
        if fault := _fault(value, depth):
            errors.append({"pointer": pointer, "code": fault[0], "detail": fault[1]})
        elif isinstance(value, dict):
            stack += [(f"{pointer}/{escape(k)}", v, depth + 1) for k, v in value.items()]
        elif isinstance(value, list):
            stack += [(f"{pointer}/{i}", v, depth + 1) for i, v in enumerate(value)]
    return errors


def _fault(value: Any, depth: int) -> tuple[str, str] | None:
    if isinstance(value, str):
        return ("invalid-text", "contains NUL or a lone surrogate") if _unstorable(value) else None
    if isinstance(value, int | float) and abs(value) > INTEGER_LIMIT:
        return "number-too-large", "is beyond what a double can hold exactly"
    if isinstance(value, float) and _is_tiny(value):
        return "number-too-small", f"is nearer to zero than {SMALLEST}"
    if isinstance(value, dict | list) and depth >= DEPTH_LIMIT:
        return "too-deep", f"nests more than {DEPTH_LIMIT} levels"
    if isinstance(value, _Duplicate):
        return "duplicate-key", f"has the key {value.key!r} twice"
    if isinstance(value, dict) and any(map(_unstorable, value)):
        return "invalid-text", "has a key that contains NUL or a lone surrogate"
    return None


def _is_tiny(number: float) -> bool:
    return 0 < abs(number) < SMALLEST


def _unstorable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)
