"""The list: which tables, in which order, page by page."""

from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from httpx import AsyncClient

from tests.api.conftest import WORKSPACE, Service
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio


async def names(client: AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/api/tables", params=params)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def pages(client: AsyncClient, **params: Any) -> list[list[str]]:
    """All pages, each found by the cursor of the one before."""
    found, cursor = [], None
    while True:
        given = params | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/tables", params=given)).json()
        found.append([item["name"] for item in page["items"]])
        cursor = page["nextCursor"]
        if cursor is None:
            return found


@pytest.fixture
async def tables(client: AsyncClient) -> dict[str, dict[str, Any]]:
    """Five tables, made in this order; one changed since, one deleted."""
    made = {
        "beta": await create(client, name="beta"),
        "Älpha": await create(client, name="Älpha", workspaceId=str(WORKSPACE)),
        "Gamma 100%": await create(client, name="Gamma 100%", description="with Crème_brûlée"),
        "delta": await create(client, name="delta", slug="findme"),
        "gone": await create(client, name="gone"),
    }
    await client.delete(path(made["gone"]))
    await client.patch(path(made["beta"]), json={"icon": "b"})
    return made


BY_NAME = ["Älpha", "beta", "delta", "Gamma 100%"]
BY_CREATED = ["beta", "Älpha", "Gamma 100%", "delta"]
BY_UPDATED = ["Älpha", "Gamma 100%", "delta", "beta"]


@pytest.mark.usefixtures("tables")
async def test_the_list_is_sorted_by_name_without_case_and_accents(client: AsyncClient) -> None:
    assert await names(client) == await names(client, sort="name") == BY_NAME


@pytest.mark.usefixtures("tables")
async def test_each_sort_goes_both_ways_and_over_any_page_size(client: AsyncClient) -> None:
    expected = {"name": BY_NAME, "createdAt": BY_CREATED, "updatedAt": BY_UPDATED}
    for sort, order in expected.items():
        for key, wanted in ((sort, order), (f"-{sort}", order[::-1])):
            for limit in (1, 2, 3, 4, 200):
                found = await pages(client, sort=key, limit=limit)
                assert [name for page in found for name in page] == wanted
                assert all(len(page) == limit for page in found[:-1])
                assert found[-1]


@pytest.mark.usefixtures("tables")
async def test_the_state_chooses_active_deleted_or_all(client: AsyncClient) -> None:
    assert await names(client, state="deleted") == ["gone"]
    assert await names(client, state="active") == BY_NAME
    assert await pages(client, state="all", limit=2) == [BY_NAME[:2], BY_NAME[2:], ["gone"]]
    by_change = ["beta", "gone", "delta", "Gamma 100%", "Älpha"]
    assert await names(client, state="all", sort="-updatedAt") == by_change


@pytest.mark.usefixtures("tables")
async def test_the_list_is_filtered_by_workspace(client: AsyncClient) -> None:
    assert await names(client, workspaceId=WORKSPACE) == ["Älpha"]
    assert await names(client, workspaceId="none") == ["beta", "delta", "Gamma 100%"]


async def test_the_list_is_filtered_by_who_changed_it_last(
    service: Service, client: AsyncClient, tables: dict[str, dict[str, Any]]
) -> None:
    async with service.client("editor") as editor:
        changed = (await editor.patch(path(tables["delta"]), json={"icon": "x"})).json()
        assert await names(editor, updatedBy="me") == ["delta"]
    assert await names(client, updatedBy=changed["updatedBy"]) == ["delta"]
    assert await names(client, updatedBy="me") == ["Älpha", "beta", "Gamma 100%"]


@pytest.mark.usefixtures("tables")
async def test_the_search_finds_parts_without_case_and_accents(client: AsyncClient) -> None:
    for text, found in {
        "ALPH": ["Älpha"],
        "creme_BRU": ["Gamma 100%"],
        "creme-bru": [],
        "0%": ["Gamma 100%"],
        "%": ["Gamma 100%"],
        "_": ["Gamma 100%"],
        "\\": [],
        "findm": ["delta"],
        "ta": ["beta", "delta"],
        "": BY_NAME,
        "gone": [],
    }.items():
        assert await names(client, q=text) == found, text
    assert await names(client, q="ta", workspaceId="none", sort="-name") == ["delta", "beta"]


@pytest.mark.usefixtures("tables")
async def test_the_count_is_of_the_whole_list_and_only_on_request(client: AsyncClient) -> None:
    for params, total in (({}, 4), ({"state": "all"}, 5), ({"q": "ta"}, 2), ({"q": "zzz"}, 0)):
        page = (
            await client.get("/api/tables", params={**params, "limit": 1, "count": "true"})
        ).json()
        assert page["totalCount"] == total
        assert "totalCount" not in (await client.get("/api/tables", params=params)).json()


@pytest.mark.usefixtures("tables")
async def test_the_link_leads_to_the_next_page_with_the_same_filter(client: AsyncClient) -> None:
    first = await client.get("/api/tables", params={"limit": 2, "sort": "-name", "q": "a"})
    target, _, rel = first.headers["link"].partition(";")
    assert rel == ' rel="next"'
    query = parse_qs(urlparse(target.strip("<>")).query)
    assert query == {"limit": ["2"], "sort": ["-name"], "q": ["a"],
                     "cursor": [first.json()["nextCursor"]]}  # fmt: skip
    second = await client.get(target.strip("<>"))
    assert [item["name"] for item in second.json()["items"]] == ["beta", "Älpha"]
    assert "link" not in second.headers
    assert second.json()["nextCursor"] is None


async def test_equal_names_are_told_apart_by_id(client: AsyncClient) -> None:
    made = [await create(client, name="Same") for _ in range(7)]
    for sort, order in (("name", 1), ("-name", -1)):
        found, cursor = [], None
        while cursor is not None or not found:
            params = {"limit": 2, "sort": sort} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/api/tables", params=params)).json()
            found += [item["id"] for item in page["items"]]
            cursor = page["nextCursor"]
        assert found == sorted(table["id"] for table in made)[::order]


async def test_pages_are_stable_while_rows_come_and_go(client: AsyncClient) -> None:
    made = {name: await create(client, name=name) for name in "bdfhj"}
    first = (await client.get("/api/tables", params={"limit": 2})).json()
    await create(client, name="a")
    await client.delete(path(made["d"]))
    rest = await names(client, limit=200, cursor=first["nextCursor"])
    assert [item["name"] for item in first["items"]] + rest == ["b", "d", "f", "h", "j"]


@pytest.mark.usefixtures("tables")
async def test_a_cursor_works_for_its_caller_and_its_list_alone(
    service: Service, client: AsyncClient, stranger: AsyncClient
) -> None:
    cursor = (await client.get("/api/tables", params={"limit": 1})).json()["nextCursor"]
    assert (await names(client, cursor=cursor, limit=3)) == BY_NAME[1:]
    for other in (
        {"sort": "-name"}, {"sort": "createdAt"}, {"state": "all"}, {"q": "a"},
        {"workspaceId": "none"}, {"updatedBy": "me"},
    ):  # fmt: skip
        answer = await client.get("/api/tables", params={"cursor": cursor} | other)
        assert_problem(answer, 400, "invalid-cursor")
    async with service.client("viewer") as colleague:
        for caller in (colleague, stranger):
            answer = await caller.get("/api/tables", params={"cursor": cursor})
            assert_problem(answer, 400, "invalid-cursor")


@pytest.mark.usefixtures("tables")
async def test_a_forged_cursor_is_refused(client: AsyncClient) -> None:
    cursor = (await client.get("/api/tables", params={"limit": 1})).json()["nextCursor"]
    flipped = [
        cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :]
        for i in range(0, len(cursor) - 1, 5)
    ]
    for forged in (*flipped, "", "x", "AAAA", cursor + "AAAA", cursor[:-4], cursor + "!", "\0",
                   "é", "=" * 4, "W10", cursor.upper(), "A" * 4000):  # fmt: skip
        answer = await client.get("/api/tables", params={"cursor": forged})
        assert_problem(answer, 400, "invalid-cursor")


async def test_limits_have_edges(client: AsyncClient) -> None:
    await create(client)
    for limit in (1, 200):
        assert len(await names(client, limit=limit)) == 1
    for limit, code in (("0", "out-of-range"), ("201", "out-of-range"), ("-1", "out-of-range"),
                        ("x", "type"), ("1.0", "type"), ("1_0", "type"), ("", "type"),
                        ("9" * 5000, "type")):  # fmt: skip
        answer = await client.get("/api/tables", params={"limit": limit})
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert (error["pointer"], error["in"], error["code"]) == ("/limit", "query", code)


async def test_every_wrong_parameter_is_named_at_once(client: AsyncClient) -> None:
    answer = await client.get(
        "/api/tables?limit=x&state=?&sort=slug&count=1&workspaceId=a&updatedBy=you&q=%00&page=2"
        f"&cursor={'x' * 4001}"
    )
    errors = assert_problem(answer, 422, "validation")["errors"]
    assert {error["pointer"]: error["code"] for error in errors} == {
        "/limit": "type",
        "/state": "unknown-value",
        "/sort": "unknown-value",
        "/count": "type",
        "/workspaceId": "invalid-uuid",
        "/updatedBy": "invalid-uuid",
        "/q": "invalid-text",
        "/cursor": "too-long",
        "/page": "unknown-field",
    }
    assert len(errors) == 9
    twice = await client.get("/api/tables?limit=1&limit=2")
    assert assert_problem(twice, 422, "validation")["errors"][0]["pointer"] == "/limit"


async def test_an_empty_company_has_an_empty_list(client: AsyncClient) -> None:
    answer = await client.get("/api/tables")
    assert answer.json() == {"items": [], "nextCursor": None}
    assert answer.headers["event-position"].isdigit()
