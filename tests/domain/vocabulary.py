"""Given events, when a command, then events: the words that every rule of a table is told in."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel

from domain.base import Context, Event, replay
from domain.table_def import TableDef
from domain.table_details import Changes, Details

COMPANY, ACTOR, TABLE, WORKSPACE = (UUID(int=n) for n in range(1, 5))
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CREATED = {"company_id": COMPANY, "name": "Orders", "slug": "orders"}
Fact = tuple[type[Event], dict[str, Any]]
Command = Callable[[TableDef, Context], None]
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


def state(table: TableDef) -> dict[str, Any]:
    """All that a table is, without what is still to be collected."""
    return {key: value for key, value in vars(table).items() if key != "_pending_events"}


class Given:
    """A table to which these facts happened, one a minute."""

    def __init__(self, *facts: Fact) -> None:
        self.table: TableDef = replay(
            [
                _event(version, *fact)
                for version, fact in enumerate(((TableDef.Created, CREATED), *facts), 1)
            ]
        )
        self.context = context(occurred_at=NOON + timedelta(hours=1))

    def when(self, command: Command) -> "Given":
        """Carry out a command."""
        command(self.table, self.context)
        return self

    def then(self, *facts: Fact) -> None:
        """Exactly this was recorded."""
        envelope = Event.ENVELOPE
        recorded = [
            (type(event), {k: v for k, v in event if k not in envelope})
            for event in self.table.collect()
        ]
        assert recorded == list(facts), f"recorded {recorded}"

    def refuses(self, command: Command, error: type[Exception]) -> Exception:
        """A command is refused, and nothing of it is recorded."""
        before = state(self.table)
        with pytest.raises(error) as refused:
            command(self.table, self.context)
        assert (state(self.table), self.table.collect()) == (before, [])
        return refused.value


def _event(version: int, event_class: type[Event], data: dict[str, Any]) -> Event:
    at = NOON + timedelta(minutes=version)
    return event_class(
        originator_id=TABLE,
        originator_version=version,
        timestamp=at,
        metadata=context().metadata(),
        **data,
    )
