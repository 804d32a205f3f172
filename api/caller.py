"""Whoever is calling: for which company, with which scopes, and whether from a page of ours."""

import hmac
from dataclasses import dataclass
from uuid import UUID

from api.errors import ApiError
from domain.base import ActorKind

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, with which scopes, and for which company; the platform has none.

    `csrf_token`: what a browser's writes must bring in a header; None = it is no browser.
    """

    company: UUID | None
    actor_id: UUID
    actor_kind: ActorKind
    scopes: frozenset[str]
    role: str | None = None
    csrf_token: str | None = None

    @property
    def company_id(self) -> UUID:
        """The company whose data this is about.

        Raises:
            ApiError: `forbidden`; the platform has no data.
        """
        if self.company is None:
            raise ApiError("forbidden", "The platform's keys see no company's data.")
        return self.company

    @property
    def reader(self) -> UUID:
        """Who sees what it wrote at once: all of a company; of the platform, each key."""
        return self.company or self.actor_id

    def check_scope(self, scope: str) -> None:
        """Let pass whoever has this scope.

        Raises:
            ApiError: `forbidden`.
        """
        if scope not in self.scopes:
            raise ApiError("forbidden", f"This needs the scope {scope}.", missingScope=scope)

    def check_origin(self, method: str, csrf_token: str | None) -> None:
        """Let no other site write in the name of a browser that is signed in here.

        Raises:
            ApiError: `csrf`.
        """
        if self.csrf_token is None or method in SAFE_METHODS:
            return
        if not hmac.compare_digest(self.csrf_token.encode(), (csrf_token or "").encode()):
            raise ApiError("csrf")


def unauthenticated(detail: str) -> ApiError:
    """A 401 that says how to authenticate."""
    return ApiError(
        "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="dynamic-tables"'}
    )
