"""Processes that end or die while people follow: who is answered, who comes back, and to what."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from api.embedded_postgres import attach
from tests.conftest import eventually, sized
from tests.journeys.processes import Serve, alive
from tests.streams import Browser

pytestmark = pytest.mark.anyio

STREAMS, POLLS, WRITERS = sized(20, 50), sized(10, 20), 8
TABLES, FEED = "/api/tables", "/api/events"
CREATED = """
SELECT table_id::text FROM event_store.readable_events
 WHERE topic = 'TableDef.Created' AND data ->> 'name' = 'Written until the end'
"""


@pytest.fixture
async def client(service: Serve) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {service.key}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=service.address, headers=headers, timeout=20, limits=limits
    ) as client:
        yield client


@pytest.fixture
def service(data: Path) -> Iterator[Serve]:
    with Serve(data, "--demo", "--workers", "2") as running:
        yield running


@contextlib.asynccontextmanager
async def browsing(service: Serve, count: int) -> AsyncIterator[list[Browser]]:
    """That many who follow from the beginning."""
    port = int(service.address.rpartition(":")[2])
    browsers = [Browser(port, service.key, "after=0") for _ in range(count)]
    running = [asyncio.create_task(browser.run()) for browser in browsers]
    try:
        yield browsers
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def all_have(browsers: list[Browser], count: int) -> bool:
    return all(len(browser.seen) >= count for browser in browsers)


async def writing(client: httpx.AsyncClient, made: set[str]) -> None:
    """Create tables until nobody is there any more who takes a request."""
    with contextlib.suppress(httpx.TransportError):
        while True:
            answer = await client.post(TABLES, json={"name": "Written until the end"})
            assert answer.status_code == 201
            made.add(answer.json()["id"])


async def reading(client: httpx.AsyncClient) -> None:
    """Read the feed until nobody is there any more who takes a request."""
    with contextlib.suppress(httpx.TransportError):
        while True:
            answer = await client.get(FEED, params={"limit": 50})
            assert (answer.status_code, len(answer.json())) == (200, 50)


def stored(data: Path) -> set[str]:
    """The ids of the tables that were created by those who wrote until the end."""
    with attach(data) as url, psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute(CREATED)}


async def test_told_to_end_it_answers_who_asked_lets_who_follow_go_and_is_gone(
    service: Serve, client: httpx.AsyncClient
) -> None:
    all_of_it = [service.process.pid, *service.children()]
    made: set[str] = set()
    async with browsing(service, STREAMS) as browsers:
        writers = [asyncio.create_task(writing(client, made)) for _ in range(WRITERS)]
        idle = {"after": "head", "wait": "30", "types": "dynamic-tables.table-def.purged.v1"}
        polls = [asyncio.create_task(client.get(FEED, params=idle)) for _ in range(POLLS)]
        await eventually(lambda: all_have(browsers, 100), 60)
        readers = [asyncio.create_task(reading(client)) for _ in range(WRITERS)]
        await asyncio.sleep(0.2)
        started = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*polls)
        assert {(answer.status_code, answer.text) for answer in answers} == {(200, "[]")}
        await asyncio.gather(*writers, *readers)
        await asyncio.to_thread(service.process.wait, 25)
        assert time.monotonic() - started < 25, "long polls are not waited for"
        assert not any(map(alive, all_of_it))
    seen = [[item["position"] for item in browser.seen] for browser in browsers]
    longest = max(seen, key=len)
    assert all(each == longest[: len(each)] for each in seen)
    assert stored(service.data) == made  # what was not answered was not done


async def test_who_follows_a_process_that_is_killed_comes_back_and_misses_nothing(
    service: Serve, client: httpx.AsyncClient
) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    async with browsing(service, STREAMS) as browsers:
        kills = 0
        while kills < 3 or not any(browser.cuts for browser in browsers):
            [*workers] = service.children("-m api worker")
            os.kill(chance.choice(workers), signal.SIGKILL)  # all may follow another one
            kills += 1
            assert kills < 30, f"nobody was cut off, seed {seed}"
            for number in range(10):
                with contextlib.suppress(httpx.TransportError):
                    await client.post(TABLES, json={"name": f"T {number}"})
            await asyncio.sleep(chance.random() * 0.5)
        await eventually(lambda: answers_to(client), 60)
        plain = (await client.get(FEED, params={"limit": 1000})).json()
        await eventually(lambda: all_have(browsers, len(plain)), 60)
        assert all(browser.seen == plain for browser in browsers)


async def answers_to(client: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await client.get(TABLES)).status_code == 200
    return False
