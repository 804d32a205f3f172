"""People with a token of an identity provider: from the header to the route and the name."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from psycopg import AsyncConnection

from api.auth import RECHECK
from api.tokens import company_id, user_id
from tests.api.conftest import Installation, Service, calling, serving
from tests.api.document import OPERATIONS
from tests.api.tenants import one_of_each
from tests.api.test_access import NEEDS, SCOPES
from tests.api.test_table_defs import assert_problem, create, path
from tests.api.test_tokens import (
    AUDIENCE,
    ISSUER,
    PUBLISHED,
    SECRET,
    SIGNERS,
    encoded,
    forged,
    payload,
    signed,
)

pytestmark = pytest.mark.anyio
DRY = {"dryRun": "true"}
PROVIDER = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}


@pytest.fixture(scope="module")
async def strict(installation: Installation) -> AsyncIterator[FastAPI]:
    """A process that accepts tokens with a shared secret, for companies that it knows."""
    async with serving(installation.database, **PROVIDER, jwt_secret=SECRET) as app:
        yield app


@pytest.fixture(scope="module")
def key_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the provider's keys."""
    file = tmp_path_factory.mktemp("provider") / "jwks.json"
    file.write_text(json.dumps({"keys": PUBLISHED}))
    return file


@pytest.fixture(scope="module")
async def open_to_all(installation: Installation, key_set: Path) -> AsyncIterator[FastAPI]:
    """A process that accepts tokens with keys from a file, for any company."""
    settings = {
        "jwt_jwks": str(key_set), "jwt_algorithms": "RS256,ES256,ES384,ES512,EdDSA",
        "jwt_register_companies": True,
    }  # fmt: skip
    async with serving(installation.database, **PROVIDER, **settings) as app:
        yield app


def ours(service: Service, **claims: Any) -> str:
    """A token with a shared secret for our company."""
    return signed(**{"company_id": str(service.ours), "sub": f"user {uuid4()}"} | claims)


async def me(app: FastAPI, token: str) -> dict[str, Any]:
    async with calling(app, token) as caller:
        answer = await caller.get("/api/me")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(app: FastAPI, token: str, status: int = 401) -> str:
    """Why whoever comes with this token is not let in."""
    async with calling(app, token) as caller:
        answer = await caller.get("/api/me")
    code = "unauthenticated" if status == 401 else "forbidden"
    problem = assert_problem(answer, status, code)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert token not in answer.text
    return str(problem["detail"])


async def registrations(sql: AsyncConnection, company: UUID) -> int:
    query = "SELECT FROM event_store.events WHERE company_id = %s AND topic = 'Company.Registered'"
    return (await sql.execute(query, (company,))).rowcount


# Who gets in


async def test_a_person_acts_under_the_name_of_their_token(
    service: Service, client: AsyncClient, strict: FastAPI
) -> None:
    token = ours(service, sub="ada@example.com", name="Ada Lovelace")
    assert await me(strict, token) == {
        "actor": {
            "id": str(user_id(ISSUER, "ada@example.com")), "name": "Ada Lovelace", "kind": "user",
        },
        "company": {"id": str(service.ours), "name": f"Company {service.ours}"},
        "role": None, "scopes": ["tables:read", "tables:write"], "csrfToken": None,
    }  # fmt: skip
    async with calling(strict, token) as ada:
        table = await create(ada)
    assert table["createdBy"] == str(user_id(ISSUER, "ada@example.com"))
    [event] = await service.stored()
    assert event.metadata["actorKind"] == "user"
    headers = {"Min-Position": str(event.position)}  # it was written by another process
    assert (await client.get(path(table), headers=headers)).json() == table


@pytest.mark.parametrize("algorithm", sorted(SIGNERS))
async def test_a_key_of_the_providers_set_lets_in(
    service: Service, open_to_all: FastAPI, algorithm: str
) -> None:
    token = signed(algorithm, company_id=str(service.ours))
    assert (await me(open_to_all, token))["company"]["id"] == str(service.ours)


async def test_scopes_and_roles_of_a_token_are_those_of_keys(
    service: Service, client: AsyncClient, strict: FastAPI
) -> None:
    ids = await one_of_each(client, service.ours)
    for role in ("viewer", "editor", "integrator", "auditor", "admin"):
        token = ours(service, scope=role)
        assert set((await me(strict, token))["scopes"]) == SCOPES[role]
        async with calling(strict, token) as caller:
            for operation in OPERATIONS:
                scope = NEEDS[operation.id]
                named = {"id": ids[operation.collection]} if operation.names_one else {}
                dry = DRY if operation.takes("dryRun") else None
                answer = await operation.call(caller, named, dry)
                if scope is None or scope in SCOPES[role]:
                    assert answer.status_code in (200, 404, 409), (role, operation.id, answer.text)
                else:
                    assert assert_problem(answer, 403, "forbidden")["missingScope"] == scope


async def test_scopes_that_mean_nothing_here_are_nothing_here(
    service: Service, strict: FastAPI
) -> None:
    for said, meant in (
        ("openid profile tables:read", ["tables:read"]),
        (["tables:write", "offline_access"], ["tables:write"]),
        ("viewer tables:purge", ["tables:purge", "tables:read"]),
        ("", []),
        (None, []),
        ("companies:write", []),
        ("platform", []),
        (["platform", "companies:write", "tables:read"], ["tables:read"]),
        ("Admin TABLES:READ", []),
    ):
        token = ours(service, scope=said)
        assert (await me(strict, token))["scopes"] == meant
        async with calling(strict, token) as caller:
            for method, address in (("GET", "/api/companies"), ("POST", "/api/companies"),
                                    ("DELETE", f"/api/companies/{service.theirs}")):  # fmt: skip
                answer = await caller.request(method, address, json={"name": "Mine"})
                problem = assert_problem(answer, 403, "forbidden")
                assert problem["missingScope"] == "companies:write"


async def test_a_token_makes_no_key_with_more_than_it_has(
    service: Service, strict: FastAPI
) -> None:
    async with calling(strict, ours(service, scope="keys:write tables:read")) as caller:
        answer = await caller.post("/api/keys", json={"label": "A", "role": "admin"})
        assert_problem(answer, 403, "forbidden")
        made = await caller.post("/api/keys", json={"label": "A", "role": "viewer"})
        assert made.status_code == 201
    assert made.json()["createdBy"] != made.json()["id"]


async def test_what_anybody_could_have_made_or_is_for_others_is_refused(
    service: Service, strict: FastAPI, open_to_all: FastAPI
) -> None:
    before = await service.kept()
    company = {"company_id": str(service.ours)}
    header, claims, signature = ours(service).split(".")
    none = encoded(json.dumps({"alg": "none"}).encode())
    public = json.dumps(PUBLISHED[0]).encode()
    wrong = {
        "expired": signed(exp=1, **company),
        "another audience": signed(aud="another", **company),
        "another issuer": signed(iss="https://evil.example/", **company),
        "not yet": signed(nbf=4_000_000_000, **company),
        "no expiry": signed(exp=None, **company),
        "no issuer": signed(iss=None, **company),
        "no audience": signed(aud=None, **company),
        "no company": signed(company_id=None),
        "no user": signed(sub=None, **company),
        "another secret": signed(key="another secret of at least 64 bytes" * 3, **company),
        "algorithm none": f"{none}.{claims}.",
        "algorithm none, signed": f"{none}.{claims}.{signature}",
        "no signature": f"{header}.{claims}.",
        "another's claims": f"{header}.{encoded(json.dumps(payload()).encode())}.{signature}",
        "a public key as secret": forged({"alg": "HS256"}, payload(**company), public),
        "an algorithm of the set": signed("RS256", **company),
        "a longer hash": signed("HS384", **company),
        "critical header": signed(headers={"crit": ["x"], "x": 1}, **company),
        "no token": "x.y.z",
        "too long": signed(padding="x" * 9000, **company),
    }
    for what, token in wrong.items():
        assert await refused(strict, token), what
    for what in ("algorithm none", "a public key as secret", "no token"):
        assert await refused(open_to_all, wrong[what])
    for claims_ in ({"exp": 1}, {"aud": "another"}, {"iss": "https://evil.example/"}):
        assert await refused(open_to_all, signed("RS256", **company | claims_))
    assert await refused(open_to_all, ours(service))  # a shared secret that this process has not
    assert await refused(open_to_all, signed("RS256", headers={"kid": "unknown"}, **company))
    assert await service.kept() == before


async def test_where_no_provider_is_trusted_no_token_is(service: Service) -> None:
    assert await refused(service.app, ours(service)) == "This is not an API key."


async def test_a_token_is_let_in_no_longer_than_it_says(service: Service) -> None:
    settings = PROVIDER | {"jwt_secret": SECRET, "jwt_leeway": 0}
    async with serving(service.database, **settings) as app:
        token = ours(service, exp=int(payload()["iat"]) + 2)
        await me(app, token)
        await asyncio.sleep(2.05)
        assert await refused(app, token) == "The token has expired."


# Of which company


async def test_a_company_that_is_not_known_is_refused_and_not_registered(
    service: Service, strict: FastAPI
) -> None:
    before = await service.kept()
    for company in (str(uuid4()), "acme"):
        detail = await refused(strict, ours(service, company_id=company), 403)
        assert "not registered" in detail
    assert await service.kept() == before


async def test_where_anybody_may_come_a_company_is_registered_once(
    service: Service, open_to_all: FastAPI, sql: AsyncConnection
) -> None:
    name = f"acme-{uuid4()}"
    company = company_id(ISSUER, name)
    tokens = [
        signed("ES256", company_id=name, company_name="Acme", sub=f"user {n}", scope="admin")
        for n in range(20)
    ]
    clients = [calling(open_to_all, token) for token in tokens]
    answers = await asyncio.gather(
        *(client.post("/api/tables", json={"name": "Orders"}) for client in clients)
    )
    assert [answer.status_code for answer in answers] == [201] * 20
    assert {answer.json()["companyId"] for answer in answers} == {str(company)}
    assert await registrations(sql, company) == 1
    own = (await clients[0].get("/api/company")).json()
    assert (own["id"], own["name"]) == (str(company), "Acme")
    await clients[0].patch("/api/company", json={"name": "Acme Ltd"})
    assert (await clients[1].get("/api/me")).status_code == 200
    assert await registrations(sql, company) == 1


async def test_two_processes_register_a_company_once(
    service: Service, open_to_all: FastAPI, sql: AsyncConnection
) -> None:
    company = uuid4()
    settings = PROVIDER | {"jwt_secret": SECRET, "jwt_register_companies": True}
    async with serving(service.database, **settings) as second:
        clients = [
            each
            for n in range(10)
            for each in (
                calling(open_to_all, signed("EdDSA", company_id=str(company), sub=f"a{n}")),
                calling(second, signed(company_id=str(company), sub=f"b{n}")),
            )
        ]
        answers = await asyncio.gather(*(client.get("/api/tables") for client in clients))
        assert [answer.status_code for answer in answers] == [200] * 20
    assert await registrations(sql, company) == 1


async def test_a_company_without_a_name_gets_one(service: Service, open_to_all: FastAPI) -> None:
    company = uuid4()
    for said in (None, "\u202e", "", 5):
        token = signed("RS256", company_id=str(company), company_name=said)
        async with calling(open_to_all, token) as caller:
            own = await caller.get("/api/company")
        assert own.json()["name"] == f"Company {company}"


async def test_who_registers_a_company_reads_it_at_once(
    service: Service, open_to_all: FastAPI
) -> None:
    for _ in range(5):
        async with calling(open_to_all, signed("RS256", company_id=str(uuid4()))) as caller:
            assert (await caller.get("/api/company")).status_code == 200


async def test_the_claims_have_the_names_of_the_settings(service: Service) -> None:
    settings = PROVIDER | {
        "jwt_secret": SECRET, "jwt_company_claim": "org.id", "jwt_user_claim": "email",
        "jwt_name_claim": "profile.nick", "jwt_scope_claim": "realm.roles",
    }  # fmt: skip
    async with serving(service.database, **settings) as app:
        token = signed(
            org={"id": str(service.ours)}, email="ada@example.com", profile={"nick": "Ada"},
            realm={"roles": ["editor"]}, company_id=None, sub=None, scope=None,
        )  # fmt: skip
        found = await me(app, token)
    assert found["company"]["id"] == str(service.ours)
    assert (found["actor"]["name"], found["scopes"]) == ("Ada", ["tables:read", "tables:write"])


# Names


async def test_a_name_goes_to_the_directory_and_into_no_event(
    service: Service, client: AsyncClient, strict: FastAPI
) -> None:
    name = f"Ada {uuid4().hex}"
    async with calling(strict, ours(service, name=name, scope="admin")) as ada:
        table = await create(ada)
        await ada.patch(f"/api/tables/{table['id']}", json={"name": "B"})
        await ada.post("/api/workspaces", json={"name": "W"})
        await ada.post("/api/keys", json={"label": "K", "role": "viewer"})
        id = (await ada.get("/api/me")).json()["actor"]["id"]
    with_name = {table for table, row in await service.kept() if name in row}
    assert with_name == {"access.people"}
    people = (await client.get("/api/people")).json()["items"]
    assert {"id": id, "kind": "user", "name": name, "erasedAt": None} in people


async def test_an_erased_person_stays_erased_whatever_their_token_says(
    service: Service, client: AsyncClient, strict: FastAPI
) -> None:
    name, subject = f"Ada {uuid4().hex}", f"ada-{uuid4()}"
    found = await me(strict, ours(service, sub=subject, name=name))
    assert (await client.delete(f"/api/people/{found['actor']['id']}")).status_code == 204
    async with serving(service.database, **PROVIDER, jwt_secret=SECRET) as second:
        for app in (strict, second):
            for said in (name, f"{name} again"):
                token = ours(service, sub=subject, name=said)
                assert (await me(app, token))["actor"]["name"] is None
    assert name not in str(await service.kept())


async def test_a_changed_name_is_followed(service: Service, strict: FastAPI) -> None:
    subject = f"ada-{uuid4()}"
    for name in ("Ada Byron", "Ada King", "Ada Byron"):
        token = ours(service, sub=subject, name=name, jti=uuid4().hex)
        assert (await me(strict, token))["actor"]["name"] == name
    assert (await me(strict, ours(service, sub=subject, name=None)))["actor"]["name"] == "Ada Byron"


async def test_a_token_of_another_company_sees_that_company_alone(
    service: Service, client: AsyncClient, strict: FastAPI
) -> None:
    table = await create(client)
    token = ours(service, company_id=str(service.theirs), scope="admin")
    async with calling(strict, token) as caller:
        assert_problem(await caller.get(path(table)), 404, "not-found")
        assert_problem(await caller.delete(path(table)), 404, "not-found")
        assert (await caller.get("/api/tables")).json()["items"] == []


async def test_a_removed_companys_tokens_are_refused_within_a_second(
    service: Service, platform: AsyncClient, strict: FastAPI, open_to_all: FastAPI
) -> None:
    """Nor do they register it again."""
    tokens = (
        (strict, ours(service)),
        (open_to_all, signed("RS256", company_id=str(service.ours))),
    )
    for app, token in tokens:
        await me(app, token)
    await platform.delete(f"/api/companies/{service.ours}")
    await asyncio.sleep(RECHECK + 0.05)
    for app, token in tokens:
        assert "removed" in await refused(app, token)
    await platform.post(f"/api/companies/{service.ours}/restore")
    for app, token in tokens:
        await me(app, token)


async def test_a_token_needs_no_csrf_token_and_signs_no_browser_in(
    service: Service, strict: FastAPI
) -> None:
    token = ours(service)
    async with calling(strict, token) as caller:
        answer = await caller.post("/api/tables", json={"name": "A"})
        assert answer.status_code == 201
    async with calling(strict, None) as browser:
        assert (await browser.post("/sign-in", data={"key": token})).status_code == 401
