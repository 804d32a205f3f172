"""The database goes away: clear refusals at once, and everything works again by itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
from httpx import AsyncClient, Response
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

from tests.api.conftest import Service
from tests.api.document import OPERATIONS
from tests.api.tenants import one_of_each
from tests.api.test_sessions import assert_page
from tests.api.test_table_defs import assert_problem, create, path
from tests.conftest import eventually

pytestmark = pytest.mark.anyio
Request = Callable[[], Awaitable[Response]]


@contextlib.asynccontextmanager
async def outage(database: str) -> AsyncIterator[None]:
    """Nobody can connect, and whoever was connected is cut off."""
    url = make_conninfo(database, dbname="postgres")
    async with await AsyncConnection.connect(url, autocommit=True) as admin:
        name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
        switch = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format
        await admin.execute(switch(sql.Identifier(str(name)), sql.SQL("false")))
        try:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            yield
        finally:
            await admin.execute(switch(sql.Identifier(str(name)), sql.SQL("true")))


async def test_without_a_database_every_route_says_503_and_recovers_by_itself(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    await client.get(path(table))
    requests: list[Request] = [
        lambda: client.get("/api/tables"),
        lambda: client.get(path(table)),
        lambda: client.get("/api/tables/by-slug/orders"),
        lambda: client.get("/api/tables/slug-suggestion?name=A"),
        lambda: client.post("/api/tables", json={"name": "B"}, headers={"Idempotency-Key": "k"}),
        lambda: client.patch(path(table), json={"name": "B"}),
        lambda: client.post(path(table) + "/duplicate"),
        lambda: client.delete(path(table)),
        lambda: client.get("/readyz"),
    ]
    async with outage(service.database):
        for request in requests:
            started = time.monotonic()
            answer = await request()
            assert time.monotonic() - started < 10
            problem = assert_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert "database" not in problem["detail"].lower()
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200

    # Whoever held a connection finds it broken once; the retry that 503 asks for succeeds.
    started = time.monotonic()
    for request, status in zip(
        requests, (200, 200, 200, 200, 201, 200, 201, 204, 200), strict=True
    ):

        async def works(request: Request = request, status: int = status) -> bool:
            answer = await request()
            assert answer.status_code in (status, 503)
            return answer.status_code == status

        await eventually(works, 15)
    assert time.monotonic() - started < 15
    assert sorted(await service.topics()) == ["Created"] * 3 + ["Deleted", "Renamed"]

    async def projected() -> bool:
        listed = await client.get("/api/tables?state=all")
        return len(listed.json().get("items", ())) == 3

    await eventually(projected, 5)


async def test_no_operation_answers_anything_else_meanwhile(
    service: Service, client: AsyncClient
) -> None:
    """Not even that a key is unknown, or that somebody is nobody."""
    ids = await one_of_each(client, service.ours)
    named = {each.id: {"id": ids[each.collection]} for each in OPERATIONS if each.names_one}
    async with (
        service.client() as known,
        service.client("viewer") as unknown,
        service.with_token(None) as browser,
        service.client("platform") as platform,
    ):
        await browser.post("/sign-in", data={"key": service.tokens[service.ours, "admin"]})
        await known.get("/api/me")
        async with outage(service.database):
            for caller in (known, unknown, browser, platform):
                answers = await asyncio.gather(
                    *(each.call(caller, named.get(each.id, {})) for each in OPERATIONS)
                )
                for operation, answer in zip(OPERATIONS, answers, strict=True):
                    code = answer.json()["code"]
                    assert code in ("unavailable", "forbidden", "csrf"), operation.id
                    assert code != "unavailable" or "retry-after" in answer.headers
            for address in ("/", "/sign-in?code=x"):
                assert_page(await browser.get(address), 503, "unavailable")
            key = {"key": service.tokens[service.ours, "viewer"]}
            assert_page(await browser.post("/sign-in", data=key), 503, "unavailable")
            assert (await browser.get("/sign-in")).status_code == 200

        async def still_signed_in() -> bool:
            return (await browser.get("/api/me")).status_code == 200

        await eventually(still_signed_in, 5)


async def test_a_list_passes_over_connections_that_broke_while_nobody_used_them(
    service: Service, client: AsyncClient
) -> None:
    await create(client)
    answers = await asyncio.gather(*(client.get("/api/tables") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    url = make_conninfo(service.database, dbname="postgres")
    name = psycopg.conninfo.conninfo_to_dict(service.database)["dbname"]
    async with await AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
    answer = await client.get("/api/tables")
    assert answer.status_code == 200, answer.text
