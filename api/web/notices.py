"""What a page says was just done by the form before it: a cookie that is good for one page."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "dynamic_tables_notice"
SECONDS = 60
LONGEST = 3_000  # characters


def give(response: Response, notice: Mapping[str, Any]) -> None:
    """Let the next page say it: `text` is its name in the catalogue, the rest its arguments.

    `undo`: the address of a form that takes it back.
    """
    text = quote(json.dumps(notice, ensure_ascii=False))
    if len(text) <= LONGEST:  # browsers refuse cookies of more than 4 KiB
        response.set_cookie(COOKIE, text, SECONDS, httponly=True, samesite="lax")


def taken(request: Request) -> Mapping[str, Any] | None:
    """What the form before this page did."""
    try:
        notice = json.loads(unquote(request.cookies.get(COOKIE, "")))
    except ValueError:
        return None
    return notice if isinstance(notice, dict) and isinstance(notice.get("text"), str) else None
