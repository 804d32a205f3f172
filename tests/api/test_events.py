"""The feed over HTTP: every event of the company in order, once, in whatever way it is followed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api.auth import RECHECK
from api.event_hub import EventHub
from api.roles import API_ROLE, as_role
from application.event_feed import Wanted
from application.event_store.session import Session
from application.feed import feed_item, public_item, rfc3339
from domain.recorded import Recorded, decode
from tests.api.conftest import Service
from tests.api.test_table_defs import assert_problem, create, path
from tests.conftest import eventually

pytestmark = pytest.mark.anyio

FEED = "/api/events"
CLOUD_EVENTS = {"Accept": "application/cloudevents-batch+json"}
LINES = {"Accept": "application/x-ndjson"}
CREATED, DELETED = ("dynamic-tables.table-def.created.v1", "dynamic-tables.table-def.deleted.v1")
ROWS = """
SELECT position, originator_id, originator_version, topic, state, event_id, company_id, recorded_at
  FROM event_store.events ORDER BY position
"""


async def everything(client: AsyncClient, **params: Any) -> list[dict[str, Any]]:
    """All pages of the feed, as a client follows them."""
    found: list[dict[str, Any]] = []
    after = "0"
    while True:
        answer = await client.get(FEED, params={"after": after, "limit": 3, **params})
        assert answer.status_code == 200
        found += answer.json()
        if after == answer.headers["feed-position"]:
            return found
        after = answer.headers["feed-position"]


async def test_pages_join_to_all_events_of_the_company_and_of_no_other(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    for number in range(5):
        await create(client, name=f"Ours {number}")
        await create(stranger, name=f"Theirs {number}")
    for caller, company in ((client, service.ours), (stranger, service.theirs)):
        feed = await everything(caller)
        stored = [e for e in await service.stored() if e.company_id == company]
        assert [int(item["position"]) for item in feed[-5:]] == [e.position for e in stored[-5:]]
        assert {item["companyId"] for item in feed} == {str(company)}
        positions = [int(item["position"]) for item in feed]
        assert positions == sorted(set(positions))


async def test_an_item_is_what_its_event_says(client: AsyncClient, sql: AsyncConnection) -> None:
    """Made from the stored bytes, it equals the one that is made from the event."""
    table = await create(client, name="Orders", color="#AABBCC")
    reason = {"Reason": "Spring%20cleaning"}
    await client.patch(path(table), json={"name": "X", "settings": {"a": 1}}, headers=reason)
    await client.delete(path(table))
    async with sql.cursor(binary=True) as cursor:
        await cursor.execute(ROWS)
        async for *row, company_id, recorded_at in cursor:
            position, originator_id, version, topic, state, _ = row
            event = decode(topic, originator_id, version, state)
            item = feed_item(Recorded(event, company_id, position, recorded_at))
            assert public_item(company_id, row) == item
            assert item["occurredAt"] == rfc3339(event.timestamp)


async def test_filters_move_on_also_when_nothing_matches(client: AsyncClient) -> None:
    tables = [await create(client, name=f"T {number}") for number in range(4)]
    await client.delete(path(tables[2]))
    assert [e["type"] for e in await everything(client, types=f"{DELETED}")] == [DELETED]
    of_one = await everything(client, tableId=tables[2]["id"])
    assert [e["type"] for e in of_one] == [CREATED, DELETED]
    nothing = await client.get(FEED, params={"types": "dynamic-tables.table-def.purged.v1"})
    assert nothing.json() == []
    assert nothing.headers["feed-position"] == nothing.headers["feed-head"] != "0"
    typo = await client.get(FEED, params={"types": f"{CREATED},dynamic-tables.typo"})
    assert assert_problem(typo, 422, "validation")["errors"][0]["pointer"] == "/types"


async def test_an_idle_poll_is_not_modified(client: AsyncClient) -> None:
    await create(client)
    head = (await client.get(FEED)).headers["feed-position"]
    idle = await client.get(FEED, params={"after": head})
    again = await client.get(
        FEED, params={"after": head}, headers={"If-None-Match": idle.headers["etag"]}
    )
    assert (idle.json(), again.status_code) == ([], 304)
    await create(client)
    changed = await client.get(
        FEED, params={"after": head}, headers={"If-None-Match": idle.headers["etag"]}
    )
    assert len(changed.json()) == 1


async def test_a_feed_that_went_back_is_told(service: Service, client: AsyncClient) -> None:
    await create(client)
    last = (await everything(client))[-1]
    beyond = {"after": str(await service.head() + 1000)}
    assert_problem(await client.get(FEED, params=beyond), 409, "feed-rewound")
    seen = {"after": last["position"], "afterId": last["id"]}
    assert (await client.get(FEED, params=seen)).status_code == 200
    other = await client.get(FEED, params=seen | {"afterId": str(uuid4())})
    assert_problem(other, 409, "feed-rewound")


async def test_a_list_s_position_is_where_to_follow_from(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    await create(client)
    await create(stranger)  # the position of the list is above the company's own head
    listed = await client.get("/api/tables")
    after = listed.headers["event-position"]
    assert (await client.get(FEED, params={"after": after})).json() == []
    table = await create(client)
    [event] = (await client.get(FEED, params={"after": after})).json()
    assert event["tableId"] == table["id"]


async def test_the_other_forms_say_the_same(client: AsyncClient) -> None:
    await create(client)
    items = (await client.get(FEED)).json()
    lines = await client.get(FEED, headers=LINES)
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in lines.text.splitlines()] == items
    assert lines.headers["feed-position"] == items[-1]["position"]
    events = (await client.get(FEED, headers=CLOUD_EVENTS)).json()
    for event, item in zip(events, items, strict=True):
        assert event["specversion"] == "1.0"
        assert (event["id"], event["type"], event["data"]) == (
            item["id"], item["type"], item["data"],
        )  # fmt: skip
        assert event["source"] == f"/companies/{item['companyId']}"
        assert event["dataschema"] == f"/api/schemas/{item['type']}"
        assert int(event["sequence"]) == int(event["position"]) == int(item["position"])
        assert all(isinstance(v, str) for k, v in event.items() if k != "data")


async def test_one_event_by_its_id(client: AsyncClient, stranger: AsyncClient) -> None:
    await create(client)
    item = (await everything(client))[-1]
    assert (await client.get(f"{FEED}/{item['id']}")).json() == item
    assert_problem(await stranger.get(f"{FEED}/{item['id']}"), 404, "not-found")


async def test_a_long_poll_ends_with_the_first_event_that_is_wanted(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    table = await create(client)
    params = {"after": "head", "wait": 10, "types": DELETED}
    waiting = asyncio.create_task(client.get(FEED, params=params))
    await asyncio.sleep(0.2)
    await create(stranger)
    await create(client, name="Not wanted")
    await asyncio.sleep(0.2)
    assert not waiting.done()
    deleted = await client.delete(path(table))
    answer = await asyncio.wait_for(waiting, 2)
    assert [e["type"] for e in answer.json()] == [DELETED]
    assert answer.headers["feed-position"] == deleted.headers["event-position"]


async def test_a_long_poll_in_vain_says_how_far_it_looked(client: AsyncClient) -> None:
    await create(client)
    answer = await client.get(FEED, params={"after": "head", "wait": 1})
    assert answer.json() == []
    assert answer.headers["feed-position"] == answer.headers["feed-head"]


@contextlib.asynccontextmanager
async def following(
    port: int, client: AsyncClient, **given: Any
) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """The blocks of a stream, as a browser reads them."""
    headers = {"Authorization": client.headers["authorization"], **given.pop("headers", {})}
    address = f"http://127.0.0.1:{port}{FEED}/stream"
    async with (
        AsyncClient(timeout=10) as real,
        real.stream("GET", address, params=given, headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _blocks(answer)


async def _blocks(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    block: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name and value:
            block[name] = value
        elif "data" in block:
            yield block
            block = {}


async def test_a_stream_has_what_was_and_what_comes_once_each(
    client: AsyncClient, stranger: AsyncClient, port: int
) -> None:
    await create(client, name="Before")
    before = await everything(client)
    async with following(port, client, after="0") as blocks:
        seen = [await anext(blocks) for _ in before]
        for number in range(20):
            await create(client, name=f"Live {number}")
            await create(stranger)
        seen += [await asyncio.wait_for(anext(blocks), 5) for _ in range(20)]
    items = await everything(client)
    assert [json.loads(block["data"]) for block in seen] == items
    assert [block["id"] for block in seen] == [item["position"] for item in items]
    assert [block["event"] for block in seen] == [item["type"] for item in items]


async def test_a_stream_resumes_where_it_was(client: AsyncClient, port: int) -> None:
    for number in range(3):
        await create(client, name=f"T {number}")
    items = await everything(client)
    resumed = {"Last-Event-ID": items[-2]["position"]}
    async with following(port, client, after="0", headers=resumed) as blocks:
        assert json.loads((await anext(blocks))["data"]) == items[-1]


async def test_a_stream_ends_for_whoever_may_no_longer(
    service: Service, client: AsyncClient, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.event_stream.HEARTBEAT", 0.1)
    made = (await client.post("/api/keys", json={"label": "X", "role": "integrator"})).json()
    async with service.with_token(made["key"]) as caller, following(port, caller) as blocks:
        await client.delete(f"/api/keys/{made['id']}")
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(blocks), RECHECK + 3)


async def test_a_stream_needs_the_scope(service: Service, port: int) -> None:
    async with service.client("viewer") as caller, AsyncClient() as real:
        headers = {"Authorization": caller.headers["authorization"]}
        address = f"http://127.0.0.1:{port}{FEED}/stream"
        assert_problem(await real.get(address, headers=headers), 403, "forbidden")
        assert_problem(await real.get(address), 401, "unauthenticated")


async def test_a_position_that_is_none_is_refused(client: AsyncClient) -> None:
    for after in ("-1", "x", "1" * 19, "１", ""):
        answer = await client.get(FEED, params={"after": after})
        assert assert_problem(answer, 422, "validation")["errors"][0]["pointer"] == "/after"
    for given in ("x", "-1"):
        answer = await client.get(f"{FEED}/stream", headers={"Last-Event-ID": given})
        assert_problem(answer, 400, "invalid-position")


class WatchedSession(Session):
    """Remembers above which positions it was asked for events."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo)
        self.asked: list[int] = []

    async def fetch(self, query: str, params: Any = ()) -> list[Any]:
        """As ever."""
        if "after" in params:
            self.asked.append(params["after"])
        return await super().fetch(query, params)


async def test_whoever_waits_before_the_hub_listens_does_not_make_it_read_the_past(
    service: Service, client: AsyncClient
) -> None:
    await create(client)
    conninfo = as_role(service.database, API_ROLE)
    session, head = WatchedSession(conninfo), await service.head()
    hub = EventHub(conninfo, session)
    with hub.subscribed(Wanted(service.ours), head) as subscription:
        running = asyncio.create_task(hub.run())
        table = await create(client)
        [row] = await subscription.take(5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await session.close()
    assert str(row[1]) == table["id"]
    assert min(session.asked) >= head


async def test_whoever_begins_to_wait_while_events_are_handed_over_is_told_to_read_again(
    service: Service, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(client)
    head, session = await service.head(), Session(as_role(service.database, API_ROLE))
    hub, late = EventHub(as_role(service.database, API_ROLE), session), []
    fetch = hub._fetch

    async def fetch_slowly(ids: set[UUID], after: int, until: int) -> Any:
        if service.theirs in ids:  # what is ours is handed over already
            late.append((hub.position, hub.reach))
        else:
            waiting.enter_context(hub.subscribed(Wanted(service.theirs), 0))
        return await fetch(ids, after, until)

    monkeypatch.setattr(hub, "_fetch", fetch_slowly)
    with contextlib.ExitStack() as waiting:
        ours = waiting.enter_context(hub.subscribed(Wanted(service.ours), 0))
        await hub._advance(head)
        assert [row[0] for row in await ours.take(0)][-1] == head
    await session.close()
    [(position, reach)] = late
    assert position == 0
    assert reach == head


async def test_nobody_is_woken_for_what_they_do_not_want(
    service: Service, client: AsyncClient
) -> None:
    hub, head = service.app.state.services.hub, await service.head()
    wanted = Wanted(service.ours, frozenset({"TableDef.Purged"}))
    with hub.subscribed(wanted, head) as subscription:
        await create(client)

        async def seen() -> bool:
            return bool(subscription.seen > head)

        await eventually(seen)
        assert not subscription.woken.is_set()
        assert await subscription.take(0) == []
        assert subscription.position == await service.head()
