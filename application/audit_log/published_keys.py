"""The public keys of an installation, as `GET /api/audit/keys` and each export have them."""

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from application.audit_log.keys import Connection, listed
from application.audit_log.note_keys import NoteError, VerifierKey
from application.feed import rfc3339

MOST = 1_000


class _Key(BaseModel):
    key: str


class _Keys(BaseModel):
    items: list[_Key]


async def published(connection: Connection) -> bytes:
    """The document, the newest key first."""
    items = [
        {
            "key": str(each.key),
            "createdAt": rfc3339(each.created_at),
            "retiredAt": each.retired_at and rfc3339(each.retired_at),
        }
        for each in await listed(connection)
    ]
    return to_json({"items": items, "nextCursor": None}, indent=2) + b"\n"


def keys_of(document: str) -> list[VerifierKey]:
    """The keys in such a document; none, if it is none."""
    try:
        found = _Keys.model_validate_json(document).items[:MOST]
        return [VerifierKey.parse(each.key) for each in found]
    except (ValidationError, NoteError):
        return []
