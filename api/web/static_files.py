"""The style and the scripts of the pages: small, ours, and kept by browsers until a release."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


def _read() -> Mapping[str, bytes]:
    found = files("api.web").joinpath("static").iterdir()
    return {each.name: each.read_bytes() for each in sorted(found, key=lambda each: each.name)}


FILES = _read()
# Part of their address: what changed has another, and scripts find each other beside them.
EDITION = hashlib.sha256(b"".join(FILES.values())).hexdigest()[:12]


def address(name: str) -> str:
    """Where a file is served.

    Raises:
        KeyError: there is no such file.
    """
    FILES[name]
    return f"/static/{EDITION}/{name}"


@router.get("/static/{edition}/{name}")
async def static_file(edition: str, name: str) -> Response:
    """A file; one of another edition is not to be kept."""
    content = FILES.get(name)
    if content is None:
        raise HTTPException(404)
    headers = {"Cache-Control": FOR_EVER if edition == EDITION else "no-store"}
    return Response(content, 200, headers, TYPES[name.rpartition(".")[2]])
