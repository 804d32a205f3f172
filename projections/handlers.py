"""How a read model's rows change: one handler for each kind of event that it knows."""

from collections.abc import Callable
from typing import Any, TypeVar

from domain.base import Event
from domain.recorded import Recorded

Row = dict[str, Any]
E = TypeVar("E", bound=Event)
Handler = Callable[[Row, E], None]


class Handlers:
    """The handlers of one read model, and what every event changes besides."""

    def __init__(self) -> None:
        self._of: dict[type[Event], Callable[[Row, Any], None]] = {}

    def __call__(self, event_class: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Make a function the handler of one kind of event."""

        def register(handler: Handler[E]) -> Handler[E]:
            self._of[event_class] = handler
            return handler

        return register

    def know(self, recorded: Recorded) -> bool:
        """Whether this event changes a row."""
        return type(recorded.event) in self._of

    def project(self, row: Row, recorded: Recorded) -> None:
        """Change a row as one event says."""
        event = recorded.event
        self._of[type(event)](row, event)
        row["version"] = event.originator_version
        row["position"] = recorded.position
        row["updated_at"] = event.timestamp
        row["updated_by"] = event.metadata.actor_id
