"""What attackers and accidents send to the pages: nothing breaks, and nothing is lost."""

from typing import Any
from urllib.parse import quote

import pytest
from httpx import AsyncClient

from tests.api.conftest import Service
from tests.api.test_pages import field, make, read, send, settings_of, token
from tests.api.test_sessions import assert_page, sign_in, signed_in

pytestmark = pytest.mark.anyio
EAST, WEST = "Pacific/Kiritimati", "America/Los_Angeles"


async def test_a_new_table_without_any_name_is_refused_beside_its_field(service: Service) -> None:
    browser = await signed_in(service)
    answer = await send(browser, "/tables/new", name="", description="kept")
    assert answer.status_code == 422
    assert 'id="name-error"' in answer.text
    assert ">kept</textarea>" in answer.text


@pytest.mark.parametrize("address", ["/webhooks/new", "/consumers/_new"])
async def test_a_slug_that_nothing_can_have_is_no_table(service: Service, address: str) -> None:
    browser = await signed_in(service)
    fields = {"url": "https://example.com/", "name": "copy", "partitions": 1, "leaseSeconds": 60}
    answer = await send(browser, address, **fields, maxAttempts=3, table="a\0b")
    assert answer.status_code == 422
    assert 'id="table-error"' in answer.text


@pytest.mark.parametrize("zone", ["UTC", EAST, WEST])
async def test_the_first_and_the_last_day_of_all_break_no_page(
    service: Service, client: AsyncClient, zone: str
) -> None:
    key = {"label": "last", "role": "viewer", "expiresAt": "9999-12-31T23:59:59Z"}
    assert (await client.post("/api/keys", json=key)).status_code == 201
    await client.put("/api/consumers/copy", json={})
    browser = await signed_in(service)
    browser.cookies.set("dynamic_tables_zone", zone)
    first, last = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"
    for asked in ("/keys", *(f"/?asOf={quote(each)}" for each in ("0001-01-01T00:00:00Z", first))):
        assert (await browser.get(asked)).status_code == 200, asked
    for moment in (first, last):
        assert (await browser.get(f"/?at={quote(moment)}")).status_code == 422
        answer = await send(browser, "/consumers/copy/seek", to="time", time=moment)
        assert answer.status_code == 422
        assert 'id="seek-time-error"' in answer.text
    for day in ("0001-01-01", "9999-12-31"):
        for end in ("from", "to"):
            answer = await send(browser, "/history/exports", **{end: day})
            assert answer.status_code in (303, 422), (day, end)


async def test_an_origin_that_is_none_is_another_site(service: Service) -> None:
    browser = await signed_in(service)
    form = {"csrf": await token(browser), "name": "A"}
    for origin in ("http://[", "null", "", "http://test@evil.example", "http://test.evil.example"):
        answer = await browser.post("/tables/new", data=form, headers={"Origin": origin})
        assert_page(answer, 403, "csrf")


@pytest.mark.parametrize("count", ["9" * 400, "-1"])
async def test_a_notice_of_more_than_can_be_done_says_nothing(service: Service, count: str) -> None:
    browser = await signed_in(service)
    cookie = quote('{"text": "deleted-some", "count": ' + count + "}")
    browser.cookies.set("dynamic_tables_notice", cookie)
    page = await browser.get("/")
    assert page.status_code == 200
    assert "data-toast" not in page.text


async def change(client: AsyncClient, table: dict[str, Any], **fields: Any) -> None:
    assert (await client.patch(f"/api/tables/{table['id']}", json=fields)).status_code == 200


async def test_theirs_is_taken_of_what_is_inside_a_setting(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client, settings={"rows": {"a/b": 1, "own": 1}, "own": 1})
    browser = await signed_in(service)
    await change(client, table, settings={"rows": {"a/b": 2, "own": 2}})
    mine = '{"rows": {"a/b": 3, "own": 3}, "own": 3}'
    clash = await send(browser, f"/tables/{table['id']}", **settings_of(table, further=mine))
    assert clash.status_code == 409
    picks = {"pick:/settings/rows/a~1b": "theirs", "pick:/settings/rows/own": "theirs"}
    chosen = settings_of(table, version=field(clash, "version"), further=mine, **picks)
    review = await send(browser, f"/tables/{table['id']}/review", **chosen)
    assert "a/b" not in review.text.partition("<form")[0].partition("dialog-title")[2]
    assert (await send(browser, f"/tables/{table['id']}", **chosen)).status_code == 303
    settings = (await read(client, table))["settings"]
    assert settings == {"rows": {"a/b": 2, "own": 2}, "own": 3}


async def test_line_ends_that_no_field_can_show_are_no_change(
    service: Service, client: AsyncClient
) -> None:
    texts = {"recordNameFormat": "{{a}}\n{{b}}", "defaultView": "grid"}
    table = await make(client, description="one\r\ntwo", settings=texts)
    browser = await signed_in(service)
    shown = settings_of(  # as browsers have it: HTML Standard, 4.10.5.1.2 and 4.10.11
        table,
        description="one\r\ntwo",
        recordNameFormat="{{a}}{{b}}",
        defaultView="grid",
    )
    await send(browser, f"/tables/{table['id']}", **shown)
    assert await read(client, table) == table
    await send(browser, f"/tables/{table['id']}", **{**shown, "icon": "star"})
    now = await read(client, table)
    assert (now["icon"], now["description"], now["settings"]) == (
        "star", table["description"], table["settings"],
    )  # fmt: skip


async def with_scopes(service: Service, client: AsyncClient, *scopes: str) -> AsyncClient:
    """A browser that signed in with a key that has these scopes alone."""
    answer = await client.post("/api/keys", json={"label": "few", "scopes": scopes})
    browser = service.with_token(None)
    assert (await sign_in(browser, answer.json()["key"])).status_code == 303
    return browser


async def test_whoever_may_not_read_is_told_no_names(service: Service, client: AsyncClient) -> None:
    await client.post("/api/workspaces", json={"name": "Hidden"})
    key = (await client.post("/api/keys", json={"label": "Maker", "role": "admin"})).json()
    made = await service.with_token(key["key"]).post(
        "/api/keys", json={"label": "made", "role": "viewer"}
    )
    table = await make(service.with_token(key["key"]))
    await client.delete(f"/api/keys/{key['id']}")
    assert made.status_code == 201
    keys = await (await with_scopes(service, client, "keys:write")).get("/keys")
    assert keys.status_code == 200
    assert "Maker" not in keys.text
    writer = await with_scopes(service, client, "tables:write")
    form = await writer.get("/tables/new")
    assert form.status_code == 200
    assert "Hidden" not in form.text
    refused = await send(writer, f"/tables/{table['id']}", **settings_of(table, name=""))
    assert refused.status_code == 422
    assert "Maker" not in refused.text


async def test_a_table_that_is_selected_twice_counts_once(
    service: Service, client: AsyncClient
) -> None:
    table, browser = await make(client), await signed_in(service)
    await send(browser, "/tables/selected/delete", id=[table["id"]] * 3)
    assert "Deleted one table." in (await browser.get("/")).text


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        ("/tables/new", {"name": "A"}),
        ("/workspaces/new", {"name": "A"}),
        ("/keys/new", {"label": "A", "role": "viewer"}),
        ("/webhooks/new", {"url": "https://example.com/a", "paused": "1"}),
        ("/consumers/_new", {"name": "a", "partitions": 1, "leaseSeconds": 60, "maxAttempts": 3}),
    ],
)
async def test_a_form_that_was_sent_with_something_else_can_be_sent_again(
    service: Service, address: str, fields: dict[str, Any]
) -> None:
    browser = await signed_in(service)
    once = field(await browser.get(address), "once")
    first, *_ = fields
    other = {**fields, first: f"{fields[first]}-b"}
    assert (await send(browser, address, **fields, once=once)).status_code in (201, 303)
    refused = await send(browser, address, **other, once=once)
    assert refused.status_code == 422
    assert "This form was sent before with something else" in refused.text
    assert f'value="{other[first]}"' in refused.text
    again = await send(browser, address, **other, once=field(refused, "once"))
    assert again.status_code in (201, 303)


@pytest.mark.parametrize(
    ("kind", "theirs", "mine"),
    [
        ("webhooks", {"url": "https://example.com/b"}, {"description": "mine"}),
        ("consumers", {"leaseSeconds": 70}, {"maxAttempts": 9}),
    ],
)
async def test_what_others_changed_meanwhile_is_not_overwritten_unseen(
    service: Service, client: AsyncClient, kind: str, theirs: dict[str, Any], mine: dict[str, Any]
) -> None:
    if kind == "webhooks":
        new = {"url": "https://example.com/a", "paused": True}
        thing = (await client.post("/api/webhooks", json=new)).json()["id"]
        shown: dict[str, Any] = {"url": "https://example.com/a", "description": ""}
    else:
        await client.put("/api/consumers/copy", json={})
        thing, shown = "copy", {"partitions": 1, "leaseSeconds": 60, "maxAttempts": 10}
    address = f"/{kind}/{thing}/edit"
    browser = await signed_in(service)
    seen = field(await browser.get(address), "seen")
    assert (await send(browser, address, **shown | theirs, seen=seen)).status_code == 303
    assert (await send(browser, address, **shown | theirs, seen=seen)).status_code == 303
    refused = await send(browser, address, **shown | mine, seen=seen)
    assert refused.status_code == 422
    assert "It changed since you opened the page." in refused.text
    now = (await client.get(f"/api/{kind}/{thing}")).json()
    assert {name: now[name] for name in theirs} == theirs
    both = {**shown, **theirs, **mine, "seen": field(refused, "seen")}
    assert (await send(browser, address, **both)).status_code == 303
    now = (await client.get(f"/api/{kind}/{thing}")).json()
    assert {name: now[name] for name in {**theirs, **mine}} == {**theirs, **mine}
