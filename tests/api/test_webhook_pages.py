"""The pages of webhooks: a secret is shown once, what is wrong stands beside its field."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient, Response
from psycopg_pool import AsyncConnectionPool

from api.pooled import transacting
from api.roles import PROJECTOR_ROLE, as_role
from application.webhooks.sender import FOR_EVER
from application.webhooks.sending import Sending, utc_now
from tests.api.browsers import Browser, browser, main, once
from tests.api.conftest import Installation, Service, cloning, installed, two_companies
from tests.api.receivers import receiving
from tests.api.tenants import new_key
from tests.api.test_table_defs import create

pytestmark = pytest.mark.anyio
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
NOWHERE = "http://127.0.0.1:9/"  # nobody listens
RENAMED = "dynamic-tables.table-def.renamed.v1"
Send = Callable[[str], Awaitable[None]]


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

        async def run(id: str) -> None:
            of = (uuid4(), service.ours, UUID(id), FOR_EVER)
            await Sending(transacting(pool), post, utc_now, *of).send()

        yield run


async def make(admin: Browser, **fields: Any) -> tuple[str, Response]:
    """A webhook made with the form; its id, and the answer."""
    answer = await admin.send("/webhooks/new", **{"url": NOWHERE, "once": once()} | fields)
    assert answer.status_code == 201, main(answer)
    found = re.search(r'href="/webhooks/([0-9a-f-]{36})"', main(answer))
    assert found
    return found[1], answer


async def shown(client: AsyncClient, id: str) -> dict[str, Any]:
    """The webhook as the API has it."""
    found: dict[str, Any] = (await client.get(f"/api/webhooks/{id}")).json()
    return found


async def test_an_empty_list_says_what_it_is_for_and_what_comes_first(service: Service) -> None:
    answer = await (await browser(service)).get("/webhooks")
    assert answer.status_code == 200
    assert 'href="/webhooks/new"' in main(answer)
    assert "<table" not in main(answer)


@pytest.mark.parametrize("role", ["viewer", "editor", "auditor"])
async def test_whoever_may_not_sees_a_page_that_says_so(service: Service, role: str) -> None:
    somebody = await browser(service, role)
    id, _ = await make(await browser(service))
    before = await service.kept()
    for path in ("/webhooks", "/webhooks/new", f"/webhooks/{id}"):
        answer = await somebody.get(path)
        assert answer.status_code == 403
        assert 'data-problem="forbidden"' in answer.text
    for path in ("/webhooks/new", *(f"/webhooks/{id}/{it}" for it in
                 ("edit", "pause", "resume", "rotate", "delete", "test", "replay"))):  # fmt: skip
        assert (await somebody.send(path)).status_code == 403
    assert await service.kept() == before


async def test_the_secret_is_in_one_answer_and_nowhere_else(
    service: Service, client: AsyncClient
) -> None:
    admin, mark = await browser(service), once()
    id, answer = await make(admin, once=mark, description="The warehouse")
    [secret] = set(SECRET.findall(answer.text))
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert secret not in str(admin.client.cookies)
    again = await admin.send("/webhooks/new", url=NOWHERE, once=mark, description="The warehouse")
    assert again.status_code == 201
    pages = [await admin.get(path) for path in ("/webhooks", f"/webhooks/{id}")]
    for page in (again, *pages):
        assert not SECRET.search(page.text)
    assert len((await client.get("/api/webhooks")).json()["items"]) == 1


async def test_a_new_secret_is_shown_once_too(service: Service, client: AsyncClient) -> None:
    admin = await browser(service)
    id, first = await make(admin)
    answer = await admin.send(f"/webhooks/{id}/rotate", overlap="3600", once=once())
    assert answer.status_code == 201
    [secret] = set(SECRET.findall(answer.text))
    assert secret not in first.text
    assert (await shown(client, id))["formerSecretUntil"]
    assert not SECRET.search((await admin.get(f"/webhooks/{id}")).text)


@pytest.mark.parametrize("token", [None, "", "x"])
async def test_a_form_without_the_token_of_the_session_does_nothing(
    service: Service, token: str | None
) -> None:
    admin = await browser(service)
    id, _ = await make(admin)
    before = await service.kept()
    fields = {} if token is None else {"csrf": token}
    for path in ("new", *(f"{id}/{it}" for it in
                 ("edit", "pause", "rotate", "delete", "test", "replay"))):  # fmt: skip
        answer = await admin.client.post(f"/webhooks/{path}", data={"url": NOWHERE, **fields})
        assert answer.status_code == 403
        assert 'data-problem="csrf"' in answer.text
    assert await service.kept() == before


async def test_everything_wrong_stands_beside_its_field(service: Service) -> None:
    admin = await browser(service)
    before = await service.kept()
    answer = await admin.send(
        "/webhooks/new", url="ftp://x<b>", table="no-such-table", start="position", position="ten",
        type=[RENAMED], description="Kept",
    )  # fmt: skip
    assert answer.status_code == 422
    for id in ("url-error", "table-error", "start-error"):
        assert f'id="{id}"' in main(answer)
    assert main(answer).count('aria-invalid="true"') == 3
    for kept in ('value="Kept"', 'value="ftp://x&lt;b&gt;"', f'value="{RENAMED}" checked'):
        assert kept in main(answer)
    for none in ("", " "):
        answer = await admin.send("/webhooks/new", url=NOWHERE, start="position", position=none)
        assert answer.status_code == 422
        assert 'id="start-error"' in main(answer)
    assert await service.kept() == before


async def test_a_private_address_is_refused_beside_its_field(postgres_18: str) -> None:
    with cloning(postgres_18) as database:
        async with installed(database) as made:
            admin = await browser(await two_companies(made))
            answer = await admin.send("/webhooks/new", url=NOWHERE)
    assert answer.status_code == 422
    assert 'id="url-error"' in main(answer)


async def test_what_a_form_says_is_what_the_api_has(service: Service, client: AsyncClient) -> None:
    admin, table = await browser(service), await create(client)
    id, _ = await make(
        admin, type=[RENAMED], table="orders", paused="1", start="0", description=" For sales "
    )
    made = await shown(client, id)
    assert (made["types"], made["tableId"]) == ([RENAMED], table["id"])
    assert (made["paused"], made["pausedFor"], made["description"]) == (True, "asked", "For sales")
    form = main(await admin.get(f"/webhooks/{id}/edit"))
    assert f'value="{RENAMED}" checked' in form
    assert 'name="table" value="orders"' in form
    answer = await admin.send(f"/webhooks/{id}/edit", url=f"{NOWHERE}other", table="")
    assert answer.headers["location"] == f"/webhooks/{id}"
    made = await shown(client, id)
    assert (made["url"], made["types"], made["tableId"]) == (f"{NOWHERE}other", None, None)
    assert made["paused"]


async def test_it_is_paused_and_resumed(service: Service, client: AsyncClient) -> None:
    admin = await browser(service)
    id, _ = await make(admin)
    await admin.send(f"/webhooks/{id}/pause")
    assert (await shown(client, id))["pausedFor"] == "asked"
    assert f'formaction="/webhooks/{id}/resume"' in main(await admin.get(f"/webhooks/{id}"))
    await admin.send(f"/webhooks/{id}/resume")
    assert not (await shown(client, id))["paused"]


async def test_deliveries_are_shown_with_their_answers_as_text(
    service: Service, client: AsyncClient, send: Send
) -> None:
    admin = await browser(service)
    async with receiving() as hook:
        hook.status = 500
        id, _ = await make(admin, url=hook.url)
        await create(client, name="<b>Orders</b>")
        await send(id)
        page = main(await admin.get(f"/webhooks/{id}"))
        assert "Table created" in page
        assert "answered 500" in page
        assert "well" in page
        assert "<b>" not in page
        assert "&lt;b&gt;Orders" in page  # which waits
        assert ">500<" in main(await admin.get("/webhooks"))
        hook.status = 204
        again = re.search(rf'formaction="(/webhooks/{id}/deliveries/[^"]+)"', page)
        assert again
        answer = await admin.send(again[1])
        assert answer.headers["location"] == f"/webhooks/{id}"
        assert (await shown(client, id))["replays"] == 1


async def test_a_test_shows_what_came_back(service: Service) -> None:
    admin = await browser(service)
    async with receiving() as hook:
        id, _ = await make(admin, url=hook.url)
        taken = await admin.send(f"/webhooks/{id}/test")
        hook.status = 503
        refused = await admin.send(f"/webhooks/{id}/test")
    assert len(hook.messages) == 2
    assert ">204<" in main(taken)
    assert ">503<" in main(refused)
    assert "well" in main(refused)


async def test_a_range_is_sent_again_or_refused_beside_its_fields(
    service: Service, client: AsyncClient
) -> None:
    admin = await browser(service)
    id, _ = await make(admin)
    await create(client)
    head = (await shown(client, id))["head"]
    for after, until in (("5", "5"), ("x", head), ("0", "")):
        answer = await admin.send(f"/webhooks/{id}/replay", after=after, until=until)
        assert answer.status_code == 422
        assert 'aria-invalid="true"' in main(answer)
    beyond = await admin.send(f"/webhooks/{id}/replay", after="0", until="9" * 18)
    assert beyond.status_code == 422
    assert 'role="alert"' in main(beyond)
    answer = await admin.send(f"/webhooks/{id}/replay", after="0", until=head, once=once())
    assert answer.status_code == 303
    assert (await shown(client, id))["replays"] == 1


async def test_it_is_deleted_once_somebody_confirmed_it(
    service: Service, client: AsyncClient
) -> None:
    admin = await browser(service)
    id, _ = await make(admin)
    assert NOWHERE in main(await admin.get(f"/webhooks/{id}/delete"))
    assert (await shown(client, id))["id"] == id
    answer = await admin.send(f"/webhooks/{id}/delete")
    assert answer.headers["location"] == "/webhooks"
    assert (await client.get(f"/api/webhooks/{id}")).status_code == 404
    assert (await admin.get(f"/webhooks/{id}")).status_code == 404


async def test_nobody_sees_the_webhooks_of_another_company(service: Service) -> None:
    async with service.client(company=service.theirs) as stranger:
        theirs = (await stranger.post("/api/webhooks", json={"url": f"{NOWHERE}theirs"})).json()
    admin = await browser(service)
    assert "theirs" not in (await admin.get("/webhooks")).text
    assert (await admin.get(f"/webhooks/{theirs['id']}")).status_code == 404
    for it in ("edit", "pause", "rotate", "delete", "test"):
        answer = await admin.send(f"/webhooks/{theirs['id']}/{it}", url=NOWHERE, overlap="0")
        assert answer.status_code == 404


async def test_whoever_may_not_read_tables_is_told_no_names(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client, name="Layoffs")
    id, _ = await make(await browser(service), table="layoffs")
    made = await new_key(client, role=None, scopes=["webhooks:write"])
    async with service.with_token(None) as somebody:
        await somebody.post("/sign-in", data={"key": made["key"]})
        for path in ("/webhooks", "/webhooks/new", f"/webhooks/{id}", f"/webhooks/{id}/edit"):
            answer = await somebody.get(path)
            assert answer.status_code == 200
            assert "ayoffs" not in answer.text
        assert table["id"] in main(await somebody.get("/webhooks"))


async def test_the_pages_speak_german(service: Service) -> None:
    admin = await browser(service)
    id, _ = await make(admin)
    for path in ("/webhooks", "/webhooks/new", f"/webhooks/{id}", f"/webhooks/{id}/rotate",
                 f"/webhooks/{id}/replay", f"/webhooks/{id}/delete"):  # fmt: skip
        answer = await admin.get(path, **{"Accept-Language": "de"})
        assert '<html lang="de"' in answer.text
        assert answer.status_code == 200
        assert ("Tabelle umbenannt" in answer.text) == (path == "/webhooks/new")
