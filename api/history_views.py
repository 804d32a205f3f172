"""The shapes of answers about what was."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from api.views import EXAMPLE_ID, example, page

EXAMPLE_CHANGE: JsonDict = {"pointer": "/name", "before": "Orders", "after": "Sales orders"}
EXAMPLE_ITEM: JsonDict = {
    "version": 2,
    "position": "48231",
    "eventId": "019ab3f2-7c1e-7d55-9f30-2b1f6a0c4d12",
    "type": "dynamic-tables.table-def.renamed.v1",
    "tableId": EXAMPLE_ID,
    "recordedAt": "2026-11-22T09:00:00.125000Z",
    "occurredAt": "2026-11-22T09:00:00.123456Z",
    "actor": {"id": "019ab3f2-0000-7000-8000-0000000000aa", "kind": "user", "name": "Ada"},
    "command": "change",
    "reason": "Asked for by the sales team",
    "requestId": "5f0c9b1e",
    "correlationId": "5f0c9b1e",
    "causationId": None,
    "sentence": "renamed *Orders* to *Sales orders*",
    "changes": [EXAMPLE_CHANGE],
}


class Change(BaseModel):
    """One field that changed."""

    model_config = example(EXAMPLE_CHANGE)

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the table.")
    before: Any = Field(description="null = not set.")
    after: Any


class HistoryActor(BaseModel):
    """Who did it."""

    id: UUID
    kind: str
    name: str | None = Field(description="What it is called; null when unknown, or erased.")


class HistoryItem(BaseModel):
    """One thing that happened. Of what was erased, little is left."""

    model_config = example(EXAMPLE_ITEM)

    version: int
    position: str
    event_id: UUID
    type: str
    table_id: UUID | None = None
    workspace_id: UUID | None = None
    recorded_at: datetime
    occurred_at: datetime | None
    actor: HistoryActor | None
    command: str | None = Field(description="What was asked for.")
    reason: str | None
    request_id: str | None
    correlation_id: str | None
    causation_id: UUID | None
    erased: bool = False
    sentence: str = Field(description="What happened, in words; names are *emphasised*.")
    changes: list[Change]


class HistoryPage(BaseModel):
    """One page of a history."""

    model_config = page(EXAMPLE_ITEM)

    items: list[HistoryItem]
    next_cursor: str | None


class TableDiff(BaseModel):
    """What differs between two versions of a table."""

    model_config = example({"from": 1, "to": 2, "changes": [EXAMPLE_CHANGE]})

    from_: int = Field(alias="from", description="A version; 0 = before it came to be.")
    to: int
    changes: list[Change]


EXAMPLE_CHANGED: JsonDict = {
    "tableId": EXAMPLE_ID, "change": "changed", "changes": [EXAMPLE_CHANGE],
}  # fmt: skip


class ChangedTable(BaseModel):
    """What became of a table between two positions."""

    model_config = example(EXAMPLE_CHANGED)

    table_id: UUID
    change: Literal["created", "changed", "deleted"] = Field(
        description="`deleted` are also those purged; one that was restored is `changed`."
    )
    changes: list[Change] = Field(
        description="Empty when it changed in between, and back; of what was purged, all it had."
    )


class DiffPage(BaseModel):
    """One page of what differs between two points in a company's history."""

    model_config = example(
        {"from": "48000", "to": "48231", "items": [EXAMPLE_CHANGED], "nextCursor": None}
    )

    from_: str = Field(alias="from", description="A position.")
    to: str
    items: list[ChangedTable]
    next_cursor: str | None
