"""What clients do to it: all at once, the same twice, and what is no request."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from uuid import uuid4

import httpx
import psutil

from api.ids import new_id
from api.keys import INSERT, NewKey, row
from tests.api.test_bad_input import BROKEN, UNSAFE
from tests.faults.report import fault
from tests.faults.world import World, connect

TABLES = "/api/tables"
JSON = {"Content-Type": "application/json"}
OURS = """
SELECT count(*) FROM pg_stat_activity
 WHERE application_name LIKE 'dynamic_tables%%' AND datname = current_database()
"""
EVENTS_OF = "SELECT count(*) FROM event_store.events WHERE originator_id = %s"


def statuses(answers: Iterable[httpx.Response]) -> Counter[str]:
    """How often each status came, with the code of those that are problems."""
    return Counter(
        str(each.status_code) if each.is_success else f"{each.status_code} {each.json()['code']}"
        for each in answers
    )


def said(counted: Counter[str]) -> str:
    """In words."""
    return ", ".join(f"{count} × {what}" for what, count in sorted(counted.items()))


@fault("one bad command in a batch of fifty", "it alone is refused")
async def batch(there: World) -> str:
    taken = (await there.client.get(TABLES)).json()["items"][0]["slug"]
    bodies = [{"name": f"B {n}", "slug": f"b-{uuid4().hex}"} for n in range(50)]
    bodies[25]["slug"] = taken
    async with there.appends_held() as owner:
        sent = [asyncio.create_task(there.client.post(TABLES, json=body)) for body in bodies]
        await there.blocked(owner)
        await asyncio.sleep(0.3)
    answers = await asyncio.gather(*sent)
    assert answers[25].json().get("code") == "slug-taken", answers[25].text
    counted = statuses(answers)
    assert counted == {"201": 49, "409 slug-taken": 1}, counted
    return said(counted)


@fault("100 clients create one slug; 100 PATCH with one ETag; 50 with one key; two swap slugs",
       "one winner each, exact refusals, one event")  # fmt: skip
async def races(there: World) -> str:
    slug = f"one-{uuid4().hex}"
    created = statuses(
        await asyncio.gather(
            *(there.client.post(TABLES, json={"name": "One", "slug": slug}) for _ in range(100))
        )
    )
    assert created == {"201": 1, "409 slug-taken": 99}, created
    table = (await there.client.get(f"{TABLES}/{await there.table()}")).json()
    path, etag = f"{TABLES}/{table['id']}", {"If-Match": f'"{table["version"]}"'}
    patched = statuses(
        await asyncio.gather(
            *(
                there.client.patch(path, json={"description": f"d {n}"}, headers=etag)
                for n in range(100)
            )
        )
    )
    assert patched == {"200": 1, "412 version-mismatch": 99}, patched
    key = {"Idempotency-Key": uuid4().hex}
    answers = await asyncio.gather(
        *(there.client.post(TABLES, json={"name": "Once"}, headers=key) for _ in range(50))
    )
    ids = {each.json()["id"] for each in answers if each.status_code == 201}
    assert len(ids) == 1, statuses(answers)
    events = await there.rows(EVENTS_OF, ids.pop())
    assert events == [(1,)], events
    pair = [(await there.client.get(f"{TABLES}/{await there.table()}")).json() for _ in "ab"]
    swapped = statuses(
        await asyncio.gather(
            *(
                there.client.patch(f"{TABLES}/{one['id']}", json={"slug": other["slug"]})
                for one, other in zip(pair, reversed(pair), strict=True)
            )
        )
    )
    assert swapped == {"409 slug-taken": 2}, swapped
    return (
        f"slug: {said(created)}; ETag: {said(patched)}; key: {said(statuses(answers))} with one id"
        f" and one event; swap: {said(swapped)}"
    )


@fault("same key, other body; same key, other company", "422; independent")
async def keys(there: World) -> str:
    key, other = {"Idempotency-Key": uuid4().hex}, NewKey.make()
    with connect(there.database) as owner:
        owner.execute(INSERT, row(other, new_id(), "admin", "faults"))
    theirs = key | {"Authorization": f"Bearer {other}"}
    answers = [
        await there.client.post(TABLES, json={"name": name}, headers=headers)
        for name, headers in (("A", key), ("B", key), ("B", theirs))
    ]
    counted = [next(iter(statuses([each]))) for each in answers]
    assert counted == ["201", "422 idempotency-key-reused", "201"], counted
    return ", ".join(counted)


@fault("NUL, lone surrogate, NaN, 1e400, duplicate keys, 2^60, depth 100,000, 10^5 keys, 50 MB,"
       " wrong encodings, bidi and zero-width text",
       "4xx with a pointer; memory bounded; never 500")  # fmt: skip
async def bad_input(there: World) -> str:
    before = _memory(there)
    bodies = [each.encode() for each in UNSAFE] + list(BROKEN)
    bodies += [b'{"name": "A", "name": "B"}', b" " * 300_000]
    bodies.append(json.dumps({"name": "A", "settings": {str(n): n for n in range(10**5)}}).encode())
    answers = [await there.client.post(TABLES, content=body, headers=JSON) for body in bodies]

    async def endless() -> object:
        for _ in range(50 * 16):
            yield b" " * 65_536

    answers += [
        await there.client.post(TABLES, content=endless(), headers=JSON)
        for _ in range(there.some(3, 20))
    ]
    counted = Counter(str(each.status_code) for each in answers)
    assert set(counted) <= {"400", "413", "422"}, counted
    pointers = [each for each in answers if each.status_code == 422]
    assert all("pointer" in error for each in pointers for error in each.json()["errors"])
    grown = _memory(there) - before
    assert grown < 60e6, grown
    return f"{said(counted)}; the API processes grew by {max(0, grown) / 1e6:.0f} MB"


@fault("300 clients on a few database connections, streams beside them",
       "fast answers or fast 503s, no pile-up, no connection for those who follow")  # fmt: skip
async def crowd(there: World) -> str:
    taken: list[float] = []
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, (await there.rows(OURS))[0][0])
            await asyncio.sleep(0.2)

    async def ask(number: int) -> httpx.Response:
        started = time.monotonic()
        path = TABLES if number % 2 else f"/api/events?after=head&wait={there.some(3, 20)}"
        answer = await there.client.get(path)
        if number % 2:
            taken.append(time.monotonic() - started)
        return answer

    watching = asyncio.create_task(watch())
    async with there.writers.writing():
        answers = await asyncio.gather(*(ask(number) for number in range(600)))
    watching.cancel()
    counted = statuses(answers)
    assert set(counted) <= {"200", "503 unavailable"}, counted
    slowest = max(taken)
    assert slowest < 20, slowest
    assert most < 60, most
    return (
        f"300 lists and 300 long polls at once: {said(counted)}; the slowest list took"
        f" {slowest:.2f} s; at most {most} connections of ours"
    )


def _memory(there: World) -> float:
    workers = there.service.children("-m api worker")
    return float(sum(psutil.Process(pid).memory_info().rss for pid in workers))
