"""The shapes of requests about what was: histories, comparisons, and points in time."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.event_schemas import Types
from api.points import Point, VersionOrMoment
from api.schemas import Part
from api.tenancy_schemas import CursorQuery
from api.views import EXAMPLE_ID
from domain.values import plain_text

Order = Literal["newest", "oldest"]


def _searchable(text: str) -> str:
    text = plain_text(text)
    if not any(character.isalnum() for character in text):
        raise PydanticCustomError("too-short", "must have at least one letter or digit")
    return text


class HistoryQuery(CursorQuery):
    """The query of a history, page by page."""

    order: Order = Field("newest", description="Which end comes first.", examples=["newest"])


class AuditQuery(HistoryQuery):
    """The query of a company's whole history."""

    actor_id: UUID | None = Field(None, description="Only by this actor.", examples=[EXAMPLE_ID])
    type: Types = None
    table_id: UUID | None = Field(None, description="Only of this table.", examples=[EXAMPLE_ID])
    from_: Point | None = Field(
        None, alias="from", description="Recorded at this time, or position, or later."
    )
    to: Point | None = Field(None, description="Recorded at this time, or position, or earlier.")
    q: Annotated[str, AfterValidator(_searchable)] | None = Field(
        None,
        max_length=255,
        description="The beginnings of words in names, slugs, reasons and what was changed; case"
        " and accents do not matter.",
        examples=["orders"],
    )


class DiffQuery(CursorQuery):
    """Between which points a company is compared, page by page."""

    from_: Point = Field(alias="from", description="A time or a position.")
    to: Point | None = Field(None, description="A later one; now, when absent.")


class TableDiffQuery(Part):
    """Between which versions or times a table is compared."""

    from_: VersionOrMoment = Field(
        alias="from", description="A version, 0 = before it came to be; or a time."
    )
    to: VersionOrMoment | None = Field(
        None, description="A later version or time; the present one, when absent."
    )
