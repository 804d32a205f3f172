"""What the feed promises holds whatever breaks: connections to the database, or its contents."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api.auth import RECHECK
from api.event_hub import CHANNEL, POLL
from api.roles import API_ROLE
from tests.api.conftest import Service, installed, listening, two_companies
from tests.api.test_events import FEED, everything
from tests.api.test_table_defs import assert_problem, create, path
from tests.conftest import eventually
from tests.contracts.proxy import Proxy, proxied
from tests.streams import Browser

pytestmark = pytest.mark.anyio

SLACK = 6.0  # seconds for a busy machine
LISTENING = f"""
SELECT pid FROM pg_stat_activity
 WHERE query = 'LISTEN {CHANNEL}' AND application_name = '{API_ROLE}'
   AND datname = current_database()
"""
KILL = f"SELECT pg_terminate_backend(pid) FROM ({LISTENING}) AS listening"
CUT_TAIL = "DELETE FROM event_store.events WHERE position > %s"


@dataclass
class Far:
    """A service whose database is behind a network that may fail; `sql` is not."""

    service: Service
    client: AsyncClient
    port: int
    proxy: Proxy
    sql: AsyncConnection

    async def listening(self) -> set[int]:
        """The database's processes that tell a hub of what happens."""
        return {row[0] for row in await (await self.sql.execute(LISTENING)).fetchall()}


@pytest.fixture
async def far(database: str) -> AsyncIterator[Far]:
    async with (
        proxied(database) as proxy,
        installed(proxy.conninfo) as made,
        listening(made.app) as port,
        await AsyncConnection.connect(database, autocommit=True) as sql,
    ):
        service = await two_companies(made)
        async with service.client() as client:
            yield Far(service, client, port, proxy, sql)


@contextlib.asynccontextmanager
async def browsing(port: int, client: AsyncClient, **given: Any) -> AsyncIterator[Browser]:
    """Somebody who follows all the time."""
    token = client.headers["authorization"].removeprefix("Bearer ")
    browser = Browser(port, token, **given)
    running = asyncio.create_task(browser.run())
    try:
        yield browser
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def polling(client: AsyncClient, after: str, until: int) -> list[dict[str, Any]]:
    """That many events above a position, by one long poll after the other."""
    seen: list[dict[str, Any]] = []
    while len(seen) < until:
        answer = await client.get(FEED, params={"after": after, "wait": 20, "limit": 2})
        assert answer.status_code == 200
        seen += answer.json()
        after = answer.headers["feed-position"]
    return seen


@contextlib.asynccontextmanager
async def all_delivered(far: Far, count: int, within: float) -> AsyncIterator[None]:
    """A stream and a long poll that wait get what happens in the block once each, and in time."""
    await create(far.client)
    before = (await everything(far.client))[-1]["position"]
    async with browsing(far.port, far.client, last=before) as browser:
        poll = asyncio.create_task(polling(far.client, before, count))
        services = far.service.app.state.services
        await eventually(lambda: waiting(services.hub, 2))
        yield
        async with asyncio.timeout(within):
            polled = await poll
            await eventually(lambda: browser.has(count), within)
        happened = [e for e in await everything(far.client) if int(e["position"]) > int(before)]
        assert browser.seen == polled == happened
        assert (len(happened), browser.cuts) == (count, 0)


async def waiting(hub: Any, count: int) -> bool:
    return len(hub._everybody()) == count


async def test_what_happens_while_nobody_tells_the_hub_is_delivered_once(far: Far) -> None:
    await eventually(lambda: told_by(far))
    async with all_delivered(far, 6, POLL + SLACK):
        old = await far.listening()
        await far.sql.execute(KILL)
        for number in range(5):  # before it listens again
            await create(far.client, name=f"Meanwhile {number}")
        await eventually(lambda: told_by(far, old))
        await create(far.client, name="After")


async def told_by(far: Far, *before: set[int]) -> bool:
    """Whether a process tells, another than those before."""
    return bool(await far.listening() - set().union(*before))


async def test_a_connection_that_is_frozen_without_an_error_is_replaced(far: Far) -> None:
    await eventually(lambda: told_by(far))
    async with all_delivered(far, 2, POLL + SLACK):
        old = await far.listening()
        assert far.proxy.freeze(API_ROLE.encode(), f"LISTEN {CHANNEL}".encode()) == 1
        await create(far.client, name="Untold")
        await eventually(lambda: told_by(far, old), 2 * POLL + SLACK)
        await create(far.client, name="Told again")


async def test_kills_at_random_lose_and_repeat_nothing(far: Far) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    async with all_delivered(far, 40, POLL + SLACK):
        for number in range(40):
            await create(far.client, name=f"T {number}")
            await asyncio.sleep(chance.random() * 0.1)
            if chance.random() < 0.2:
                await far.sql.execute(KILL)


async def test_who_reads_a_snapshot_for_long_holds_nothing_up(far: Far) -> None:
    async with all_delivered(far, 50, SLACK):
        await far.sql.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        count = "SELECT count(*) FROM event_store.events"
        old = await (await far.sql.execute(count)).fetchone()
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(create(far.client, name=f"T {n}") for n in range(50)))
        assert asyncio.get_running_loop().time() - started < SLACK
        assert await (await far.sql.execute(count)).fetchone() == old
    await far.sql.execute("COMMIT")


async def restore(far: Far, position: int) -> None:
    """The backup of when this was the last position."""
    await far.sql.execute("SET session_replication_role = replica")
    await far.sql.execute(CUT_TAIL, (position,))


@pytest.mark.parametrize("goes_on", [True, False])
async def test_who_was_further_than_the_backup_is_told(far: Far, goes_on: bool) -> None:
    yesterday = await far.service.head()
    for number in range(5):
        await create(far.client, name=f"Today {number}")
    items = await everything(far.client)
    last = items[-1]
    async with (
        browsing(far.port, far.client, query="after=0") as browser,
        browsing(far.port, far.client, query="after=0", last=last["position"]) as idle,
    ):
        await eventually(lambda: browser.has(len(items)))
        poll = asyncio.create_task(
            far.client.get(FEED, params={"after": last["position"], "wait": 20})
        )
        await eventually(lambda: waiting(far.service.app.state.services.hub, 3))
        await restore(far, yesterday)
        if goes_on:
            await create(far.client, name="Instead")

        async def refused() -> bool:
            return browser.refused == idle.refused == 409

        await eventually(refused, POLL + SLACK)
        assert browser.seen == items
        assert (await asyncio.wait_for(poll, POLL + SLACK)).json() == []
    beyond = {"after": last["position"]}
    assert_problem(await far.client.get(FEED, params=beyond), 409, "feed-rewound")
    for accept in ("application/x-ndjson", "application/cloudevents-batch+json"):
        answer = await far.client.get(FEED, params=beyond, headers={"Accept": accept})
        assert_problem(answer, 409, "feed-rewound")
    answer = await far.client.get(f"{FEED}/stream", headers={"Last-Event-ID": last["position"]})
    assert_problem(answer, 409, "feed-rewound")
    for number in range(9):  # further than before
        await create(far.client, name=f"New {number}")
    assert (await far.client.get(FEED, params=beyond)).status_code == 200
    answer = await far.client.get(FEED, params=beyond | {"afterId": last["id"]})
    assert_problem(answer, 409, "feed-rewound")


async def test_a_stream_on_which_always_something_happens_ends_with_its_key(
    service: Service, client: AsyncClient, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.event_stream.HEARTBEAT", 0.3)
    made = (await client.post("/api/keys", json={"label": "X", "role": "integrator"})).json()
    async with (
        service.with_token(made["key"]) as caller,
        browsing(port, caller, query="after=0") as browser,
    ):
        await eventually(lambda: browser.has(1))
        await client.delete(f"/api/keys/{made['id']}")

        async def refused() -> bool:
            await create(client)
            return browser.refused == 401

        await eventually(refused, RECHECK + SLACK)


async def test_a_process_that_stops_answers_what_it_is_still_asked(far: Far) -> None:
    await create(far.client)
    far.service.app.state.services.hub.stop()
    async with asyncio.timeout(SLACK):
        items = await everything(far.client)
        after = items[-1]["position"]
        answer = await far.client.get(FEED, params={"after": after, "wait": 20})
        assert (answer.status_code, answer.json()) == (200, [])
        assert (await far.client.get(f"{FEED}/stream")).status_code == 200


async def test_a_stream_has_a_head_that_ends(client: AsyncClient) -> None:
    answer = await asyncio.wait_for(client.head(f"{FEED}/stream"), SLACK)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_a_read_whose_connection_is_frozen_is_refused_and_the_next_has_another(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.pooled.ANSWER_TIMEOUT", 0.2)
    assert (await far.client.get(FEED)).status_code == 200
    assert far.proxy.freeze(b"AS MATERIALIZED")
    started = time.monotonic()
    assert_problem(await far.client.get(FEED), 503, "unavailable")
    assert time.monotonic() - started < 5 + SLACK  # psycopg tries for five to cancel the query
    assert (await far.client.get(FEED)).status_code == 200


async def test_a_list_and_what_follows_it_is_the_list_of_later(
    client: AsyncClient, port: int
) -> None:
    tables = [await create(client, name=f"T {number}") for number in range(20)]
    following = asyncio.Event()

    async def work(mine: list[dict[str, Any]]) -> None:
        for number in itertools.count():
            done = following.is_set()
            for table in mine:
                await client.patch(path(table), json={"name": f"{table['name']} {number}"})
            passing = await create(client, name=f"Passing {number}")
            await client.delete(path(passing))
            if done:
                await create(client, name="Last")
                return

    workers = [asyncio.create_task(work(tables[n::4])) for n in range(4)]
    await asyncio.sleep(0.05)
    listed = await client.get("/api/tables", params={"limit": 100})
    known = {row["id"]: row for row in listed.json()["items"]}
    after = listed.headers["event-position"]
    async with browsing(port, client, query=f"after={after}") as browser:
        await eventually(lambda: browser.has(10))
        following.set()
        await asyncio.gather(*workers)
        last = (await everything(client))[-1]["position"]

        async def there() -> bool:
            return browser.last == last

        await eventually(there, SLACK)
    for event in browser.seen:
        apply(known, event)
    headers = {"Min-Position": last}
    final = await client.get("/api/tables", params={"limit": 100}, headers=headers)
    facts = ("id", "name", "version")
    assert sorted(tuple(row[f] for f in facts) for row in known.values()) == sorted(
        tuple(row[f] for f in facts) for row in final.json()["items"]
    )


def apply(known: dict[str, dict[str, Any]], event: dict[str, Any]) -> None:
    """One event on a list of tables: the next of its table, neither missed nor seen before."""
    id, verb = event["tableId"], event["type"].split(".")[2]
    row = known.setdefault(id, {"id": id, "version": 0})
    assert event["version"] == row["version"] + 1
    row |= event["data"] | {"version": event["version"]}
    if verb == "deleted":
        del known[id]
