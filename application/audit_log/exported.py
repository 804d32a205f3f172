"""An event as it is read back from a line of an export, and the leaf that it must be.

Written for a million lines in seconds: one pattern finds all that is hashed, and lets nothing pass
that is not written exactly as exports write it; JSON is only what was said.
"""

import base64
import re
from dataclasses import dataclass
from hashlib import sha256

from pydantic_core import from_json

from application.audit_log.archive import ID
from application.audit_log.leaf import FORMAT, SALT_SIZE

_NUMBER = "[1-9][0-9]{0,18}"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
_LINE = re.compile(
    rf'\{{"index":(0|{_NUMBER}),"companyId":"({ID})","position":"({_NUMBER})",'
    rf'"aggregateId":"({ID})","version":({_NUMBER}),"topic":"([!#-\[\]-~]{{1,200}})",'
    rf'"eventId":"({ID})","recordedAt":"({_MOMENT})",(?:'
    rf'"salt":"([0-9a-f]{{{2 * SALT_SIZE}}})","(state|stateBase64)":|'
    r'"erased":true,"commitment":"([0-9a-f]{64})"\}\Z)'
)


class NotReadable(ValueError):
    """The line is not written as an export writes an event."""

    def __str__(self) -> str:
        return "the line is not written as an export writes an event"


@dataclass(slots=True)
class Exported:
    """An event, and the hash of its leaf."""

    index: int
    company_id: str
    position: str
    aggregate_id: str
    version: int
    topic: str
    event_id: str
    recorded_at: str
    erased: bool
    leaf: bytes


def read(line: bytes) -> Exported:
    """The event of a line, without its end.

    Raises:
        NotReadable: it is not written exactly as an export writes one.
    """
    try:
        text = line.decode()
        match = _LINE.match(text)
        if match is None:
            raise NotReadable
        index, company, position, aggregate, version, topic, id, moment, salt, kind, said = (
            match.groups()
        )
        if salt:
            said = _commitment(salt, kind, text[match.end() :])
    except ValueError:  # of the JSON, UTF-8 or Base64
        raise NotReadable from None
    lines = (FORMAT, company, position, aggregate, version, topic, id, moment, said, "")
    data = "\n".join(lines)
    leaf = sha256(b"\x00" + data.encode()).digest()
    return Exported(
        int(index), company, position, aggregate, int(version), topic, id, moment, not salt, leaf
    )


def _commitment(salt: str, kind: str, rest: str) -> str:
    """Of what was said: the rest of the line is its text, and the end of the object."""
    said = from_json(rest[:-1])
    if type(said) is not str or rest[-1:] != "}" or rest[:1] != '"' or rest[-2:-1] != '"':
        raise NotReadable
    state = said.encode() if kind == "state" else base64.b64decode(said, validate=True)
    return sha256(bytes.fromhex(salt) + state).hexdigest()
