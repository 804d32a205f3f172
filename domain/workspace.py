"""A workspace: the part of a company that a table may belong to."""

from collections.abc import Collection
from datetime import datetime
from functools import singledispatchmethod
from typing import Self
from uuid import UUID

from domain import base
from domain.base import Aggregate, Context, Standing
from domain.company_details import WorkspaceChanges
from domain.containers import workspace_aggregate
from domain.errors import WorkspaceDeleted


class Workspace(Aggregate):
    """A workspace of a company. Deleting it deletes its tables, restoring it restores those."""

    TOPIC = "Workspace"

    class Event(base.Event):
        """Something that happened to a workspace, which its company knows by this id."""

        workspace_id: UUID

    class Created(Event, base.CreatedEvent):
        """A workspace came to be."""

        TOPIC = "Workspace.Created"
        originator_topic: str = "Workspace"
        company_id: UUID
        name: str

    class Renamed(Event):
        """It has another name."""

        TOPIC = "Workspace.Renamed"
        name: str

    class Deleted(Event):
        """It was put aside; its tables follow."""

        TOPIC = "Workspace.Deleted"

    class Restored(Event):
        """It is back; the tables that were deleted with it follow."""

        TOPIC = "Workspace.Restored"

    # Commands

    @classmethod
    def create(cls, workspace_id: UUID, name: str, context: Context) -> Self:
        """Begin a workspace under an id that is the company's own business."""
        return cls.begin(
            workspace_aggregate(context.company_id, workspace_id),
            cls.Created,
            context,
            company_id=context.company_id,
            workspace_id=workspace_id,
            name=name,
        )

    def change(self, changes: WorkspaceChanges, context: Context) -> None:
        """Change what is given.

        Raises:
            WorkspaceDeleted: it cannot be changed now.
        """
        self.rename(changes.name if "name" in changes.model_fields_set else self.name, context)

    def rename(self, name: str, context: Context) -> None:
        """Give it another name.

        Raises:
            WorkspaceDeleted: it cannot be changed now.
        """
        self._must_be_live()
        if name != self.name:
            self.record(self.Renamed, context, workspace_id=self.workspace_id, name=name)

    def delete(self, context: Context) -> None:
        """Put it aside; deleting it again, or twice for the same cause, does nothing."""
        if not self.deleted_at and context.causation_id not in self.reacted_to:
            self.record(self.Deleted, context, workspace_id=self.workspace_id)

    def restore(self, context: Context) -> None:
        """Bring it back; restoring a live one does nothing."""
        if self.deleted_at:
            self.record(self.Restored, context, workspace_id=self.workspace_id)

    def undo_delete(self, causes: Collection[UUID], context: Context) -> None:
        """Bring it back if it was one of these events that deleted it."""
        if self.deleted_because in causes:
            self.restore(context)

    # Appliers

    @singledispatchmethod
    def apply(self, event: base.Event) -> None:
        """Change state as the event says."""
        raise NotImplementedError(type(event))

    @apply.register
    def _(self, event: Created) -> None:
        self.company_id = event.company_id
        self.workspace_id = event.workspace_id
        self.name = event.name
        self.created_by = event.metadata.actor_id
        self.deleted_at: datetime | None = None
        self.deleted_because: UUID | None = None

    @apply.register
    def _(self, event: Renamed) -> None:
        self.name = event.name

    @apply.register
    def _(self, event: Deleted) -> None:
        self.deleted_at = event.timestamp
        self.deleted_because = event.metadata.causation_id

    @apply.register
    def _(self, event: Restored) -> None:
        self.deleted_at = self.deleted_because = None

    @property
    def standing(self) -> Standing:
        """It belongs to its company, and tables belong to it."""
        return Standing(not self.deleted_at, None, self.company_id, is_container=True)

    # Guards

    def _must_be_live(self) -> None:
        if self.deleted_at:
            raise WorkspaceDeleted(self.workspace_id, self.deleted_at)
