"""Webhooks over HTTP: made, changed, paused, tried, told of; a secret is shown once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient, Response
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from standardwebhooks import Webhook, WebhookVerificationError

from api.pooled import transacting
from api.roles import PROJECTOR_ROLE, as_role
from api.scopes import ROLES as ROLE_SCOPES
from application.webhooks.sender import FOR_EVER
from application.webhooks.sending import Sending, utc_now
from tests.api.conftest import ROLES, Installation, Service, calling, cloning, installed, serving
from tests.api.receivers import Hook, receiving
from tests.api.tenants import key_id
from tests.api.test_idempotency import key
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio
WEBHOOKS = "/api/webhooks"
DRY = {"dryRun": "true"}
NOWHERE = "http://127.0.0.1:9/"  # nobody listens
CREATED, RENAMED = (f"dynamic-tables.table-def.{verb}.v1" for verb in ("created", "renamed"))
KEPT = """
SELECT 'endpoint', to_jsonb(t)::text FROM webhooks.endpoints t WHERE company_id = %(id)s
 UNION ALL
SELECT 'replay', to_jsonb(t)::text FROM webhooks.replays t WHERE company_id = %(id)s
 UNION ALL
SELECT 'delivery', to_jsonb(t)::text FROM webhooks.deliveries t WHERE company_id = %(id)s
 UNION ALL
SELECT 'consumer', to_jsonb(t)::text FROM consumers.consumers t WHERE company_id = %(id)s
 UNION ALL
SELECT 'partition', to_jsonb(t)::text FROM consumers.partitions t WHERE company_id = %(id)s
 UNION ALL
SELECT 'key', to_jsonb(t)::text FROM event_store.idempotency_keys t WHERE company_id = %(id)s
"""
Send = Callable[[dict[str, Any]], Awaitable[None]]


@pytest.fixture(scope="module")
async def installation(postgres_18: str) -> AsyncIterator[Installation]:
    """One that may send to this machine."""
    with cloning(postgres_18) as database:
        async with installed(database, webhook_private_addresses=True) as made:
            yield made


@pytest.fixture
async def send(service: Service) -> AsyncIterator[Send]:
    """Sends what is due to one webhook of ours, as the projector's process does."""
    conninfo = as_role(service.database, PROJECTOR_ROLE)
    options = {"autocommit": True, "prepare_threshold": 0}
    async with AsyncConnectionPool(conninfo, min_size=1, open=False, kwargs=options) as pool:
        post = service.app.state.services.outbound.post

        async def run(made: dict[str, Any]) -> None:
            of = (uuid4(), service.ours, UUID(made["id"]), FOR_EVER)
            await Sending(transacting(pool), post, utc_now, *of).send()

        yield run


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with receiving() as made:
        yield made


def at(made: dict[str, Any], action: str = "") -> str:
    return f"{WEBHOOKS}/{made['id']}{action}"


async def new_webhook(client: AsyncClient, url: str = NOWHERE, **more: Any) -> dict[str, Any]:
    answer = await client.post(WEBHOOKS, json={"url": url} | more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def shown(client: AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(at(made))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(client: AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get(WEBHOOKS)
    assert answer.status_code == 200, answer.text
    assert answer.json()["nextCursor"] is None
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def changed(client: AsyncClient, made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = await client.patch(at(made), json=changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def delivered(client: AsyncClient, made: dict[str, Any]) -> list[dict[str, Any]]:
    """All that was sent, newest first, two at a time."""
    found, cursor = [], {}
    while True:
        page = await client.get(at(made, "/deliveries"), params={"limit": "2"} | cursor)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        if page.json()["nextCursor"] is None:
            return found
        assert page.headers["link"].endswith('rel="next"')
        cursor = {"cursor": page.json()["nextCursor"]}


async def stored(sql: AsyncConnection, service: Service) -> list[Any]:
    """All that is kept of our webhooks."""
    return sorted(await (await sql.execute(KEPT.encode(), {"id": service.ours})).fetchall())


def errors(answer: Response) -> dict[str, str]:
    found = assert_problem(answer, 422, "validation")["errors"]
    return {error["pointer"]: error["code"] for error in found}


# Made


async def test_a_webhook_is_made_and_its_secret_is_shown_once(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    wish = {
        "url": "http://127.0.0.1:9/x?y=1", "description": "The warehouse", "tableId": table["id"],
        "types": [RENAMED, CREATED], "paused": True, "start": "0",
    }  # fmt: skip
    answer = await client.post(WEBHOOKS, json=wish)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == at(made)
    assert answer.headers["cache-control"] == "no-store"
    assert made.pop("secret").startswith("whsec_")
    actor = key_id(service.tokens[service.ours, "admin"])
    assert made == {
        "id": made["id"], "url": wish["url"], "description": "The warehouse",
        "types": [CREATED, RENAMED], "tableId": table["id"], "paused": True, "pausedFor": "asked",
        "failures": 0, "retryAt": None, "lastError": None, "position": "0", "head": made["head"],
        "createdBy": actor, "createdAt": made["createdAt"], "updatedBy": actor,
        "updatedAt": made["updatedAt"], "lag": {"events": 1, "seconds": made["lag"]["seconds"]},
        "waiting": 0, "replays": 0, "formerSecretUntil": None,
    }  # fmt: skip
    again = await shown(client, made)
    assert again | {"lag": made["lag"]} == made
    details = ("lag", "waiting", "replays", "formerSecretUntil")
    assert await listed(client) == [{n: made[n] for n in made if n not in details}]
    assert "whsec_" not in (await client.get(WEBHOOKS)).text + str(again)
    assert await service.topics() == ["Created"]  # webhooks are no events


async def test_a_webhook_begins_with_what_happens_next_unless_told(client: AsyncClient) -> None:
    await create(client)
    made = await new_webhook(client)
    assert (made["position"], made["lag"]["events"]) == (made["head"], 0)
    assert (made["types"], made["tableId"], made["paused"]) == (None, None, False)
    from_there = await new_webhook(client, start=made["head"])
    assert from_there["position"] == made["head"]
    answer = await client.post(WEBHOOKS, json={"url": NOWHERE, "start": "999999999999"})
    assert_problem(answer, 409, "feed-rewound")


BAD_URLS = [
    "", "x", "/hook", "//example.com/", "ftp://example.com/", "javascript:alert(1)",
    "file:///etc/passwd", "unix:/run/x.sock", "http://", "http:///x", "http://:80/", "https://?x",
    "http://user@example.com/", "http://user:password@example.com/", "http://example.com/#x",
    "http://example.com:0/", "http://example.com:99999/", "http://example.com:x/",
    "http://exämple.com/", "http://example.com/a b", "http://example.com/\r\nX: y",
    "http://[::1/", "http://[::x]/", "http://example.com/" + "x" * 2000, " http://example.com/",
    "http://example.com/\u0000", None, 5, ["http://example.com/"],
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
async def test_what_cannot_be_called_is_no_url(client: AsyncClient, url: Any) -> None:
    made = await new_webhook(client)
    for answer in (
        await client.post(WEBHOOKS, json={"url": url}),
        await client.patch(at(made), json={"url": url}),
    ):
        if isinstance(url, str) and "\0" in url:
            assert answer.status_code in (400, 422)
        else:
            assert errors(answer).keys() == {"/url"}
    assert (await shown(client, made))["url"] == NOWHERE


async def test_what_a_webhook_cannot_be_is_named_all_at_once(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    made = await new_webhook(client)
    before = await stored(sql, service)
    wrong = {
        "url": "ftp://example.com/", "description": "a\u202eb", "types": ["table.eaten"],
        "tableId": "x", "paused": "yes", "secret": "whsec_mine",
    }  # fmt: skip
    expected = {f"/{name}" for name in wrong} - {"/types"}
    for answer in (
        await client.post(WEBHOOKS, json=wrong | {"start": "soon"}),
        await client.patch(at(made), json=wrong),
    ):
        found = errors(answer)
        assert {pointer for pointer in found if not pointer.startswith("/types")} - {
            "/start"
        } == expected
        assert found["/secret"] in ("unknown-field", "read-only")
        assert any(pointer.startswith("/types") for pointer in found)
    assert errors(await client.post(WEBHOOKS, json={})) == {"/url": "required"}
    assert errors(await client.patch(at(made), json={"start": "0"})).keys() == {"/start"}
    for empty in ({"types": []}, {"paused": None}):
        name = next(iter(empty))
        assert errors(await client.patch(at(made), json=empty)).keys() == {f"/{name}"}
    assert await stored(sql, service) == before


async def test_private_addresses_are_refused_unless_the_installation_allows_them(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    made = await new_webhook(client, url="http://127.0.0.1:9/")
    before = await stored(sql, service)
    token = service.tokens[service.ours, "admin"]
    async with serving(service.database) as strict, calling(strict, token) as caller:
        for url in ("http://127.0.0.1/", "http://2130706433/", "http://[::1]:8080/x", "http://0/"):
            for params in ({}, DRY):
                for answer in (
                    await caller.post(WEBHOOKS, json={"url": url}, params=params),
                    await caller.patch(at(made), json={"url": url}, params=params),
                ):
                    assert errors(answer) == {"/url": "private-address"}
        tried = await caller.post(at(made, "/test"))
        assert (tried.status_code, tried.json()["delivered"]) == (200, False)
        assert "not a public address" in tried.json()["error"]
    assert await stored(sql, service) == before


async def test_there_is_a_limit_that_holds_when_many_come_at_once(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    async def at_once(count: int) -> list[Response]:
        wish = {"url": NOWHERE, "paused": True}
        return await asyncio.gather(*(client.post(WEBHOOKS, json=wish) for _ in range(count)))

    answers = [answer for _ in range(4) for answer in await at_once(22)]
    answers += await at_once(16)
    assert sorted(each.status_code for each in answers) == [201] * 100 + [409] * 4
    assert_problem(next(each for each in answers if each.status_code == 409), 409, "limit-reached")
    made = await listed(client)
    assert len(made) == 100
    assert made == sorted(made, key=lambda each: each["id"]), "oldest first"
    await new_webhook(stranger)
    assert (await client.delete(at(made[0]))).status_code == 204
    await new_webhook(client)


# Changed


async def test_a_change_keeps_what_is_absent_and_clears_what_is_null(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    made = await new_webhook(client, description="A", types=[CREATED], tableId=table["id"])
    async with service.client("integrator") as other:
        now = await changed(other, made, description="B")
    assert (now["description"], now["types"], now["tableId"]) == ("B", [CREATED], table["id"])
    assert now["updatedBy"] == key_id(service.tokens[service.ours, "integrator"])
    assert now["createdBy"] == made["createdBy"]
    cleared = await changed(client, made, description=None, types=None, tableId=None)
    assert [cleared[each] for each in ("description", "types", "tableId")] == [None] * 3
    url = "http://127.0.0.1:10/"
    assert (await changed(client, made, url=url, types=[RENAMED]))["url"] == url
    merge_patch = {"Content-Type": "application/merge-patch+json"}
    patched = await client.patch(at(made), content=b'{"paused": true}', headers=merge_patch)
    assert (patched.json()["paused"], patched.json()["pausedFor"]) == (True, "asked")
    assert "whsec_" not in patched.text
    assert (await shown(client, made))["types"] == [RENAMED]
    resumed = await changed(client, made, paused=False)
    assert (resumed["paused"], resumed["pausedFor"]) == (False, None)


async def test_a_paused_webhook_gets_everything_when_it_goes_on(
    client: AsyncClient, hook: Hook, send: Send
) -> None:
    made = await new_webhook(client, hook.url, paused=True)
    table = await create(client)
    await send(made)
    assert hook.messages == []
    await changed(client, made, description="still paused")
    await send(made)
    assert hook.messages == []
    await changed(client, made, paused=False)
    await send(made)
    [item] = hook.items()
    assert (item["type"], item["tableId"]) == (CREATED, table["id"])
    after = await shown(client, made)
    assert (after["lag"]["events"], after["position"]) == (0, after["head"])


async def test_false_tries_at_once_what_waits_after_a_failure(
    client: AsyncClient, hook: Hook, send: Send
) -> None:
    made = await new_webhook(client, hook.url)
    hook.status = 500
    await create(client)
    await create(client)
    await send(made)
    waits = await shown(client, made)
    assert waits["failures"] > 0
    assert waits["lastError"] == "answered 500"
    assert waits["waiting"] > 0
    assert waits["pausedFor"] is None
    hook.status = 200
    hook.messages.clear()
    await changed(client, made, description="says nothing about when")
    await send(made)
    assert hook.messages == []
    await changed(client, made, paused=False)
    await send(made)
    assert len(hook.messages) == 2
    after = await shown(client, made)
    assert (after["failures"], after["waiting"], after["retryAt"]) == (0, 0, None)


async def test_410_and_false(client: AsyncClient, hook: Hook, send: Send) -> None:
    made = await new_webhook(client, hook.url)
    hook.status = 410
    await create(client)
    await send(made)
    assert (await shown(client, made))["pausedFor"] == "gone"
    hook.status = 200
    await changed(client, made, paused=False)
    await send(made)
    assert [each["error"] for each in await delivered(client, made)] == [None, "answered 410"]


async def test_a_deleted_webhook_is_gone_with_all_that_was_sent(
    service: Service, client: AsyncClient, sql: AsyncConnection, hook: Hook, send: Send
) -> None:
    before = await stored(sql, service)
    made = await new_webhook(client, hook.url)
    await create(client)
    await send(made)
    answer = await client.delete(at(made))
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await client.get(at(made)), 404, "not-found")
    assert_problem(await client.delete(at(made)), 404, "not-found")
    assert await listed(client) == []
    assert await stored(sql, service) == before


# Its secret


async def tried(client: AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(at(made, "/test"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def verifies(hook: Hook, secret: str) -> bool:
    headers, body = hook.messages[-1]
    try:
        return bool(Webhook(secret).verify(body, headers))
    except WebhookVerificationError:
        return False


async def test_a_secret_is_replaced_and_for_a_while_both_verify(
    client: AsyncClient, hook: Hook, send: Send
) -> None:
    made = await new_webhook(client, hook.url)
    await create(client)
    await send(made)
    assert verifies(hook, made["secret"])
    now = datetime.now(UTC)
    answer = await client.post(at(made, "/rotate"), json={"overlapSeconds": 3600})
    rotated = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == at(made)
    assert answer.headers["cache-control"] == "no-store"
    until = datetime.fromisoformat(rotated["formerSecretUntil"])
    assert abs(until - now - timedelta(hours=1)) < timedelta(seconds=10)
    assert rotated["secret"] != made["secret"]
    assert "whsec_" not in str(await shown(client, made))
    await create(client)
    await send(made)
    assert verifies(hook, made["secret"])
    assert verifies(hook, rotated["secret"])
    again = (await client.post(at(made, "/rotate"), json={"overlapSeconds": 0})).json()
    await tried(client, made)
    assert verifies(hook, again["secret"])
    assert not verifies(hook, rotated["secret"])
    assert not verifies(hook, made["secret"])


async def test_the_overlap_is_a_day_unless_told_and_bounded(client: AsyncClient) -> None:
    made = await new_webhook(client)
    for body in (None, {}):
        rotated = (await client.post(at(made, "/rotate"), json=body)).json()
        until = datetime.fromisoformat(rotated["formerSecretUntil"])
        assert abs(until - datetime.now(UTC) - timedelta(days=1)) < timedelta(seconds=10)
    for wrong in (-1, 30 * 86_400 + 1, "1", 1.5, None):
        answer = await client.post(at(made, "/rotate"), json={"overlapSeconds": wrong})
        assert errors(answer).keys() == {"/overlapSeconds"}


async def test_a_test_message_says_what_came_back_and_is_no_delivery(
    client: AsyncClient, hook: Hook
) -> None:
    made = await new_webhook(client, hook.url, paused=True)
    well = await tried(client, made)
    assert well | {"milliseconds": 0} == {
        "delivered": True, "status": 204, "error": None, "answer": "", "milliseconds": 0,
    }  # fmt: skip
    assert verifies(hook, made["secret"])
    [item] = hook.items()
    assert item["type"] == "dynamic-tables.webhook.test.v1"
    assert item["data"] == {"webhookId": made["id"]}
    hook.status = 418
    ill = await tried(client, made)
    assert (ill["delivered"], ill["status"], ill["answer"]) == (False, 418, "well")
    nobody = await tried(client, await new_webhook(client, NOWHERE))
    assert (nobody["delivered"], nobody["status"]) == (False, None)
    assert nobody["error"]
    assert await delivered(client, made) == []
    assert (await shown(client, made))["failures"] == 0
    heard = len(hook.messages)
    assert errors(await client.post(at(made, "/test"), params=DRY)).keys() == {"/dryRun"}
    assert len(hook.messages) == heard, "what cannot be rehearsed is not done instead"


# What was sent, and again


async def test_deliveries_are_listed_newest_first_page_by_page(
    client: AsyncClient, hook: Hook, send: Send
) -> None:
    made, other = await new_webhook(client, hook.url), await new_webhook(client, hook.url)
    names = [f"T{number}" for number in range(5)]
    for name in names:
        await create(client, name=name)
        await send(made)
    found = await delivered(client, made)
    assert [each["eventId"] for each in found] == [item["id"] for item in hook.items()][::-1]
    assert len({each["id"] for each in found}) == 5
    newest, item = found[0], hook.items()[-1]
    assert newest | {"milliseconds": 0} == {
        "id": newest["id"], "eventId": item["id"], "position": item["position"], "type": CREATED,
        "attempt": 1, "replayed": False, "at": newest["at"], "milliseconds": 0, "status": 204,
        "error": None, "answer": "",
    }  # fmt: skip
    assert await delivered(client, other) == []
    page = await client.get(at(made, "/deliveries"), params={"limit": "2"})
    elsewhere = {"cursor": page.json()["nextCursor"]}
    answer = await client.get(at(other, "/deliveries"), params=elsewhere)
    assert_problem(answer, 400, "invalid-cursor")
    for limit in ("0", "201", "x"):
        answer = await client.get(at(made, "/deliveries"), params={"limit": limit})
        assert errors(answer).keys() == {"/limit"}


async def test_one_event_is_delivered_once_more(
    client: AsyncClient, hook: Hook, send: Send
) -> None:
    made = await new_webhook(client, hook.url)
    table = await create(client)
    await client.patch(path(table), json={"name": "B"})
    await send(made)
    first = (await delivered(client, made))[-1]
    answer = await client.post(at(made, f"/deliveries/{first['id']}/redeliver"))
    assert (answer.status_code, answer.json()["replays"]) == (202, 1)
    assert (await shown(client, made))["replays"] == 1
    hook.messages.clear()
    await send(made)
    assert [item["id"] for item in hook.items()] == [first["eventId"]]
    assert (await shown(client, made))["replays"] == 0
    newest = (await delivered(client, made))[0]
    assert (newest["eventId"], newest["replayed"], newest["attempt"]) == (first["eventId"], True, 1)
    unknown = await client.post(at(made, f"/deliveries/{uuid4()}/redeliver"))
    assert_problem(unknown, 404, "not-found")


async def test_a_range_is_sent_once_more_in_order(
    client: AsyncClient, hook: Hook, send: Send
) -> None:
    made = await new_webhook(client, hook.url, types=[RENAMED])
    table = await create(client)
    for name in "BCDE":
        await client.patch(path(table), json={"name": name})
    await send(made)
    positions = [item["position"] for item in hook.items()]
    hook.messages.clear()
    await client.post(at(made, "/replay"), json={"after": positions[0], "until": positions[2]})
    await send(made)
    assert [item["position"] for item in hook.items()] == positions[1:3]
    head = (await shown(client, made))["head"]
    beyond = {"after": "0", "until": f"{int(head) + 1}"}
    answer = await client.post(at(made, "/replay"), json=beyond)
    assert_problem(answer, 409, "feed-rewound")
    for wrong in (
        {"after": "2", "until": "2"}, {"after": "3", "until": "2"}, {"after": "0"},
        {"after": -1, "until": "2"}, {"after": "x", "until": "2"}, {"after": "0", "until": "head"},
    ):  # fmt: skip
        errors(await client.post(at(made, "/replay"), json=wrong))
    assert (await shown(client, made))["replays"] == 0


async def test_what_is_sent_again_waits_when_it_is_refused(
    client: AsyncClient, hook: Hook, send: Send
) -> None:
    made = await new_webhook(client, hook.url)
    await create(client)
    await send(made)
    head = (await shown(client, made))["head"]
    hook.status = 500
    hook.messages.clear()
    await client.post(at(made, "/replay"), json={"after": "0", "until": head})
    await send(made)
    await send(made)
    assert len(hook.messages) == 1
    assert (await shown(client, made))["replays"] == 1
    hook.status = 410
    await client.post(at(made, "/replay"), json={"after": "0", "until": head})
    await send(made)
    assert (await shown(client, made))["pausedFor"] == "gone"


async def test_no_more_is_asked_to_be_sent_again_than_is_bounded(client: AsyncClient) -> None:
    made = await new_webhook(client, paused=True)
    await create(client)
    head = (await shown(client, made))["head"]
    wish = {"after": "0", "until": head}
    answers = [await client.post(at(made, "/replay"), json=wish) for _ in range(101)]
    assert [each.status_code for each in answers] == [202] * 100 + [409]
    assert_problem(answers[-1], 409, "limit-reached")


# Rehearsed, and repeated


async def test_every_write_can_be_rehearsed(
    service: Service, client: AsyncClient, sql: AsyncConnection, hook: Hook, send: Send
) -> None:
    made = await new_webhook(client, hook.url)
    await create(client)
    await send(made)
    [sent] = await delivered(client, made)
    before = await stored(sql, service)
    for method, address, body in (
        ("POST", WEBHOOKS, {"url": NOWHERE}),
        ("PATCH", at(made), {"paused": True, "url": NOWHERE}),
        ("DELETE", at(made), None),
        ("POST", at(made, "/rotate"), {"overlapSeconds": 0}),
        ("POST", at(made, "/replay"), {"after": "0", "until": sent["position"]}),
        ("POST", at(made, f"/deliveries/{sent['id']}/redeliver"), None),
    ):
        answer = await client.request(method, address, params=DRY, json=body, headers=key())
        rehearsed = answer.json()
        assert answer.status_code == 200, answer.text
        assert (rehearsed["dryRun"], rehearsed["events"]) == (True, [])
        assert rehearsed["webhook"].keys() == made.keys() - {"secret"}
        assert "whsec_" not in answer.text
        assert "location" not in answer.headers
        assert await stored(sql, service) == before


async def test_a_repeated_creation_makes_one_webhook_and_shows_its_secret_once(
    client: AsyncClient,
) -> None:
    wish = {"url": NOWHERE, "description": "once"}
    answers = await asyncio.gather(
        *(client.post(WEBHOOKS, json=wish, headers=key("create")) for _ in range(10))
    )
    [first] = [answer for answer in answers if answer.json()["secret"]]
    assert "idempotency-replayed" not in first.headers
    for answer in answers:
        if answer is not first:
            assert answer.status_code == 201
            assert answer.headers["idempotency-replayed"] == "true"
            assert answer.headers["location"] == first.headers["location"]
            assert answer.json() == first.json() | {"secret": None}
    assert len(await listed(client)) == 1
    other = await client.post(WEBHOOKS, json=wish | {"paused": True}, headers=key("create"))
    assert_problem(other, 422, "idempotency-key-reused")


async def test_every_write_is_carried_out_once(client: AsyncClient, hook: Hook, send: Send) -> None:
    made = await new_webhook(client, hook.url)
    await create(client)
    await send(made)
    [sent] = await delivered(client, made)
    for number, (method, address, body) in enumerate(
        (
            ("PATCH", at(made), {"description": "B"}),
            ("POST", at(made, "/rotate"), {"overlapSeconds": 60}),
            ("POST", at(made, "/replay"), {"after": "0", "until": sent["position"]}),
            ("POST", at(made, f"/deliveries/{sent['id']}/redeliver"), None),
            ("DELETE", at(made), None),
        )
    ):
        first = await client.request(method, address, json=body, headers=key(f"k{number}"))
        assert first.status_code < 300, first.text
        before = await client.get(at(made))
        again = await client.request(method, address, json=body, headers=key(f"k{number}"))
        assert (again.status_code, again.headers["idempotency-replayed"]) == (
            first.status_code, "true",
        ), again.text  # fmt: skip
        assert "idempotency-replayed" not in first.headers
        assert "whsec_" not in again.text
        after = await client.get(at(made))
        assert after.status_code == before.status_code
        if after.status_code == 200:
            assert after.json() | {"lag": 0} == before.json() | {"lag": 0}
        reused = await client.post("/api/tables", json={"name": "A"}, headers=key(f"k{number}"))
        assert_problem(reused, 422, "idempotency-key-reused")


async def test_a_refused_request_does_not_use_up_its_idempotency_key(client: AsyncClient) -> None:
    unknown = {"id": uuid4()}
    for refused in (
        await client.delete(at(unknown), headers=key()),
        await client.post(at(unknown, "/rotate"), headers=key()),
        await client.post(WEBHOOKS, json={"url": "x"}, headers=key()),
        await client.post(WEBHOOKS, json={"url": NOWHERE, "start": "999999999999"}, headers=key()),
    ):
        assert refused.status_code in (404, 409, 422)
    made = await client.post(WEBHOOKS, json={"url": NOWHERE}, headers=key())
    assert (made.status_code, "idempotency-replayed" in made.headers) == (201, False)


# Whose it is


async def test_anothers_webhook_is_answered_like_one_that_never_was(
    client: AsyncClient, stranger: AsyncClient, hook: Hook, send: Send
) -> None:
    made = await new_webhook(client, hook.url)
    await create(client)
    await send(made)
    [sent] = await delivered(client, made)
    before = await shown(client, made)
    unknown = {"id": str(uuid4())}
    for one in (made, unknown):
        for method, action, body in (
            ("GET", "", None),
            ("PATCH", "", {"paused": True}),
            ("DELETE", "", None),
            ("POST", "/rotate", None),
            ("POST", "/test", None),
            ("GET", "/deliveries", None),
            ("POST", f"/deliveries/{sent['id']}/redeliver", None),
            ("POST", "/replay", {"after": "0", "until": "1"}),
        ):
            answer = await stranger.request(method, at(one, action), json=body)
            problem = assert_problem(answer, 404, "not-found")
            assert str(one["id"]) not in problem["detail"]
    theirs = await new_webhook(stranger)
    swapped = await stranger.post(at(theirs, f"/deliveries/{sent['id']}/redeliver"))
    assert_problem(swapped, 404, "not-found")
    assert [each["id"] for each in await listed(stranger)] == [theirs["id"]]
    assert await shown(client, made) | {"lag": 0} == before | {"lag": 0}
    assert len(hook.messages) == 1


async def test_only_who_may_see_and_change_webhooks(service: Service, client: AsyncClient) -> None:
    made = await new_webhook(client)
    for role in ROLES:
        async with service.client(role) as caller:
            for method, address, body in (
                ("GET", WEBHOOKS, None),
                ("GET", at(made), None),
                ("GET", at(made, "/deliveries"), None),
                ("PATCH", at(made), {"description": role}),
                ("POST", at(made, "/test"), None),
                ("POST", WEBHOOKS, {"url": NOWHERE}),
            ):
                answer = await caller.request(method, address, json=body)
                if "webhooks:write" in ROLE_SCOPES[role]:
                    assert answer.status_code in (200, 201), answer.text
                else:
                    problem = assert_problem(answer, 403, "forbidden")
                    assert problem["missingScope"] == "webhooks:write"


async def test_what_the_caller_has_already_is_304(client: AsyncClient) -> None:
    made = await new_webhook(client)
    for address in (WEBHOOKS, at(made), at(made, "/deliveries")):
        answer = await client.get(address)
        same = await client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
