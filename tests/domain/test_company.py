"""What can be done with a company: each command works, repeats harmlessly, is refused."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.base import Event, Standing, replay
from domain.company import Company
from domain.company_details import (
    DEFAULT_COMPANY_SETTINGS,
    CompanyChanges,
    CompanyDetails,
    CompanySettings,
)
from domain.errors import CompanyRemoved, DomainError
from domain.recorded import event_classes
from tests.domain.vocabulary import (
    ACTOR,
    COMPANY,
    NOON,
    Command,
    Fact,
    GivenCompany,
    context,
    parsed,
    state,
    through_bytes,
)
from tests.domain.vocabulary import new as new_table

RENAMED: Fact = (Company.Renamed, {"name": "Acme Ltd"})
SET: Fact = (Company.SettingsChanged, {"changes": {"requireIfMatch": True}})
REMOVED: Fact = (Company.Removed, {})
RESTORED: Fact = (Company.Restored, {})


def new(name: str = "Acme") -> Company:
    return Company.register(parsed(CompanyDetails, name=name).name, context())


def change(**fields: Any) -> Command:
    return lambda company, context: company.change(parsed(CompanyChanges, **fields), context)


def remove(company: Company, context: Any) -> None:
    company.remove(context)


def restore(company: Company, context: Any) -> None:
    company.restore(context)


# One facet each: the command, and what it records on a company that was only registered.
CHANGES = {
    "rename": (change(name="Acme Ltd"), RENAMED),
    "set": (change(settings={"requireIfMatch": True}), SET),
}
every_change = pytest.mark.parametrize(("command", "fact"), CHANGES.values(), ids=CHANGES)


def test_a_new_company_is_what_was_said_of_it() -> None:
    company = new(" Größe ")
    assert state(company) == {
        "_id": COMPANY,
        "_version": 1,
        "_created_on": NOON,
        "_modified_on": NOON,
        "name": "Größe",
        "settings": {},
        "created_by": ACTOR,
        "updated_by": ACTOR,
        "removed_at": None,
    }
    assert [type(event) for event in company.collect()] == [Company.Registered]


@pytest.mark.parametrize("fields", [{}, {"name": ""}, {"name": None}, {"name": "A", "id": "1"}])
def test_a_new_company_without_a_proper_name_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(CompanyDetails, **fields)


@every_change
def test_a_change_is_recorded(command: Command, fact: Fact) -> None:
    GivenCompany().when(command).then(fact)


@every_change
def test_the_same_change_again_records_nothing(command: Command, fact: Fact) -> None:
    GivenCompany(fact).when(command).then()


@every_change
def test_a_removed_company_refuses_a_change(command: Command, fact: Fact) -> None:
    error = GivenCompany(REMOVED).refuses(command, CompanyRemoved)
    assert str(error) == "This company was removed."


def test_both_facets_are_two_events_of_one_command() -> None:
    both = change(settings={"requireIfMatch": True}, name="Acme Ltd")
    GivenCompany().when(both).then(RENAMED, SET)


def test_a_change_without_fields_records_nothing_but_is_refused_all_the_same() -> None:
    GivenCompany(SET).when(change()).then()
    GivenCompany(REMOVED).refuses(change(), CompanyRemoved)


@pytest.mark.parametrize("cleared", [None, {"requireIfMatch": None}])
def test_null_clears_the_settings(cleared: Any) -> None:
    company = GivenCompany(SET).when(change(settings=cleared))
    company.then((Company.SettingsChanged, {"changes": {"requireIfMatch": None}}))
    assert company.aggregate.settings == {}
    GivenCompany().when(change(settings=cleared)).then()


def test_unless_a_company_says_otherwise_a_write_needs_no_if_match() -> None:
    assert CompanySettings.model_validate(DEFAULT_COMPANY_SETTINGS).require_if_match is False
    assert DEFAULT_COMPANY_SETTINGS.keys() == {"requireIfMatch"}


def test_settings_that_are_not_named_stay() -> None:
    older: Fact = (Company.SettingsChanged, {"changes": {"older": 1}})
    company = GivenCompany(older, SET).when(change(settings={"requireIfMatch": False}))
    company.then((Company.SettingsChanged, {"changes": {"requireIfMatch": False}}))
    assert company.aggregate.settings == {"older": 1, "requireIfMatch": False}
    GivenCompany(older, SET).when(change(settings={})).then()


@pytest.mark.parametrize(
    "fields",
    [
        {"name": None},
        {"name": ""},
        {"settings": {"requireIfmatch": True}},
        {"settings": {"requireIfMatch": 1}},
        {"settings": {"require_if_match": True}},
        {"settings": []},
    ],
)
def test_a_change_to_what_a_company_has_not_is_refused(fields: dict[str, Any]) -> None:
    GivenCompany().refuses(change(**fields), ValidationError)


def test_removing_puts_a_company_aside() -> None:
    company = GivenCompany().when(remove)
    company.then(REMOVED)
    assert company.aggregate.removed_at == NOON + timedelta(hours=1)


def test_removing_again_records_nothing() -> None:
    GivenCompany(REMOVED).when(remove).then()


def test_restoring_brings_back_exactly_what_was_there() -> None:
    before = state(GivenCompany(RENAMED, SET).aggregate)
    restored = GivenCompany(RENAMED, SET, REMOVED).when(restore)
    restored.then(RESTORED)
    assert state(restored.aggregate) == before | {
        "_version": 5,
        "_modified_on": NOON + timedelta(hours=1),
    }


def test_restoring_a_present_company_records_nothing() -> None:
    GivenCompany().when(restore).then()
    GivenCompany(REMOVED, RESTORED).when(restore).then()


def test_a_restored_company_can_be_changed_and_removed() -> None:
    GivenCompany(REMOVED, RESTORED).when(change(name="Acme Ltd")).then(RENAMED)
    GivenCompany(REMOVED, RESTORED).when(remove).then(REMOVED)


def test_a_company_belongs_to_nobody_and_has_members_while_it_is_present() -> None:
    assert GivenCompany().aggregate.standing == Standing(True, is_container=True)
    assert GivenCompany(REMOVED).aggregate.standing == Standing(False, is_container=True)
    assert GivenCompany(REMOVED, RESTORED).aggregate.standing.live


def test_the_last_who_changed_it_is_remembered_beside_who_registered_it() -> None:
    other = UUID(int=77)
    company = GivenCompany().aggregate
    company.remove(context(actor_id=other))
    assert (company.created_by, company.updated_by) == (ACTOR, other)


# Replay


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Acme", "Größe", "注文"]),
        "settings": st.sampled_from(
            [None, {}] + [{"requireIfMatch": value} for value in (None, False, True)]
        ),
    },
)
COMMANDS = st.lists(
    st.sampled_from([remove, restore]) | FIELDS.map(lambda fields: change(**fields)), max_size=8
)


@settings(settings.get_profile("domain"))
@given(COMMANDS)
def test_any_commands_replayed_from_their_bytes_give_the_same_state(
    commands: list[Command],
) -> None:
    company = new()
    events = [*company.collect()]
    for command in commands:
        before = state(company)
        try:
            command(company, context())
        except DomainError:
            assert (state(company), company.collect()) == (before, [])
            continue
        events += company.collect()
    replayed = replay([through_bytes(event) for event in events])
    assert state(replayed) == state(company)
    assert [event.originator_version for event in events] == [*range(1, company.version + 1)]


@settings(settings.get_profile("domain"))
@given(FIELDS, FIELDS)
def test_any_change_done_twice_records_nothing_the_second_time(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    company = new()
    for fields in (first, second):
        change(**fields)(company, context())
    company.collect()
    change(**second)(company, context())
    assert not company.collect()


def test_every_event_of_the_catalogue_is_applied() -> None:
    known = {type(event) for event in everything_that_can_happen()}
    assert known == {c for c in event_classes().values() if issubclass(c, Company.Event)}


def everything_that_can_happen() -> list[Event]:
    company = new()
    for command in (change(name="A", settings={"requireIfMatch": True}), remove, restore):
        command(company, context())
    return [*company.collect()]


def test_what_happened_to_something_else_is_refused() -> None:
    (event,) = new_table().collect()
    with pytest.raises(NotImplementedError):
        event.apply(new())
