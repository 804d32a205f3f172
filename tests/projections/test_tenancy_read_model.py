"""Every event of a company or workspace shows, whatever the batches it is projected in."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.errors import Refused
from domain.company_details import DEFAULT_COMPANY_SETTINGS, CompanyChanges, WorkspaceChanges
from domain.containers import workspace_aggregate
from domain.errors import DomainError
from domain.recorded import event_classes
from projections import tenancy
from projections.check import check
from projections.folding import sort_key
from projections.keyset import Page
from projections.rebuild import rebuild
from projections.tenancy import TenancyProjection
from projections.tenancy_queries import (
    COMPANIES,
    COMPANY_BY_ID,
    COMPANY_NAME,
    COMPANY_SETTINGS,
    WORKSPACE_BY_ID,
    WORKSPACES,
)
from tests.conftest import sized
from tests.projections.world import World, world_of

pytestmark = pytest.mark.anyio

SALES = UUID(int=7)  # both companies have one of this id
NAMES = ["Órders", "orders", "%_\\", "東京"]


@pytest.fixture
async def world(shared_database: str) -> AsyncIterator[World]:
    """Two companies, without what the tests before have left."""
    async with world_of(shared_database, TenancyProjection()) as world:
        await world.forget_everything()
        yield world


@pytest.fixture(params=[1, 500], ids=["one-by-one", "one-batch"])
def batch(request: pytest.FixtureRequest) -> int:
    return request.param


async def change(world: World, company: UUID, **changes: Any) -> None:
    wanted = CompanyChanges.model_validate(changes)
    await world.companies.change(world.request(company), wanted)


async def rename(world: World, name: str, company: UUID) -> None:
    wanted = WorkspaceChanges(name=name)
    await world.workspaces.change(SALES, world.request(company), wanted)


COMMANDS = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(NAMES)),
    st.tuples(
        st.just("change"),
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(NAMES),
                "settings": st.sampled_from(
                    [None, {"requireIfMatch": True}, {"requireIfMatch": None}, {}]
                ),
            },
        ),
    ),
    st.tuples(st.just("put"), st.sampled_from(NAMES)),
    st.tuples(st.just("put"), st.sampled_from(NAMES)),
    *(st.tuples(st.just(name), st.none()) for name in ("remove", "readmit", "delete", "restore")),
)
HISTORIES = st.lists(st.tuples(st.integers(0, 3), COMMANDS), max_size=25)


async def act(world: World, slot: int, command: tuple[str, Any]) -> None:
    """Carry out one command on a company or on one of its two workspaces."""
    name, argument = command
    company = world.theirs if slot % 2 else world.ours
    workspace, request = UUID(int=slot // 2), world.request(company)
    try:
        match name:
            case "register":
                await world.register(argument, company)
            case "change":
                await change(world, company, **argument)
            case "put":
                await world.workspace(argument, company, workspace)
            case "remove":
                await world.companies.remove(request)
            case "readmit":
                await world.companies.restore(request)
            case _:
                await getattr(world.workspaces, name)(workspace, request)
    except (Refused, DomainError):
        pass


@settings(
    max_examples=sized(12, 25),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=HISTORIES, batch=st.integers(1, 7))
async def test_rebuilt_equals_live_equals_the_aggregates(
    world: World, history: list[tuple[int, tuple[str, Any]]], batch: int
) -> None:
    await world.forget_everything()
    for slot, command in history:
        await act(world, slot, command)
    await world.project(batch)
    live = await world.everything_shown()
    assert await world.parked() == {}
    assert await world.is_current()
    assert (await check(world.conninfo)).differences == []
    assert await rebuild(world.conninfo, world.model) == await world.head()
    assert await world.everything_shown() == live


def test_every_event_of_a_company_or_workspace_has_a_handler() -> None:
    nouns = TenancyProjection.nouns
    events = {c for topic, c in event_classes().items() if topic.partition(".")[0] in nouns}
    assert tenancy.handles._of.keys() == events


async def both(world: World) -> None:
    """Two companies with a workspace of the same id each; four events."""
    for company, name in ((world.ours, "Ours"), (world.theirs, "Theirs")):
        await world.register(name, company)
        await world.workspace(f"{name} Sales", company, SALES)


async def test_a_registered_company_shows_what_it_started_with(world: World, batch: int) -> None:
    await world.register("Órders")
    await world.register("Theirs", world.theirs)
    await world.project(batch)
    shown = await world.shown("companies")
    row = shown[world.ours]
    assert row.pop("created_at") == row.pop("updated_at")
    assert row == {
        "id": world.ours, "name": "Órders", "settings": {}, "removed_at": None,
        "created_by": world.actor, "updated_by": world.actor, "version": 1, "position": 1,
        "name_folded": "orders",
    }  # fmt: skip
    assert shown[world.theirs]["name"] == "Theirs"
    assert await world.shown("workspaces") == {}


async def test_a_created_workspace_shows_what_it_started_with(world: World, batch: int) -> None:
    await both(world)
    await world.project(batch)
    shown = await world.shown("workspaces")
    row = shown[world.ours, SALES]
    assert row.pop("created_at") == row.pop("updated_at")
    assert row == {
        "aggregate_id": workspace_aggregate(world.ours, SALES), "company_id": world.ours,
        "id": SALES, "name": "Ours Sales", "deleted_at": None, "created_by": world.actor,
        "updated_by": world.actor, "version": 1, "position": 2, "name_folded": "ours sales",
    }  # fmt: skip
    assert shown[world.theirs, SALES]["name"] == "Theirs Sales"
    assert len(shown) == 2


async def changed(world: World, batch: int, table: str, key: Any) -> dict[str, Any]:
    """What the events not yet projected change in one row, but for when and by whom.

    Nothing else changes.
    """
    before = {name: await world.shown(name) for name in ("companies", "workspaces")}
    await world.project(batch)
    after = {name: await world.shown(name) for name in ("companies", "workspaces")}
    old, new = before[table].pop(key), after[table].pop(key)
    assert after == before
    assert new["updated_by"] == world.actor
    assert new["updated_at"] > old["updated_at"]
    assert new["version"] > old["version"]
    assert new["position"] == await world.head()
    moved = {"updated_by", "updated_at", "version", "position"}
    return {name: new[name] for name in new.keys() - moved if new[name] != old[name]}


async def test_a_change_of_a_company_shows_and_touches_nothing_else(
    world: World, batch: int
) -> None:
    await both(world)
    await world.project()
    world.actor = uuid4()
    await change(world, world.ours, name="Ärger", settings={"requireIfMatch": True})
    assert await changed(world, batch, "companies", world.ours) == {
        "name": "Ärger", "name_folded": "arger", "settings": {"requireIfMatch": True},
    }  # fmt: skip
    await change(world, world.ours, settings=None)
    assert await changed(world, batch, "companies", world.ours) == {"settings": {}}


async def test_removing_and_restoring_a_company_shows(world: World, batch: int) -> None:
    await both(world)
    await world.project()
    await world.companies.remove(world.request())
    removed = await changed(world, batch, "companies", world.ours)
    assert removed.keys() == {"removed_at"}
    assert removed["removed_at"] == (await world.shown("companies"))[world.ours]["updated_at"]
    await world.companies.restore(world.request())
    assert await changed(world, batch, "companies", world.ours) == {"removed_at": None}


async def test_a_change_of_a_workspace_shows_and_touches_not_the_other_of_its_id(
    world: World, batch: int
) -> None:
    await both(world)
    await world.project()
    world.actor, key = uuid4(), (world.ours, SALES)
    await rename(world, "Ärger", world.ours)
    assert await changed(world, batch, "workspaces", key) == {
        "name": "Ärger", "name_folded": "arger",
    }  # fmt: skip
    await world.workspaces.delete(SALES, world.request())
    deleted = await changed(world, batch, "workspaces", key)
    assert deleted.keys() == {"deleted_at"}
    assert deleted["deleted_at"] == (await world.shown("workspaces"))[key]["updated_at"]
    await world.workspaces.restore(SALES, world.request())
    assert await changed(world, batch, "workspaces", key) == {"deleted_at": None}


async def test_events_of_tables_are_passed_over(world: World, batch: int) -> None:
    await both(world)
    table = await world.create("Orders", workspaceId=SALES)
    await world.append(table, 2, "TableDef.Exploded", b"{}")
    await rename(world, "Later", world.theirs)
    await world.project(batch)
    assert await world.is_current()
    assert await world.parked() == {}
    assert (await world.shown("workspaces"))[world.theirs, SALES]["name"] == "Later"


@pytest.mark.parametrize("topic", ["Workspace.Exploded", "Workspace.Renamed"])
async def test_a_broken_event_parks_its_workspace_and_others_go_on(
    world: World, batch: int, topic: str
) -> None:
    await both(world)
    broken = workspace_aggregate(world.ours, SALES)
    position = await world.append(broken, 2, topic, {})
    await change(world, world.ours, name="Later")
    await rename(world, "Later", world.theirs)
    await world.project(batch)
    assert await world.is_current()
    assert await world.parked() == {broken: position}
    assert (await world.shown("companies"))[world.ours]["name"] == "Later"
    workspaces = await world.shown("workspaces")
    assert workspaces[world.ours, SALES]["name"] == "Ours Sales"
    assert workspaces[world.theirs, SALES]["name"] == "Later"
    await world.repair(
        position, "Workspace.Renamed", {"name": "Repaired", "workspaceId": str(SALES)}
    )
    await world.project()
    assert await world.parked() == {}
    assert (await world.shown("workspaces"))[world.ours, SALES]["name"] == "Repaired"
    assert (await check(world.conninfo)).differences == []


def time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


async def test_a_workspace_has_every_field_as_the_contract_spells_it(world: World) -> None:
    await both(world)
    await world.workspaces.delete(SALES, world.request())
    await world.project()
    row = (await world.shown("workspaces"))[world.ours, SALES]
    params = {"company_id": world.ours, "id": SALES}
    [(*found, text, position)] = await world.ask(WORKSPACE_BY_ID, params)
    assert (found, position) == ([SALES, 2, row["deleted_at"]], 5)
    assert json.loads(text) == {
        "id": str(SALES), "companyId": str(world.ours), "name": "Ours Sales",
        "createdBy": str(world.actor), "createdAt": time(row["created_at"]),
        "updatedBy": str(world.actor), "updatedAt": time(row["updated_at"]),
        "deletedAt": time(row["deleted_at"]), "version": 2,
    }  # fmt: skip
    page = WORKSPACES.params("name", "all", None, 10) | {"company_id": world.ours}
    [(items, more, *_)] = await world.ask(WORKSPACES.queries["name"], page)
    assert (json.loads(f"[{items}]"), more) == ([json.loads(text)], False)


async def test_a_company_has_every_field_as_the_contract_spells_it(world: World) -> None:
    await both(world)
    await change(world, world.theirs, settings={"requireIfMatch": True})
    await world.companies.remove(world.request())
    await world.project()
    row = (await world.shown("companies"))[world.ours]
    [(*found, text, position)] = await world.ask(COMPANY_BY_ID, {"id": world.ours})
    assert (found, position) == ([world.ours, 2, row["removed_at"]], 6)
    assert json.loads(text) == {
        "id": str(world.ours), "name": "Ours", "settings": {},
        "effectiveSettings": dict(DEFAULT_COMPANY_SETTINGS),
        "createdBy": str(world.actor), "createdAt": time(row["created_at"]),
        "updatedBy": str(world.actor), "updatedAt": time(row["updated_at"]),
        "removedAt": time(row["removed_at"]), "version": 2,
    }  # fmt: skip
    assert await world.ask(COMPANY_NAME, {"id": world.theirs}) == [("Theirs",)]
    ids = {"company_ids": [world.ours, world.theirs]}
    assert dict(await world.ask(COMPANY_SETTINGS, ids)) == {
        world.ours: {"requireIfMatch": False}, world.theirs: {"requireIfMatch": True},
    }  # fmt: skip


@pytest.mark.parametrize("sort", ["name", "-name"])
@pytest.mark.parametrize("limit", [1, 2, 5, 9])
async def test_pages_of_any_size_make_the_whole_list(world: World, sort: str, limit: int) -> None:
    for number, name in enumerate(["b", "Á", "a", "B b", "東京", "ß", "a"]):
        for company in (world.ours, world.theirs):
            await world.workspace(name, company, UUID(int=number))
            await world.register(name, uuid4())
    await world.workspaces.delete(UUID(int=1), world.request())
    await world.project()
    for listing, size in ((WORKSPACES, 7), (COMPANIES, 14)):
        found, after = list[Any](), None
        while True:
            params = listing.params(sort, "all", after, limit) | {"company_id": world.ours}
            page = Page(*(await world.ask(listing.queries[sort], params))[0])
            found += json.loads(f"[{page.items}]")
            after = page.next
            if after is None:
                break
            assert len(found) % limit == 0
        assert len({each["id"] for each in found}) == len(found) == size
        expected = sorted(found, key=lambda each: (sort_key(each["name"]), each["id"]))
        assert found == (expected[::-1] if sort.startswith("-") else expected)
