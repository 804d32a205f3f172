"""Erasing a table empties every copy of what was recorded of it; all else stays as it was."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection, sql

from api.roles import PROJECTOR_ROLE, as_role
from application.audit_log import keys
from application.audit_log.anchoring import Trusted
from application.audit_log.verify import SOUND, verify
from application.event_store.session import connect
from projections.check import check
from projections.history import HistoryProjection
from projections.rebuild import rebuild
from projections.table_defs import TableDefsProjection
from tests.api.conftest import Service
from tests.api.test_audit_exports import made
from tests.api.test_history import everything, get
from tests.api.test_table_defs import assert_problem, create, path
from tests.conftest import eventually

pytestmark = pytest.mark.anyio

SECRET = "zwiebelkuchen"
REASON = {"Reason": "asked%20by%20the%20customer"}
PLACES = """
SELECT table_schema || '.' || table_name
  FROM information_schema.tables
 WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
 ORDER BY 1
"""
# Every table of the database: `emptied` holds what events said until it is erased.
EMPTIED = {
    "event_store.events": "by the append that says so",
    "consumers.held": "by a trigger on that append",
    "webhooks.deliveries": "by a trigger on that append",
    "audit_log.export_chunks": "by a trigger on that append",
    "table_defs_v4.table_defs": "when it was purged",
    "table_defs_v4.former_slugs": "when it was purged",
    "event_store.slugs": "when it was purged",
    "history_v2.versions": "when the projection comes to that event",
    "history_v2.standings": "when the projection comes to that event",
    "projections.parked": "when the projection comes to that event",
}
NOTHING_OF_EVENTS = {
    "audit_log.exports", "audit_log.heads", "audit_log.keys", "audit_log.progress",
    "audit_log.tiles",
    "access.api_keys", "access.sign_in_codes", "access.people", "access.secrets", "access.sessions",
    "consumers.consumers", "consumers.partitions", "event_store.adopted",
    "event_store.containers", "event_store.idempotency_keys", "event_store.memberships",
    "event_store.topics", "history_v2.eras", "history_v2.present_eras", "projections.positions",
    "table_defs_v4.purged_table_defs", "tenancy_v1.companies", "tenancy_v1.workspaces",
    "webhooks.endpoints", "webhooks.replays",
}  # fmt: skip


# An event that can be read, and not be projected: no text of PostgreSQL holds U+0000.
PARKED = """
INSERT INTO event_store.events (
    position, company_id, originator_id, originator_version, topic, state, salt, event_id,
    recorded_at)
SELECT position + 1, company_id, originator_id, originator_version + 1, 'TableDef.Renamed',
       convert_to(%s, 'UTF8'), sha256('salt'), gen_random_uuid(), recorded_at
  FROM event_store.events ORDER BY position DESC LIMIT 1
"""


async def salts(database: str) -> list[str]:
    """What keeps guesses of what was said from being confirmed."""
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        query = "SELECT encode(salt, 'hex') FROM event_store.events WHERE salt IS NOT NULL"
        return [salt for (salt,) in await (await connection.execute(query)).fetchall()]


async def holders(database: str, *said: str) -> set[str]:
    """The tables in which any of this can be found, as text or as bytes."""
    found = set()
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        for (place,) in await (await connection.execute(PLACES)).fetchall():
            name = sql.Identifier(*place.split("."))
            rows = await connection.execute(
                sql.SQL("SELECT count(*) FROM {} AS t WHERE t::text ILIKE ANY (%s)").format(name),
                ([f"%{each}%" for word in said for each in (word, word.encode().hex())],),
            )
            if (await rows.fetchone() or (0,))[0]:
                found.add(place)
    return found


async def a_table_with_copies(client: AsyncClient, service: Service) -> Any:
    """A table that says a secret everywhere, and whoever copied it."""
    headers = {"Idempotency-Key": "once", "Reason": SECRET}
    body = {"name": SECRET, "slug": SECRET, "description": SECRET, "settings": {"own": SECRET}}
    table = (await client.post("/api/tables", json=body, headers=headers)).json()
    await client.patch(path(table), json={"slug": f"{SECRET}-2"})
    terms = {"start": "0", "tableId": table["id"], "maxAttempts": 1}
    assert (await client.put("/api/consumers/copier", json=terms)).status_code == 201
    fetched = (await client.post("/api/consumers/copier/fetch", json={})).json()
    refusal = {
        "lease": fetched["lease"],
        "position": fetched["events"][0]["position"],
        "error": f"cannot store {SECRET}",
    }
    refused = await client.post("/api/consumers/copier/nack", json=refusal)
    assert refused.status_code == 200, refused.text
    async with await AsyncConnection.connect(service.database, autocommit=True) as connection:
        event_id = (await get(client, f"{path(table)}/history", order="oldest"))["items"][0]
        hook = await client.post("/api/webhooks", json={"url": "https://93.184.216.34/"})
        await connection.execute(
            "INSERT INTO webhooks.deliveries VALUES (%s, %s, %s, %s, 1, 't', false, 1, now(), 1,"
            " 500, NULL, %s)",
            (uuid4(), service.ours, hook.json()["id"], event_id["eventId"], SECRET),
        )
    return table


async def erase(client: AsyncClient, table: Any) -> None:
    await client.delete(path(table))
    answer = await client.post(f"{path(table)}/purge", json={"erase": True}, headers=REASON)
    assert answer.status_code == 204, answer.text


async def test_every_table_is_known_to_hold_nothing_or_to_be_emptied(service: Service) -> None:
    async with await AsyncConnection.connect(service.database, autocommit=True) as connection:
        found = {place for (place,) in await (await connection.execute(PLACES)).fetchall()}
    assert found == EMPTIED.keys() | NOTHING_OF_EVENTS


async def test_erasing_a_table_empties_every_copy(client: AsyncClient, service: Service) -> None:
    kept = await create(client, name="Kept")
    table = await a_table_with_copies(client, service)
    await get(client, "/api/tables", asOfPosition=(await head(client)))
    async with await connect(as_role(service.database, PROJECTOR_ROLE)) as projector:
        await made(service, projector, client, format="csv")
    assert await holders(service.database, SECRET) == EMPTIED.keys() - {"projections.parked"}
    salted = await salts(service.database)
    await erase(client, table)
    assert_problem(await client.get(path(table)), 410, "table-purged")
    history = await everything(client, f"{path(table)}/history")
    gone = set(salted) - set(await salts(service.database))
    assert len(gone) == 2
    assert await holders(service.database, SECRET, *gone) == set()
    assert [item.get("erased", False) for item in history] == [False, True, True, True, True]
    assert history[0]["sentence"] == "erased all that was recorded of this table"
    assert history[0]["reason"] == "asked by the customer"
    assert history[0]["actor"]["id"]
    assert await everything(client, "/api/audit/events", q=SECRET) == []
    assert (await get(client, path(kept))) == kept
    for answer in (
        await client.get(path(table)),
        await client.get(path(table), params={"version": 1}),
        await client.patch(path(table), json={"name": "x"}),
        await client.post(f"{path(table)}/restore"),
        await client.post(
            "/api/tables",
            json={"name": SECRET, "slug": SECRET, "description": SECRET,
                  "settings": {"own": SECRET}},
            headers={"Idempotency-Key": "once", "Reason": SECRET},
        ),
        # Nobody can tell any more whether this is the same.
        await client.post(
            "/api/tables", json={"name": "Other"}, headers={"Idempotency-Key": "once"}
        ),
    ):  # fmt: skip
        assert_problem(answer, 410, "table-purged")
    erased = await get(client, "/api/events", tableId=table["id"], limit=100)
    assert [event.get("data", 1) for event in erased] == [None, None, None, None, {}]
    assert (await client.post("/api/tables", json={"name": SECRET})).json()["slug"] == SECRET


async def test_erasing_a_table_that_could_not_be_projected_empties_every_copy(
    client: AsyncClient, service: Service
) -> None:
    secret = "pflaumenmus"
    table = await create(client, name=secret)
    async with await AsyncConnection.connect(service.database, autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT convert_from(state, 'UTF8') FROM event_store.events WHERE originator_id = %s",
            (table["id"],),
        )
        [(created,)] = await cursor.fetchall()
        renamed = json.loads(created) | {"data": {"name": f"{secret}\0"}}
        del renamed["classVersion"]
        await connection.execute(PARKED, (json.dumps(renamed),))

    async def parked() -> bool:
        async with await AsyncConnection.connect(service.database) as connection:
            told = await connection.execute(
                "SELECT FROM projections.parked WHERE error LIKE %s", (f"%{secret}%",)
            )
        return told.rowcount == len({"table_defs", "history"})

    await eventually(parked)
    await erase(client, table)
    history = await everything(client, f"{path(table)}/history")
    assert [item.get("erased", False) for item in history] == [False, True, True, True, True]
    assert_problem(await client.get(path(table)), 410, "table-purged")
    assert await holders(service.database, secret) == set()


async def test_the_log_of_a_company_that_erased_something_is_verified(
    client: AsyncClient, service: Service, tmp_path: Path
) -> None:
    async with await connect(as_role(service.database, PROJECTOR_ROLE)) as projector:
        table = await create(client, name=SECRET)
        await made(service, projector, client)
        before = (await client.get("/api/audit/checkpoint")).text
        trusted = Trusted([each.key for each in await keys.listed(projector)], before)
        await erase(client, table)
        export = await made(service, projector, client)
    whole = tmp_path / "export.zip"
    whole.write_bytes((await client.get(f"/api/audit/exports/{export['id']}/download")).content)
    report = verify(whole, trusted)
    assert (report.status, report.problems) == (SOUND, [])


async def head(client: AsyncClient) -> str:
    return (await client.get("/api/events", params={"after": "head"})).headers["feed-head"]


async def test_read_models_built_anew_are_as_they_were(
    client: AsyncClient, service: Service
) -> None:
    table = await create(client, name=SECRET)
    await client.patch(path(table), json={"name": "x"})
    before = await head(client)
    await erase(client, table)
    history = await everything(client, "/api/audit/events", limit=200)
    conninfo = as_role(service.database, PROJECTOR_ROLE)
    for model in (TableDefsProjection(), HistoryProjection()):
        await rebuild(conninfo, model)
    assert await everything(client, "/api/audit/events", limit=200) == history
    assert await everything(client, "/api/tables", asOfPosition=before, q=SECRET) == []
    assert_problem(await client.get(path(table)), 410, "table-purged")
    await eventually(lambda: _sound(conninfo))


async def _sound(conninfo: str) -> bool:
    return (await check(conninfo)).differences == []


async def test_erasing_needs_a_reason_and_a_table_that_is_gone(client: AsyncClient) -> None:
    table = await create(client)
    address = f"{path(table)}/purge"
    refused = await client.post(address, json={"erase": True}, headers=REASON)
    assert_problem(refused, 409, "not-deleted")
    await client.delete(path(table))
    refused = await client.post(address, json={"erase": True})
    assert_problem(refused, 422, "validation")
    assert refused.json()["errors"][0]["pointer"] == "/Reason"
    dry = await client.post(
        address, json={"erase": True}, headers=REASON, params={"dryRun": "true"}
    )
    assert [event["type"].split(".")[2] for event in dry.json()["events"]] == ["purged", "erased"]
    assert (await client.post(address)).status_code == 204
    headers = REASON | {"Idempotency-Key": "erase"}
    for _ in range(2):  # also what was purged before; and asked again, the answer is the same
        answer = await client.post(address, json={"erase": True}, headers=headers)
        assert answer.status_code == 204
    refused = await client.post(address, json={"erase": True}, headers=REASON)
    assert_problem(refused, 410, "table-purged")


async def test_nobody_else_changes_an_event_not_even_so(
    service: Service, client: AsyncClient
) -> None:
    await create(client)
    async with await AsyncConnection.connect(service.database, autocommit=True) as connection:
        for change in (
            "state = 'x'", "state = NULL, salt = NULL", "salt = NULL",
            "state = NULL, salt = NULL, commitment = sha256('x')",
            "state = NULL, salt = NULL, commitment = sha256(salt || state), topic = 'x'",
        ):  # fmt: skip
            with pytest.raises(Exception, match="append-only"):
                await connection.execute(f"UPDATE event_store.events SET {change}".encode())
