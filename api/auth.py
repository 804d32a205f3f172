"""Who is calling: API keys, roles and scopes."""

import contextlib
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import psycopg
from fastapi import Security
from fastapi.params import Security as SecurityParam
from fastapi.security import HTTPBearer

from api.errors import ApiError
from application.batching import Coalescer
from application.errors import Fault
from application.event_store.session import Session
from domain.base import ActorKind

Scope = Literal["tables:read", "tables:write", "tables:purge"]

SCOPES: Mapping[str, frozenset[str]] = {
    "viewer": frozenset({"tables:read"}),
    "editor": frozenset({"tables:read", "tables:write"}),
    "admin": frozenset({"tables:read", "tables:write", "tables:purge"}),
}
RECHECK = 1.0  # seconds until a key is looked up again: how long a revoked one may live on
CACHED_KEYS = 10_000

FIND_KEYS = """
SELECT id, company_id, role, secret_hash, expires_at, revoked_at,
       last_used_at IS NULL OR last_used_at < now() - interval '1 minute'
  FROM access.api_keys
 WHERE id = ANY(%s)
"""
NOTE_USE = """
UPDATE access.api_keys SET last_used_at = now()
 WHERE id = ANY(%s) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
RETURNING id, true
"""

bearer = HTTPBearer(
    bearerFormat="dtk_<id>_<secret>",
    scheme_name="apiKey",
    description="An API key, as `Authorization: Bearer dtk_…`.",
    auto_error=False,
)


def requires(scope: Scope) -> SecurityParam:
    """The dependency by which a route declares the scope that it needs."""
    security: SecurityParam = Security(bearer, scopes=[scope])
    return security


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, for which company, with which scopes."""

    company_id: UUID
    actor_id: UUID
    actor_kind: ActorKind
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key. Its secret is known to its holder alone."""

    id: UUID
    company_id: UUID
    role: str
    secret_hash: bytes
    expires_at: datetime | None
    revoked_at: datetime | None
    not_seen_lately: bool

    def admits(self, secret: str) -> bool:
        """Whether this secret opens, now."""
        known = hmac.compare_digest(hash_secret(secret), self.secret_hash)
        expired = self.expires_at is not None and self.expires_at <= datetime.now(UTC)
        return known and not expired and self.revoked_at is None


class ApiKeys:
    """The stored keys; lookups that wait share a query."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found: Coalescer[UUID, ApiKey] = Coalescer(self._fetch)
        self._used: Coalescer[UUID, bool] = Coalescer(self._note)

    async def get(self, id: UUID) -> ApiKey | None:
        """The key of this id, whatever became of it."""
        return await self._found.get(id)

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


class Authenticator:
    """Tells who a bearer token belongs to; asks the database about each key once a second."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._callers: dict[str, tuple[float, Caller]] = {}

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller of an Authorization header.

        Raises:
            ApiError: `unauthenticated`.
        """
        token = _bearer_token(authorization)
        now = time.monotonic()
        checked_at, caller = self._callers.get(token, (0.0, None))
        if caller is None or now - checked_at > RECHECK:
            caller = await self._check(token)
            self._remember(token, now, caller)
        return caller

    async def _check(self, token: str) -> Caller:
        try:
            _, id_part, secret = token.split("_", 2)
            id = UUID(hex=id_part)
        except ValueError:
            raise _unauthenticated("This is not an API key.") from None
        key = await self._keys.get(id)
        if key is None or not key.admits(secret):
            raise _unauthenticated("The API key is unknown, revoked or expired.")
        await self._keys.note_use(key)
        return Caller(key.company_id, key.id, "key", SCOPES[key.role])

    def _remember(self, token: str, now: float, caller: Caller) -> None:
        if len(self._callers) >= CACHED_KEYS:
            self._callers.clear()
        self._callers[token] = (now, caller)


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret of full entropy."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _bearer_token(authorization: str | None) -> str:
    if not authorization:
        raise _unauthenticated("Send an API key as `Authorization: Bearer dtk_…`.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.startswith("dtk_"):
        raise _unauthenticated("This is not an API key.")
    return token.strip()


def _unauthenticated(detail: str) -> ApiError:
    return ApiError(
        "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="dynamic-tables"'}
    )
