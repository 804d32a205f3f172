"""Writes to consumers: each is done once for its idempotency key, and can be rehearsed."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient

from tests.api.conftest import Service
from tests.api.consumers import COPY, drained, fetch, happened, is_empty, parked, put, shown
from tests.api.test_idempotency import assert_replayed, key
from tests.api.test_table_defs import assert_problem

pytestmark = pytest.mark.anyio
DRY = {"dryRun": "true"}
TERMS: dict[str, Any] = {"partitions": 2, "start": "head"}


async def writes(client: AsyncClient) -> list[tuple[str, str, Any]]:
    """Every write to a consumer, for which a table is parked; the last one forgets it."""
    await put(client, maxAttempts=1)
    table, _ = await parked(client)
    return [
        ("PUT", COPY, {"maxAttempts": 1, "leaseSeconds": 5}),
        ("PUT", "/api/consumers/new", TERMS),
        ("POST", f"{COPY}/parked/{table['id']}/replay", None),
        ("POST", f"{COPY}/parked/replay", None),
        ("POST", f"{COPY}/parked/{table['id']}/drop", None),
        ("POST", f"{COPY}/seek", {"position": "0"}),
        ("DELETE", COPY, None),
    ]


async def test_every_write_is_carried_out_once_and_says_so_again(client: AsyncClient) -> None:
    for method, address, body in await writes(client):
        headers = key(f"{method} {address}".replace(" ", ""))
        first = await client.request(method, address, json=body, headers=headers)
        assert first.status_code < 300, first.text
        again = await client.request(method, address, json=body, headers=headers)
        assert again.headers.get("idempotency-replayed") == "true", address
        assert "idempotency-replayed" not in first.headers
        assert again.status_code == first.status_code, address
        assert again.headers.get("location") == first.headers.get("location")


async def test_every_write_can_be_rehearsed(service: Service, client: AsyncClient) -> None:
    wishes = await writes(client)
    before, was = await service.kept(), await shown(client)
    for method, address, body in wishes:
        answer = await client.request(method, address, params=DRY, json=body, headers=key())
        rehearsed = answer.json()
        assert answer.status_code == 200, answer.text
        assert (rehearsed["dryRun"], rehearsed["events"]) == (True, [])
        assert rehearsed["consumer"].keys() == was.keys()
        assert "location" not in answer.headers
        assert await service.kept() == before, address
    assert await shown(client) == was


async def test_a_rehearsal_shows_what_would_be(client: AsyncClient) -> None:
    made = await client.put(COPY, json=TERMS, params=DRY)
    assert (made.json()["consumer"]["name"], made.json()["consumer"]["partitions"]) == ("copy", 2)
    assert_problem(await client.get(COPY), 404, "not-found")
    await put(client, **TERMS)
    changed = await client.put(COPY, json={"partitions": 3}, params=DRY)
    assert len(changed.json()["consumer"]["progress"]) == 3
    sought = await client.post(f"{COPY}/seek", json={"position": "0"}, params=DRY)
    assert sought.json()["consumer"]["position"] == "0"
    now = await shown(client)
    assert (len(now["progress"]), now["position"]) == (2, now["head"])


async def test_a_rehearsal_is_refused_like_the_real_write(
    service: Service, client: AsyncClient
) -> None:
    beyond = str(await service.head() + 1000)
    for method, address, body, status, code in (
        ("PUT", COPY, {"start": beyond}, 409, "feed-rewound"),
        ("PUT", COPY, {"partitions": 0}, 422, "validation"),
        ("POST", f"{COPY}/seek", {"position": "0"}, 404, "not-found"),
        ("DELETE", COPY, None, 404, "not-found"),
        ("POST", f"{COPY}/parked/replay", None, 404, "not-found"),
    ):
        answer = await client.request(method, address, json=body, params=DRY)
        assert_problem(answer, status, code)


async def test_what_a_repeated_request_made_is_shown_as_it_is_now(client: AsyncClient) -> None:
    first = await client.put(COPY, json=TERMS, headers=key())
    again = await client.put(COPY, json=TERMS, headers=key())
    assert first.status_code == 201
    assert_replayed(again, first)
    other = TERMS | {"partitions": 3}
    assert (await client.put(COPY, json=other)).json()["partitions"] == 3
    late = await client.put(COPY, json=TERMS, headers=key())
    assert (late.status_code, late.headers["idempotency-replayed"]) == (201, "true")
    assert late.json()["partitions"] == 3, "a retry changes nothing back"
    assert (await shown(client))["partitions"] == 3


async def test_a_repeated_change_is_no_creation(client: AsyncClient) -> None:
    await put(client)
    first = await client.put(COPY, json=TERMS, headers=key())
    again = await client.put(COPY, json=TERMS, headers=key())
    assert (first.status_code, again.status_code) == (200, 200)
    assert "location" not in again.headers


async def test_a_repeated_creation_does_not_bring_back_what_was_forgotten(
    client: AsyncClient,
) -> None:
    await client.put(COPY, json=TERMS, headers=key())
    await client.delete(COPY)
    assert_problem(await client.put(COPY, json=TERMS, headers=key()), 404, "not-found")
    assert_problem(await client.get(COPY), 404, "not-found")


async def test_a_repeated_deletion_forgets_nobody_else(client: AsyncClient) -> None:
    await put(client)
    assert (await client.delete(COPY, headers=key())).status_code == 204
    await put(client)
    again = await client.delete(COPY, headers=key())
    assert (again.status_code, again.headers["idempotency-replayed"]) == (204, "true")
    await shown(client)


async def test_a_repeated_seek_does_not_rewind_again(client: AsyncClient) -> None:
    await put(client)
    position = await happened(client)
    await drained(client)
    place = {"position": "0"}
    first = await client.post(f"{COPY}/seek", json=place, headers=key())
    assert first.json()["position"] == "0"
    assert position in await drained(client)
    again = await client.post(f"{COPY}/seek", json=place, headers=key())
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json()["position"] == position
    assert is_empty(await fetch(client))


async def test_a_repeated_replay_or_drop_leaves_alone_what_is_parked_later(
    client: AsyncClient,
) -> None:
    await put(client, maxAttempts=1)
    table, _ = await parked(client)
    actions = ("parked/replay", f"parked/{table['id']}/replay", f"parked/{table['id']}/drop")
    for action in actions:
        answer = await client.post(f"{COPY}/{action}", headers=key(action))
        assert answer.status_code == 204
        if "drop" not in action:
            await drained_but_parked(client)
    await happened(client, table, "B")
    await drained_but_parked(client)
    for action in actions:
        again = await client.post(f"{COPY}/{action}", headers=key(action))
        assert (again.status_code, again.headers["idempotency-replayed"]) == (204, "true")
    now = await shown(client)
    assert (now["parked"], now["retrying"]) == (1, 0)


async def drained_but_parked(client: AsyncClient) -> None:
    """Refuse what comes, which parks it."""
    delivery = await fetch(client)
    said = {"lease": delivery["lease"], "position": delivery["events"][0]["position"]}
    assert (await client.post(f"{COPY}/nack", json=said)).json()["parked"]
    await drained(client)


async def test_a_key_of_another_request_is_refused(service: Service, client: AsyncClient) -> None:
    await put(client)
    assert (await client.post("/api/tables", json={"name": "A"}, headers=key())).status_code == 201
    for method, address, body in (
        ("PUT", COPY, TERMS),
        ("PUT", "/api/consumers/new", TERMS),
        ("DELETE", COPY, None),
        ("POST", f"{COPY}/seek", {"position": "0"}),
        ("POST", f"{COPY}/parked/replay", None),
    ):
        answer = await client.request(method, address, json=body, headers=key())
        assert_problem(answer, 422, "idempotency-key-reused")
    assert (await shown(client))["partitions"] == 1
    assert_problem(await client.get("/api/consumers/new"), 404, "not-found")


async def test_a_refused_request_does_not_use_up_its_key(
    service: Service, client: AsyncClient
) -> None:
    beyond = {"start": str(await service.head() + 1000)}
    for method, address, body in (
        ("DELETE", COPY, None),
        ("POST", f"{COPY}/seek", {"position": "0"}),
        ("POST", f"{COPY}/parked/replay", None),
        ("PUT", COPY, beyond),
    ):
        answer = await client.request(method, address, json=body, headers=key())
        assert answer.status_code in (404, 409)
    made = await client.put(COPY, json=TERMS, headers=key())
    assert (made.status_code, "idempotency-replayed" in made.headers) == (201, False)


async def test_of_many_with_one_key_one_acts(client: AsyncClient) -> None:
    answers = await asyncio.gather(
        *(client.put(COPY, json=TERMS, headers=key()) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    answers = await asyncio.gather(*(client.delete(COPY, headers=key("d")) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {204}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
