"""Exports of the log over HTTP."""

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api.edition import edition
from api.roles import PROJECTOR_ROLE, as_role
from application.audit_log import exporter as exporting
from application.audit_log import keys
from application.audit_log.anchoring import Trusted
from application.audit_log.exporter import Exporter
from application.audit_log.exports import CHUNK
from application.audit_log.log import AuditLog
from application.audit_log.spreadsheet import csv_lines
from application.audit_log.verify import SOUND, verify
from application.event_store.session import connect
from tests.api.conftest import Service
from tests.api.tenants import new_export
from tests.api.test_history import everything
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio

EXPORTS = "/api/audit/exports"


@pytest.fixture
async def projector(service: Service) -> AsyncIterator[AsyncConnection[Any]]:
    async with await connect(as_role(service.database, PROJECTOR_ROLE)) as connection:
        yield connection


async def make(service: Service, projector: AsyncConnection[Any]) -> int:
    """Sign what happened, then make what is asked for; how many."""
    conninfo = as_role(service.database, PROJECTOR_ROLE)
    log = AuditLog(conninfo)
    while await log.step(projector):
        pass
    return await Exporter(conninfo, edition()).make_all(projector)


async def made(
    service: Service, projector: AsyncConnection[Any], client: AsyncClient, **asked: Any
) -> dict[str, Any]:
    export = await new_export(client, **asked)
    assert await make(service, projector)
    shown: dict[str, Any] = (await client.get(f"{EXPORTS}/{export['id']}")).json()
    assert shown["status"] == "done", shown
    return shown


async def exported(
    service: Service, projector: AsyncConnection[Any], client: AsyncClient, **asked: Any
) -> list[int]:
    """The positions of what is exported."""
    export = await made(service, projector, client, format="csv", **asked)
    text = (await client.get(f"{EXPORTS}/{export['id']}/download")).content.decode("utf-8-sig")
    return [int(row["position"]) for row in csv.DictReader(io.StringIO(text))]


async def test_an_export_is_made_and_downloaded_and_verified(
    service: Service, client: AsyncClient, projector: AsyncConnection[Any], tmp_path: Path
) -> None:
    for number in range(3):
        await create(client, name=f"Table {number}")
    asked = await client.post(EXPORTS, json={})
    assert asked.status_code == 202
    where = asked.headers["location"]
    waiting = (await client.get(where)).json()
    assert (waiting["status"], waiting["progress"], waiting["size"]) == ("waiting", 0, None)
    assert_problem(await client.get(f"{where}/download"), 409, "export-not-ready")
    assert await make(service, projector) == 1
    done = (await client.get(where)).json()
    assert (done["status"], done["progress"]) == ("done", 1)
    download = await client.get(f"{where}/download")
    assert download.status_code == 200
    assert download.headers["content-type"] == "application/zip"
    assert download.headers["etag"] == f'"{done["sha256"]}"'
    assert int(download.headers["content-length"]) == done["size"] == len(download.content)
    archive = tmp_path / "export.zip"
    archive.write_bytes(download.content)
    report = verify(archive, Trusted([each.key for each in await keys.listed(projector)]))
    assert (report.status, report.problems) == (SOUND, [])
    assert report.manifest is not None
    assert report.manifest.company_id == str(service.ours)
    assert report.manifest.counts["TableDef.Created"] == 3
    with zipfile.ZipFile(archive) as zip:
        assert json.loads(zip.read("keys.json")) == (await client.get("/api/audit/keys")).json()
        note = (await client.get("/api/audit/checkpoint")).text
        assert zip.read("checkpoint.txt").decode() == note
        schema = "dynamic-tables.table-def.created.v1"
        assert (
            json.loads(zip.read(f"schemas/{schema}.json"))
            == (await client.get(f"/api/schemas/{schema}")).json()
        )


async def test_a_range_is_of_positions_or_moments(
    service: Service, client: AsyncClient, projector: AsyncConnection[Any]
) -> None:
    tables = [await create(client, name=f"Table {number}") for number in range(4)]
    stored = [each.position for each in await service.stored() if each.topic == "TableDef.Created"]
    positions = partial(exported, service, projector, client)

    assert await positions(**{"from": str(stored[1]), "to": str(stored[2])}) == stored[1:3]
    assert await positions(**{"from": str(stored[3])}) == stored[3:]
    moments = {"from": tables[1]["createdAt"], "to": "2999-01-01T00:00:00Z"}
    assert set(await positions(**moments)) >= set(stored[2:])
    assert await positions(to="2001-01-01T00:00:00Z") == []
    assert await positions(to="9999-12-31T23:59:59.999999Z") == await positions()


async def test_both_ends_are_part_of_a_range_as_in_the_audit_log(
    service: Service, client: AsyncClient, projector: AsyncConnection[Any]
) -> None:
    for number in range(3):
        await create(client, name=f"Table {number}")
    log = await everything(client, "/api/audit/events", order="oldest")
    for first, last in ((1, 3), (2, 2)):
        between = {"from": log[first]["recordedAt"], "to": log[last]["recordedAt"]}
        same = await everything(client, "/api/audit/events", order="oldest", **between)
        assert same == log[first : last + 1]
        assert await exported(service, projector, client, **between) == [
            int(each["position"]) for each in same
        ]


@pytest.mark.parametrize("text", ["x", 7, "2026-01-01", "-1", "2026-13-01T00:00:00Z", ""])
async def test_what_is_no_place_is_refused(client: AsyncClient, text: Any) -> None:
    for name in ("from", "to"):
        problem = assert_problem(
            await client.post(EXPORTS, json={name: text}), 422, "validation"
        )  # fmt: skip
        assert problem["errors"][0]["pointer"] == f"/{name}"


async def test_a_spreadsheet_says_who_did_what_and_holds_no_formula(
    service: Service, client: AsyncClient, projector: AsyncConnection[Any]
) -> None:
    reason = {"Reason": "%3Dcmd%7C%27 /C calc%27!A0".replace(" ", "%20")}
    await client.post("/api/tables", json={"name": '=1+1, "quoted"'}, headers=reason)
    export = await made(service, projector, client, format="csv")
    download = await client.get(f"{EXPORTS}/{export['id']}/download")
    assert download.headers["content-type"] == "text/csv; charset=utf-8"
    assert download.content.startswith(b'\xef\xbb\xbf"position","recordedAt",')
    rows = list(csv.DictReader(io.StringIO(download.content.decode("utf-8-sig"))))
    row = rows[-1]
    assert row["reason"] == "'=cmd|' /C calc'!A0"
    assert (row["type"], row["noun"]) == ("dynamic-tables.table-def.created.v1", "table-def")
    assert row["actorKind"] == "key"
    assert row["requestId"]
    assert '"name":"=1+1, \\"quoted\\""' in row["data"]
    cells = [cell for each in rows for cell in each.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("state", [b"5", b"[]", b'"x"', b"{}", b'{"occurredAt": 1}', b"\xff", b""])
def test_a_spreadsheet_shows_what_nobody_can_read_as_it_is(state: bytes) -> None:
    row = [None, 7, uuid4(), 1, "TableDef.Created", None, datetime.now(UTC), None, state, None]
    [cells] = csv.reader(io.StringIO(csv_lines([row]).decode()))
    assert (cells[0], cells[-1]) == ("7", state.decode(errors="replace"))


async def _large(service: Service, sql: AsyncConnection, client: AsyncClient) -> tuple[str, bytes]:
    """A finished export of more than two chunks; its bytes."""
    export = await new_export(client)
    content = bytes(n * 7 % 251 for n in range(CHUNK)) * 2 + b"the end"
    for number, at in enumerate(range(0, len(content), CHUNK)):
        await sql.execute(
            "INSERT INTO audit_log.export_chunks VALUES (%s, %s, %s, %s)",
            (service.ours, export["id"], number, content[at : at + CHUNK]),
        )
    await sql.execute(
        "UPDATE audit_log.exports SET status = 'done', size = %s, sha256 = %s WHERE id = %s",
        (len(content), hashlib.sha256(content).digest(), export["id"]),
    )
    return f"{EXPORTS}/{export['id']}/download", content


async def test_a_download_goes_on_where_it_ended(
    service: Service, sql: AsyncConnection, client: AsyncClient
) -> None:
    where, content = await _large(service, sql, client)
    size = len(content)
    whole = await client.get(where)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["accept-ranges"] == "bytes"
    tag = whole.headers["etag"]
    for header, begin, end in [
        ("bytes=0-0", 0, 1), ("bytes=5-", 5, size), ("bytes=-7", size - 7, size),
        (f"bytes={CHUNK - 1}-{CHUNK}", CHUNK - 1, CHUNK + 1), (f"bytes={CHUNK}-", CHUNK, size),
        (f"bytes=0-{10 * size}", 0, size), (f"bytes=-{10 * size}", 0, size),
        (f"bytes={2 * CHUNK + 6}-", size - 1, size),
    ]:  # fmt: skip
        answer = await client.get(where, headers={"Range": header, "If-Range": tag})
        assert answer.status_code == 206, header
        assert answer.content == content[begin:end], header
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
        assert answer.headers["content-length"] == str(end - begin)


async def test_a_range_that_is_none_is_refused_or_means_nothing(
    service: Service, sql: AsyncConnection, client: AsyncClient
) -> None:
    where, content = await _large(service, sql, client)
    for header in (f"bytes={len(content)}-", "bytes=-0"):
        answer = await client.get(where, headers={"Range": header})
        assert_problem(answer, 416, "range-not-satisfiable")
        assert answer.headers["content-range"] == f"bytes */{len(content)}"
    for header in ("bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=", "bytes=a-b"):
        answer = await client.get(where, headers={"Range": header})
        assert (answer.status_code, len(answer.content)) == (200, len(content)), header
    other = {"Range": "bytes=0-1", "If-Range": '"other"'}
    assert (await client.get(where, headers=other)).status_code == 200
    known = {"If-None-Match": (await client.get(where)).headers["etag"]}
    assert (await client.get(where, headers=known)).status_code == 304


async def test_an_export_is_asked_for_once_for_each_key(client: AsyncClient) -> None:
    headers = {"Idempotency-Key": "monthly"}
    first = await client.post(EXPORTS, json={}, headers=headers)
    again = await client.post(EXPORTS, json={}, headers=headers)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await client.post(EXPORTS, json={"format": "csv"}, headers=headers)
    assert_problem(other, 422, "idempotency-key-reused")


async def test_a_company_has_only_so_many_exports(client: AsyncClient) -> None:
    asked = [await client.post(EXPORTS, json={}) for _ in range(10)]
    assert {each.status_code for each in asked} == {202}
    assert_problem(await client.post(EXPORTS, json={}), 409, "limit-reached")
    dry = await client.post(f"{EXPORTS}?dryRun=true", json={})
    assert_problem(dry, 409, "limit-reached")
    shown = (await client.get(EXPORTS)).json()["items"]
    assert [each["id"] for each in shown] == [each.json()["id"] for each in reversed(asked)]
    assert (await client.delete(asked[0].headers["location"])).status_code == 204
    assert_problem(await client.get(asked[0].headers["location"]), 404, "not-found")
    assert (await client.post(EXPORTS, json={})).status_code == 202


async def test_what_was_erased_is_in_no_export_any_more(
    service: Service, client: AsyncClient, stranger: AsyncClient, projector: AsyncConnection[Any]
) -> None:
    table = await create(client)
    export = await made(service, projector, client)
    theirs = await new_export(stranger)
    await make(service, projector)
    await client.delete(path(table))
    erased = await client.post(
        f"{path(table)}/purge", json={"erase": True}, headers={"Reason": "asked"}
    )
    assert erased.status_code == 204, erased.text
    where = f"{EXPORTS}/{export['id']}"
    shown = (await client.get(where)).json()
    assert (shown["status"], shown["size"]) == ("failed", None)
    assert "erased" in shown["error"]
    assert_problem(await client.get(f"{where}/download"), 409, "export-not-ready")
    assert (await stranger.get(f"{EXPORTS}/{theirs['id']}/download")).status_code == 200
    query = "SELECT company_id FROM audit_log.export_chunks WHERE company_id = ANY (%s)"
    rows = await projector.execute(query, ([service.ours, service.theirs],))
    assert {id for (id,) in await rows.fetchall()} == {service.theirs}


async def test_an_export_that_is_made_while_something_is_erased_begins_anew(
    service: Service, client: AsyncClient, sql: AsyncConnection, projector: AsyncConnection[Any]
) -> None:
    table = await create(client)
    await client.delete(path(table))
    export = await new_export(client)
    async with sql.transaction():
        await sql.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('audit_log.export ' || %s, 0))",
            (service.ours,),
        )
        making = asyncio.create_task(make(service, projector))
        await asyncio.sleep(0.2)
        assert not making.done()  # it waits until what is erased is gone
    assert await making == 1
    assert (await client.get(f"{EXPORTS}/{export['id']}")).json()["status"] == "done"


async def test_an_export_that_expires_is_gone(
    client: AsyncClient, sql: AsyncConnection, service: Service, projector: AsyncConnection[Any]
) -> None:
    export = await made(service, projector, client)
    await sql.execute(
        "UPDATE audit_log.exports SET expires_at = now() WHERE id = %s", (export["id"],)
    )
    assert_problem(await client.get(f"{EXPORTS}/{export['id']}"), 404, "not-found")
    assert_problem(await client.get(f"{EXPORTS}/{export['id']}/download"), 404, "not-found")
    exporter = Exporter(as_role(service.database, PROJECTOR_ROLE), edition())
    await exporter.forget(projector)
    rows = await sql.execute(
        "SELECT FROM audit_log.export_chunks WHERE export_id = %s", (export["id"],)
    )
    assert await rows.fetchall() == []


async def test_nothing_is_exported_of_what_nobody_signed(
    service: Service,
    client: AsyncClient,
    sql: AsyncConnection,
    projector: AsyncConnection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await make(service, projector)
    await sql.execute("DELETE FROM audit_log.heads WHERE company_id = %s", (service.ours,))
    export = await new_export(client)
    exporter = Exporter(as_role(service.database, PROJECTOR_ROLE), edition())
    assert await exporter.make_all(projector) == 0
    assert (await client.get(f"{EXPORTS}/{export['id']}")).json()["status"] == "waiting"
    monkeypatch.setattr(exporting, "PATIENCE", 0)
    assert await exporter.make_all(projector) == 0
    shown = (await client.get(f"{EXPORTS}/{export['id']}")).json()
    assert shown["status"] == "failed"
    assert "No head" in shown["error"]


# One more event of a table, as an append stores it that takes its moment now.
APPEND = """
INSERT INTO event_store.events (
       position, company_id, originator_id, originator_version, topic, state, salt, event_id,
       recorded_at)
SELECT position + 1, company_id, originator_id, originator_version + 1, topic, state, salt,
       gen_random_uuid(), clock_timestamp()
  FROM event_store.events ORDER BY position DESC LIMIT 1
RETURNING position, recorded_at
"""


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(hours=1)], ids=["now", "to come"])
async def test_what_is_recorded_until_a_moment_is_awaited(
    client: AsyncClient, service: Service, ahead: timedelta
) -> None:
    """An append that took its moment before can be stored after the export was asked for."""
    table = await create(client)
    await client.patch(path(table), json={"name": "Sales"})
    async with await connect(service.database) as appending:
        async with appending.transaction():
            await appending.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('event_store.append', 0))"
            )
            [(position, moment)] = await (await appending.execute(APPEND)).fetchall()
            to, since = (moment + ahead).isoformat(), (moment + timedelta(0, 0, 1)).isoformat()
            asked = [
                asyncio.create_task(new_export(client, **of))
                for of in ({"to": to}, {"from": since})
            ]
            await asyncio.sleep(0.1)
            assert not any(task.done() for task in asked)
        until, after = await asyncio.gather(*asked)
    assert until["to"] == str(position)
    assert after["from"] == str(position + 1)
