"""The leaf of an event."""

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from uuid import UUID

from application.audit_log.leaf import commitment, leaf_data

COMPANY, AGGREGATE, EVENT = (UUID(int=0xABC << 64 | each) for each in (1, 2, 3))


def test_a_leaf_is_nine_lines() -> None:
    moment = datetime(2026, 11, 22, 9, tzinfo=UTC)
    committed = commitment(b"salt" * 4, b'{"data": {}}')
    leaf = leaf_data(COMPANY, 48231, AGGREGATE, 3, "TableDef.Renamed", EVENT, moment, committed)
    assert leaf.decode().split("\n") == [
        "dynamic-tables event v1", str(COMPANY), "48231", str(AGGREGATE), "3", "TableDef.Renamed",
        str(EVENT), "2026-11-22T09:00:00.000000Z",
        sha256(b'saltsaltsaltsalt{"data": {}}').hexdigest(), "",
    ]  # fmt: skip


def test_the_moment_is_told_in_utc() -> None:
    moment = datetime(2026, 1, 1, 1, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    leaf = leaf_data(COMPANY, 1, AGGREGATE, 1, "t", EVENT, moment, b"")
    assert b"\n2025-12-31T23:00:00.123456Z\n\n" in leaf
