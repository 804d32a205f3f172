"""Who may do what: roles, scopes, keys. Every route is here, or a test fails."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID, uuid4

import pytest
from fastapi.routing import APIRoute
from httpx import AsyncClient
from psycopg import AsyncConnection
from starlette.routing import Mount, Route

from api import keys
from api.auth import RECHECK
from api.endpoint import Endpoint
from api.keys import NewKey
from api.scopes import COMPANY_SCOPES, COOKIE, ROLES, Scope
from api.web.page import OpenPage, Page
from tests.api.conftest import Service
from tests.api.document import PUBLIC, operations
from tests.api.tenants import key_id, new_key, one_of_each
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio

SCOPES = {
    "viewer": {"tables:read"},
    "editor": {"tables:read", "tables:write"},
    "integrator": {"tables:read", "events:read", "consumers:write", "webhooks:write"},
    "auditor": {"tables:read", "events:read", "audit:read", "audit:export"},
    "admin": {
        "tables:read", "tables:write", "tables:purge", "workspaces:write", "company:write",
        "people:write", "keys:write", "events:read", "consumers:write", "webhooks:write",
        "audit:read", "audit:export",
    },
    "platform": {"companies:write"},
}  # fmt: skip
NEEDS: dict[str, str | None] = {
    "list_events": "events:read",
    "get_event": "events:read",
    "create_table": "tables:write",
    "list_tables": "tables:read",
    "suggest_slug": "tables:read",
    "get_table_by_slug": "tables:read",
    "get_table": "tables:read",
    "change_table": "tables:write",
    "delete_table": "tables:write",
    "restore_table": "tables:write",
    "purge_table": "tables:purge",
    "duplicate_table": "tables:write",
    "revert_table": "tables:write",
    "create_workspace": "workspaces:write",
    "list_workspaces": "tables:read",
    "get_workspace": "tables:read",
    "put_workspace": "workspaces:write",
    "change_workspace": "workspaces:write",
    "delete_workspace": "workspaces:write",
    "restore_workspace": "workspaces:write",
    "get_company": "tables:read",
    "change_company": "company:write",
    "register_company": "companies:write",
    "list_companies": "companies:write",
    "get_one_company": "companies:write",
    "change_one_company": "companies:write",
    "remove_company": "companies:write",
    "restore_company": "companies:write",
    "create_key": "keys:write",
    "list_keys": "keys:write",
    "get_key": "keys:write",
    "rotate_key": "keys:write",
    "revoke_key": "keys:write",
    "list_people": "tables:read",
    "erase_person": "people:write",
    **dict.fromkeys(
        (
            "list_consumers",
            "put_consumer",
            "get_consumer",
            "delete_consumer",
            "seek_consumer",
            "fetch_events",
            "acknowledge_events",
            "refuse_event",
            "list_parked",
            "replay_all_parked",
            "replay_parked",
            "drop_parked",
        ),
        "consumers:write",
    ),
    **dict.fromkeys(
        (
            "create_webhook",
            "list_webhooks",
            "get_webhook",
            "change_webhook",
            "delete_webhook",
            "rotate_webhook_secret",
            "list_deliveries",
            "redeliver",
            "replay_events",
            "test_webhook",
        ),
        "webhooks:write",
    ),
    **dict.fromkeys(
        ("create_export", "list_exports", "get_export", "delete_export", "download_export"),
        "audit:export",
    ),
    **dict.fromkeys(
        ("get_checkpoint", "list_audit_keys", "prove_inclusion", "prove_consistency"),
        "audit:read",
    ),
    "list_table_history": "tables:read",
    "compare_table": "tables:read",
    "list_audit_events": "audit:read",
    "compare_company": "audit:read",
    "get_me": None,
}
PAGES = {
    "/sign-in", "/sign-out", "/preferences", "/static/{edition}/{name}", "/docs", "/openapi.json",
    "/docs/static",
}  # fmt: skip  # no data in them
DRY = {"dryRun": "true"}
# What is live is not purged, a lease is not theirs, nothing was delivered, and nobody signs or
# exports here.
NOT_NOW = {
    "purge_table": 409, "acknowledge_events": 409, "refuse_event": 409, "redeliver": 404,
    "get_checkpoint": 404, "prove_inclusion": 404, "prove_consistency": 404,
    "download_export": 409,
}  # fmt: skip


async def test_this_file_knows_every_operation_and_its_scope(service: Service) -> None:
    found = {operation.id: operation.scopes for operation in operations(service.app)}
    assert found == {id: (scope,) if scope else () for id, scope in NEEDS.items()}


async def test_a_role_is_the_scopes_that_it_is_documented_to_be() -> None:
    assert {role: set(scopes) for role, scopes in ROLES.items()} == SCOPES
    assert set(get_args(Scope)) == set().union(*SCOPES.values())


async def test_every_route_checks_credentials_or_is_known_to_need_none(service: Service) -> None:
    """Fails for a route below /api that is no `Endpoint` or forgets `requires(…)`."""
    for route in service.app.routes:
        assert isinstance(route, Route | APIRoute | Mount)
        if isinstance(route, Page):
            assert not route.include_in_schema
            assert route.scopes or (isinstance(route, OpenPage) and route.path in PAGES), route.path
        elif isinstance(route, Endpoint):
            assert route.path.startswith("/api/")
            assert route.scopes or route.path == "/api/me", route.path
            assert len(route.methods) == 1
        else:
            assert route.path in PAGES or getattr(route, "name", "") in PUBLIC, route.path


async def test_a_role_may_do_what_its_scopes_say_and_is_told_which_one_it_lacks(
    service: Service, client: AsyncClient
) -> None:
    ids = await one_of_each(client, service.ours)
    before = await service.kept()
    for role, scopes in SCOPES.items():
        async with service.client(role) as caller:
            await assert_may(service, caller, scopes, ids)
    assert await service.kept() == before


async def test_a_key_with_scopes_of_its_own_may_do_just_what_they_say(
    service: Service, client: AsyncClient
) -> None:
    ids = await one_of_each(client, service.ours)
    for scope in sorted(COMPANY_SCOPES):
        key = await new_key(client, None, scopes=[scope])
        before = await service.kept()
        async with service.with_token(key["key"]) as caller:
            await assert_may(service, caller, {scope}, ids | {"keys": key["id"]})
        assert await service.kept() == before


async def assert_may(
    service: Service, caller: AsyncClient, scopes: set[str], ids: dict[str, str]
) -> None:
    """The caller may rehearse what these scopes are needed for, and may do nothing else."""
    for operation in operations(service.app):
        scope = NEEDS[operation.id]
        named = (
            {"slug": "orders"} | {"id": ids[operation.collection]} if operation.names_one else {}
        )
        if scope is None or scope in scopes:
            body = {"label": "X", "scopes": [scope]} if operation.id == "create_key" else None
            dry = DRY if operation.takes("dryRun") else None
            answer = await operation.call(caller, named, dry, body=body)
            expected = NOT_NOW.get(operation.id, 200)
            assert answer.status_code == expected, (operation.id, answer.text)
            continue
        problem = assert_problem(await operation.call(caller, named), 403, "forbidden")
        assert problem["missingScope"] == scope, operation.id
        assert scope in problem["detail"]


async def test_nobody_gets_in_without_valid_credentials(
    service: Service, anyone: AsyncClient
) -> None:
    id, secret = service.tokens[service.ours, "admin"].removeprefix("dtk_").split("_")
    jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."
    bearers: list[str | bytes] = [
        "", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer dtk_", "Bearer dtk__",
        f"Bearer dtk_{id}_", f"Bearer dtk_{id}_{secret}0", f"Bearer dtk_{uuid4().hex}_{secret}",
        f"Bearer dtk_{id}_{secret[::-1]}", b"Bearer dtk_\xff_\xfe", "Bearer dtk_a_b_c",
        f"Bearer {jwt}", f"Bearer cookie {id}", f"Token dtk_{id}_{secret}", f"dtk_{id}_{secret}",
        f"Bearer dtk_{id}_{secret} x", f"Bearer dtk_{id}_{secret.upper()}",
        f"Bearer {'x' * 20_000}",
    ]  # fmt: skip
    given = [{}, *({"Authorization": each} for each in bearers)]
    given += [{"Cookie": f"{COOKIE}={value}"} for value in ("", "x", id, f"{id}.{secret}", "a.b.c")]
    before = await service.kept()
    for operation in operations(service.app):
        for headers in given:
            answer = await operation.call(
                anyone, {"id": str(uuid4()), "slug": "orders"}, headers=headers
            )
            assert_problem(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert await service.kept() == before


async def test_who_is_not_let_in_is_told_nothing_else_that_is_wrong(
    service: Service, anyone: AsyncClient
) -> None:
    headers = {"If-Match": "x", "Min-Position": "x", "Idempotency-Key": "a b"}
    for operation in operations(service.app):
        wrong = {"id": "no-uuid", "slug": "%00"}
        answer = await operation.call(anyone, wrong, {"limit": "x"}, headers, body=[])
        assert_problem(answer, 401, "unauthenticated")


async def test_the_acting_key_is_the_author(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    async with service.client("editor") as editor:
        changed = (await editor.patch(path(table), json={"name": "X"})).json()
    admin, editor_id = (key_id(service.tokens[service.ours, r]) for r in ("admin", "editor"))
    assert (table["createdBy"], table["updatedBy"]) == (admin, admin)
    assert (changed["createdBy"], changed["updatedBy"]) == (admin, editor_id)
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
    assert len(rows) >= len(secrets)
    assert not any(secret in row[0] for row in rows for secret in secrets)
