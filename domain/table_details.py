"""What people say of a table when they create, change or copy it: with all its limits."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from domain.values import Color, Description, Icon, Name, Settings, Slug

Facet = Literal["name", "slug", "description", "appearance", "settings", "workspaceId"]
FIELDS: Mapping[Facet, Sequence[str]] = {
    "name": ("name",),
    "slug": ("slug",),
    "description": ("description",),
    "appearance": ("icon", "color"),
    "settings": ("settings",),
    "workspaceId": ("workspace_id",),
}


class Facets(BaseModel):
    """What a table has beside its name and slug."""

    model_config = ConfigDict(
        extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )

    description: Description | None = None
    icon: Icon | None = Field(None, description="An icon name or an emoji.")
    color: Color | None = Field(None, description="Stored lower case.")
    workspace_id: UUID | None = Field(None, description="null: belongs to the whole company.")
    settings: Settings | None = Field(None, description="A merge patch on the settings.")

    def settings_patch(self) -> dict[str, Any] | None:
        """The merge patch on the settings; None = clear them all."""
        return None if self.settings is None else self.settings.patch()


class Details(Facets):
    """What a new table starts with."""

    name: Name = Field(description="What people call the table.")
    slug: Slug | None = Field(None, description="Derived from the name when absent.")


class Changes(Facets):
    """Any mix of changes to a table: an absent field stays, null clears, settings merge."""

    name: Name = Field("", description="What people call the table.")
    slug: Slug = Field("", description="What links call the table; unique in the company.")


class Copy(BaseModel):
    """What a copy has of its own: by default "X copy", in the original's workspace."""

    model_config = ConfigDict(
        extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )

    name: Name | None = None
    slug: Slug | None = None
    workspace_id: UUID | None = None
