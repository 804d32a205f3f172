"""If-Match and If-None-Match: nobody overwrites what they have not seen."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient

from tests.api.conftest import WORKSPACE, Service
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio


def version(number: int) -> dict[str, str]:
    return {"If-Match": f'"{number}"'}


async def clashes(
    client: AsyncClient, table: dict[str, Any], theirs: dict[str, Any], yours: dict[str, Any]
) -> list[dict[str, Any]]:
    """What the second of two people is told who change the same version."""
    assert (await client.patch(path(table), json=theirs)).status_code == 200
    answer = await client.patch(path(table), json=yours, headers=version(1))
    found: list[dict[str, Any]] = assert_problem(answer, 412, "version-mismatch")["clashes"]
    return sorted(found, key=lambda clash: clash["pointer"])


async def test_the_right_version_changes(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    for number, etag in enumerate(('"1"', '"9", "2"', "*", 'W/"1", "4"', '"a,b", "5"'), 2):
        answer = await client.patch(
            path(table), json={"name": f"N{number}"}, headers={"If-Match": etag}
        )
        assert (answer.status_code, answer.headers["etag"]) == (200, f'"{number}"')


async def test_each_write_to_a_table_heeds_the_version(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    bodies = {"PATCH": {"name": "C"}, "POST/revert": {"version": 1}}
    await client.patch(path(table), json={"name": "B"})
    for state, calls in {
        "live": (("PATCH", ""), ("DELETE", ""), ("POST", "/restore"), ("POST", "/revert")),
        "deleted": (("DELETE", ""), ("POST", "/restore"), ("POST", "/purge")),
    }.items():
        if state == "deleted":
            await client.delete(path(table))
        before = await service.topics()
        for method, action in calls:
            for etag in ('"1"', '"99"', 'W/"2"', 'W/"3"', '"x"', '""'):
                answer = await client.request(
                    method, path(table) + action, headers={"If-Match": etag},
                    json=bodies.get(method + action),
                )  # fmt: skip
                problem = assert_problem(answer, 412, "version-mismatch")
                assert problem["currentVersion"] == len(before)
                assert answer.headers["etag"] == f'"{len(before)}"'
        assert await service.topics() == before
    assert (await client.delete(path(table), headers=version(3))).status_code == 204
    assert (await client.post(path(table) + "/restore", headers=version(3))).status_code == 200
    assert (await client.delete(path(table), headers=version(4))).status_code == 204
    assert (await client.post(path(table) + "/purge", headers=version(5))).status_code == 204


async def test_a_refusal_tells_what_happened_since(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    await client.patch(path(table), json={"name": "B"}, headers={"Reason": "better"})
    await client.patch(path(table), json={"icon": "x"})
    answer = await client.patch(path(table), json={"name": "C"}, headers=version(1))
    problem = assert_problem(answer, 412, "version-mismatch")
    stored = (await service.stored())[1:]
    assert [event["type"] for event in problem["events"]] == [
        "dynamic-tables.table-def.renamed.v1",
        "dynamic-tables.table-def.appearance-changed.v1",
    ]
    for item, event in zip(problem["events"], stored, strict=True):
        assert item["position"] == str(event.position)
        assert item["data"] == event.data
        assert item["version"] == event.version
        assert item["tableId"] == table["id"]
        assert item["id"] == event.metadata["eventId"]
    assert problem["events"][0]["reason"] == "better"
    assert problem["clashes"] == [
        {"pointer": "/name", "base": "Orders", "theirs": "B", "yours": "C"}
    ]


async def test_only_what_both_set_to_different_things_clashes(client: AsyncClient) -> None:
    table = await create(client, description="d", color="#111111", icon="i")
    theirs = {"name": "T", "description": "T", "color": "#222222", "workspaceId": None}
    yours = {"name": "T", "description": "Y", "color": None, "icon": "Y", "slug": "y"}
    assert await clashes(client, table, theirs, yours) == [
        {"pointer": "/color", "base": "#111111", "theirs": "#222222", "yours": None},
        {"pointer": "/description", "base": "d", "theirs": "T", "yours": "Y"},
    ]


async def test_values_clash_in_the_form_in_which_they_are_stored(client: AsyncClient) -> None:
    workspace = str(WORKSPACE)
    table = await create(client, color="#aaaaaa", description="d")
    theirs = {"color": "#bbbbbb", "description": None, "workspaceId": workspace, "slug": "t"}
    yours = {"color": "#BBBBBB", "description": "", "workspaceId": None, "slug": "orders"}
    assert await clashes(client, table, theirs, yours) == [
        {"pointer": "/slug", "base": "orders", "theirs": "t", "yours": "orders"},
        {"pointer": "/workspaceId", "base": None, "theirs": workspace, "yours": None},
    ]


async def test_settings_clash_key_by_key(client: AsyncClient) -> None:
    base = {"a": 1, "b": 1, "c": 1, "d": 1, "flag": 1, "o": {"x": 1, "y": 1}, "p": {"x": 1}}
    theirs = {"a": 2, "b": 2, "c": None, "flag": True, "o": {"x": 2}, "p": None, "q": {"x": 1}}
    yours = {"a": 3, "b": 2, "c": 4, "d": 5, "flag": 1, "o": {"x": 3, "y": 3}, "p": {"x": 5},
             "q": {"y": 1}, "new": 1}  # fmt: skip
    table = await create(client, settings=base)
    assert await clashes(client, table, {"settings": theirs}, {"settings": yours}) == [
        {"pointer": "/settings/a", "base": 1, "theirs": 2, "yours": 3},
        {"pointer": "/settings/c", "base": 1, "theirs": None, "yours": 4},
        {"pointer": "/settings/flag", "base": 1, "theirs": True, "yours": 1},
        {"pointer": "/settings/o/x", "base": 1, "theirs": 2, "yours": 3},
        {"pointer": "/settings/p", "base": {"x": 1}, "theirs": None, "yours": {"x": 5}},
    ]


async def test_clearing_all_settings_clashes_with_each_that_was_changed(
    client: AsyncClient,
) -> None:
    table = await create(client, settings={"a": 1, "b": 1, "c": 1})
    theirs = {"settings": {"a": 2, "c": None, "d": 1}}
    assert await clashes(client, table, theirs, {"settings": None}) == [
        {"pointer": "/settings/a", "base": 1, "theirs": 2, "yours": None},
        {"pointer": "/settings/d", "base": None, "theirs": 1, "yours": None},
    ]


async def test_nothing_clashes_with_an_empty_wish_for_settings(client: AsyncClient) -> None:
    table = await create(client, settings={"a": 1})
    assert await clashes(client, table, {"settings": {"a": 2}}, {"settings": {}}) == []


async def test_a_version_that_never_was_has_no_clashes(client: AsyncClient) -> None:
    table = await create(client)
    await client.patch(path(table), json={"name": "B"})
    answer = await client.patch(path(table), json={"name": "C"}, headers=version(77))
    problem = assert_problem(answer, 412, "version-mismatch")
    assert (problem["events"], problem["clashes"]) == ([], [])


async def test_what_is_no_etag_is_refused(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    for etag in ("1", "", '"', '"1', '"1" "2"', "'1'", b'"\xff"', '"1",', "**"):
        for method, address in (("PATCH", ""), ("DELETE", ""), ("POST", "/restore")):
            answer = await client.request(
                method, path(table) + address, headers={"If-Match": etag}, json={"name": "X"}
            )
            [error] = assert_problem(answer, 422, "validation")["errors"]
            assert error["pointer"] == "/If-Match"
            assert (error["in"], error["code"]) == ("header", "invalid-etag")
    assert await service.topics() == ["Created"]


async def test_of_a_hundred_changes_to_one_version_one_wins(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    answers = await asyncio.gather(
        *(
            client.patch(path(table), json={"name": f"N{number}"}, headers=version(1))
            for number in range(100)
        )
    )
    [won] = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer is not won:
            problem = assert_problem(answer, 412, "version-mismatch")
            assert problem["currentVersion"] == 2
            assert problem["clashes"][0]["theirs"] == won.json()["name"]
    assert await service.topics() == ["Created", "Renamed"]
    assert (await client.get(path(table))).json() == won.json()


async def test_a_read_of_what_the_caller_has_is_304(client: AsyncClient) -> None:
    table = await create(client)
    for address in (path(table), "/api/tables/by-slug/orders", "/api/tables"):
        shown = await client.get(address)
        etag = shown.headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            answer = await client.get(address, headers={"If-None-Match": known})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
            assert answer.headers["event-position"] == shown.headers["event-position"]
        for other in ('"other"', "", "nonsense", etag.strip('"')):
            assert (await client.get(address, headers={"If-None-Match": other})).status_code == 200
        await client.patch(path(table), json={"icon": address[-9:]})
        changed = await client.get(address, headers={"If-None-Match": etag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != etag
