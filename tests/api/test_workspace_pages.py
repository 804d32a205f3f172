"""The pages of workspaces and of the company itself, as a browser gets them."""

import re
from urllib.parse import unquote

import pytest
from httpx import AsyncClient, Response

from api.web.notices import COOKIE
from tests.api.conftest import WORKSPACE, Service
from tests.api.tenants import new_workspace
from tests.api.test_pages import send
from tests.api.test_sessions import sign_in, signed_in
from tests.api.test_table_defs import create

pytestmark = pytest.mark.anyio


@pytest.fixture
async def admin(service: Service) -> AsyncClient:
    """The browser of an admin of our company."""
    return await signed_in(service)


async def as_whoever_has(service: Service, token: str) -> AsyncClient:
    """A browser that signed in with a key."""
    browser = service.with_token(None)
    assert (await sign_in(browser, token)).status_code == 303
    return browser


def at(id: object, action: str) -> str:
    return f"/workspaces/{id}/{action}"


def notice(answer: Response) -> str:
    """What the next page says was just done."""
    return unquote(answer.cookies.get(COOKIE, ""))


def alert(answer: Response) -> str:
    """What the page says somebody else did meanwhile."""
    [found] = re.findall(r'role="alert">.*?<p>(.*?)</p>', answer.text, re.S)
    return str(found)


async def name_of(client: AsyncClient, id: object = WORKSPACE) -> str:
    return str((await client.get(f"/api/workspaces/{id}?state=all")).json()["name"])


async def test_a_workspace_is_created_renamed_deleted_and_restored(
    service: Service, client: AsyncClient, admin: AsyncClient
) -> None:
    answer = await send(admin, "/workspaces/new", name=" Café & Bar ", once="first")
    assert (answer.status_code, answer.headers["location"]) == (303, "/workspaces")
    assert "Café &amp; Bar" in (await admin.get("/workspaces")).text
    made = (await client.get("/api/workspaces")).json()["items"][0]
    answer = await send(admin, at(made["id"], "rename"), name="Bar", version="1")
    assert answer.status_code == 303
    await create(client, workspaceId=made["id"])
    assert "Its one table goes" in (await admin.get(at(made["id"], "delete"))).text
    answer = await send(admin, at(made["id"], "delete"), version="2", reason="moved")
    assert f'"undo":"/workspaces/{made["id"]}/restore"' in notice(answer)
    assert ">Bar<" not in (await admin.get("/workspaces")).text
    assert "Bar" in (await admin.get("/workspaces?state=deleted")).text
    assert (await send(admin, at(made["id"], "restore"))).status_code == 303
    topics = [event.topic for event in await service.stored() if event.topic[:5] == "Works"]
    assert topics == [f"Workspace.{name}" for name in ("Created", "Renamed", "Deleted", "Restored")]
    deleted = next(each for each in await service.stored() if each.topic == "Workspace.Deleted")
    assert deleted.metadata["reason"] == "moved"


async def test_the_same_form_sent_twice_makes_one_workspace(
    service: Service, admin: AsyncClient
) -> None:
    for _ in range(2):
        assert (await send(admin, "/workspaces/new", name="A", once="x")).status_code == 303
    assert len(await service.stored()) == 1


async def test_a_wrong_name_stays_in_its_field_beside_what_is_wrong(
    service: Service, admin: AsyncClient
) -> None:
    for address in ("/workspaces/new", at(WORKSPACE, "rename"), "/company"):
        for name, said in ((" ", "This is needed."), ("<" * 256, "This is too long")):
            answer = await send(admin, address, name=name, version="1")
            assert answer.status_code == 422
            assert 'aria-invalid="true"' in answer.text
            assert said in answer.text
            assert "<" * 256 not in answer.text
    assert await service.stored() == []


async def test_a_reason_that_is_too_long_stays_in_its_field(
    service: Service, admin: AsyncClient
) -> None:
    answer = await send(admin, at(WORKSPACE, "delete"), reason="why" * 200, version="1")
    assert answer.status_code == 422
    assert 'id="delete-reason-error"' in answer.text
    assert "why" * 200 in answer.text
    assert await service.stored() == []


async def test_somebody_renamed_it_meanwhile(client: AsyncClient, admin: AsyncClient) -> None:
    await client.patch(f"/api/workspaces/{WORKSPACE}", json={"name": "<Theirs>"})
    answer = await send(admin, at(WORKSPACE, "rename"), name="Mine", version="1")
    assert answer.status_code == 409
    assert alert(answer) == "admin renamed it meanwhile: it is called “&lt;Theirs&gt;” now."
    assert 'value="Mine"' in answer.text
    assert 'name="version" value="2"' in answer.text
    assert await name_of(client) == "<Theirs>"
    answer = await send(admin, at(WORKSPACE, "delete"), version="1")
    assert answer.status_code == 409
    assert "&lt;Theirs&gt;” now" in alert(answer)
    answer = await send(admin, at(WORKSPACE, "rename"), name="Mine", version="2")
    assert answer.status_code == 303
    assert await name_of(client) == "Mine"


async def test_what_others_did_besides_is_no_conflict(
    client: AsyncClient, admin: AsyncClient
) -> None:
    await client.delete(f"/api/workspaces/{WORKSPACE}")
    answer = await send(admin, at(WORKSPACE, "rename"), name="Mine", version="1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/workspaces?state=deleted")
    assert "deleted-meanwhile" in notice(answer)
    answer = await send(admin, at(WORKSPACE, "delete"), version="1")
    assert "deleted-meanwhile" in notice(answer)
    for action in ("rename", "delete"):
        asked = await admin.get(at(WORKSPACE, action))
        assert asked.headers["location"] == "/workspaces?state=deleted"
    await client.post(f"/api/workspaces/{WORKSPACE}/restore")
    answer = await send(admin, at(WORKSPACE, "rename"), name="Mine", version="1")
    assert answer.status_code == 303
    assert await name_of(client) == "Mine"


async def test_whoever_may_only_read_is_offered_nothing_and_refused(service: Service) -> None:
    for role in ("viewer", "editor"):
        browser = await signed_in(service, role)
        page = await browser.get("/workspaces")
        assert page.status_code == 200
        assert f'href="/?workspaceId={WORKSPACE}"' in page.text
        for offer in ("/workspaces/new", "/rename", "/delete", 'href="/company"'):
            assert offer not in page.text
        for address in ("/workspaces/new", at(WORKSPACE, "rename"), at(WORKSPACE, "delete"),
                        at(WORKSPACE, "restore"), "/company"):  # fmt: skip
            answer = await send(browser, address, name="A", version="1")
            assert (answer.status_code, "forbidden" in answer.text) == (403, True)
    assert await service.stored() == []


async def test_no_form_of_workspaces_is_sent_without_its_token(
    service: Service, admin: AsyncClient
) -> None:
    for address in ("/workspaces/new", at(WORKSPACE, "rename"), at(WORKSPACE, "delete"),
                    at(WORKSPACE, "restore"), "/company"):  # fmt: skip
        answer = await send(admin, address, csrf="x", name="A", version="1")
        assert (answer.status_code, 'data-problem="csrf"' in answer.text) == (403, True)
    assert await service.stored() == []


async def test_a_strangers_workspace_is_not_there(service: Service, client: AsyncClient) -> None:
    ours = (await new_workspace(client))["id"]
    stranger = await as_whoever_has(service, service.tokens[service.theirs, "admin"])
    assert ours not in (await stranger.get("/workspaces")).text
    for action in ("rename", "delete"):
        assert (await stranger.get(at(ours, action))).status_code == 404
    for action in ("rename", "delete", "restore"):
        answer = await send(stranger, at(ours, action), name="A", version="1")
        assert answer.status_code == 404


async def test_many_workspaces_come_page_by_page(client: AsyncClient, admin: AsyncClient) -> None:
    names = [f"W{number}" for number in range(4)]
    for name in names:
        await new_workspace(client, name)
    found, address = list[str](), "/workspaces?limit=2"
    while address:
        page = (await admin.get(address)).text
        found += re.findall(r"data-row>(.*?)</a>", page)
        [address] = re.findall(r'href="([^"]*)" rel="next"', page) or [""]
        address = address.replace("&amp;", "&")
    assert found == ["Sales", *names]


async def test_an_empty_list_says_what_a_workspace_is(
    client: AsyncClient, admin: AsyncClient
) -> None:
    assert "No workspace is deleted" in (await admin.get("/workspaces?state=deleted")).text
    await client.delete(f"/api/workspaces/{WORKSPACE}")
    page = await admin.get("/workspaces")
    assert "A workspace is a part of the company" in page.text


async def test_the_company_is_renamed_and_made_strict(
    service: Service, client: AsyncClient, admin: AsyncClient
) -> None:
    name = f"Company {service.ours}"
    answer = await send(admin, "/company", name=name, version="1")
    assert "unchanged" in notice(answer)
    assert await service.stored() == []
    assert (await send(admin, "/company", name="Ours", version="1")).status_code == 303
    answer = await send(admin, "/company", name=name, requireIfMatch="1", version="1")
    assert answer.status_code == 303
    company = (await client.get("/api/company")).json()
    assert (company["name"], company["settings"]) == ("Ours", {"requireIfMatch": True})
    answer = await send(admin, "/company", name="Mine", requireIfMatch="1", version="1")
    assert answer.status_code == 409
    assert "Now the name is “Ours”, and strict changes are on" in alert(answer)
    answer = await send(admin, "/company", name="Mine", requireIfMatch="1", version="3")
    assert answer.status_code == 303
    assert (await client.get("/api/company")).json()["name"] == "Mine"
