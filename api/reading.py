"""What every read has: waiting for the position it must show, and 304 for who has it already."""

import re

from starlette.responses import Response

from api.endpoint import Call
from api.errors import ApiError
from api.schemas import ReadHeaders

POSITION = re.compile(r"[0-9]{1,18}")
DEFAULT_WAIT, LONGEST_WAIT = 2.0, 30.0  # seconds


async def catch_up(call: Call, headers: ReadHeaders) -> None:
    """Wait for the position that the caller asks for, or briefly for the company's own writes."""
    progress = call.services.progress
    if headers.min_position is None:
        await progress.own_writes(call.caller.company_id)
        return
    if not POSITION.fullmatch(headers.min_position):
        raise ApiError("invalid-position")
    if not await progress.reach(int(headers.min_position), _wait(headers.prefer)):
        raise ApiError("projection-behind", f"The read model is at position {progress.position}.")


def _wait(prefer: str | None) -> float:
    """The seconds of `Prefer: wait=…` (RFC 7240)."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,4})", prefer or "")
    return min(float(found[1]), LONGEST_WAIT) if found else DEFAULT_WAIT


def unless_known(headers: ReadHeaders, body: bytes, answer: dict[str, str]) -> Response:
    """The body, or 304 if the caller has it already."""
    known = [tag.strip().removeprefix("W/") for tag in (headers.if_none_match or "").split(",")]
    if answer["ETag"] in known or known == ["*"]:
        return Response(status_code=304, headers=answer)
    return Response(body, 200, answer, "application/json")
