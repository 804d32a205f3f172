"""Consumers over HTTP: made, given other terms, set to another place, shown, forgotten."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from tests.api.conftest import Service
from tests.api.consumers import (
    COPY,
    PUBLIC,
    Json,
    ack,
    drained,
    end_leases,
    fetch,
    happened,
    is_empty,
    nack,
    parked,
    positions,
    put,
    shown,
)
from tests.api.tenants import key_id
from tests.api.test_table_defs import assert_problem, create

pytestmark = pytest.mark.anyio
CREATED, RENAMED = f"{PUBLIC}created.v1", f"{PUBLIC}renamed.v1"
LIST = "/api/consumers"


def in_a_list(one: Json) -> Json:
    return {name: value for name, value in one.items() if name not in ("lag", "progress")}


# Made, and changed


async def test_a_consumer_is_made_on_its_terms_and_shown(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    terms = {
        "types": [RENAMED, CREATED], "tableId": table["id"], "partitions": 2, "leaseSeconds": 30,
        "maxAttempts": 5,
    }  # fmt: skip
    answer = await client.put(COPY, json=terms)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == COPY
    assert made == terms | {
        "name": "copy", "types": [CREATED, RENAMED], "position": "0",
        "head": str(await service.head()), "parked": 0, "retrying": 0,
        "createdBy": key_id(service.tokens[service.ours, "admin"]), "createdAt": made["createdAt"],
        "lag": {"events": 1, "seconds": made["lag"]["seconds"]},
        "progress": [
            {"partition": number, "position": "0", "owner": None, "leasedUntil": None}
            for number in (0, 1)
        ],
    }  # fmt: skip
    assert datetime.fromisoformat(made["createdAt"]) <= datetime.now(UTC)
    now = await shown(client)
    assert now == made | {"lag": now["lag"]}
    assert await service.topics() == ["Created"]  # consumers are no events


async def test_without_terms_it_gets_everything_from_the_beginning_on(client: AsyncClient) -> None:
    made = (await client.put(COPY, json={})).json()
    assert {name: made[name] for name in ("types", "tableId", "partitions", "leaseSeconds")} == {
        "types": None, "tableId": None, "partitions": 1, "leaseSeconds": 60,
    }  # fmt: skip
    assert made["maxAttempts"] == 10
    assert made["lag"]["events"] == len((await client.get("/api/events")).json())


async def test_one_that_exists_gets_other_terms_and_goes_on_where_it_is(
    client: AsyncClient,
) -> None:
    made = await put(client)
    table = await create(client)
    terms = {
        "types": [RENAMED], "tableId": table["id"], "leaseSeconds": 5, "maxAttempts": 1,
        "partitions": 3,
    }  # fmt: skip
    await drained(client)
    before = await shown(client)
    answer = await client.put(COPY, json=terms | {"start": "0"})
    changed = answer.json()
    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert changed == changed | terms
    assert changed == await shown(client)
    assert changed["position"] == before["position"] == before["head"]
    assert (changed["createdBy"], changed["createdAt"]) == (made["createdBy"], made["createdAt"])
    beyond = await client.put(COPY, json={"start": "9" * 18})
    assert beyond.status_code == 200, "where it begins was decided when it was made"


async def test_all_that_is_wrong_with_terms_is_told_at_once(client: AsyncClient) -> None:
    out_of_range = {
        "/partitions": "out-of-range", "/leaseSeconds": "out-of-range",
        "/maxAttempts": "out-of-range", "/start": "invalid-position", "/tableId": "invalid-uuid",
    }  # fmt: skip
    wrong: list[tuple[Any, dict[str, str]]] = [
        ({"partitions": 0, "leaseSeconds": 0, "maxAttempts": 0, "start": "x", "tableId": "x"},
         out_of_range),
        ({"partitions": 17, "leaseSeconds": 3601, "maxAttempts": 101, "start": -1, "tableId": 7},
         out_of_range),
        ({"partitions": "1", "leaseSeconds": 1.5, "maxAttempts": True, "start": 5, "types": "x"},
         {"/partitions": "type", "/leaseSeconds": "type", "/maxAttempts": "type",
          "/start": "invalid-position", "/types": "type"}),
        ({"partitions": None, "start": None, "name": "x", "createdBy": "x"},
         {"/partitions": "type", "/start": "invalid-position", "/name": "unknown-field",
          "/createdBy": "read-only"}),
        ({"types": [CREATED, "created", RENAMED, 7, None, [], {}]},
         {"/types/1": "unknown-value", "/types/3": "type", "/types/4": "type", "/types/5": "type",
          "/types/6": "type"}),
        ({"types": []}, {"/types": "too-short"}),
        ({"start": "1" * 19}, {"/start": "invalid-position"}),
        ({"start": "１"}, {"/start": "invalid-position"}),
        ({"start": ""}, {"/start": "invalid-position"}),
    ]  # fmt: skip
    for terms, expected in wrong:
        problem = assert_problem(await client.put(COPY, json=terms), 422, "validation")
        assert {e["pointer"]: e["code"] for e in problem["errors"]} == expected, terms
    assert_problem(await client.get(COPY), 404, "not-found")


async def test_a_type_may_be_said_twice(client: AsyncClient) -> None:
    assert (await put(client, types=[CREATED, CREATED]))["types"] == [CREATED]


async def test_whole_numbers_may_be_written_as_floats(client: AsyncClient) -> None:
    assert (await put(client, partitions=4.0))["partitions"] == 4


async def test_it_begins_where_it_is_told(service: Service, client: AsyncClient) -> None:
    first, second = await happened(client), await happened(client)
    all_of_it = [event["position"] for event in (await client.get("/api/events")).json()]
    for number, (start, expected) in enumerate(
        (("0", all_of_it), ("head", []), (first, [second]), (second, []))
    ):
        address = f"{LIST}/from-{number}"
        made = await put(client, address, start=start)
        assert made["position"] == (second if start == "head" else start)
        answer = await client.post(f"{address}/fetch")
        assert positions(answer.json()) == expected, start
    beyond = str(await service.head() + 1)
    assert_problem(await client.put(COPY, json={"start": beyond}), 409, "feed-rewound")
    assert_problem(await client.get(COPY), 404, "not-found")


@pytest.mark.parametrize(
    "name", ["a", "A", "7", "warehouse-copy", "a.b_c-D", "x" * 64, "parked", "a..b"]
)
async def test_names(client: AsyncClient, name: str) -> None:
    answer = await client.put(f"{LIST}/{name}", json={})
    assert (answer.status_code, answer.json()["name"]) == (201, name)
    assert answer.headers["location"] == f"{LIST}/{name}"
    assert (await shown(client, answer.headers["location"]))["name"] == name


@pytest.mark.parametrize(
    "name", ["-a", ".a", "_a", "x" * 65, "a b", "a%20", "é", "%C3%A9", "a%0A", "a%00", "a:b", "a@b",
             "%E2%80%AEa", "１", "a%FF", "a%2520"],
)  # fmt: skip
async def test_what_is_no_name(client: AsyncClient, name: str) -> None:
    for answer in (
        await client.put(f"{LIST}/{name}", json={"partitions": 0}),
        await client.get(f"{LIST}/{name}"),
        await client.delete(f"{LIST}/{name}"),
        await client.post(f"{LIST}/{name}/fetch"),
        await client.post(f"{LIST}/{name}/parked/replay"),
    ):
        errors = assert_problem(answer, 422, "validation")["errors"]
        assert (errors[0]["pointer"], errors[0]["in"], errors[0]["code"]) == (
            "/name", "path", "invalid-name",
        )  # fmt: skip


async def test_what_is_no_path(client: AsyncClient) -> None:
    for name in ("a%2Fb", "a/b", "%2e%2e%2fevents%2fx", ""):
        answer = await client.put(f"{LIST}/{name}", json={})
        assert answer.status_code in (404, 405), name


async def test_case_sets_names_apart(client: AsyncClient) -> None:
    for name in ("copy", "Copy", "COPY"):
        assert (await client.put(f"{LIST}/{name}", json={})).status_code == 201


# Shown


async def test_consumers_are_listed_by_name(client: AsyncClient) -> None:
    assert (await client.get(LIST)).json() == {"items": [], "nextCursor": None}
    made = [await put(client, f"{LIST}/{name}", partitions=2) for name in ("b", "c", "a")]
    listed = await client.get(LIST)
    expected = [in_a_list(one) for one in sorted(made, key=lambda one: one["name"])]
    assert listed.json() == {"items": expected, "nextCursor": None}


async def test_what_the_caller_has_already_is_304(client: AsyncClient) -> None:
    await put(client)
    for address in (COPY, LIST, f"{COPY}/parked"):
        answer = await client.get(address)
        known = {"If-None-Match": answer.headers["etag"]}
        assert (await client.get(address, headers=known)).status_code == 304
    known = {"If-None-Match": (await client.get(COPY)).headers["etag"]}
    await create(client)
    assert (await client.get(COPY, headers=known)).status_code == 200


async def test_how_far_it_is_and_who_reads_for_it(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    await put(client, leaseSeconds=30)
    before = await shown(client)
    assert before["position"] == before["head"]
    assert before["lag"] == {"events": 0, "seconds": 0.0}
    first, second = await happened(client), await happened(client)
    behind = await shown(client)
    assert (behind["position"], behind["head"]) == (before["position"], second)
    assert behind["lag"]["events"] == 2
    assert 0 <= behind["lag"]["seconds"] < 10
    async with service.client("integrator") as reader:
        delivery = await fetch(reader)
    [progress] = (await shown(client))["progress"]
    assert progress == {
        "partition": 0, "position": before["position"],
        "owner": key_id(service.tokens[service.ours, "integrator"]),
        "leasedUntil": delivery["leasedUntil"],
    }  # fmt: skip
    left = datetime.fromisoformat(delivery["leasedUntil"]) - datetime.now(UTC)
    assert timedelta(seconds=25) < left <= timedelta(seconds=31)
    await ack(client, delivery, first)
    now = await shown(client)
    assert (now["position"], now["lag"]["events"]) == (first, 1)
    await end_leases(sql)
    [progress] = (await shown(client))["progress"]
    assert (progress["owner"], progress["leasedUntil"]) == (None, None)


async def test_the_lag_is_of_what_it_wants_alone(client: AsyncClient) -> None:
    table, other = await create(client), await create(client)
    await put(client, start="0", types=[RENAMED], tableId=table["id"])
    assert (await shown(client))["lag"] == {"events": 0, "seconds": 0.0}
    await happened(client, other)
    await happened(client, table)
    assert (await shown(client))["lag"]["events"] == 1


async def test_each_partition_lags_by_its_own(client: AsyncClient) -> None:
    await put(client, partitions=4)
    for number in range(12):
        await happened(client, name=f"T {number}")
    delivery = await fetch(client)
    await ack(client, delivery)
    now = await shown(client)
    assert now["lag"]["events"] == 12 - len(delivery["events"])
    assert int(now["position"]) == min(int(each["position"]) for each in now["progress"])
    assert now["progress"][delivery["partition"]]["position"] == now["head"]


# Set to another place


async def test_it_goes_on_from_a_position(client: AsyncClient) -> None:
    await put(client)
    first, second = await happened(client), await happened(client)
    assert await drained(client) == [first, second]
    answer = await client.post(f"{COPY}/seek", json={"position": first})
    assert answer.status_code == 200
    assert (answer.json()["position"], answer.json()["lag"]["events"]) == (first, 1)
    assert await drained(client) == [second]
    assert (await client.post(f"{COPY}/seek", json={"position": "0"})).status_code == 200
    assert (await drained(client))[-2:] == [first, second]
    await client.post(f"{COPY}/seek", json={"position": "0"})
    answer = await client.post(f"{COPY}/seek", json={"position": "head"})
    assert (answer.json()["position"], answer.json()["lag"]["events"]) == (second, 0)
    assert is_empty(await fetch(client))


async def test_it_goes_on_at_a_time(client: AsyncClient) -> None:
    await put(client)
    first = await happened(client)
    await asyncio.sleep(0.01)
    between = datetime.now(UTC)
    await asyncio.sleep(0.01)
    second = await happened(client)
    await drained(client)
    all_of_it = [event["position"] for event in (await client.get("/api/events")).json()]
    times = {
        between.isoformat(): [second],
        between.astimezone().isoformat().replace("+00:00", "Z"): [second],
        (between - timedelta(days=1)).isoformat(): all_of_it,
        "1970-01-01T00:00:00Z": all_of_it,
        "0001-01-01T00:00:00+14:00": all_of_it,
        (between + timedelta(days=1)).isoformat(): [],
        "9999-12-31T23:59:59-23:59": [],
    }
    for time, expected in times.items():
        answer = await client.post(f"{COPY}/seek", json={"time": time})
        assert answer.status_code == 200, (time, answer.text)
        assert await drained(client) == expected, time
    assert all_of_it[-2:] == [first, second]


async def test_no_other_place_is_taken(service: Service, client: AsyncClient) -> None:
    await put(client)
    at = (await shown(client))["position"]
    now = datetime.now(UTC).isoformat()
    for wrong, pointer in (
        ({}, ""),
        ({"position": None}, ""),
        ({"position": "0", "time": now}, ""),
        ({"position": 0}, "/position"),
        ({"position": "-1"}, "/position"),
        ({"position": "1" * 19}, "/position"),
        ({"time": "soon"}, "/time"),
        ({"time": "2026-01-01T00:00:00"}, "/time"),
        ({"time": 1}, "/time"),
        ({"position": "0", "partition": 0}, "/partition"),
    ):
        answer = await client.post(f"{COPY}/seek", json=wrong)
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert error["pointer"] == pointer, wrong
    beyond = {"position": str(await service.head() + 1)}
    assert_problem(await client.post(f"{COPY}/seek", json=beyond), 409, "feed-rewound")
    assert (await shown(client))["position"] == at


async def test_wherever_it_goes_leases_end_and_what_is_parked_is_forgotten(
    client: AsyncClient,
) -> None:
    await put(client, maxAttempts=1)
    await parked(client)
    await happened(client)
    delivery = await fetch(client)
    assert (await shown(client))["parked"] == 1
    sought = (await client.post(f"{COPY}/seek", json={"position": "head"})).json()
    assert (sought["parked"], sought["retrying"]) == (0, 0)
    assert (sought["progress"][0]["owner"], sought["lag"]["events"]) == (None, 0)
    assert_problem(await ack(client, delivery), 409, "lease-lost")
    assert_problem(await nack(client, delivery), 409, "lease-lost")
    assert (await client.get(f"{COPY}/parked")).json()["items"] == []


# Shared among another number of readers


async def test_another_number_of_partitions_ends_leases_and_loses_nothing(
    client: AsyncClient,
) -> None:
    await put(client, partitions=4)
    wanted = [await happened(client, name=f"T {number}") for number in range(12)]
    one, other = await fetch(client), await fetch(client, limit=1)
    assert one["partition"] != other["partition"]
    assert (await ack(client, one)).status_code == 204
    changed = await put(client, partitions=3)
    assert [each["partition"] for each in changed["progress"]] == [0, 1, 2]
    assert {each["owner"] for each in changed["progress"]} == {None}
    assert_problem(await ack(client, other), 409, "lease-lost")
    found = await drained(client)
    assert sorted(map(int, found)) == sorted(map(int, wanted)), "from where the last one was"
    assert (await shown(client))["lag"]["events"] == 0


async def test_the_same_number_of_partitions_lets_leases_be(client: AsyncClient) -> None:
    await put(client, partitions=2)
    await create(client)
    delivery = await fetch(client)
    await put(client, partitions=2, maxAttempts=3)
    assert (await ack(client, delivery)).status_code == 204


# Forgotten


async def test_a_consumer_is_forgotten(client: AsyncClient) -> None:
    await put(client, maxAttempts=1)
    await parked(client)
    answer = await client.delete(COPY)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, address, body in EVERYWHERE:
        answer = await client.request(method, COPY + address, json=body)
        assert_problem(answer, 404, "not-found")
    assert (await client.get(LIST)).json()["items"] == []
    again = await client.put(COPY, json={"start": "head"})
    assert (again.status_code, again.json()["parked"]) == (201, 0)


# Whose it is

SAID = {"lease": "5d0f6a0c-4d12-4e06-9f30-2b1f6a0c4d12", "position": "1"}
EVERYWHERE: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("DELETE", "", None),
    ("POST", "/fetch", {}),
    ("POST", "/fetch", {"wait": 1}),
    ("POST", "/ack", SAID),
    ("POST", "/nack", SAID),
    ("POST", "/seek", {"position": "0"}),
    ("GET", "/parked", None),
    ("POST", "/parked/replay", None),
    ("POST", f"/parked/{SAID['lease']}/replay", None),
    ("POST", f"/parked/{SAID['lease']}/drop", None),
]


async def test_another_company_s_consumer_is_as_one_that_never_was(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    await put(client, maxAttempts=1)
    table, _ = await parked(client)
    await create(client)
    delivery = await fetch(client)
    before = await shown(client)
    for method, address, body in EVERYWHERE:
        assert_problem(await stranger.request(method, COPY + address, json=body), 404, "not-found")
    assert (await stranger.get(LIST)).json()["items"] == []
    theirs = await put(stranger)
    for action in ("ack", "nack"):
        said = {"lease": delivery["lease"], "position": delivery["position"]}
        answer = await stranger.post(f"{COPY}/{action}", json=said)
        assert_problem(answer, 409, "lease-lost")
    for action in ("replay", "drop"):
        answer = await stranger.post(f"{COPY}/parked/{table['id']}/{action}")
        assert_problem(answer, 404, "not-found")
    assert (await stranger.post(f"{COPY}/parked/replay")).status_code == 204
    assert (await stranger.delete(COPY)).status_code == 204
    now = await shown(client)
    assert now == before | {"lag": now["lag"]}
    assert theirs["createdBy"] != now["createdBy"]
    assert (await ack(client, delivery)).status_code == 204


@pytest.mark.parametrize("role", ["viewer", "editor", "auditor"])
async def test_whoever_may_not_is_told_what_is_missing(
    service: Service, client: AsyncClient, role: str
) -> None:
    await put(client)
    async with service.client(role) as caller, service.with_token(None) as nobody:
        for method, address, body in (*EVERYWHERE, ("PUT", "", {})):
            answer = await caller.request(method, COPY + address, json=body)
            problem = assert_problem(answer, 403, "forbidden")
            assert problem["missingScope"] == "consumers:write"
            answer = await nobody.request(method, COPY + address, json=body)
            assert_problem(answer, 401, "unauthenticated")
        assert_problem(await caller.get(LIST), 403, "forbidden")


# How many


async def test_the_hundred_and_first_is_too_many(client: AsyncClient) -> None:
    for number in range(100):
        await put(client, f"{LIST}/n{number}")
    assert_problem(await client.put(COPY, json={}), 409, "limit-reached")
    assert_problem(await client.get(COPY), 404, "not-found")
    assert (await client.put(f"{LIST}/n7", json={"partitions": 2})).status_code == 200
    assert len((await client.get(LIST)).json()["items"]) == 100
    await client.delete(f"{LIST}/n7")
    assert (await client.put(COPY, json={})).status_code == 201
