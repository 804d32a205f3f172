"""Browsers that signed in: a signed cookie for each session, and links that sign in once."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from itsdangerous import BadSignature, Signer

from application.batching import Coalescer
from application.event_store.session import Session

FIND = "SELECT id, key_id, expires_at FROM access.find_sessions(%s)"
BEGIN = "SELECT access.begin_session(%s, %s, %s)"
END = "SELECT access.end_session(%s)"
USE_CODE = "SELECT access.use_sign_in_code(%s)"
STORE_CODE = """
INSERT INTO access.sign_in_codes (code_hash, key_id, expires_at)
VALUES (%s, %s, now() + make_interval(mins => %s))
"""
CODE_MINUTES = 60


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A session that has not been ended."""

    id: UUID
    key_id: UUID
    expires_at: datetime


class Sessions:
    """The sessions of browsers. A cookie is the session's id and our signature."""

    def __init__(self, session: Session, secret: bytes, hours: float) -> None:
        self._session = session
        self._signer = Signer(secret, salt="session", digest_method=hashlib.sha256)
        self._secret = secret
        self._hours = hours
        self._found: Coalescer[UUID, BrowserSession] = Coalescer(self._fetch)

    async def begin(self, key_id: UUID) -> tuple[str, datetime]:
        """Begin a session with a key; its cookie, and when it expires."""
        id = UUID(bytes=secrets.token_bytes(16), version=4)
        rows = await self._session.fetch(BEGIN, (id, key_id, self._hours))
        return self._signer.sign(id.hex).decode(), rows[0][0]

    async def find(self, cookie: str) -> BrowserSession | None:
        """The session of a cookie, unless it was forged, has ended or expired."""
        id = self._read(cookie)
        found = id and await self._found.get(id)
        return found if found and found.expires_at > datetime.now(UTC) else None

    async def end(self, cookie: str) -> None:
        """End the session of a cookie, for whoever has a copy of it too."""
        if id := self._read(cookie):
            await self._session.fetch(END, (id,))

    async def use_code(self, code: str) -> UUID | None:
        """The key that a link signs in with; None if it was used before, or too late."""
        [(key_id,)] = await self._session.fetch(USE_CODE, (_hash(code),))
        return key_id if isinstance(key_id, UUID) else None

    def csrf_token(self, id: UUID) -> str:
        """What the pages of a session know, and other sites do not."""
        return hmac.digest(self._secret, b"csrf" + id.bytes, hashlib.sha256).hex()[:32]

    def _read(self, cookie: str) -> UUID | None:
        try:
            return UUID(hex=self._signer.unsign(cookie.encode("utf-8", "surrogatepass")).decode())
        except (BadSignature, ValueError):
            return None

    async def _fetch(self, ids: Sequence[UUID]) -> Mapping[UUID, BrowserSession]:
        rows = await self._session.fetch(FIND, (list(ids),))
        return {row[0]: BrowserSession(*row) for row in rows}


def new_code() -> tuple[str, bytes]:
    """A code for a link, and what is stored of it."""
    code = secrets.token_urlsafe(24)
    return code, _hash(code)


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
