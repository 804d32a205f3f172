"""Posts messages to the addresses of webhooks, and to no private one unless that is allowed."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import certifi
import httpcore

from api.addresses import PrivateAddress, PublicBackend, check, resolve
from api.errors import invalid
from application.webhooks.attempts import Answer, Message
from application.webhooks.endpoints import PARTITIONS
from application.webhooks.sender import AT_ONCE
from application.webhooks.sending import Post

TIMEOUT = 15.0  # seconds for all of an attempt
KEPT = 500  # characters of an answer
CONNECTIONS = AT_ONCE * (PARTITIONS + 1)  # as many as a sender may use: nobody waits for one
PATIENCE = 3.0  # seconds to look up a name
IDLE = 5.0  # seconds for which a connection is kept


@dataclass(frozen=True)
class Outbound:
    """What this process may call: `private` addresses too, or public ones alone."""

    post: Post
    private: bool

    async def check(self, url: str) -> None:
        """Refuse what nothing would be sent to; a name that leads nowhere now may do so later.

        Raises:
            ApiError: `validation`.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            async with asyncio.timeout(PATIENCE):
                found = [] if self.private else await resolve(host, parts.port or 443)
            check(host, found)
        except (OSError, UnicodeError, TimeoutError):
            return
        except PrivateAddress as refused:
            fault = {"pointer": "/url", "code": "private-address", "detail": str(refused)}
            raise invalid([fault]) from None


@contextlib.asynccontextmanager
async def outbound(*, private: bool) -> AsyncIterator[Outbound]:
    """Connections to the addresses of webhooks."""
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(certifi.where())
    async with httpcore.AsyncConnectionPool(
        ssl_context=trusted,
        max_connections=CONNECTIONS,
        keepalive_expiry=IDLE,
        network_backend=None if private else PublicBackend(),
    ) as pool:

        async def post(message: Message) -> Answer:
            try:
                async with asyncio.timeout(TIMEOUT):
                    return await _post(pool, message)
            except TimeoutError:
                return Answer(None, f"no answer within {TIMEOUT:.0f} s")
            except PrivateAddress as refused:
                return Answer(None, str(refused))
            except Exception as error:  # whatever it is, the other side brought it about
                return Answer(None, _said(error))

        yield Outbound(post, private)


async def _post(pool: httpcore.AsyncConnectionPool, message: Message) -> Answer:
    async with pool.stream(
        "POST", message.url, headers=list(message.headers.items()), content=message.body
    ) as response:
        headers = {name.lower(): value for name, value in response.headers}
        text = b""
        async for chunk in response.aiter_stream():
            text += chunk
            if len(text) >= 4 * KEPT:  # nobody wants the rest
                break
    shown = text.decode("utf-8", "replace").replace("\0", "\ufffd")[:KEPT]
    retry_after = _seconds(headers.get(b"retry-after", b"").decode("latin-1"))
    return Answer(response.status, None, retry_after, shown)


def _seconds(retry_after: str) -> float | None:
    """The header in either of its forms (RFC 9110, 10.2.3)."""
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10:
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError, IndexError, TypeError):  # as it happens to be broken
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _said(error: Exception) -> str:
    text = str(error).replace("\0", "\ufffd")
    return f"{type(error).__name__}: {text}"[:KEPT] if text else type(error).__name__
