"""How often somebody may ask, or may be wrong; and that nobody pays for what others do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st
from psycopg import AsyncConnection

from api.auth import RECHECK
from api.bootstrap import FAILURES_AT_ONCE
from api.errors import ApiError
from api.rate_limit import REMEMBERED, RateLimit
from api.scopes import COOKIE
from tests.api.conftest import Installation, Service, calling, serving
from tests.api.document import OPERATIONS
from tests.api.tenants import key_id
from tests.api.test_sessions import assert_page, link
from tests.api.test_table_defs import assert_problem
from tests.api.test_tokens import AUDIENCE, ISSUER, SECRET, signed

pytestmark = pytest.mark.anyio
AT_ONCE = 5


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def limited(per_second: float, burst: int) -> tuple[RateLimit, Clock]:
    clock = Clock()
    return RateLimit(per_second, burst, clock), clock


def take(limit: RateLimit, who: str = "a") -> int:
    """0 if it is let in, else the seconds of Retry-After."""
    try:
        limit.take(who)
    except ApiError as error:
        return int(error.headers["Retry-After"])
    return 0


# The limit itself


def test_so_many_come_at_once_and_then_one_after_the_other() -> None:
    limit, clock = limited(per_second=2, burst=3)
    assert [take(limit) for _ in range(5)] == [0, 0, 0, 1, 1]
    for _ in range(10):
        clock.now += 0.5
        assert [take(limit), take(limit)] == [0, 1]
    clock.now += 60
    assert [take(limit) for _ in range(4)] == [0, 0, 0, 1]


def test_what_was_refused_does_not_count() -> None:
    limit, clock = limited(per_second=1, burst=1)
    assert take(limit) == 0
    for _ in range(100):
        assert take(limit) > 0
    clock.now += 1
    assert take(limit) == 0


def test_a_check_does_not_count() -> None:
    limit, _ = limited(per_second=1, burst=2)
    for _ in range(10):
        limit.check("a")
    assert [take(limit), take(limit)] == [0, 0]
    with pytest.raises(ApiError) as refused:
        limit.check("a")
    assert refused.value.code == "rate-limited"


def test_everybody_has_a_limit_of_their_own() -> None:
    limit, _ = limited(per_second=1, burst=1)
    assert [take(limit, who) > 0 for who in "abab"] == [False, False, True, True]


def test_zero_is_no_limit() -> None:
    limit, _ = limited(per_second=0, burst=1)
    assert not any(take(limit) for _ in range(1000))


def test_those_who_asked_long_ago_are_forgotten() -> None:
    limit, clock = limited(per_second=1, burst=1)
    for number in range(REMEMBERED):
        limit.take(number)
    clock.now += 2
    limit.take("late")
    assert len(limit._due) == 1
    for number in range(2 * REMEMBERED):  # all at once, and none of them is due
        limit.take(number)
    assert len(limit._due) <= REMEMBERED


@given(
    st.sampled_from([0.5, 1.0, 4.0, 100.0]),
    st.integers(1, 5),
    st.lists(st.sampled_from([0.0, 0.01, 0.25, 1.0, 3.0]), max_size=40),
)
def test_in_any_stretch_of_time_no_more_come_than_allowed(
    per_second: float, burst: int, pauses: list[float]
) -> None:
    limit, clock = limited(per_second, burst)
    came: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = take(limit)
        if wait == 0:
            came.append(clock.now)
            continue
        clock.now += wait
        assert take(limit) == 0  # whoever waits as long as they are told gets in
        came.append(clock.now)
    for first in range(len(came)):
        for last in range(first, len(came)):
            allowed = burst + (came[last] - came[first]) * per_second
            assert last - first + 1 <= allowed + 1e-6


# Over HTTP


@pytest.fixture
async def busy(installation: Installation) -> AsyncIterator[FastAPI]:
    """A process in which each caller may come five times at once, and once in two seconds then."""
    settings = {
        "requests_per_second": 0.5, "requests_at_once": AT_ONCE,
        "jwt_secret": SECRET, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE,
    }  # fmt: skip
    async with serving(installation.database, **settings) as app:
        yield app


@pytest.fixture
async def wary(installation: Installation) -> AsyncIterator[FastAPI]:
    """A process that an address may bring a wrong credential once a minute."""
    async with serving(installation.database, failed_logins_per_minute=1) as app:
        yield app


def assert_limited(answer: Response, most: int = 60) -> None:
    is_page = answer.headers["content-type"].startswith("text/html")
    (assert_page if is_page else assert_problem)(answer, 429, "rate-limited")
    assert 1 <= int(answer.headers["retry-after"]) <= most


async def test_whoever_comes_too_often_is_told_when_to_come_again(
    service: Service, busy: FastAPI
) -> None:
    before = await service.kept()
    async with calling(busy, service.tokens[service.ours, "admin"]) as caller:
        for _ in range(AT_ONCE):
            assert (await caller.get("/api/tables")).status_code == 200
        for operation in OPERATIONS:
            assert_limited(await operation.call(caller, {"id": str(uuid4())}), 2)
        assert await service.kept() == before
        await asyncio.sleep(2)
        assert (await caller.get("/api/tables")).status_code == 200


async def test_each_key_user_and_session_is_counted_apart(service: Service, busy: FastAPI) -> None:
    """And a session as its key: one more browser is not one more caller."""
    token = service.tokens[service.ours, "admin"]
    async with calling(busy, token) as caller, calling(busy, None) as browser:
        await browser.post("/sign-in", data={"key": token})
        for _ in range(AT_ONCE):
            assert (await caller.get("/api/me")).status_code == 200
        assert_limited(await caller.get("/api/me"), 2)
        assert_limited(await browser.get("/api/me"), 2)
        assert_limited(await browser.get("/"), 2)
        documents = ("/openapi.json", "/asyncapi.json", "/api/schemas")
        for public in ("/livez", "/readyz", "/metrics", "/sign-in", *documents):
            assert (await caller.get(public)).status_code == 200
    user = str(uuid4())
    tokens = [signed(company_id=str(service.ours), sub=user, jti=str(n)) for n in range(AT_ONCE)]
    others = (
        service.tokens[service.ours, "viewer"],
        service.tokens[service.theirs, "admin"],
        *tokens,
    )
    for other in others:
        async with calling(busy, other) as caller:
            assert (await caller.get("/api/me")).status_code == 200
    async with calling(busy, signed(company_id=str(service.ours), sub=user, jti="x")) as caller:
        assert_limited(await caller.get("/api/me"), 2)  # another token of the same person


async def fail(app: FastAPI, address: str, times: int = FAILURES_AT_ONCE) -> None:
    """Bring wrong credentials from there, as many as are let through."""
    for _ in range(times):
        async with calling(app, f"dtk_{uuid4().hex}_{uuid4().hex}", address) as caller:
            assert_problem(await caller.get("/api/me"), 401, "unauthenticated")


async def status(app: FastAPI, token: str | None, address: str, **headers: str) -> int:
    async with calling(app, token, address) as caller:
        return (await caller.get("/api/me", headers=headers)).status_code


async def test_an_address_that_keeps_guessing_has_to_wait(service: Service, wary: FastAPI) -> None:
    good, wrong = service.tokens[service.ours, "admin"], "dtk_x_y"
    await fail(wary, "192.0.2.1")
    async with calling(wary, wrong, "192.0.2.1") as guesser:
        assert_limited(await guesser.get("/api/me"))
        assert_limited(await guesser.get("/api/tables"))
        assert_limited(await guesser.get("/api/me", headers={"X-Forwarded-For": "192.0.2.9"}))
        assert_limited(await guesser.post("/sign-in", data={"key": wrong}))
        assert_limited(await guesser.get("/sign-in?code=x"))
        assert (await guesser.get("/sign-in")).status_code == 200
    async with calling(wary, None, "192.0.2.1") as guesser:
        forged = {"Cookie": f"{COOKIE}=forged.x"}
        assert_limited(await guesser.get("/api/me", headers=forged))
    assert await status(wary, good, "192.0.2.1") == 429  # not known yet: it might be a guess
    assert await status(wary, good, "192.0.2.2") == 200


async def test_each_way_to_guess_counts(
    service: Service, wary: FastAPI, sql: AsyncConnection
) -> None:
    ways: dict[str, Any] = {
        "192.0.2.11": lambda c: c.get("/api/me", headers={"Authorization": "Bearer dtk_x_y"}),
        "192.0.2.12": lambda c: c.get("/api/me", headers={"Authorization": "Bearer x.y.z"}),
        "192.0.2.13": lambda c: c.get("/api/me", headers={"Cookie": f"{COOKIE}=x.y"}),
        "192.0.2.14": lambda c: c.post("/sign-in", data={"key": "dtk_x_y"}),
        "192.0.2.15": lambda c: c.get("/sign-in?code=x"),
    }
    for address, guess in ways.items():
        async with calling(wary, None, address) as guesser:
            for _ in range(FAILURES_AT_ONCE):
                assert (await guess(guesser)).status_code == 401
            assert_limited(await guess(guesser))
    good = await link(sql, key_id(service.tokens[service.ours, "viewer"]))
    async with calling(wary, None, "192.0.2.15") as late:
        assert_limited(await late.get(good))
    async with calling(wary, None, "192.0.2.16") as other:
        assert (await other.get(good)).status_code == 303  # the refusal did not use it up


async def test_who_brings_nothing_or_may_not_do_it_is_no_guesser(
    service: Service, wary: FastAPI
) -> None:
    address = "192.0.2.20"
    async with (
        calling(wary, None, address) as nobody,
        calling(wary, service.tokens[service.ours, "viewer"], address) as viewer,
    ):
        for _ in range(FAILURES_AT_ONCE + 5):
            assert (await nobody.get("/api/me")).status_code == 401
            assert (await viewer.get("/api/keys")).status_code == 403
            assert (await viewer.get(f"/api/tables/{uuid4()}")).status_code == 404
            assert (await nobody.get("/nowhere")).status_code == 404
    await fail(wary, address)


async def test_whoever_was_let_in_is_not_kept_out_by_others_at_the_same_address(
    service: Service, wary: FastAPI
) -> None:
    """A whole office comes from one address."""
    address, good = "192.0.2.30", service.tokens[service.ours, "admin"]
    async with calling(wary, good, address) as caller, calling(wary, None, address) as browser:
        await browser.post("/sign-in", data={"key": good})
        assert (await caller.get("/api/me")).status_code == 200
        assert (await browser.get("/api/me")).status_code == 200
        await fail(wary, address)
        assert await status(wary, "dtk_x_y", address) == 429
        for _ in range(3):
            assert (await caller.get("/api/me")).status_code == 200
            assert (await browser.get("/api/me")).status_code == 200
            await asyncio.sleep(RECHECK / 2 + 0.05)  # also when it is looked up again


async def test_an_ipv6_network_is_one_address(service: Service, wary: FastAPI) -> None:
    """Whoever has one address of it has 2^64, however they are written."""
    for address, same, other in (
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:eeee:dddd:cccc", "2001:db8:1:3::1"),
        ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
        ("2001:db9::a:b:c:d", "2001:db9:0:0:1:2:3:4", "2001:db9:0:a::1"),
        ("2001:db8:5::1", "2001:db8:5::ffff:1", "2001:db8:5:1::"),
    ):
        await fail(wary, address)
        assert await status(wary, "dtk_x_y", same) == 429, same
        assert await status(wary, "dtk_x_y", other) == 401, other


async def test_an_ipv4_address_is_one_however_it_is_written(wary: FastAPI) -> None:
    await fail(wary, "::ffff:192.0.2.40")
    assert await status(wary, "dtk_x_y", "192.0.2.40") == 429
    assert await status(wary, "dtk_x_y", "::ffff:192.0.2.41") == 401


async def test_without_limits_nobody_is_limited(service: Service) -> None:
    for _ in range(2 * FAILURES_AT_ONCE):
        assert await status(service.app, "dtk_x_y", "192.0.2.50") == 401
    async with service.client() as client:
        answers = await asyncio.gather(*(client.get("/api/me") for _ in range(300)))
    assert {answer.status_code for answer in answers} == {200}


async def test_after_a_wait_one_may_be_wrong_again(installation: Installation) -> None:
    async with serving(installation.database, failed_logins_per_minute=60) as app:
        await fail(app, "192.0.2.60")
        async with calling(app, "dtk_x_y", "192.0.2.60") as guesser:
            limited = await guesser.get("/api/me")
            assert_limited(limited, 2)
            await asyncio.sleep(int(limited.headers["retry-after"]))
            assert (await guesser.get("/api/me")).status_code == 401
