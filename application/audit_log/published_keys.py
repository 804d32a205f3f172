"""The public keys of an installation, as `GET /api/audit/keys` and each export have them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from application.audit_log.heads import head
from application.audit_log.keys import Connection, listed
from application.audit_log.note_keys import NoteError, VerifierKey
from application.feed import rfc3339

MOST = 1_000


class _Key(BaseModel):
    key: str


class _Document(BaseModel):
    items: list[_Key]
    handover: str | None = None


@dataclass(frozen=True)
class Published:
    """Who signs or did; `handover`: the last note that a key and its successor both signed."""

    keys: Sequence[VerifierKey] = ()
    handover: str | None = None


async def published(connection: Connection, company_id: UUID) -> bytes:
    """The document for a company, the newest key first."""
    signed = await head(connection, company_id)
    items = [
        {
            "key": str(each.key),
            "createdAt": rfc3339(each.created_at),
            "retiredAt": each.retired_at and rfc3339(each.retired_at),
        }
        for each in await listed(connection)
    ]
    handover = signed.handover if signed else None
    return to_json({"items": items, "nextCursor": None, "handover": handover}, indent=2) + b"\n"


def published_in(document: str) -> Published:
    """What such a document says; nothing, if it is none."""
    try:
        said = _Document.model_validate_json(document)
        keys = [VerifierKey.parse(each.key) for each in said.items[:MOST]]
    except (ValidationError, NoteError):
        return Published()
    return Published(keys, said.handover)
