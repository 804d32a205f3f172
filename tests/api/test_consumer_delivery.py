"""Reading as a consumer over HTTP: what is handed out, acknowledged, refused, and waited for."""

import asyncio
import time
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from tests.api.conftest import Service, calling, serving
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
    positions,
    put,
    refused,
    shown,
)
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio
T = TypeVar("T")


# Handed out


async def test_nothing_is_handed_out_when_there_is_nothing(client: AsyncClient) -> None:
    await put(client)
    assert is_empty(await fetch(client))


async def test_events_are_handed_out_as_the_feed_has_them(client: AsyncClient) -> None:
    await put(client, start="0", leaseSeconds=7)
    table = await create(client, settings={"a": 1})
    await client.patch(path(table), json={"name": "B"}, headers={"Reason": "Because"})
    feed = (await client.get("/api/events")).json()
    delivery = await fetch(client)
    assert delivery["events"] == feed
    assert (delivery["partition"], delivery["position"]) == (0, feed[-1]["position"])
    assert is_empty(await fetch(client)), "one reader at a time"


async def test_a_body_is_not_needed(client: AsyncClient) -> None:
    await put(client)
    position = await happened(client)
    answer = await client.post(f"{COPY}/fetch")
    assert positions(answer.json()) == [position]


async def test_no_more_are_handed_out_than_wanted(client: AsyncClient) -> None:
    await put(client)
    wanted = [await happened(client) for _ in range(5)]
    found = []
    for limit in (1, 2, 1000):
        delivery = await fetch(client, limit=limit)
        found.append(positions(delivery))
        assert delivery["position"] == found[-1][-1]
        await ack(client, delivery)
    assert found == [wanted[:1], wanted[1:3], wanted[3:]]


async def test_only_what_it_wants_is_handed_out(client: AsyncClient) -> None:
    table, other = await create(client), await create(client)
    await put(client, types=[f"{PUBLIC}renamed.v1"], tableId=table["id"])
    await happened(client, other, "A")
    wanted = await happened(client, table, "A")
    last = await happened(client, other, "B")
    delivery = await fetch(client)
    assert positions(delivery) == [wanted]
    assert delivery["position"] == last, "up to where there is nothing else"
    await ack(client, delivery, wanted)
    assert (await shown(client))["position"] == last
    await happened(client, other, "C")
    assert is_empty(await fetch(client))
    now = await shown(client)
    assert now["position"] == now["head"], "what it does not want is passed over for good"


async def test_what_it_wants_is_found_however_much_else_there_is(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one answer, however little one transaction looks at."""
    monkeypatch.setattr("application.consumers.handout.SCAN", 2)
    monkeypatch.setattr("application.consumers.handout.SCANS", 2)
    table = await create(client)
    await put(client, types=[f"{PUBLIC}deleted.v1"], partitions=3)
    for number in range(20):
        await happened(client, table, f"N {number}")
    deleted = await client.delete(path(table))
    assert positions(await fetch(client)) == [deleted.headers["event-position"]]


async def test_each_reader_has_a_partition(client: AsyncClient) -> None:
    await put(client, partitions=4)
    wanted = [await happened(client, name=f"T {number}") for number in range(24)]
    deliveries = [await fetch(client) for _ in range(5)]
    busy = [delivery for delivery in deliveries if delivery["lease"]]
    assert len({delivery["partition"] for delivery in busy}) == len(busy)
    assert sorted(map(int, (p for d in busy for p in positions(d)))) == list(map(int, wanted))
    assert is_empty(deliveries[-1])
    for delivery in busy:
        remainders = {int(event["tableId"][-2:], 16) % 4 for event in delivery["events"]}
        assert remainders == {delivery["partition"]}


async def test_nothing_is_handed_out_on_terms_that_are_changed_just_now(
    client: AsyncClient, sql: AsyncConnection
) -> None:
    """Somebody would be given a share of partitions that are no more, and pass over the rest."""
    await put(client)
    position = await happened(client)
    async with sql.transaction():
        await sql.execute("SELECT FROM consumers.consumers FOR UPDATE")
        fetching = asyncio.create_task(fetch(client))
        await asyncio.sleep(0.1)
        assert not fetching.done()
    assert positions(await fetching) == [position]


async def test_what_is_no_wish(client: AsyncClient) -> None:
    await put(client)
    wrong: list[tuple[Json, dict[str, str]]] = [
        ({"limit": 0, "wait": -1}, {"/limit": "out-of-range", "/wait": "out-of-range"}),
        ({"limit": 1001, "wait": 31}, {"/limit": "out-of-range", "/wait": "out-of-range"}),
        ({"limit": "1", "wait": 0.5}, {"/limit": "type", "/wait": "type"}),
        ({"limit": None, "after": "0"}, {"/limit": "type", "/after": "unknown-field"}),
    ]
    for wish, expected in wrong:
        answer = await client.post(f"{COPY}/fetch", json=wish)
        errors = assert_problem(answer, 422, "validation")["errors"]
        assert {error["pointer"]: error["code"] for error in errors} == expected


async def test_nobody_acts_who_only_wants_to_rehearse(client: AsyncClient) -> None:
    """There is nothing to show of it, so it is refused, and not done for real."""
    await put(client)
    await create(client)
    delivery = await fetch(client)
    said = {"lease": delivery["lease"], "position": delivery["position"]}
    for action, body in (("fetch", {}), ("ack", said), ("nack", said)):
        answer = await client.post(f"{COPY}/{action}", params={"dryRun": "true"}, json=body)
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert (error["pointer"], error["in"]) == ("/dryRun", "query")
    assert (await shown(client))["lag"]["events"] == 1
    assert (await ack(client, delivery)).status_code == 204


# Acknowledged


async def test_what_is_acknowledged_does_not_come_again(client: AsyncClient) -> None:
    await put(client)
    first, second = await happened(client), await happened(client)
    delivery = await fetch(client)
    assert positions(delivery) == [first, second]
    answer = await ack(client, delivery)
    assert (answer.status_code, answer.content) == (204, b"")
    assert is_empty(await fetch(client))
    assert (await shown(client))["progress"][0]["owner"] is None, "the lease is over"


async def test_an_acknowledgement_can_be_sent_again(client: AsyncClient) -> None:
    await put(client)
    first, second = await happened(client), await happened(client)
    delivery = await fetch(client)
    for position in (first, first, second, second, first):
        assert (await ack(client, delivery, position)).status_code == 204
    assert (await shown(client))["position"] == second, "it never moves back"
    third = await happened(client)
    assert_problem(await ack(client, delivery, third), 409, "lease-lost")


async def test_a_part_may_be_acknowledged_and_begins_the_lease_anew(
    client: AsyncClient, sql: AsyncConnection
) -> None:
    await put(client, leaseSeconds=30)
    first, second = await happened(client), await happened(client)
    delivery = await fetch(client)
    await asyncio.sleep(0.01)
    assert (await ack(client, delivery, first)).status_code == 204
    [progress] = (await shown(client))["progress"]
    assert progress["position"] == first
    assert progress["leasedUntil"] > delivery["leasedUntil"]
    await end_leases(sql)
    assert positions(await fetch(client)) == [second]


async def test_a_stale_lease_moves_nothing(client: AsyncClient, sql: AsyncConnection) -> None:
    await put(client)
    position = await happened(client)
    stale = await fetch(client)
    await end_leases(sql)
    for answer in (await ack(client, stale), await nack(client, stale)):
        assert_problem(answer, 409, "lease-lost")
    present = await fetch(client)
    assert positions(present) == positions(stale)
    for answer in (await ack(client, stale), await nack(client, stale)):
        assert_problem(answer, 409, "lease-lost")
    now = await shown(client)
    assert (int(now["position"]) < int(position), now["retrying"]) == (True, 0)
    assert (await ack(client, present)).status_code == 204


async def test_a_lease_ends_when_it_said_it_would(client: AsyncClient) -> None:
    await put(client, leaseSeconds=1)
    await create(client)
    began = time.time()
    delivery = await fetch(client)
    until = datetime.fromisoformat(delivery["leasedUntil"]).timestamp()
    assert 1 <= until - began < 1 + time.time() - began
    await asyncio.sleep(until - time.time() - 0.1)
    assert is_empty(await fetch(client)) or time.time() > until
    await asyncio.sleep(max(0, until + 0.01 - time.time()))
    again = await fetch(client)
    assert positions(again) == positions(delivery)
    assert_problem(await ack(client, delivery), 409, "lease-lost")


async def test_what_was_not_handed_out_is_not_acknowledged(client: AsyncClient) -> None:
    await put(client)
    await create(client)
    delivery = await fetch(client)
    later = await happened(client)
    for action in ("ack", "nack"):
        for beyond in (later, "9" * 18):
            said = {"lease": delivery["lease"], "position": beyond}
            answer = await client.post(f"{COPY}/{action}", json=said)
            [error] = assert_problem(answer, 422, "validation")["errors"]
            assert (error["pointer"], error["code"]) == ("/position", "not-delivered")
    assert (await ack(client, delivery, "0")).status_code == 204, "it moves nothing"
    assert (await shown(client))["lag"]["events"] == 2
    assert (await ack(client, delivery)).status_code == 204


async def test_nobody_has_a_lease_that_was_never_given(client: AsyncClient) -> None:
    await put(client)
    position = await happened(client)
    for lease in (uuid4(), await fetch(client) and uuid4()):
        for action in ("ack", "nack"):
            said = {"lease": str(lease), "position": position}
            answer = await client.post(f"{COPY}/{action}", json=said)
            assert_problem(answer, 409, "lease-lost")


async def test_a_lease_is_of_its_own_consumer_alone(client: AsyncClient) -> None:
    await put(client)
    await put(client, "/api/consumers/other")
    await create(client)
    delivery = await fetch(client)
    theirs = (await client.post("/api/consumers/other/fetch")).json()
    assert theirs["events"] == delivery["events"]
    for action in ("ack", "nack"):
        said = {"lease": theirs["lease"], "position": theirs["position"]}
        answer = await client.post(f"{COPY}/{action}", json=said)
        assert_problem(answer, 409, "lease-lost")
    assert (await ack(client, delivery)).status_code == 204


async def test_what_cannot_be_said(client: AsyncClient) -> None:
    await put(client)
    lease = str(uuid4())
    wrong: list[tuple[str, Json, dict[str, str]]] = [
        ("ack", {}, {"/lease": "required", "/position": "required"}),
        ("ack", {"lease": "x", "position": "x", "error": "x"},
         {"/lease": "invalid-uuid", "/position": "invalid-position", "/error": "unknown-field"}),
        ("ack", {"lease": None, "position": 1},
         {"/lease": "invalid-uuid", "/position": "invalid-position"}),
        ("ack", {"lease": lease, "position": "-1"}, {"/position": "invalid-position"}),
        ("ack", {"lease": lease, "position": "1" * 19}, {"/position": "invalid-position"}),
        ("ack", {"lease": lease, "position": "head"}, {"/position": "invalid-position"}),
        ("nack", {"retryAfterSeconds": -1, "error": "x" * 1001},
         {"/lease": "required", "/position": "required", "/retryAfterSeconds": "out-of-range",
          "/error": "too-long"}),
        ("nack", {"lease": lease, "position": "1", "retryAfterSeconds": 86_401, "error": 7},
         {"/retryAfterSeconds": "out-of-range", "/error": "type"}),
        ("nack", {"lease": lease, "position": "1", "retryAfterSeconds": "1", "error": "a\x1bb"},
         {"/retryAfterSeconds": "type", "/error": "invalid-text"}),
        ("nack", {"lease": lease, "position": "1", "retryAfterSeconds": True},
         {"/retryAfterSeconds": "type"}),
    ]  # fmt: skip
    for action, said, expected in wrong:
        answer = await client.post(f"{COPY}/{action}", json=said)
        errors = assert_problem(answer, 422, "validation")["errors"]
        assert {error["pointer"]: error["code"] for error in errors} == expected, said


# Refused


async def test_a_refused_event_holds_back_its_table_alone(client: AsyncClient) -> None:
    table, other = await create(client), await create(client)
    await put(client)
    one, two = await happened(client, table, "A"), await happened(client, other, "A")
    delivery = await fetch(client)
    assert await refused(client, delivery, 0, retryAfterSeconds=3600) == {
        "attempts": 1, "parked": False,
    }  # fmt: skip
    later = await happened(client, table, "B")
    assert await drained(client) == [two]
    now = await shown(client)
    assert (now["retrying"], now["parked"], now["lag"]["events"]) == (1, 0, 0)
    assert (await client.post(f"{COPY}/parked/replay")).status_code == 204
    assert await drained(client) == [one, later]
    assert (await shown(client))["retrying"] == 0


@pytest.mark.parametrize("between", [True, False])
async def test_an_event_that_is_refused_again_and_again_is_parked(
    client: AsyncClient, between: bool
) -> None:
    """Whether or not anything else is read in between."""
    table = await create(client)
    await put(client, maxAttempts=3)
    position = await happened(client, table, "A")
    for attempt in (1, 2, 3):
        delivery = await fetch(client)
        assert positions(delivery) == [position]
        became = await refused(client, delivery, retryAfterSeconds=0.05)
        assert became == {"attempts": attempt, "parked": attempt == 3}
        if between:
            assert is_empty(await fetch(client))
        await asyncio.sleep(0.06)
    assert is_empty(await fetch(client))
    assert (await shown(client))["parked"] == 1


async def test_a_table_that_is_tried_again_comes_before_what_is_new(client: AsyncClient) -> None:
    table, other = await create(client), await create(client)
    await put(client)
    one = await happened(client, table, "A")
    await refused(client, await fetch(client), retryAfterSeconds=0)
    two = await happened(client, other, "A")
    assert set(await drained(client)) == {one, two}


async def test_another_event_of_the_table_begins_anew(client: AsyncClient) -> None:
    table = await create(client)
    await put(client, maxAttempts=2)
    one, two = await happened(client, table, "A"), await happened(client, table, "B")
    await refused(client, await fetch(client), 0, retryAfterSeconds=0)
    delivery = await fetch(client)
    assert positions(delivery) == [one, two]
    await ack(client, delivery, one)
    became = await refused(client, delivery, 1, retryAfterSeconds=0)
    assert became == {"attempts": 1, "parked": False}
    delivery = await fetch(client)
    assert positions(delivery) == [two]
    assert (await refused(client, delivery, 0))["parked"]


async def test_without_a_wish_patience_doubles_with_each_attempt(
    client: AsyncClient, sql: AsyncConnection
) -> None:
    await put(client)
    await create(client)
    for seconds in (1, 2, 4, 8):
        await refused(client, await fetch(client))
        [item] = (await client.get(f"{COPY}/parked")).json()["items"]
        wait = datetime.fromisoformat(item["retryAt"]) - datetime.fromisoformat(item["since"])
        assert abs(wait - timedelta(seconds=seconds)) < timedelta(milliseconds=100)
        assert is_empty(await fetch(client))
        await sql.execute("UPDATE consumers.held SET retry_at = now()")


async def test_refusing_ends_the_lease(client: AsyncClient) -> None:
    table, other = await create(client), await create(client)
    await put(client)
    await happened(client, table, "A")
    two = await happened(client, other, "A")
    delivery = await fetch(client)
    await refused(client, delivery, 0, retryAfterSeconds=60)
    for answer in (await ack(client, delivery), await nack(client, delivery)):
        assert_problem(answer, 409, "lease-lost")
    assert await drained(client) == [two]


async def test_what_was_refused_is_not_acknowledged_with_the_same_lease(
    client: AsyncClient,
) -> None:
    """Also when it was refused before, and the partition is beyond it."""
    await put(client)
    position = await happened(client)
    await refused(client, await fetch(client), retryAfterSeconds=0)
    again = await fetch(client)
    await refused(client, again, retryAfterSeconds=0)
    assert_problem(await ack(client, again), 409, "lease-lost")
    assert positions(await fetch(client)) == [position]


async def test_what_is_dealt_with_is_not_refused(client: AsyncClient) -> None:
    await put(client)
    first = await happened(client)
    await create(client)
    delivery = await fetch(client)
    await ack(client, delivery, first)
    answer = await nack(client, delivery, 0)
    [error] = assert_problem(answer, 422, "validation")["errors"]
    assert (error["pointer"], error["code"]) == ("/position", "not-delivered")
    await ack(client, delivery)
    assert_problem(await nack(client, delivery, 1), 409, "lease-lost")


async def test_what_is_not_wanted_any_more_is_not_tried_again(client: AsyncClient) -> None:
    table, other = await create(client), await create(client)
    for terms in ({"tableId": other["id"]}, {"types": [f"{PUBLIC}deleted.v1"]}):
        await put(client)
        await happened(client, table, str(terms))
        await refused(client, await fetch(client), retryAfterSeconds=0)
        assert (await client.put(COPY, json=terms)).status_code == 200
        assert await drained(client) == []
        assert (await shown(client))["retrying"] == 0


# Waited for


async def timed(waiting: Awaitable[T]) -> tuple[T, float]:
    """What came, and the moment when it did."""
    found = await waiting
    return found, time.monotonic()


def waiting(client: AsyncClient, **wish: Any) -> "asyncio.Task[tuple[Json, float]]":
    return asyncio.create_task(timed(fetch(client, **{"wait": 20} | wish)))


async def test_who_waits_is_woken_by_an_event(client: AsyncClient) -> None:
    await put(client)
    took = []
    for number in range(3):
        woken = waiting(client)
        await asyncio.sleep(0.1)
        assert not woken.done()
        position = await happened(client, name=f"T {number}")
        began = time.monotonic()
        delivery, ended = await asyncio.wait_for(woken, 5)
        took.append(ended - began)
        assert positions(delivery) == [position]
        await ack(client, delivery)
    assert min(took) < 0.3, took


async def test_nobody_is_woken_by_what_they_do_not_want(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    table = await create(client)
    await put(client, types=[f"{PUBLIC}deleted.v1"])
    woken = waiting(client)
    await create(stranger)
    await happened(client, table, "A")
    await asyncio.sleep(0.1)
    assert not woken.done()
    deleted = await client.delete(path(table))
    delivery, _ = await asyncio.wait_for(woken, 5)
    assert positions(delivery) == [deleted.headers["event-position"]]


async def test_who_waits_in_vain_gets_nothing_in_time(client: AsyncClient) -> None:
    await put(client)
    began = time.monotonic()
    delivery, ended = await waiting(client, wait=1)
    assert is_empty(delivery)
    assert 1 <= ended - began < 1.5


async def test_who_waits_is_woken_by_a_lease_that_ends(client: AsyncClient) -> None:
    await put(client, leaseSeconds=1)
    position = await happened(client)
    began = time.monotonic()
    await fetch(client)
    delivery, ended = await asyncio.wait_for(waiting(client), 5)
    assert positions(delivery) == [position]
    assert 1 <= ended - began < 2.5


async def test_who_waits_is_woken_by_a_retry_that_is_due(client: AsyncClient) -> None:
    await put(client)
    position = await happened(client)
    delivery = await fetch(client)
    began = time.monotonic()
    await refused(client, delivery, retryAfterSeconds=1)
    delivery, ended = await asyncio.wait_for(waiting(client), 5)
    assert positions(delivery) == [position]
    assert 1 <= ended - began < 2.5


async def test_who_waits_is_woken_by_what_somebody_else_gave_back(client: AsyncClient) -> None:
    await put(client)
    first, second = await happened(client), await happened(client)
    delivery = await fetch(client, limit=1)
    woken = waiting(client)
    await asyncio.sleep(0.05)
    await ack(client, delivery, first)
    rest, _ = await asyncio.wait_for(woken, 3)
    assert positions(rest) == [second]


async def test_one_of_many_who_wait_gets_it(client: AsyncClient) -> None:
    await put(client)
    woken = [waiting(client, wait=2) for _ in range(8)]
    await asyncio.sleep(0.1)
    position = await happened(client)
    deliveries = [delivery for delivery, _ in await asyncio.gather(*woken)]
    assert [positions(each) for each in deliveries if not is_empty(each)] == [[position]]


async def test_who_went_away_while_waiting_gets_no_lease(
    service: Service, client: AsyncClient, port: int
) -> None:
    await put(client)
    headers = {"Authorization": client.headers["authorization"]}
    async with AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as real:
        gone = asyncio.create_task(real.post(f"{COPY}/fetch", json={"wait": 20}))
        await asyncio.sleep(0.2)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    await asyncio.sleep(0.1)
    position = await happened(client)
    await asyncio.sleep(0.1)
    assert positions(await fetch(client)) == [position]


async def test_a_consumer_that_is_forgotten_lets_go_whoever_waits(client: AsyncClient) -> None:
    await put(client)
    woken = asyncio.create_task(client.post(f"{COPY}/fetch", json={"wait": 20}))
    await asyncio.sleep(0.1)
    await client.delete(COPY)
    assert_problem(await asyncio.wait_for(woken, 3), 404, "not-found")


async def test_a_process_that_stops_lets_go_whoever_waits(
    service: Service, client: AsyncClient
) -> None:
    await put(client)
    token = service.tokens[service.ours, "admin"]
    async with serving(service.database) as second, calling(second, token) as caller:
        woken = waiting(caller, wait=30)
        await asyncio.sleep(0.1)
        assert not woken.done()
        began = time.monotonic()
        second.state.services.hub.stop()
        delivery, ended = await asyncio.wait_for(woken, 3)
        assert is_empty(delivery)
        assert ended - began < 0.9
        assert is_empty(await asyncio.wait_for(fetch(caller, wait=30), 1))


async def test_events_of_another_process_wake_too(service: Service, client: AsyncClient) -> None:
    await put(client)
    token = service.tokens[service.ours, "admin"]
    async with serving(service.database) as second, calling(second, token) as caller:
        woken = waiting(caller)
        await asyncio.sleep(0.1)
        position = await happened(client)
        began = time.monotonic()
        delivery, ended = await asyncio.wait_for(woken, 5)
    assert positions(delivery) == [position]
    assert ended - began < 0.9
