"""Writes of pages: as those of the API, with what a form brings instead of headers."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from api.endpoint import faults
from api.errors import ApiError, as_api_error, invalid
from api.ids import new_id
from api.schemas import ConditionalHeaders, WriteQuery
from api.table_defs import TABLE
from api.web.page import PageCall
from api.writing import Noun, note_written, write_request
from application.base import Outcome, Request

M = TypeVar("M", bound=BaseModel)
Command = Callable[[Request], Awaitable[Outcome]]


def request_of(
    call: PageCall, command: str, version: int | None = None, *, dry_run: bool = False
) -> Request:
    """The application's view of what a form asks for; its field `reason` says why.

    The field `once` makes it safe to send twice.

    Raises:
        ApiError: `validation`; the reason is too long, or no plain text.
    """
    call.content = to_json(call.given.json())
    given = {
        "Idempotency-Key": call.given.get("once") or None,
        "Reason": quote(call.given.get("reason").strip()) or None,
        "If-Match": None if version is None else f'"{version}"',
    }
    headers = read(ConditionalHeaders, {k: v for k, v in given.items() if v is not None})
    return write_request(call, command, WriteQuery.model_construct(dry_run=dry_run), headers)


def read(model: type[M], values: Mapping[str, Any]) -> M:
    """What a form asks for.

    Raises:
        ApiError: `validation`, with all that is wrong with it.
    """
    try:
        return model.model_validate_json(to_json(values))
    except ValidationError as error:
        raise invalid(faults(error, "body")) from None


async def write(call: PageCall, request: Request, command: Command, noun: Noun = TABLE) -> Outcome:
    """Carry out a command; the pages after it show what it did."""
    outcome = await command(request)
    note_written(call, request, outcome.receipt.position, noun)
    return outcome


def refusal(error: Exception, *codes: str) -> ApiError:
    """Why a command was refused, if a page can tell it beside its form.

    Raises:
        Exception: it was refused for something else.
    """
    problem = as_api_error(error)
    if problem.code not in codes:
        raise error
    return problem


def once(call: PageCall, problem: ApiError | None) -> str:
    """What makes a form safe to send twice: as before, unless it was sent with something else."""
    is_new = problem is None or problem.code == "idempotency-key-reused"
    return new_id().hex if is_new else call.given.get("once")


def digest(shown: Mapping[str, Any], names: Iterable[str]) -> str:
    """What a form was made of; its field `seen` has this."""
    return hashlib.sha256(to_json([shown[name] for name in names])).hexdigest()


def not_meanwhile(
    call: PageCall, now: Mapping[str, Any], wanted: Mapping[str, Any], names: Sequence[str]
) -> None:
    """Let nobody overwrite what others changed since the form was made.

    Raises:
        ApiError: `version-mismatch`.
    """
    current = digest(now, names)
    if call.given.get("seen") not in ("", current) and digest(wanted, names) != current:
        raise ApiError("version-mismatch")


def ids(call: PageCall) -> list[UUID]:
    """The tables that a form is about, each once.

    Raises:
        ApiError: `validation`.
    """
    try:
        return list(dict.fromkeys(UUID(text) for text in call.given.all("id")))
    except ValueError:
        fault = {"in": "body", "code": "invalid-uuid", "detail": "must be ids of tables"}
        raise invalid([{"pointer": "/id", **fault}]) from None
