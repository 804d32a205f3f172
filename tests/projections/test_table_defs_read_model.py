"""Every event shows in the read model, whatever the batches it is projected in."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.errors import Refused
from application.feed import rfc3339
from domain.errors import DomainError
from domain.recorded import event_classes
from domain.table_def import TableDef
from domain.values import DEFAULT_SETTINGS
from projections import table_defs
from projections.check import check
from projections.rebuild import rebuild
from projections.table_def_queries import ID_BY_SLUG, IS_PURGED
from tests.conftest import sized
from tests.projections.world import PROJECTION, World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(emptied_world: World) -> World:
    return emptied_world


SLUGS = ["a", "b", "c"]
WORKSPACE = UUID(int=7)  # both companies have one of this id
COMMANDS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(SLUGS)),
    st.tuples(st.just("change"), st.fixed_dictionaries({"slug": st.sampled_from(SLUGS)})),
    st.tuples(
        st.just("change"),
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["Órders", "orders", "%_\\"]),
                "description": st.sampled_from([None, "Ä\nb"]),
                "icon": st.sampled_from([None, "🛒"]),
                "color": st.sampled_from([None, "#00ffaa"]),
                "workspaceId": st.sampled_from([None, WORKSPACE]),
                "settings": st.sampled_from(
                    [
                        None,
                        {"enableForm": True},
                        {"enableForm": None, "own": {"a": 1e300, "b": [1, None, {"c": 0.1}]}},
                        {"own": {"a": None, "b": 9007199254740991}, "x": {"": ["\u2028"]}},
                    ]
                ),
            },
        ),
    ),
    *(st.tuples(st.just(name), st.none()) for name in ("delete", "restore", "purge")),
)
HISTORIES = st.lists(st.tuples(st.integers(0, 3), COMMANDS), max_size=25)


async def act(world: World, slots: dict[int, UUID], slot: int, command: tuple[str, Any]) -> None:
    """Carry out one command on a table; the odd ones are the other company's."""
    name, argument = command
    company = world.theirs if slot % 2 else world.ours
    try:
        if name == "create":
            slots[slot] = await world.create("Table", company, slug=argument)
        elif slot in slots and name == "change":
            await world.change(slots[slot], company, **argument)
        elif slot in slots:
            await getattr(world.table_defs, name)(slots[slot], world.request(company))
    except (Refused, DomainError):
        pass


async def former_slugs(world: World) -> dict[tuple[UUID, str, int], UUID]:
    """Which table gave up a slug when, told from the events alone; purged tables had none."""
    present: dict[UUID, str] = {}
    former: dict[tuple[UUID, str, int], UUID] = {}
    for recorded in await world.store.read(0, 10_000):
        event, id = recorded.event, recorded.event.originator_id
        if isinstance(event, TableDef.SlugChanged):
            former[recorded.company_id, present[id], recorded.position] = id
        if isinstance(event, TableDef.Purged):
            former = {key: holder for key, holder in former.items() if holder != id}
        present[id] = getattr(event, "slug", present.get(id, ""))
    return former


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
    for company in (world.ours, world.theirs):
        await world.workspace(company=company, id=WORKSPACE)
    slots: dict[int, UUID] = {}
    for slot, command in history:
        await act(world, slots, slot, command)
    await world.project(batch)
    live = await world.everything_shown()
    assert await world.parked() == {}
    assert {key: row["table_id"] for key, row in live[1].items()} == await former_slugs(world)
    assert (await check(world.conninfo)).differences == []
    await rebuild(world.conninfo, PROJECTION)
    assert await world.everything_shown() == live


def test_every_event_of_a_table_has_a_handler() -> None:
    events = {c for topic, c in event_classes().items() if topic.startswith("TableDef.")}
    assert table_defs.handles._of.keys() == events


@pytest.fixture(params=[1, 500], ids=["one-by-one", "one-batch"])
def batch(request: pytest.FixtureRequest) -> int:
    return request.param


async def test_a_created_table_shows_all_that_it_started_with(world: World, batch: int) -> None:
    details = {
        "slug": "sales", "description": "Größen", "icon": "🛒", "color": "#AABBCC",
        "workspaceId": await world.workspace(),
        "settings": {"enableForm": True, "own": [1, None]},
    }  # fmt: skip
    id = await world.create("Órders", **details)
    other = await world.create("Orders", world.theirs)
    await world.project(batch)
    shown = await world.shown()
    row = shown[id]
    assert row["created_at"] == row["updated_at"]
    assert row["shown"] == {
        "id": str(id), "companyId": str(world.ours), "workspaceId": str(details["workspaceId"]),
        "name": "Órders", "slug": "sales", "description": "Größen", "icon": "🛒",
        "color": "#aabbcc", "settings": {"enableForm": True, "own": [1, None]},
        "effectiveSettings": {**DEFAULT_SETTINGS, "enableForm": True, "own": [1, None]},
        "createdBy": str(world.actor), "createdAt": rfc3339(row["created_at"]),
        "updatedBy": str(world.actor), "updatedAt": rfc3339(row["updated_at"]),
        "deletedAt": None, "version": 1,
    }  # fmt: skip
    del row["created_at"], row["updated_at"], row["shown"]
    assert row == {
        "id": id, "company_id": world.ours, "workspace_id": details["workspaceId"],
        "name": "Órders", "slug": "sales", "description": "Größen", "icon": "🛒",
        "color": "#aabbcc", "settings": {"enableForm": True, "own": [1, None]},
        "deleted_at": None, "created_by": world.actor, "updated_by": world.actor,
        "version": 1, "position": 2, "name_folded": "orders",
        "search_folded": "orders\nsales\ngroßen".replace("ß", "ss"),
    }  # fmt: skip
    assert shown[other]["company_id"] == world.theirs
    assert shown[other]["settings"] == {}


def test_other_defaults_are_another_version() -> None:
    """What answers have of a table was made when it was written: with the defaults of then."""
    assert (table_defs.TableDefsProjection.version, dict(DEFAULT_SETTINGS)) == (
        4,
        {
            "allowMultiple": True, "recordNameFormat": "", "defaultView": "grid",
            "enableComments": True, "enableAttachments": True, "enableRevisions": True,
            "enableForm": False,
        },
    )  # fmt: skip


CHANGES = [
    ({"name": "Ärger"}, {"name": "Ärger", "name_folded": "arger"}),
    ({"slug": "sales"}, {"slug": "sales"}),
    ({"description": "New"}, {"description": "New"}),
    ({"icon": "🛒", "color": "#FF0000"}, {"icon": "🛒", "color": "#ff0000"}),
    ({"workspaceId": WORKSPACE}, {"workspace_id": WORKSPACE}),
    ({"settings": {"enableForm": True}}, {"settings": {"enableForm": True}}),
]


@pytest.mark.parametrize(("changes", "expected"), CHANGES)
async def test_a_change_shows_and_touches_nothing_else(
    world: World, batch: int, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    id, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    await world.workspace(id=WORKSPACE)
    await world.project()
    before = await world.shown()
    world.actor = uuid4()
    await world.change(id, **changes)
    await world.project(batch)
    after = await world.shown()
    assert after[other] == before[other]
    changed = {c: value for c, value in after[id].items() if value != before[id][c]}
    moved = {"version": 2, "position": 4, "updated_by": world.actor}
    assert after[id]["updated_at"] > before[id]["updated_at"]
    with_it = {"updated_at", "search_folded", "shown"}
    assert changed.keys() <= expected.keys() | moved.keys() | with_it
    for column, value in (moved | expected).items():
        assert after[id][column] == value


async def test_settings_merge_patch_by_patch(world: World, batch: int) -> None:
    id = await world.create("Orders", settings={"own": {"a": 1, "b": {"c": [1]}}, "x": True})
    other = await world.create("Orders", world.theirs, settings={"own": {"a": 1}})
    await world.change(id, settings={"own": {"a": None, "b": {"d": 2}}})
    await world.change(id, settings={"own": {"b": {"c": [2, 3]}}, "x": None, "y": "z"})
    await world.project(batch)
    shown = await world.shown()
    assert shown[id]["settings"] == {"own": {"b": {"c": [2, 3], "d": 2}}, "y": "z"}
    assert shown[other]["settings"] == {"own": {"a": 1}}
    await world.change(id, settings=None)
    await world.project(batch)
    assert (await world.shown())[id]["settings"] == {}


async def test_deleting_and_restoring_shows_and_keeps_the_rest(world: World, batch: int) -> None:
    id, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    await world.project()
    before = (await world.shown())[id]
    await world.delete(id)
    await world.project(batch)
    shown = await world.shown()
    assert shown[id]["deleted_at"] == shown[id]["updated_at"] > before["updated_at"]
    assert shown[other]["deleted_at"] is None
    await world.restore(id)
    await world.project(batch)
    after = (await world.shown())[id]
    moved = {"updated_at", "version", "position", "shown"}
    assert {c for c in after if after[c] != before[c]} == moved


async def test_a_purged_table_leaves_its_id_and_nothing_else(world: World, batch: int) -> None:
    id, other = await world.create("Orders"), await world.create("Orders", world.theirs)
    await world.change(id, slug="sales")
    await world.change(other, world.theirs, slug="sales")
    await world.purge(id)
    await world.project(batch)
    assert (await world.shown()).keys() == {other}
    [(company, slug, _)] = await world.shown("former_slugs")
    assert (company, slug) == (world.theirs, "orders")
    tombstone = (await world.shown("purged_table_defs"))[id]
    assert tombstone["company_id"] == world.ours
    for table, company, expected in (
        (id, world.ours, [(tombstone["purged_at"],)]),
        (id, world.theirs, []),
        (other, world.theirs, []),
    ):
        assert await world.ask(IS_PURGED, {"id": table, "company_id": company}) == expected


async def test_the_slug_of_a_purged_table_is_free_in_the_same_batch(
    world: World, batch: int
) -> None:
    gone = await world.create("Orders", slug="orders")
    theirs = await world.create("Orders", world.theirs, slug="orders")
    await world.purge(gone)
    new = await world.create("Orders", slug="orders")
    await world.project(batch)
    shown = await world.shown()
    assert {id: row["slug"] for id, row in shown.items()} == {new: "orders", theirs: "orders"}


async def test_two_tables_swap_slugs_by_way_of_a_third(world: World, batch: int) -> None:
    one, two = await world.create("A", slug="a"), await world.create("B", slug="b")
    theirs = await world.create("A", world.theirs, slug="a")
    await world.project()
    await world.change(one, slug="spare")
    await world.change(two, slug="a")
    await world.change(one, slug="b")
    await world.project(batch)
    slugs = {id: row["slug"] for id, row in (await world.shown()).items()}
    assert slugs == {one: "b", two: "a", theirs: "a"}
    assert await world.parked() == {}


async def by_slug(world: World, slug: str, company: UUID | None = None) -> list[Any]:
    params = {"company_id": company or world.ours, "slug": slug}
    return await world.ask(ID_BY_SLUG, params)


async def test_old_slugs_lead_to_the_present_one(world: World, batch: int) -> None:
    id = await world.create("A", slug="a")
    theirs = await world.create("A", world.theirs, slug="a")
    await world.change(id, slug="b")
    await world.change(id, slug="c")
    await world.project(batch)
    assert await by_slug(world, "c") == [(id, "c", True)]
    assert await by_slug(world, "a") == await by_slug(world, "b") == [(id, "c", False)]
    assert await by_slug(world, "a", world.theirs) == [(theirs, "a", True)]
    assert await by_slug(world, "b", world.theirs) == []


async def test_whoever_holds_a_slug_now_comes_before_whoever_held_it(
    world: World, batch: int
) -> None:
    first = await world.create("A", slug="a")
    await world.change(first, slug="b")
    second = await world.create("A", slug="a")
    await world.create("A", world.theirs, slug="c")
    await world.project(batch)
    assert await by_slug(world, "a") == [(second, "a", True)]
    await world.change(second, slug="c")
    await world.project(batch)
    assert await by_slug(world, "a") == [(second, "c", False)], "who held it last"
    await world.purge(second)
    await world.project(batch)
    assert await by_slug(world, "a") == [(first, "b", False)], "of those that there are"


async def test_a_table_that_takes_its_old_slug_back_is_found_by_it(
    world: World, batch: int
) -> None:
    id = await world.create("A", slug="a")
    await world.create("A", world.theirs, slug="b")
    await world.change(id, slug="b")
    await world.change(id, slug="a")
    await world.project(batch)
    assert await by_slug(world, "a") == [(id, "a", True)]
    assert await by_slug(world, "b") == [(id, "a", False)]


async def test_old_slugs_of_a_purged_table_lead_nowhere(world: World, batch: int) -> None:
    id = await world.create("A", slug="a")
    theirs = await world.create("A", world.theirs, slug="a")
    await world.change(id, slug="b")
    await world.change(theirs, world.theirs, slug="b")
    await world.purge(id)
    await world.project(batch)
    assert await by_slug(world, "a") == await by_slug(world, "b") == []
    assert await by_slug(world, "a", world.theirs) == [(theirs, "b", False)]
