"""Putting a table back to what it was: facet by facet, by new events."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import Event, replay
from domain.errors import DeletedThen, DomainError, TableDeleted, TablePurged
from domain.table_def import TableDef
from domain.table_details import FIELDS, Facet
from tests.domain.test_table_def import (
    COMMANDS,
    DELETED,
    DESCRIBED,
    DRESSED,
    MOVED,
    PURGED,
    RENAMED,
    RESTORED,
    SET,
)
from tests.domain.test_table_def import (
    FIELDS as SAID,
)
from tests.domain.vocabulary import Command, Given, context, new, state, through_bytes

SLUG_CHANGED = (TableDef.SlugChanged, {"slug": "sales"})
EVERYTHING = (RENAMED, SLUG_CHANGED, DESCRIBED, DRESSED, SET, MOVED)
# What a table that all of it happened to records, facet by facet, to be what it was created as.
BACK = {
    "name": (TableDef.Renamed, {"name": "Orders"}),
    "slug": (TableDef.SlugChanged, {"slug": "orders"}),
    "description": (TableDef.DescriptionChanged, {"description": None}),
    "workspaceId": (TableDef.MovedToWorkspace, {"workspace_id": None}),
    "appearance": (TableDef.AppearanceChanged, {"icon": None, "color": None}),
    "settings": (TableDef.SettingsChanged, {"changes": {"enableForm": None, "grid": None}}),
}


def revert(to: TableDef, *facets: Facet) -> Command:
    return lambda table, context: table.revert(to, facets or tuple(FIELDS), context)


def facets_of(table: TableDef, *facets: str) -> dict[str, Any]:
    return {f: getattr(table, f) for facet in facets or FIELDS for f in FIELDS[facet]}


def test_every_facet_has_its_fields_and_there_is_none_that_has_no_name() -> None:
    assert set(FIELDS) == set(get_args(Facet)) == set(BACK)
    kept = {
        "company_id", "created_by", "updated_by", "deleted_at", "deleted_because", "purged_at",
        "erased_at",
    }  # fmt: skip
    fields = {field for field in state(Given().table) if not field.startswith("_")}
    assert fields - kept == set(facets_of(Given().table))


def test_all_facets_are_put_back_by_one_event_each() -> None:
    Given(*EVERYTHING).when(revert(Given().table)).then(*BACK.values())


@pytest.mark.parametrize("facet", FIELDS)
def test_a_facet_is_put_back_alone(facet: Facet) -> None:
    table = Given(*EVERYTHING)
    before = facets_of(table.table)
    table.when(revert(Given().table, facet)).then(BACK[facet])
    assert facets_of(table.table) == before | facets_of(Given().table, facet)


@pytest.mark.parametrize("facet", FIELDS)
def test_only_what_differs_is_recorded(facet: Facet) -> None:
    table = Given(*EVERYTHING)
    others: list[Facet] = [other for other in FIELDS if other != facet]
    table.when(revert(Given().table, *others))
    table.aggregate.collect()
    table.when(revert(Given().table)).then(BACK[facet])


def test_settings_are_made_equal_by_the_smallest_patch() -> None:
    patch = {"grid": {"rows": None, "deep": {"a": 1}}, "enableForm": 1, "new": [None]}
    later = (TableDef.SettingsChanged, {"changes": patch})
    back = {"new": None, "enableForm": True, "grid": {"deep": None, "rows": 5}}
    table = Given(SET, later).when(revert(Given(SET).table))
    table.then((TableDef.SettingsChanged, {"changes": back}))
    assert table.table.settings == {"enableForm": True, "grid": {"rows": 5, "wide": True}}


def test_what_it_is_already_records_nothing() -> None:
    Given(*EVERYTHING).when(revert(Given(*EVERYTHING).table)).then()
    Given(RENAMED, DELETED, RESTORED).when(revert(Given(RENAMED).table)).then()


def test_values_of_older_rules_come_back_as_they_were() -> None:
    many = {f"k{n}": n for n in range(200)} | {"enableForm": "sometimes"}
    older = Given((TableDef.SettingsChanged, {"changes": many})).table
    cleared = (TableDef.SettingsChanged, {"changes": dict.fromkeys(many)})
    table = Given((TableDef.SettingsChanged, {"changes": many}), cleared).when(revert(older))
    assert table.table.settings == many


def test_a_table_that_was_deleted_then_is_nothing_to_go_back_to() -> None:
    Given(DELETED, RESTORED).refuses(revert(Given(DELETED).table), DeletedThen)


def test_what_is_not_live_is_not_put_back() -> None:
    for to in (Given(), Given(DELETED)):
        Given(RENAMED, DELETED).refuses(revert(to.table), TableDeleted)
        Given(RENAMED, DELETED, PURGED).refuses(revert(to.table), TablePurged)


@settings(settings.get_profile("domain"))
@given(SAID, COMMANDS, st.data())
def test_any_version_comes_back_facet_by_facet(
    fields: dict[str, Any], commands: list[Command], data: st.DataObject
) -> None:
    table = new(**{**fields, "slug": "orders"})
    events: list[Event] = [*table.collect()]
    for command in commands:
        try:
            command(table, context())
        except DomainError:
            continue
        events += table.collect()
    then = replay(events[: data.draw(st.integers(1, len(events)))])
    facets = data.draw(st.lists(st.sampled_from(list(FIELDS)), unique=True))
    before = facets_of(table)
    try:
        table.revert(then, facets, context())
    except DomainError:
        assert table.deleted_at or then.deleted_at
        return
    recorded = table.collect()
    wanted = before | (facets_of(then, *facets) if facets else {})
    assert facets_of(table) == facets_of(replay(events_of(events, recorded))) == wanted
    differing = [f for f in facets if facets_of(then, f) != {k: before[k] for k in FIELDS[f]}]
    assert len(recorded) == len(differing)
    table.revert(then, facets, context())
    assert not table.collect()


def events_of(before: list[Event], after: Any) -> list[Event]:
    return [through_bytes(event) for event in (*before, *after)]
