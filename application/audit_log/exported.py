"""An event as it is read back from a line of an export, and the leaf that it must be.

Written for a million lines in seconds: one look at the JSON, one pattern for all that is hashed.
"""

import base64
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NoReturn

from pydantic_core import from_json, to_json

from application.audit_log.archive import ID
from application.audit_log.leaf import FORMAT, SALT_SIZE

HEADER = (
    "index", "companyId", "position", "aggregateId", "version", "topic", "eventId", "recordedAt",
)  # fmt: skip
_ENDINGS = {
    (*HEADER, "salt", "state"): "state",
    (*HEADER, "salt", "stateBase64"): "stateBase64",
    (*HEADER, "erased", "commitment"): "erased",
}
_LEAF = re.compile(
    rf"{FORMAT}\n{ID}\n[1-9][0-9]{{0,18}}\n{ID}\n[1-9][0-9]{{0,18}}\n[!-~]{{1,200}}\n{ID}\n"
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\n[0-9a-f]{64}\n"
)


class NotReadable(ValueError):
    """The line is not one that an export has."""


@dataclass(slots=True)
class Exported:
    """An event, and the hash of its leaf. `fields`: as in the line."""

    fields: dict[str, Any]
    leaf: bytes
    erased: bool


def read(line: bytes) -> Exported:
    """The event of a line.

    Raises:
        NotReadable: it is not written exactly as an export writes one.
    """
    try:
        fields = from_json(line)
        kind = _ENDINGS.get(tuple(fields)) if type(fields) is dict else None
        if kind is None or to_json(fields) != line:
            _refuse("the line is not written as exports write an event")
        said = fields["commitment"] if kind == "erased" else _commitment(kind, fields)
        data = (
            f"{FORMAT}\n{fields['companyId']}\n{fields['position']}\n{fields['aggregateId']}\n"
            f"{fields['version']}\n{fields['topic']}\n{fields['eventId']}\n{fields['recordedAt']}\n"
            f"{said}\n"
        )
        if not _LEAF.fullmatch(data) or not _is_typed(fields, kind):
            _refuse("a field of the event does not have the form that it should have")
    except NotReadable:
        raise
    except (ValueError, TypeError, RecursionError):
        raise NotReadable("the line is no JSON that exports write") from None
    return Exported(fields, sha256(b"\x00" + data.encode()).digest(), kind == "erased")


def _refuse(why: str) -> NoReturn:
    raise NotReadable(why)


def _commitment(kind: str, fields: dict[str, Any]) -> str:
    salt = bytes.fromhex(fields["salt"])
    if len(salt) != SALT_SIZE or salt.hex() != fields["salt"]:
        raise NotReadable(f"the salt does not have {SALT_SIZE} bytes")
    text = fields[kind]
    if type(text) is not str:
        raise NotReadable("what was stored is no text")
    state = text.encode() if kind == "state" else _decoded(text)
    return sha256(salt + state).hexdigest()


def _decoded(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise NotReadable("what was stored is not in Base64 as exports write it")
    return data


def _is_typed(fields: dict[str, Any], kind: str) -> bool:
    """Numbers are numbers, and texts texts; of what is text in the leaf either way."""
    return (
        type(fields["index"]) is int
        and type(fields["version"]) is int
        and type(fields["position"]) is str
        and (kind != "erased" or fields["erased"] is True)
    )
