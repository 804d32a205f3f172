"""The shapes of requests about what was: histories, comparisons, and points in time."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.event_schemas import Types
from api.points import EXAMPLE_MOMENT, Point, VersionOrMoment
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
        None,
        alias="from",
        description="Recorded at this time, or position, or later.",
        examples=[EXAMPLE_MOMENT],
    )
    to: Point | None = Field(
        None,
        description="Recorded at this time, or position, or earlier.",
        examples=["48231"],
    )
    q: Annotated[str, AfterValidator(_searchable)] | None = Field(
        None,
        max_length=255,
        description="The beginnings of words in names, slugs, reasons, descriptions and settings,"
        " in the first 200 words of each event; case and accents do not matter.",
        examples=["orders"],
    )

    @property
    def is_backwards(self) -> bool:
        """Whether nothing can be in the range; a time and a position cannot be compared here."""
        match self.from_, self.to:
            case (int(start), int(end)):
                return start > end
            case (datetime() as start, datetime() as end):
                return start > end
        return False


class DiffQuery(CursorQuery):
    """Between which points a company is compared, page by page."""

    from_: Point | None = Field(
        None,
        alias="from",
        description="A time or a position; the beginning, when absent.",
        examples=["0"],
    )
    to: Point | None = Field(None, description="A later one; now, when absent.", examples=["48231"])


class TableDiffQuery(Part):
    """Between which versions or times a table is compared."""

    from_: VersionOrMoment | None = Field(
        None,
        alias="from",
        description="A version, 0 = before it came to be, 1 when absent; or a time.",
        examples=["1"],
    )
    to: VersionOrMoment | None = Field(
        None,
        description="Another version or time; the present one, when absent.",
        examples=["2"],
    )
