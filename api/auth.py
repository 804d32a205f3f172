"""Who is calling: an API key, a token of an identity provider, or a browser that signed in."""

import contextlib
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Network
from typing import Protocol
from uuid import UUID

import psycopg

from api.errors import ApiError
from api.rate_limit import RateLimit
from api.scopes import ROLES, granted
from api.sessions import Sessions
from application.batching import Coalescer
from application.errors import Fault
from application.event_store.session import Session
from domain.base import ActorKind

RECHECK = 1.0  # seconds until a credential is looked up again: how long a revoked one may live on
CACHED = 10_000  # credentials
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST = 16 * 1024  # characters of a credential

FIND_KEYS = """
SELECT id, company_id, role, scopes, label, secret_hash, expires_at, revoked_at, not_seen_lately,
       company_removed
  FROM access.find_keys(%s)
"""
NOTE_USE = "SELECT id, true FROM access.note_use(%s) AS id"


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


class Guests(Protocol):
    """People whom an identity provider vouches for."""

    async def admit(self, token: str) -> tuple[Caller, float]:
        """The caller of a token, and the Unix time at which it expires.

        Raises:
            ApiError: `unauthenticated`, or `forbidden` when the company is not known here.
        """


class Authenticator:
    """Tells who a credential belongs to; asks the database about each once a second.

    `failures` limits how often an address may try what does not open; `requests` how often each
    caller may come at all.
    """

    def __init__(
        self,
        keys: ApiKeys,
        sessions: Sessions,
        guests: Guests | None,
        failures: RateLimit,
        requests: RateLimit,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._guests = guests
        self._failures = failures
        self._requests = requests
        self._callers: dict[str, tuple[float, Caller]] = {}

    async def authenticate(
        self, authorization: str | None, cookie: str | None, address: str
    ) -> Caller:
        """The caller of an Authorization header or, without one, of a session's cookie.

        Raises:
            ApiError: `unauthenticated`, `forbidden`, or `rate-limited`.
        """
        credential = _credential(authorization, cookie)
        good_until, caller = self._callers.get(credential, (0.0, None))
        if caller is None or time.monotonic() >= good_until:
            if caller is None:
                self.check_address(address)
            caller = await self._counting(credential, address)
        self._requests.take(caller.actor_id)
        return caller

    async def open(self, token: str, address: str) -> ApiKey:
        """The key of somebody who signs in with it.

        Raises:
            ApiError: `unauthenticated` or `rate-limited`.
        """
        self.check_address(address)
        try:
            return await self._keys.open(token.strip()[:LONGEST])
        except ApiError:
            self.note_failure(address)
            raise

    def check_address(self, address: str) -> None:
        """Whether somebody there may try once more.

        Raises:
            ApiError: `rate-limited`.
        """
        self._failures.check(_network(address))

    def note_failure(self, address: str) -> None:
        """Somebody there brought what does not open."""
        with contextlib.suppress(ApiError):
            self._failures.take(_network(address))

    def forget(self, cookie: str) -> None:
        """Ask again who comes with this cookie."""
        self._callers.pop(_credential(None, cookie), None)

    async def _counting(self, credential: str, address: str) -> Caller:
        now = time.monotonic()
        try:
            caller, seconds = await self._check(credential)
        except ApiError as error:
            self._callers.pop(credential, None)
            if error.code == "unauthenticated":
                self.note_failure(address)
            raise
        if len(self._callers) >= CACHED:
            self._callers.clear()
        self._callers[credential] = (now + min(seconds, RECHECK), caller)
        return caller

    async def _check(self, credential: str) -> tuple[Caller, float]:
        """The caller of a credential, and the seconds for which it is good without being asked."""
        if credential.startswith("dtk_"):
            return (await self._keys.open(credential)).caller(), RECHECK
        if credential.startswith("cookie "):
            return await self._of_session(credential.removeprefix("cookie ")), RECHECK
        if self._guests is None:
            raise unauthenticated("This is not an API key.")
        caller, expires_at = await self._guests.admit(credential)
        return caller, expires_at - time.time()

    async def _of_session(self, cookie: str) -> Caller:
        found = await self._sessions.find(cookie)
        key = await self._keys.get(found.key_id) if found else None
        if found is None or key is None or not key.is_valid:
            raise unauthenticated("The session has ended. Sign in again.")
        await self._keys.note_use(key)
        return key.caller(self._sessions.csrf_token(found.id))


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret of full entropy."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def unauthenticated(detail: str) -> ApiError:
    """A 401 that says how to authenticate."""
    return ApiError(
        "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="dynamic-tables"'}
    )


def _network(address: str) -> str:
    """Who has one IPv6 address has a whole network of them (RFC 6177)."""
    if ":" not in address or "." in address:  # IPv4, perhaps written as IPv6
        return address.rpartition(":")[2]
    try:
        return str(IPv6Network((address, 64), strict=False))
    except ValueError:
        return address


def _credential(authorization: str | None, cookie: str | None) -> str:
    if not authorization:
        if cookie:
            return f"cookie {cookie}"
        raise unauthenticated("Send an API key as `Authorization: Bearer dtk_…`.")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or " " in token or len(token) > LONGEST:
        raise unauthenticated("Send `Authorization: Bearer …` with an API key.")
    return token
