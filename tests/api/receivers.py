"""Receivers of webhooks, and others, that really listen: on this machine, for a while."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Somebody who deals so with each connection, and leaves nothing behind; their port."""
    tasks: set[asyncio.Task[None]] = set()

    async def deal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await handle(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(deal(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def telling(secret: bytes = b"secret") -> AsyncIterator[tuple[int, list[bytes]]]:
    """Somebody who answers with a secret; their port, and what they heard."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"{}"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(secret) + secret)
        await writer.drain()

    async with listening(hear) as port:
        yield port, heard


@dataclass
class Hook:
    """Where webhooks go: what came, as headers and body, and what is answered."""

    url: str = ""
    messages: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204

    def items(self) -> list[dict[str, Any]]:
        """What came, read."""
        return [json.loads(body) for _, body in self.messages]


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Hook]:
    """A receiver of webhooks that takes everything, until told to answer otherwise."""
    hook = Hook()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            pairs = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers["content-length"]))
            hook.messages.append((headers, body))
            rest = b"\r\n" if hook.status == 204 else b"content-length: 4\r\n\r\nwell"
            writer.write(b"HTTP/1.1 %d Well\r\n" % hook.status + rest)

    async with listening(take) as port:
        hook.url = f"http://127.0.0.1:{port}/hook"
        yield hook
