"""What a page says was just done by the form before it: a cookie that is good for one page."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, unquote
from uuid import UUID

from pydantic import BaseModel, StringConstraints, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

COOKIE = "dynamic_tables_notice"
SECONDS = 60
LONGEST = 3_000  # characters


class Notice(BaseModel):
    """What was done: `text` is its name in the catalogue, `name` and `count` are its arguments.

    `undo`: the address of a form that takes it back, of the tables `ids` if it was several.
    """

    text: str
    name: str = ""
    count: int = 0
    undo: Annotated[str, StringConstraints(pattern=r"^/[a-z]+/[0-9a-z-]+/restore\z")] | None = None
    ids: list[UUID] = []


def give(response: Response, notice: Mapping[str, Any]) -> None:
    """Let the next page say it."""
    text = quote(to_json(notice))
    if len(text) <= LONGEST:  # browsers refuse cookies of more than 4 KiB
        response.set_cookie(COOKIE, text, SECONDS, httponly=True, samesite="lax")


def taken(request: Request) -> Notice | None:
    """What the form before this page did."""
    try:
        return Notice.model_validate_json(unquote(request.cookies.get(COOKIE, "")))
    except ValidationError:
        return None
