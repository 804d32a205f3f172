"""Table definitions over HTTP: what was written is what is read back, and what was recorded."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.edge import SMALLEST
from domain.values import DEFAULT_SETTINGS, merge_patch
from tests.api.conftest import WORKSPACE, Service
from tests.conftest import sized

pytestmark = pytest.mark.anyio

FULL = {
    "name": "Orders",
    "slug": "sales-orders",
    "description": "Everything\nour customers ordered.",
    "icon": "📦",
    "color": "#1A73E8",
    "workspaceId": str(WORKSPACE),
    "settings": {"enableForm": True, "layout": {"columns": [1, 2.5, "x", None, True]}},
}


async def create(client: AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/api/tables", json={"name": "Orders"} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def path(table: dict[str, Any]) -> str:
    return f"/api/tables/{table['id']}"


def assert_problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


# Create


async def test_a_table_is_created_with_everything_that_was_sent(
    service: Service, client: AsyncClient
) -> None:
    answer = await client.post("/api/tables", json=FULL)
    table = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/tables/{table['id']}"
    assert answer.headers["etag"] == '"1"'
    assert {key: table[key] for key in FULL} == FULL | {"color": "#1a73e8"}
    assert table["effectiveSettings"] == {**DEFAULT_SETTINGS, **FULL["settings"]}  # type: ignore[dict-item]
    assert table["companyId"] == str(service.ours)
    assert table["createdAt"] == table["updatedAt"]
    assert (table["version"], table["deletedAt"]) == (1, None)
    assert UUID(table["id"]).version == 7
    [event] = await service.stored()
    assert event.topic == "TableDef.Created"
    assert answer.headers["event-position"] == str(event.position)
    assert event.data == FULL | {"color": "#1a73e8", "companyId": str(service.ours)}


async def test_only_a_name_is_needed(client: AsyncClient) -> None:
    table = await create(client, name="  Größe & Maße ")
    assert (table["name"], table["slug"]) == ("Größe & Maße", "grosse-masse")
    assert table["settings"] == {}
    for field in ("description", "icon", "color", "workspaceId", "deletedAt"):
        assert table[field] is None


async def test_what_was_created_is_in_the_list(client: AsyncClient) -> None:
    created = await client.post("/api/tables", json={"name": "Orders"})
    assert created.status_code == 201
    listed = (await client.get("/api/tables")).json()
    assert listed == {"items": [created.json()], "nextCursor": None}


async def test_a_derived_slug_takes_the_next_number_and_a_chosen_one_is_refused(
    service: Service, client: AsyncClient
) -> None:
    first, second = await create(client), await create(client)
    assert (first["slug"], second["slug"]) == ("orders", "orders-2")
    refused = await client.post("/api/tables", json={"name": "X", "slug": "orders"})
    problem = assert_problem(refused, 409, "slug-taken")
    assert problem["suggestion"] == "orders-3"
    assert problem["heldBy"] == {"id": first["id"], "deletedAt": None}
    [error] = problem["errors"]
    assert (error["pointer"], error["in"], error["code"]) == ("/slug", "body", "taken")
    assert await service.topics() == ["Created", "Created"]


async def test_a_deleted_table_keeps_its_slug_and_the_refusal_says_so(client: AsyncClient) -> None:
    table = await create(client)
    await client.delete(path(table))
    refused = await client.post("/api/tables", json={"name": "X", "slug": "orders"})
    problem = assert_problem(refused, 409, "slug-taken")
    deleted_at = (await client.get(path(table), params={"state": "all"})).json()["deletedAt"]
    assert problem["heldBy"] == {"id": table["id"], "deletedAt": deleted_at}
    assert "Restore or purge" in problem["detail"]


async def test_the_same_slug_is_free_in_another_company(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    assert (await create(client))["slug"] == (await create(stranger))["slug"]


# Read


async def test_one_table_is_read_by_its_id(client: AsyncClient) -> None:
    table = await create(client, **FULL)
    answer = await client.get(path(table))
    assert (answer.status_code, answer.json()) == (200, table)
    assert answer.headers["etag"] == '"1"'
    assert int(answer.headers["event-position"]) >= 1
    assert answer.headers["content-type"] == "application/json"


async def test_an_id_that_never_was_is_not_found(client: AsyncClient) -> None:
    assert_problem(await client.get(f"/api/tables/{uuid4()}"), 404, "not-found")


async def test_a_table_is_read_by_its_slug(client: AsyncClient) -> None:
    table = await create(client)
    answer = await client.get("/api/tables/by-slug/orders")
    assert (answer.status_code, answer.json()) == (200, table)
    assert answer.headers["etag"] == '"1"'
    assert_problem(await client.get("/api/tables/by-slug/nothing"), 404, "not-found")


async def test_an_old_slug_redirects_until_somebody_else_takes_it(client: AsyncClient) -> None:
    table = await create(client)
    await client.patch(path(table), json={"slug": "sales"})
    await client.patch(path(table), json={"slug": "revenue"})
    for old in ("orders", "sales"):
        answer = await client.get(f"/api/tables/by-slug/{old}?state=all")
        assert answer.status_code == 308
        assert answer.headers["location"] == "/api/tables/by-slug/revenue?state=all"
        assert (await client.get(answer.headers["location"])).json()["id"] == table["id"]
    other = await create(client, name="Orders")
    assert (await client.get("/api/tables/by-slug/orders")).json() == other


async def test_an_old_slug_is_forgotten_with_its_purged_table(client: AsyncClient) -> None:
    table = await create(client)
    await client.patch(path(table), json={"slug": "sales"})
    await client.delete(path(table))
    assert_problem(await client.get("/api/tables/by-slug/sales"), 404, "table-deleted")
    await client.post(path(table) + "/purge")
    for slug in ("orders", "sales"):
        assert_problem(await client.get(f"/api/tables/by-slug/{slug}"), 404, "not-found")


async def test_an_old_slug_of_another_company_redirects_nobody(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    table = await create(client)
    await client.patch(path(table), json={"slug": "sales"})
    for slug in ("orders", "sales"):
        assert_problem(await stranger.get(f"/api/tables/by-slug/{slug}"), 404, "not-found")


async def test_the_slug_that_is_suggested_is_the_slug_that_a_new_table_gets(
    client: AsyncClient, stranger: AsyncClient
) -> None:
    for name in ("Orders", "Orders", "Заказы", "🎉", "x" * 255, "x" * 255):
        suggested = await client.get("/api/tables/slug-suggestion", params={"name": name})
        assert suggested.json() == {"slug": (await create(client, name=name))["slug"]}
    theirs = await stranger.get("/api/tables/slug-suggestion", params={"name": "Orders"})
    assert theirs.json() == {"slug": "orders"}


async def test_a_suggestion_needs_a_name(client: AsyncClient) -> None:
    for query, code in (
        ("", "required"),
        ("?name=", "too-short"),
        ("?name=a%0Ab", "invalid-text"),
        (f"?name={'x' * 256}", "too-long"),
        ("?name=a&nome=b", "unknown-field"),
    ):
        answer = await client.get(f"/api/tables/slug-suggestion{query}")
        [error] = assert_problem(answer, 422, "validation")["errors"]
        assert (error["in"], error["code"]) == ("query", code)


# Change


async def test_several_facets_change_in_one_step(service: Service, client: AsyncClient) -> None:
    table = await create(client, name="Anything")
    answer = await client.patch(path(table), json=FULL)
    changed = answer.json()
    assert answer.status_code == 200
    assert {key: changed[key] for key in FULL} == FULL | {"color": "#1a73e8"}
    assert answer.headers["etag"] == f'"{changed["version"]}"' == '"7"'
    events = await service.stored(table["id"])
    assert {event.topic.removeprefix("TableDef."): event.data for event in events[1:]} == {
        "Renamed": {"name": "Orders"},
        "SlugChanged": {"slug": "sales-orders"},
        "DescriptionChanged": {"description": FULL["description"]},
        "MovedToWorkspace": {"workspaceId": FULL["workspaceId"]},
        "AppearanceChanged": {"icon": "📦", "color": "#1a73e8"},
        "SettingsChanged": {"changes": FULL["settings"]},
    }
    assert answer.headers["event-position"] == str(events[-1].position)
    assert len({event.metadata["requestId"] for event in events[1:]}) == 1
    assert (await client.get(path(table))).json() == changed


async def test_absent_keeps_and_null_clears(service: Service, client: AsyncClient) -> None:
    table = await create(client, **FULL)
    kept = (await client.patch(path(table), json={})).json()
    assert kept == table
    cleared = dict.fromkeys(("description", "icon", "color", "workspaceId", "settings"))
    answer = (await client.patch(path(table), json=cleared)).json()
    assert {key: answer[key] for key in cleared} == cleared | {"settings": {}}
    assert (answer["name"], answer["slug"]) == (table["name"], table["slug"])
    assert (await client.get(path(table))).json() == answer


async def test_settings_merge_and_arrays_replace(service: Service, client: AsyncClient) -> None:
    before = {"a": {"x": 1, "y": 2}, "list": [1, 2, 3], "enableForm": True}
    table = await create(client, settings=before)
    patch = {"a": {"y": None, "z": {"deep": 1}}, "list": [4], "enableForm": None, "b": "new"}
    answer = (await client.patch(path(table), json={"settings": patch})).json()
    after = {"a": {"x": 1, "z": {"deep": 1}}, "list": [4], "b": "new"}
    assert answer["settings"] == after == merge_patch(before, patch)
    assert (await client.get(path(table))).json() == answer
    assert (await service.stored())[-1].data == {"changes": patch}


async def test_a_name_or_slug_cannot_be_cleared(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    answer = await client.patch(path(table), json={"name": None, "slug": None})
    problem = assert_problem(answer, 422, "validation")
    codes = {error["pointer"]: error["code"] for error in problem["errors"]}
    assert codes == {"/name": "type", "/slug": "type"}
    assert await service.topics() == ["Created"]


async def test_a_change_that_changes_nothing_records_nothing(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client, **FULL)
    answer = await client.patch(path(table), json=FULL)
    assert (answer.status_code, answer.json()) == (200, table)
    assert answer.headers["etag"] == '"1"'
    [event] = await service.stored()
    assert event.topic == "TableDef.Created"
    assert answer.headers["event-position"] == str(event.position)


async def test_renaming_keeps_the_slug(client: AsyncClient) -> None:
    table = await create(client)
    answer = (await client.patch(path(table), json={"name": "Sales"})).json()
    assert (answer["name"], answer["slug"]) == ("Sales", "orders")


async def test_a_change_to_a_slug_in_use_is_refused_whole(
    service: Service, client: AsyncClient
) -> None:
    await create(client, name="Sales")
    table = await create(client)
    answer = await client.patch(path(table), json={"name": "X", "slug": "sales"})
    assert_problem(answer, 409, "slug-taken")
    assert (await client.get(path(table))).json() == table
    assert await service.topics(table["id"]) == ["Created"]


async def test_read_only_and_unknown_fields_are_named(client: AsyncClient) -> None:
    table = await create(client)
    answer = await client.patch(path(table), json=table | {"colour": "red"})
    problem = assert_problem(answer, 422, "validation")
    codes = {error["pointer"]: error["code"] for error in problem["errors"]}
    assert codes == {
        **dict.fromkeys(
            ("/id", "/companyId", "/createdBy", "/createdAt", "/updatedBy", "/updatedAt",
             "/deletedAt", "/version", "/effectiveSettings"), "read-only"
        ),
        "/colour": "unknown-field",
    }  # fmt: skip


async def test_a_patch_may_be_a_merge_patch_or_plain_json(client: AsyncClient) -> None:
    table = await create(client)
    for version, kind in enumerate(("merge-patch+json", "json; charset=UTF-8", "json; a=b"), 2):
        answer = await client.patch(
            path(table),
            content=f'{{"name": "N{version}"}}',
            headers={"Content-Type": f"application/{kind}"},
        )
        assert (answer.status_code, answer.json()["version"]) == (200, version)


# Delete, restore, purge


async def test_a_deleted_table_is_gone_but_kept(service: Service, client: AsyncClient) -> None:
    table = await create(client, **FULL)
    answer = await client.delete(path(table))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["etag"] == '"2"'
    assert answer.headers["event-position"] == str((await service.stored())[-1].position)
    problem = assert_problem(await client.get(path(table)), 404, "table-deleted")
    assert problem["restorable"] is True
    shown = (await client.get(path(table), params={"state": "all"})).json()
    changed = {key: shown[key] for key in ("deletedAt", "updatedAt", "version")}
    assert shown == table | changed
    assert problem["deletedAt"] == shown["deletedAt"] == shown["updatedAt"]
    assert (await client.get("/api/tables")).json()["items"] == []
    again = await client.delete(path(table))
    assert (again.status_code, again.headers["etag"]) == (204, '"2"')
    assert await service.topics() == ["Created", "Deleted"]


async def test_a_deleted_table_refuses_changes_and_copies(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    await client.delete(path(table))
    assert_problem(await client.patch(path(table), json={"name": "X"}), 404, "table-deleted")
    assert_problem(await client.post(path(table) + "/duplicate"), 404, "table-deleted")
    assert await service.topics() == ["Created", "Deleted"]


async def test_a_restore_brings_back_exactly_what_was_there(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client, **FULL)
    await client.delete(path(table))
    answer = await client.post(path(table) + "/restore")
    restored = answer.json()
    assert answer.status_code == 200
    assert restored == table | {"version": 3, "updatedAt": restored["updatedAt"]}
    assert (await client.get(path(table))).json() == restored
    again = await client.post(path(table) + "/restore")
    assert (again.status_code, again.json()) == (200, restored)
    assert await service.topics() == ["Created", "Deleted", "Restored"]


async def test_a_live_table_is_not_purged(service: Service, client: AsyncClient) -> None:
    table = await create(client)
    assert_problem(await client.post(path(table) + "/purge"), 409, "not-deleted")
    assert await service.topics() == ["Created"]


async def test_a_purged_table_is_gone_for_ever_and_its_slug_is_free(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    await client.delete(path(table))
    answer = await client.post(path(table) + "/purge")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (204, b"", '"3"')
    for again in (
        client.get(path(table)),
        client.get(path(table), params={"state": "all"}),
        client.patch(path(table), json={"name": "X"}),
        client.delete(path(table)),
        client.post(path(table) + "/restore"),
        client.post(path(table) + "/purge"),
        client.post(path(table) + "/duplicate"),
    ):
        assert_problem(await again, 410, "table-purged")
    assert (await client.get("/api/tables", params={"state": "all"})).json()["items"] == []
    assert await service.topics() == ["Created", "Deleted", "Purged"]
    assert (await create(client))["slug"] == "orders"


# Duplicate


async def test_a_copy_has_everything_but_its_name_and_slug(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client, **FULL)
    answer = await client.post(path(table) + "/duplicate")
    copy = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == path(copy)
    own = {key: copy[key] for key in ("id", "createdAt", "updatedAt")}
    assert copy == table | own | {"name": "Orders copy", "slug": "orders-copy"}
    assert copy["id"] != table["id"]
    assert (await client.get(path(copy))).json() == copy
    second = (await client.post(path(table) + "/duplicate")).json()
    assert second["slug"] == "orders-copy-2"
    assert await service.topics() == ["Created"] * 3


async def test_a_copy_can_have_a_name_a_slug_and_a_workspace_of_its_own(
    client: AsyncClient,
) -> None:
    table = await create(client, **FULL)
    own = {"name": "Mine", "slug": "mine", "workspaceId": None}
    copy = (await client.post(path(table) + "/duplicate", json=own)).json()
    assert {key: copy[key] for key in own} == own
    refused = await client.post(path(table) + "/duplicate", json=own)
    assert_problem(refused, 409, "slug-taken")


async def test_the_name_of_a_copy_fits(client: AsyncClient) -> None:
    table = await create(client, name="x" * 255)
    copy = (await client.post(path(table) + "/duplicate")).json()
    assert copy["name"] == "x" * 250 + " copy"


async def test_the_body_of_a_duplicate_is_an_object_or_absent(client: AsyncClient) -> None:
    table = await create(client)
    for body in ("null", "[]", '"x"'):
        answer = await client.post(path(table) + "/duplicate", content=body)
        problem = assert_problem(answer, 422, "validation")
        assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("", "type")]


# Whatever is sent

OTHER = UUID("019ab3f2-0000-7000-8000-000000000004")


def _text(most: int, least: int = 1) -> st.SearchStrategy[str]:
    return st.text(
        st.characters(categories=["L", "N", "P", "S"], codec="utf-8"),
        min_size=least,
        max_size=most,
    )


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _text(20, 0)
    | st.floats(-1e15, 1e15, allow_nan=False).filter(lambda x: x == 0 or abs(x) >= SMALLEST),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text(8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_settings = st.fixed_dictionaries(
    {},
    optional={
        "allowMultiple": st.none() | st.booleans(),
        "recordNameFormat": st.none() | _text(30, 0),
        "enableForm": st.none() | st.booleans(),
        "allow_multiple": _json,
        "copy": _json,
        "patch": _json,
        "a" * 64: _json,
    },
)
_facets = {
    "description": st.none() | _text(50, 0),
    "icon": st.none() | _text(10),
    "color": st.none() | st.from_regex("#[0-9a-fA-F]{6}", fullmatch=True),
    "workspaceId": st.sampled_from([None, str(WORKSPACE), str(OTHER)]),
    "settings": st.none() | _settings,
}


@settings(
    max_examples=sized(20, 60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    new=st.fixed_dictionaries({"name": _text(30)}, optional=_facets),
    patch=st.fixed_dictionaries({}, optional={"name": _text(30), **_facets}),
)
async def test_every_write_answers_what_the_next_read_shows(
    client: AsyncClient, new: dict[str, Any], patch: dict[str, Any]
) -> None:
    await client.put(f"/api/workspaces/{OTHER}", json={"name": "Other"})
    created = await client.post("/api/tables", json=new)
    assert created.status_code == 201, created.text
    read = await client.get(path(created.json()))
    assert read.json() == created.json()
    assert read.headers["etag"] == created.headers["etag"]
    changed = await client.patch(path(created.json()), json=patch)
    assert changed.status_code == 200, changed.text
    read = await client.get(path(created.json()))
    assert read.json() == changed.json()
    assert read.headers["etag"] == changed.headers["etag"]
    again = await client.patch(path(created.json()), json=patch)
    assert again.headers["etag"] == changed.headers["etag"]


async def test_each_write_is_seen_by_the_very_next_read(client: AsyncClient) -> None:
    table = await create(client)
    for number in range(30):
        wanted = f"Name {number}"
        await client.patch(path(table), json={"name": wanted})
        assert (await client.get("/api/tables")).json()["items"][0]["name"] == wanted
        assert (await client.get(path(table))).json()["name"] == wanted
