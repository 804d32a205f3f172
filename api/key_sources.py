"""Where the keys of an identity provider come from: a file, or a URL."""

import asyncio
import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import jwt

from api.jwks import KeySet, VerifyingKey, parse, pick
from application.errors import Fault

logger = logging.getLogger(__name__)

# All in seconds.
LOOK = 1.0  # until a file is looked at again
LIFESPAN = 300.0  # until a URL is fetched again
COOLDOWN = 30.0  # after a fetch, until an unknown key may cause another
RETRY = 2.0  # after a fetch that failed
TIMEOUT = 5.0
OUTLIVE = 3600.0  # how long keys are good for when nobody can say whether they still are

Clock = Callable[[], float]


class KeysUnavailable(Fault):
    """The identity provider's keys cannot be read, and the one that is needed is not known."""


class KeySource(ABC):
    """Where keys come from, and those that were read last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: KeySet = ()
        self._read_at = -math.inf
        self._failed = False

    async def find(self, algorithm: str, id: str | None) -> VerifyingKey | None:
        """The key that a token names, or None.

        Raises:
            KeysUnavailable: it is not known, and the source cannot be asked.
        """
        key = await self._find(algorithm, id)
        if key is None and self._failed:
            raise KeysUnavailable("the identity provider's keys cannot be read")
        return key

    @abstractmethod
    async def _find(self, algorithm: str, id: str | None) -> VerifyingKey | None: ...

    def _known(self, algorithm: str, id: str | None) -> VerifyingKey | None:
        return pick(self._keys, algorithm, id) if self._age() <= OUTLIVE else None

    def _age(self) -> float:
        return self._clock() - self._read_at

    def _keep(self, keys: KeySet) -> None:
        self._keys, self._read_at, self._failed = keys, self._clock(), False

    def _fail(self, error: Exception) -> None:
        self._failed = True
        logger.warning("the identity provider's keys cannot be read: %s", error)


class KeyFile(KeySource):
    """Keys in a file, which is looked at once a second and read again when it has changed."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(clock)
        self._path = path
        self._looked_at = -math.inf
        self._version: tuple[int, ...] = ()

    async def _find(self, algorithm: str, id: str | None) -> VerifyingKey | None:
        if self._clock() - self._looked_at >= LOOK:
            self._looked_at = self._clock()
            self._look()
        return self._known(algorithm, id)

    def _look(self) -> None:
        try:
            stat = self._path.stat()
            # The inode too: what replaces a file may be as old and as long.
            version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            changed = version != self._version
            self._keep(parse(json.loads(self._path.read_bytes())) if changed else self._keys)
            self._version = version
        except (OSError, ValueError, RecursionError) as error:
            self._fail(error)


class KeyUrl(KeySource):
    """Keys at a URL, fetched every five minutes and for a key that is not known; once at a time."""

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__(clock)
        # Only its careful fetch is used: no redirects, no other schemes. Its cache would keep
        # every request waiting while the URL is down.
        self._client = jwt.PyJWKClient(
            url, cache_jwk_set=False, headers={"User-Agent": "dynamic-tables"}, timeout=TIMEOUT
        )
        self._fetched_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def _find(self, algorithm: str, id: str | None) -> VerifyingKey | None:
        if self._age() > LIFESPAN:
            await self._refresh(wait=not self._failed)
        if key := self._known(algorithm, id):
            return key
        await self._refresh(wait=True)
        return self._known(algorithm, id)

    async def _refresh(self, wait: bool) -> None:
        pause = RETRY if self._failed else COOLDOWN
        if self._fetching is None and self._clock() - self._fetched_at > pause:
            self._fetching = asyncio.create_task(self._fetch())
        if self._fetching is None or not wait:
            return
        try:
            async with asyncio.timeout(TIMEOUT):
                await asyncio.shield(self._fetching)
        except TimeoutError:  # a name that is looked up for long, an answer that comes in drops
            self._failed = True

    async def _fetch(self) -> None:
        try:
            self._keep(parse(await asyncio.to_thread(self._client.fetch_data)))
        except Exception as error:  # the network has many
            self._fail(error)
        finally:
            self._fetched_at = self._clock()
            self._fetching = None


def key_source(location: str, clock: Clock) -> KeySource:
    """The keys at a URL or in a file."""
    if "://" in location:
        return KeyUrl(location, clock)
    return KeyFile(Path(location), clock)
