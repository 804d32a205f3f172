"""What was: histories, comparisons, and the list and its tables at any point in time."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import uuid4

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api.history_items import sentence
from domain.recorded import event_classes
from projections.history_queries import SCHEMA
from projections.table_def_queries import Sort
from tests.api.conftest import WORKSPACE, Service
from tests.api.test_table_defs import assert_problem, create, path
from tests.conftest import sized

pytestmark = pytest.mark.anyio


async def get(client: AsyncClient, address: str, **params: Any) -> Any:
    answer = await client.get(address, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def everything(client: AsyncClient, address: str, **params: Any) -> list[Any]:
    """All items, page by page."""
    items, cursor = [], {}
    while True:
        page = await get(client, address, **params, **cursor)
        items += page["items"]
        if page["nextCursor"] is None:
            return items
        cursor = {"cursor": page["nextCursor"]}


async def change(client: AsyncClient, table: Any, **changes: Any) -> Any:
    answer = await client.patch(path(table), json=changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def orders(client: AsyncClient) -> Any:
    """A table with a past of six versions, deleted and purged in the end."""
    table = await create(client, name="Orders", settings={"enableForm": True})
    await client.patch(path(table), json={"name": "Sales"}, headers={"Reason": "Asked%20for"})
    await change(client, table, settings={"enableForm": None, "own": {"a/b": 1}})
    await client.delete(path(table))
    await client.post(f"{path(table)}/restore")
    await client.delete(path(table))
    await client.post(f"{path(table)}/purge")
    return table


async def test_a_history_tells_all_that_happened_even_of_what_is_gone(
    client: AsyncClient, orders: Any
) -> None:
    items = (await get(client, f"{path(orders)}/history"))["items"]
    assert [item["version"] for item in items] == [7, 6, 5, 4, 3, 2, 1]
    assert [item["sentence"] for item in items] == [
        "purged *Sales*",
        "deleted *Sales*",
        "restored *Sales*",
        "deleted *Sales*",
        "changed *enableForm*, *own* in *Sales*",
        "renamed *Orders* to *Sales*",
        "created *Orders*",
    ]
    renamed, settled = items[5], items[4]
    assert renamed["changes"] == [{"pointer": "/name", "before": "Orders", "after": "Sales"}]
    assert renamed["reason"] == "Asked for"
    assert renamed["command"] == "change"
    assert renamed["requestId"]
    assert renamed["actor"]["kind"] == "key"
    assert renamed["actor"]["name"]
    assert settled["changes"] == [
        {"pointer": "/settings/enableForm", "before": True, "after": None},
        {"pointer": "/settings/own", "before": None, "after": {"a/b": 1}},
    ]
    assert items[3]["changes"][0]["pointer"] == "/deletedAt"
    assert {change["pointer"] for change in items[6]["changes"]} == {
        "/name", "/slug", "/settings/enableForm",
    }  # fmt: skip


async def test_an_erasure_tells_of_no_change_that_nobody_can_know(
    client: AsyncClient, orders: Any
) -> None:
    erasing = {"json": {"erase": True}, "headers": {"Reason": "law"}}
    assert (await client.post(f"{path(orders)}/purge", **erasing)).status_code == 204
    erased, *before = (await get(client, f"{path(orders)}/history"))["items"]
    assert (erased["version"], erased["changes"], erased["reason"]) == (8, [], "law")
    assert erased["sentence"] == "erased all that was recorded of this table"
    assert [item["version"] for item in before if item["erased"]] == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_a_history_comes_page_by_page_from_either_end(
    client: AsyncClient, orders: Any, order: str
) -> None:
    address = f"{path(orders)}/history"
    paged = await everything(client, address, limit=2, order=order)
    assert paged == (await get(client, address, order=order))["items"]
    versions = [item["version"] for item in paged]
    assert versions == sorted(versions, reverse=order == "newest")


async def test_a_table_is_shown_as_it_was(client: AsyncClient) -> None:
    table = await create(client, name="Orders", settings={"own": [1.5, None]})
    now = datetime.now(UTC)
    await asyncio.sleep(0.01)
    changed = await change(client, table, name="Sales", settings={"own": None})
    await client.delete(path(table))
    shown = await client.get(path(table), params={"version": 1})
    assert shown.json() == table
    assert shown.headers["etag"] == '"1"'
    assert await get(client, path(table), version=3) == changed
    assert (await get(client, path(table), version=4))["deletedAt"]
    assert await get(client, path(table), asOf=now.isoformat()) == table
    await client.post(f"{path(table)}/purge")
    assert await get(client, path(table), version=1) == table
    assert_problem(await client.get(path(table), params={"version": 5}), 410, "table-purged")
    assert_problem(await client.get(path(table), params={"version": 9}), 404, "not-found")
    before = (now - timedelta(days=1)).isoformat()
    for address in (path(table), f"/api/tables/{uuid4()}"):  # the same, or it would tell them apart
        answer = await client.get(address, params={"asOf": before})
        problem = assert_problem(answer, 404, "not-found")
        assert problem["detail"] == "There was nothing under this id then, or no such version."


async def test_two_versions_are_compared(client: AsyncClient, orders: Any) -> None:
    address = f"{path(orders)}/diff"
    diff = await get(client, address, **{"from": "2", "to": "3"})
    assert (diff["from"], diff["to"]) == (2, 3)
    assert [change["pointer"] for change in diff["changes"]] == [
        "/settings/enableForm", "/settings/own",
    ]  # fmt: skip
    back = await get(client, address, **{"from": "3", "to": "2"})
    assert back["changes"] == [
        {"pointer": c["pointer"], "before": c["after"], "after": c["before"]}
        for c in diff["changes"]
    ]
    assert (await get(client, address, **{"from": "0", "to": "1"}))["from"] == 0
    assert (await get(client, address, **{"from": "2", "to": "2"}))["changes"] == []
    nothing = {"from": 0, "to": 0, "changes": []}
    for point in ("0", "2026-01-01T00:00:00Z"):
        assert await get(client, address, **{"from": "0", "to": point}) == nothing
    refused = await client.get(address, params={"from": "1", "to": "9"})
    assert_problem(refused, 422, "validation")
    assert refused.json()["errors"][0]["pointer"] == "/to"


async def random_past(client: AsyncClient, service: Service) -> list[tuple[int, Any]]:
    """Lists as they were shown in every order and state, each with its position."""
    chance = random.Random(5)  # the same past at each run
    tables: list[Any] = []
    seen = []
    for step in range(30):
        table = chance.choice(tables) if tables else None
        what = chance.choice(["create", "change", "change", "delete", "restore", "purge"])
        if what == "create" or table is None:
            name = f"{chance.choice('ABÇ')} {step}"
            tables.append(await create(client, name=name))
        elif what == "change":
            wanted = {"name": f"{chance.choice('xyZ')} {step}"}
            if chance.random() < 0.5:
                wanted = {"workspaceId": chance.choice([None, str(WORKSPACE)])}
            await client.patch(path(table), json=wanted)
        else:
            method = "DELETE" if what == "delete" else "POST"
            await client.request(method, path(table) + ("" if what == "delete" else f"/{what}"))
        if step % sized(3, 1) == 0:
            seen.append(await every_list(client))
    return seen


QUERIES: list[dict[str, Any]] = [
    *({"sort": sort, "state": state} for sort in get_args(Sort) for state in ("active", "all")),
    {"state": "deleted"}, {"q": "x"}, {"workspaceId": str(WORKSPACE)}, {"workspaceId": "none"},
    {"updatedBy": "me"}, {"updatedBy": str(uuid4())},
]  # fmt: skip


async def every_list(client: AsyncClient) -> tuple[int, Any]:
    answer = await client.get("/api/tables", params={"limit": 1})
    position = int(answer.headers["event-position"])
    return position, [await everything(client, "/api/tables", **query) for query in QUERIES]


async def test_the_list_as_of_a_position_is_what_was_shown_then(
    client: AsyncClient, service: Service
) -> None:
    for position, lists in await random_past(client, service):
        for query, expected in zip(QUERIES, lists, strict=True):
            shown = await everything(client, "/api/tables", asOfPosition=position, limit=3, **query)
            assert shown == expected, (position, query)
            if "sort" not in query:
                counted = await get(
                    client, "/api/tables", asOfPosition=position, count="true", **query
                )
                assert counted["totalCount"] == len(expected)


async def test_the_list_as_of_a_moment_is_what_was_shown_then(client: AsyncClient) -> None:
    table = await create(client, name="Orders")
    moment = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.01)
    await change(client, table, name="Sales")
    await create(client, name="Others")
    answer = await client.get("/api/tables", params={"asOf": moment})
    assert answer.json()["items"] == [table]
    assert "event-position" in answer.headers


WAITING = f"""
SELECT count(*) FROM pg_locks WHERE relation = '{SCHEMA}.versions'::regclass AND NOT granted
"""
RENAME = """
SELECT event_store.append(
       jsonb_build_array(jsonb_build_object(
           'command', 0, 'company_id', company_id, 'originator_id', originator_id,
           'expected_version', 1, 'dry_run', false, 'leaves', false)),
       jsonb_build_array(jsonb_build_object(
           'command', 0, 'version', 2, 'topic', 'TableDef.Renamed', 'salt', repeat('00', 16),
           'event_id', gen_random_uuid(),
           'state', (convert_from(state, 'UTF8')::jsonb - 'classVersion')
                    || '{"data": {"name": "Sales"}}')))
  FROM event_store.events WHERE originator_id = %s
"""


async def test_a_moment_is_answered_when_nothing_can_be_recorded_at_it_any_more(
    client: AsyncClient, sql: AsyncConnection
) -> None:
    table = await create(client, name="Orders")
    async with sql.transaction():
        await sql.execute(RENAME, (table["id"],))
        moment = datetime.now(UTC).isoformat()
        since = {"from": moment}
        asked = [
            asyncio.create_task(get(client, address, **params))
            for address, params in (
                (path(table), {"asOf": moment}),
                ("/api/tables", {"asOf": moment}),
                ("/api/audit/events", {"to": moment, "limit": 1}),
                ("/api/audit/events", since),
                ("/api/audit/diff", since),
                (f"{path(table)}/diff", {"to": moment}),
            )
        ]
        long_ago = await get(client, "/api/tables", asOf="2026-01-01T00:00:00Z")
        assert long_ago["items"] == []
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in asked)
    shown, listed, log, later, differs, diff = await asyncio.gather(*asked)
    assert (shown["name"], listed["items"]) == ("Sales", [shown])
    assert log["items"][0]["sentence"] == "renamed *Orders* to *Sales*"
    assert (later["items"], differs["items"]) == ([], [])
    assert diff["changes"] == [{"pointer": "/name", "before": "Orders", "after": "Sales"}]


@pytest.mark.parametrize(
    ("params", "pointer", "code"),
    [
        ({"asOf": "2999-01-01T00:00:00Z"}, "/asOf", "future"),
        ({"asOf": "2026-01-01"}, "/asOf", "datetime"),
        ({"asOf": "2026-01-01T00:00:00"}, "/asOf", "datetime"),
        ({"asOf": "9999-12-31T23:59:59.999999Z"}, "/asOf", "future"),
        ({"asOfPosition": "999999999999999999"}, "/asOfPosition", "future"),
        ({"asOfPosition": "-1"}, "/asOfPosition", "invalid-position"),
        ({"asOfPosition": "0", "asOf": "2026-01-01T00:00:00Z"}, "", "contradiction"),
    ],
)
async def test_a_point_in_time_must_be_one(
    client: AsyncClient, params: Any, pointer: str, code: str
) -> None:
    answer = await client.get("/api/tables", params=params)
    assert_problem(answer, 422, "validation")
    assert (
        answer.json()["errors"][0] | {"pointer": pointer, "code": code}
        == (answer.json()["errors"][0])
    )


async def test_before_anything_happened_there_was_nothing(client: AsyncClient) -> None:
    await create(client, name="Orders")
    assert await everything(client, "/api/tables", asOfPosition=0) == []
    for moment in ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"):
        assert await everything(client, "/api/tables", asOf=moment) == []


async def test_the_company_s_log_has_every_filter(
    client: AsyncClient, service: Service, orders: Any
) -> None:
    other = await create(client, name="Überraß invoices")
    log = await everything(client, "/api/audit/events", limit=3)
    assert log == (await get(client, "/api/audit/events", limit=200))["items"]
    assert {item["type"].split(".")[1] for item in log} == {"company", "workspace", "table-def"}
    assert [item["tableId"] for item in log if "tableId" in item] == [
        other["id"], *7 * [orders["id"]],
    ]  # fmt: skip
    purged, deleted = "dynamic-tables.table-def.purged.v1", "dynamic-tables.table-def.deleted.v1"
    of_type = await everything(client, "/api/audit/events", type=f"{purged},{deleted}", limit=1)
    assert of_type == [item for item in log if item["type"] in (purged, deleted)]
    of_table = await everything(client, "/api/audit/events", tableId=other["id"])
    assert of_table == [item for item in log if item.get("tableId") == other["id"]]
    actor = of_table[0]["actor"]["id"]
    by_actor = await everything(client, "/api/audit/events", actorId=actor, limit=2)
    assert by_actor == [item for item in log if item["actor"]["id"] == actor]
    assert await everything(client, "/api/audit/events", actorId=str(uuid4())) == []
    first, last = log[4], log[1]
    for name in ("position", "recordedAt"):
        between = {"from": first[name], "to": last[name]}
        assert await everything(client, "/api/audit/events", **between) == log[1:5]
    oldest = await everything(client, "/api/audit/events", order="oldest", limit=4)
    assert oldest == log[::-1]
    combined = {"actorId": actor, "type": deleted, "from": log[4]["position"]}
    assert await everything(client, "/api/audit/events", **combined) == [
        item for item in log[:5] if item["type"] == deleted
    ]


async def test_the_company_s_log_goes_on_where_it_was_while_more_happens(
    client: AsyncClient, orders: Any
) -> None:
    for moment in ("2999-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        for order in ("newest", "oldest"):
            until = {"to": moment, "order": order, "limit": 3}
            log = (await get(client, "/api/audit/events", **until | {"limit": 200}))["items"]
            first = await get(client, "/api/audit/events", **until)
            await create(client, name="Others")
            second = await get(client, "/api/audit/events", **until, cursor=first["nextCursor"])
            assert first["items"] + second["items"] == log[:6]
        other = until | {"to": "2998-01-01T00:00:00Z", "cursor": first["nextCursor"]}
        answer = await client.get("/api/audit/events", params=other)
        assert_problem(answer, 400, "invalid-cursor")


@pytest.mark.parametrize("part", ["{}/history", "{}/diff", "/api/audit/events"])
async def test_what_is_projected_meanwhile_is_not_said_to_be_shown(
    client: AsyncClient, service: Service, sql: AsyncConnection, part: str
) -> None:
    table = await create(client, name="Orders")
    progress = service.app.state.services.history.progress
    await progress.reach(await service.head(), 5)
    shown = progress.position
    async with sql.transaction():
        await sql.execute(f"LOCK TABLE {SCHEMA}.versions".encode())
        asked = asyncio.create_task(client.get(part.format(path(table))))
        for _ in range(100):
            if await (await sql.execute(WAITING.encode())).fetchone() == (1,):
                break
            await asyncio.sleep(0.01)
        progress.reached(shown + 1)
    assert int((await asked).headers["event-position"]) == shown


async def test_what_is_not_projected_yet_is_not_said_to_be_missing(
    client: AsyncClient, service: Service, sql: AsyncConnection
) -> None:
    old = await create(client, name="Orders")
    await get(client, f"{path(old)}/history")
    async with sql.transaction():
        # Whoever holds the position holds up the projector.
        await sql.execute("SELECT FROM projections.positions FOR UPDATE")
        await change(client, old, name="Sales")
        new = await create(client, name="Others")
        addresses = (
            f"{path(old)}?version=2", f"{path(old)}/diff?from=1&to=2", f"{path(new)}?version=1",
            f"{path(new)}/history", f"{path(new)}/diff?from=0",
        )  # fmt: skip
        for answer in await asyncio.gather(*map(client.get, addresses)):
            assert_problem(answer, 503, "projection-behind")
    await service.app.state.services.history.progress.reach(await service.head(), 10)
    assert (await get(client, f"{path(old)}?version=2"))["name"] == "Sales"
    assert_problem(await client.get(f"{path(old)}?version=3"), 404, "not-found")


@pytest.mark.parametrize("address", ["/api/audit/events", "/api/audit/diff"])
async def test_a_range_that_ends_before_it_begins_is_no_silence(
    client: AsyncClient, orders: Any, address: str
) -> None:
    [last, *_] = (await get(client, "/api/audit/events"))["items"]
    [first, *_] = (await get(client, "/api/audit/events", order="oldest"))["items"]
    for name in ("position", "recordedAt"):
        answer = await client.get(address, params={"from": last[name], "to": first[name]})
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert (error["pointer"], error["code"]) == ("/to", "out-of-order")
        assert (await client.get(address, params={"from": last[name], "to": last[name]})).is_success


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("uberrass", ["Überraß invoices"]),
        ("INVOICES über", ["Überraß invoices"]),
        ("nvoices", []),
        ("ask", ["Sales"]),
        ("enablef", ["Sales", "Orders"]),
        ("zz:b & ' \\ !", []),
    ],
)
async def test_the_company_s_log_is_searched_by_the_beginnings_of_words(
    client: AsyncClient, orders: Any, q: str, found: list[str]
) -> None:
    await create(client, name="Überraß invoices")
    items = await everything(client, "/api/audit/events", q=q)
    assert [item["sentence"].split("*")[-2] for item in items] == found


async def test_two_points_of_a_company_are_compared(client: AsyncClient) -> None:
    kept, changed = await create(client, name="kept"), await create(client, name="changed")
    gone, purged = await create(client, name="gone"), await create(client, name="purged")
    back = await create(client, name="back")
    await client.delete(path(back))
    start = (await client.get("/api/tables")).headers["event-position"]
    await change(client, changed, name="first")
    await change(client, changed, name="second")
    made = await create(client, name="made")
    await client.delete(path(gone))
    await client.delete(path(purged))
    await client.post(f"{path(purged)}/purge")
    await client.post(f"{path(back)}/restore")
    passing = await create(client, name="passing")
    await client.delete(path(passing))
    await client.post(f"{path(passing)}/purge")
    items = await everything(client, "/api/audit/diff", **{"from": start, "limit": 2})
    found = {item["tableId"]: item for item in items}
    assert len(items) == len(found)
    assert {id: item["change"] for id, item in found.items()} == {
        changed["id"]: "changed", made["id"]: "created", gone["id"]: "deleted",
        purged["id"]: "deleted", back["id"]: "changed", passing["id"]: "deleted",
    }  # fmt: skip
    assert kept["id"] not in found
    assert found[changed["id"]]["changes"] == [
        {"pointer": "/name", "before": "changed", "after": "second"}
    ]
    assert found[passing["id"]]["changes"] == []
    whole = await get(client, "/api/audit/diff", **{"from": "0", "to": start})
    assert {item["change"] for item in whole["items"]} == {"created"}
    refused = await client.get("/api/audit/diff", params={"from": start, "to": "0"})
    assert_problem(refused, 422, "validation")


async def test_nobody_s_history_is_found_by_others(
    client: AsyncClient, orders: Any, service: Service
) -> None:
    for part in ("history", "diff?from=1"):
        assert_problem(await client.get(f"/api/tables/{uuid4()}/{part}"), 404, "not-found")


def test_every_type_of_event_has_a_sentence() -> None:
    state = {
        "name": "a*b", "slug": "a", "description": None, "icon": None, "color": None,
        "workspaceId": None, "settings": {}, "deletedAt": None, "purgedAt": None,
        "removedAt": None,
    }  # fmt: skip
    for topic in event_classes():
        assert sentence(topic, state, state), topic


async def test_of_a_purged_table_versions_are_compared_and_its_end_has_none(
    client: AsyncClient,
) -> None:
    table = await create(client, name="Orders")
    await change(client, table, name="Sales")
    await client.delete(path(table))
    await client.post(f"{path(table)}/purge")
    address = f"{path(table)}/diff"
    diff = await get(client, address, **{"from": 1, "to": 2})
    assert diff["changes"] == [{"pointer": "/name", "before": "Orders", "after": "Sales"}]
    for point in ({"from": 1, "to": 4}, {"from": 4, "to": 1}, {"from": 1}):
        assert_problem(await client.get(address, params=point), 410, "table-purged")
