"""Companies over HTTP: one's own and its settings, and all of them for the platform."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api import keys
from api.auth import RECHECK
from api.keys import NewKey
from api.scopes import COOKIE
from tests.api.conftest import Installation, Service, calling, cloning, installed, serving
from tests.api.document import OPERATIONS
from tests.api.tenants import key_id, new_workspace, one_of_each
from tests.api.test_idempotency import assert_replayed, key
from tests.api.test_preconditions import version
from tests.api.test_table_defs import assert_problem, create, path
from tests.api.test_tokens import AUDIENCE, ISSUER, SECRET, signed
from tests.api.test_workspaces import at as workspace_path
from tests.api.test_workspaces import become, states
from tests.conftest import eventually

pytestmark = pytest.mark.anyio
DRY = {"dryRun": "true"}
PUBLIC = "dynamic-tables.company."
TOKENS = {"jwt_secret": SECRET, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
OWN = "/api/company"


@pytest.fixture(scope="module")
async def installation(postgres_18: str) -> AsyncIterator[Installation]:
    """One that also accepts tokens."""
    with cloning(postgres_18) as database:
        async with installed(database, **TOKENS) as made:
            yield made


def at(company: UUID | str, action: str = "") -> str:
    return f"/api/companies/{company}{action}"


async def register(service: Service, platform: AsyncClient, name: str = "Acme") -> dict[str, Any]:
    answer = await platform.post("/api/companies", json={"name": name})
    assert answer.status_code == 201, answer.text
    service.others.append(UUID(answer.json()["id"]))
    return answer.json()


async def admitted(client: AsyncClient) -> bool:
    answer = await client.get("/api/me")
    assert answer.status_code == 200 or answer.json()["code"] == "unauthenticated", answer.text
    return answer.status_code == 200


# One's own


async def test_everybody_reads_their_company(service: Service, client: AsyncClient) -> None:
    answer = await client.get(OWN)
    company = answer.json()
    assert answer.status_code == 200
    assert company == {
        "id": str(service.ours), "name": f"Company {service.ours}",
        "settings": {}, "effectiveSettings": {"requireIfMatch": False},
        "createdBy": str(service.ours), "createdAt": company["createdAt"],
        "updatedBy": str(service.ours), "updatedAt": company["createdAt"],
        "removedAt": None, "version": 1,
    }  # fmt: skip
    assert answer.headers["etag"] == '"1"'
    known = await client.get(OWN, headers={"If-None-Match": '"1"'})
    assert (known.status_code, known.content) == (304, b"")
    async with service.client("viewer") as viewer:
        assert (await viewer.get(OWN)).json() == company


async def test_name_and_settings_change_in_one_step(service: Service, client: AsyncClient) -> None:
    change = {"name": "Acme", "settings": {"requireIfMatch": True}}
    answer = await client.patch(OWN, json=change)
    changed = answer.json()
    assert answer.status_code == 200
    assert (answer.headers["etag"], changed["version"]) == ('"3"', 3)
    assert (changed["name"], changed["settings"]) == ("Acme", {"requireIfMatch": True})
    assert changed["effectiveSettings"] == {"requireIfMatch": True}
    assert changed["updatedBy"] == key_id(service.tokens[service.ours, "admin"])
    events = await service.stored(str(service.ours))
    assert [(event.topic, event.data) for event in events] == [
        ("Company.Renamed", {"name": "Acme"}),
        ("Company.SettingsChanged", {"changes": {"requireIfMatch": True}}),
    ]
    assert answer.headers["event-position"] == str(events[-1].position)
    assert (await client.get(OWN)).json() == changed


async def test_an_absent_setting_stays_and_null_is_the_default_again(
    service: Service, client: AsyncClient
) -> None:
    anyway = {"If-Match": "*"}
    await client.patch(OWN, json={"settings": {"requireIfMatch": True}})
    for nothing in ({}, {"settings": {}}, {"settings": {"requireIfMatch": True}}):
        same = await client.patch(OWN, json=nothing, headers=anyway)
        assert (same.json()["settings"], same.headers["etag"]) == ({"requireIfMatch": True}, '"2"')
    for cleared in ({"settings": {"requireIfMatch": None}}, {"settings": None}):
        answer = await client.patch(OWN, json=cleared, headers=anyway)
        assert answer.json()["settings"] == {}
        assert answer.json()["effectiveSettings"] == {"requireIfMatch": False}
        await client.patch(OWN, json={"settings": {"requireIfMatch": True}}, headers=anyway)
    assert await service.topics() == ["Company.SettingsChanged"] * 5


async def test_what_is_no_setting_is_named(service: Service, client: AsyncClient) -> None:
    wrong: list[tuple[Any, dict[str, str]]] = [
        ({"settings": {"requireIfMatch": "yes"}}, {"/settings/requireIfMatch": "type"}),
        ({"settings": {"requireIfmatch": True}}, {"/settings/requireIfmatch": "unknown-field"}),
        ({"settings": []}, {"/settings": "type"}),
        ({"name": ""}, {"/name": "too-short"}),
        ({"name": None}, {"/name": "type"}),
        ({"id": str(service.theirs), "removedAt": None, "version": 1, "effectiveSettings": {}},
         dict.fromkeys(("/id", "/removedAt", "/version", "/effectiveSettings"), "read-only")),
    ]  # fmt: skip
    for body, expected in wrong:
        errors = assert_problem(await client.patch(OWN, json=body), 422, "validation")["errors"]
        assert {error["pointer"]: error["code"] for error in errors} == expected
    assert await service.topics() == []


async def test_a_company_changes_itself_safely(service: Service, client: AsyncClient) -> None:
    """With a version, with a key, and as a rehearsal."""
    before = await service.kept()
    rehearsed = (await client.patch(OWN, json={"name": "A"}, params=DRY, headers=key())).json()
    assert rehearsed.keys() == {"dryRun", "company", "events"}
    assert rehearsed["company"]["name"] == "A"
    assert rehearsed["events"] == [{"type": f"{PUBLIC}renamed.v1", "data": {"name": "A"}}]
    assert await service.kept() == before
    stale = await client.patch(OWN, json={"name": "A"}, headers=version(9))
    assert assert_problem(stale, 412, "version-mismatch")["currentVersion"] == 1
    first = await client.patch(OWN, json={"name": "A"}, headers=version(1) | key())
    again = await client.patch(OWN, json={"name": "A"}, headers=version(1) | key())
    assert first.status_code == 200
    assert_replayed(again, first)
    stale = await client.patch(OWN, json={"name": "B"}, headers=version(1))
    [event] = assert_problem(stale, 412, "version-mismatch")["events"]
    assert (event["type"], event["companyId"]) == (f"{PUBLIC}renamed.v1", str(service.ours))
    assert not {"tableId", "workspaceId"} & event.keys()
    assert await service.topics() == ["Company.Renamed"]


# A company that wants an If-Match


async def test_every_conditional_write_needs_if_match_where_the_company_wants_it(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    conditional = [
        each for each in OPERATIONS
        if each.takes("If-Match") and each.scopes != ("companies:write",)
        and each.method != "PUT"  # says all that there is to say of it
    ]  # fmt: skip
    assert len(conditional) == 9
    ids = await one_of_each(client, service.ours)
    theirs = await one_of_each(stranger, service.theirs)
    await client.patch(OWN, json={"settings": {"requireIfMatch": True}})
    await asyncio.sleep(1.05)  # until every process has looked again
    before = await service.kept()
    for operation in conditional:
        named = {"id": ids[operation.collection]} if operation.names_one else {}
        for dry in ({}, DRY):
            answer = await operation.call(client, named, dry)
            assert_problem(answer, 428, "precondition-required")
        stale = await operation.call(client, named, headers=version(77))
        assert stale.json()["code"] in ("version-mismatch", "not-deleted"), operation.id
        for etag in ('"1", "2", "3"', "*"):
            answer = await operation.call(client, named, DRY, {"If-Match": etag})
            assert answer.status_code == (409 if operation.id == "purge_table" else 200)
    assert await service.kept() == before
    for operation in conditional:  # another company has settings of its own
        named = {"id": theirs[operation.collection]} if operation.names_one else {}
        answer = await operation.call(stranger, named, DRY)
        assert answer.status_code == (409 if operation.id == "purge_table" else 200)


async def test_what_makes_something_new_needs_no_if_match(
    service: Service, client: AsyncClient, platform: AsyncClient
) -> None:
    table = await create(client)
    await client.patch(OWN, json={"settings": {"requireIfMatch": True}})
    await asyncio.sleep(1.05)
    await create(client)
    await new_workspace(client)
    assert (await client.post(path(table) + "/duplicate")).status_code == 201
    renamed = await platform.patch(at(service.ours), json={"name": "A"})  # it did not ask for it
    assert renamed.status_code == 200
    await client.patch(OWN, json={"settings": None}, headers={"If-Match": "*"})
    await asyncio.sleep(1.05)
    assert (await client.delete(path(table))).status_code == 204


# The platform


async def test_the_platform_registers_a_company(
    service: Service, platform: AsyncClient, sql: AsyncConnection
) -> None:
    answer = await platform.post("/api/companies", json={"name": " Acme "})
    company = answer.json()
    service.others.append(UUID(company["id"]))
    assert answer.status_code == 201
    assert answer.headers["location"] == at(company["id"])
    assert (company["name"], company["version"], company["removedAt"]) == ("Acme", 1, None)
    assert company["createdBy"] == key_id(service.tokens[None, "platform"])
    assert (await platform.get(at(company["id"]))).json() == company
    [event] = await service.stored(company["id"])
    assert (event.topic, event.data) == ("Company.Registered", {"name": "Acme"})
    assert str(event.company_id) == event.metadata["companyId"] == company["id"]
    assert (event.metadata["command"], event.metadata["actorKind"]) == ("register", "key")
    found = await sql.execute("SELECT FROM access.api_keys WHERE company_id = %s", (company["id"],))
    assert found.rowcount == 0  # the platform gets no key of it


async def test_the_same_registration_is_carried_out_once(
    service: Service, platform: AsyncClient, sql: AsyncConnection
) -> None:
    wish, headers = {"name": "Acme"}, key(uuid4().hex)
    answers = await asyncio.gather(
        *(platform.post("/api/companies", json=wish, headers=headers) for _ in range(20))
    )
    [first] = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    for answer in answers:
        if answer is not first:
            assert_replayed(answer, first)
    other = await platform.post("/api/companies", json={"name": "Other"}, headers=headers)
    assert_problem(other, 422, "idempotency-key-reused")
    colleague = NewKey.make()
    await keys.store(sql, colleague, None, "platform", "another")
    async with service.with_token(str(colleague)) as caller:
        theirs = await caller.post("/api/companies", json=wish, headers=headers)
    assert theirs.status_code == 201
    assert theirs.json()["id"] != first.json()["id"]
    service.others += [UUID(answer.json()["id"]) for answer in (first, theirs)]
    assert await service.topics() == ["Company.Registered"] * 2


async def test_the_platform_lists_all_companies_by_name(
    service: Service, platform: AsyncClient
) -> None:
    prefix = uuid4().hex
    made = [await register(service, platform, f"{prefix} {name}") for name in ("b", "Ä", "c")]
    await platform.delete(at(made[2]["id"]))

    async def listed(**params: str) -> list[str]:
        found, cursor = [], {}
        while True:
            query = {"limit": "2"} | params | cursor
            page = (await platform.get("/api/companies", params=query)).json()
            found += [item["name"] for item in page["items"]]
            if not page["nextCursor"]:
                return [n.removeprefix(f"{prefix} ") for n in found if n.startswith(prefix)]
            cursor = {"cursor": page["nextCursor"]}

    assert await listed() == ["Ä", "b"]
    assert await listed(state="deleted") == ["c"]
    assert await listed(state="all", limit="3") == ["Ä", "b", "c"]


async def test_the_platform_changes_a_company(service: Service, platform: AsyncClient) -> None:
    company = await register(service, platform)
    await platform.patch(at(company["id"]), json={"name": "B"})
    stale = await platform.patch(at(company["id"]), json={"name": "C"}, headers=version(1))
    assert_problem(stale, 412, "version-mismatch")
    change = {"settings": {"requireIfMatch": True}}
    answer = await platform.patch(at(company["id"]), json=change, headers=version(2))
    assert (answer.status_code, answer.json()["settings"]) == (200, change["settings"])
    assert (await platform.get(at(company["id"]))).json() == answer.json()
    unknown = at(uuid4())
    for refused in (
        platform.get(unknown),
        platform.patch(unknown, json={"name": "X"}),
        platform.delete(unknown),
        platform.post(f"{unknown}/restore"),
    ):
        assert_problem(await refused, 404, "not-found")


async def test_the_platforms_writes_are_rehearsed_and_carried_out_once(
    service: Service, platform: AsyncClient
) -> None:
    company, gone = [await register(service, platform) for _ in range(2)]
    await platform.delete(at(gone["id"]))
    wishes: list[tuple[str, str, Any, list[str]]] = [
        ("POST", "/api/companies", {"name": "New"}, ["registered"]),
        ("PATCH", at(company["id"]), {"name": "B"}, ["renamed"]),
        ("PATCH", at(company["id"]), {"settings": {"requireIfMatch": True}}, ["settings-changed"]),
        ("POST", at(company["id"], "/restore"), None, []),
        ("POST", at(gone["id"], "/restore"), None, ["restored"]),
        ("DELETE", at(company["id"]), None, ["removed"]),
    ]
    before = await service.kept()
    for method, address, body, types in wishes:
        answer = await platform.request(method, address, params=DRY, json=body, headers=key())
        shown = answer.json()
        assert (answer.status_code, shown.keys()) == (200, {"dryRun", "company", "events"})
        assert [event["type"] for event in shown["events"]] == [f"{PUBLIC}{t}.v1" for t in types]
        assert await service.kept() == before
    for number, (method, address, body, _) in enumerate(wishes):
        headers = key(f"{company['id']}{number}")
        first = await platform.request(method, address, json=body, headers=headers)
        again = await platform.request(method, address, json=body, headers=headers)
        assert first.status_code < 300
        assert_replayed(again, first)


async def test_the_platforms_idempotency_keys_are_not_the_companys(
    service: Service, client: AsyncClient, platform: AsyncClient
) -> None:
    theirs = await platform.patch(at(service.ours), json={"name": "P"}, headers=key())
    own = await client.patch(OWN, json={"name": "C"}, headers=key())
    assert (theirs.status_code, own.status_code) == (200, 200)
    assert await service.topics() == ["Company.Renamed", "Company.Renamed"]


# Removed, and back again


async def test_a_removed_company_is_put_aside(service: Service, platform: AsyncClient) -> None:
    company = await register(service, platform)
    answer = await platform.delete(at(company["id"]))
    assert (answer.status_code, answer.headers["etag"]) == (204, '"2"')
    problem = assert_problem(await platform.get(at(company["id"])), 404, "not-found")
    shown = (await platform.get(at(company["id"]), params={"state": "all"})).json()
    assert shown["removedAt"] == problem["deletedAt"] == shown["updatedAt"]
    again = await platform.delete(at(company["id"]))
    assert (again.status_code, again.headers["etag"]) == (204, '"2"')
    refused = await platform.patch(at(company["id"]), json={"name": "X"})
    assert_problem(refused, 409, "company-removed")
    stale = await platform.post(at(company["id"], "/restore"), headers=version(1))
    assert_problem(stale, 412, "version-mismatch")
    restored = await platform.post(at(company["id"], "/restore"), headers=version(2))
    back = restored.json()
    assert back == company | {"version": 3, "updatedAt": back["updatedAt"]} | {
        "updatedBy": key_id(service.tokens[None, "platform"])
    }
    assert (await platform.post(at(company["id"], "/restore"))).json() == back
    assert await service.topics(company["id"]) == [
        "Company.Registered", "Company.Removed", "Company.Restored"
    ]  # fmt: skip


async def test_nobody_of_a_removed_company_gets_in_until_it_is_restored(
    service: Service, platform: AsyncClient, anyone: AsyncClient
) -> None:
    """Neither by key, nor token, nor session; not in another process of the installation either."""
    token = service.tokens[service.ours, "editor"]
    jwt = signed(company_id=str(service.ours), sub=str(uuid4()))
    signed_in = await anyone.post("/sign-in", data={"key": token})
    cookie = {"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE]}"}
    async with serving(service.database, **TOKENS) as second:
        clients = [
            each
            for app in (service.app, second)
            for each in (calling(app, token), calling(app, jwt), calling(app, None))
        ]
        for each in clients[2::3]:
            each.headers.update(cookie)
        assert [await admitted(each) for each in clients] == [True] * 6
        assert (await platform.delete(at(service.ours))).status_code == 204
        await asyncio.sleep(RECHECK + 0.05)
        assert [await admitted(each) for each in clients] == [False] * 6
        assert (await anyone.post("/sign-in", data={"key": token})).status_code == 401
        async with service.client(company=service.theirs) as others:
            assert await admitted(others)
        assert (await platform.post(at(service.ours, "/restore"))).status_code == 200
        assert [await admitted(each) for each in clients] == [True] * 6


async def test_all_that_a_company_has_goes_and_comes_back_with_it_and_nothing_else(
    service: Service, client: AsyncClient, stranger: AsyncClient, platform: AsyncClient
) -> None:
    workspace, gone_before = await new_workspace(client), await new_workspace(client)
    tables = [
        await create(client),
        await create(client, workspaceId=workspace["id"]),
        await create(client),
        await create(client, workspaceId=gone_before["id"]),
    ]
    theirs = await create(stranger)
    await client.delete(path(tables[2]))
    await client.delete(workspace_path(gone_before))
    await become(client, ["active", "active", "deleted", "deleted"], *tables)
    removed = await platform.delete(at(service.ours))

    async def all_gone() -> bool:
        topics = await service.topics()
        return topics.count("Deleted") == 4 and topics.count("Workspace.Deleted") == 3

    await eventually(all_gone)
    cause = next(e for e in await service.stored() if e.topic == "Company.Removed")
    assert str(cause.position) == removed.headers["event-position"]
    [direct] = [e for e in await service.stored(tables[0]["id"]) if e.topic == "TableDef.Deleted"]
    assert direct.metadata["causationId"] == cause.metadata["eventId"]
    [inside] = [e for e in await service.stored(tables[1]["id"]) if e.topic == "TableDef.Deleted"]
    assert inside.metadata["correlationId"] == cause.metadata["correlationId"]
    assert await states(stranger, theirs) == ["active"]
    await platform.post(at(service.ours, "/restore"))

    async def all_back() -> bool:
        shown = [(await client.get(path(table))).json() for table in tables[:2]]
        here = (await client.get(workspace_path(workspace))).status_code == 200
        return here and [table.get("version") for table in shown] == [3, 3]

    await eventually(all_back)
    await become(client, ["active", "active", "deleted", "deleted"], *tables)
    assert_problem(await client.get(workspace_path(gone_before)), 404, "not-found")
    for table in tables[:2]:
        shown = (await client.get(path(table))).json()
        assert shown == table | {"version": 3, "updatedAt": shown["updatedAt"]} | {
            "updatedBy": key_id(service.tokens[None, "platform"])
        }


async def test_a_write_that_was_let_in_just_before_is_told_that_the_company_was_removed(
    service: Service, client: AsyncClient, platform: AsyncClient
) -> None:
    """For up to a second a process believes in what it has checked; the store never does."""
    table = await create(client)
    await client.delete(path(table))
    await platform.delete(at(service.ours))
    for answer in await asyncio.gather(
        client.post("/api/tables", json={"name": "X"}),
        client.post("/api/workspaces", json={"name": "X"}),
        client.patch(OWN, json={"name": "X"}),
        client.post(path(table) + "/restore"),
    ):
        assert_problem(answer, 409, "company-removed")
    assert {"Created", "Deleted", "Company.Removed", "Workspace.Deleted"} >= set(
        await service.topics()
    )
