"""Events as a browser's `EventSource` takes them (HTML Standard, 9.2)."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.endpoint import Call
from api.errors import ApiError
from api.event_hub import CutOff
from application.errors import Fault
from application.event_feed import Wanted
from application.feed import public_item

HEARTBEAT = 15.0  # seconds
PATIENCE = 30.0  # seconds for a client to take what was sent
CHUNK = 500
SCOPES = ("events:read",)


class ServerSentEvents(Response):
    """Blocks of lines, one for each event."""

    media_type = "text/event-stream"


class EventStream(ServerSentEvents):
    """What happened since a position, then what happens, until either side ends it.

    Each event carries its position as the id, so that a client that comes back says where it was;
    a heartbeat carries the position that was looked at, as most may not be wanted.
    """

    def __init__(self, call: Call, wanted: Wanted, after: int) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._call = call
        self._wanted = wanted
        self._position = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client goes, falls behind, may no longer, or we stop."""
        self._send = send
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.create_task(_gone(receive))
        streaming = asyncio.create_task(self._stream())
        done, waiting = await asyncio.wait({gone, streaming}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if streaming in done:
            streaming.result()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self) -> None:
        try:
            await self._write(b": welcome\n\n")
            await self._catch_up()  # as long as it takes; what comes meanwhile is not kept for us
            await self._live()
        except (CutOff, Fault, TimeoutError, ApiError):
            return  # the client comes back, and is told then what is wrong

    async def _live(self) -> None:
        hub = self._call.services.hub
        with hub.subscribed(self._wanted.company_id, self._position) as subscription:
            await self._catch_up()
            while True:
                rows = await subscription.take(HEARTBEAT)
                await self._write(self._events(rows) if rows else await self._heartbeat())

    async def _catch_up(self) -> None:
        while True:
            batch = await self._call.services.feed.read(self._wanted, self._position, CHUNK)
            if batch.items:
                await self._write(b"".join(map(_block, batch.items)))
            self._position = batch.position
            if len(batch.items) < CHUNK and batch.position >= batch.head:
                return

    def _events(self, rows: Sequence[Any]) -> bytes:
        new = [row for row in rows if row[0] > self._position]
        if not new:
            return b""
        self._position = new[-1][0]
        wanted = [row for row in new if self._wanted.wants(row[3], row[1])]
        return b"".join(_block(public_item(self._wanted.company_id, row)) for row in wanted)

    async def _heartbeat(self) -> bytes:
        """A sign of life, and whether the caller may still be here.

        Raises:
            ApiError: no longer.
        """
        await self._call.authenticate(SCOPES)
        return b"id: %d\n: \n\n" % self._position

    async def _write(self, block: bytes) -> None:
        """Send, but not for ever to somebody who does not read."""
        if block:
            async with asyncio.timeout(PATIENCE):
                await self._send({"type": "http.response.body", "body": block, "more_body": True})


def _block(item: dict[str, Any]) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        item["position"].encode(), item["type"].encode(), to_json(item),
    )  # fmt: skip


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
