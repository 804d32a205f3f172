"""What people say of a company or a workspace when they create or change it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from domain.values import Name, merge_patch


class Said(BaseModel):
    """Strictly what is known: a typo is no setting."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class CompanySettings(Said):
    """The settings of a company as a merge patch (RFC 7396): null = not set."""

    require_if_match: bool | None = Field(
        None,
        description="Refuse every change, deletion, restoration or purge without `If-Match` (428)."
        " Default false.",
    )


class CompanyDetails(Said):
    """What a new company starts with."""

    name: Name = Field(description="What people call the company.")


class CompanyChanges(Said):
    """Any mix of changes to a company: an absent field stays, settings merge."""

    name: Name = Field("", description="What people call the company.")
    settings: CompanySettings | None = Field(None, description="A merge patch on the settings.")

    def settings_after(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings once this change is made."""
        if "settings" not in self.model_fields_set:
            return dict(settings)
        if self.settings is None:
            return {}
        patch = self.settings.model_dump(by_alias=True, exclude_unset=True)
        merged: dict[str, Any] = merge_patch(settings, patch)
        return merged


class WorkspaceDetails(Said):
    """What a workspace is called."""

    name: Name = Field(description="What people call the workspace.")


class WorkspaceChanges(Said):
    """Changes to a workspace: an absent field stays."""

    name: Name = Field("", description="What people call the workspace.")


DEFAULT_COMPANY_SETTINGS: Mapping[str, Any] = {"requireIfMatch": False}
