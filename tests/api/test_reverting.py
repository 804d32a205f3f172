"""Putting a table back over HTTP: what is shown, recorded and refused."""

from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from psycopg import AsyncConnection

from tests.api.conftest import Service
from tests.api.tenants import new_workspace
from tests.api.test_idempotency import assert_replayed, key
from tests.api.test_preconditions import version
from tests.api.test_table_defs import FULL, assert_problem, create, path

pytestmark = pytest.mark.anyio
PUBLIC = "dynamic-tables.table-def."
DRY = {"dryRun": "true"}
EVENTS = {
    "renamed": {"name": "Orders"},
    "slug-changed": {"slug": "sales-orders"},
    "description-changed": {"description": FULL["description"]},
    "moved-to-workspace": {"workspaceId": FULL["workspaceId"]},
    "appearance-changed": {"icon": "📦", "color": "#1a73e8"},
    "settings-changed": {"changes": {"enableForm": True, "b": None, "layout": {"rows": None}}},
}
CHANGES = {
    "name": "B", "slug": "b", "description": None, "icon": None, "color": "#000000",
    "workspaceId": None, "settings": {"enableForm": False, "b": 1, "layout": {"rows": 2}},
}  # fmt: skip


async def revert(client: AsyncClient, table: dict[str, Any], body: Any, **more: Any) -> Response:
    return await client.post(path(table) + "/revert", json=body, **more)


def changing(table: dict[str, Any]) -> dict[str, Any]:
    """What a table is, without what each event changes."""
    return {k: v for k, v in table.items() if k not in ("version", "updatedAt", "updatedBy")}


async def changed(client: AsyncClient) -> dict[str, Any]:
    """A table as it was created, which has changed since in all that it has."""
    table = await create(client, **FULL)
    assert (await client.patch(path(table), json=CHANGES)).status_code == 200
    return table


async def test_everything_is_as_it_was_by_events_that_are_new(
    service: Service, client: AsyncClient
) -> None:
    table = await changed(client)
    before = await service.stored()
    dry = await revert(client, table, {"version": 1}, params=DRY)
    assert await service.stored() == before
    reason = {"Reason": "Nobody%20found%20it"}
    answer = await revert(client, table, {"version": 1}, headers=reason)
    assert answer.status_code == 200
    assert changing(answer.json()) == changing(table)
    assert (answer.json()["version"], answer.headers["etag"]) == (13, '"13"')
    shown = dry.json()
    assert shown["table"] == answer.json() | {"updatedAt": shown["table"]["updatedAt"]}
    assert {e["type"]: e["data"] for e in shown["events"]} == {
        f"{PUBLIC}{name}.v1": data for name, data in EVENTS.items()
    }
    new = (await service.stored())[len(before) :]
    assert [event.data for event in new] == [event["data"] for event in shown["events"]]
    assert {(e.metadata["command"], e.metadata["reason"]) for e in new} == {
        ("revert", "Nobody found it")
    }
    assert answer.headers["event-position"] == str(new[-1].position)
    assert (await client.get(path(table))).json() == answer.json()


async def test_what_it_is_already_records_nothing(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    for query, headers in (({}, {}), ({}, key()), (DRY, {})):
        answer = await revert(client, table, {"version": 1}, params=query, headers=headers)
        assert answer.status_code == 200
        assert answer.json() == ({"dryRun": True, "table": table, "events": []} if query else table)
    assert await service.topics() == ["Created"]


async def test_a_moment_is_what_it_was_then(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    table = await changed(client)
    query = "SELECT recorded_at FROM event_store.events WHERE originator_id = %s ORDER BY position"
    recorded = await (await sql.execute(query, (table["id"],))).fetchall()
    for (moment,), name in ((recorded[0], "Orders"), (recorded[-1], "B")):
        answer = await revert(client, table, {"asOf": moment.isoformat()}, params=DRY)
        assert answer.json()["table"]["name"] == name
    assert len(await service.topics()) == 7


async def test_only_the_facets_that_are_named_come_back(client: AsyncClient) -> None:
    table = await changed(client)
    answer = await revert(client, table, {"version": 1, "facets": ["appearance", "slug"]})
    found = {field: answer.json()[field] for field in ("slug", "icon", "color", "name")}
    assert found == {"slug": "sales-orders", "icon": "📦", "color": "#1a73e8", "name": "B"}
    assert answer.json()["version"] == 9


async def test_what_is_wrong_is_named(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    await client.delete(path(table))
    await client.post(path(table) + "/restore")
    future, past = "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"
    for body, pointer, code in (
        ({}, "", "required"),
        ({"version": 1, "asOf": past}, "", "required"),
        ({"version": None}, "", "required"),
        ({"version": 0}, "/version", "out-of-range"),
        ({"version": -(2**53) + 1}, "/version", "out-of-range"),
        ({"version": 4}, "/version", "future"),
        ({"version": 2**53 - 1}, "/version", "future"),
        ({"version": 2}, "/version", "deleted"),
        ({"version": "1"}, "/version", "type"),
        ({"version": True}, "/version", "type"),
        ({"asOf": past}, "/asOf", "too-early"),
        ({"asOf": future}, "/asOf", "future"),
        ({"asOf": 1}, "/asOf", "datetime"),
        ({"version": 1, "facets": []}, "/facets", "too-short"),
        ({"version": 1, "facets": ["icon"]}, "/facets/0", "unknown-value"),
        ({"version": 1, "name": "X"}, "/name", "unknown-field"),
    ):
        for query in ({}, DRY):
            answer = await revert(client, table, body, params=query)
            [error] = assert_problem(answer, 422, "validation")["errors"]
            assert (error["pointer"], error["code"]) == (pointer, code), body
    assert (await revert(client, table, {"version": 1.0})).status_code == 200
    assert (await revert(client, {"id": uuid4()}, {"version": 9})).status_code == 404
    assert await service.topics() == ["Created", "Deleted", "Restored"]


async def test_a_deleted_table_is_restored_first(service: Service, client: AsyncClient) -> None:
    table = await changed(client)
    await client.delete(path(table))
    problem = assert_problem(await revert(client, table, {"version": 1}), 404, "table-deleted")
    assert problem["restorable"] is True
    await client.post(path(table) + "/purge")
    assert_problem(await revert(client, table, {"version": 1}), 410, "table-purged")
    assert (await service.topics())[-1] == "Purged"


async def test_of_an_erased_table_there_is_no_version_to_go_back_to(
    service: Service, client: AsyncClient
) -> None:
    table = await changed(client)
    await client.delete(path(table))
    erasing = {"json": {"erase": True}, "headers": {"Reason": "law"}}
    assert (await client.post(path(table) + "/purge", **erasing)).status_code == 204
    for body in ({"version": 1}, {"version": 2}, {"version": 99}, {"asOf": "2026-01-01T00:00:00Z"}):
        for query in ({}, DRY):
            answer = await revert(client, table, body, params=query, headers=key())
            assert_problem(answer, 410, "table-purged")
    assert (await service.topics())[-1] == "Erased"


async def test_a_slug_that_somebody_else_has_now_can_be_left_out(
    service: Service, client: AsyncClient
) -> None:
    table = await changed(client)
    other = await create(client, slug="sales-orders")
    before = await service.topics()
    for query in ({}, DRY):
        answer = await revert(client, table, {"version": 1}, params=query, headers=key())
        problem = assert_problem(answer, 409, "slug-taken")
        assert problem["heldBy"] == {"id": other["id"], "deletedAt": None}
        assert problem["suggestion"] == "sales-orders-2"
        assert "slug of that version" in problem["detail"]
        assert "leave 'slug' out of `facets`" in problem["detail"]
    assert await service.topics() == before
    wanted = {"version": 1, "facets": ["name", "workspaceId"]}
    answer = await revert(client, table, wanted, headers=key("l"))
    assert (answer.json()["name"], answer.json()["slug"]) == ("Orders", "b")


async def test_a_workspace_that_is_deleted_now_can_be_left_out(
    service: Service, client: AsyncClient
) -> None:
    gone = await new_workspace(client)
    table = await create(client, workspaceId=gone["id"])
    await client.patch(path(table), json={"workspaceId": None, "name": "B"})
    await client.delete(f"/api/workspaces/{gone['id']}")
    before = await service.topics()
    for query in ({}, DRY):
        answer = await revert(client, table, {"version": 1}, params=query)
        problem = assert_problem(answer, 409, "workspace-deleted")
        assert "workspace of that version" in problem["detail"]
        assert "leave 'workspaceId' out of `facets`" in problem["detail"]
    assert await service.topics() == before
    answer = await revert(client, table, {"version": 1, "facets": ["name"]})
    assert (answer.json()["name"], answer.json()["workspaceId"]) == ("Orders", None)


async def test_a_retry_gets_the_same_answer_whatever_happened_since(
    service: Service, client: AsyncClient
) -> None:
    table = await changed(client)
    first = await revert(client, table, {"version": 1}, headers=key())
    await client.patch(path(table), json={"name": "C"})
    await create(client, name="Other", slug="b")
    await client.delete(path(table))
    stored = await service.topics()
    assert_replayed(await revert(client, table, {"version": 1}, headers=key()), first)
    answer = await revert(client, table, {"version": 2}, headers=key())
    assert_problem(answer, 422, "idempotency-key-reused")
    assert await service.topics() == stored


async def test_a_version_that_is_not_the_present_one_is_told_what_happened_since(
    service: Service, client: AsyncClient
) -> None:
    table = await changed(client)
    before = await service.topics()
    answer = await revert(client, table, {"version": 1}, headers=version(6))
    problem = assert_problem(answer, 412, "version-mismatch")
    assert [event["version"] for event in problem["events"]] == [7]
    assert await service.topics() == before
    answer = await revert(client, table, {"version": 1}, headers=version(7))
    assert (answer.status_code, answer.headers["etag"]) == (200, '"13"')
