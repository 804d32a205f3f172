"""The log for people with spreadsheets: CSV (RFC 4180), one line for each event.

A cell never begins as a formula does, whoever wrote what is in it: an apostrophe comes before, as
OWASP describes it for CSV injection. Numbers of our own are no such cells.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json

from application.feed import public_type, rfc3339
from domain.recorded import upcast

COLUMNS = (
    "position", "recordedAt", "occurredAt", "type", "noun", "aggregateId", "version", "actorId",
    "actorKind", "command", "reason", "requestId", "correlationId", "data",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
FROM_METADATA = ("actorId", "actorKind", "command", "reason", "requestId", "correlationId")


def csv_lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Lines of events, as `event_line` takes them; an erased one says nothing."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([_safe(cell) for cell in _cells(row)] for row in rows)
    return text.getvalue().encode(errors="replace")


def _cells(row: Sequence[Any]) -> list[str]:
    _, position, aggregate_id, version, topic, _, recorded_at, _, state, _ = row
    occurred_at, metadata, data = _said(topic, state)
    type, noun = _type(topic)
    said = [_text(metadata.get(name)) for name in FROM_METADATA]
    return [
        str(position), rfc3339(recorded_at), occurred_at, type, noun, str(aggregate_id),
        str(version), *said, data,
    ]  # fmt: skip


def _said(topic: str, state: bytes | None) -> tuple[str, dict[str, Any], str]:
    """When it happened, metadata, and the data as JSON; of what cannot be read, the text alone."""
    if state is None:
        return "", {}, ""
    try:
        said = upcast(topic, from_json(state))
        return _text(said["occurredAt"]), dict(said["metadata"]), to_json(said["data"]).decode()
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", {}, state.decode(errors="replace")


def _type(topic: str) -> tuple[str, str]:
    """What others call it, and what it is about; a topic of no known form is its own name."""
    try:
        type = public_type(topic)
    except ValueError:
        return topic, ""
    return type, type.split(".")[1]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(cells)
    return text.getvalue().encode()


HEAD = b"\xef\xbb\xbf" + _line(COLUMNS)
