"""The list: page by page the same as all at once, in every order, for every filter."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.values import DEFAULT_SETTINGS
from projections.folding import fold, sort_key
from projections.keyset import State
from projections.table_def_queries import BY_ID, COUNT, Filter, Sort, by_id_params
from projections.table_defs import TABLE
from tests.conftest import sized
from tests.projections.world import SCHEMA, World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(emptied_world: World) -> World:
    return emptied_world


FILL = f"""
INSERT INTO {SCHEMA}.table_defs
SELECT id, company_id, workspace_id, name, slug, description, NULL, NULL, '{{}}', deleted_at,
       created_by, created_at, updated_by, updated_at, 1, 1, name_folded, search_folded,
       {TABLE}::json
  FROM jsonb_populate_recordset(NULL::{SCHEMA}.table_defs, %s) AS t
"""
WORKSPACES = [None, UUID(int=1), UUID(int=2)]
PEOPLE = [UUID(int=3), UUID(int=4)]
TIMES = [datetime(2026, 1, day, 1, 2, 3, micro, UTC) for day in (1, 2) for micro in (0, 1)]
NAMES = ["a", "A", "á", "b", "B b", "ß", "SS", "z", "Ω", "\u0301", "%", "_", "\\", "東京", "🛒"]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "ours": st.sampled_from([True, True, True, False]),
            "name": st.sampled_from(NAMES),
            "description": st.sampled_from([None, "Über 100%", "a_b", "c\\d"]),
            "workspace_id": st.sampled_from(WORKSPACES),
            "created_at": st.sampled_from(TIMES),
            "updated_at": st.sampled_from(TIMES),
            "updated_by": st.sampled_from(PEOPLE),
            "deleted_at": st.sampled_from([None, None, TIMES[0]]),
        }
    ),
    min_size=8,
    max_size=24,
)
TEXTS = ["", "A", "ss", "ü", "%", "_", "\\", "0%", "x-", "\n"]
FILTERS = st.fixed_dictionaries(
    {"state": st.sampled_from(get_args(State)), "sort": st.sampled_from(get_args(Sort))},
    optional={  # mostly one filter at a time, or none: lists should be long
        "text": st.sampled_from([None, None, *TEXTS]),
        "updated_by": st.sampled_from([None, *PEOPLE]),
        "any_workspace": st.sampled_from([True, True, False]),
        "workspace_id": st.sampled_from(WORKSPACES),
    },
)
SORT_KEYS: dict[str, Any] = {
    "name": lambda row: sort_key(row["name"]).encode(),
    "createdAt": lambda row: row["created_at"],
    "updatedAt": lambda row: row["updated_at"],
}


def complete(rows: list[dict[str, Any]], world: World) -> list[dict[str, Any]]:
    """Rows as the projection writes them."""
    for number, row in enumerate(rows):
        row["id"] = uuid4()
        row["slug"] = f"x-{number}"
        row["company_id"] = world.ours if row["ours"] else world.theirs
        row["created_by"] = PEOPLE[0]
        row["name_folded"] = sort_key(row["name"])
        row["search_folded"] = fold("\n".join((row["name"], row["slug"], row["description"] or "")))
    return rows


async def fill(world: World, rows: list[dict[str, Any]]) -> None:
    await world.owner.execute(f"DELETE FROM {SCHEMA}.table_defs")
    await world.owner.execute(FILL, (json.dumps(rows, default=str),))


def expected(rows: list[dict[str, Any]], wanted: Filter) -> list[str]:
    """What the whole list is, told without SQL."""
    kept = [
        row
        for row in rows
        if row["company_id"] == wanted.company_id
        and (wanted.state == "all" or (wanted.state == "deleted") == bool(row["deleted_at"]))
        and (wanted.any_workspace or row["workspace_id"] == wanted.workspace_id)
        and wanted.updated_by in (None, row["updated_by"])
        and fold(wanted.text or "") in row["search_folded"]
    ]
    key = SORT_KEYS[wanted.sort.removeprefix("-")]
    kept.sort(key=lambda row: (key(row), row["id"].bytes), reverse=wanted.sort.startswith("-"))
    return [str(row["id"]) for row in kept]


async def pages(world: World, wanted: Filter, limit: int) -> list[list[str]]:
    after, found = None, []
    while True:
        page, items = await world.list(wanted, after, limit)
        found.append([item["id"] for item in items])
        assert len(found) < 30, "no end"
        after = page.next
        if after is None:
            assert not page.more
            return found


@settings(
    max_examples=sized(40, 120),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=ROWS, wanted=FILTERS, limit=st.integers(1, 5))
async def test_pages_of_any_size_make_the_whole_list(
    world: World, rows: list[dict[str, Any]], wanted: dict[str, Any], limit: int
) -> None:
    await fill(world, complete(rows, world))
    filter = Filter(world.ours, **wanted)
    whole = expected(rows, filter)
    found = await pages(world, filter, limit)
    assert [id for page in found for id in page] == whole
    assert all(len(page) == limit for page in found[:-1])
    assert await world.ask(COUNT, filter.params()) == [(len(whole),)]


@pytest.mark.parametrize("sort", get_args(Sort))
async def test_a_list_that_changes_between_pages_repeats_and_drops_nothing_that_stayed(
    world: World, sort: Sort
) -> None:
    """Rows that do not move are seen exactly once, whatever happens around them."""
    ids = [
        await world.create(f"Table {n:02}", company)
        for n in range(20)
        for company in (world.ours, world.theirs)
    ][::2]
    await world.project()
    wanted, seen, after, leaving = Filter(world.ours, sort=sort), [], None, ids[::5]
    while True:
        page, items = await world.list(wanted, after, 3)
        seen += [UUID(item["id"]) for item in items]
        after = page.next
        if after is None:
            break
        await world.create("Table 00")
        await world.create("Zebra")
        if leaving:
            await world.delete(leaving.pop())
        await world.project()
    stayed = [id for id in ids if id not in ids[::5]]
    assert [id for id in seen if id in stayed] == (stayed[::-1] if sort[0] == "-" else stayed)
    assert len(seen) == len(set(seen))


FOUND = [
    ("größe", "Große", True), ("GRÖSSE", "Größe", True), ("grosse", "Größe", True),
    ("uber", "Über", True), ("ÉTÉ", "ete", True), ("i̇stanbul", "ISTANBUL", True),
    ("tel", "℡ list", True), ("ﬁle", "FILE", True), ("％", "100%", True),
    ("%", "100", False), ("_", "ab", False), ("a_c", "abc", False), ("\\", "ab", False),
    ("100%", "100% sure", True), ("a_c", "a_c", True), ("a\\b", "a\\b", True),
    ("\\%", "100%", False), ("東", "東京", True), ("xyz", "Größe", False),
]  # fmt: skip


async def test_the_search_text_is_literal_and_ignores_case_and_accents(world: World) -> None:
    companies = [uuid4() for _ in FOUND]
    for company, (_, name, _) in zip(companies, FOUND, strict=True):
        await world.create(name, company, slug="s")
    await world.project()
    for company, (text, name, is_found) in zip(companies, FOUND, strict=True):
        _, items = await world.list(Filter(company, text=text))
        assert [item["name"] for item in items] == ([name] if is_found else []), text


async def test_the_search_looks_at_name_slug_and_description(world: World) -> None:
    for company in (world.ours, world.theirs):
        await world.create("Clients", company, slug="sales-2026", description="Was bestellt wurde")
        await world.create("Other", company)
    await world.project()
    for text in ("clients", "CLIENTS", "sales-2026", "béstellt"):
        _, items = await world.list(Filter(world.ours, text=text))
        assert [item["name"] for item in items] == ["Clients"], text


async def test_a_listed_table_has_every_field_as_the_contract_spells_it(world: World) -> None:
    await world.workspace(id=WORKSPACES[1])
    id = await world.create(
        "Orders", workspaceId=WORKSPACES[1], settings={"enableForm": True, "own": {"a": 1}}
    )
    await world.create("Orders", world.theirs)
    await world.delete(id)
    await world.project()
    page, (table,) = await world.list(Filter(world.ours, "all"))
    row = (await world.shown())[id]

    def time(moment: datetime) -> str:
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    assert table == {
        "id": str(id), "companyId": str(world.ours), "workspaceId": str(WORKSPACES[1]),
        "name": "Orders", "slug": "orders", "description": None, "icon": None, "color": None,
        "settings": {"enableForm": True, "own": {"a": 1}},
        "effectiveSettings": {**DEFAULT_SETTINGS, "enableForm": True, "own": {"a": 1}},
        "createdBy": str(world.actor), "createdAt": time(row["created_at"]),
        "updatedBy": str(world.actor), "updatedAt": time(row["updated_at"]),
        "deletedAt": time(row["deleted_at"]), "version": 2,
    }  # fmt: skip
    assert page.position == 4
    (found,) = await world.ask(BY_ID, by_id_params([world.ours], [id, uuid4()]))
    assert found[:4] == (id, world.ours, 2, row["deleted_at"])
    assert json.loads(found[4]) == table
    assert found[5] == 4


async def test_an_empty_list_says_which_position_it_shows(world: World) -> None:
    await asyncio.gather(*(world.create("Orders", world.theirs) for _ in range(3)))
    await world.project()
    page, items = await world.list(Filter(world.ours))
    assert (items, page.more, page.next, page.position) == ([], False, None, 3)
