"""The API keys that are stored: found by id, opened by secret; lookups that wait share a query."""

import contextlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from api.caller import Caller, unauthenticated
from api.keys import hash_secret
from api.scopes import ROLES, granted
from application.batching import Coalescer
from application.errors import Fault
from application.event_store.session import Session

FIND_KEYS = """
SELECT id, company_id, role, scopes, label, secret_hash, expires_at, revoked_at, not_seen_lately,
       company_removed
  FROM access.find_keys(%s)
"""
NOTE_USE = "SELECT id, true FROM access.note_use(%s) AS id"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key. Its secret is known to its holder alone."""

    id: UUID
    company_id: UUID | None
    role: str | None
    own_scopes: Sequence[str] | None
    label: str
    secret_hash: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    not_seen_lately: bool
    company_removed: bool

    @property
    def is_valid(self) -> bool:
        """Whether it opens anything now."""
        expired = self.expires_at is not None and self.expires_at <= datetime.now(UTC)
        return not (expired or self.revoked_at or self.company_removed)

    def admits(self, secret: str) -> bool:
        """Whether this secret opens, now."""
        return hmac.compare_digest(hash_secret(secret), self.secret_hash) and self.is_valid

    @property
    def scopes(self) -> frozenset[str]:
        """What it may be used for."""
        if self.company_id is None:
            return ROLES["platform"]
        return granted([self.role] if self.role else self.own_scopes or ())

    def caller(self, csrf_token: str | None = None) -> Caller:
        """Whoever comes with it."""
        return Caller(self.company_id, self.id, "key", self.scopes, self.role, csrf_token)


class ApiKeys:
    """The stored keys; lookups that wait share a query."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found: Coalescer[UUID, ApiKey] = Coalescer(self._fetch)
        self._used: Coalescer[UUID, bool] = Coalescer(self._note)

    async def get(self, id: UUID) -> ApiKey | None:
        """The key of this id, whatever became of it."""
        return await self._found.get(id)

    async def open(self, token: str) -> ApiKey:
        """The key that a text `dtk_<id>_<secret>` is.

        Raises:
            ApiError: `unauthenticated`.
        """
        try:
            _, id_part, secret = token.split("_", 2)
            id = UUID(hex=id_part)
        except ValueError:
            raise unauthenticated("This is not an API key.") from None
        key = await self.get(id)
        if key is None or not key.admits(secret):
            raise unauthenticated("The API key is unknown, revoked or expired.")
        await self.note_use(key)
        return key

    async def note_use(self, key: ApiKey) -> None:
        """Keep when a key was used last, to the minute; a database that only reads may refuse."""
        if key.not_seen_lately:
            with contextlib.suppress(Fault, psycopg.errors.ReadOnlySqlTransaction):
                await self._used.get(key.id)

    async def _note(self, ids: Sequence[UUID]) -> Mapping[UUID, bool]:
        return dict(await self._session.fetch(NOTE_USE, (list(ids),)))

    async def _fetch(self, ids: Sequence[UUID]) -> Mapping[UUID, ApiKey]:
        rows = await self._session.fetch(FIND_KEYS, (list(ids),))
        return {row[0]: ApiKey(*row) for row in rows}
