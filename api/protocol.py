"""HTTP/1.1 as uvicorn speaks it, but for four things that it does not do for us.

It has no limit on what precedes a body; it drops the body of a request that offers an upgrade,
as HTTP/2 clients do, where an unknown offer is to be ignored (RFC 9110, 7.8); an application
has no way to hang up on a client that does not take its answer; and it sends the head of an answer
before its body, in a packet of its own, which costs either side as much again.
"""

import asyncio
import re
import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 64 * 1024  # bytes of request line and headers
REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)


class InPairs:
    """A transport that keeps what is written until more is, or this turn of the loop is over."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it with what was kept, or keep it for a moment."""
        if self._kept:
            kept, self._kept = self._kept, b""
            self._transport.writelines((kept, data))
        else:
            self._kept = data
            self._loop.call_soon(self.flush)

    def close(self) -> None:
        """Send what was kept, and nothing after it."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what was kept."""
        kept, self._kept = self._kept, b""
        if kept and not self._transport.is_closing():
            self._transport.write(kept)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a request whose head does not end in time, before it fills the memory."""

    _head_size = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection."""
        super().connection_made(transport)
        self.transport = InPairs(transport, self.loop)  # type: ignore[assignment]

    def eof_received(self) -> None:
        """Send what is kept before the connection is closed on our side, too."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; hang up on an endless head."""
        self._head_size += len(data)
        super().data_received(_without_upgrade(data) if self._in_head else data)
        if not self._in_head:
            self._head_size = 0
        elif self._head_size > HEAD_LIMIT and not self.transport.is_closing():
            self.transport.write(REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()
        self.scope["hang_up"] = self._hang_up  # type: ignore[typeddict-unknown-key]

    def _hang_up(self) -> None:
        """Drop the connection, with all that the system would keep for a client to take."""
        if self.transport.is_closing():
            return
        link = self.transport.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def on_headers_complete(self) -> None:
        """A head ends."""
        self._in_head = False
        if self.parser.should_upgrade():  # the offer came in pieces: better no answer than half one
            self.send_400_response("Send the request without an Upgrade header.")
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A body ends; another head may follow."""
        self._in_head, self._head_size = True, 0
        super().on_message_complete()


def _without_upgrade(data: bytes) -> bytes:
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest
