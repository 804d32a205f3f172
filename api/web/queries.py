"""What the addresses of pages have in common: forms make them, and people change them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Lenient(BaseModel):
    """A query in which a field that was left empty was not asked for, nor one nobody knows.

    It is the last base of its subclasses: of several configurations the last one holds.
    """

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, query: Any) -> Any:
        return {name: value for name, value in query.items() if value}
