"""The history as pages: what each role sees, page by page, filtered, erased, and in German."""

import hashlib
import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from psycopg import AsyncConnection

from api.roles import PROJECTOR_ROLE, as_role
from api.web.history import PAGE
from api.web.languages import Language
from application.event_store.session import connect
from domain.recorded import event_classes
from tests.api.conftest import WORKSPACE, Service
from tests.api.happenings import events_of_every_type
from tests.api.tenants import key_id, new_workspace
from tests.api.test_audit_exports import make as make_exports
from tests.api.test_pages import field, make, send
from tests.api.test_sessions import assert_guarded, assert_page, signed_in
from tests.api.test_table_defs import path

pytestmark = pytest.mark.anyio
GERMAN = {"Accept-Language": "de"}


async def reader(service: Service, role: str = "admin") -> AsyncClient:
    """A browser of somebody who comes when the read models show all that happened."""
    services, head = service.app.state.services, await service.head()
    for model in (services.history, services.tables, services.tenancy):
        assert await model.progress.reach(head, 20)
    return await signed_in(service, role)


def said(page: Response) -> Sequence[str]:
    """What happened, as the page says it."""
    assert page.status_code == 200, page.text
    found = re.findall(r'<span class="what">(.*?)</span>', page.text, re.S)
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", each)).split()) for each in found]


def link(page: Response, beginning: str) -> str:
    """Where a link goes whose address begins so; empty if there is none."""
    found = re.search(rf'href="({re.escape(beginning)}[^"]*)"', page.text)
    return html.unescape(found[1]) if found else ""


async def gone(client: AsyncClient, *, erase: bool) -> dict[str, Any]:
    table = await make(client, name="Zwiebelkuchen")
    await client.patch(path(table), json={"name": "Flammkuchen"})
    await client.delete(path(table))
    body, reason = {"erase": erase}, {"Reason": "asked%20for"}
    answer = await client.post(f"{path(table)}/purge", json=body, headers=reason)
    assert answer.is_success, answer.text
    return table


# Who sees what


@pytest.mark.parametrize("role", ["viewer", "editor", "integrator", "auditor", "admin"])
async def test_a_role_sees_what_it_may(service: Service, client: AsyncClient, role: str) -> None:
    table = await make(client)
    await client.patch(path(table), json={"name": "Sales"})
    browser = await reader(service, role)
    page = await browser.get(f"/tables/{table['id']}/history")
    assert_guarded(page)
    assert said(page) == ["admin renamed Orders to Sales", "admin created Orders"]
    assert bool(link(page, f"/tables/{table['id']}/revert")) == (role in ("editor", "admin"))
    event = link(page, "/history/events/")
    assert bool(event) == (role in ("integrator", "auditor", "admin"))
    assert ('class="as-json"' in page.text) == (not event)
    if event:
        assert "&#34;name&#34;: &#34;Sales&#34;" in (await browser.get(event)).text
    for address in ("/history", "/history/checkpoint", "/history/exports"):
        answer = await browser.get(address)
        if role in ("auditor", "admin"):
            assert answer.status_code == 200
            assert_guarded(answer)
        else:
            assert_page(answer, 403, "forbidden")
    assert ('href="/history"' in page.text) == (role in ("auditor", "admin"))


async def test_nobody_sees_what_happened_to_others(service: Service, client: AsyncClient) -> None:
    async with service.client(company=service.theirs) as others:
        table = await make(others, name="Theirs")
        [event] = (await others.get("/api/events", params={"tableId": table["id"]})).json()
    browser = await reader(service)
    for address in (f"/tables/{table['id']}/history", f"/tables/{table['id']}/differences",
                    f"/history/events/{event['id']}", f"/tables/{uuid4()}/history"):  # fmt: skip
        assert_page(await browser.get(address), 404, "not-found")
    assert "Theirs" not in (await browser.get("/history")).text


async def test_what_people_wrote_is_text(service: Service, client: AsyncClient) -> None:
    table = await make(client, name="<b>*A*\\</b>", description="</details><script>")
    reason = {"Reason": "%3Cimg%20src%3D%22x%22%3E"}
    await client.patch(path(table), json={"name": "B", "settings": {"<i>": "<u>"}}, headers=reason)
    browser = await reader(service)
    for address in (f"/tables/{table['id']}/history", "/history"):
        for headers in ({}, GERMAN):
            page = await browser.get(address, headers=headers)
            assert not re.search("<script>|<img src=.x|<i>|<u>|<b>", page.text)
            assert "<em>&lt;b&gt;*A*\\&lt;/b&gt;</em>" in page.text


# What is shown


async def test_it_comes_page_by_page_under_its_days(service: Service, client: AsyncClient) -> None:
    table = await make(client)
    for number in range(PAGE):
        await client.patch(path(table), json={"name": f"N{number}"})
    browser = await reader(service)
    for address, rest in ((f"/tables/{table['id']}/history", 1), ("/history", 3)):
        first = await browser.get(address)
        assert len(said(first)) == PAGE
        assert said(first)[0].endswith(f"N{PAGE - 1}")
        assert len(re.findall("data-day=", first.text)) in (1, 2)  # midnight may be in between
        second = await browser.get(link(first, f"{address}?cursor="))
        assert len(said(second)) == rest
        assert not set(said(first)) & set(said(second))
        assert not link(second, f"{address}?cursor=")
    other = f"{link(first, '/history?cursor=')}&actorId={uuid4()}"
    assert_page(await browser.get(other), 400, "invalid-cursor")


async def test_the_company_s_is_filtered(service: Service, client: AsyncClient) -> None:
    table = await make(client, name="Äpfel")
    await new_workspace(client, "Growth")
    async with service.client("editor") as editor:
        await editor.patch(path(table), json={"color": "#e5484d"})
    browser = await reader(service, "auditor")
    editors = key_id(service.tokens[service.ours, "editor"])
    today = datetime.now(UTC).date()

    async def found(**query: Any) -> Sequence[str]:
        return said(await browser.get("/history", params=query))

    everything = await found(q="", actorId="", type="", **{"from": "", "to": ""})
    assert len(everything) == 5
    assert everything[-1].startswith("Dynamic Tables registered the company")
    assert await found(actorId=editors) == ["editor changed the colour of Äpfel"]
    created = "dynamic-tables.workspace.created.v1"
    assert await found(type=created, q="gro") == ["admin created the workspace Growth"]
    assert len(await found(q="apf")) == 2
    around = {"from": str(today - timedelta(days=1)), "to": str(today + timedelta(days=1))}
    assert await found(**around) == everything
    for never in ({"to": str(today - timedelta(days=2))}, {"from": str(today + timedelta(days=2))},
                  {"q": "nothing"}, {"q": "!"}, {"actorId": str(uuid4())},
                  {"from": "9999-12-31"}, {"to": "0001-01-01"}):  # fmt: skip
        page = await browser.get("/history", params=never)
        assert (said(page), "Nothing matches" in page.text) == ([], True)
    assert await found(**{"from": "0001-01-01", "to": "9999-12-31"}) == everything
    for wrong in ({"from": "x"}, {"type": "x"}, {"actorId": "x"}, {"q": "\0"}):
        assert_page(await browser.get("/history", params=wrong), 422, "validation")


async def test_a_day_is_the_reader_s(service: Service, client: AsyncClient) -> None:
    await make(client)
    browser = await reader(service)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # never the same day
        browser.cookies.set("dynamic_tables_zone", zone)
        [day, *_] = re.findall('data-day="(.*?)"', (await browser.get("/history")).text)
        on_it = await browser.get("/history", params={"from": day, "to": day})
        assert said(on_it)[0] == "admin created Orders"
        if zone == "Pacific/Kiritimati":
            first = day
    assert first > day


async def test_a_deleted_table_can_be_restored_but_not_to_when_it_was_deleted(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client)
    await client.delete(path(table))
    browser = await reader(service)
    address = f"/tables/{table['id']}/history"
    page = await browser.get(address)
    assert "Its name and history are kept" in page.text
    assert not link(page, f"/tables/{table['id']}/revert")
    answer = await send(browser, f"/tables/{table['id']}/restore", next=address)
    assert answer.headers["location"] == address
    page = await browser.get(address)
    assert re.findall(r"/revert\?version=(\d+)", page.text) == ["1"]


async def test_a_purged_table_is_called_what_it_was(service: Service, client: AsyncClient) -> None:
    table = await gone(client, erase=False)
    browser = await reader(service)
    page = await browser.get(f"/tables/{table['id']}/history")
    assert "<h1>Flammkuchen</h1>" in page.text
    assert "Purged" in page.text
    assert said(page)[0] == "admin purged Flammkuchen"
    assert said(page)[-1] == "admin created Zwiebelkuchen"
    assert "data-versions" not in page.text
    assert not link(page, f"/tables/{table['id']}/revert")
    assert (await browser.get(link(page, f"/tables/{table['id']}?version"))).status_code == 200


async def test_of_an_erased_table_is_told_what_is_left(
    service: Service, client: AsyncClient
) -> None:
    table = await gone(client, erase=True)
    browser = await reader(service)
    for headers, left in (({}, "erased later"), (GERMAN, "später getilgt")):
        for address in (f"/tables/{table['id']}/history", "/history"):
            page = await browser.get(address, headers=headers)
            assert "kuchen" not in page.text
            assert "asked for" in page.text
            assert len([each for each in said(page) if each.endswith(left)]) == 4
            assert not link(page, f"/tables/{table['id']}?version")
            assert "None" not in page.text


async def test_a_version_is_compared_with_the_present(
    service: Service, client: AsyncClient
) -> None:
    table = await make(client, settings={"menu": 1}, workspaceId=str(WORKSPACE))
    await client.patch(path(table), json={"name": "Sales", "settings": {"menu": 2}})
    browser = await reader(service, "editor")
    address = f"/tables/{table['id']}/differences"
    page = await browser.get(address, params={"version": 1})
    before = re.findall(r'<td class="before">\s*(.*?)\s*</td>', page.text)
    assert before == ["Orders", "<code>1</code>"]
    assert "<code>menu</code>" in page.text  # not our text of that name
    assert link(page, f"/tables/{table['id']}/revert")
    now = await browser.get(address, params={"version": 3})
    assert "This is the present version" in now.text
    assert not link(now, f"/tables/{table['id']}/revert")
    assert_page(await browser.get(address, params={"version": 9}), 404, "not-found")


async def test_in_german_everything_that_can_happen_is_german(
    service: Service, client: AsyncClient, platform: AsyncClient
) -> None:
    german = Language("de")
    assert all(german.has(f"event-{topic.replace('.', '-')}") for topic in event_classes())
    await events_of_every_type(client, platform)
    browser = await reader(service)
    page = await browser.get("/history", headers=GERMAN)
    for each in said(page):
        assert re.search(r"^(admin|Dynamic Tables|jemand) hat |^(\w+ )+: ist geschehen", each), each
    assert "admin hat den Arbeitsbereich Product in Marketing umbenannt" in said(page)
    main = page.text.partition("<main")[2].partition("</main>")[0]
    assert not re.search(r"\b(created|renamed|changed|purged|restored)\b(?!\.v1)", main)


# What an auditor takes away


async def test_an_export_is_asked_for_once_and_forgotten(
    service: Service, client: AsyncClient
) -> None:
    await make(client)
    browser = await reader(service, "auditor")
    form = {"once": field(await browser.get("/history/exports"), "once"), "format": "csv"}
    for _ in range(2):
        answer = await send(browser, "/history/exports", **form, **{"from": "", "to": ""})
        assert (answer.status_code, answer.headers["location"]) == (303, "/history/exports")
    [export] = (await client.get("/api/audit/exports")).json()["items"]
    assert (export["format"], export["from"], export["to"]) == ("csv", "1", None)
    shown = await browser.get("/history/exports")
    assert "<progress" in shown.text
    assert "/download" not in shown.text
    wrong = await send(browser, "/history/exports", **{"from": "2026-03-02", "to": "2026-03-01"})
    assert wrong.status_code == 422
    assert 'aria-invalid="true"' in wrong.text
    assert 'value="2026-03-02"' in wrong.text
    await send(browser, f"/history/exports/{export['id']}/delete")
    assert (await client.get("/api/audit/exports")).json()["items"] == []
    assert_page(await browser.post("/history/exports", data=form), 403, "csrf")


async def test_what_was_exported_is_downloaded_and_what_was_signed_is_shown(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    await make(client)
    browser = await reader(service, "auditor")
    page = await browser.get("/history/checkpoint")
    assert "Nothing is signed yet" in page.text
    assert "data-copy" not in page.text
    await send(browser, "/history/exports", format="zip")
    async with await connect(as_role(service.database, PROJECTOR_ROLE)) as projector:
        await make_exports(service, projector)
    page = await browser.get("/history/exports")
    download = await browser.get(link(page, "/api/audit/exports/"))
    assert hashlib.sha256(download.content).hexdigest() in page.text
    note = html.escape((await client.get("/api/audit/checkpoint")).text)
    page = await browser.get("/history/checkpoint")
    assert f">{note}</pre>" in page.text
    await sql.execute("UPDATE audit_log.heads SET refused = 'altered', refused_at = now()")
    page = await browser.get("/history/checkpoint")
    assert "somebody altered it" in page.text
    assert f">{note}</pre>" in page.text
    assert not link(page, "/api/audit/checkpoint")
