"""Browsers: signing in by key or by a link, a cookie that is ours alone, and signing out."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import ASGITransport, AsyncClient, Response
from itsdangerous import Signer
from psycopg import AsyncConnection

from api.auth import RECHECK
from api.keys import NewKey
from api.scopes import COOKIE
from api.sessions import STORE_CODE, new_code
from api.web.forms import LIMIT
from api.web.page import HEADERS
from tests.api import test_access
from tests.api.conftest import Service, calling, serving
from tests.api.document import OPERATIONS
from tests.api.tenants import key_id, new_key, one_of_each
from tests.api.test_table_defs import assert_problem, path

pytestmark = pytest.mark.anyio
DRY = {"dryRun": "true"}
Headers = Mapping[str, str]


async def sign_in(browser: AsyncClient, token: str, **headers: str) -> Response:
    return await browser.post("/sign-in", data={"key": token}, headers=headers)


async def signed_in(service: Service, role: str = "admin") -> AsyncClient:
    """A browser that signed in with a key of our company."""
    browser = service.with_token(None)
    answer = await sign_in(browser, service.tokens[service.ours, role])
    assert answer.status_code == 303, answer.text
    return browser


async def csrf(browser: AsyncClient) -> dict[str, str]:
    """The header that a page of ours sends with each write."""
    return {"X-CSRF-Token": (await browser.get("/api/me")).json()["csrfToken"]}


async def link(sql: AsyncConnection, key: str, minutes: int = 60) -> str:
    """A link that signs in with a key, once."""
    code, code_hash = new_code()
    await sql.execute(STORE_CODE, (code_hash, key, minutes))
    return f"/sign-in?code={code}"


def cookie_of(answer: Response) -> Any:
    return SimpleCookie(answer.headers["set-cookie"])[COOKIE]


def assert_guarded(answer: Response) -> None:
    """A page of ours runs our own scripts alone, is in no frame, and is kept nowhere."""
    policy = answer.headers["content-security-policy"]
    for directive in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ):
        assert directive in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    inline = re.compile(r"<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=")
    assert not inline.search(answer.text)


def assert_page(answer: Response, status: int, code: str) -> None:
    """A page that says what went wrong."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f'data-problem="{code}"' in answer.text
    assert_guarded(answer)


# Signing in


async def test_a_key_in_the_form_signs_in(service: Service, anyone: AsyncClient) -> None:
    first = await anyone.get("/")
    assert (first.status_code, first.headers["location"]) == (303, "/sign-in")
    form = await anyone.get("/sign-in")
    assert form.status_code == 200
    assert_guarded(form)
    assert '<form method="post" action="/sign-in" data-plain>' in form.text
    assert 'name="key" type="password"' in form.text
    answer = await sign_in(anyone, f" {service.tokens[service.ours, 'editor']}\n")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["cache-control"] == "no-store"
    home = await anyone.get("/")
    assert home.status_code == 200
    assert_guarded(home)
    assert f"<strong>editor</strong><small>Company {service.ours} · Editor</small>" in home.text
    me = (await anyone.get("/api/me")).json()
    assert me["actor"]["id"] == key_id(service.tokens[service.ours, "editor"])
    assert me["company"]["id"] == str(service.ours)
    assert re.fullmatch("[0-9a-f]{32}", me["csrfToken"])
    assert me["csrfToken"] in home.text


async def test_a_wrong_key_signs_nobody_in(service: Service, anyone: AsyncClient) -> None:
    right = service.tokens[service.ours, "admin"]
    before = await service.kept()
    for wrong in ("", "x", "dtk_", right[:-1], right + "0", f"dtk_{uuid4().hex}_{'0' * 48}",
                  "<script>alert(1)</script>", "\0", "é" * 100, "x" * 16_000):  # fmt: skip
        answer = await sign_in(anyone, wrong)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert_guarded(answer)
        assert 'id="key-error"' in answer.text
    for body in (b"", b"key", b"kee=x", b"\xff\xfe", b"key=%FF%00", b"&&&=="):
        assert (await anyone.post("/sign-in", content=body)).status_code in (401, 422)
    assert await service.kept() == before
    too_long = await anyone.post("/sign-in", content=b"key=" + b"x" * LIMIT)
    assert_page(too_long, 413, "body-too-large")


async def test_the_cookie_is_of_no_use_to_scripts_and_other_sites(service: Service) -> None:
    token = service.tokens[service.ours, "admin"]
    for scheme in ("http", "https"):
        transport = ASGITransport(service.app)
        async with AsyncClient(transport=transport, base_url=f"{scheme}://test") as browser:
            cookie = cookie_of(await sign_in(browser, token))
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "lax"
        assert cookie["path"] == "/"
        assert cookie["domain"] == ""
        assert bool(cookie["secure"]) == (scheme == "https")
        left = parsedate_to_datetime(cookie["expires"]) - datetime.now(UTC)
        assert abs(left - timedelta(hours=12)) < timedelta(minutes=1)
        assert NewKey.parse(token).secret not in cookie.value
        assert NewKey.parse(token).id.hex not in cookie.value


async def test_a_session_lives_no_longer_than_its_key(
    service: Service, client: AsyncClient, anyone: AsyncClient
) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    made = await new_key(client, expiresAt=soon.isoformat())
    cookie = cookie_of(await sign_in(anyone, made["key"]))
    assert abs(parsedate_to_datetime(cookie["expires"]) - soon) < timedelta(seconds=2)


async def test_names_on_the_page_are_text(
    service: Service, client: AsyncClient, anyone: AsyncClient
) -> None:
    await client.patch("/api/company", json={"name": "<b>{0}&"})
    made = await new_key(client, label="<script>alert(1)</script>{csrf}")
    await client.get("/api/company")  # which waits for what the company wrote
    await sign_in(anyone, made["key"])
    home = await anyone.get("/")
    assert_guarded(home)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{csrf}" in home.text
    assert "&lt;b&gt;{0}&amp;" in home.text


async def test_the_platform_can_sign_in_too(service: Service, anyone: AsyncClient) -> None:
    assert (await sign_in(anyone, service.tokens[None, "platform"])).status_code == 303
    assert "the platform" in (await anyone.get("/")).text
    assert (await anyone.get("/api/companies")).status_code == 200
    answer = await anyone.get("/api/tables")
    assert assert_problem(answer, 403, "forbidden")["missingScope"] == "tables:read"


# A link that signs in once


async def test_a_link_signs_in_once(
    service: Service, sql: AsyncConnection, anyone: AsyncClient
) -> None:
    address = await link(sql, key_id(service.tokens[service.ours, "viewer"]))
    code = address.partition("=")[2]
    assert code not in str(await service.kept())
    answer = await anyone.get(address)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await anyone.get("/api/me")).json()["role"] == "viewer"
    async with service.with_token(None) as other:
        again = await other.get(address)
        assert again.status_code == 401
        assert "set-cookie" not in again.headers
        assert "used before" in again.text
        assert_guarded(again)


async def test_of_twenty_who_follow_a_link_one_gets_in(
    service: Service, sql: AsyncConnection, anyone: AsyncClient
) -> None:
    address = await link(sql, key_id(service.tokens[service.ours, "viewer"]))
    answers = await asyncio.gather(*(anyone.get(address) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [303] + [401] * 19


async def test_a_link_that_is_too_old_or_made_up_signs_nobody_in(
    service: Service, sql: AsyncConnection, anyone: AsyncClient
) -> None:
    viewer = key_id(service.tokens[service.ours, "viewer"])
    old, good = await link(sql, viewer, -1), await link(sql, viewer)
    for address in (old, "/sign-in?code=", "/sign-in?code=%00", "/sign-in?code=%FF",
                    f"/sign-in?code={'x' * 5000}", good[:-1], good + "A"):  # fmt: skip
        answer = await anyone.get(address)
        assert answer.status_code == 401, address
        assert "set-cookie" not in answer.headers
    assert (await anyone.get(good)).status_code == 303


async def test_whoever_only_looks_at_a_link_does_not_use_it_up(
    service: Service, sql: AsyncConnection, anyone: AsyncClient
) -> None:
    """Mail scanners and browsers that look ahead."""
    address = await link(sql, key_id(service.tokens[service.ours, "viewer"]))
    looks = [
        await anyone.head(address),
        await anyone.get(address, headers={"Sec-Purpose": "prefetch"}),
        await anyone.get(address, headers={"Sec-Purpose": "prefetch;prerender"}),
    ]
    for answer in looks:
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert_guarded(answer)
    assert (await anyone.get(address)).status_code == 303


async def test_a_link_of_a_key_that_opens_nothing_opens_nothing(
    service: Service, client: AsyncClient, sql: AsyncConnection, anyone: AsyncClient
) -> None:
    made = await new_key(client)
    address = await link(sql, made["id"])
    await client.delete(f"/api/keys/{made['id']}")
    await anyone.get(address)
    assert_problem(await anyone.get("/api/me"), 401, "unauthenticated")
    assert (await anyone.get("/")).headers["location"] == "/sign-in"


# What a session may do


# For the platform; what is live is not purged; a lease that is not theirs; what was never sent.
NOT_NOW = {"forbidden", "not-deleted", "lease-lost", "not-found"}


async def test_every_write_of_a_browser_needs_the_token_of_its_session(
    service: Service, client: AsyncClient
) -> None:
    ids = await one_of_each(client, service.ours)
    browser, other = await signed_in(service), await signed_in(service)
    right, anothers = await csrf(browser), await csrf(other)
    assert right != anothers
    before = await service.kept()
    wrong: list[Any] = [
        {}, anothers, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": b"\xff"},
        {"X-CSRF-Token": right["X-CSRF-Token"][:-1]}, {"X-CSRF-Token": f"{right}"},
        {"Origin": "http://test"}, {"Sec-Fetch-Site": "same-origin"},
    ]  # fmt: skip
    for operation in OPERATIONS:
        named = {"id": ids[operation.collection]} if operation.names_one else {"slug": "orders"}
        if not operation.writes:
            answer = await operation.call(browser, named)
            platform = "companies:write" in operation.scopes
            expected = 403 if platform else test_access.NOT_NOW.get(operation.id, 200)
            assert answer.status_code == expected, operation.id
            continue
        for headers in wrong:
            answer = await operation.call(browser, named, headers=headers)
            assert_problem(answer, 403, "csrf")
        dry = DRY if operation.takes("dryRun") else None
        answer = await operation.call(browser, named, dry, right)
        assert answer.status_code == 200 or answer.json()["code"] in NOT_NOW
    assert await service.kept() == before


async def test_a_browsers_writes_are_its_keys(service: Service) -> None:
    browser = await signed_in(service, "editor")
    token = await csrf(browser)
    answer = await browser.post("/api/tables", json={"name": "A"}, headers=token)
    assert answer.status_code == 201
    [event] = await service.stored()
    assert event.metadata["actorKind"] == "key"
    assert event.metadata["actorId"] == key_id(service.tokens[service.ours, "editor"])
    refused = await browser.post("/api/workspaces", json={"name": "A"}, headers=token)
    assert assert_problem(refused, 403, "forbidden")["missingScope"] == "workspaces:write"


async def test_head_and_get_need_no_token(service: Service) -> None:
    browser = await signed_in(service)
    for method in ("GET", "HEAD"):
        assert (await browser.request(method, "/api/tables")).status_code == 200


async def test_a_bearer_wins_over_a_cookie(service: Service, client: AsyncClient) -> None:
    browser = await signed_in(service)
    viewer = {"Authorization": f"Bearer {service.tokens[service.theirs, 'viewer']}"}
    me = (await browser.get("/api/me", headers=viewer)).json()
    assert (me["company"]["id"], me["role"], me["csrfToken"]) == (
        str(service.theirs), "viewer", None,
    )  # fmt: skip
    editor = {"Authorization": f"Bearer {service.tokens[service.theirs, 'editor']}"}
    answer = await browser.post("/api/tables", json={"name": "A"}, headers=editor)
    assert (answer.status_code, answer.json()["companyId"]) == (201, str(service.theirs))
    for wrong in ("Bearer x", "Bearer dtk_x_y", "Basic YTpi"):
        answer = await browser.get("/api/me", headers={"Authorization": wrong})
        assert_problem(answer, 401, "unauthenticated")


async def test_a_cookie_that_we_did_not_sign_is_nothing(
    service: Service, sql: AsyncConnection, anyone: AsyncClient
) -> None:
    browser = await signed_in(service)
    good = browser.cookies[COOKIE]
    id, _, signature = good.partition(".")
    key = key_id(service.tokens[service.ours, "admin"])
    forged = [
        id, f"{id}.", f"{id}.{signature[:-1]}", f"{uuid4().hex}.{signature}", f"{id}.{signature}x",
        f"{UUID(id)}.{signature}", Signer(b"guessed", salt="session").sign(id.encode()).decode(),
        f"{UUID(key).hex}.{signature}", f".{signature}", "null", "dtk_x_y", "x" * 5000,
        service.tokens[service.ours, "admin"], "%00", '"', "a=b",
    ]  # fmt: skip
    for value in forged:
        for address in ("/api/me", "/api/tables"):
            answer = await anyone.get(address, headers={"Cookie": f"{COOKIE}={value}"})
            assert_problem(answer, 401, "unauthenticated")
        home = await anyone.get("/", headers={"Cookie": f"{COOKIE}={value}"})
        assert (home.status_code, home.headers["location"]) == (303, "/sign-in")
    answer = await anyone.get("/api/me", headers={"Cookie": f"{COOKIE}={good}"})
    assert answer.status_code == 200


async def test_a_key_and_a_session_are_not_each_other(
    service: Service, anyone: AsyncClient
) -> None:
    browser = await signed_in(service)
    cookie = browser.cookies[COOKIE]
    for bearer in (cookie, cookie.partition(".")[0], f"cookie {cookie}"):
        answer = await anyone.get("/api/me", headers={"Authorization": f"Bearer {bearer}"})
        assert_problem(answer, 401, "unauthenticated")
    assert (await sign_in(anyone, cookie)).status_code == 401


# The end of a session


async def test_signing_out_ends_the_copies_of_the_cookie_too(service: Service) -> None:
    browser = await signed_in(service)
    copied = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    token = (await csrf(browser))["X-CSRF-Token"]
    async with (
        serving(service.database) as second,
        calling(service.app, None) as here,
        calling(second, None) as elsewhere,
    ):
        for thief in (here, elsewhere):
            assert (await thief.get("/api/me", headers=copied)).status_code == 200
        answer = await browser.post("/sign-out", data={"csrf": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert cookie_of(answer).value == ""
        assert COOKIE not in browser.cookies
        assert (await here.get("/api/me", headers=copied)).status_code == 401
        await asyncio.sleep(RECHECK + 0.05)
        assert (await elsewhere.get("/api/me", headers=copied)).status_code == 401
    assert (await browser.get("/")).headers["location"] == "/sign-in"


async def test_signing_out_ends_no_other_session(service: Service) -> None:
    browser, other = await signed_in(service), await signed_in(service)
    await browser.post("/sign-out", data={"csrf": (await csrf(browser))["X-CSRF-Token"]})
    assert (await other.get("/api/me")).status_code == 200
    async with service.client() as client:
        assert (await client.get("/api/me")).status_code == 200


async def test_nobody_else_signs_a_browser_out(service: Service) -> None:
    browser, other = await signed_in(service), await signed_in(service)
    for data in ({}, {"csrf": "x"}, {"csrf": (await csrf(other))["X-CSRF-Token"]}):
        assert_page(await browser.post("/sign-out", data=data), 403, "csrf")
    assert_page(await browser.post("/sign-out", headers=await csrf(browser)), 403, "csrf")
    assert (await browser.get("/api/me")).status_code == 200


async def test_whoever_is_not_signed_in_may_sign_out(anyone: AsyncClient) -> None:
    for cookie in ({}, {"Cookie": f"{COOKIE}="}, {"Cookie": f"{COOKIE}=forged.x"}):
        answer = await anyone.post("/sign-out", headers=cookie)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


async def test_a_session_ends_with_its_key_and_with_time(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    revoked, expired = await new_key(client), await new_key(client)
    browsers = [service.with_token(None) for _ in range(3)]
    tokens = (revoked["key"], expired["key"], service.tokens[service.ours, "viewer"])
    for browser, token in zip(browsers, tokens, strict=True):
        await sign_in(browser, token)
        assert (await browser.get("/api/me")).status_code == 200
    await client.delete(f"/api/keys/{revoked['id']}")
    await client.post(f"/api/keys/{expired['id']}/rotate", json={"overlapSeconds": 0})
    id = UUID(browsers[2].cookies[COOKIE].partition(".")[0])
    await sql.execute("UPDATE access.sessions SET expires_at = now() WHERE id = %s", (id,))
    await asyncio.sleep(RECHECK + 0.05)
    for browser in browsers:
        answer = await browser.get("/api/me")
        assert "session has ended" in assert_problem(answer, 401, "unauthenticated")["detail"]
        assert (await browser.get("/")).headers["location"] == "/sign-in"


# Other sites

ELSEWHERE: list[Headers] = [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "x"},
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""},
    {"Origin": "http://test.evil.example"}, {"Origin": "http://test:81"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
]  # fmt: skip
OURS: list[Headers] = [
    {}, {"Origin": "http://test"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"},
    {"Origin": "http://test", "Sec-Fetch-Site": "same-origin"},
]  # fmt: skip


async def test_a_form_of_another_site_signs_nobody_in_or_out(
    service: Service, anyone: AsyncClient
) -> None:
    """Somebody could sign you in as themselves, and read what you write then."""
    token = service.tokens[service.ours, "admin"]
    browser = await signed_in(service)
    right = {"csrf": (await csrf(browser))["X-CSRF-Token"]}
    for headers in ELSEWHERE:
        answer = await anyone.post("/sign-in", data={"key": token}, headers=headers)
        assert_page(answer, 403, "csrf")
        assert "set-cookie" not in answer.headers
        assert_page(await browser.post("/sign-out", data=right, headers=headers), 403, "csrf")
    assert (await browser.get("/api/me")).status_code == 200
    for headers in OURS:
        answer = await anyone.post("/sign-in", data={"key": token}, headers=headers)
        assert answer.status_code == 303, headers
        out = {"csrf": (await csrf(anyone))["X-CSRF-Token"]}
        answer = await anyone.post("/sign-out", data=out, headers=headers)
        assert answer.status_code == 303, headers


def test_our_pages_let_a_browser_say_that_a_form_is_ours() -> None:
    """Under `no-referrer`, the Fetch standard has `Origin: null` on our own forms: a 403."""
    assert HEADERS["Referrer-Policy"] in ("same-origin", "strict-origin")


async def test_the_pages_are_no_operations_of_the_api(service: Service) -> None:
    document = service.app.openapi()
    assert not {"/", "/sign-in", "/sign-out"} & document["paths"].keys()


async def test_a_session_shows_in_no_event_or_log(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    browser = await signed_in(service)
    token = await csrf(browser)
    made = await browser.post("/api/tables", json={"name": "A"}, headers=token)
    assert (await browser.get(path(made.json()))).status_code == 200
    kept = {row for table, row in await service.kept() if "session" not in table}
    for secret in (browser.cookies[COOKIE], token["X-CSRF-Token"]):
        assert secret not in str(kept)
        assert secret not in caplog.text
