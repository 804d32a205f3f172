"""Who asked, in which request, and why: what is echoed, and stored with the events."""

from urllib.parse import quote

import pytest
from httpx import AsyncClient

from tests.api.conftest import Service
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


async def test_the_request_id_and_the_trace_are_echoed_and_stored(
    service: Service, client: AsyncClient
) -> None:
    headers = {"X-Request-Id": "my-request/1", "traceparent": TRACEPARENT}
    answer = await client.post("/api/tables", json={"name": "A"}, headers=headers)
    assert {name: answer.headers[name] for name in headers} == headers
    [event] = await service.stored()
    assert event.metadata["requestId"] == "my-request/1"
    assert event.metadata["traceparent"] == TRACEPARENT
    assert event.metadata["correlationId"] == TRACE


async def test_every_answer_has_a_request_id_also_an_error(
    service: Service, client: AsyncClient
) -> None:
    seen = set()
    for method, address in (
        ("GET", "/api/tables"), ("GET", "/nowhere"), ("PUT", "/api/tables"), ("GET", "/livez"),
        ("POST", "/api/tables"), ("GET", "/problems/nothing"), ("GET", "/docs/static/nothing"),
    ):  # fmt: skip
        answer = await client.request(method, address)
        seen.add(answer.headers["x-request-id"])
        if answer.status_code >= 400:
            assert answer.json()["requestId"] == answer.headers["x-request-id"]
        named = await client.request(method, address, headers={"X-Request-Id": "mine"})
        assert named.headers.get_list("x-request-id") == ["mine"]
    assert len(seen) == 7


async def test_without_a_trace_the_request_id_correlates(
    service: Service, client: AsyncClient
) -> None:
    answer = await client.post("/api/tables", json={"name": "A"})
    [event] = await service.stored()
    request_id = answer.headers["x-request-id"]
    assert event.metadata["requestId"] == event.metadata["correlationId"] == request_id
    assert event.metadata["traceparent"] is None
    assert "traceparent" not in answer.headers


async def test_what_is_no_request_id_or_trace_is_replaced_or_ignored(client: AsyncClient) -> None:
    for text in ("", "a b", "x" * 129, b"\xff", b"\xc3\xa9", b"a\x00", b"a\x7f"):
        answer = await client.get("/livez", headers={"X-Request-Id": text})
        assert len(answer.headers["x-request-id"]) == 32
    for text in (
        "", "00", TRACEPARENT.upper(), TRACEPARENT[:-1], f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01", "ff" + TRACEPARENT[2:], b"\xff",
    ):  # fmt: skip
        answer = await client.get("/livez", headers={"traceparent": text})
        assert answer.status_code == 200
        assert "traceparent" not in answer.headers


async def test_a_reason_is_stored_with_every_event_of_the_write(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    reason = "Größer & schöner: 100 % 🎉"
    headers = {"Reason": quote(reason)}
    await client.patch(path(table), json={"name": "B", "icon": "x"}, headers=headers)
    await client.delete(path(table), headers={"Reason": "plain text"})
    stored = [event.metadata["reason"] for event in await service.stored()]
    assert stored == [None, reason, reason, "plain text"]


async def test_a_reason_is_one_short_line_of_text(service: Service, client: AsyncClient) -> None:
    for text, code in (
        ("", "too-short"), ("%20", "too-short"), ("%FF", "invalid-text"), ("%00", "invalid-text"),
        ("a%0Ab", "invalid-text"), ("%E2%80%AE", "invalid-text"), (b"\xc3\xa9", "invalid-text"),
        ("%ED%A0%80", "invalid-text"), ("x" * 501, "too-long"),
    ):  # fmt: skip
        answer = await client.post("/api/tables", json={"name": "A"}, headers={"Reason": text})
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert (error["pointer"], error["in"], error["code"]) == ("/Reason", "header", code), text
    assert await service.topics() == []
    for text in ("x" * 500, quote("é" * 500), "100%", "%zz"):
        answer = await client.post("/api/tables", json={"name": "A"}, headers={"Reason": text})
        assert answer.status_code == 201
