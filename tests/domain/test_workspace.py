"""What can be done with a workspace: each command works, repeats harmlessly, is refused."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.base import Event, Standing, replay
from domain.company_details import WorkspaceChanges, WorkspaceDetails
from domain.containers import workspace_aggregate
from domain.errors import DomainError, WorkspaceDeleted
from domain.recorded import event_classes
from domain.workspace import Workspace
from tests.domain.vocabulary import (
    ACTOR,
    CAUSE,
    COMPANY,
    NOON,
    OTHER_CAUSE,
    WORKSPACE,
    Command,
    Fact,
    GivenWorkspace,
    because,
    context,
    parsed,
    state,
    through_bytes,
    undo_delete,
)
from tests.domain.vocabulary import new as new_table

NAMED = {"workspace_id": WORKSPACE}
RENAMED: Fact = (Workspace.Renamed, {**NAMED, "name": "Purchasing"})
DELETED: Fact = (Workspace.Deleted, NAMED)
RESTORED: Fact = (Workspace.Restored, NAMED)


def new(name: str = "Sales") -> Workspace:
    return Workspace.create(WORKSPACE, parsed(WorkspaceDetails, name=name).name, context())


def change(**fields: Any) -> Command:
    return lambda workspace, context: workspace.change(parsed(WorkspaceChanges, **fields), context)


def rename(name: str) -> Command:
    return lambda workspace, context: workspace.rename(name, context)


def delete(workspace: Workspace, context: Any) -> None:
    workspace.delete(context)


def restore(workspace: Workspace, context: Any) -> None:
    workspace.restore(context)


every_renaming = pytest.mark.parametrize(
    "command", [change(name="Purchasing"), rename("Purchasing")]
)


def test_a_new_workspace_is_what_the_client_sent() -> None:
    workspace = new(" Größe ")
    assert state(workspace) == {
        "_id": workspace_aggregate(COMPANY, WORKSPACE),
        "_version": 1,
        "_created_on": NOON,
        "_modified_on": NOON,
        "company_id": COMPANY,
        "workspace_id": WORKSPACE,
        "name": "Größe",
        "created_by": ACTOR,
        "updated_by": ACTOR,
        "deleted_at": None,
        "deleted_because": None,
    }
    assert [type(event) for event in workspace.collect()] == [Workspace.Created]


@pytest.mark.parametrize("fields", [{}, {"name": ""}, {"name": None}, {"name": "a" * 256}])
def test_a_new_workspace_without_a_proper_name_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(WorkspaceDetails, **fields)


@every_renaming
def test_a_new_name_is_recorded(command: Command) -> None:
    GivenWorkspace().when(command).then(RENAMED)


@every_renaming
def test_the_same_name_again_records_nothing(command: Command) -> None:
    GivenWorkspace(RENAMED).when(command).then()


@every_renaming
def test_a_deleted_workspace_refuses_a_new_name(command: Command) -> None:
    error = GivenWorkspace(DELETED).refuses(command, WorkspaceDeleted)
    assert isinstance(error, WorkspaceDeleted)
    assert (error.workspace_id, error.deleted_at) == (WORKSPACE, NOON + timedelta(minutes=2))
    assert str(error) == "This workspace is deleted. Restore it first."


def test_a_deleted_workspace_refuses_even_the_name_that_it_has() -> None:
    GivenWorkspace(DELETED).refuses(rename("Sales"), WorkspaceDeleted)


def test_a_change_without_fields_records_nothing_but_is_refused_all_the_same() -> None:
    GivenWorkspace(RENAMED).when(change()).then()
    GivenWorkspace(DELETED).refuses(change(), WorkspaceDeleted)


@pytest.mark.parametrize("fields", [{"name": None}, {"name": ""}, {"color": "#aabbcc"}])
def test_a_workspace_always_has_a_name_and_nothing_else(fields: dict[str, Any]) -> None:
    GivenWorkspace().refuses(change(**fields), ValidationError)


def test_deleting_puts_a_workspace_aside() -> None:
    workspace = GivenWorkspace().when(delete)
    workspace.then(DELETED)
    assert workspace.aggregate.deleted_at == NOON + timedelta(hours=1)


def test_deleting_again_records_nothing() -> None:
    GivenWorkspace(DELETED).when(delete).then()


def test_restoring_brings_back_exactly_what_was_there() -> None:
    before = state(GivenWorkspace(RENAMED).aggregate)
    restored = GivenWorkspace(RENAMED, DELETED).when(restore)
    restored.then(RESTORED)
    assert state(restored.aggregate) == before | {
        "_version": 4,
        "_modified_on": NOON + timedelta(hours=1),
    }


def test_restoring_a_live_workspace_records_nothing() -> None:
    GivenWorkspace().when(restore).then()
    GivenWorkspace(DELETED, RESTORED).when(restore).then()


def test_a_restored_workspace_can_be_renamed_and_deleted() -> None:
    GivenWorkspace(DELETED, RESTORED).when(rename("Purchasing")).then(RENAMED)
    GivenWorkspace(DELETED, RESTORED).when(delete).then(DELETED)


def test_a_workspace_belongs_to_its_company_and_has_members_while_it_is_live() -> None:
    assert GivenWorkspace().aggregate.standing == Standing(True, None, COMPANY, True)
    assert GivenWorkspace(DELETED).aggregate.standing == Standing(False, None, COMPANY, True)
    assert GivenWorkspace(DELETED, RESTORED).aggregate.standing.live


def test_the_last_who_changed_it_is_remembered_beside_who_made_it() -> None:
    other = UUID(int=77)
    workspace = GivenWorkspace().aggregate
    rename("Purchasing")(workspace, context(actor_id=other))
    assert (workspace.created_by, workspace.updated_by) == (ACTOR, other)


# Replay


COMMANDS = st.lists(
    st.sampled_from(["Sales", "Größe", "注文"]).map(rename)
    | st.sampled_from([delete, because(CAUSE, delete), because(OTHER_CAUSE, delete)])
    | st.sampled_from([restore, undo_delete(CAUSE), undo_delete(CAUSE, OTHER_CAUSE)]),
    max_size=8,
)


@settings(settings.get_profile("domain"))
@given(COMMANDS)
def test_any_commands_replayed_from_their_bytes_give_the_same_state(
    commands: list[Command],
) -> None:
    workspace = new()
    events = [*workspace.collect()]
    for command in commands:
        before = state(workspace)
        try:
            command(workspace, context())
        except DomainError:
            assert (state(workspace), workspace.collect()) == (before, [])
            continue
        events += workspace.collect()
    replayed = replay([through_bytes(event) for event in events])
    assert state(replayed) == state(workspace)
    assert [event.originator_version for event in events] == [*range(1, workspace.version + 1)]
    assert {event.workspace_id for event in events} == {WORKSPACE}  # type: ignore[attr-defined]


def test_every_event_of_the_catalogue_is_applied() -> None:
    known = {type(event) for event in everything_that_can_happen()}
    assert known == {c for c in event_classes().values() if issubclass(c, Workspace.Event)}


def everything_that_can_happen() -> list[Event]:
    workspace = new()
    for command in (rename("Purchasing"), delete, restore):
        command(workspace, context())
    return [*workspace.collect()]


def test_what_happened_to_something_else_is_refused() -> None:
    (event,) = new_table().collect()
    with pytest.raises(NotImplementedError):
        event.apply(new())
