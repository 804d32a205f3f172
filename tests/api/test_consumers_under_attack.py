"""Consumers under attack: hostile input, and everybody at once; clear refusals, and no pile-up."""

import asyncio
import random
import time
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from psycopg import AsyncConnection

from tests.api.conftest import Service
from tests.api.consumers import (
    COPY,
    Json,
    ack,
    drained,
    fetch,
    happened,
    nack,
    positions,
    put,
    shown,
)
from tests.api.test_table_defs import assert_problem, create
from tests.conftest import sized

pytestmark = pytest.mark.anyio
MANY = sized(20, 50)
JSON = {"Content-Type": "application/json"}
BODIES = [
    ("PUT", COPY, {}),
    ("POST", f"{COPY}/fetch", {}),
    ("POST", f"{COPY}/ack", {"lease": str(uuid4()), "position": "1"}),
    ("POST", f"{COPY}/nack", {"lease": str(uuid4()), "position": "1"}),
    ("POST", f"{COPY}/seek", {"position": "0"}),
]
VALUES: list[Any] = [
    None, True, -1, 0, 2**31, 2**53, 1e15, 1.5, -0.0, "", "x" * 10_000, "0", "1" * 18, "9" * 18,
    "-1", " 1", "1e3", "１２", "𝟙", "\u202e1", "head", "é", "e\u0301", [], {}, [[]], [{}], {"a": 1},
    "00000000-0000-0000-0000-000000000000", "{5d0f6a0c-4d12-4e06-9f30-2b1f6a0c4d12}", "0" * 18,
    "2026-11-22T09:00:00Z", "99999-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "infinity", "now",
    ["dynamic-tables.table-def.created.v1"] * 1000, ["\u202e"], ["x" * 10_000],
]  # fmt: skip
FIELDS = (
    "types", "tableId", "partitions", "leaseSeconds", "maxAttempts", "start", "limit", "lease",
    "position", "error", "retryAfterSeconds", "time",
)  # fmt: skip


@pytest.fixture
async def copy(client: AsyncClient) -> Json:
    return await put(client)


async def sent(client: AsyncClient, content: bytes) -> list[Response]:
    return [
        await client.request(method, address, content=content, headers=JSON)
        for method, address, _ in BODIES
    ]


async def test_no_value_of_any_field_breaks_anything(
    service: Service, client: AsyncClient, copy: Json
) -> None:
    before = await service.stored()
    for value in VALUES:
        for field in FIELDS:
            for method, address, good in BODIES:
                answer = await client.request(method, address, json=good | {field: value})
                assert answer.status_code in (200, 201, 204, 404, 409, 422), (field, value)
                assert answer.status_code < 400 or "detail" in answer.json()
    assert await service.stored() == before
    assert (await shown(client))["name"] == "copy"


async def test_what_is_unsafe_or_no_json_is_refused(client: AsyncClient, copy: Json) -> None:
    for content, code in (
        (b"{", "invalid-json"),
        (b'{"limit": NaN}', "invalid-json"),
        (b'{"limit": 1, "limit": 2}', "invalid-json"),
        (b'{"error": "\xff"}', "invalid-json"),
        (b'{"error": "a\\u0000b"}', "validation"),
        (b'{"error": "\\ud800"}', "validation"),
        (b'{"\\u0000": 1}', "validation"),
        (b'{"retryAfterSeconds": 1e400}', "validation"),
        (b'{"partitions": %s}' % (b"9" * 10_000), "validation"),
        (b'{"position": %d}' % 2**63, "validation"),
        (b'{"types": %s}' % (b"[" * 50_000 + b"]" * 50_000), "validation"),
        (b"[" * 100_000, "validation"),
        (b"[]", "validation"),
        (b"null", "validation"),
        (b'"x"', "validation"),
        (b"{}".ljust(256 * 1024 + 1), "body-too-large"),
    ):
        for answer in await sent(client, content):
            assert answer.json()["code"] == code, content[:40]
    assert await shown(client) == copy


async def test_many_wrong_types_are_not_all_told(client: AsyncClient) -> None:
    answer = await client.put(COPY, json={"types": ["x"] * 20_000})
    assert len(assert_problem(answer, 422, "validation")["errors"]) == 100


async def test_a_lease_is_not_guessed_from_what_is_shown(
    service: Service, client: AsyncClient
) -> None:
    """Whoever may read the consumer sees who has a partition, and not what lets them move it."""
    await put(client)
    await create(client)
    delivery = await fetch(client)
    async with service.client("integrator") as other:
        for address in (COPY, "/api/consumers", f"{COPY}/parked"):
            assert delivery["lease"] not in (await other.get(address)).text
        owner = (await shown(other))["progress"][0]["owner"]
        for guess in (owner, str(uuid4())):
            for act in (ack, nack):
                answer = await act(other, delivery | {"lease": guess})
                assert_problem(answer, 409, "lease-lost")
    assert (await shown(client))["lag"]["events"] == 1
    assert (await ack(client, delivery)).status_code == 204


async def test_of_many_who_make_it_at_once_one_does(service: Service, client: AsyncClient) -> None:
    answers = await asyncio.gather(
        *(client.put(COPY, json={"partitions": 1 + number % 4}) for number in range(MANY))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * (MANY - 1) + [201]
    now = await shown(client)
    assert len(now["progress"]) == now["partitions"]


async def test_whoever_makes_and_forgets_it_at_once_finds_it_or_not(client: AsyncClient) -> None:
    async def call(number: int) -> int:
        kind = number % 4
        if kind == 0:
            return (await client.put(COPY, json={"partitions": 2})).status_code
        if kind == 1:
            return (await client.delete(COPY)).status_code
        if kind == 2:
            return (await client.get("/api/consumers")).status_code
        return (await client.get(COPY)).status_code

    statuses = await asyncio.gather(*(call(number) for number in range(2 * MANY)))
    for kind, expected in enumerate(({200, 201}, {204, 404}, {200}, {200, 404})):
        assert set(statuses[kind::4]) <= expected


async def test_nothing_is_passed_over_while_the_partitions_change(client: AsyncClient) -> None:
    """Readers that fetch and acknowledge, while somebody changes their number all the time."""
    tables = [await create(client, name=f"T {number}") for number in range(6)]
    await put(client, partitions=1)
    dealt_with, is_over, dice = set[str](), False, random.Random(5)

    async def read() -> None:
        while not is_over:
            delivery = await fetch(client, limit=3)
            if not delivery["events"]:
                await asyncio.sleep(0.005)
                continue
            if (await ack(client, delivery)).status_code == 204:
                dealt_with.update(positions(delivery))

    async def share() -> None:
        while not is_over:
            await put(client, partitions=dice.randint(1, 4))
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(run()) for run in (read, read, read, share)]
    wanted = [await happened(client, tables[number % 6], f"N {number}") for number in range(60)]
    is_over = True
    await asyncio.gather(*tasks)
    await put(client, partitions=1)
    dealt_with.update(await drained(client))
    assert dealt_with == set(wanted)


async def test_seeks_and_deletions_while_others_read_are_never_more_than_a_lost_lease(
    client: AsyncClient,
) -> None:
    await create(client)
    await put(client, start="0")

    async def read() -> None:
        for _ in range(15):
            answer = await client.post(f"{COPY}/fetch", json={"limit": 1})
            assert answer.status_code in (200, 404)
            delivery = answer.json()
            if delivery.get("events"):
                for act in (ack, nack):
                    assert (await act(client, delivery)).status_code in (204, 200, 404, 409, 422)

    async def disturb() -> None:
        for number in range(15):
            answer = await client.post(f"{COPY}/seek", json={"position": "0"})
            assert answer.status_code == 200
            await client.post(f"{COPY}/parked/replay")
            if number % 5 == 4:
                assert (await client.delete(COPY)).status_code == 204
                await put(client, start="0")

    await asyncio.gather(read(), read(), read(), disturb())
    await client.post(f"{COPY}/seek", json={"position": "0"})
    assert len(await drained(client)) == len((await client.get("/api/events")).json())


CONNECTIONS = """
SELECT count(*), count(*) FILTER (WHERE clock_timestamp() - xact_start > interval '1 s')
  FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend'
"""


async def test_many_who_wait_hold_no_connection_and_hold_up_nobody(
    client: AsyncClient, sql: AsyncConnection
) -> None:
    await put(client, partitions=4)
    waiting: list[asyncio.Task[Json]] = []
    for _ in range(sized(4, 12)):
        waiting += [asyncio.create_task(fetch(client, wait=30)) for _ in range(25)]
        assert (await client.get("/api/consumers")).status_code == 200
    await asyncio.sleep(1.5)
    for _ in range(10):
        began = time.monotonic()
        assert (await client.get("/api/consumers")).status_code == 200
        assert time.monotonic() - began < 10
        row = await (await sql.execute(CONNECTIONS)).fetchone()
        assert row
        assert row[0] < len(waiting) / 3
        assert row[1] == 0
        await asyncio.sleep(0.06)
    assert [task.result() for task in waiting if task.done()] == []
    began = time.monotonic()
    position = await happened(client)
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert time.monotonic() - began < 10
    assert [positions(task.result()) for task in done] == [[position]]
    more, still = await asyncio.wait(set(waiting) - done, timeout=1)
    assert more == set(), "one reader at a time"
    for task in still:
        task.cancel()
    await asyncio.gather(*still, return_exceptions=True)
