"""A table definition: the container for the metadata of a table that people shape at run time."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import singledispatchmethod
from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import Field

from domain import base, values
from domain.base import Aggregate, Context, Standing
from domain.containers import container_of
from domain.errors import DeletedThen, InvalidValue, NotDeleted, TableDeleted, TablePurged
from domain.table_details import FIELDS, Changes, Copy, Details, Facet
from domain.values import Settings


class TableDef(Aggregate):
    """A table definition. Deleting it is soft; only purging it is for ever."""

    TOPIC = "TableDef"

    class Event(base.Event):
        """Something that happened to a table definition."""

    class Created(Event, base.CreatedEvent):
        """A table came to be. Version 1 kept the colour as it was typed."""

        TOPIC = "TableDef.Created"
        originator_topic: str = "TableDef"
        class_version: ClassVar[int] = 2
        company_id: UUID
        workspace_id: UUID | None = None
        name: str
        slug: str
        description: str | None = None
        icon: str | None = None
        color: str | None = None
        settings: dict[str, Any] = Field(default_factory=dict)

        @staticmethod
        def upcast_v1_v2(data: dict[str, Any]) -> None:
            """Colours became lower case."""
            if data.get("color"):
                data["color"] = data["color"].lower()

    class Renamed(Event):
        """It has another name; its slug stays."""

        TOPIC = "TableDef.Renamed"
        name: str

    class SlugChanged(Event):
        """Links call it something else; the old slug is free again."""

        TOPIC = "TableDef.SlugChanged"
        slug: str

    class DescriptionChanged(Event):
        """It is described differently, or no longer."""

        TOPIC = "TableDef.DescriptionChanged"
        description: str | None

    class AppearanceChanged(Event):
        """Its icon or colour changed."""

        TOPIC = "TableDef.AppearanceChanged"
        icon: str | None
        color: str | None

    class SettingsChanged(Event):
        """Its settings changed by this merge patch (RFC 7396)."""

        TOPIC = "TableDef.SettingsChanged"
        changes: dict[str, Any]

    class MovedToWorkspace(Event):
        """It belongs to another workspace, or to the whole company."""

        TOPIC = "TableDef.MovedToWorkspace"
        workspace_id: UUID | None

    class Deleted(Event):
        """It was put aside; everything is kept."""

        TOPIC = "TableDef.Deleted"

    class Restored(Event):
        """It is back, exactly as it was."""

        TOPIC = "TableDef.Restored"

    class Purged(Event):
        """It is gone for ever; its slug is free."""

        TOPIC = "TableDef.Purged"

    class Erased(Event, base.ErasingEvent):
        """All that was recorded of it was erased, but for what says that it was there."""

        TOPIC = "TableDef.Erased"
        originator_topic: str = "TableDef"

    # Commands

    @classmethod
    def create(cls, id: UUID, details: Details, slug: str, context: Context) -> Self:
        """Begin a table.

        Raises:
            InvalidValue: its settings exceed a limit.
        """
        return cls.begin(
            id,
            cls.Created,
            context,
            company_id=context.company_id,
            workspace_id=details.workspace_id,
            name=details.name,
            slug=slug,
            description=details.description or None,
            icon=details.icon,
            color=details.color,
            settings=_within_limits(values.merge_patch({}, details.settings_patch() or {})),
        )

    def change(self, changes: Changes, context: Context) -> None:
        """Record one event per facet that really changes.

        Raises:
            TableDeleted, TablePurged: it cannot be changed now.
            InvalidValue: its settings would exceed a limit.
        """
        self._must_be_live()
        given = changes.model_fields_set - {"settings"}
        wanted = {field: getattr(changes, field) for field in given}
        if "description" in given:
            wanted["description"] = changes.description or None
        self._become(wanted | {"settings": self._settings_after(changes)}, context)

    def revert(self, to: Self, facets: Collection[Facet], context: Context) -> None:
        """Put these facets back to what they were; `to` is this table as it was then.

        Values that were stored by older rules come back as they were.

        Raises:
            TableDeleted, TablePurged: it cannot be changed now.
            DeletedThen: there was nothing to go back to.
        """
        self._must_be_live()
        if to.deleted_at:
            raise DeletedThen
        wanted = {field: getattr(to, field) for facet in facets for field in FIELDS[facet]}
        self._become(wanted, context)

    def delete(self, context: Context) -> None:
        """Put it aside; deleting it again, or twice for the same cause, does nothing."""
        self._must_not_be_purged()
        if not self.deleted_at and context.causation_id not in self.reacted_to:
            self.record(self.Deleted, context)

    def restore(self, context: Context) -> None:
        """Bring it back; restoring a live table does nothing."""
        self._must_not_be_purged()
        if self.deleted_at:
            self.record(self.Restored, context)

    def undo_delete(self, causes: Collection[UUID], context: Context) -> None:
        """Bring it back if it was one of these events that deleted it."""
        self._must_not_be_purged()
        if self.deleted_at and self.deleted_because in causes:
            self.record(self.Restored, context)

    def purge(self, context: Context) -> None:
        """End it for ever.

        Raises:
            NotDeleted: it is live.
            TablePurged: it is gone already.
        """
        self._must_not_be_purged()
        if not self.deleted_at:
            raise NotDeleted
        self.record(self.Purged, context)

    def erase(self, context: Context) -> None:
        """End it for ever, and let go of all that was recorded of it.

        Raises:
            NotDeleted: it is live.
            TablePurged: it is erased already.
        """
        if self.erased_at:
            raise TablePurged
        if not self.purged_at:
            self.purge(context)
        self.record(self.Erased, context)

    def copy(self, own: Copy) -> Details:
        """What a copy of this table starts with.

        Raises:
            TableDeleted, TablePurged: there is nothing to copy now.
        """
        self._must_be_live()
        moved = "workspace_id" in own.model_fields_set
        return Details.model_construct(
            name=own.name or _copy_name(self.name),
            slug=own.slug,
            description=self.description,
            icon=self.icon,
            color=self.color,
            workspace_id=own.workspace_id if moved else self.workspace_id,
            settings=Settings.kept(self.settings),
        )

    def _become(self, wanted: Mapping[str, Any], context: Context) -> None:
        """Record one event per facet that differs from what is wanted; what is not named stays."""
        now = {**vars(self), **wanted}
        if now["name"] != self.name:
            self.record(self.Renamed, context, name=now["name"])
        if now["slug"] != self.slug:
            self.record(self.SlugChanged, context, slug=now["slug"])
        if now["description"] != self.description:
            self.record(self.DescriptionChanged, context, description=now["description"])
        if now["workspace_id"] != self.workspace_id:
            self.record(self.MovedToWorkspace, context, workspace_id=now["workspace_id"])
        if (now["icon"], now["color"]) != (self.icon, self.color):
            self.record(self.AppearanceChanged, context, icon=now["icon"], color=now["color"])
        if patch := values.diff_patch(self.settings, now["settings"]):
            self.record(self.SettingsChanged, context, changes=patch)

    def _settings_after(self, changes: Changes) -> dict[str, Any]:
        if "settings" not in changes.model_fields_set:
            return self.settings
        patch = changes.settings_patch()
        return _within_limits({} if patch is None else values.merge_patch(self.settings, patch))

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
        self.slug = event.slug
        self.description = event.description
        self.icon = event.icon
        self.color = event.color
        self.settings = event.settings
        self.created_by = event.metadata.actor_id
        self.deleted_at: datetime | None = None
        self.deleted_because: UUID | None = None
        self.purged_at: datetime | None = None
        self.erased_at: datetime | None = None

    @apply.register
    def _(self, event: Renamed) -> None:
        self.name = event.name

    @apply.register
    def _(self, event: SlugChanged) -> None:
        self.slug = event.slug

    @apply.register
    def _(self, event: DescriptionChanged) -> None:
        self.description = event.description

    @apply.register
    def _(self, event: AppearanceChanged) -> None:
        self.icon, self.color = event.icon, event.color

    @apply.register
    def _(self, event: SettingsChanged) -> None:
        self.settings = values.merge_patch(self.settings, event.changes)

    @apply.register
    def _(self, event: MovedToWorkspace) -> None:
        self.workspace_id = event.workspace_id

    @apply.register
    def _(self, event: Deleted) -> None:
        self.deleted_at = event.timestamp
        self.deleted_because = event.metadata.causation_id

    @apply.register
    def _(self, event: Restored) -> None:
        self.deleted_at = self.deleted_because = None

    @apply.register
    def _(self, event: Purged) -> None:
        self.purged_at = event.timestamp

    @apply.register
    def _(self, event: Erased) -> None:
        self.company_id = event.metadata.company_id
        self.purged_at = self.erased_at = event.timestamp

    @property
    def standing(self) -> Standing:
        """It holds its slug, and its place in a workspace or the company, until it is purged."""
        if self.purged_at:
            return Standing(live=False)
        container_id = container_of(self.company_id, self.workspace_id)
        return Standing(not self.deleted_at, self.slug, container_id)

    # Guards

    def _must_not_be_purged(self) -> None:
        if self.purged_at:
            raise TablePurged

    def _must_be_live(self) -> None:
        self._must_not_be_purged()
        if self.deleted_at:
            raise TableDeleted(self.id, self.deleted_at)


def _within_limits(settings: dict[str, Any]) -> dict[str, Any]:
    if fault := values.settings_fault(settings):
        raise InvalidValue("/settings", *fault)
    return settings


def _copy_name(name: str) -> str:
    return values.cut(name, values.NAME_LENGTH - len(" copy")) + " copy"
