"""Putting a table back to what it was: what is asked for, and why it may not be possible now."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.consumer_schemas import Body, Whole
from api.errors import TakenSince
from api.points import Moment
from application.earlier import Earlier
from application.errors import ContainerClosed, ContainerUnknown
from application.table_defs import SlugHeld
from domain.table_details import FIELDS, Facet


class Reversion(Body):
    """What a table is put back to: a version, or what it was at a moment."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 1, "facets": ["name", "settings"]}]}
    )

    version: Annotated[int, Whole, Field(ge=1)] | None = Field(
        None, description="A version at which it was not deleted."
    )
    as_of: Moment | None = Field(
        None, description="What it was then: what its last event recorded until then made of it."
    )
    facets: list[Facet] = Field(
        list(FIELDS), min_length=1, description="Only these; `appearance` is icon and color."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.version is None) == (self.as_of is None):
            raise PydanticCustomError("required", "give either a version or a time")
        return self

    def earlier(self) -> Earlier:
        """The version or the moment."""
        return Earlier(self.version, self.as_of)


@contextmanager
def explained() -> Iterator[None]:
    """Whatever is in the way is something of then; whoever is refused may leave it out."""
    try:
        yield
    except ContainerClosed as refused:
        if refused.container_id == refused.company_id:
            raise
        raise TakenSince(refused) from refused
    except (ContainerUnknown, SlugHeld) as refused:
        raise TakenSince(refused) from refused
