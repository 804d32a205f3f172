"""What is shown of the audit log, and documented."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from api.event_schemas import EXAMPLE_EVENT
from api.views import EXAMPLE_ID, example
from application.audit_log.keys import Listed
from application.audit_log.proofs import Consistency, Inclusion
from application.feed import rfc3339

_COMPANY = "019ab3f2-0000-7000-8000-000000000001"
_HASH = "rkhpPhCcp0uWMLrmF4Tzk7aBDQ6KmFy2aQyPLE4eDxA="
_NAME = "dynamic-tables/5f0c9b1e-4d12-4e06-9f30-2b1f6a0c4d12"
NOTE = (
    f"{_NAME}/companies/{_COMPANY}\n48231\n{_HASH}\n\n"
    f"— {_NAME} x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6"
    "RyyBwJnAM=\n"
)
_KEY: JsonDict = {
    "key": f"{_NAME}+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "createdAt": "2026-11-22T09:00:00.123456Z", "retiredAt": None,
}  # fmt: skip
_LEAF: JsonDict = {
    "companyId": _COMPANY, "position": "48231", "aggregateId": EXAMPLE_ID, "version": 7,
    "topic": "TableDef.Renamed", "eventId": EXAMPLE_EVENT["id"],
    "recordedAt": "2026-11-22T09:00:00.123456Z", "commitment": "6e340b9cffb37a98" * 4,
}  # fmt: skip


class Shown(BaseModel):
    """What is shown; its names are camelCase."""

    model_config = ConfigDict(alias_generator=to_camel)


class AuditKey(Shown):
    """A key that signs heads, or did."""

    model_config = example(_KEY)

    key: str = Field(
        description="As notes are verified with: name, id and Ed25519 key (c2sp.org/signed-note)."
    )
    created_at: datetime
    retired_at: datetime | None = Field(description="null: it signs.")


class AuditKeys(Shown):
    """All keys that ever signed heads, the newest first."""

    model_config = example({"items": [_KEY], "nextCursor": None, "handover": None})

    items: list[AuditKey]
    next_cursor: str | None
    handover: str | None = Field(
        description="The note that the present key and the one before have both signed."
    )


class AuditLeaf(Shown):
    """What the leaf of an event is made of: a line each, after the name of the format."""

    model_config = example(_LEAF)

    company_id: UUID
    position: str
    aggregate_id: UUID
    version: int
    topic: str
    event_id: UUID
    recorded_at: datetime
    commitment: str = Field(description="SHA-256 of salt and stored bytes, in hex.")


class InclusionProof(Shown):
    """That an event is in the tree of this size and root (RFC 9162, 2.1.3); hashes in base64."""

    model_config = example(
        {"index": 48230, "size": 48231, "leafHash": _HASH, "rootHash": _HASH, "hashes": [_HASH],
         "leaf": _LEAF}
    )  # fmt: skip

    index: int = Field(description="Of the leaf, from 0 on.")
    size: int
    leaf_hash: str
    root_hash: str
    hashes: list[str]
    leaf: AuditLeaf


class ConsistencyProof(Shown):
    """That the later tree begins with the earlier one (RFC 9162, 2.1.4); hashes in base64."""

    model_config = example(
        {"from": 48000, "to": 48231, "fromRootHash": _HASH, "rootHash": _HASH, "hashes": [_HASH]}
    )  # fmt: skip

    first: int = Field(alias="from")
    second: int = Field(alias="to")
    from_root_hash: str = Field(description="The root of the earlier tree.")
    root_hash: str = Field(description="The root of the later tree.")
    hashes: list[str]


SHOWN = (AuditKeys, AuditLeaf, InclusionProof, ConsistencyProof)


def keys_view(keys: Sequence[Listed], handover: str | None) -> dict[str, Any]:
    """All keys as they are shown."""
    items = [
        {
            "key": str(each.key),
            "createdAt": rfc3339(each.created_at),
            "retiredAt": each.retired_at and rfc3339(each.retired_at),
        }
        for each in keys
    ]
    return {"items": items, "nextCursor": None, "handover": handover}


def inclusion_view(company_id: UUID, proof: Inclusion) -> dict[str, Any]:
    """A proof as it is shown."""
    leaf = proof.leaf
    return {
        "index": proof.index,
        "size": proof.size,
        "leafHash": _base64(proof.hash),
        "rootHash": _base64(proof.root),
        "hashes": [_base64(each) for each in proof.hashes],
        "leaf": {
            "companyId": company_id, "position": str(leaf.position),
            "aggregateId": leaf.aggregate_id, "version": leaf.version, "topic": leaf.topic,
            "eventId": leaf.event_id, "recordedAt": rfc3339(leaf.recorded_at),
            "commitment": leaf.commitment.hex(),
        },
    }  # fmt: skip


def consistency_view(proof: Consistency) -> dict[str, Any]:
    """A proof as it is shown."""
    return {
        "from": proof.first,
        "to": proof.second,
        "fromRootHash": _base64(proof.first_root),
        "rootHash": _base64(proof.second_root),
        "hashes": [_base64(each) for each in proof.hashes],
    }


def _base64(hash: bytes) -> str:
    return base64.b64encode(hash).decode()
