"""The pages over HTTP: who sees what, forms right and wrong, and what others do meanwhile."""

import asyncio
import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from httpx import AsyncClient, Response

from api.web.languages import LANGUAGES
from tests.api.conftest import Service
from tests.api.test_sessions import assert_guarded, assert_page, signed_in
from tests.api.test_table_defs import path

pytestmark = pytest.mark.anyio
REDIRECTS = {
    "/": "/sign-in",
    "/?q=a%20b&state=deleted": "/sign-in?next=%2F%3Fq%3Da%2520b%26state%3Ddeleted",
    "/tables/new": "/sign-in?next=%2Ftables%2Fnew",
}


def field(page: Response, name: str) -> str:
    """The value of a field of a form."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, name
    return html.unescape(found[1])


async def token(browser: AsyncClient) -> str:
    return str((await browser.get("/api/me")).json()["csrfToken"])


async def send(browser: AsyncClient, address: str, **fields: Any) -> Response:
    """Send a form of ours, with the token of the session."""
    return await browser.post(address, data={"csrf": await token(browser), **fields})


async def make(client: AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/api/tables", json={"name": "Orders", **fields})
    assert answer.status_code == 201
    return dict(answer.json())


async def read(client: AsyncClient, table: Mapping[str, Any]) -> dict[str, Any]:
    return dict((await client.get(path(table), params={"state": "all"})).json())


def settings_of(table: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """The form of the settings of a table, as its page has it."""
    on = [name for name, value in table["effectiveSettings"].items() if value is True]
    shown = {name: table[name] or "" for name in ("name", "slug", "description", "icon", "color")}
    switches = [name for name, value in table["effectiveSettings"].items() if value in (True, False)
                and isinstance(value, bool)]  # fmt: skip
    return {
        "version": table["version"], **shown, "workspaceId": table["workspaceId"] or "",
        "recordNameFormat": table["effectiveSettings"]["recordNameFormat"],
        "defaultView": table["effectiveSettings"]["defaultView"],
        "switch": switches, "on": on, "further": "", **changed,
    }  # fmt: skip


# Signing in, and on


async def test_whoever_is_not_signed_in_may_do_so_and_goes_on(
    service: Service, anyone: AsyncClient
) -> None:
    for address, target in REDIRECTS.items():
        answer = await anyone.get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, target)
    form = await anyone.get(REDIRECTS["/tables/new"])
    key = service.tokens[service.ours, "admin"]
    answer = await anyone.post("/sign-in", data={"key": key, "next": field(form, "next")})
    assert answer.headers["location"] == "/tables/new"
    for wrong in ("", "x", f"{key[:-1]}x"):
        answer = await anyone.post(
            "/sign-in", data={"key": wrong, "next": "/keys"}, headers={"Accept-Language": "de"}
        )
        assert (answer.status_code, field(answer, "next")) == (401, "/keys")
        assert 'aria-invalid="true" aria-describedby="key-error key-help"' in answer.text
        assert "Dieser Schlüssel ist unbekannt" in answer.text


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", "/a\r\nb"],
)
async def test_nobody_is_sent_to_another_site(
    service: Service, anyone: AsyncClient, target: str
) -> None:
    key = service.tokens[service.ours, "admin"]
    form = await anyone.get("/sign-in", params={"next": target})
    assert field(form, "next") == "/"
    answer = await anyone.post("/sign-in", data={"key": key, "next": target})
    assert answer.headers["location"] == "/"
    browser = await signed_in(service)
    assert (await send(browser, "/preferences", next=target)).headers["location"] == "/"


async def test_language_and_theme_are_remembered(service: Service) -> None:
    browser = await signed_in(service)
    assert '<html lang="en" data-theme="system">' in (await browser.get("/")).text
    german = await browser.get("/", headers={"Accept-Language": "fr, de-AT;q=0.9, en;q=0.5"})
    assert '<html lang="de"' in german.text
    assert "Noch keine Tabellen" in german.text
    await send(browser, "/preferences", language="de")
    await send(browser, "/preferences", theme="dark")
    assert '<html lang="de" data-theme="dark">' in (await browser.get("/")).text
    await send(browser, "/preferences", language="xx", theme="<b>")
    assert '<html lang="de" data-theme="dark">' in (await browser.get("/")).text


# Who sees what


@pytest.mark.parametrize("role", ["viewer", "editor", "integrator", "auditor", "admin"])
async def test_a_role_sees_what_it_may_do(service: Service, client: AsyncClient, role: str) -> None:
    table = await make(client)
    browser, writes = await signed_in(service, role), role in ("editor", "admin")
    for address in ("/", f"/tables/{table['id']}"):
        page = await browser.get(address)
        assert page.status_code == 200
        assert_guarded(page)
        assert ("/delete" in page.text) == writes
    assert ('href="/tables/new"' in (await browser.get("/")).text) == writes
    assert ('href="/keys"' in page.text) == (role == "admin")
    form = await browser.get("/tables/new")
    assert form.status_code == 200 if writes else assert_page(form, 403, "forbidden") is None
    if not writes:
        answer = await send(browser, f"/tables/{table['id']}/delete")
        assert_page(answer, 403, "forbidden")
    assert await read(client, table) == table or writes


async def test_nobody_sees_or_changes_anothers_table(service: Service, client: AsyncClient) -> None:
    async with service.client(company=service.theirs) as others:
        table = await make(others, name="Theirs", slug="theirs")
    browser = await signed_in(service)
    assert "Theirs" not in (await browser.get("/")).text
    for address in ("", "?version=1", "/purge", "/revert?version=1"):
        assert_page(await browser.get(f"/tables/{table['id']}{address}"), 404, "not-found")
    for action in ("", "/review", "/delete", "/restore", "/purge", "/duplicate", "/revert"):
        answer = await send(browser, f"/tables/{table['id']}{action}", version=1, name="X")
        assert_page(answer, 404, "not-found")
    for action in ("delete", "restore", "move"):
        answer = await send(browser, f"/tables/selected/{action}", id=table["id"])
        assert answer.status_code == 303
    async with service.client(company=service.theirs) as others:
        assert await read(others, table) == table


async def test_every_form_needs_the_token_of_its_session(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client)
    browser = await signed_in(service)
    before = await service.kept()
    forms = ["/tables/new", *(f"/tables/selected/{each}" for each in ("delete", "move", "purge"))]
    forms += [f"/tables/{table['id']}{each}" for each in ("", "/review", "/delete", "/duplicate")]
    for address in forms:
        for csrf in ({}, {"csrf": "x"}):
            answer = await browser.post(address, data={"name": "X", "id": table["id"], **csrf})
            assert_page(answer, 403, "csrf")
    assert await service.kept() == before


# The list


async def test_the_list_is_searched_filtered_and_paged(
    service: Service, client: AsyncClient
) -> None:
    for number in range(60):
        await make(
            client, name=f"Table {number:02}", description="even" if number % 2 == 0 else None
        )
    browser = await signed_in(service)
    seen: list[str] = []
    address = "/?sort=name"
    while address:
        page = await browser.get(address)
        seen += re.findall(r'class="name" data-row>([^<]+)<', page.text)
        more = re.search(r'href="([^"]+)" rel="next"', page.text)
        address = html.unescape(more[1]) if more else ""
    assert seen == [f"Table {number:02}" for number in range(60)]
    found = (await browser.get("/", params={"q": "EVEN", "sort": "-name"})).text
    assert '<span class="count" data-count>30</span>' in found
    assert found.index("Table 58") < found.index("Table 56")
    assert "Nothing matches" in (await browser.get("/?q=nowhere")).text
    for query, active in (("q=a", " hidden>0"), ("updatedBy=me&workspaceId=none", ">2")):
        assert f"data-active{active}<" in (await browser.get(f"/?{query}")).text
    assert_page(await browser.get("/?cursor=made-up"), 400, "invalid-cursor")
    assert_page(await browser.get("/?sort=colour"), 422, "validation")
    assert (await browser.get("/?q=&workspaceId=&sort=&unknown=1")).status_code == 200


async def test_a_row_tells_what_happened_last(service: Service, client: AsyncClient) -> None:
    table = await make(client)
    await client.patch(path(table), json={"settings": {"rows": 5}})
    browser = await signed_in(service)
    reached = service.app.state.services.history.progress.reach
    await reached(await service.head(), 10)
    assert " · Table settings changed" in (await browser.get("/")).text
    german = await browser.get("/", headers={"Accept-Language": "de"})
    assert " · Einstellungen einer Tabelle geändert" in german.text


async def test_names_are_text_wherever_they_are_shown(
    service: Service, client: AsyncClient
) -> None:
    evil = '"><script>alert(1)</script>{{7*7}}'
    table = await make(client, name=evil, description=evil, icon="<b>", slug="evil",
                       settings={"further": evil, "recordNameFormat": evil})  # fmt: skip
    browser = await signed_in(service)
    for address in (
        "/",
        "/?view=cards",
        f"/tables/{table['id']}",
        f"/tables/{table['id']}?version=1",
    ):
        page = await browser.get(address)
        assert_guarded(page)
        assert "<script>alert" not in page.text
        assert "49" not in re.findall(r'class="name"[^>]*>([^<]*)', page.text)
    answer = await send(browser, f"/tables/{table['id']}/delete")
    notice = await browser.get(answer.headers["location"])
    assert_guarded(notice)
    assert html.escape(evil, quote=False) in notice.text.replace("&#34;", '"')


async def test_several_are_deleted_moved_and_brought_back(
    service: Service, client: AsyncClient
) -> None:
    tables = [await make(client, name=f"T {number}") for number in range(3)]
    browser = await signed_in(service)
    ids = [table["id"] for table in tables]
    gone = await send(browser, "/tables/selected/delete", id=ids[:2], next="/?q=T")
    assert gone.headers["location"] == "/?q=T"
    page = await browser.get("/?q=T")
    assert "Deleted 2 tables." in page.text
    assert "Deleted 2 tables." not in (await browser.get("/?q=T")).text
    assert [bool((await read(client, table))["deletedAt"]) for table in tables] == [1, 1, 0]
    assert field(page, "id") in ids
    await send(browser, "/tables/selected/restore", id=ids)
    assert not any([(await read(client, table))["deletedAt"] for table in tables])
    assert_page(await send(browser, "/tables/selected/delete", id="x"), 422, "validation")


@pytest.mark.parametrize(
    "cookie",
    ["x", "[]", "{}", '{"text": 1}', '{"text": "deleted", "ids": 5}', '{"text": "../x"}',
     '{"text": "deleted", "undo": "/tables/x/purge"}', '{"text": "deleted", "undo": "//a/restore"}',
     '{"text": "deleted", "undo": "https://evil.example/a/restore"}', "%00", "\xff"],
)  # fmt: skip
async def test_a_notice_that_is_not_ours_says_nothing(service: Service, cookie: str) -> None:
    browser = await signed_in(service)
    browser.cookies.set("dynamic_tables_notice", quote(cookie))
    page = await browser.get("/")
    assert page.status_code == 200
    assert "data-toast" not in page.text


# A new table


async def test_a_form_makes_one_table_however_often_it_is_sent(
    service: Service, client: AsyncClient
) -> None:
    browser = await signed_in(service)
    form = await browser.get("/tables/new")
    new = {
        "once": field(form, "once"), "name": " Ünïcode – 表 ", "slug": "", "description": "a\r\nb",
        "icon": "package", "color": "#1A73E8", "workspaceId": "", "recordNameFormat": "",
        "defaultView": "kanban", "further": '{"rows": 50}',
        "switch": ["enableForm", "enableComments"], "on": ["enableForm"],
    }  # fmt: skip
    answers = [await send(browser, "/tables/new", **new) for _ in range(2)]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    [table] = (await client.get("/api/tables")).json()["items"]
    assert answers[0].headers["location"] == f"/tables/{table['id']}"
    assert (table["name"], table["description"], table["color"]) == (
        "Ünïcode – 表",
        "a\nb",
        "#1a73e8",
    )
    assert table["settings"] == {
        "defaultView": "kanban", "enableForm": True, "enableComments": False, "rows": 50,
    }  # fmt: skip


async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    service: Service, client: AsyncClient
) -> None:
    await make(client, slug="orders")
    browser = await signed_in(service)
    before = await service.kept()
    for fields, said in (
        ({"name": " "}, 'id="name-error"'),
        ({"name": "x" * 256}, 'id="name-error"'),
        ({"name": "A", "slug": "Not A Slug"}, 'id="slug-error"'),
        ({"name": "A", "slug": "orders"}, "orders-2"),
        ({"name": "A", "color": "red"}, 'id="color-error"'),
        ({"name": "A", "workspaceId": "x"}, 'id="workspaceId-error"'),
        ({"name": "A", "further": "{"}, 'id="further-error"'),
        ({"name": "A", "further": "[1]"}, 'id="further-error"'),
        ({"name": "A", "further": '{"enableForm": 1}'}, 'id="further-error"'),
        ({"name": "A", "further": '{"a b": 1}'}, "a b"),
        ({"name": "A", "icon": "x" * 51}, 'id="icon-error"'),
        ({"name": "A\u202e"}, 'id="name-error"'),
    ):
        answer = await send(browser, "/tables/new", description="kept", **fields)
        assert answer.status_code == 422, fields
        assert said in answer.text, fields
        assert ">kept</textarea>" in answer.text
        assert_guarded(answer)
    assert await service.kept() == before


async def test_a_table_without_a_name_is_asked_for_it(service: Service) -> None:
    browser = await signed_in(service)
    for name in ("", " "):
        answer = await send(browser, "/tables/new", name=name)
        assert answer.status_code == 422
        assert "This is needed." in answer.text


async def test_a_form_that_is_none_is_refused(service: Service) -> None:
    browser = await signed_in(service)
    headers = {"Content-Type": "application/json"}
    answer = await browser.post("/tables/new", content=b"{}", headers=headers)
    assert_page(answer, 415, "unsupported-media-type")
    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, status in ((b"name=%FF", 422), (b"a=1&" * 3_000, 422), (b"x" * 600_000, 413)):
        assert (
            await browser.post("/tables/new", content=body, headers=plain)
        ).status_code == status


# The settings of one


async def test_a_copy_is_no_danger(service: Service, client: AsyncClient) -> None:
    table = await make(client)
    page = (await (await signed_in(service)).get(f"/tables/{table['id']}")).text
    assert 0 < page.index("/duplicate") < page.index('id="danger"') < page.index("/delete")


async def test_a_view_that_is_not_among_the_choices_stays(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client, settings={"defaultView": "timeline"})
    browser = await signed_in(service)
    page = await browser.get(f"/tables/{table['id']}")
    assert '<option value="timeline" selected>timeline</option>' in page.text
    for view in ("timeline", "gallery"):
        await send(browser, f"/tables/{table['id']}", **settings_of(table, defaultView=view))
        assert (await read(client, table))["settings"] == {"defaultView": view}


async def test_only_what_was_changed_is_recorded_with_its_reason(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client, settings={"rows": 50, "enableForm": True})
    browser = await signed_in(service)
    same = settings_of(table, further='{"rows": 50}')
    answer = await send(browser, f"/tables/{table['id']}", **same)
    assert "Nothing was changed" in (await browser.get(answer.headers["location"])).text
    assert (await read(client, table))["version"] == 1
    on = [name for name in same["on"] if name != "enableComments"]
    changed = same | {"on": on, "further": "", "reason": "Nobody reads them – ünused"}
    review = await send(browser, f"/tables/{table['id']}/review", **changed)
    assert review.status_code == 200
    assert "Comments" in review.text
    assert (await read(client, table))["version"] == 1
    await send(browser, f"/tables/{table['id']}", **changed)
    assert (await read(client, table))["settings"] == {"enableForm": True, "enableComments": False}
    [event] = (await service.stored())[1:]
    assert event.metadata["reason"] == "Nobody reads them – ünused"


async def test_others_changes_of_other_fields_are_kept(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client)
    browser = await signed_in(service)
    await client.patch(path(table), json={"description": "Theirs", "settings": {"rows": 5}})
    mine = settings_of(table, name="Mine")
    answer = await send(browser, f"/tables/{table['id']}", **mine)
    assert "both are kept" in (await browser.get(answer.headers["location"])).text
    now = await read(client, table)
    assert (now["name"], now["description"], now["settings"]) == ("Mine", "Theirs", {"rows": 5})


async def test_a_form_that_was_refused_still_knows_what_its_writer_saw(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client)
    browser = await signed_in(service)
    await client.patch(path(table), json={"description": "Theirs"})
    refused = await send(browser, f"/tables/{table['id']}", **settings_of(table, name=" "))
    assert refused.status_code == 422
    assert field(refused, "version") == "1"
    mended = settings_of(table, name="Mine") | {"version": field(refused, "version")}
    await send(browser, f"/tables/{table['id']}", **mended)
    now = await read(client, table)
    assert (now["name"], now["description"]) == ("Mine", "Theirs")


async def test_what_clashes_is_shown_and_chosen_field_by_field(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client, description="Before")
    browser = await signed_in(service)
    await client.patch(path(table), json={"name": "Theirs", "description": "Theirs too"})
    mine = settings_of(table, name="Mine", description="Mine too", color="#188038")
    clash = await send(browser, f"/tables/{table['id']}", **mine)
    assert clash.status_code == 409
    assert_guarded(clash)
    for said in ("Before", "Theirs too", "Mine too", "pick:/name", "pick:/description"):
        assert said in clash.text
    assert "pick:/color" not in clash.text
    now = await read(client, table)
    chosen = mine | {
        "version": now["version"],
        "pick:/name": "theirs",
        "pick:/description": "yours",
    }
    assert (await send(browser, f"/tables/{table['id']}", **chosen)).status_code == 303
    now = await read(client, table)
    assert (now["name"], now["description"], now["color"]) == ("Theirs", "Mine too", "#188038")


async def test_a_copy_is_made_once(service: Service, client: AsyncClient) -> None:
    table = await make(client)
    browser = await signed_in(service)
    address = f"/tables/{table['id']}"
    for page in (await browser.get("/"), await browser.get(address)):
        found = re.search(r'name="once" value="([^"]+)"', page.text)
        assert found
        first, second = await asyncio.gather(
            *(send(browser, f"{address}/duplicate", once=found[1]) for _ in range(2))
        )
        assert first.headers["location"] == second.headers["location"]
    assert len((await client.get("/api/tables")).json()["items"]) == 3


async def test_it_is_deleted_restored_and_purged_by_its_name(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client)
    browser = await signed_in(service)
    address = f"/tables/{table['id']}"
    assert_page(await browser.get(f"{address}/purge"), 409, "not-deleted")
    gone = await send(browser, f"{address}/delete", reason="Not used")
    page = await browser.get(gone.headers["location"])
    assert f'action="{address}/restore"' in page.text
    assert "Orders" in (await browser.get("/?state=deleted")).text
    assert "Restore" in (await browser.get(address)).text
    await send(browser, f"{address}/restore")
    await send(browser, f"{address}/delete")
    assert (await send(browser, f"{address}/purge", name="orders")).status_code == 422
    assert (await send(browser, f"{address}/purge", name="Orders", erase="1")).status_code == 422
    assert (await send(browser, f"{address}/purge", name="Orders")).status_code == 303
    assert_page(await browser.get(address), 410, "table-purged")


async def test_a_version_is_looked_at_and_restored(service: Service, client: AsyncClient) -> None:
    table = await make(client, name="First")
    for name in ("Second", "Third"):
        await client.patch(path(table), json={"name": name})
    browser = await signed_in(service)
    then = await browser.get(f"/tables/{table['id']}?version=1")
    assert 'value="First"' in then.text
    assert '<fieldset class="all" disabled>' in then.text
    asked = await browser.get(f"/tables/{table['id']}/revert?version=1")
    assert "Third" in asked.text
    await send(browser, f"/tables/{table['id']}/revert", version=1, once=field(asked, "once"))
    assert (await read(client, table))["name"] == "First"
    assert_page(await browser.get(f"/tables/{table['id']}?version=9"), 404, "not-found")
    assert_page(await browser.get(f"/tables/{table['id']}/revert?version=9"), 422, "validation")
    assert_page(
        await send(browser, f"/tables/{table['id']}/revert", version="x"), 422, "validation"
    )


# Then


async def test_the_list_as_it_was_marks_what_is_new_changed_and_gone(
    service: Service, client: AsyncClient
) -> None:
    kept, changed, gone = [await make(client, name=name) for name in ("Kept", "Old", "Gone")]
    then = datetime.now(UTC).isoformat()
    await client.patch(path(changed), json={"name": "New name"})
    await client.delete(path(gone))
    await make(client, name="Newcomer")
    browser = await signed_in(service)
    page = (await browser.get("/", params={"asOf": then})).text
    marks = dict(
        re.findall(r'data-id="([^"]+)"[^§]*?class="mark (\w+)"', page.replace("<li", "§<li"))
    )
    assert marks == {kept["id"]: "same", changed["id"]: "changed", gone["id"]: "gone"}
    assert "Newcomer" in page
    assert "Old" in page
    assert "/delete" not in page
    assert_page(await browser.get("/?asOf=2999-01-01T00:00:00Z"), 422, "validation")


async def test_a_time_is_of_the_readers_zone(service: Service) -> None:
    browser = await signed_in(service)
    browser.cookies.set("dynamic_tables_zone", "Europe/Berlin")
    answer = await browser.get("/", params={"at": "2026-07-01T10:00", "q": "a"})
    expected = urlencode({"q": "a", "asOf": "2026-07-01T08:00:00.000000Z"})
    assert answer.headers["location"] == f"/?{expected}"
    browser.cookies.set("dynamic_tables_zone", "../../etc/passwd")
    answer = await browser.get("/", params={"at": "2026-07-01T10:00"})
    assert "10%3A00%3A00" in answer.headers["location"]


# Texts


def test_every_language_has_the_same_texts_with_the_same_arguments() -> None:
    def texts(code: str) -> Mapping[str, set[str]]:
        source = files("api.web").joinpath("catalogue", f"{code}.ftl").read_text("utf-8")
        found = re.findall(r"^([\w-]+) = (.*(?:\n[ }].*)*)", source, re.M)
        assert len(found) == len(dict(found)), "a text twice"
        return {id: set(re.findall(r"\$(\w+)", text)) for id, text in found}

    english = texts("en")
    for code in LANGUAGES:
        assert {id: arguments for id, arguments in texts(code).items() if id in english} == english
