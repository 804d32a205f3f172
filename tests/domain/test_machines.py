"""Whatever people do, in whatever order: an aggregate is what a much simpler model of it says."""

import json
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, field, fields, replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.base import Aggregate, Event, Standing, replay
from domain.company import Company
from domain.company_details import CompanyChanges, WorkspaceChanges
from domain.containers import container_of, workspace_aggregate
from domain.errors import (
    CompanyRemoved,
    DeletedThen,
    NotDeleted,
    TableDeleted,
    TablePurged,
    WorkspaceDeleted,
)
from domain.table_def import TableDef
from domain.table_details import FIELDS, Facet
from domain.values import diff_patch, merge_patch
from domain.workspace import Workspace
from tests.domain.test_table_def import FIELDS as TABLE_FIELDS
from tests.domain.test_table_def import VALUES
from tests.domain.vocabulary import (
    CAUSE,
    COMPANY,
    NOON,
    OTHER_CAUSE,
    WORKSPACE,
    change,
    context,
    new,
    parsed,
    state,
    through_bytes,
)

Nodes = Mapping[tuple[str, ...], str]
OBJECT = "{}"
PATCHES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)
CAUSES = st.sampled_from([None, CAUSE, OTHER_CAUSE])
SETTINGS = settings(settings.get_profile("domain"), stateful_step_count=15)


def nodes(value: Any, at: tuple[str, ...] = ()) -> Nodes:
    """A JSON object as its nodes by their paths, each as JSON: so nothing nests."""
    found: dict[tuple[str, ...], str] = {}
    for key, inner in value.items():
        found[*at, key] = OBJECT if isinstance(inner, dict) else json.dumps(inner)
        found |= nodes(inner, (*at, key)) if isinstance(inner, dict) else {}
    return found


def patched(before: Nodes, patch: Mapping[str, Any], at: tuple[str, ...] = ()) -> Nodes:
    """What a merge patch makes of them: RFC 7396 in other words."""
    after = dict(before)
    for key, value in patch.items():
        place = (*at, key)
        if not (isinstance(value, dict) and after.get(place) == OBJECT):
            after = {path: node for path, node in after.items() if path[: len(place)] != place}
        if isinstance(value, dict):
            after = dict(patched({**after, place: OBJECT}, value, place))
        elif value is not None:
            after[place] = json.dumps(value)
    return after


class MergePatches(RuleBasedStateMachine):
    """A document that is patched again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.document: dict[str, Any] = {}
        self.model: Nodes = {}

    @rule(patch=PATCHES)
    def patch(self, patch: dict[str, Any]) -> None:
        before, told = self.document, json.dumps([self.document, patch])
        self.document = merge_patch(before, patch)
        self.model = patched(self.model, patch)
        assert json.dumps([before, patch]) == told, "neither argument is changed"
        self._is_as_the_model_says()
        shortest = diff_patch(before, self.document)
        assert nodes(merge_patch(before, shortest)) == self.model
        assert diff_patch(self.document, merge_patch(self.document, patch)) == {}

    def _is_as_the_model_says(self) -> None:
        assert nodes(self.document) == self.model


class Machine(RuleBasedStateMachine):
    """An aggregate, and the events that made it so."""

    def __init__(self) -> None:
        super().__init__()
        self.aggregate: Any = None
        self.events: list[Event] = []

    def do(
        self,
        command: Callable[[Any], None],
        refusal: type[Exception] | None = None,
    ) -> bool:
        """Whether a command was carried out; if it is refused, nothing happened.

        What was copied before stays as it was.
        """
        before, twin = deepcopy(state(self.aggregate)), copy(self.aggregate)
        if refusal:
            with pytest.raises(refusal):
                command(self.aggregate)
            assert (state(self.aggregate), self.aggregate.collect()) == (before, [])
            return False
        command(self.aggregate)
        self.collect()
        assert (state(twin), twin.collect()) == (before, [])
        return True

    def collect(self) -> None:
        """Keep what was recorded."""
        self.events += self.aggregate.collect()

    @precondition(lambda self: self.aggregate is not None)
    @invariant()
    def replayed_from_its_bytes_it_is_the_same(self) -> None:
        aggregate: Aggregate = replay([through_bytes(event) for event in self.events])
        assert state(aggregate) == state(self.aggregate)
        versions = [event.originator_version for event in self.events]
        assert versions == [*range(1, self.aggregate.version + 1)]


@dataclass(frozen=True)
class Told:
    """What people know of a table."""

    name: str = ""
    slug: str = ""
    description: str | None = None
    icon: str | None = None
    color: str | None = None
    workspace_id: UUID | None = None
    settings: Nodes = field(default_factory=dict)


class Tables(Machine):
    """A table; `told` has what was known after each command, and whether it was deleted then."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[int, tuple[Told, bool]] = {}
        self.now = Told()
        self.deleted = self.purged = self.erased = False
        self.because: UUID | None = None
        self.reactions: set[UUID | None] = set()

    @property
    def refusal(self) -> type[Exception] | None:
        """Why nothing can be changed."""
        return TablePurged if self.purged else TableDeleted if self.deleted else None

    @initialize(given=TABLE_FIELDS)
    def create(self, given: dict[str, Any]) -> None:
        self.aggregate = new(**{**given, "slug": "orders"})
        self.become({"name": "Orders", **given, "slug": "orders"})
        self.collect()

    @rule(given=TABLE_FIELDS)
    def change(self, given: dict[str, Any]) -> None:
        if self.do(lambda table: change(**given)(table, context()), self.refusal):
            self.become(given)

    @rule(data=st.data(), facets=st.sets(st.sampled_from([*FIELDS])))
    def revert(self, data: st.DataObject, facets: set[Facet]) -> None:
        version = data.draw(st.sampled_from(sorted(self.told)))
        then, was_deleted = self.told[version]
        refusal = self.refusal or (DeletedThen if was_deleted else None)
        past = replay(self.events[:version])
        if self.do(lambda table: table.revert(past, facets, context()), refusal):
            names = [name for facet in facets for name in FIELDS[facet]]
            self.now = replace(self.now, **{name: getattr(then, name) for name in names})

    @rule(cause=CAUSES)
    def delete(self, cause: UUID | None) -> None:
        done = self.do(lambda t: t.delete(context(causation_id=cause)), self.gone)
        if done and not self.deleted and cause not in self.reactions:
            self.deleted, self.because = True, cause
            self.reactions |= {cause} - {None}

    @rule()
    def restore(self) -> None:
        if self.do(lambda table: table.restore(context()), self.gone):
            self.deleted = False

    @rule(causes=st.sets(CAUSES))
    def undo_delete(self, causes: set[UUID | None]) -> None:
        if self.do(lambda table: table.undo_delete(causes, context()), self.gone):
            self.deleted = self.deleted and self.because not in causes

    @precondition(lambda self: len(self.events) > 6)
    @rule()
    def purge(self) -> None:
        refusal = self.gone or (None if self.deleted else NotDeleted)
        if self.do(lambda table: table.purge(context()), refusal):
            self.purged = True

    @precondition(lambda self: len(self.events) > 6)
    @rule()
    def erase(self) -> None:
        refusal = TablePurged if self.erased else None if self.deleted else NotDeleted
        if self.do(lambda table: table.erase(context()), refusal):
            self.purged = self.erased = True

    @property
    def gone(self) -> type[Exception] | None:
        """Why it cannot even be deleted or restored."""
        return TablePurged if self.purged else None

    def become(self, given: dict[str, Any]) -> None:
        """What was known, and what was said now."""
        said = {{"workspaceId": "workspace_id"}.get(key, key): given[key] for key in given}
        if "settings" in said:
            patch = said["settings"]
            said["settings"] = {} if patch is None else patched(self.now.settings, patch)
        said["description"] = said.get("description", self.now.description) or None
        if said.get("color"):
            said["color"] = said["color"].lower()
        if said.get("workspace_id"):
            said["workspace_id"] = UUID(said["workspace_id"])
        self.now = replace(self.now, **said)

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        table: TableDef = self.aggregate
        seen = {each.name: getattr(table, each.name) for each in fields(Told)}
        assert Told(**{**seen, "settings": nodes(table.settings)}) == self.now
        lives = (table.deleted_at, table.purged_at, table.erased_at)
        assert tuple(at == NOON for at in lives) == (self.deleted, self.purged, self.erased)
        place = container_of(COMPANY, self.now.workspace_id)
        alive = Standing(not self.deleted, self.now.slug, place)
        assert table.standing == (Standing(live=False) if self.purged else alive)
        self.told.setdefault(table.version, (self.now, self.deleted))


class Workspaces(Machine):
    """A workspace."""

    @initialize()
    def create(self) -> None:
        self.aggregate = Workspace.create(WORKSPACE, "Sales", context())
        self.name, self.deleted = "Sales", False
        self.because: UUID | None = None
        self.reactions: set[UUID | None] = set()
        self.collect()

    @rule(name=st.sampled_from(["Sales", "Größe"]))
    def rename(self, name: str) -> None:
        said = parsed(WorkspaceChanges, name=name)
        refusal = WorkspaceDeleted if self.deleted else None
        if self.do(lambda workspace: workspace.change(said, context()), refusal):
            self.name = name

    @rule(cause=CAUSES)
    def delete(self, cause: UUID | None) -> None:
        self.do(lambda workspace: workspace.delete(context(causation_id=cause)))
        if not self.deleted and cause not in self.reactions:
            self.deleted, self.because = True, cause
            self.reactions |= {cause} - {None}

    @rule()
    def restore(self) -> None:
        self.do(lambda workspace: workspace.restore(context()))
        self.deleted = False

    @rule(causes=st.sets(CAUSES))
    def undo_delete(self, causes: set[UUID | None]) -> None:
        self.do(lambda workspace: workspace.undo_delete(causes, context()))
        self.deleted = self.deleted and self.because not in causes

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        assert (self.aggregate.name, self.aggregate.deleted_at == NOON) == (self.name, self.deleted)
        assert self.aggregate.standing == Standing(not self.deleted, None, COMPANY, True)
        assert self.aggregate.id == workspace_aggregate(COMPANY, WORKSPACE)


class Companies(Machine):
    """A company."""

    @initialize()
    def register(self) -> None:
        self.aggregate = Company.register("Acme", context())
        self.name, self.removed = "Acme", False
        self.settings: Nodes = {}
        self.collect()

    @rule(
        said=st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["Acme", "Größe"]),
                "settings": st.none()
                | st.fixed_dictionaries(
                    {}, optional={"requireIfMatch": st.sampled_from([None, True, False])}
                ),
            },
        )
    )
    def change(self, said: dict[str, Any]) -> None:
        changes = parsed(CompanyChanges, **said)
        refusal = CompanyRemoved if self.removed else None
        if self.do(lambda company: company.change(changes, context()), refusal):
            self.name = said.get("name", self.name)
            patch = said.get("settings", {})
            self.settings = {} if patch is None else patched(self.settings, patch)

    @rule()
    def remove(self) -> None:
        self.do(lambda company: company.remove(context()))
        self.removed = True

    @rule()
    def restore(self) -> None:
        self.do(lambda company: company.restore(context()))
        self.removed = False

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        company: Company = self.aggregate
        assert (company.name, nodes(company.settings)) == (self.name, self.settings)
        assert (company.removed_at == NOON) == self.removed
        assert company.standing == Standing(not self.removed, is_container=True)


TestMergePatches, TestTables = MergePatches.TestCase, Tables.TestCase
TestWorkspaces, TestCompanies = Workspaces.TestCase, Companies.TestCase
TestMergePatches.settings = TestTables.settings = SETTINGS
TestWorkspaces.settings = TestCompanies.settings = SETTINGS
