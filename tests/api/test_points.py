"""Points in time as requests name them: written and read in one way, whoever asks."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from api.consumer_schemas import Acknowledgement, Seek
from api.export_schemas import NewExport
from api.history_schemas import AuditQuery, DiffQuery, TableDiffQuery
from api.reverting import Reversion
from api.table_schemas import ListQuery, PastQuery
from api.webhook_schemas import ReplayRange

MOMENTS: dict[str, Callable[[Any], Any]] = {
    "seek": lambda given: Seek.model_validate({"time": given}).time,
    "revert": lambda given: Reversion.model_validate({"asOf": given}).as_of,
    "list": lambda given: ListQuery.model_validate({"asOf": given}).as_of,
    "table": lambda given: PastQuery.model_validate({"asOf": given}).as_of,
    "compare": lambda given: TableDiffQuery.model_validate({"from": given}).from_,
}
POINTS: dict[str, Callable[[Any], Any]] = {
    "export from": lambda given: NewExport.model_validate({"from": given}).from_,
    "export to": lambda given: NewExport.model_validate({"to": given}).to,
    "events from": lambda given: AuditQuery.model_validate({"from": given}).from_,
    "events to": lambda given: AuditQuery.model_validate({"to": given}).to,
    "diff": lambda given: DiffQuery.model_validate({"to": given}).to,
}
POSITIONS: dict[str, Callable[[Any], Any]] = {
    "ack": lambda given: (
        Acknowledgement.model_validate(
            {"lease": "5d0f6a0c-4d12-4e06-9f30-2b1f6a0c4d12", "position": given}
        ).position
    ),
    "replay": lambda given: ReplayRange.model_validate({"after": "0", "until": given}).until,
    "seek": lambda given: Seek.model_validate({"position": given}).position,
    "list": lambda given: ListQuery.model_validate({"asOfPosition": given}).as_of_position,
}


@pytest.mark.parametrize("text", [
    "2026-03-31T23:59:59Z", "2026-03-31T23:59Z", "2026-03-31t23:59:59.123456z",
    "2026-03-31 23:59:59-11:30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00",
])  # fmt: skip
def test_a_moment_is_the_same_to_all(text: str) -> None:
    read = {name: reader(text) for name, reader in (MOMENTS | POINTS).items()}
    assert len(set(read.values())) == 1, read
    assert read["seek"].tzinfo is not None


@pytest.mark.parametrize("given", [
    "", "soon", "2026-03-31", "2026-03-31T23:59:59", "2026-13-01T00:00:00Z", "-1", "1.5", "1e9",
    "²", "٣", "1" * 19, "2026-03-31T23:59:59Z ", 1, 1.5, True, ["2026-03-31T23:59:59Z"],
])  # fmt: skip
def test_what_is_none_is_refused_by_all(given: Any) -> None:
    for name, reader in (MOMENTS | POINTS | POSITIONS).items():
        with pytest.raises(ValidationError):
            pytest.fail(f"{name}: {reader(given)}")


def test_a_number_is_a_position_and_no_moment() -> None:
    for name, reader in (POINTS | POSITIONS).items():
        assert (name, reader("48231")) == (name, 48231)
        assert reader("9" * 18) == 10**18 - 1
    for name in MOMENTS.keys() - {"compare"}:  # which takes it for a version
        with pytest.raises(ValidationError):
            MOMENTS[name]("1790000000")
