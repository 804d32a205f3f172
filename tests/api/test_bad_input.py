"""Hostile and broken input: a clear refusal that points at it; nothing stored, nothing broken."""

import asyncio
import contextlib
import json
import tracemalloc
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Service
from tests.api.document import OPERATIONS, Operation
from tests.api.test_table_defs import assert_problem, create, path
from tests.conftest import sized

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}

UNSAFE = {
    r'{"name": "a\u0000b"}': ("/name", "invalid-text"),
    r'{"name": "\ud800"}': ("/name", "invalid-text"),
    r'{"name": "A", "settings": {"deep": [{"x": "\udfff\ud800"}]}}': (
        "/settings/deep/0/x",
        "invalid-text",
    ),
    r'{"name": "A", "settings": {"a": {"k\u0000": 1}}}': ("/settings/a", "invalid-text"),
    r'{"name": "A", "settings": {"a": {"\ud83d": 1}}}': ("/settings/a", "invalid-text"),
    '{"name": "A", "settings": {"n": 1e400}}': ("/settings/n", "number-too-large"),
    '{"name": "A", "settings": {"n": [0, -1e999]}}': ("/settings/n/1", "number-too-large"),
    f'{{"name": "A", "settings": {{"n": {2**60}}}}}': ("/settings/n", "number-too-large"),
    f'{{"name": "A", "settings": {{"n": {-(2**53) - 1}}}}}': ("/settings/n", "number-too-large"),
    '{"name": "A", "settings": {"n": 1e300}}': ("/settings/n", "number-too-large"),
    '{"name": "A", "settings": {"n": %s}}' % ("9" * 100_000): ("/settings/n", "number-too-large"),
    '{"name": "A", "settings": {"n": %s}}' % ("[" * 40 + "]" * 40): (
        "/settings/n" + "/0" * 30,
        "too-deep",
    ),
    '{"name": %s}' % ("[" * 100_000 + "]" * 100_000): ("", "too-deep"),
    "[" * 100_000: ("", "too-deep"),
    '{"a":' * 40_000: ("", "too-deep"),
    '{"name": "A\u202eB"}': ("/name", "invalid-text"),
    '{"name": "A\u200bB"}': ("/name", "invalid-text"),
    '{"name": "\ufeffA"}': ("/name", "invalid-text"),
    '{"name": "A", "description": "a\u2066b"}': ("/description", "invalid-text"),
    '{"name": "A", "icon": "\u200d"}': ("/icon", "invalid-text"),
    '{"name": "A", "slug": "a\u200bb"}': ("/slug", "invalid-slug"),
    '{"name": "A", "slug": "a\\n"}': ("/slug", "invalid-slug"),
    '{"name": "A", "settings": {"recordNameFormat": "a\u202eb"}}': (
        "/settings/recordNameFormat",
        "invalid-text",
    ),
    '{"name": "\u3000\u00a0 "}': ("/name", "too-short"),
    "[]": ("", "type"),
    "null": ("", "type"),
    '"x"': ("", "type"),
    "1": ("", "type"),
    "{}": ("/name", "required"),
}  # fmt: skip
BROKEN = (
    b"", b" ", b"{", b'{"name": }', b'{"name": "A",}', b"{'name': 'A'}", b'{"name": "A"} x',
    b'{"name": NaN}', b'{"name": "A", "settings": {"n": Infinity}}', b'{"name": "A\x00"}',
    b'{"name": "A", "settings": {"n": -Infinity}}', b'{"name": "A", "settings": {"n": 01}}',
    b'{"name": "a\nb"}', b'\xef\xbb\xbf{"name": "A"}', b'{"name": "\xff"}', b'{"name": "\xc0\x80"}',
    b'{"name": "\xed\xa0\x80"}', '{"name": "é"}'.encode("latin-1"),
    '{"name": "A"}'.encode("utf-16"), '{"name": "A"}'.encode("utf-32"), b'{"name": "\\x41"}',
    b'{"name": "\\u12"}', b"\x1f\x8b\x08\x00", b'{"name": "A" /* c */}', b"nul", b"+1", b"name=A",
)  # fmt: skip


async def send(client: AsyncClient, body: str | bytes) -> list[Response]:
    """The answers of every route that takes a body."""
    content = body if isinstance(body, bytes) else body.encode()
    table = (await client.get("/api/tables")).json()["items"][0]
    return [
        await client.post("/api/tables", content=content, headers=JSON),
        await client.patch(path(table), content=content, headers=JSON),
    ]


async def test_what_would_break_something_later_is_refused_with_a_pointer(
    service: Service, client: AsyncClient
) -> None:
    await create(client)
    for body, (pointer, code) in UNSAFE.items():
        created, changed = await send(client, body)
        [error] = assert_problem(created, 422, "validation")["errors"]
        assert (error["pointer"], error["code"]) == (pointer, code), body[:80]
        if body != "{}":
            [error] = assert_problem(changed, 422, "validation")["errors"]
            assert (error["pointer"], error["code"]) == (pointer, code), body[:80]
    assert await service.topics() == ["Created"]


async def test_what_is_no_json_is_refused(service: Service, client: AsyncClient) -> None:
    await create(client)
    for body in BROKEN:
        for answer in await send(client, body):
            problem = assert_problem(answer, 400, "invalid-json")
            assert problem["detail"], body
    assert await service.topics() == ["Created"]


async def test_every_body_is_looked_at_before_anything_is_done(
    service: Service, client: AsyncClient, platform: AsyncClient
) -> None:
    before = await service.kept()
    for operation in OPERATIONS:
        if operation.schema is None:
            continue
        caller = platform if "companies:write" in operation.scopes else client
        address = operation.path.replace("{id}", str(uuid4())).replace("{name}", "copy")

        async def sent(
            body: bytes,
            caller: AsyncClient = caller,
            each: Operation = operation,
            at: str = address,
        ) -> Response:
            return await caller.request(each.method, at, content=body, headers=JSON)

        for body in BROKEN[1:]:
            assert_problem(await sent(body), 400, "invalid-json")
        for body in (b"[]", b"null", b'"x"', b"1", b"true"):
            [error] = assert_problem(await sent(body), 422, "validation")["errors"]
            assert (error["pointer"], error["code"]) == ("", "type"), operation.id
        assert_problem(await sent(b'{"name": "A", "name": "B"}'), 400, "invalid-json")
        assert_problem(await sent(b'{"x": "a\\u0000b"}'), 422, "validation")
        assert_problem(await sent(b'{"x": %s}' % (b"[" * 50 + b"]" * 50)), 422, "validation")
        assert_problem(await sent(b"{}".ljust(256 * 1024 + 1)), 413, "body-too-large")
    assert await service.kept() == before


async def test_a_key_that_comes_twice_is_named(service: Service, client: AsyncClient) -> None:
    await create(client)
    for body, pointer in (
        ('{"name": "A", "name": "B"}', ""),
        (r'{"name": "A", "n\u0061me": "B"}', ""),
        ('{"name": "A", "settings": {"a": [{"b": 1, "b": 1}]}}', "/settings/a/0"),
    ):
        for answer in await send(client, body):
            [error] = assert_problem(answer, 400, "invalid-json")["errors"]
            assert (error["pointer"], error["code"]) == (pointer, "duplicate-key")
    assert await service.topics() == ["Created"]


async def test_the_largest_safe_numbers_pass(client: AsyncClient) -> None:
    numbers = [2**53, -(2**53), 0.1, -0.5, 1e-15, 123456789.125, 1e15]
    table = await create(client, settings={"n": numbers})
    assert table["settings"]["n"] == numbers
    assert (await client.get(path(table))).json()["settings"]["n"] == numbers


async def test_what_was_read_can_be_written_back(client: AsyncClient) -> None:
    """Also numbers, which jsonb may write differently."""
    table = await create(client, settings={"n": [2**53, 1e15, 1e-15, 1.0, -0.0, 0.1]})
    shown = (await client.get(path(table))).text
    body = json.dumps({"settings": json.loads(shown)["settings"]})
    answer = await client.patch(path(table), content=body, headers=JSON)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')


async def test_a_hundred_thousand_keys_are_refused_briefly(
    service: Service, client: AsyncClient
) -> None:
    await create(client)
    too_large = json.dumps({f"key{n}": n for n in range(100_000)})
    for answer in await send(client, too_large):
        assert_problem(answer, 413, "body-too-large")
    short = "{" + ",".join(f'"{n:x}":1' for n in range(27_000)) + "}"
    for body in (short, f'{{"name": "A", "settings": {short}}}'):
        for answer in await send(client, body):
            problem = assert_problem(answer, 422, "validation")
            assert len(problem["errors"]) <= 101
            assert len(answer.content) < 20_000
    assert await service.topics() == ["Created"]


async def test_a_body_has_a_largest_size(service: Service, client: AsyncClient) -> None:
    body = b'{"name": "A"}'
    answer = await client.post("/api/tables", content=body.ljust(256 * 1024), headers=JSON)
    assert answer.status_code == 201
    answer = await client.post("/api/tables", content=body.ljust(256 * 1024 + 1), headers=JSON)
    assert_problem(answer, 413, "body-too-large")
    assert await service.topics() == ["Created"]


async def test_fifty_megabytes_are_refused_without_being_kept(
    service: Service, client: AsyncClient
) -> None:
    sent = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(50 * 16):
            sent += 1
            yield b" " * 65536

    tracemalloc.start()
    try:
        answer = await client.post("/api/tables", content=stream(), headers=JSON)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert_problem(answer, 413, "body-too-large")
    assert answer.headers["connection"] == "close"
    assert sent == 50 * 16  # read to the end, so that the client reads its answer
    assert await service.topics() == []


async def test_a_real_client_that_streams_too_much_gets_its_answer(
    service: Service, port: int
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(50 * 16):
            yield b" " * 65536

    headers = {"Authorization": f"Bearer {service.tokens[service.ours, 'admin']}"}
    async with AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
        for _ in range(5):
            answer = await client.post("/api/tables", content=stream())
            assert_problem(answer, 413, "body-too-large")


async def test_a_body_that_ends_too_early_is_not_carried_out(service: Service, port: int) -> None:
    """A client that dies in the middle may have sent valid JSON by then, but not its request."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    token = service.tokens[service.ours, "admin"]
    head = f"POST /api/tables HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f'{head}Content-Length: 100\r\n\r\n{{"name": "A"}}'.encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.1)
    assert await service.topics() == []


async def test_bad_text_in_the_query_is_refused(service: Service, client: AsyncClient) -> None:
    for query in ("q=%00", "q=%E2%80%AE", "q=%E2%80%8B", f"q={'x' * 256}", "q=%FF", "q=%ED%A0%80",
                  "%00=1", "%FF=1", "sort=%00", "workspaceId=%00", "updatedBy=%00", "limit=%00",
                  "state=%00", "limit=1e400", "limit=%D9%A1", f"{'x' * 5000}=1",
                  "&".join(f"k{n}=1" for n in range(2000))):  # fmt: skip
        answer = await client.get(f"/api/tables?{query}")
        problem = assert_problem(answer, 422, "validation")
        assert all(error["in"] == "query" for error in problem["errors"])
        assert len(problem["errors"]) <= 100
    for query in ("cursor=%00", "cursor=%C3%A9", "cursor="):
        assert_problem(await client.get(f"/api/tables?{query}"), 400, "invalid-cursor")


async def test_bad_text_in_the_path_is_refused(client: AsyncClient) -> None:
    for text in ("%00", "a%00", "%FF", "%ED%A0%80", "%E2%80%AE", "A", "a_b", "a--b", "-", "x" * 256,
                 "a%0A", "%20", "..%2F..", "'%20OR%201=1"):  # fmt: skip
        answer = await client.get(f"/api/tables/by-slug/{text}")
        assert answer.status_code in (404, 422), text
        assert answer.json()["code"] in ("not-found", "validation")
        if answer.status_code == 422:
            assert answer.json()["errors"][0]["pointer"] == "/slug"


async def test_bad_text_in_headers_breaks_nothing(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    for text in (b"\x00", b"\xff", b"\xc3\x28", "é".encode(), b"\xed\xa0\x80", b"x" * 60_000,
                 "\u202e".encode(), b"NaN", b"[" * 5000):  # fmt: skip
        for name in ("If-None-Match", "Min-Position", "Prefer", "Accept", "X-Request-Id",
                     "traceparent", "User-Agent", "X-Unknown"):  # fmt: skip
            answer = await client.get(path(table), headers={name: text})
            assert answer.status_code in (200, 400), name
        for name in ("If-Match", "Idempotency-Key", "Reason", "Content-Type"):
            answer = await client.patch(path(table), json={}, headers={name: text})
            assert answer.status_code in (200, 415, 422), (name, text)
    assert await service.topics() == ["Created"]


@settings(
    max_examples=sized(50, 150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(["name", "slug", "settings", "icon", "color"]) | st.text(), inner
        ),
    )
)  # fmt: skip
async def test_any_json_is_stored_or_refused_and_never_breaks(
    client: AsyncClient, body: object
) -> None:
    answer = await client.post("/api/tables", content=json.dumps(body).encode(), headers=JSON)
    assert answer.status_code in (201, 400, 409, 422), answer.text
    if answer.status_code == 201:
        assert (await client.get(answer.headers["location"])).json() == answer.json()


@settings(
    max_examples=sized(50, 150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.text(min_size=1, max_size=12), other=st.text(max_size=12))
async def test_any_text_is_stored_as_it_is_shown_or_refused(
    client: AsyncClient, name: str, other: str
) -> None:
    body = {
        "name": name,
        "description": other,
        "settings": {"free": other, "recordNameFormat": other},
    }
    answer = await client.post("/api/tables", json=body)
    assert answer.status_code in (201, 422)
    if answer.status_code == 201:
        read = await client.get(answer.headers["location"])
        assert read.json() == answer.json()
        assert answer.json()["settings"]["free"] == other


async def test_a_head_without_an_end_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ")
    answer = b""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):  # it may hang up before we have read why
            for _ in range(1000):
                writer.write(b"a" * 1024)
                await writer.drain()
            answer = await reader.read()
    assert writer.transport.is_closing() or reader.at_eof()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_an_offer_to_upgrade_is_ignored_and_the_body_is_heard(
    service: Service, port: int
) -> None:
    token = service.tokens[service.ours, "admin"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for name in (b"One", b"Two"):  # on one connection
        body = b'{"name":"%b"}' % name
        writer.write(
            b"POST /api/tables HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nContent-Type: application/json\r\nAuthorization: Bearer %b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (token.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201 ")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert json.loads(await reader.readexactly(length))["name"] == name.decode()
    writer.close()


async def test_an_offer_to_upgrade_that_comes_in_pieces_is_refused_rather_than_half_heard(
    service: Service, port: int
) -> None:
    token = service.tokens[service.ours, "admin"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /api/tables HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpg")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.write(
        b"rade: h2c\r\nContent-Type: application/json\r\nAuthorization: Bearer %b\r\n"
        b'Content-Length: 12\r\n\r\n{"name":"A"}' % token.encode()
    )
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    assert await service.topics() == []
    writer.close()
