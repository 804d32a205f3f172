"""The pages of API keys, as a browser gets them: a key is shown once, and nowhere else."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from httpx import AsyncClient

from api.auth import RECHECK
from api.scopes import COOKIE
from tests.api.conftest import Service
from tests.api.tenants import key_id, new_key
from tests.api.test_pages import send
from tests.api.test_sessions import signed_in
from tests.api.test_workspace_pages import admin, as_whoever_has, notice

__all__ = ["admin"]  # a fixture

pytestmark = pytest.mark.anyio
TOKEN = re.compile(r"dtk_[0-9a-f]{32}_[0-9a-f]{48}")


async def test_a_new_key_is_shown_once_on_the_answer_itself(
    service: Service, client: AsyncClient, admin: AsyncClient
) -> None:
    form = {"label": "Import <1>", "role": "editor", "once": "first"}
    answer = await send(admin, "/keys/new", **form)
    assert answer.status_code == 201
    [token] = TOKEN.findall(answer.text)
    assert answer.headers["cache-control"] == "no-store"
    assert token not in str(answer.headers)
    assert "Import &lt;1&gt;" in answer.text
    async with service.with_token(token) as caller:
        assert (await caller.get("/api/me")).json()["role"] == "editor"
    again = await send(admin, "/keys/new", **form)
    assert again.status_code == 200
    assert "was shown already" in again.text
    for page in (again, await admin.get("/keys"), await admin.get("/keys/new")):
        assert not TOKEN.search(page.text)
    labels = [each["label"] for each in (await client.get("/api/keys")).json()["items"]]
    assert labels.count("Import <1>") == 1
    secret = token.rpartition("_")[2]
    assert secret not in str(await service.kept())


async def test_a_key_works_until_its_last_day_is_over_where_its_maker_is(
    client: AsyncClient, admin: AsyncClient
) -> None:
    zone = ZoneInfo("Pacific/Auckland")
    admin.cookies.set("dynamic_tables_zone", "Pacific/Auckland")
    day = datetime.now(zone).date() + timedelta(days=3)
    answer = await send(admin, "/keys/new", label="A", role="viewer", expires=day.isoformat())
    assert answer.status_code == 201
    key = (await client.get("/api/keys")).json()["items"][-1]
    expires_at = datetime.fromisoformat(key["expiresAt"]).astimezone(zone)
    assert (expires_at.date() - day, expires_at.hour) == (timedelta(days=1), 0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"label": " "}, 'id="label-error"'),
        ({"label": "x" * 256}, 'id="label-error"'),
        ({"role": ""}, 'id="role-error"'),
        ({"role": "platform"}, 'id="role-error"'),
        ({"role": "scopes"}, 'id="scopes-error"'),
        ({"role": "scopes", "scope": "nonsense"}, "/scopes/0"),
        ({"expires": "2020-01-01"}, "This is over already."),
        ({"expires": "soon"}, "This is no date."),
        ({"expires": "9999-12-31"}, "This is no date."),
        ({"once": "é"}, "/Idempotency-Key"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    client: AsyncClient, admin: AsyncClient, wrong: dict[str, str], said: str
) -> None:
    before = (await client.get("/api/keys")).json()
    answer = await send(admin, "/keys/new", **{"label": "A", "role": "viewer"} | wrong)
    assert answer.status_code == 422
    assert said in answer.text
    assert not TOKEN.search(answer.text)
    assert len((await client.get("/api/keys")).json()["items"]) == len(before["items"])


async def test_nobody_hands_out_more_than_they_have(service: Service, client: AsyncClient) -> None:
    made = await new_key(client, None, scopes=["keys:write", "tables:read"])
    browser = await as_whoever_has(service, made["key"])
    form = (await browser.get("/keys/new")).text
    radios = re.findall(r'name="role" value="(\w+)" required( disabled)?', form)
    assert [role for role, disabled in radios if not disabled] == ["viewer", "scopes"]
    boxes = re.findall(r'name="scope" value="([a-z:]+)"( disabled)?', form)
    assert [scope for scope, disabled in boxes if not disabled] == ["tables:read", "keys:write"]
    more = await new_key(client, "editor", label="More")
    await new_key(client, "viewer", label="Less")
    assert re.findall("Replace (More|Less|admin)", (await browser.get("/keys")).text) == ["Less"]
    for answer in (
        await send(browser, "/keys/new", label="A", role="admin"),
        await send(browser, "/keys/new", label="A", role="scopes", scope="events:read"),
        await send(browser, f"/keys/{more['id']}/rotate", overlap="0"),
    ):
        assert (answer.status_code, 'data-problem="forbidden"' in answer.text) == (403, True)


async def test_a_key_of_single_rights(client: AsyncClient, admin: AsyncClient) -> None:
    form = {"label": "Copy", "role": "scopes", "scope": ["tables:read", "events:read"]}
    answer = await send(admin, "/keys/new", **form)
    assert answer.status_code == 201
    key = (await client.get("/api/keys")).json()["items"][-1]
    assert (key["role"], key["scopes"]) == (None, ["events:read", "tables:read"])


async def test_a_key_is_replaced_and_the_former_goes_on_as_long_as_was_said(
    service: Service, client: AsyncClient, admin: AsyncClient
) -> None:
    for overlap, said, status in (
        ("86400", "The former one works until", 200),
        ("0", "The former one works no more.", 401),
    ):
        old = await new_key(client, "editor", label=f"Import {overlap}")
        address, label = f"/keys/{old['id']}/rotate", old["label"]
        assert f"Replace “{label}” by a new key?" in (await admin.get(address)).text
        answer = await send(admin, address, overlap=overlap, once=f"once-{overlap}")
        assert answer.status_code == 201
        assert said in answer.text
        [token] = TOKEN.findall(answer.text)
        again = await send(admin, address, overlap=overlap, once=f"once-{overlap}")
        assert not TOKEN.search(again.text)
        await asyncio.sleep(RECHECK + 0.05)
        for each, expected in ((token, 200), (old["key"], status)):
            async with service.with_token(each) as caller:
                assert (await caller.get("/api/me")).status_code == expected
        labels = [each["label"] for each in (await client.get("/api/keys")).json()["items"]]
        assert labels.count(label) == 2
    ended = await send(admin, f"/keys/{old['id']}/rotate", overlap="0")
    assert (ended.status_code, "This key works no more" in ended.text) == (409, True)
    wrong = await send(admin, f"/keys/{old['id']}/rotate", overlap="-1")
    assert wrong.status_code == 422


async def test_a_key_is_revoked_after_a_question(
    service: Service, client: AsyncClient, admin: AsyncClient
) -> None:
    made = await new_key(client, label="Old")
    page = await admin.get(f"/keys/{made['id']}/revoke")
    assert "Revoke “Old”?" in page.text
    assert "signs you out" not in page.text
    answer = await send(admin, f"/keys/{made['id']}/revoke")
    assert (answer.status_code, answer.headers["location"]) == (303, "/keys")
    assert "key-revoked" in notice(answer)
    async with service.with_token(made["key"]) as caller:
        assert (await caller.get("/api/me")).status_code == 401
    assert made["id"] not in (await admin.get("/keys")).text
    assert made["id"] in (await admin.get("/keys?state=deleted")).text
    assert (await admin.get(f"/keys/{made['id']}/revoke")).headers["location"] == "/keys"


async def test_revoking_ones_own_key_says_so_and_signs_out(
    service: Service, admin: AsyncClient
) -> None:
    own = key_id(service.tokens[service.ours, "admin"])
    assert "yours now" in (await admin.get("/keys")).text
    assert "signs you out" in (await admin.get(f"/keys/{own}/revoke")).text
    answer = await send(admin, f"/keys/{own}/revoke")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert COOKIE not in admin.cookies
    assert (await admin.get("/keys")).headers["location"].startswith("/sign-in")


async def test_the_keys_are_the_admins_business_alone(
    service: Service, client: AsyncClient
) -> None:
    made = await new_key(client)
    stranger = await as_whoever_has(service, service.tokens[service.theirs, "admin"])
    assert made["id"] not in (await stranger.get("/keys")).text
    for address in (f"/keys/{made['id']}/revoke", f"/keys/{made['id']}/rotate"):
        assert (await stranger.get(address)).status_code == 404
        assert (await send(stranger, address, overlap="0")).status_code == 404
    for role in ("viewer", "editor", "integrator", "auditor"):
        browser = await signed_in(service, role)
        one = f"/keys/{made['id']}"
        for address in ("/keys", "/keys/new", f"{one}/revoke", f"{one}/rotate"):
            assert (await browser.get(address)).status_code == 403
        for address in ("/keys/new", f"{one}/revoke", f"{one}/rotate"):
            answer = await send(browser, address, label="A", role="viewer")
            assert answer.status_code == 403


async def test_no_form_of_keys_is_sent_without_its_token(
    client: AsyncClient, admin: AsyncClient
) -> None:
    made = await new_key(client)
    before = (await client.get("/api/keys")).json()["items"]
    one = f"/keys/{made['id']}"
    for address in ("/keys/new", f"{one}/revoke", f"{one}/rotate"):
        answer = await send(admin, address, csrf="x", label="A", role="viewer")
        assert (answer.status_code, 'data-problem="csrf"' in answer.text) == (403, True)
    after = (await client.get("/api/keys")).json()["items"]
    assert [each["id"] for each in after] == [each["id"] for each in before]


async def test_the_list_tells_of_each_key_page_by_page(
    client: AsyncClient, admin: AsyncClient
) -> None:
    soon = datetime.now(UTC) + timedelta(days=2, hours=1)
    await new_key(client, None, label="Just <one>", scopes=["events:read"])
    await new_key(client, label="Short", expiresAt=soon.isoformat())
    found, address = "", "/keys?limit=2"
    while address:
        page = (await admin.get(address)).text
        found += page
        [address] = re.findall(r'href="([^"]*)" rel="next"', page) or [""]
        address = address.replace("&amp;", "&")
    for said in ("Just &lt;one&gt;", '<code class="scope">events:read</code>', "in 2 days",
                 "by admin", "by the command line", "never"):  # fmt: skip
        assert said in found
    assert len(re.findall("<tr data-id=", found)) == 7
