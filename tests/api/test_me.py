"""Who am I? Anybody may ask, and nobody is told more than that."""

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api import keys
from api.ids import new_id
from api.keys import NewKey
from api.scopes import COMPANY_SCOPES
from api.scopes import ROLES as ROLE_SCOPES
from tests.api.conftest import ROLES, Service
from tests.api.tenants import key_id, new_key
from tests.api.test_table_defs import assert_problem
from tests.conftest import eventually

pytestmark = pytest.mark.anyio


async def test_a_key_is_told_its_name_company_role_and_scopes(service: Service) -> None:
    for role in ROLES:
        async with service.client(role) as caller:
            answer = await caller.get("/api/me")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {
            "actor": {
                "id": key_id(service.tokens[service.ours, role]), "name": role, "kind": "key",
            },
            "company": {"id": str(service.ours), "name": f"Company {service.ours}"},
            "role": role,
            "scopes": sorted(ROLE_SCOPES[role]),
            "csrfToken": None,
        }  # fmt: skip


async def test_the_platform_has_no_company(service: Service, platform: AsyncClient) -> None:
    me = (await platform.get("/api/me")).json()
    assert me == {
        "actor": {"id": key_id(service.tokens[None, "platform"]), "name": None, "kind": "key"},
        "company": None, "role": "platform", "scopes": ["companies:write"], "csrfToken": None,
    }  # fmt: skip


async def test_a_key_without_a_role_has_its_scopes(service: Service, client: AsyncClient) -> None:
    made = await new_key(client, None, scopes=["audit:read"], label="Auditor")
    async with service.with_token(made["key"]) as caller:
        me = (await caller.get("/api/me")).json()
    assert (me["role"], me["scopes"]) == (None, ["audit:read"])
    assert me["actor"]["name"] == "Auditor"


async def test_an_admin_has_all_scopes_of_a_company(client: AsyncClient) -> None:
    assert (await client.get("/api/me")).json()["scopes"] == sorted(COMPANY_SCOPES)


async def test_the_company_has_its_present_name(client: AsyncClient) -> None:
    await client.patch("/api/company", json={"name": "Acme"})

    async def renamed() -> bool:
        return bool((await client.get("/api/me")).json()["company"]["name"] == "Acme")

    await eventually(renamed)


async def test_a_company_that_nobody_registered_has_no_name(
    service: Service, sql: AsyncConnection
) -> None:
    """As keys of the first release have it until `migrate` runs."""
    company, made = new_id(), NewKey.make()
    await keys.store(sql, made, company, "viewer", "early")
    async with service.with_token(str(made)) as caller:
        answer = await caller.get("/api/me")
        assert answer.json()["company"] == {"id": str(company), "name": None}
        assert (await caller.get("/api/tables")).status_code == 200
        assert_problem(await caller.get("/api/company"), 404, "not-found")


async def test_nobody_is_nobody(anyone: AsyncClient) -> None:
    assert_problem(await anyone.get("/api/me"), 401, "unauthenticated")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await anyone.request(method, "/api/me")
        assert_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET"
