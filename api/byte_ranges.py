"""Which bytes a Range header asks for (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

from api.errors import ApiError

RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)


@dataclass(frozen=True)
class Span:
    """Bytes from the first on, up to the last without it."""

    begin: int
    end: int


def part_of(header: str, size: int) -> Span | None:
    """The bytes that a Range header asks for; None = all: it is none of ours, or asks for several.

    Raises:
        ApiError: `range-not-satisfiable`.
    """
    match = RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        begin, end = max(0, size - int(suffix)), size
    else:
        begin, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < int(first):
            return None
    if begin >= end:
        raise ApiError("range-not-satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return Span(begin, end)
