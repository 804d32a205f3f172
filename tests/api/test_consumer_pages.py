"""The pages of consumers: how far behind each is, what is held back, and what ends one."""

import re
from typing import Any

import pytest
from httpx import AsyncClient

from tests.api.browsers import browser, main, once
from tests.api.conftest import Service
from tests.api.test_table_defs import create

pytestmark = pytest.mark.anyio
COPY = "/api/consumers/copy"
CREATED = "dynamic-tables.table-def.created.v1"
TERMS = {"partitions": "2", "leaseSeconds": "60", "maxAttempts": "3"}


async def refused(client: AsyncClient, times: int = 1) -> dict[str, Any]:
    """What is held back of a consumer, once it refused the one event that there is."""
    await client.put(COPY, json={"types": [CREATED], "maxAttempts": times})
    taken = (await client.post(f"{COPY}/fetch", json={})).json()
    said = {"lease": taken["lease"], "position": taken["events"][0]["position"], "error": "<i>no"}
    assert (await client.post(f"{COPY}/nack", json=said)).status_code == 200
    [held] = (await client.get(f"{COPY}/parked")).json()["items"]
    found: dict[str, Any] = held
    return found


async def test_an_empty_list_says_what_it_is_for_and_what_comes_first(service: Service) -> None:
    answer = await (await browser(service, "integrator")).get("/consumers")
    assert answer.status_code == 200
    assert 'href="/consumers/_new"' in main(answer)
    assert "<table" not in main(answer)


@pytest.mark.parametrize("role", ["viewer", "editor", "auditor"])
async def test_whoever_may_not_sees_a_page_that_says_so(
    service: Service, client: AsyncClient, role: str
) -> None:
    await client.put(COPY, json={})
    somebody = await browser(service, role)
    before = await service.kept()
    for path in ("/consumers", "/consumers/_new", "/consumers/copy"):
        answer = await somebody.get(path)
        assert answer.status_code == 403
        assert 'data-problem="forbidden"' in answer.text
    for path in ("_new", "copy/edit", "copy/seek", "copy/delete", "copy/parked/replay"):
        assert (await somebody.send(f"/consumers/{path}", name="copy")).status_code == 403
    assert await service.kept() == before


async def test_a_form_without_the_token_of_the_session_does_nothing(
    service: Service, client: AsyncClient
) -> None:
    await client.put(COPY, json={})
    admin = await browser(service)
    before = await service.kept()
    for path in ("_new", "copy/edit", "copy/seek", "copy/delete", "copy/parked/replay"):
        answer = await admin.client.post(f"/consumers/{path}", data={"name": "copy", **TERMS})
        assert answer.status_code == 403
        assert 'data-problem="csrf"' in answer.text
    assert await service.kept() == before


async def test_what_a_form_says_is_what_the_api_has(service: Service, client: AsyncClient) -> None:
    table, admin = await create(client), await browser(service)
    fields = {"name": "copy", "type": [CREATED], "table": "orders", "start": "head", **TERMS}
    mark = once()
    for _ in range(2):
        answer = await admin.send("/consumers/_new", once=mark, **fields)
        assert answer.headers["location"] == "/consumers/copy"
    made = (await client.get(COPY)).json()
    assert (made["types"], made["tableId"]) == ([CREATED], table["id"])
    assert (made["partitions"], made["leaseSeconds"], made["maxAttempts"]) == (2, 60, 3)
    assert made["position"] == made["head"]
    form = main(await admin.get("/consumers/copy/edit"))
    assert f'value="{CREATED}" checked' in form
    assert 'name="table" value="orders"' in form
    answer = await admin.send("/consumers/copy/edit", **TERMS | {"partitions": "4"})
    assert answer.status_code == 303
    made = (await client.get(COPY)).json()
    assert (made["types"], made["tableId"], made["partitions"]) == (None, None, 4)
    assert made["position"] == made["head"]


async def test_everything_wrong_stands_beside_its_field(service: Service) -> None:
    admin = await browser(service)
    before = await service.kept()
    answer = await admin.send(
        "/consumers/_new", name="no spaces", table="no-such-table", start="position",
        position="-1", partitions="17", leaseSeconds="soon", maxAttempts="",
    )  # fmt: skip
    assert answer.status_code == 422
    for id in ("name", "table", "start", "partitions", "lease-seconds", "max-attempts"):
        assert f'id="{id}-error"' in main(answer)
    assert 'value="no spaces"' in main(answer)
    wrong = await admin.send("/consumers/_new", name="copy", start="position",
                             position="9" * 18, **TERMS)  # fmt: skip
    assert wrong.status_code == 422
    assert 'role="alert"' in main(wrong)
    assert await service.kept() == before


async def test_a_new_one_leaves_that_of_the_same_name_as_it_is(
    service: Service, client: AsyncClient
) -> None:
    await client.put(COPY, json={"partitions": 5})
    admin = await browser(service)
    answer = await admin.send("/consumers/_new", name="copy", once=once(), **TERMS)
    assert answer.status_code == 422
    assert 'id="name-error"' in main(answer)
    assert (await client.get(COPY)).json()["partitions"] == 5


async def test_changing_one_that_is_gone_makes_none(service: Service, client: AsyncClient) -> None:
    answer = await (await browser(service)).send("/consumers/copy/edit", **TERMS)
    assert answer.status_code == 404
    assert (await client.get(COPY)).status_code == 404


async def test_lag_and_leases_are_shown_for_each_partition(
    service: Service, client: AsyncClient
) -> None:
    for n in range(6):
        await create(client, name=f"Table {n}")
    await client.put(COPY, json={"partitions": 2, "types": [CREATED]})
    taken = (await client.post(f"{COPY}/fetch", json={"limit": 1})).json()
    admin = await browser(service)
    assert "6 events" in main(await admin.get("/consumers"))
    page = main(await admin.get("/consumers/copy"))
    rows = re.findall(r'<tr><th scope="row">(\d)</th>(.*?)</tr>', page, re.DOTALL)
    assert [number for number, _ in rows] == ["0", "1"]
    counts = [int(n) for _, row in rows for n in re.findall(r">(\d+) events?<", row)]
    assert sum(counts) == 6
    [leased] = [int(number) for number, row in rows if "admin" in row]
    assert leased == taken["partition"]


async def test_what_is_parked_is_shown_handed_out_again_and_skipped(
    service: Service, client: AsyncClient
) -> None:
    await create(client)
    held, admin = await refused(client), await browser(service)
    page = main(await admin.get("/consumers/copy"))
    assert "Orders" in page
    assert "&lt;i&gt;no" in page
    assert "1 parked" in main(await admin.get("/consumers"))
    at = f"/consumers/copy/parked/{held['id']}"
    assert (await admin.send(f"{at}/replay")).status_code == 303
    [again] = (await client.get(f"{COPY}/parked")).json()["items"]
    assert again["attempts"] == 0
    assert "Orders" in main(await admin.get(f"{at}/drop"))
    assert (await admin.send(f"{at}/drop")).status_code == 303
    assert (await client.get(f"{COPY}/parked")).json()["items"] == []
    assert (await admin.send(f"{at}/drop")).status_code == 404


async def test_it_goes_on_at_a_position_or_a_time_of_the_readers_zone(
    service: Service, client: AsyncClient
) -> None:
    await create(client)
    await client.put(COPY, json={"start": "head"})
    admin = await browser(service)
    head = (await client.get(COPY)).json()["head"]
    for fields, position in (
        ({"to": "0"}, "0"),
        ({"to": "head"}, head),
        ({"to": "position", "position": "0"}, "0"),
        ({"to": "time", "time": "2999-01-01T00:00"}, head),
        ({"to": "time", "time": "2001-01-01T00:00"}, "0"),
    ):
        answer = await admin.send("/consumers/copy/seek", once=once(), **fields)
        assert answer.headers["location"] == "/consumers/copy"
        assert (await client.get(COPY)).json()["position"] == position, fields
    for wrong in ({"to": "position", "position": "x"}, {"to": "time", "time": "soon"},
                  {"to": "time"}, {"to": "position", "position": "9" * 18}):  # fmt: skip
        answer = await admin.send("/consumers/copy/seek", once=once(), **wrong)
        assert answer.status_code == 422
        assert "error" in main(answer)


async def test_it_is_deleted_once_its_name_is_typed(service: Service, client: AsyncClient) -> None:
    await client.put(COPY, json={})
    admin = await browser(service)
    answer = await admin.send("/consumers/copy/delete", name="cop")
    assert answer.status_code == 422
    assert 'id="confirm-error"' in main(answer)
    assert (await client.get(COPY)).status_code == 200
    answer = await admin.send("/consumers/copy/delete", name="copy")
    assert answer.headers["location"] == "/consumers"
    assert (await client.get(COPY)).status_code == 404


async def test_nobody_sees_the_consumers_of_another_company(service: Service) -> None:
    async with service.client(company=service.theirs) as stranger:
        await stranger.put("/api/consumers/theirs", json={})
    admin = await browser(service)
    assert "theirs" not in main(await admin.get("/consumers"))
    assert (await admin.get("/consumers/theirs")).status_code == 404
    answer = await admin.send("/consumers/theirs/delete", name="theirs")
    assert answer.status_code == 404


async def test_the_pages_speak_german(service: Service, client: AsyncClient) -> None:
    await client.put(COPY, json={})
    admin = await browser(service)
    for path in ("", "/_new", "/copy", "/copy/edit", "/copy/seek", "/copy/delete"):
        answer = await admin.get(f"/consumers{path}", **{"Accept-Language": "de"})
        assert answer.status_code == 200
        assert '<html lang="de"' in answer.text
