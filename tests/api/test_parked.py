"""What waits for a consumer, over HTTP: tables of which an event was refused."""

from datetime import datetime
from uuid import uuid4

import pytest
from httpx import AsyncClient

from tests.api.consumers import (
    COPY,
    PUBLIC,
    Json,
    ack,
    drained,
    fetch,
    happened,
    is_empty,
    nack,
    parked,
    positions,
    put,
    refused,
    shown,
)
from tests.api.test_table_defs import assert_problem, create

pytestmark = pytest.mark.anyio
PARKED = f"{COPY}/parked"


async def listed(client: AsyncClient, **params: str) -> list[Json]:
    answer = await client.get(PARKED, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def wait_for_nothing(client: AsyncClient, count: int) -> list[str]:
    """The ids of so many tables that are parked at once."""
    tables = [await create(client, name=f"T {number}") for number in range(count)]
    await put(client, start="0", maxAttempts=1)
    for _ in tables:
        delivery = await fetch(client)
        ours = [each.get("tableId") in {t["id"] for t in tables} for each in delivery["events"]]
        await refused(client, delivery, ours.index(True))
    await drained(client)
    return sorted(table["id"] for table in tables)


async def test_what_is_parked_is_shown_with_what_was_refused(client: AsyncClient) -> None:
    await put(client, maxAttempts=1)
    assert await listed(client) == []
    table, position = await parked(client, "no such customer\n  at line 7")
    [event] = (await client.get("/api/events", params={"tableId": table["id"]})).json()
    [item] = await listed(client)
    assert item == {
        "id": table["id"], "position": position, "eventId": event["id"],
        "type": f"{PUBLIC}created.v1", "state": "parked", "attempts": 1,
        "error": "no such customer\n  at line 7", "retryAt": None, "since": item["since"],
    }  # fmt: skip
    assert datetime.fromisoformat(item["since"]).tzinfo
    assert (await shown(client))["parked"] == 1


async def test_what_is_tried_again_is_shown_with_the_time(client: AsyncClient) -> None:
    await put(client)
    await create(client)
    await refused(client, await fetch(client), retryAfterSeconds=86_400)
    [item] = await listed(client)
    assert (item["state"], item["attempts"], item["error"]) == ("retrying", 1, None)
    wait = datetime.fromisoformat(item["retryAt"]) - datetime.fromisoformat(item["since"])
    assert wait.total_seconds() == pytest.approx(86_400, abs=0.1)
    assert ((await shown(client))["parked"], (await shown(client))["retrying"]) == (0, 1)
    assert (await client.post(f"{PARKED}/{item['id']}/replay")).status_code == 204
    [item] = await listed(client)
    assert (item["state"], item["attempts"], item["retryAt"]) == ("retrying", 0, item["since"])


async def test_an_error_is_kept_as_it_is_told(client: AsyncClient) -> None:
    await put(client)
    await create(client)
    for error in ("x" * 1000, "é" * 1000, "", None):
        await refused(client, await fetch(client), error=error, retryAfterSeconds=0)
        [item] = await listed(client)
        assert item["error"] == error


async def test_pages_join_to_all_that_waits(client: AsyncClient, stranger: AsyncClient) -> None:
    ids = await wait_for_nothing(client, 5)
    assert [item["id"] for item in await listed(client)] == ids
    found: list[str] = []
    address = f"{PARKED}?limit=2"
    while True:
        page = await client.get(address)
        found += [item["id"] for item in page.json()["items"]]
        if page.json()["nextCursor"] is None:
            assert "link" not in page.headers
            break
        address = page.headers["link"].partition(">")[0].removeprefix("<")
        assert page.json()["nextCursor"] in address
    assert found == ids


async def test_a_cursor_is_of_its_own_list_alone(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    await wait_for_nothing(client, 2)
    cursor = (await client.get(PARKED, params={"limit": 1})).json()["nextCursor"]
    await put(client, "/api/consumers/other")
    await put(stranger)
    for answer in (
        await client.get("/api/consumers/other/parked", params={"cursor": cursor}),
        await stranger.get(PARKED, params={"cursor": cursor}),
        await client.get(PARKED, params={"cursor": "x" + cursor}),
        await client.get("/api/tables", params={"cursor": cursor}),
    ):
        assert_problem(answer, 400, "invalid-cursor")


async def test_what_is_no_page(client: AsyncClient) -> None:
    await put(client)
    for params, pointer in (
        ({"limit": "0"}, "/limit"),
        ({"limit": "201"}, "/limit"),
        ({"limit": "x"}, "/limit"),
        ({"cursor": "x" * 4001}, "/cursor"),
        ({"state": "parked"}, "/state"),
    ):
        answer = await client.get(PARKED, params=params)
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert error["pointer"] == pointer


async def test_what_is_parked_comes_again_once_it_is_wanted(client: AsyncClient) -> None:
    await put(client, maxAttempts=1)
    table, position = await parked(client)
    later = await happened(client, table, "A")
    assert await drained(client) == []
    other = await happened(client)
    assert await drained(client) == [other]
    answer = await client.post(f"{PARKED}/{table['id']}/replay")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await drained(client) == [position, later]
    assert await listed(client) == []
    assert_problem(await client.post(f"{PARKED}/{table['id']}/replay"), 404, "not-found")


async def test_all_that_is_parked_comes_again_in_order(client: AsyncClient) -> None:
    ids = await wait_for_nothing(client, 3)
    assert (await client.post(f"{PARKED}/replay")).status_code == 204
    found = []
    while not is_empty(delivery := await fetch(client)):
        found.append({event["tableId"] for event in delivery["events"]})
        await ack(client, delivery)
    assert sorted(id for [id] in found) == ids
    assert (await client.post(f"{PARKED}/replay")).status_code == 204, "nothing waits any more"


async def test_what_is_parked_for_another_consumer_stays_so(client: AsyncClient) -> None:
    other = "/api/consumers/other"
    await put(client, maxAttempts=2)
    await put(client, other, maxAttempts=1)
    table = await create(client)
    theirs = (await client.post(f"{other}/fetch")).json()
    said = {"lease": theirs["lease"], "position": theirs["position"]}
    assert (await client.post(f"{other}/nack", json=said)).json()["parked"]
    assert await listed(client) == []
    for attempt in (1, 2):
        became = await refused(client, await fetch(client), retryAfterSeconds=0)
        assert became["attempts"] == attempt
    assert (await client.post(f"{PARKED}/replay")).status_code == 204
    assert (await client.get(f"{other}/parked")).json()["items"][0]["state"] == "parked"
    [item] = await listed(client)
    assert (item["id"], item["state"]) == (table["id"], "retrying")
    became = await refused(client, await fetch(client), retryAfterSeconds=0)
    assert became == {"attempts": 1, "parked": False}, "it begins anew"


async def test_a_part_of_what_waited_can_be_refused_again(client: AsyncClient) -> None:
    await put(client, maxAttempts=1)
    table, position = await parked(client)
    later = await happened(client, table, "A")
    await drained(client)
    await client.post(f"{PARKED}/replay")
    delivery = await fetch(client)
    assert positions(delivery) == [position, later]
    await ack(client, delivery, position)
    assert (await refused(client, delivery, 1))["parked"]
    [item] = await listed(client)
    assert item["position"] == later


async def test_what_was_refused_and_is_dealt_with_now_is_not_counted_any_more(
    client: AsyncClient,
) -> None:
    await put(client)
    table = await create(client)
    one = await happened(client, table, "A")
    await refused(client, await fetch(client), retryAfterSeconds=0)
    delivery = await fetch(client)
    await ack(client, delivery, delivery["events"][0]["position"])
    [item] = await listed(client)
    assert (item["attempts"], positions(delivery)[-1]) == (0, one)


async def test_what_is_dropped_never_comes_and_the_next_does(client: AsyncClient) -> None:
    await put(client, maxAttempts=1)
    table, _ = await parked(client)
    await happened(client, table, "A")
    await drained(client)
    answer = await client.post(f"{PARKED}/{table['id']}/drop")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await drained(client) == []
    later = await happened(client, table, "B")
    assert await drained(client) == [later]
    assert_problem(await client.post(f"{PARKED}/{table['id']}/drop"), 404, "not-found")


async def test_dropping_ends_the_lease_of_whoever_tries_it_just_now(client: AsyncClient) -> None:
    await put(client, maxAttempts=1)
    table, _ = await parked(client)
    await client.post(f"{PARKED}/replay")
    delivery = await fetch(client)
    assert {event["tableId"] for event in delivery["events"]} == {table["id"]}
    await client.post(f"{PARKED}/{table['id']}/drop")
    for answer in (await ack(client, delivery), await nack(client, delivery)):
        assert_problem(answer, 409, "lease-lost")
    assert await listed(client) == []


async def test_dropping_lets_other_leases_be(client: AsyncClient) -> None:
    await put(client, maxAttempts=1)
    table, _ = await parked(client)
    await happened(client)
    delivery = await fetch(client)
    await client.post(f"{PARKED}/{table['id']}/drop")
    assert (await ack(client, delivery)).status_code == 204


async def test_what_waits_for_nobody_is_not_found(client: AsyncClient) -> None:
    await put(client, maxAttempts=1)
    await parked(client)
    for id in (str(uuid4()), (await create(client))["id"]):
        for action in ("replay", "drop"):
            answer = await client.post(f"{PARKED}/{id}/{action}")
            assert_problem(answer, 404, "not-found")
    for id in ("x", "%00", "1"):
        answer = await client.post(f"{PARKED}/{id}/drop")
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert (error["pointer"], error["code"]) == ("/id", "invalid-uuid")
