"""What belongs where, and how a member follows its container: deleted with it, and back with it."""

from typing import Any
from uuid import UUID

import pytest

from domain.containers import container_of, workspace_aggregate
from domain.table_def import TableDef
from domain.workspace import Workspace
from tests.domain.vocabulary import (
    CAUSE,
    COMPANY,
    OTHER_CAUSE,
    WORKSPACE,
    Fact,
    Given,
    GivenAggregate,
    GivenWorkspace,
    because,
    caused,
    state,
    undo_delete,
)

Member = type[GivenAggregate]
NAMED = {"workspace_id": WORKSPACE}

# What can be in a container: how it begins, and what its deletion and its restoration record.
MEMBERS = {
    "table": (Given, (TableDef.Deleted, {}), (TableDef.Restored, {})),
    "workspace": (GivenWorkspace, (Workspace.Deleted, NAMED), (Workspace.Restored, NAMED)),
}
every_member = pytest.mark.parametrize(
    ("member", "deleted", "restored"), MEMBERS.values(), ids=MEMBERS
)


def delete(member: Any, context: Any) -> None:
    member.delete(context)


# Where


def test_the_aggregate_of_a_workspace_is_for_ever() -> None:
    aggregate = workspace_aggregate(COMPANY, WORKSPACE)
    assert aggregate == UUID("a16a2fd4-fa5b-56ac-9365-39045d972b89")
    assert aggregate.version == 5


def test_two_companies_have_different_workspaces_of_one_id() -> None:
    theirs = workspace_aggregate(UUID(int=2_000_000), WORKSPACE)
    assert theirs != workspace_aggregate(COMPANY, WORKSPACE)
    assert workspace_aggregate(COMPANY, UUID(int=5)) != workspace_aggregate(COMPANY, WORKSPACE)


def test_a_table_belongs_to_its_workspace_or_else_to_the_company() -> None:
    assert container_of(COMPANY, WORKSPACE) == workspace_aggregate(COMPANY, WORKSPACE)
    assert container_of(COMPANY, None) == COMPANY


# Deleted with its container


@every_member
def test_what_is_deleted_remembers_which_event_was_the_cause(
    member: Member, deleted: Fact, restored: Fact
) -> None:
    followed = member().when(because(CAUSE, delete))
    followed.then(deleted)
    assert (followed.aggregate.deleted_because, followed.aggregate.reacted_to) == (CAUSE, {CAUSE})


@every_member
def test_what_a_person_deleted_has_no_cause(member: Member, deleted: Fact, restored: Fact) -> None:
    left = member().when(delete)
    left.then(deleted)
    assert (left.aggregate.deleted_because, left.aggregate.reacted_to) == (None, set())


@every_member
def test_a_cause_deletes_once_even_if_the_member_came_back_since(
    member: Member, deleted: Fact, restored: Fact
) -> None:
    once = caused(CAUSE, deleted)
    member(once).when(because(CAUSE, delete)).then()
    member(once, restored).when(because(CAUSE, delete)).then()
    member(once, caused(OTHER_CAUSE, restored)).when(because(OTHER_CAUSE, delete)).then()


@every_member
def test_another_cause_or_a_person_deletes_what_came_back(
    member: Member, deleted: Fact, restored: Fact
) -> None:
    back = member(caused(CAUSE, deleted), restored).when(because(OTHER_CAUSE, delete))
    back.then(deleted)
    assert back.aggregate.reacted_to == {CAUSE, OTHER_CAUSE}
    member(deleted, restored).when(delete).then(deleted)
    member(caused(CAUSE, deleted), restored).when(delete).then(deleted)


@every_member
def test_the_first_who_deleted_it_is_the_cause(
    member: Member, deleted: Fact, restored: Fact
) -> None:
    for cause, first in ((None, deleted), (CAUSE, caused(CAUSE, deleted))):
        followed = member(first).when(because(OTHER_CAUSE, delete))
        followed.then()
        assert followed.aggregate.deleted_because == cause


# And back with it


@every_member
def test_what_one_of_the_causes_deleted_comes_back_exactly_as_it_was(
    member: Member, deleted: Fact, restored: Fact
) -> None:
    before = state(member().aggregate)
    followed = member(caused(CAUSE, deleted)).when(undo_delete(OTHER_CAUSE, CAUSE))
    followed.then(restored)
    assert state(followed.aggregate) == before | {
        "_version": 3,
        "_modified_on": followed.context.occurred_at,
        "reacted_to": {CAUSE},
    }


@every_member
def test_what_something_else_deleted_stays_deleted(
    member: Member, deleted: Fact, restored: Fact
) -> None:
    member(caused(CAUSE, deleted)).when(undo_delete(OTHER_CAUSE)).then()
    member(caused(CAUSE, deleted)).when(undo_delete()).then()
    member(deleted).when(undo_delete(CAUSE)).then()


@every_member
def test_what_a_person_deleted_after_it_came_back_stays_deleted(
    member: Member, deleted: Fact, restored: Fact
) -> None:
    member(caused(CAUSE, deleted), restored, deleted).when(undo_delete(CAUSE)).then()


@every_member
def test_what_is_live_or_came_back_already_needs_no_undoing(
    member: Member, deleted: Fact, restored: Fact
) -> None:
    member().when(undo_delete(CAUSE)).then()
    member(caused(CAUSE, deleted), restored).when(undo_delete(CAUSE)).then()
