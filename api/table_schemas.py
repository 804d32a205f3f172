"""The shapes of requests about tables: queries and bodies, validated and documented."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.points import EXAMPLE_MOMENT, Moment, Position, digits
from api.schemas import Flag, OneQuery, Part, State
from api.views import EXAMPLE_ID
from domain.table_details import Changes, Copy, Details
from domain.values import Name, Settings, merge_patch, plain_text, settings_fault


def _id_or(word: str) -> Any:
    """An id or one word that stands for one."""

    def check(text: Any) -> Any:
        try:
            return word if text == word else UUID(text)
        except (ValueError, TypeError, AttributeError):
            message = "must be a UUID or '{word}'"
            raise PydanticCustomError("invalid-uuid", message, {"word": word}) from None

    return BeforeValidator(check)


def _one_point(query: Any) -> Any:
    """Nobody can see two points in time at once."""
    points = [query.as_of, getattr(query, "version", None), getattr(query, "as_of_position", None)]
    if sum(point is not None for point in points) > 1:
        raise PydanticCustomError("contradiction", "give one point in time")
    return query


class PastQuery(OneQuery):
    """The query of reading one table, as it is or as it was."""

    version: Annotated[int, Field(ge=1, le=999_999_999), BeforeValidator(digits)] | None = Field(
        None, description="As it was at this version.", examples=[2]
    )
    as_of: Moment | None = Field(
        None, description="As it was at this time.", examples=[EXAMPLE_MOMENT]
    )

    _one_point = model_validator(mode="after")(_one_point)


class ListQuery(Part):
    """The query of the list."""

    limit: Annotated[int, BeforeValidator(digits)] = Field(
        50, ge=1, le=200, description="The most tables on one page.", examples=[50]
    )
    cursor: str | None = Field(
        None,
        description="`nextCursor` of the page before.",
        max_length=4000,
        examples=["KD4tX0b6c2f1e"],
    )
    state: State = Field("active", description="Which tables.", examples=["active"])
    workspace_id: Annotated[UUID | Literal["none"], _id_or("none")] | None = Field(
        None, description="`none`: those of the whole company.", examples=[EXAMPLE_ID]
    )
    updated_by: Annotated[UUID | Literal["me"], _id_or("me")] | None = Field(
        None, description="Who changed them last.", examples=["me"]
    )
    q: Annotated[str, AfterValidator(plain_text)] | None = Field(
        None,
        max_length=255,
        description="Part of name, slug or description; case and accents do not matter.",
        examples=["order"],
    )
    sort: Literal["name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt"] = Field(
        "name", description="The order; `-` turns it round.", examples=["-updatedAt"]
    )
    count: Flag = Field(False, description="Also count the whole list.", examples=[True])
    as_of: Moment | None = Field(
        None, description="The list as it was at this time.", examples=[EXAMPLE_MOMENT]
    )
    as_of_position: Position | None = Field(
        None, description="The list as it was at this position.", examples=["48231"]
    )

    _one_point = model_validator(mode="after")(_one_point)


class SuggestionQuery(Part):
    """The query of a slug suggestion."""

    name: Name = Field(description="What the table would be called.", examples=["Orders"])


class NewTable(Details):
    """What a new table starts with."""

    @field_validator("settings")
    @classmethod
    def _within_limits(cls, settings: Settings | None) -> Settings | None:
        """Checked here as well, so that it is told together with all else that is wrong."""
        kept = merge_patch({}, settings.patch()) if settings else {}
        if fault := settings_fault(kept):
            raise PydanticCustomError(*fault)
        return settings

    model_config = ConfigDict(
        populate_by_name=False,
        json_schema_extra={
            "examples": [{"name": "Orders", "color": "#1a73e8", "settings": {"enableForm": True}}]
        },
    )


class TableChanges(Changes):
    """A merge patch (RFC 7396): absent = keep, null = clear."""

    model_config = ConfigDict(
        populate_by_name=False,
        json_schema_extra={
            "examples": [{"name": "Sales orders", "settings": {"defaultView": "kanban"}}]
        },
    )


class PurgeOptions(BaseModel):
    """How much is to go."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"erase": False}]}
    )

    erase: bool = Field(
        False,
        description="Also erase all that was recorded of it, in every copy: only that it was there,"
        " and who erased it and why, is kept. Needs a `Reason`.",
    )


class CopyOptions(Copy):
    """What a copy has of its own; the rest is the original's."""

    model_config = ConfigDict(
        populate_by_name=False, json_schema_extra={"examples": [{"name": "Orders 2027"}]}
    )
