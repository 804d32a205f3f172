"""Workspaces over HTTP, and the tables in them: they go together, and come back together."""

import asyncio
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient

from domain.containers import workspace_aggregate
from tests.api.conftest import WORKSPACE, Service
from tests.api.tenants import key_id, new_workspace
from tests.api.test_idempotency import assert_replayed, key
from tests.api.test_preconditions import version
from tests.api.test_table_defs import assert_problem, create, path
from tests.conftest import eventually

pytestmark = pytest.mark.anyio
DRY = {"dryRun": "true"}
PUBLIC = "dynamic-tables.workspace."


def at(workspace: dict[str, Any], action: str = "") -> str:
    return f"/api/workspaces/{workspace['id']}{action}"


def made(workspace: dict[str, Any]) -> str:
    """Its aggregate, by which its events are found."""
    return str(workspace_aggregate(UUID(workspace["companyId"]), UUID(workspace["id"])))


async def names(client: AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/api/workspaces", params=params)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def states(client: AsyncClient, *tables: dict[str, Any]) -> list[str]:
    """Whether each of these tables is active, deleted or purged."""
    found = []
    for table in tables:
        answer = await client.get(path(table), params={"state": "all"})
        gone = "purged" if answer.status_code == 410 else None
        found.append(gone or ("deleted" if answer.json()["deletedAt"] else "active"))
    return found


async def become(client: AsyncClient, wanted: list[str], *tables: dict[str, Any]) -> None:
    async def are() -> bool:
        return await states(client, *tables) == wanted

    await eventually(are, what=str(wanted))


# Create, read


async def test_a_workspace_is_created(service: Service, client: AsyncClient) -> None:
    answer = await client.post("/api/workspaces", json={"name": "  Größe "})
    workspace = answer.json()
    admin = key_id(service.tokens[service.ours, "admin"])
    assert answer.status_code == 201
    assert answer.headers["location"] == at(workspace)
    assert answer.headers["etag"] == '"1"'
    assert workspace == {
        "id": workspace["id"], "companyId": str(service.ours), "name": "Größe",
        "createdBy": admin, "createdAt": workspace["createdAt"],
        "updatedBy": admin, "updatedAt": workspace["createdAt"],
        "deletedAt": None, "version": 1,
    }  # fmt: skip
    [event] = await service.stored()
    assert (event.topic, str(event.table_id)) == ("Workspace.Created", made(workspace))
    assert answer.headers["event-position"] == str(event.position)
    assert event.data == {
        "companyId": str(service.ours), "workspaceId": workspace["id"], "name": "Größe"
    }  # fmt: skip
    assert (await client.get(at(workspace))).json() == workspace
    assert workspace in (await client.get("/api/workspaces")).json()["items"]


async def test_a_workspace_has_a_name_and_nothing_else(
    service: Service, client: AsyncClient
) -> None:
    workspace = await new_workspace(client)
    wrong: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({}, {"/name": "required"}),
        ({"name": ""}, {"/name": "too-short"}),
        ({"name": "x" * 256}, {"/name": "too-long"}),
        ({"name": "a\nb"}, {"/name": "invalid-text"}),
        ({"name": None}, {"/name": "type"}),
        ({"name": "A", "id": str(uuid4())}, {"/id": "read-only"}),
        ({"name": "A", "version": 2, "colour": "red"},
         {"/version": "read-only", "/colour": "unknown-field"}),
    ]  # fmt: skip
    for body, expected in wrong:
        calls = [client.post("/api/workspaces", json=body), client.put(at(workspace), json=body)]
        if body:
            calls.append(client.patch(at(workspace), json=body))
        for call in calls:
            errors = assert_problem(await call, 422, "validation")["errors"]
            assert {error["pointer"]: error["code"] for error in errors} == expected
    assert await service.topics() == ["Workspace.Created"]


async def test_two_workspaces_may_have_one_name(client: AsyncClient) -> None:
    assert (await new_workspace(client))["id"] != (await new_workspace(client))["id"]


async def test_an_unknown_workspace_is_not_found(client: AsyncClient) -> None:
    nowhere = {"id": str(uuid4())}
    for answer in (
        client.get(at(nowhere)),
        client.get(at(nowhere), params={"state": "all"}),
        client.patch(at(nowhere), json={"name": "X"}),
        client.delete(at(nowhere)),
        client.post(at(nowhere, "/restore")),
    ):
        assert_problem(await answer, 404, "not-found")


async def test_workspaces_are_listed_by_name_and_state(client: AsyncClient) -> None:
    for name in ("beta", "Älpha", "gamma"):
        await new_workspace(client, name)
    gone = await new_workspace(client, "gone")
    await client.delete(at(gone))
    assert await names(client) == ["Älpha", "beta", "gamma", "Sales"]
    assert await names(client, state="deleted") == ["gone"]
    assert await names(client, state="all") == ["Älpha", "beta", "gamma", "gone", "Sales"]


async def test_the_list_is_read_page_by_page(client: AsyncClient) -> None:
    made = [await new_workspace(client, "Same") for _ in range(4)]
    found, address = [], "/api/workspaces?limit=2&state=all"
    while address:
        page = await client.get(address)
        found += [item["id"] for item in page.json()["items"]]
        address = page.headers.get("link", "").partition(">")[0].removeprefix("<")
        assert bool(address) == bool(page.json()["nextCursor"])
    assert found == [str(WORKSPACE), *sorted(workspace["id"] for workspace in made)]
    for wrong in ("limit=0", "limit=201", "limit=x", "state=x", "sort=name"):
        answer = await client.get(f"/api/workspaces?{wrong}")
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert error["pointer"] == f"/{wrong.partition('=')[0]}"
    assert_problem(await client.get("/api/workspaces?cursor=x"), 400, "invalid-cursor")


async def test_what_the_caller_has_already_is_304(client: AsyncClient) -> None:
    workspace = await new_workspace(client)
    for address in (at(workspace), "/api/workspaces"):
        etag = (await client.get(address)).headers["etag"]
        same = await client.get(address, headers={"If-None-Match": etag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        await client.patch(at(workspace), json={"name": f"N{address}"})
        changed = await client.get(address, headers={"If-None-Match": etag})
        assert changed.status_code == 200


async def test_a_read_waits_for_the_position_that_it_is_asked_for(
    service: Service, client: AsyncClient
) -> None:
    workspace = await new_workspace(client)
    written = await client.patch(at(workspace), json={"name": "B"})
    headers = {"Min-Position": written.headers["event-position"]}
    for address in (at(workspace), "/api/workspaces"):
        shown = await client.get(address, headers=headers)
        assert '"B"' in shown.text
        assert int(shown.headers["event-position"]) >= int(headers["Min-Position"])
        ahead = {"Min-Position": str(await service.head() + 1), "Prefer": "wait=0"}
        assert_problem(await client.get(address, headers=ahead), 503, "projection-behind")
        wrong = await client.get(address, headers={"Min-Position": "x"})
        assert_problem(wrong, 400, "invalid-position")


# Put, change, delete, restore


async def test_a_workspace_can_have_the_id_of_another_system(
    service: Service, client: AsyncClient
) -> None:
    workspace = {"id": str(uuid4()), "companyId": str(service.ours)}
    created = await client.put(at(workspace), json={"name": "A"})
    assert (created.status_code, created.json()["id"]) == (201, workspace["id"])
    assert created.headers["location"] == at(workspace)
    same = await client.put(at(workspace), json={"name": "A"})
    assert (same.status_code, same.json()) == (200, created.json())
    assert "location" not in same.headers
    renamed = await client.put(at(workspace), json={"name": "B"})
    assert (renamed.status_code, renamed.json()["version"]) == (200, 2)
    assert (await client.get(at(workspace))).json() == renamed.json()
    assert await service.topics(made(workspace)) == ["Workspace.Created", "Workspace.Renamed"]


async def test_a_repeated_put_answers_as_the_first_one_did(client: AsyncClient) -> None:
    workspace = {"id": str(uuid4())}
    created = await client.put(at(workspace), json={"name": "A"}, headers=key("create"))
    same = await client.put(at(workspace), json={"name": "A"}, headers=key("same"))
    renamed = await client.put(at(workspace), json={"name": "B"}, headers=key("rename"))
    assert [a.status_code for a in (created, same, renamed)] == [201, 200, 200]
    for wish in (("A", "create", created), ("A", "same", same), ("B", "rename", renamed)):
        name, text, first = wish
        again = await client.put(at(workspace), json={"name": name}, headers=key(text))
        assert_replayed(again, first)


async def test_twenty_puts_of_one_id_make_one_workspace(
    service: Service, client: AsyncClient
) -> None:
    workspace = {"id": str(uuid4()), "companyId": str(service.ours)}
    answers = await asyncio.gather(
        *(client.put(at(workspace), json={"name": "A"}) for _ in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert await service.topics(made(workspace)) == ["Workspace.Created"]


async def test_a_rename_records_what_changed(service: Service, client: AsyncClient) -> None:
    workspace = await new_workspace(client)
    headers = {"Reason": quote("größer")}
    answer = await client.patch(at(workspace), json={"name": "B"}, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert answer.json() == workspace | {
        "name": "B", "version": 2, "updatedAt": answer.json()["updatedAt"]
    }  # fmt: skip
    event = (await service.stored())[-1]
    assert (event.topic, event.data) == (
        "Workspace.Renamed", {"workspaceId": workspace["id"], "name": "B"},
    )  # fmt: skip
    assert (event.metadata["command"], event.metadata["reason"]) == ("change", "größer")
    assert (await client.get(at(workspace))).json() == answer.json()
    for nothing in ({}, {"name": "B"}):
        same = await client.patch(at(workspace), json=nothing)
        assert (same.status_code, same.json()) == (200, answer.json())
    assert await service.topics() == ["Workspace.Created", "Workspace.Renamed"]


async def test_a_patch_may_be_a_merge_patch(client: AsyncClient) -> None:
    workspace = await new_workspace(client)
    answer = await client.patch(
        at(workspace),
        content='{"name": "B"}',
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert (answer.status_code, answer.json()["name"]) == (200, "B")


async def test_a_deleted_workspace_is_gone_but_kept(service: Service, client: AsyncClient) -> None:
    workspace = await new_workspace(client)
    answer = await client.delete(at(workspace))
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (204, b"", '"2"')
    problem = assert_problem(await client.get(at(workspace)), 404, "not-found")
    shown = (await client.get(at(workspace), params={"state": "all"})).json()
    assert shown["deletedAt"] == problem["deletedAt"] == shown["updatedAt"]
    assert problem["restorable"] is True
    again = await client.delete(at(workspace))
    assert (again.status_code, again.headers["etag"]) == (204, '"2"')
    for refused in (
        client.patch(at(workspace), json={"name": "X"}),
        client.put(at(workspace), json={"name": "X"}),
    ):
        problem = assert_problem(await refused, 409, "workspace-deleted")
        assert problem["deletedAt"] == shown["deletedAt"]
    restored = await client.post(at(workspace, "/restore"))
    assert restored.status_code == 200
    assert restored.json() == workspace | {
        "version": 3, "updatedAt": restored.json()["updatedAt"]
    }  # fmt: skip
    assert (await client.post(at(workspace, "/restore"))).json() == restored.json()
    assert (await client.get(at(workspace))).json() == restored.json()
    assert await service.topics() == [
        "Workspace.Created", "Workspace.Deleted", "Workspace.Restored"
    ]  # fmt: skip


# Dry runs, preconditions, idempotency


async def test_every_write_can_be_rehearsed(service: Service, client: AsyncClient) -> None:
    live, gone = await new_workspace(client, "Live"), await new_workspace(client, "Gone")
    await client.delete(at(gone))
    before = await service.kept()
    wishes: list[tuple[str, str, Any, list[str], str]] = [
        ("POST", "/api/workspaces", {"name": "A"}, ["created"], "A"),
        ("PUT", at({"id": uuid4()}), {"name": "A"}, ["created"], "A"),
        ("PUT", at(live), {"name": "B"}, ["renamed"], "B"),
        ("PUT", at(live), {"name": "Live"}, [], "Live"),
        ("PATCH", at(live), {"name": "B"}, ["renamed"], "B"),
        ("PATCH", at(live), {}, [], "Live"),
        ("DELETE", at(live), None, ["deleted"], "Live"),
        ("DELETE", at(gone), None, [], "Gone"),
        ("POST", at(gone, "/restore"), None, ["restored"], "Gone"),
        ("POST", at(live, "/restore"), None, [], "Live"),
    ]
    for method, address, body, types, name in wishes:
        answer = await client.request(method, address, params=DRY, json=body, headers=key("one"))
        shown = answer.json()
        assert answer.status_code == 200, answer.text
        assert shown.keys() == {"dryRun", "workspace", "events"}
        assert shown["workspace"]["name"] == name
        assert [event["type"] for event in shown["events"]] == [f"{PUBLIC}{t}.v1" for t in types]
        assert not {"location", "event-position", "etag"} & answer.headers.keys()
        assert await service.kept() == before
    refused = await client.patch(at(gone), params=DRY, json={"name": "X"})
    assert_problem(refused, 409, "workspace-deleted")
    stale = await client.patch(at(live), params=DRY, json={"name": "X"}, headers=version(7))
    assert_problem(stale, 412, "version-mismatch")


async def test_writes_heed_the_version(service: Service, client: AsyncClient) -> None:
    workspace = await new_workspace(client)
    await client.patch(at(workspace), json={"name": "B"})
    before = await service.topics()
    for method, action in (("PATCH", ""), ("DELETE", ""), ("POST", "/restore")):
        for etag in ('"1"', '"99"', 'W/"2"', '"x"'):
            answer = await client.request(
                method, at(workspace, action), headers={"If-Match": etag},
                json={"name": "C"} if method == "PATCH" else None,
            )  # fmt: skip
            problem = assert_problem(answer, 412, "version-mismatch")
            assert (problem["currentVersion"], answer.headers["etag"]) == (2, '"2"')
    assert [event["type"] for event in problem["events"]] == []  # of a version that never was
    stale = await client.delete(at(workspace), headers=version(1))
    [event] = assert_problem(stale, 412, "version-mismatch")["events"]
    assert (event["type"], event["workspaceId"]) == (f"{PUBLIC}renamed.v1", workspace["id"])
    assert "tableId" not in event
    assert await service.topics() == before
    for number, (method, action) in enumerate(
        (("PATCH", ""), ("DELETE", ""), ("POST", "/restore"))
    ):
        answer = await client.request(
            method, at(workspace, action), headers=version(2 + number),
            json={"name": "C"} if method == "PATCH" else None,
        )  # fmt: skip
        assert answer.headers["etag"] == f'"{3 + number}"'


async def test_every_write_is_carried_out_once_and_answered_the_same_again(
    service: Service, client: AsyncClient
) -> None:
    workspace = await new_workspace(client)
    for number, (method, address, body) in enumerate(
        (
            ("POST", "/api/workspaces", {"name": "A"}),
            ("PATCH", at(workspace), {"name": "B"}),
            ("PATCH", at(workspace), {"name": "B"}),
            ("DELETE", at(workspace), None),
            ("POST", at(workspace, "/restore"), None),
        )
    ):
        first = await client.request(method, address, json=body, headers=key(f"k{number}"))
        assert first.status_code < 300, first.text
        before = await service.topics()
        again = await client.request(method, address, json=body, headers=key(f"k{number}"))
        assert_replayed(again, first)
        other = await client.put(at(workspace), json={"name": "O"}, headers=key(f"k{number}"))
        assert_problem(other, 422, "idempotency-key-reused")
        assert await service.topics() == before


# Tables in workspaces


async def test_a_table_is_put_into_a_workspace_and_moved(
    service: Service, client: AsyncClient
) -> None:
    sales, product = await new_workspace(client, "Sales"), await new_workspace(client)
    table = await create(client, workspaceId=sales["id"])
    for target in (product["id"], None, sales["id"]):
        answer = await client.patch(path(table), json={"workspaceId": target})
        assert (answer.status_code, answer.json()["workspaceId"]) == (200, target)
        event = (await service.stored(table["id"]))[-1]
        assert (event.topic, event.data) == ("TableDef.MovedToWorkspace", {"workspaceId": target})
        query = {"workspaceId": target or "none"}
        listed = (await client.get("/api/tables", params=query)).json()["items"]
        assert [each["id"] for each in listed] == [table["id"]]
    same = await client.patch(path(table), json={"workspaceId": sales["id"]})
    assert same.json()["version"] == 4


async def test_an_unknown_workspace_is_refused_and_named(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    table, theirs = await create(client), await new_workspace(stranger)
    before = await service.topics()
    for unknown in (str(uuid4()), theirs["id"], table["id"], str(service.ours)):
        wish = {"name": "A", "workspaceId": unknown}
        for dry in ({}, DRY):
            for answer in (
                client.post("/api/tables", json=wish, params=dry),
                client.patch(path(table), json=wish, params=dry),
                client.post(path(table) + "/duplicate", json=wish, params=dry),
            ):
                [error] = assert_problem(await answer, 422, "validation")["errors"]
                assert (error["pointer"], error["code"]) == ("/workspaceId", "unknown")
    assert await service.topics() == before
    assert (await client.get(path(table))).json() == table


async def test_nothing_comes_alive_in_a_deleted_workspace(
    service: Service, client: AsyncClient
) -> None:
    gone = await new_workspace(client)
    inside, outside = await create(client, workspaceId=gone["id"]), await create(client)
    await client.delete(path(inside))
    await client.delete(at(gone))
    before = await service.topics()
    wish = {"name": "A", "workspaceId": gone["id"]}
    for dry in ({}, DRY):
        for answer in (
            client.post("/api/tables", json=wish, params=dry),
            client.patch(path(outside), json=wish, params=dry),
            client.post(path(outside) + "/duplicate", json=wish, params=dry),
            client.post(path(inside) + "/restore", params=dry),
        ):
            assert_problem(await answer, 409, "workspace-deleted")
    assert await service.topics() == before
    assert (await client.post(path(inside) + "/purge")).status_code == 204


async def test_the_tables_go_with_their_workspace_and_say_why(
    service: Service, client: AsyncClient
) -> None:
    workspace = await new_workspace(client)
    tables = [await create(client, workspaceId=workspace["id"]) for _ in range(3)]
    outside = await create(client)
    async with service.client("admin") as boss:
        answer = await boss.delete(at(workspace), headers={"Reason": "reorganised"})
    await become(client, ["deleted"] * 3 + ["active"], *tables, outside)
    cause = (await service.stored(made(workspace)))[-1]
    assert str(cause.position) == answer.headers["event-position"]
    for table in tables:
        event = (await service.stored(table["id"]))[-1]
        assert event.topic == "TableDef.Deleted"
        assert event.metadata["causationId"] == cause.metadata["eventId"]
        assert event.metadata["correlationId"] == cause.metadata["correlationId"]
        assert event.metadata["actorId"] == key_id(service.tokens[service.ours, "admin"])
        assert (event.metadata["actorKind"], event.metadata["reason"]) == ("system", "reorganised")
        assert_problem(await client.get(path(table)), 404, "table-deleted")
        refused = await client.post("/api/tables", json={"name": "X", "slug": table["slug"]})
        assert_problem(refused, 409, "slug-taken")


async def test_a_restore_brings_back_exactly_what_went_with_the_workspace(
    service: Service, client: AsyncClient
) -> None:
    workspace, other = await new_workspace(client), await new_workspace(client)
    inside = {"workspaceId": workspace["id"]}
    kept, before, purged, moved = [await create(client, **inside) for _ in range(4)]
    elsewhere = await create(client, workspaceId=other["id"])
    await client.delete(path(before))
    await client.delete(path(elsewhere))
    await client.patch(path(moved), json={"workspaceId": other["id"]})
    tables = (kept, before, purged, moved, elsewhere)
    await client.delete(at(workspace))
    await become(client, ["deleted", "deleted", "deleted", "active", "deleted"], *tables)
    assert (await client.post(path(purged) + "/purge")).status_code == 204
    restored = await client.post(at(workspace, "/restore"))
    await become(client, ["active", "deleted", "purged", "active", "deleted"], *tables)
    event = (await service.stored(kept["id"]))[-1]
    cause = (await service.stored(made(workspace)))[-1]
    assert event.topic == "TableDef.Restored"
    assert event.metadata["causationId"] == cause.metadata["eventId"]
    assert str(cause.position) == restored.headers["event-position"]
    shown = (await client.get(path(kept))).json()
    assert shown == kept | {"version": 3, "updatedAt": shown["updatedAt"]}


async def test_a_table_that_was_deleted_again_by_hand_stays_deleted(client: AsyncClient) -> None:
    """Only the last deletion counts, and that was not the workspace's."""
    workspace = await new_workspace(client)
    table = await create(client, workspaceId=workspace["id"])
    for _ in range(3):
        await client.delete(at(workspace))
        await become(client, ["deleted"], table)
        await client.post(at(workspace, "/restore"))
        await become(client, ["active"], table)
    await client.delete(path(table))
    await client.delete(at(workspace))
    await client.post(at(workspace, "/restore"))
    fresh = await create(client, workspaceId=workspace["id"])
    await client.delete(at(workspace))
    await become(client, ["deleted", "deleted"], table, fresh)
    await client.post(at(workspace, "/restore"))
    await become(client, ["deleted", "active"], table, fresh)


async def test_nobody_slips_into_a_workspace_that_is_being_deleted(
    service: Service, client: AsyncClient
) -> None:
    workspace = await new_workspace(client)

    async def join(number: int) -> int:
        wish = {"name": f"T{number}", "workspaceId": workspace["id"]}
        answer = await client.post("/api/tables", json=wish)
        assert answer.status_code == 201 or answer.json()["code"] == "workspace-deleted"
        return answer.status_code

    async def leave() -> int:
        await asyncio.sleep(0.01)
        return (await client.delete(at(workspace))).status_code

    *joined, left = await asyncio.gather(*(join(number) for number in range(60)), leave())
    assert left == 204
    query = {"workspaceId": workspace["id"], "count": "true", "state": "deleted"}

    async def all_gone() -> bool:
        page = (await client.get("/api/tables", params=query)).json()
        return bool(page["totalCount"] == joined.count(201))

    await eventually(all_gone)
    active = await client.get("/api/tables", params=query | {"state": "active"})
    assert active.json()["totalCount"] == 0
