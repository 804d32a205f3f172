"""Who may do what: roles, companies, keys. What is another company's looks like nothing at all."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient, Response
from psycopg import AsyncConnection

from api import keys
from api.auth import RECHECK
from api.keys import NewKey
from api.table_defs import router
from tests.api.conftest import Service
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio

SCOPES = {
    "viewer": {"tables:read"},
    "editor": {"tables:read", "tables:write"},
    "admin": {"tables:read", "tables:write", "tables:purge"},
}
BODIES: dict[str, Any] = {
    "POST /api/tables": {"name": "X"},
    "PATCH /api/tables/{id}": {"name": "X"},
}
NEEDS = {
    "POST /api/tables": "tables:write",
    "GET /api/tables": "tables:read",
    "GET /api/tables/slug-suggestion": "tables:read",
    "GET /api/tables/by-slug/{slug}": "tables:read",
    "GET /api/tables/{id}": "tables:read",
    "PATCH /api/tables/{id}": "tables:write",
    "DELETE /api/tables/{id}": "tables:write",
    "POST /api/tables/{id}/restore": "tables:write",
    "POST /api/tables/{id}/purge": "tables:purge",
    "POST /api/tables/{id}/duplicate": "tables:write",
}


def routes() -> Iterator[str]:
    for route in router.routes:
        for method in route.methods:  # type: ignore[attr-defined]
            yield f"{method} {route.path}"  # type: ignore[attr-defined]


async def call(client: AsyncClient, route: str, id: str, slug: str = "x", **more: Any) -> Response:
    method, address = route.split(" ")
    params = {"name": "X"} if "suggestion" in route else {}
    return await client.request(
        method,
        address.replace("{id}", id).replace("{slug}", slug),
        params=params | more.pop("params", {}),
        json=BODIES.get(route),
        **more,
    )


async def test_this_file_knows_every_route() -> None:
    assert set(routes()) == set(NEEDS)


async def test_a_role_may_do_what_its_scopes_say_and_is_told_which_one_it_lacks(
    service: Service, client: AsyncClient
) -> None:
    for role, scopes in SCOPES.items():
        table = await create(client)
        async with service.client(role) as caller:
            for route, scope in NEEDS.items():
                stored = await service.topics()
                answer = await call(caller, route, table["id"], table["slug"])
                if scope in scopes:
                    assert answer.status_code not in (401, 403), route
                    continue
                problem = assert_problem(answer, 403, "forbidden")
                assert problem["missingScope"] == scope
                assert scope in problem["detail"]
                assert await service.topics() == stored


async def test_nobody_gets_in_without_a_key(service: Service) -> None:
    id, secret = service.tokens[service.ours, "admin"].removeprefix("dtk_").split("_")
    given: list[str | bytes | None] = [
        None, "", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer dtk_", "Bearer dtk__",
        f"Bearer dtk_{id}_", f"Bearer dtk_{id}_{secret}0", f"Bearer dtk_{uuid4().hex}_{secret}",
        f"Bearer dtk_{id}_{secret[::-1]}", b"Bearer dtk_\xff_\xfe", "Bearer dtk_a_b_c",
    ]  # fmt: skip
    async with service.client() as client:
        del client.headers["authorization"]
        for route in NEEDS:
            for value in given:
                headers = {} if value is None else {"Authorization": value}
                answer = await call(client, route, str(uuid4()), headers=headers)
                assert_problem(answer, 401, "unauthenticated")
                assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert await service.topics() == []


def masked(answer: Response) -> tuple[int, list[tuple[bytes, bytes]], str]:
    """An answer without what makes each one different."""
    request_id = answer.headers["x-request-id"]
    headers = [header for header in answer.headers.raw if header[1] != request_id.encode()]
    return answer.status_code, headers, answer.text.replace(request_id, "…")


@pytest.mark.parametrize("state", ["live", "deleted", "purged"])
async def test_another_companys_id_is_answered_exactly_like_a_random_one(
    service: Service, client: AsyncClient, stranger: AsyncClient, state: str
) -> None:
    table = await create(client)
    if state != "live":
        await client.delete(path(table))
    if state == "purged":
        await client.post(path(table) + "/purge")
    before = await service.topics()
    for route in NEEDS:
        if "{id}" not in route:
            continue
        for more in (
            {},
            {"headers": {"If-Match": '"1"'}},
            {"headers": {"Idempotency-Key": "k"}},
            {"params": {"state": "all"} if route.startswith("GET") else {"dryRun": "true"}},
        ):
            theirs = await call(stranger, route, table["id"], **dict(more))
            random = await call(stranger, route, str(uuid4()), **dict(more))
            assert_problem(theirs, 404, "not-found")
            assert masked(theirs) == masked(random)
    assert await service.topics() == before


async def test_another_companys_slug_is_answered_exactly_like_a_random_one(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    await create(client, name="Orders")
    theirs = await stranger.get("/api/tables/by-slug/orders")
    assert masked(theirs) == masked(await stranger.get("/api/tables/by-slug/random"))


async def test_a_company_lists_its_own_tables_alone(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    ours, theirs = await create(client), await create(stranger)
    for caller, table in ((client, ours), (stranger, theirs)):
        listed = (await caller.get("/api/tables", params={"state": "all", "count": "true"})).json()
        assert listed == {"items": [table], "nextCursor": None, "totalCount": 1}
    assert UUID(theirs["companyId"]) == service.theirs


async def test_the_acting_key_is_the_author(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    async with service.client("editor") as editor:
        changed = (await editor.patch(path(table), json={"name": "X"})).json()
    id_of = {role: service.tokens[service.ours, role].split("_")[1] for role in SCOPES}
    assert UUID(table["createdBy"]).hex == id_of["admin"]
    assert UUID(changed["createdBy"]).hex == id_of["admin"]
    assert UUID(changed["updatedBy"]).hex == id_of["editor"]
    assert [e.metadata["actorKind"] for e in await service.stored()] == ["key", "key"]


async def test_a_revoked_key_stops_within_a_moment(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    assert (await client.get("/api/tables")).status_code == 200
    id = UUID(hex=service.tokens[service.ours, "admin"].split("_")[1])
    assert await keys.revoke(sql, id)
    await asyncio.sleep(RECHECK + 0.05)
    assert_problem(await client.get("/api/tables"), 401, "unauthenticated")


async def test_a_key_remembers_when_it_was_used_last_but_not_when_somebody_only_tried(
    service: Service, sql: AsyncConnection
) -> None:
    token = service.tokens[service.ours, "viewer"]
    async with service.client("viewer") as client:
        wrong = {"Authorization": f"Bearer {token}0"}
        assert (await client.get("/api/tables", headers=wrong)).status_code == 401
        assert await _last_used(sql, token) is None
        assert (await client.get("/api/tables")).status_code == 200
        assert await _last_used(sql, token) is not None


async def _last_used(sql: AsyncConnection, token: str) -> object:
    query = "SELECT last_used_at FROM access.api_keys WHERE id = %s"
    row = await (await sql.execute(query, (NewKey.parse(token).id,))).fetchone()
    assert row is not None
    return row[0]


async def test_an_expired_key_does_not_open(service: Service, sql: AsyncConnection) -> None:
    async def status(expires_at: datetime) -> int:
        key = NewKey.make()
        await keys.store(sql, key, service.ours, "viewer", "a label", expires_at)
        async with service.client() as client:
            client.headers["authorization"] = f"bearer {key}"
            return (await client.get("/api/tables")).status_code

    now = datetime.now(UTC)
    assert await status(now - timedelta(seconds=1)) == 401
    assert await status(now + timedelta(hours=1)) == 200


async def test_no_secret_is_stored(service: Service, sql: AsyncConnection) -> None:
    rows = await (await sql.execute("SELECT k::text FROM access.api_keys k")).fetchall()
    secrets = [token.rpartition("_")[2] for token in service.tokens.values()]
    assert len(rows) == len(secrets)
    assert not any(secret in row[0] for row in rows for secret in secrets)


async def test_every_api_route_declares_the_scope_that_it_needs(service: Service) -> None:
    """Fails for a route below /api that forgets `requires(…)`."""
    api = [r for r in service.app.routes if re.match("/api(/|$)", getattr(r, "path", ""))]
    assert len(api) == len(NEEDS)
    for route in api:
        assert getattr(route, "scopes", None), f"{route} declares no scope"
