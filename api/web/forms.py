"""What a form of a page brings."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request

from api.edge import read_body
from api.errors import ApiError, invalid

LIMIT = 512 * 1024  # bytes; a description of 10,000 characters and 32 KiB of settings, encoded
MOST_FIELDS = 2_000
MEDIA_TYPE = "application/x-www-form-urlencoded"


class Form:
    """The fields of a form. A text is NFC and trimmed by whoever validates it, not here."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def get(self, name: str) -> str:
        """A field; an empty text if there is none."""
        return self._fields.get(name, [""])[-1]

    def all(self, name: str) -> Sequence[str]:
        """All fields of a name."""
        return self._fields.get(name, [])

    def beginning(self, prefix: str) -> Mapping[str, str]:
        """The fields whose names begin so, by the rest of their names."""
        names = (name for name in self._fields if name.startswith(prefix))
        return {name.removeprefix(prefix): self.get(name) for name in names}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def json(self) -> Mapping[str, Any]:
        """All of it, for telling one request from another."""
        return {name: list(values) for name, values in self._fields.items()}


async def read_form(request: Request) -> Form:
    """The form in the body of a request.

    Raises:
        ApiError: `body-too-large`, `unsupported-media-type`, or `validation`.
    """
    refuse_other_sites(request)
    body = await read_body(request.receive, LIMIT)
    given = request.headers.get("content-type", MEDIA_TYPE).partition(";")[0].strip().lower()
    if given != MEDIA_TYPE:
        raise ApiError("unsupported-media-type", headers={"Accept-Post": MEDIA_TYPE})
    try:
        fields = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        fault = {"in": "body", "code": "invalid-text", "detail": "must be a form in UTF-8"}
        raise invalid([{"pointer": "", **fault}]) from None
    return Form({name: [_lines(text) for text in texts] for name, texts in fields.items()})


def refuse_other_sites(request: Request) -> None:
    """A form of another site does nothing here.

    Raises:
        ApiError: `csrf`.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    elsewhere = origin is not None and origin.partition("://")[2] != request.url.netloc
    if site not in ("same-origin", "none") or elsewhere:
        raise ApiError("csrf", "This form is not one of ours.")


def _lines(text: str) -> str:
    """Line ends as everywhere else: a form has CRLF (HTML Standard, 4.10.22.4)."""
    return text.replace("\r\n", "\n")
