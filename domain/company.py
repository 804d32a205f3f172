"""A company: whose tables they are, and the settings that hold for all of them."""

from datetime import datetime
from functools import singledispatchmethod
from typing import Any, Self

from domain import base
from domain.base import Aggregate, Context, Standing
from domain.company_details import CompanyChanges
from domain.errors import CompanyRemoved
from domain.values import diff_patch, merge_patch


class Company(Aggregate):
    """A company. Removing it deletes what it has and locks its people out, until it is restored."""

    TOPIC = "Company"

    class Event(base.Event):
        """Something that happened to a company."""

    class Registered(Event, base.CreatedEvent):
        """A company came to be."""

        TOPIC = "Company.Registered"
        originator_topic: str = "Company"
        name: str

    class Renamed(Event):
        """It has another name."""

        TOPIC = "Company.Renamed"
        name: str

    class SettingsChanged(Event):
        """Its settings changed by this merge patch (RFC 7396)."""

        TOPIC = "Company.SettingsChanged"
        changes: dict[str, Any]

    class Removed(Event):
        """It was put aside; its workspaces, tables and credentials follow."""

        TOPIC = "Company.Removed"

    class Restored(Event):
        """It is back, with all that was deleted with it."""

        TOPIC = "Company.Restored"

    # Commands

    @classmethod
    def register(cls, name: str, context: Context) -> Self:
        """Begin the company of this context."""
        return cls.begin(context.company_id, cls.Registered, context, name=name)

    def change(self, changes: CompanyChanges, context: Context) -> None:
        """Record one event per facet that really changes.

        Raises:
            CompanyRemoved: it cannot be changed now.
        """
        self._must_not_be_removed()
        if "name" in changes.model_fields_set and changes.name != self.name:
            self.record(self.Renamed, context, name=changes.name)
        settings = changes.settings_after(self.settings)
        if patch := diff_patch(self.settings, settings):
            self.record(self.SettingsChanged, context, changes=patch)

    def remove(self, context: Context) -> None:
        """Put it aside; removing it again does nothing."""
        if not self.removed_at:
            self.record(self.Removed, context)

    def restore(self, context: Context) -> None:
        """Bring it back; restoring a present one does nothing."""
        if self.removed_at:
            self.record(self.Restored, context)

    # Appliers

    @singledispatchmethod
    def apply(self, event: base.Event) -> None:
        """Change state as the event says."""
        raise NotImplementedError(type(event))

    @apply.register
    def _(self, event: Registered) -> None:
        self.name = event.name
        self.settings: dict[str, Any] = {}
        self.created_by = event.metadata.actor_id
        self.removed_at: datetime | None = None

    @apply.register
    def _(self, event: Renamed) -> None:
        self.name = event.name

    @apply.register
    def _(self, event: SettingsChanged) -> None:
        self.settings = merge_patch(self.settings, event.changes)

    @apply.register
    def _(self, event: Removed) -> None:
        self.removed_at = event.timestamp

    @apply.register
    def _(self, event: Restored) -> None:
        self.removed_at = None

    @property
    def standing(self) -> Standing:
        """Workspaces, and tables without one, belong to it."""
        return Standing(not self.removed_at, is_container=True)

    # Guards

    def _must_not_be_removed(self) -> None:
        if self.removed_at:
            raise CompanyRemoved
