"""API keys over HTTP: made, listed, rotated, revoked. A secret is shown once and kept nowhere."""

import asyncio
import binascii
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from psycopg import AsyncConnection

from api import keys
from api.auth import RECHECK
from api.ids import new_id
from api.keys import CHECKSUM, OLD_SECRET, NewKey
from api.scopes import ROLES as ROLE_SCOPES
from tests.api.conftest import ROLES, Service, calling, serving
from tests.api.tenants import key_id, new_key
from tests.api.test_idempotency import key
from tests.api.test_table_defs import assert_problem

pytestmark = pytest.mark.anyio
DRY = {"dryRun": "true"}
HEX = "0123456789abcdef"


def at(made: dict[str, Any], action: str = "") -> str:
    return f"/api/keys/{made['id']}{action}"


async def status(service: Service, token: str) -> int:
    """What whoever comes with this key gets."""
    async with service.with_token(token) as caller:
        return (await caller.get("/api/me")).status_code


async def shown(client: AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(at(made))
    assert answer.status_code == 200
    return answer.json()


async def listed(client: AsyncClient, **params: str) -> list[dict[str, Any]]:
    """The whole list of keys, two at a time."""
    found, cursor = [], {}
    while True:
        page = await client.get("/api/keys", params={"limit": "2"} | params | cursor)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        if page.json()["nextCursor"] is None:
            return found
        cursor = {"cursor": page.json()["nextCursor"]}


def without_secret(made: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made.items() if name != "key"}


# Made


async def test_a_key_is_shown_once_and_works(service: Service, client: AsyncClient) -> None:
    answer = await client.post("/api/keys", json={"label": "Nightly import", "role": "editor"})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == at(made)
    assert answer.headers["cache-control"] == "no-store"
    assert NewKey.parse(made["key"]).id == UUID(made["id"])
    assert without_secret(made) == {
        "id": made["id"], "label": "Nightly import", "role": "editor",
        "scopes": ["tables:read", "tables:write"],
        "createdBy": key_id(service.tokens[service.ours, "admin"]),
        "createdAt": made["createdAt"], "expiresAt": None, "lastUsedAt": None,
        "revokedAt": None, "revokedBy": None,
    }  # fmt: skip
    assert await shown(client, made) == without_secret(made)
    assert (await listed(client))[-1] == without_secret(made)
    async with service.with_token(made["key"]) as editor:
        assert (await editor.post("/api/tables", json={"name": "A"})).status_code == 201
        assert_problem(await editor.get("/api/keys"), 403, "forbidden")
    assert await service.topics() == ["Created"]  # keys are no events
    [event] = await service.stored()
    assert (event.metadata["actorId"], event.metadata["actorKind"]) == (made["id"], "key")


async def test_a_key_has_the_scopes_of_its_role_or_its_own(
    service: Service, client: AsyncClient
) -> None:
    for role in ROLES:
        made = await new_key(client, role)
        assert (made["role"], made["scopes"]) == (role, sorted(ROLE_SCOPES[role]))
        async with service.with_token(made["key"]) as caller:
            me = (await caller.get("/api/me")).json()
        assert (me["role"], me["scopes"]) == (role, made["scopes"])
    made = await new_key(client, None, scopes=["tables:write", "audit:read", "tables:write"])
    assert (made["role"], made["scopes"]) == (None, ["audit:read", "tables:write"])
    async with service.with_token(made["key"]) as caller:
        me = (await caller.get("/api/me")).json()
        assert_problem(await caller.get("/api/tables"), 403, "forbidden")
    assert (me["role"], me["scopes"]) == (None, ["audit:read", "tables:write"])


async def test_what_a_key_cannot_be_is_named(service: Service, client: AsyncClient) -> None:
    before = await service.kept()
    wrong: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({}, {"/label": "required"}),
        ({"label": "A"}, {"": "required"}),
        ({"label": "A", "role": "editor", "scopes": ["tables:read"]}, {"": "required"}),
        ({"label": "", "role": "editor"}, {"/label": "too-short"}),
        ({"label": "x" * 256, "role": "editor"}, {"/label": "too-long"}),
        ({"label": "a\u202eb", "role": "editor"}, {"/label": "invalid-text"}),
        ({"label": "A", "role": "boss"}, {"/role": "unknown-value"}),
        ({"label": "A", "role": "platform"}, {"/role": "unknown-value"}),
        ({"label": "A", "scopes": ["tables:read", "tables:eat"]}, {"/scopes/1": "unknown-value"}),
        ({"label": "A", "scopes": []}, {"/scopes": "too-short"}),
        ({"label": "A", "role": "editor", "expiresAt": "soon"}, {"/expiresAt": "datetime"}),
        ({"label": "A", "role": "editor", "expiresAt": 4102444800}, {"/expiresAt": "type"}),
        ({"label": "A", "role": "editor", "expiresAt": "2099-01-01T00:00:00"},
         {"/expiresAt": "timezone"}),
        ({"label": "A", "role": "editor", "id": str(uuid4()), "key": "dtk_"},
         {"/id": "read-only", "/key": "unknown-field"}),
    ]  # fmt: skip
    for body, expected in wrong:
        errors = assert_problem(await client.post("/api/keys", json=body), 422, "validation")
        found = {error["pointer"]: error["code"] for error in errors["errors"]}
        assert found.keys() == expected.keys(), body
        for pointer, code in expected.items():
            assert code in found[pointer] or code in ("too-short", "too-long"), (body, found)
    assert await service.kept() == before


async def test_a_key_can_expire_but_not_in_the_past(service: Service, client: AsyncClient) -> None:
    now = datetime.now(UTC)
    for past in (
        now - timedelta(days=1),
        now - timedelta(seconds=1),
        datetime(1970, 1, 1, tzinfo=UTC),
    ):
        wish = {"label": "", "role": "viewer", "expiresAt": past.isoformat()}
        answer = await client.post("/api/keys", json=wish)
        errors = assert_problem(answer, 422, "validation")["errors"]
        codes = {error["pointer"]: error["code"] for error in errors}
        assert codes == {"/label": "too-short", "/expiresAt": "past"}  # all at once
    soon = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    made = await new_key(client, expiresAt=soon)
    assert datetime.fromisoformat(made["expiresAt"]) == datetime.fromisoformat(soon)
    assert await status(service, made["key"]) == 200
    await asyncio.sleep(1.55 + RECHECK)
    assert await status(service, made["key"]) == 401
    assert await shown(client, made) == without_secret(made) | {
        "lastUsedAt": (await shown(client, made))["lastUsedAt"]
    }


async def test_no_expiry_is_so_late_that_it_breaks_a_key(
    service: Service, client: AsyncClient
) -> None:
    """The year 9999 here may be the year 10000 in UTC."""
    for late in ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+14:00"):
        made = await new_key(client, expiresAt=late)
        assert datetime.fromisoformat(made["expiresAt"]) == datetime.fromisoformat(late)
        assert await status(service, made["key"]) == 200
    wish = {"label": "A", "role": "viewer", "expiresAt": "9999-12-31T23:59:59-23:59"}
    answer = await client.post("/api/keys", json=wish)
    [error] = assert_problem(answer, 422, "validation")["errors"]
    assert (error["pointer"], error["code"]) == ("/expiresAt", "out-of-range")


async def test_nobody_hands_out_more_than_they_have(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    clerk = await new_key(client, None, scopes=["keys:write", "tables:read"])
    before = await service.kept()
    async with service.with_token(clerk["key"]) as caller:
        for wish, missing in (
            ({"role": "editor"}, "tables:write"),
            ({"role": "admin"}, "audit:export"),
            ({"scopes": ["tables:read", "tables:purge"]}, "tables:purge"),
            ({"scopes": ["companies:write"]}, "companies:write"),
        ):
            for dry in ({}, DRY):
                answer = await caller.post("/api/keys", json={"label": "A"} | wish, params=dry)
                problem = assert_problem(answer, 403, "forbidden")
                assert problem["missingScope"] == missing
        admin = {"id": key_id(service.tokens[service.ours, "admin"])}
        for dry in ({}, DRY):
            answer = await caller.post(at(admin, "/rotate"), params=dry)
            assert_problem(answer, 403, "forbidden")
        assert await service.kept() == before
        assert (await new_key(caller, "viewer"))["scopes"] == ["tables:read"]
        assert (await caller.post(at(clerk, "/rotate"))).status_code == 201
    answer = await client.post("/api/keys", json={"label": "A", "scopes": ["companies:write"]})
    assert assert_problem(answer, 403, "forbidden")["missingScope"] == "companies:write"


async def test_a_key_that_says_more_than_a_company_may_have_has_no_more(
    service: Service, sql: AsyncConnection
) -> None:
    """Also if somebody writes it into the table."""
    made = NewKey.make()
    scopes = ["companies:write", "tables:read", "nonsense"]
    await keys.store(sql, made, service.ours, None, "odd", scopes=scopes)
    async with service.with_token(str(made)) as caller:
        assert (await caller.get("/api/me")).json()["scopes"] == ["tables:read"]
        assert_problem(await caller.get("/api/companies"), 403, "forbidden")


# Listed


async def test_keys_are_listed_oldest_first_by_state(client: AsyncClient) -> None:
    made = [await new_key(client, label=f"K{number}") for number in range(5)]
    await client.delete(at(made[1]))
    names = [f"K{number}" for number in range(5)]
    assert [each["label"] for each in await listed(client)][-4:] == ["K0", "K2", "K3", "K4"]
    assert [each["label"] for each in await listed(client, state="deleted")] == ["K1"]
    assert [each["label"] for each in await listed(client, state="all")] == [*ROLES, *names]
    assert "dtk_" not in (await client.get("/api/keys", params={"state": "all"})).text


async def test_what_the_caller_has_already_is_304(client: AsyncClient) -> None:
    made = await new_key(client)
    for address in (at(made), "/api/keys"):
        answer = await client.get(address)
        known = {"If-None-Match": answer.headers["etag"]}
        same = await client.get(address, headers=known)
        assert (same.status_code, same.content) == (304, b"")
    await client.delete(at(made))
    assert (await client.get(at(made), headers=known)).status_code == 200


async def test_a_key_made_on_the_command_line_has_no_author(
    service: Service, client: AsyncClient
) -> None:
    for each in await listed(client):
        assert (each["createdBy"], each["label"] in ROLES) == (None, True)


async def test_a_key_tells_when_it_was_used_last(service: Service, client: AsyncClient) -> None:
    made = await new_key(client)
    assert await status(service, made["key"][:-1] + "x") == 401
    assert (await shown(client, made))["lastUsedAt"] is None
    before = datetime.now(UTC)
    assert await status(service, made["key"]) == 200
    used = (await shown(client, made))["lastUsedAt"]
    assert abs(datetime.fromisoformat(used) - before) < timedelta(seconds=5)


async def test_an_unknown_key_is_not_found(service: Service, client: AsyncClient) -> None:
    unknown = {"id": str(uuid4())}
    platform = {"id": key_id(service.tokens[None, "platform"])}
    for made in (unknown, platform):
        for answer in (
            await client.get(at(made)),
            await client.delete(at(made)),
            await client.delete(at(made), params=DRY),
            await client.post(at(made, "/rotate")),
        ):
            assert_problem(answer, 404, "not-found")


# Revoked


async def test_a_revoked_key_opens_nothing_within_a_second_in_every_process(
    service: Service, client: AsyncClient
) -> None:
    made = await new_key(client)
    async with serving(service.database) as second:
        callers = [calling(app, made["key"]) for app in (service.app, second)]
        assert [(await each.get("/api/me")).status_code for each in callers] == [200, 200]
        answer = await client.delete(at(made))
        assert (answer.status_code, answer.content) == (204, b"")
        await asyncio.sleep(RECHECK + 0.05)
        assert [(await each.get("/api/me")).status_code for each in callers] == [401, 401]
    revoked = await shown(client, made)
    assert revoked["revokedBy"] == key_id(service.tokens[service.ours, "admin"])
    assert revoked["revokedAt"] is not None
    assert (await client.delete(at(made))).status_code == 204
    assert await shown(client, made) == revoked
    assert_problem(await client.post(at(made, "/rotate")), 409, "key-revoked")


async def test_a_key_may_revoke_itself(service: Service, client: AsyncClient) -> None:
    made = await new_key(client, "admin")
    async with service.with_token(made["key"]) as caller:
        assert (await caller.delete(at(made))).status_code == 204
    await asyncio.sleep(RECHECK + 0.05)
    assert await status(service, made["key"]) == 401


# Rotated


async def test_a_rotated_key_goes_on_for_the_overlap(service: Service, client: AsyncClient) -> None:
    old = await new_key(client, None, scopes=["tables:read", "audit:read"], label="Import")
    now = datetime.now(UTC)
    answer = await client.post(at(old, "/rotate"), json={"overlapSeconds": 3600})
    new = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == at(new)
    assert answer.headers["cache-control"] == "no-store"
    assert new["id"] != old["id"]
    assert new["key"] != old["key"]
    for same in ("label", "role", "scopes", "expiresAt", "createdBy"):
        assert new[same] == old[same]
    assert await status(service, old["key"]) == await status(service, new["key"]) == 200
    until = datetime.fromisoformat((await shown(client, old))["expiresAt"])
    assert abs(until - now - timedelta(hours=1)) < timedelta(seconds=10)
    assert (await shown(client, old))["revokedAt"] is None
    assert await service.topics() == []


async def test_without_overlap_a_rotated_key_stops_within_a_second(
    service: Service, client: AsyncClient
) -> None:
    old = await new_key(client)
    assert await status(service, old["key"]) == 200
    new = (await client.post(at(old, "/rotate"), json={"overlapSeconds": 0})).json()
    await asyncio.sleep(RECHECK + 0.05)
    assert await status(service, old["key"]) == 401
    assert await status(service, new["key"]) == 200


async def test_the_overlap_is_a_day_unless_told_and_bounded(
    service: Service, client: AsyncClient
) -> None:
    for body in (None, {}):
        old = await new_key(client)
        now = datetime.now(UTC)
        assert (await client.post(at(old, "/rotate"), json=body)).status_code == 201
        until = datetime.fromisoformat((await shown(client, old))["expiresAt"])
        assert abs(until - now - timedelta(days=1)) < timedelta(seconds=10)
    old = await new_key(client)
    before = await service.kept()
    for wrong in (-1, 30 * 86_400 + 1, "1", 1.5, None):
        answer = await client.post(at(old, "/rotate"), json={"overlapSeconds": wrong})
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert error["pointer"] == "/overlapSeconds"
    assert await service.kept() == before


async def test_an_overlap_never_makes_a_key_live_longer(client: AsyncClient) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    old = await new_key(client, expiresAt=soon)
    new = (await client.post(at(old, "/rotate"), json={"overlapSeconds": 3600})).json()
    assert (await shown(client, old))["expiresAt"] == new["expiresAt"] == old["expiresAt"]


async def test_a_key_that_is_rotated_again_during_its_overlap_makes_one_that_lasts(
    client: AsyncClient,
) -> None:
    """The end of the overlap is the old key's alone; the role it stands for has none."""
    old = await new_key(client)
    first = await client.post(at(old, "/rotate"), json={"overlapSeconds": 60})
    second = await client.post(at(old, "/rotate"), json={"overlapSeconds": 60})
    assert [each.json()["expiresAt"] for each in (first, second)] == [None, None]


# Rehearsed, and repeated


async def test_every_write_can_be_rehearsed(service: Service, client: AsyncClient) -> None:
    made = await new_key(client)
    before = await service.kept()
    for method, address, body in (
        ("POST", "/api/keys", {"label": "New", "role": "viewer"}),
        ("POST", at(made, "/rotate"), {"overlapSeconds": 0}),
        ("DELETE", at(made), None),
    ):
        answer = await client.request(method, address, params=DRY, json=body, headers=key())
        rehearsed = answer.json()
        assert answer.status_code == 200, answer.text
        assert (rehearsed["dryRun"], rehearsed["events"]) == (True, [])
        assert rehearsed["key"].keys() == without_secret(made).keys()
        assert "dtk_" not in answer.text
        assert "location" not in answer.headers
        assert (rehearsed["key"]["revokedAt"] is None) == (method != "DELETE")
        assert await service.kept() == before
    assert await status(service, made["key"]) == 200


async def test_a_repeated_creation_makes_one_key_and_shows_its_secret_once(
    service: Service, client: AsyncClient
) -> None:
    wish = {"label": "Import", "role": "viewer"}
    answers = await asyncio.gather(
        *(client.post("/api/keys", json=wish, headers=key("create")) for _ in range(20))
    )
    [first] = [answer for answer in answers if answer.json()["key"]]
    assert "idempotency-replayed" not in first.headers
    for answer in answers:
        if answer is not first:
            assert answer.status_code == 201
            assert answer.headers["idempotency-replayed"] == "true"
            assert answer.headers["location"] == first.headers["location"]
            assert answer.json() == first.json() | {"key": None}
    assert len([each for each in await listed(client) if each["label"] == "Import"]) == 1
    for method, address, body in (
        ("POST", "/api/keys", wish | {"role": "editor"}),
        ("POST", "/api/tables", {"name": "A"}),
        ("POST", at(first.json(), "/rotate"), None),
        ("DELETE", at(first.json()), None),
    ):
        other = await client.request(method, address, json=body, headers=key("create"))
        assert_problem(other, 422, "idempotency-key-reused")
    assert await status(service, first.json()["key"]) == 200


async def test_a_repeated_rotation_makes_one_key_whatever_became_of_the_old_one(
    service: Service, client: AsyncClient
) -> None:
    old = await new_key(client)
    first = await client.post(at(old, "/rotate"), headers=key("rotate"))
    until = (await shown(client, old))["expiresAt"]
    again = await client.post(at(old, "/rotate"), headers=key("rotate"))
    assert (await shown(client, old))["expiresAt"] == until
    await client.delete(at(old))
    later = await client.post(at(old, "/rotate"), headers=key("rotate"))
    for answer in (again, later):
        assert answer.status_code == 201, answer.text
        assert answer.headers["idempotency-replayed"] == "true"
        assert answer.json() == first.json() | {"key": None}


async def test_a_repeated_revocation_says_so(client: AsyncClient) -> None:
    made, other = await new_key(client), await new_key(client)
    first = await client.delete(at(made), headers=key("revoke"))
    again = await client.delete(at(made), headers=key("revoke"))
    assert (first.status_code, again.status_code) == (204, 204)
    refused = await client.delete(at(other), headers=key("revoke"))
    assert_problem(refused, 422, "idempotency-key-reused")
    assert (await shown(client, other))["revokedAt"] is None
    assert again.headers.get("idempotency-replayed") == "true"


async def test_a_refused_request_does_not_use_up_its_idempotency_key(client: AsyncClient) -> None:
    for refused in (
        await client.delete(at({"id": uuid4()}), headers=key()),
        await client.post(at({"id": uuid4()}, "/rotate"), headers=key()),
        await client.post("/api/keys", json={"label": "A"}, headers=key()),
        await client.post(
            "/api/keys", json={"label": "A", "scopes": ["companies:write"]}, headers=key()
        ),
    ):
        assert refused.status_code in (403, 404, 422)
    wish = {"label": "A", "role": "viewer"}
    made = await client.post("/api/keys", json=wish, headers=key())
    assert (made.status_code, "idempotency-replayed" in made.headers) == (201, False)


# What a key is


@given(st.uuids(), st.integers(0, 2**160 - 1), st.integers(0, 79), st.sampled_from(HEX))
def test_a_typing_error_is_told_by_the_checksum(
    id: UUID, random: int, where: int, digit: str
) -> None:
    text = f"{random:040x}"
    made = NewKey(id, text + keys.checksum(id, text))
    assert NewKey.parse(f" {made}\n") == made
    token = str(made)
    place = 4 + where if where < 32 else 5 + where  # the id, or the secret
    changed = token[:place] + digit + token[place + 1 :]
    if changed != token:
        with pytest.raises(ValueError, match="checksum"):
            NewKey.parse(changed)


def test_a_scanner_knows_a_key_when_it_sees_one() -> None:
    """The form that `SECURITY.md` promises: prefix, id, random, and the CRC-32 of all before it."""
    made = str(NewKey.make())
    prefix, id, secret = made.split("_")
    assert (prefix, len(id), len(secret)) == ("dtk", 32, OLD_SECRET + CHECKSUM)
    assert secret[-CHECKSUM:] == f"{binascii.crc32(made[:-CHECKSUM].encode()):08x}"
    for wrong in (
        "",
        "dtk__",
        made[:-1],
        made + "0",
        made.replace("dtk", "abc"),
        "dtk_x_" + secret,
    ):
        with pytest.raises(ValueError, match=r".*"):
            NewKey.parse(wrong)


async def test_a_key_of_the_first_release_still_opens(
    service: Service, sql: AsyncConnection
) -> None:
    old = NewKey(new_id(), secrets.token_hex(OLD_SECRET // 2))
    await keys.store(sql, old, service.ours, "viewer", "from before")
    assert NewKey.parse(str(old)) == old
    assert await status(service, str(old)) == 200
    assert await status(service, f"dtk_{old.id}_{old.secret}") == 200  # as any form of its UUID


async def test_a_secret_is_kept_as_its_hash_alone(
    service: Service, client: AsyncClient, sql: AsyncConnection
) -> None:
    created = await client.post("/api/keys", json={"label": "A", "role": "viewer"}, headers=key())
    rotated = await client.post(at(created.json(), "/rotate"), headers=key("other"))
    stored = str(await service.kept())
    for token in (*service.tokens.values(), created.json()["key"], rotated.json()["key"]):
        parsed = NewKey.parse(token)
        query = "SELECT secret_hash FROM access.api_keys WHERE id = %s"
        row = await (await sql.execute(query, (parsed.id,))).fetchone()
        assert row == (hashlib.sha256(parsed.secret.encode()).digest(),)
        assert parsed.secret not in stored
