"""The archive that a company takes its log away in: a ZIP, and a manifest of what is in it.

`VERIFY.md`, which is in each of them, tells what is in it and how it is checked by hand.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

from application.feed import public_type, rfc3339

FORMAT: Literal["dynamic-tables export v1"] = "dynamic-tables export v1"
EVENTS, LEAVES, CHECKPOINT, KEYS = "events.jsonl", "leaves.bin", "checkpoint.txt", "keys.json"
MANIFEST, GUIDE, SCHEMAS = "manifest.json", "VERIFY.md", "schemas/"

ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Hash = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
PositionText = Annotated[str, StringConstraints(pattern=r"\A[1-9][0-9]{0,18}\z")]
Whole = Annotated[int, Field(ge=0, lt=2**63)]


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", strict=True, validate_by_name=True
    )


class Range(_Part):
    """Which leaves, the last one excluded; and the positions of the first and last event."""

    from_index: Whole
    to_index: Whole
    from_position: PositionText | None
    to_position: PositionText | None


class TreeHead(_Part):
    """The tree of the checkpoint."""

    size: Whole
    root: Hash


class File(_Part):
    """Of a file in the archive; its hash is that of SHA-256."""

    size: Whole
    sha256: Hash


class Manifest(_Part):
    """`manifest.json`. `before`, `after`: perfect subtrees left and right of the range."""

    format: Literal["dynamic-tables export v1"] = FORMAT
    company_id: Annotated[str, StringConstraints(pattern=rf"\A{ID}\z")]
    range: Range
    tree: TreeHead
    before: list[Hash]
    after: list[Hash]
    events: Whole
    erased: Whole
    counts: dict[str, Whole]
    files: dict[str, File]
    software: str
    created_at: str

    def document(self) -> bytes:
        """The manifest as it is stored."""
        return self.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


@dataclass(frozen=True)
class Part:
    """Which leaves of which tree are exported, and the hashes left and right of them."""

    company_id: UUID
    begin: int
    end: int
    size: int
    root: bytes
    before: Sequence[bytes]
    after: Sequence[bytes]


def schema_name(topic: str) -> str:
    """The file with the schema of what events of a topic say."""
    return f"{SCHEMAS}{public_type(topic)}.json"


def event_line(index: int, row: Sequence[Any]) -> bytes:
    """An event as a line of `events.jsonl`.

    `row`: company, position, aggregate, version, topic, event id, recorded at, salt, state and
    commitment. An erased one has only the last of these three.
    """
    company_id, position, aggregate_id, version, topic, event_id, recorded_at, *said = row
    line: dict[str, Any] = {
        "index": index,
        "companyId": str(company_id),
        "position": str(position),
        "aggregateId": str(aggregate_id),
        "version": version,
        "topic": topic,
        "eventId": str(event_id),
        "recordedAt": rfc3339(recorded_at),
        **_said(*said),
    }
    return to_json(line) + b"\n"


def _said(salt: bytes | None, state: bytes | None, commitment: bytes | None) -> dict[str, Any]:
    if state is None:
        return {"erased": True, "commitment": (commitment or b"").hex()}
    try:
        return {"salt": (salt or b"").hex(), "state": state.decode()}
    except UnicodeDecodeError:
        return {"salt": (salt or b"").hex(), "stateBase64": base64.b64encode(state).decode()}
