"""Clients of the event stream on bare sockets: they read as they like, and come back by id."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

STREAM = "/api/events/stream"


class Ended(Exception):
    """The stream was cut; what came of its last block does not count."""


class Stream:
    """One connection to the stream. Nothing is read from it but what is asked for."""

    def __init__(self, link: socket.socket) -> None:
        self.status = 0
        self._link = link
        self._raw = b""
        self._text = b""

    @classmethod
    async def open(
        cls, port: int, token: str, query: str = "", last: str = "", buffer: int = 0
    ) -> "Stream":
        """A stream whose answer has begun; `buffer`: how little its receiver takes unread."""
        link = socket.socket()
        link.setblocking(False)
        if buffer:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        stream = cls(link)
        resume = f"Last-Event-ID: {last}\r\n" if last else ""
        request = (
            f"GET {STREAM}?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            f"Accept: text/event-stream\r\n{resume}\r\n"
        )
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(link, ("127.0.0.1", port))
            await loop.sock_sendall(link, request.encode())
            head = await stream._until(b"\r\n\r\n")
        except BaseException:
            link.close()
            raise
        stream.status = int(head.split(b" ", 2)[1])
        return stream

    async def block(self) -> dict[str, str]:
        """The next block that is an event.

        Raises:
            Ended: there is none any more.
        """
        while True:
            while b"\n\n" not in self._text:
                await self._chunk()
            block, self._text = self._text.split(b"\n\n", 1)
            lines = (line.partition(": ") for line in block.decode().splitlines())
            fields = {name: value for name, _, value in lines if name}
            if "data" in fields:
                return fields

    async def text(self, mark: bytes = b"") -> bytes:
        """All that comes until it ends, or until this has come."""
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)
        with contextlib.suppress(Ended):
            async with asyncio.timeout(20):
                while not mark or mark not in self._text[-100_000:]:
                    await self._chunk()
        return self._text

    def close(self) -> None:
        self._link.close()

    async def _chunk(self) -> None:
        size = int(await self._until(b"\r\n"), 16)
        if size == 0:
            raise Ended
        self._text += (await self._exactly(size + 2))[:-2]

    async def _until(self, end: bytes) -> bytes:
        while end not in self._raw:
            await self._more()
        found, self._raw = self._raw.split(end, 1)
        return found

    async def _exactly(self, size: int) -> bytes:
        while len(self._raw) < size:
            await self._more()
        found, self._raw = self._raw[:size], self._raw[size:]
        return found

    async def _more(self) -> None:
        try:
            data = await asyncio.get_running_loop().sock_recv(self._link, 65_536)
        except OSError:
            data = b""
        if not data:
            raise Ended
        self._raw += data


@dataclass
class Browser:
    """Follows a stream as a browser does: whenever it is cut, it comes back to where it was.

    After a 503 too, as `Retry-After` asks. `refused`: the status after which it did not.
    """

    port: int
    token: str
    query: str = ""
    last: str = ""
    cuts: int = -1
    refused: int = 0
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def run(self) -> None:
        """Follow until cancelled, or refused."""
        async for block in self._blocks():
            item = json.loads(block["data"])
            assert (block["id"], block["event"]) == (item["position"], item["type"])
            self.last = block["id"]
            self.seen.append(item)

    async def has(self, count: int) -> bool:
        return len(self.seen) >= count

    async def _blocks(self) -> AsyncIterator[dict[str, str]]:
        while True:
            self.cuts += 1
            try:
                stream = await Stream.open(self.port, self.token, self.query, self.last)
            except (Ended, OSError):
                await asyncio.sleep(0.05)
                continue
            try:
                if stream.status not in (200, 503):
                    self.refused = stream.status
                    return
                while stream.status == 200:
                    yield await stream.block()
                await asyncio.sleep(0.2)
            except Ended:
                await asyncio.sleep(0.05)
            finally:
                stream.close()
