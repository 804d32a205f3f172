"""The directory over HTTP: names beside the events, which can be erased, and ids that stay."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient

from tests.api.conftest import ROLES, Service
from tests.api.tenants import key_id, new_key
from tests.api.test_idempotency import key
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio
DRY = {"dryRun": "true"}


def at(person: dict[str, Any] | str | UUID) -> str:
    return f"/api/people/{person['id'] if isinstance(person, dict) else person}"


async def people(client: AsyncClient, **params: str) -> list[dict[str, Any]]:
    """The whole directory, three at a time."""
    found, cursor = [], {}
    while True:
        page = await client.get("/api/people", params={"limit": "3"} | params | cursor)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        if page.json()["nextCursor"] is None:
            return found
        cursor = {"cursor": page.json()["nextCursor"]}


async def person(client: AsyncClient, id: str) -> dict[str, Any]:
    [found] = [each for each in await people(client, state="all") if each["id"] == id]
    return found


async def meet(service: Service, name: str, company: UUID | None = None) -> str:
    """Somebody whom an identity provider vouched for comes in; their id."""
    id = uuid4()
    await service.app.state.services.directory.note(company or service.ours, id, name)
    return str(id)


async def test_everybody_who_acts_is_listed_by_name(service: Service, client: AsyncClient) -> None:
    ada, zoe = await meet(service, "Áda Lovelace"), await meet(service, "zoë")
    made = await new_key(client, label="Import")
    listed = await people(client)
    names = ["Áda Lovelace", "admin", "auditor", "editor", "Import", "integrator", "viewer", "zoë"]
    assert [each["name"] for each in listed] == names
    assert listed[0] == {"id": ada, "kind": "user", "name": "Áda Lovelace", "erasedAt": None}
    assert listed[4] == {"id": made["id"], "kind": "key", "name": "Import", "erasedAt": None}
    assert listed[-1]["id"] == zoe
    async with service.client("viewer") as viewer:
        assert await people(viewer) == listed
        assert await people(viewer, state="deleted") == []


async def test_a_revoked_key_keeps_its_name_for_the_history(client: AsyncClient) -> None:
    made = await new_key(client, label="Import")
    await client.delete(f"/api/keys/{made['id']}")
    assert (await person(client, made["id"]))["name"] == "Import"


async def test_people_have_the_name_that_they_came_with_last(
    service: Service, client: AsyncClient
) -> None:
    id = await meet(service, "Ada Byron")
    for name in ("Ada King", "Ada Lovelace", "Ada King"):
        await service.app.state.services.directory.note(service.ours, UUID(id), name)
        assert (await person(client, id))["name"] == name


async def test_the_same_person_has_a_name_in_each_company(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    id = await meet(service, "Ada")
    await service.app.state.services.directory.note(service.theirs, UUID(id), "Countess")
    assert (await client.delete(at(id))).status_code == 204
    assert (await person(client, id))["name"] is None
    assert (await person(stranger, id))["name"] == "Countess"


async def test_an_erased_name_is_gone_for_good_and_nothing_else(
    service: Service, client: AsyncClient
) -> None:
    name = f"Agent {uuid4().hex}"
    made = await new_key(client, "editor", label=name)
    async with service.with_token(made["key"]) as agent:
        table = await create(agent)
        before = await service.stored()
        answer = await client.delete(at(made))
        assert (answer.status_code, answer.content) == (204, b"")
        assert name not in str(await service.kept())
        assert (await agent.get(path(table))).json() == table  # whose id says nothing by itself
        me = (await agent.get("/api/me")).json()
    assert me["actor"] == {"id": made["id"], "name": None, "kind": "key"}
    assert table["createdBy"] == made["id"]
    assert await service.stored() == before
    erased = await person(client, made["id"])
    assert erased == {"id": made["id"], "kind": "key", "name": None, "erasedAt": erased["erasedAt"]}
    age = datetime.now(UTC) - datetime.fromisoformat(erased["erasedAt"])
    assert timedelta() <= age < timedelta(seconds=10)
    assert (await client.get(f"/api/keys/{made['id']}")).json()["label"] == ""
    assert (await client.delete(at(made))).status_code == 204
    assert await person(client, made["id"]) == erased
    assert made["id"] not in [each["id"] for each in await people(client)]
    assert [each["id"] for each in await people(client, state="deleted")] == [made["id"]]


async def test_who_was_erased_stays_erased_when_they_come_again(
    service: Service, client: AsyncClient
) -> None:
    name = f"Ada {uuid4().hex}"
    id = await meet(service, name)
    await client.delete(at(id))
    for said in (name, f"{name} Lovelace"):
        await service.app.state.services.directory.note(service.ours, UUID(id), said)
        assert (await person(client, id))["name"] is None
    assert name not in str(await service.kept())


async def test_a_rotation_brings_no_erased_name_back(service: Service, client: AsyncClient) -> None:
    name = f"Agent {uuid4().hex}"
    made = await new_key(client, label=name)
    await client.delete(at(made))
    rotated = await client.post(f"/api/keys/{made['id']}/rotate")
    assert rotated.status_code == 201
    assert name not in str(await service.kept())


async def test_a_rehearsed_erasure_shows_who_it_would_be(
    service: Service, client: AsyncClient
) -> None:
    id = await meet(service, "Ada")
    before = await service.kept()
    answer = await client.delete(at(id), params=DRY, headers=key())
    assert (answer.status_code, answer.json()) == (
        200, {"dryRun": True, "person": await person(client, id), "events": []},
    )  # fmt: skip
    assert await service.kept() == before


async def test_nobody_is_found_who_was_never_here(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    theirs = await meet(service, "Ada", service.theirs)
    before = await service.kept()
    for unknown in (uuid4(), theirs, key_id(service.tokens[None, "platform"]), service.ours):
        for dry in ({}, DRY):
            answer = await client.delete(at(unknown), params=dry, headers=key())
            assert_problem(answer, 404, "not-found")
    assert await service.kept() == before
    wrong = assert_problem(await client.delete(at("x")), 422, "validation")["errors"]
    assert [(error["pointer"], error["in"]) for error in wrong] == [("/id", "path")]


async def test_a_repeated_erasure_says_so(service: Service, client: AsyncClient) -> None:
    ada, zoe = await meet(service, "Ada"), await meet(service, "Zoe")
    first = await client.delete(at(ada), headers=key())
    again = await client.delete(at(ada), headers=key())
    assert (first.status_code, again.status_code) == (204, 204)
    other = await client.delete(at(zoe), headers=key())
    assert_problem(other, 422, "idempotency-key-reused")
    assert (await person(client, zoe))["name"] == "Zoe"
    assert again.headers.get("idempotency-replayed") == "true"


async def test_the_directory_has_etags_and_cursors(service: Service, client: AsyncClient) -> None:
    shown = await client.get("/api/people")
    known = {"If-None-Match": shown.headers["etag"]}
    assert (await client.get("/api/people", headers=known)).status_code == 304
    await meet(service, "Ada")
    assert (await client.get("/api/people", headers=known)).status_code == 200
    page = await client.get("/api/people", params={"limit": "1"})
    assert page.headers["link"].endswith('; rel="next"')
    assert len(await people(client)) == len(ROLES) + 1
    assert_problem(await client.get("/api/people?cursor=x"), 400, "invalid-cursor")
