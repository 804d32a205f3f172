"""Who is calling: an API key, a token of an identity provider, or a browser that signed in."""

import contextlib
import time
from ipaddress import IPv6Network
from typing import Protocol

from api.caller import Caller, unauthenticated
from api.errors import ApiError
from api.known_keys import ApiKey, ApiKeys
from api.rate_limit import RateLimit
from api.sessions import Sessions

RECHECK = 1.0  # seconds until a credential is looked up again: how long a revoked one may live on
CACHED = 10_000  # credentials
LONGEST = 16 * 1024  # characters of a credential


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
