"""dryRun: everything is checked, what would happen is shown, nothing is stored."""

from typing import Any

import pytest
from httpx import AsyncClient

from tests.api.conftest import Service
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio
PUBLIC = "dynamic-tables.table-def."
DRY = {"dryRun": "true"}


async def test_every_write_shows_what_it_would_record(
    service: Service, client: AsyncClient
) -> None:
    live, gone = await create(client, name="Live"), await create(client, name="Gone")
    await client.delete(path(gone))
    changed = await create(client, name="Changed")
    await client.patch(path(changed), json={"name": "Otherwise"})
    stored = await service.stored()
    wishes: list[tuple[str, str, Any, list[str]]] = [
        ("POST", "/api/tables", {"name": "A"}, ["created"]),
        ("PATCH", path(live), {"name": "B", "icon": "x"}, ["renamed", "appearance-changed"]),
        ("PATCH", path(live), {"name": "Live"}, []),
        ("DELETE", path(live), None, ["deleted"]),
        ("DELETE", path(gone), None, []),
        ("POST", path(gone) + "/restore", None, ["restored"]),
        ("POST", path(live) + "/restore", None, []),
        ("POST", path(gone) + "/purge", None, ["purged"]),
        ("POST", path(live) + "/duplicate", None, ["created"]),
        ("POST", path(live) + "/revert", {"version": 1}, []),
        ("POST", path(changed) + "/revert", {"version": 1}, ["renamed"]),
    ]
    for method, address, body, types in wishes:
        answer = await client.request(method, address, params=DRY, json=body)
        shown = answer.json()
        assert answer.status_code == 200, answer.text
        assert shown.keys() == {"dryRun", "table", "events"}
        assert [event["type"] for event in shown["events"]] == [f"{PUBLIC}{t}.v1" for t in types]
        assert "location" not in answer.headers
        assert "event-position" not in answer.headers
        assert await service.stored() == stored
    assert (await client.get(path(live))).json() == live


async def test_a_rehearsal_shows_the_table_that_the_real_write_makes(client: AsyncClient) -> None:
    table = await create(client)
    changes = {"name": "B", "settings": {"enableForm": True}}
    rehearsed = (await client.patch(path(table), params=DRY, json=changes)).json()
    real = (await client.patch(path(table), json=changes)).json()
    assert rehearsed["table"] == real | {"updatedAt": rehearsed["table"]["updatedAt"]}
    assert rehearsed["events"] == [
        {"type": f"{PUBLIC}renamed.v1", "data": {"name": "B"}},
        {"type": f"{PUBLIC}settings-changed.v1", "data": {"changes": {"enableForm": True}}},
    ]


async def test_a_rehearsal_is_refused_like_the_real_write(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    await create(client, name="Sales")
    stored = await service.topics()
    wishes: list[tuple[str, str, Any, dict[str, str], int, str]] = [
        ("POST", "/api/tables", {"name": "A", "slug": "orders"}, {}, 409, "slug-taken"),
        ("POST", "/api/tables", {"name": ""}, {}, 422, "validation"),
        ("PATCH", path(table), {"slug": "sales"}, {}, 409, "slug-taken"),
        ("PATCH", path(table), {"name": "B"}, {"If-Match": '"9"'}, 412, "version-mismatch"),
        ("POST", path(table) + "/purge", None, {}, 409, "not-deleted"),
        ("POST", path(table) + "/duplicate", {"slug": "sales"}, {}, 409, "slug-taken"),
        ("POST", path(table) + "/revert", {"version": 9}, {}, 422, "validation"),
        (
            "POST",
            path(table) + "/revert",
            {"version": 1},
            {"If-Match": '"9"'},
            412,
            "version-mismatch",
        ),
    ]
    for method, address, body, headers, status, code in wishes:
        answer = await client.request(method, address, params=DRY, json=body, headers=headers)
        assert_problem(answer, status, code)
    assert await service.topics() == stored


async def test_dry_run_is_true_or_false(service: Service, client: AsyncClient) -> None:
    for value in ("", "1", "yes", "True", "maybe", "\0"):
        answer = await client.post("/api/tables", params={"dryRun": value}, json={"name": "A"})
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert (error["pointer"], error["in"]) == ("/dryRun", "query")
    answer = await client.post("/api/tables?dryrun=true", json={"name": "A"})
    assert assert_problem(answer, 422, "validation")["errors"][0]["code"] == "unknown-field"
    assert await service.topics() == []
    answer = await client.post("/api/tables?dryRun=false", json={"name": "A"})
    assert answer.status_code == 201
