"""What can be done with a table definition: each command works, repeats harmlessly, is refused."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.base import CreatedEvent, Event, Standing, replay
from domain.company import Company
from domain.containers import workspace_aggregate
from domain.errors import DomainError, InvalidValue, NotDeleted, TableDeleted, TablePurged
from domain.recorded import event_classes
from domain.table_def import TableDef
from domain.table_details import Copy, Details
from domain.values import Name
from tests.domain.vocabulary import (
    ACTOR,
    CAUSE,
    COMPANY,
    NOON,
    OTHER_CAUSE,
    TABLE,
    WORKSPACE,
    Command,
    Given,
    because,
    change,
    context,
    new,
    parsed,
    state,
    through_bytes,
    undo_delete,
)

IN_THE_WORKSPACE = workspace_aggregate(COMPANY, WORKSPACE)
RENAMED = (TableDef.Renamed, {"name": "Sales"})
MOVED = (TableDef.MovedToWorkspace, {"workspace_id": WORKSPACE})
DESCRIBED = (TableDef.DescriptionChanged, {"description": "Everything ordered."})
DRESSED = (TableDef.AppearanceChanged, {"icon": "📦", "color": "#aabbcc"})
SET = (
    TableDef.SettingsChanged,
    {"changes": {"enableForm": True, "grid": {"rows": 5, "wide": True}}},
)
DELETED: tuple[type[Event], dict[str, Any]] = (TableDef.Deleted, {})
RESTORED: tuple[type[Event], dict[str, Any]] = (TableDef.Restored, {})
PURGED: tuple[type[Event], dict[str, Any]] = (TableDef.Purged, {})
ERASED: tuple[type[Event], dict[str, Any]] = (TableDef.Erased, {})

# One facet each: the command, and what it records on a table that was only created.
CHANGES = {
    "rename": (change(name="Sales"), RENAMED),
    "change the slug": (change(slug="sales"), (TableDef.SlugChanged, {"slug": "sales"})),
    "describe": (change(description="Everything ordered."), DESCRIBED),
    "dress": (change(icon="📦", color="#AABBCC"), DRESSED),
    "set": (change(settings={"enableForm": True, "grid": {"rows": 5, "wide": True}}), SET),
    "move": (change(workspaceId=str(WORKSPACE)), MOVED),
}
every_change = pytest.mark.parametrize(("command", "fact"), CHANGES.values(), ids=CHANGES)

# What a table with all facets says when one of them is cleared.
CLEARED = {
    "description": (TableDef.DescriptionChanged, {"description": None}),
    "icon": (TableDef.AppearanceChanged, {"icon": None, "color": "#aabbcc"}),
    "color": (TableDef.AppearanceChanged, {"icon": "📦", "color": None}),
    "settings": (TableDef.SettingsChanged, {"changes": {"enableForm": None, "grid": None}}),
    "workspaceId": (TableDef.MovedToWorkspace, {"workspace_id": None}),
}
every_facet = pytest.mark.parametrize(("field", "fact"), CLEARED.items(), ids=CLEARED)


def test_a_new_table_is_what_the_client_sent() -> None:
    table = new(
        name=" Größe ",
        description="Sizes.",
        icon="📏",
        color="#ABCDEF",
        workspaceId=str(WORKSPACE),
        settings={"defaultView": "kanban", "extra": None, "nested": {"gone": None, "kept": 1}},
    )
    assert state(table) == {
        "_id": TABLE,
        "_version": 1,
        "_created_on": NOON,
        "_modified_on": NOON,
        "company_id": COMPANY,
        "workspace_id": WORKSPACE,
        "name": "Größe",
        "slug": "orders",
        "description": "Sizes.",
        "icon": "📏",
        "color": "#abcdef",
        "settings": {"defaultView": "kanban", "nested": {"kept": 1}},
        "created_by": ACTOR,
        "updated_by": ACTOR,
        "deleted_at": None,
        "deleted_because": None,
        "purged_at": None,
        "erased_at": None,
    }
    assert [type(event) for event in table.collect()] == [TableDef.Created]


def test_a_new_table_is_refused_with_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(ValidationError) as refused:
        parsed(Details, name="", slug="No", color="red", icon="x" * 51, companyId=str(COMPANY))
    assert {(error["loc"], error["type"]) for error in refused.value.errors()} == {
        (("name",), "too-short"),
        (("slug",), "invalid-slug"),
        (("color",), "invalid-color"),
        (("icon",), "too-long"),
        (("companyId",), "extra_forbidden"),
    }


def test_a_copy_takes_nothing_but_what_is_its_own() -> None:
    with pytest.raises(ValidationError) as refused:
        parsed(Copy, settings={})
    assert [error["type"] for error in refused.value.errors()] == ["extra_forbidden"]


@every_change
def test_a_change_is_recorded(command: Command, fact: Any) -> None:
    Given().when(command).then(fact)


@every_change
def test_the_same_change_again_records_nothing(command: Command, fact: Any) -> None:
    Given(fact).when(command).then()


@every_change
def test_a_deleted_table_refuses_a_change(command: Command, fact: Any) -> None:
    error = Given(DELETED).refuses(command, TableDeleted)
    assert isinstance(error, TableDeleted)
    assert (error.id, error.deleted_at) == (TABLE, NOON + timedelta(minutes=2))


@every_change
def test_a_purged_table_refuses_a_change(command: Command, fact: Any) -> None:
    Given(DELETED, PURGED).refuses(command, TablePurged)


@every_facet
def test_null_clears_a_facet_and_leaves_the_others(field: str, fact: Any) -> None:
    Given(DESCRIBED, DRESSED, SET, MOVED).when(change(**{field: None})).then(fact)


@every_facet
def test_clearing_what_is_clear_records_nothing(field: str, fact: Any) -> None:
    Given().when(change(**{field: None})).then()


@pytest.mark.parametrize("field", ["name", "slug"])
def test_a_table_always_has_a_name_and_a_slug(field: str) -> None:
    Given().refuses(change(**{field: None}), ValidationError)
    Given().refuses(change(**{field: ""}), ValidationError)


def test_several_facets_are_several_events_of_one_command() -> None:
    everything = change(
        settings={"enableForm": True, "grid": {"rows": 5, "wide": True}},
        name="Sales",
        color="#aabbcc",
        icon="📦",
        slug="sales",
        description="Everything ordered.",
        workspaceId=str(WORKSPACE),
    )
    slug_changed = (TableDef.SlugChanged, {"slug": "sales"})
    Given().when(everything).then(RENAMED, slug_changed, DESCRIBED, MOVED, DRESSED, SET)


def test_a_change_without_fields_records_nothing() -> None:
    Given(DESCRIBED, SET).when(change()).then()


def test_renaming_leaves_the_slug_alone() -> None:
    assert Given(RENAMED).table.slug == "orders"


def test_an_empty_description_is_none() -> None:
    Given().when(change(description=" \n ")).then()
    Given(DESCRIBED).when(change(description="")).then(
        (TableDef.DescriptionChanged, {"description": None})
    )
    assert new(description="").description is None


def test_settings_merge_and_only_the_difference_is_recorded() -> None:
    patch = {"enableForm": True, "grid": {"wide": None, "rows": 5, "high": 1}, "absent": None}
    table = Given(SET).when(change(settings=patch))
    table.then((TableDef.SettingsChanged, {"changes": {"grid": {"wide": None, "high": 1}}}))
    assert table.table.settings == {"enableForm": True, "grid": {"rows": 5, "high": 1}}


def test_true_is_not_one() -> None:
    Given((TableDef.SettingsChanged, {"changes": {"x": [True]}})).when(
        change(settings={"x": [1]})
    ).then((TableDef.SettingsChanged, {"changes": {"x": [1]}}))


def test_arrays_are_replaced() -> None:
    Given((TableDef.SettingsChanged, {"changes": {"x": [1, 2]}})).when(
        change(settings={"x": [2]})
    ).then((TableDef.SettingsChanged, {"changes": {"x": [2]}}))


def test_a_further_key_spelled_like_a_known_one_in_python_is_its_own_key() -> None:
    settings = {"allowMultiple": False, "allow_multiple": 7, "patch": 1, "cls": 2, "self": 3}
    table = new(settings=settings)
    assert table.settings == settings
    change(settings={"allow_multiple": None})(table, context())
    assert table.settings == {k: v for k, v in settings.items() if k != "allow_multiple"}


def test_settings_that_would_exceed_a_limit_refuse_the_whole_change() -> None:
    full = (TableDef.SettingsChanged, {"changes": {f"k{n}": n for n in range(100)}})
    error = Given(full).refuses(change(name="Sales", settings={"one": 1}), InvalidValue)
    assert isinstance(error, InvalidValue)
    assert (error.pointer, error.code) == ("/settings", "too-many-keys")
    Given(full).when(change(settings={"one": 1, "k0": None})).then(
        (TableDef.SettingsChanged, {"changes": {"k0": None, "one": 1}})
    )


def delete(table: TableDef, context: Any) -> None:
    table.delete(context)


def restore(table: TableDef, context: Any) -> None:
    table.restore(context)


def purge(table: TableDef, context: Any) -> None:
    table.purge(context)


def erase(table: TableDef, context: Any) -> None:
    table.erase(context)


def test_erasing_a_deleted_table_purges_it_first() -> None:
    Given(DELETED).when(erase).then(PURGED, ERASED)


def test_a_purged_table_can_be_erased_once() -> None:
    Given(DELETED, PURGED).when(erase).then(ERASED)
    Given(DELETED, PURGED, ERASED).refuses(erase, TablePurged)


def test_a_live_table_refuses_to_be_erased() -> None:
    Given().refuses(erase, NotDeleted)
    Given(DELETED, RESTORED).refuses(erase, NotDeleted)


@pytest.mark.parametrize("command", [delete, restore, purge, erase, change(name="Sales")])
def test_of_an_erased_table_its_last_event_is_enough(command: Command) -> None:
    whole = Given(DELETED, PURGED, ERASED).table
    left = replay(
        [event for event in everything_that_can_happen() if event.TOPIC == ERASED[0].TOPIC]
    )
    assert left.standing == whole.standing == Standing(live=False)
    assert left.purged_at
    assert (left.id, left.company_id) == (TABLE, COMPANY)
    with pytest.raises(TablePurged):
        command(left, context())


def test_deleting_puts_a_table_aside() -> None:
    table = Given().when(delete)
    table.then(DELETED)
    assert table.table.deleted_at == NOON + timedelta(hours=1)


def test_deleting_again_records_nothing() -> None:
    Given(DELETED).when(delete).then()


def test_restoring_brings_back_exactly_what_was_there() -> None:
    before = state(Given(RENAMED, DESCRIBED, DRESSED, SET).table)
    restored = Given(RENAMED, DESCRIBED, DRESSED, SET, DELETED).when(restore)
    restored.then(RESTORED)
    assert state(restored.table) == before | {
        "_version": 7,
        "_modified_on": NOON + timedelta(hours=1),
    }


def test_restoring_a_live_table_records_nothing() -> None:
    Given().when(restore).then()
    Given(DELETED, RESTORED).when(restore).then()


def test_a_restored_table_can_be_changed() -> None:
    Given(DELETED, RESTORED).when(change(name="Sales")).then(RENAMED)


def test_a_deleted_table_can_be_purged() -> None:
    Given(DELETED).when(purge).then(PURGED)


def test_a_live_table_refuses_a_purge() -> None:
    Given().refuses(purge, NotDeleted)
    Given(DELETED, RESTORED).refuses(purge, NotDeleted)


@pytest.mark.parametrize(
    "command", [delete, because(CAUSE, delete), restore, undo_delete(CAUSE), purge]
)
def test_a_purged_table_refuses_everything(command: Command) -> None:
    Given(DELETED, PURGED).refuses(command, TablePurged)


def test_the_last_who_changed_it_is_remembered_beside_who_made_it() -> None:
    other = UUID(int=77)
    table = Given().table
    change(name="Sales")(table, context(actor_id=other))
    assert (table.created_by, table.updated_by) == (ACTOR, other)


def test_events_carry_who_why_and_from_which_request() -> None:
    table = new()
    table.collect()
    table.delete(
        context(
            actor_kind="key", command="delete", causation_id=CAUSE, traceparent="00-1", reason="old"
        )
    )
    metadata = table.collect()[0].metadata
    assert metadata.model_dump(exclude={"event_id"}) == {
        "company_id": COMPANY,
        "actor_id": ACTOR,
        "actor_kind": "key",
        "command": "delete",
        "request_id": "r-1",
        "correlation_id": "c-1",
        "causation_id": CAUSE,
        "traceparent": "00-1",
        "reason": "old",
    }


# Standing


def test_a_table_holds_its_slug_and_its_place_until_it_is_purged() -> None:
    assert Given().table.standing == Standing(True, "orders", COMPANY)
    assert Given(MOVED).table.standing == Standing(True, "orders", IN_THE_WORKSPACE)
    assert Given(MOVED, DELETED).table.standing == Standing(False, "orders", IN_THE_WORKSPACE)
    assert Given(MOVED, DELETED, PURGED).table.standing == Standing(live=False)


def test_a_changed_slug_and_workspace_are_the_ones_it_stands_by() -> None:
    slug_changed = (TableDef.SlugChanged, {"slug": "sales"})
    moved_out = (TableDef.MovedToWorkspace, {"workspace_id": None})
    table = Given(slug_changed, MOVED, moved_out, DELETED, RESTORED).table
    assert table.standing == Standing(True, "sales", COMPANY)


# Copies


def test_a_copy_has_everything_but_the_slug() -> None:
    original = Given(DESCRIBED, DRESSED, SET, MOVED).table
    copy = TableDef.create(UUID(int=9), original.copy(Copy()), "orders-copy", context())
    facets = ("description", "icon", "color", "settings", "workspace_id")
    assert copy.name == "Orders copy"
    assert [getattr(copy, f) for f in facets] == [getattr(original, f) for f in facets]


def test_a_copy_can_have_its_own_name_slug_and_workspace() -> None:
    own = parsed(Copy, name="Mine", slug="mine", workspaceId=None)
    details = Given(MOVED).table.copy(own)
    assert (details.name, details.slug, details.workspace_id) == ("Mine", "mine", None)


def test_copying_changes_nothing_in_the_original() -> None:
    table = Given(SET)
    table.table.copy(Copy())
    table.then()


def test_settings_that_were_stored_by_older_rules_are_copied_as_they_are() -> None:
    older = (TableDef.SettingsChanged, {"changes": {"enableForm": "sometimes", "cls": 1}})
    copy = TableDef.create(UUID(int=9), Given(older).table.copy(Copy()), "copy", context())
    assert copy.settings == {"enableForm": "sometimes", "cls": 1}


def test_what_is_not_live_cannot_be_copied() -> None:
    Given(DELETED).refuses(lambda table, _: table.copy(Copy()) and None, TableDeleted)
    Given(DELETED, PURGED).refuses(lambda table, _: table.copy(Copy()) and None, TablePurged)


@pytest.mark.parametrize("length", range(244, 251))
def test_the_name_of_a_copy_is_a_name_wherever_it_is_cut(length: int) -> None:
    name = TypeAdapter(Name).validate_python("a" * length + "👨\u200d👩 b")
    copy = Given((TableDef.Renamed, {"name": name})).table.copy(Copy())
    assert TypeAdapter(Name).validate_python(copy.name) == copy.name
    assert copy.name.startswith("a" * min(length, 250))
    assert copy.name.endswith(" copy")
    assert name.startswith(copy.name.removesuffix(" copy"))


# Replay


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 2)
    | st.sampled_from([0.1, 1e300, "é", "\u2028", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Orders", "Größe", "注文"]),
        "slug": st.sampled_from(["orders", "sales"]),
        "description": st.sampled_from([None, "", "One\nTwo"]),
        "icon": st.sampled_from([None, "📦"]),
        "color": st.sampled_from([None, "#AABBCC", "#aabbcc"]),
        "workspaceId": st.sampled_from([None, str(WORKSPACE)]),
        "settings": st.none()
        | st.dictionaries(st.sampled_from(["a", "b_c", "patch"]), VALUES, max_size=3),
    },
)
COMMANDS = st.lists(
    st.sampled_from([delete, because(CAUSE, delete), because(OTHER_CAUSE, delete)])
    | st.sampled_from([restore, undo_delete(CAUSE), undo_delete(OTHER_CAUSE), purge])
    | FIELDS.map(lambda fields: change(**fields)),
    max_size=8,
)


@settings(settings.get_profile("domain"))
@given(FIELDS, COMMANDS)
def test_any_commands_replayed_from_their_bytes_give_the_same_state(
    fields: dict[str, Any], commands: list[Command]
) -> None:
    table = new(**{**fields, "slug": "orders"})
    events = [*table.collect()]
    for command in commands:
        before = state(table)
        try:
            command(table, context())
        except DomainError:
            assert (state(table), table.collect()) == (before, [])
            continue
        events += table.collect()
    replayed = replay([through_bytes(event) for event in events])
    assert state(replayed) == state(table)
    assert [event.originator_version for event in events] == [*range(1, table.version + 1)]


@settings(settings.get_profile("domain"))
@given(FIELDS, FIELDS)
def test_any_change_done_twice_records_nothing_the_second_time(
    fields: dict[str, Any], changes: dict[str, Any]
) -> None:
    table = new(**{**fields, "slug": "orders"})
    change(**changes)(table, context())
    table.collect()
    change(**changes)(table, context())
    assert not table.collect()


@settings(settings.get_profile("domain"))
@given(VALUES.map(lambda value: {"k": value}), VALUES.map(lambda value: {"k": value}))
def test_null_is_never_stored_outside_arrays(first: dict[str, Any], second: dict[str, Any]) -> None:
    table = new(settings=first)
    change(settings=second)(table, context())
    assert not has_null(table.settings)
    assert not has_null(table.collect()[0].model_dump()["settings"])


def has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(inner is None or has_null(inner) for inner in value.values())
    return False


def test_every_event_of_the_catalogue_is_applied() -> None:
    known = {type(event) for event in everything_that_can_happen()}
    assert known == {c for c in event_classes().values() if issubclass(c, TableDef.Event)}
    assert issubclass(TableDef.Created, CreatedEvent)


def everything_that_can_happen() -> list[Event]:
    table = new()
    for command, _ in CHANGES.values():
        command(table, context())
    for last in (delete, restore, delete, purge, erase):
        last(table, context())
    return [*table.collect()]


def test_what_happened_to_something_else_is_refused() -> None:
    (event,) = Company.register("Acme", context()).collect()
    with pytest.raises(NotImplementedError):
        event.apply(new())


def test_nothing_belongs_to_a_table() -> None:
    assert not new().standing.is_container


def test_our_own_code_names_fields_as_python_does() -> None:
    for said in (Details(name="Orders", workspace_id=WORKSPACE), Copy(workspace_id=WORKSPACE)):
        assert said.workspace_id == WORKSPACE


def test_no_events_make_no_table() -> None:
    assert replay([]) is None


def test_whoever_meets_a_deleted_table_is_told_what_to_do() -> None:
    refused = Given(DELETED).refuses(change(name="Sales"), TableDeleted)
    assert str(refused) == "This table is deleted. Restore it first."
