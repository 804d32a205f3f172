"""Given events, when a command, then events: the words that every rule is told in."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel

from domain.base import Aggregate, Context, Event, replay
from domain.company import Company
from domain.containers import workspace_aggregate
from domain.recorded import decode, encode
from domain.table_def import TableDef
from domain.table_details import Changes, Details
from domain.workspace import Workspace

COMPANY, ACTOR, TABLE, WORKSPACE = (UUID(int=n) for n in range(1, 5))
CAUSE, OTHER_CAUSE = UUID(int=88), UUID(int=89)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CREATED = {"company_id": COMPANY, "name": "Orders", "slug": "orders"}
Fact = tuple[type[Event], dict[str, Any]]
Command = Callable[[Any, Context], None]
Model = TypeVar("Model", bound=BaseModel)
_ids: Iterator[int] = count(1_000)


def context(**changed: Any) -> Context:
    """Somebody of our company does something at noon, unless told otherwise."""
    usual = Context(COMPANY, ACTOR, "user", NOON, lambda: UUID(int=next(_ids)), "r-1", "c-1")
    return replace(usual, **changed)


def parsed(model: type[Model], **fields: Any) -> Model:
    """What a client's JSON means; raises pydantic's ValidationError."""
    return model.model_validate_json(json.dumps(fields))


def new(**fields: Any) -> TableDef:
    """A table that was just created from what a client sent."""
    return TableDef.create(
        TABLE, parsed(Details, **{"name": "Orders"} | fields), "orders", context()
    )


def change(**fields: Any) -> Command:
    """The command of a client that sends these fields."""
    return lambda table, context: table.change(parsed(Changes, **fields), context)


def because(cause: UUID, command: Command) -> Command:
    """The command as a consequence of another aggregate's event."""
    return lambda aggregate, context: command(aggregate, replace(context, causation_id=cause))


def caused(cause: UUID, fact: Fact) -> Fact:
    """The fact as a consequence of another aggregate's event."""
    event_class, data = fact
    return event_class, {**data, "metadata": context(causation_id=cause).metadata()}


def undo_delete(*causes: UUID) -> Command:
    """The command that brings back what one of these events deleted."""
    return lambda member, context: member.undo_delete(causes, context)


def state(aggregate: Aggregate) -> dict[str, Any]:
    """All that an aggregate is, without what is still to be collected."""
    return {key: value for key, value in vars(aggregate).items() if key != "_pending_events"}


def through_bytes(event: Event) -> Event:
    """The event as it is read back."""
    return decode(event.TOPIC, event.originator_id, event.originator_version, encode(event))


class GivenAggregate:
    """An aggregate to which these facts happened, one a minute."""

    id: ClassVar[UUID]
    beginning: ClassVar[Fact]

    def __init__(self, *facts: Fact) -> None:
        self.aggregate: Any = replay(
            [
                self._event(version, *fact)
                for version, fact in enumerate((self.beginning, *facts), 1)
            ]
        )
        self.context = context(occurred_at=NOON + timedelta(hours=1))

    def when(self, command: Command) -> Self:
        """Carry out a command."""
        command(self.aggregate, self.context)
        return self

    def then(self, *facts: Fact) -> None:
        """Exactly this was recorded."""
        envelope = Event.ENVELOPE
        recorded = [
            (type(event), {k: v for k, v in event if k not in envelope})
            for event in self.aggregate.collect()
        ]
        assert recorded == list(facts), f"recorded {recorded}"

    def refuses(self, command: Command, error: type[Exception]) -> Exception:
        """A command is refused, and nothing of it is recorded."""
        before = state(self.aggregate)
        with pytest.raises(error) as refused:
            command(self.aggregate, self.context)
        assert (state(self.aggregate), self.aggregate.collect()) == (before, [])
        return refused.value

    def _event(self, version: int, event_class: type[Event], data: dict[str, Any]) -> Event:
        usual = {"metadata": context().metadata()}
        return event_class(
            originator_id=self.id,
            originator_version=version,
            timestamp=NOON + timedelta(minutes=version),
            **usual | data,
        )


class Given(GivenAggregate):
    """A table to which these facts happened."""

    id = TABLE
    beginning = (TableDef.Created, CREATED)

    @property
    def table(self) -> TableDef:
        """What became of it."""
        table: TableDef = self.aggregate
        return table


class GivenWorkspace(GivenAggregate):
    """A workspace to which these facts happened."""

    id = workspace_aggregate(COMPANY, WORKSPACE)
    beginning = (
        Workspace.Created,
        {"company_id": COMPANY, "workspace_id": WORKSPACE, "name": "Sales"},
    )


class GivenCompany(GivenAggregate):
    """A company to which these facts happened."""

    id = COMPANY
    beginning = (Company.Registered, {"name": "Acme"})
