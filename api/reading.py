"""What every read has: the position it must show, 304 for who has it already, and pages."""

import hashlib
import json
import re
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from api.endpoint import Call
from api.errors import ApiError
from api.progress import Progress
from api.schemas import CacheHeaders, ReadHeaders
from projections.keyset import Keyset, Page

POSITION = re.compile(r"[0-9]{1,18}")
DEFAULT_WAIT, LONGEST_WAIT = 2.0, 30.0  # seconds


async def catch_up(call: Call, progress: Progress, headers: ReadHeaders) -> None:
    """Wait for the position that the caller asks for, or briefly for the company's own writes."""
    if headers.min_position is None:
        await progress.own_writes(call.caller.reader)
        return
    if not POSITION.fullmatch(headers.min_position):
        raise ApiError("invalid-position")
    if not await progress.reach(int(headers.min_position), _wait(headers.prefer)):
        raise ApiError("projection-behind", f"The read model is at position {progress.position}.")


def _wait(prefer: str | None) -> float:
    """The seconds of `Prefer: wait=…` (RFC 7240)."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,4})", prefer or "")
    return min(float(found[1]), LONGEST_WAIT) if found else DEFAULT_WAIT


def unless_known(
    headers: CacheHeaders,
    body: bytes,
    answer: dict[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    """The body, or 304 if the caller has it already; without a version, its hash is the ETag."""
    answer = answer or {"ETag": etag(body)}
    known = [tag.strip().removeprefix("W/") for tag in (headers.if_none_match or "").split(",")]
    if answer["ETag"] in known or known == ["*"]:
        return Response(status_code=304, headers=answer)
    return Response(body, 200, answer, media_type)


def after(call: Call, cursor: str | None, wanted: object) -> Keyset | None:
    """Where the page of a cursor begins, which was given to this caller for this list.

    Raises:
        ApiError: `invalid-cursor`.
    """
    if cursor is None:
        return None
    return call.services.cursors.verify(cursor, call.caller.actor_id, wanted)


def page_answer(
    call: Call, headers: CacheHeaders, page: Page, wanted: object, **members: Any
) -> Response:
    """A page of a list, and where the next one is; `members`: what else there is to say of it."""
    cursor = page.next and call.services.cursors.sign(page.next, call.caller.actor_id, wanted)
    more = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in members.items())
    body = f'{{"items":[{page.items}],"nextCursor":{json.dumps(cursor)}{more}}}'.encode()
    answer = {"ETag": etag(body)}
    if page.position is not None:
        answer["Event-Position"] = str(page.position)
    if cursor:
        answer["Link"] = f'<{_next_page(call, cursor)}>; rel="next"'
    return unless_known(headers, body, answer)


def etag(body: bytes) -> str:
    """A strong ETag of what has no version: its hash."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _next_page(call: Call, cursor: str) -> str:
    parameters: dict[str, Any] = dict(call.query_params)
    return f"{call.url.path}?{urlencode(parameters | {'cursor': cursor})}"
