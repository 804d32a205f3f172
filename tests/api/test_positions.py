"""Positions: reads that wait for a write, and refuse rather than lie."""

import asyncio
import time
from uuid import uuid4

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api.progress import Progress
from tests.api.conftest import Service
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio


async def test_a_read_waits_for_the_position_that_it_is_asked_for(client: AsyncClient) -> None:
    table = await create(client)
    for number in range(5):
        written = await client.patch(path(table), json={"name": f"N{number}"})
        position = written.headers["event-position"]
        for address in (path(table), "/api/tables/by-slug/orders", "/api/tables"):
            read = await client.get(address, headers={"Min-Position": position})
            assert read.status_code == 200
            assert int(read.headers["event-position"]) >= int(position)
            assert f"N{number}" in read.text


async def test_a_position_that_is_not_there_in_time_is_refused(client: AsyncClient) -> None:
    table = await create(client)
    for address in (path(table), "/api/tables/by-slug/orders", "/api/tables"):
        started = time.monotonic()
        answer = await client.get(
            address, headers={"Min-Position": "99999", "Prefer": "respond-async, wait=0"}
        )
        assert time.monotonic() - started < 5
        problem = assert_problem(answer, 503, "projection-behind")
        assert int(answer.headers["retry-after"]) >= 1
        assert "The read model is at position" in problem["detail"]


async def test_a_waiting_read_is_answered_as_soon_as_the_write_is_there(
    service: Service, client: AsyncClient
) -> None:
    headers = {"Min-Position": str(await service.head() + 1), "Prefer": "wait=10"}
    waiting = asyncio.create_task(client.get("/api/tables", headers=headers))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    table = await create(client)
    async with asyncio.timeout(3):
        assert (await waiting).json()["items"] == [table]


async def test_the_wait_is_as_long_as_preferred(service: Service, client: AsyncClient) -> None:
    headers = {"Min-Position": str(await service.head() + 1), "Prefer": "wait=1"}
    started = time.monotonic()
    answer = await client.get("/api/tables", headers=headers)
    assert_problem(answer, 503, "projection-behind")
    assert 0.9 < time.monotonic() - started < 6


async def test_what_is_no_position_is_refused(client: AsyncClient) -> None:
    table = await create(client)
    for text in ("", "x", "-1", "1.0", "1e3", "9" * 19, " ", b"\xd9\xa1", "0x1", "1, 2"):
        for address in (path(table), "/api/tables/by-slug/orders", "/api/tables"):
            answer = await client.get(address, headers={"Min-Position": text})
            assert_problem(answer, 400, "invalid-position")
    assert (await client.get("/api/tables", headers={"Min-Position": "0"})).status_code == 200


async def test_without_a_projector_a_read_serves_what_is_there(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    """The company's own write is waited for briefly, and then no longer."""
    table = await create(client)
    position = (await client.get(path(table))).headers["event-position"]
    async with sql.transaction():
        # Whoever holds the position holds up the projector.
        await sql.execute("SELECT FROM projections.positions FOR UPDATE")
        await client.patch(path(table), json={"name": "B"})
        started = time.monotonic()
        stale = await client.get(path(table))
        assert 0.3 < time.monotonic() - started < 5
        assert (stale.json()["name"], stale.headers["etag"]) == ("Orders", '"1"')
        assert stale.headers["event-position"] == position
    headers = {"Min-Position": str(await service.head()), "Prefer": "wait=5"}
    fresh = await client.get(path(table), headers=headers)
    assert fresh.json()["name"] == "B"


async def test_what_was_just_created_is_not_told_to_be_absent(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    await client.get(path(await create(client)))
    async with sql.transaction():
        await sql.execute("SELECT FROM projections.positions FOR UPDATE")
        new = await create(client, name="Others")
        for address in (path(new), "/api/tables/by-slug/others"):
            assert_problem(await client.get(address), 503, "projection-behind")


async def test_a_write_during_a_wait_is_waited_for_as_well() -> None:
    """A read that waited for an older write must not make the next one forget the newer."""
    progress, company = Progress(), uuid4()
    progress.wrote(company, 5)
    older = asyncio.create_task(progress.own_writes(company))
    await asyncio.sleep(0)
    progress.wrote(company, 6)
    progress.reached(5)
    await older
    newer = asyncio.create_task(progress.own_writes(company))
    await asyncio.sleep(0.01)
    assert not newer.done()
    progress.reached(6)
    await newer


async def test_those_who_gave_up_are_forgotten() -> None:
    """A client that asks for positions far ahead must not fill the memory."""
    progress = Progress()
    for _ in range(20):
        await asyncio.gather(*(progress.reach(10**17, 0) for _ in range(10)))
    assert len(progress._waiting) <= 10
    waiting = asyncio.create_task(progress.reach(3, 5))
    await asyncio.sleep(0)
    progress.reached(3)
    assert await waiting
