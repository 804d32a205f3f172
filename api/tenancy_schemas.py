"""The shapes of requests about companies, workspaces, keys and people."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from api.points import digits
from api.schemas import Part, State
from api.scopes import CompanyRole, Scope
from domain.company_details import (
    CompanyChanges,
    CompanyDetails,
    WorkspaceChanges,
    WorkspaceDetails,
)
from domain.values import Name

LONGEST_OVERLAP = 30 * 24 * 3600  # seconds


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(populate_by_name=False, json_schema_extra={"examples": [example]})


class CursorQuery(Part):
    """The query of a list, page by page."""

    limit: Annotated[int, BeforeValidator(digits)] = Field(
        50, ge=1, le=200, description="The most items on one page.", examples=[50]
    )
    cursor: str | None = Field(
        None,
        description="`nextCursor` of the page before.",
        max_length=4000,
        examples=["KD4tX0b6c2f1e"],
    )


class PageQuery(CursorQuery):
    """The same for a list that has what is gone, too."""

    state: State = Field(
        "active", description="`deleted` are also those removed, revoked or erased.",
        examples=["active"],
    )  # fmt: skip


class NewWorkspace(WorkspaceDetails):
    """What a workspace is called."""

    model_config = _example({"name": "Sales"})


class WorkspaceChange(WorkspaceChanges):
    """A merge patch (RFC 7396): absent = keep."""

    model_config = _example({"name": "Sales and marketing"})


class NewCompany(CompanyDetails):
    """What a new company is called."""

    model_config = _example({"name": "Example Ltd"})


class CompanyChange(CompanyChanges):
    """A merge patch (RFC 7396): absent = keep, null = clear."""

    model_config = _example({"settings": {"requireIfMatch": True}})


def _in_the_future(moment: datetime) -> datetime:
    if moment <= datetime.now(UTC):
        raise PydanticCustomError("past", "must be in the future")
    try:  # what Postgres can store and Python cannot read would break whoever asks for keys
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("out-of-range", "must be before the year 10000") from None


Expiry = Annotated[
    Annotated[AwareDatetime, AfterValidator(_in_the_future)] | None,
    Field(description="When it stops working; null = never.", examples=[None]),
]


class KeyPart(BaseModel):
    """What is said of a key."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class NewApiKey(KeyPart):
    """What a new key may be used for: what a role may, or just these scopes."""

    model_config = _example({"label": "Nightly import", "role": "editor"})

    label: Name = Field(description="What it is for; it is also its name in the history.")
    role: CompanyRole | None = Field(None, description="A role, or `scopes`.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20)] | None = Field(
        None, description="Just these, instead of a role's."
    )
    expires_at: Expiry = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.role is None) == (self.scopes is None):
            raise PydanticCustomError("required", "give either a role or scopes")
        return self


def whole(number: Any) -> Any:
    """JSON Schema counts 60.0 among the integers."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class Rotation(KeyPart):
    """How a key is replaced by another of the same label, role and scopes."""

    model_config = _example({"overlapSeconds": 86400})

    overlap_seconds: Annotated[int, BeforeValidator(whole)] = Field(
        86_400, ge=0, le=LONGEST_OVERLAP,
        description="How long the old key goes on working; a day by default, 30 at most.",
    )  # fmt: skip
