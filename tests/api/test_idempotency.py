"""Idempotency-Key: a retry never does a thing twice."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient, Response
from psycopg import AsyncConnection

from tests.api.conftest import Service
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio


def key(text: str = "k", **more: str) -> dict[str, str]:
    return {"Idempotency-Key": text, **more}


def assert_replayed(again: Response, first: Response) -> None:
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("etag", "event-position", "location", "content-type"):
        assert again.headers.get(name) == first.headers.get(name)


async def test_every_write_is_carried_out_once_and_answered_the_same_again(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    for number, (method, address, body) in enumerate(
        (
            ("POST", "/api/tables", {"name": "Orders", "settings": {"b": 1, "a": 2}}),
            ("PATCH", path(table), {"name": "B", "icon": "x"}),
            ("POST", path(table) + "/revert", {"version": 1}),
            ("POST", path(table) + "/duplicate", None),
            ("POST", path(table) + "/duplicate", {"name": "C"}),
            ("DELETE", path(table), None),
            ("POST", path(table) + "/restore", None),
            ("DELETE", path(table), None),
            ("POST", path(table) + "/purge", None),
        )
    ):
        first = await client.request(method, address, json=body, headers=key(f"k{number}"))
        assert first.status_code < 300, first.text
        stored = await service.topics()
        again = await client.request(method, address, json=body, headers=key(f"k{number}"))
        assert_replayed(again, first)
        assert await service.topics() == stored


async def test_an_answer_is_replayed_as_it_was_whatever_happened_since(
    service: Service, client: AsyncClient
) -> None:
    created = await client.post("/api/tables", json={"name": "A"}, headers=key("create"))
    table = created.json()
    changed = await client.patch(path(table), json={"name": "B"}, headers=key("change"))
    copied = await client.post(path(table) + "/duplicate", headers=key("copy"))
    await client.patch(path(table), json={"name": "C", "slug": "c", "description": "later"})
    await client.delete(path(table))
    await client.post(path(table) + "/purge")
    stored = await service.topics()
    again = await client.post("/api/tables", json={"name": "A"}, headers=key("create"))
    assert_replayed(again, created)
    again = await client.patch(path(table), json={"name": "B"}, headers=key("change"))
    assert_replayed(again, changed)
    assert_replayed(await client.post(path(table) + "/duplicate", headers=key("copy")), copied)
    assert await service.topics() == stored


async def test_a_request_is_the_same_however_its_json_is_written(client: AsyncClient) -> None:
    first = await client.post(
        "/api/tables", content='{"name": "A", "settings": {"a": 1, "b": 2}}', headers=key()
    )
    again = await client.post(
        "/api/tables",
        content='{ "settings":{"b":2,"a":1},"name":"\\u0041" }',
        headers=key(Reason="another"),
    )
    assert_replayed(again, first)


async def test_a_key_of_another_request_is_refused(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    first = await client.patch(path(table), json={"name": "B"}, headers=key())
    assert first.status_code == 200
    stored = await service.topics()
    requests: list[tuple[str, str, Any, dict[str, str]]] = [
        ("PATCH", path(table), {"name": "C"}, {}),
        ("PATCH", path(table), {"name": "B", "icon": None}, {}),
        ("PATCH", path(table), {"name": "B"}, {"If-Match": '"2"'}),
        ("PATCH", path(await create(client)), {"name": "B"}, {}),
        ("POST", "/api/tables", {"name": "B"}, {}),
        ("DELETE", path(table), None, {}),
        ("POST", path(table) + "/duplicate", None, {}),
        ("POST", path(table) + "/revert", {"version": 1}, {}),
    ]
    for method, address, body, headers in requests:
        answer = await client.request(method, address, json=body, headers=key() | headers)
        assert_problem(answer, 422, "idempotency-key-reused")
    assert await service.topics() == [*stored, "Created"]


async def test_a_no_op_is_remembered_too(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    first = await client.patch(path(table), json={"name": "Orders"}, headers=key())
    await client.patch(path(table), json={"name": "B"})
    again = await client.patch(path(table), json={"name": "Orders"}, headers=key())
    assert_replayed(again, first)
    assert again.json() == table
    assert await service.topics() == ["Created", "Renamed"]


async def test_a_refusal_is_not_remembered(client: AsyncClient) -> None:
    table = await create(client)
    wish = {"name": "X", "slug": "orders"}
    refused = await client.post("/api/tables", json=wish, headers=key())
    assert_problem(refused, 409, "slug-taken")
    await client.patch(path(table), json={"slug": "sales"})
    answer = await client.post("/api/tables", json=wish, headers=key())
    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


async def test_a_rehearsal_does_not_use_up_its_key(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    for _ in range(2):
        rehearsed = await client.post("/api/tables?dryRun=true", json={"name": "A"}, headers=key())
        assert rehearsed.json()["dryRun"] is True
    query = "SELECT FROM event_store.idempotency_keys WHERE company_id = %s"
    assert (await sql.execute(query, (service.ours,))).rowcount == 0
    assert (await client.post("/api/tables", json={"name": "A"}, headers=key())).status_code == 201


async def test_companies_do_not_share_keys(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    ours = await client.post("/api/tables", json={"name": "A"}, headers=key())
    theirs = await stranger.post("/api/tables", json={"name": "B"}, headers=key())
    same = await stranger.post("/api/tables", json={"name": "B"}, headers=key())
    assert ours.status_code == theirs.status_code == 201
    assert_replayed(same, theirs)
    assert await service.topics() == ["Created", "Created"]


async def test_fifty_requests_with_one_key_are_one(service: Service, client: AsyncClient) -> None:
    table = await create(client, name="Original")
    for method, address, body in (
        ("POST", "/api/tables", {"name": "Orders"}),
        ("PATCH", path(table), {"name": "B"}),
        ("POST", path(table) + "/duplicate", None),
        ("DELETE", path(table), None),
    ):
        before = len(await service.topics())
        answers = await asyncio.gather(
            *(
                client.request(method, address, json=body, headers=key(method + address))
                for _ in range(50)
            )
        )
        [first] = [a for a in answers if "idempotency-replayed" not in a.headers]
        for answer in answers:
            if answer is not first:
                assert_replayed(answer, first)
        assert len(await service.topics()) == before + 1


async def test_a_hundred_clients_create_one_slug(service: Service, client: AsyncClient) -> None:
    wishes = [client.post("/api/tables", json={"name": f"N{n}", "slug": "one"}) for n in range(100)]
    answers = await asyncio.gather(*wishes)
    [won] = [answer for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer is not won:
            problem = assert_problem(answer, 409, "slug-taken")
            assert problem["heldBy"]["id"] == won.json()["id"]
            assert problem["suggestion"] == "one-2"
    assert await service.topics() == ["Created"]


async def test_a_hundred_clients_create_one_name(service: Service, client: AsyncClient) -> None:
    wishes = [client.post("/api/tables", json={"name": "Orders"}) for _ in range(100)]
    slugs = {answer.json()["slug"] for answer in await asyncio.gather(*wishes)}
    assert slugs == {"orders", *(f"orders-{number}" for number in range(2, 101))}
    assert await service.topics() == ["Created"] * 100


async def test_a_key_is_visible_ascii(service: Service, client: AsyncClient) -> None:
    for text in ("", "a b", "x" * 256, b"\xc3\xa9", b"a\x00b", b"\xff", b"\x7f"):
        answer = await client.post(
            "/api/tables", json={"name": "A"}, headers={"Idempotency-Key": text}
        )
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert (error["pointer"], error["code"]) == ("/Idempotency-Key", "invalid-text")
    assert await service.topics() == []
    assert (
        await client.post("/api/tables", json={"name": "A"}, headers=key("!" + "~" * 254))
    ).status_code == 201
