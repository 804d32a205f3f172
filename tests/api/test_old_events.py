"""Events of every earlier release: an auditor sees them, and verifies them as they were stored."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api import keys
from api.keys import NewKey
from application.audit_log.verify import SOUND
from domain.containers import workspace_aggregate
from tests.api.conftest import calling, installed
from tests.api.happenings import SAMPLES
from tests.api.test_history import everything, get
from tests.api.test_table_defs import path
from tests.contracts.exporting import Parts, anchored, checked, exported
from tests.contracts.logged import logged
from tests.domain.vocabulary import COMPANY

pytestmark = pytest.mark.anyio

INSERT = """
INSERT INTO event_store.events
SELECT count(*) + 1, %(company)s, %(id)s,
       1 + count(*) FILTER (WHERE originator_id = %(id)s), %(topic)s, %(state)s, %(salt)s,
       %(event_id)s, now()
  FROM event_store.events
"""
ORDERS, GONE, ERASED = (UUID(int=n) for n in (21, 22, 23))
WORKSPACE = workspace_aggregate(COMPANY, UUID(int=4))
STORY = (
    (COMPANY, ["Company.Registered.v1", "Company.Renamed.v1", "Company.SettingsChanged.v1"]),
    (WORKSPACE, ["Workspace.Created.v1", "Workspace.Renamed.v1"]),
    (ORDERS, [
        "TableDef.Created.v1", "TableDef.Renamed.v1", "TableDef.SlugChanged.v1",
        "TableDef.DescriptionChanged.v1", "TableDef.AppearanceChanged.v1",
        "TableDef.SettingsChanged.v1", "TableDef.MovedToWorkspace.v1", "TableDef.Deleted.v1",
        "TableDef.Restored.v1",
    ]),
    (GONE, ["TableDef.Created.v2", "TableDef.Deleted.v1", "TableDef.Purged.v1"]),
    (ERASED, ["TableDef.Created.v1", "TableDef.Deleted.v1", "TableDef.Erased.v1"]),
    (WORKSPACE, ["Workspace.Deleted.v1", "Workspace.Restored.v1"]),
    (COMPANY, ["Company.Removed.v1", "Company.Restored.v1"]),
)  # fmt: skip
LIVED = [(id, sample) for id, samples in STORY for sample in samples]


def test_every_sample_is_part_of_the_story() -> None:
    assert {sample for _, sample in LIVED} == SAMPLES.keys()


@pytest.fixture
async def states(database: str) -> Sequence[bytes]:
    """What older releases stored, byte for byte; each event has an id of its own."""
    stored = list[bytes]()
    async with await AsyncConnection.connect(database, autocommit=True) as owner:
        for id, sample in LIVED:
            event_id = uuid4()
            known = json.loads(SAMPLES[sample])["metadata"]["eventId"]
            stored.append(SAMPLES[sample].replace(known.encode(), str(event_id).encode()))
            params = {
                "company": COMPANY, "id": id, "topic": sample.rpartition(".")[0],
                "state": stored[-1], "salt": event_id.bytes, "event_id": event_id,
            }  # fmt: skip
            await owner.execute(INSERT, params)
    return stored


@pytest.fixture
async def auditor(database: str, states: Sequence[bytes]) -> AsyncIterator[AsyncClient]:
    key = NewKey.make()
    async with await AsyncConnection.connect(database, autocommit=True) as owner:
        await keys.store(owner, key, COMPANY, "auditor", "auditor")
    async with installed(database) as made, calling(made.app, str(key)) as client:
        head = {"Min-Position": str(len(states)), "Prefer": "wait=10"}
        assert (await client.get("/api/audit/events", headers=head)).status_code == 200
        yield client


async def test_they_show_in_history_as_they_are_read_today(auditor: AsyncClient) -> None:
    log = await everything(auditor, "/api/audit/events", order="oldest")
    assert [each["position"] for each in log] == [str(n + 1) for n in range(len(LIVED))]
    table = {"id": str(ORDERS)}
    history = await everything(auditor, f"{path(table)}/history", order="oldest")
    assert [each["version"] for each in history] == list(range(1, 10))
    assert history == [each for each in log if each.get("tableId") == table["id"]]
    assert all(each["sentence"] for each in history)
    first = await get(auditor, path(table), version=1)
    assert (first["name"], first["color"]) == ("Größe & Maße 📏", "#1a73e8")  # was upper case
    diff = await get(auditor, f"{path(table)}/diff", **{"from": 0, "to": 1})
    assert history[0]["changes"] == diff["changes"]


async def test_they_verify_byte_for_byte(
    database: str, states: Sequence[bytes], tmp_path: Path
) -> None:
    archive = tmp_path / "export.zip"
    async with logged(database) as log:
        await log.keep()
        archive.write_bytes(await exported(log, COMPANY))
        report = checked(archive, await anchored(log, COMPANY))
    assert (report.status, report.problems) == (SOUND, [])
    lines = Parts.of(archive.read_bytes()).lines
    assert [line["state"].encode() for line in lines] == states
