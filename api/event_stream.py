"""Events as a browser's `EventSource` takes them (HTML Standard, 9.2)."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.endpoint import Call
from api.errors import ApiError
from api.event_hub import CutOff
from application.errors import Fault
from application.event_feed import Rewound, Wanted
from application.feed import public_item

HEARTBEAT = 15.0  # seconds
PATIENCE = 30.0  # seconds for a client to take what was sent
FIRST, CHUNK = 20, 500  # events that are read at once: at first, and at most
PIECE = 32 * 1024  # bytes that are sent at once, about: what one who does not read may cost
SCOPES = ("events:read",)
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}


class ServerSentEvents(Response):
    """Blocks of lines, one for each event."""

    media_type = "text/event-stream"


def whole(item: dict[str, Any]) -> bytes:
    """The block of an event: all of it, under its type."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        item["position"].encode(), item["type"].encode(), to_json(item),
    )  # fmt: skip


class EventStream(ServerSentEvents):
    """What happened since a position, then what happens, until either side ends it.

    `block`: what is sent of each event. `scopes`: what the caller needs, also later.

    Each event carries its position as the id, so that a client that comes back says where it was;
    a heartbeat carries the position that was looked at, as most may not be wanted.
    """

    def __init__(
        self,
        call: Call,
        wanted: Wanted,
        after: int,
        block: Callable[[dict[str, Any]], bytes] = whole,
        scopes: Sequence[str] = SCOPES,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._call = call
        self._wanted = wanted
        self._position = after
        self._block = block
        self._scopes = scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client goes, falls behind, may no longer, or we stop."""
        self._send = send
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["asked"] == "HEAD":
            await self._pass(END)
            return
        gone = asyncio.create_task(_gone(receive))
        streaming = asyncio.create_task(self._stream())
        done, waiting = await asyncio.wait({gone, streaming}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if streaming in done:
            streaming.result()

    async def _stream(self) -> None:
        # Whatever ends it: the client comes back, and is told then what is wrong.
        with contextlib.suppress(CutOff, Rewound, Fault, ApiError, psycopg.OperationalError):
            await self._write(b": welcome\n\n")
            await self._catch_up()  # as long as it takes; what comes meanwhile is not kept for us
            await self._live()
        with contextlib.suppress(CutOff):
            await self._pass(END)

    async def _live(self) -> None:
        hub, clock = self._call.services.hub, asyncio.get_running_loop().time
        with hub.subscribed(self._wanted, self._position) as subscription:
            await self._catch_up()
            due = clock() + HEARTBEAT
            while True:
                for piece in self._pieces(await subscription.take(max(0.0, due - clock()))):
                    await self._write(piece)
                self._position = max(self._position, subscription.position)
                if clock() >= due:  # also where something happens all the time
                    await self._write(await self._heartbeat())
                    due = clock() + HEARTBEAT

    async def _catch_up(self) -> None:
        limit, behind = FIRST, True
        while behind:
            block, behind = await self._read(limit)
            await self._write(block)
            limit = max(1, min(CHUNK, limit * PIECE // max(len(block), 1)))

    async def _read(self, limit: int) -> tuple[bytes, bool]:
        """The next blocks, and whether there are more.

        Raises:
            CutOff: we are stopping.
        """
        services = self._call.services
        async with services.hub.turn():
            if services.hub.stopped:
                raise CutOff
            batch = await services.feed.read(self._wanted, self._position, limit)
        self._position = batch.position
        behind = len(batch.rows) == limit or batch.position < batch.head
        return b"".join(map(self._shown, batch.rows)), behind

    def _pieces(self, rows: Sequence[Any]) -> Iterator[bytes]:
        """What is new of these, a piece at a time."""
        piece = bytearray()
        for row in rows:
            if row[0] <= self._position:
                continue
            self._position = row[0]
            piece += self._shown(row)
            if len(piece) >= PIECE:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)

    def _shown(self, row: Sequence[Any]) -> bytes:
        return self._block(public_item(self._wanted.company_id, row))

    async def _heartbeat(self) -> bytes:
        """A sign of life, and whether the caller may still be here.

        Raises:
            ApiError: no longer.
        """
        await self._call.authenticate(self._scopes)
        return b"id: %d\n: \n\n" % self._position

    async def _write(self, block: bytes) -> None:
        if block:
            await self._pass({"type": "http.response.body", "body": block, "more_body": True})

    async def _pass(self, message: Message) -> None:
        """Send, but hang up on somebody who does not read.

        Raises:
            CutOff: that was so.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._send(message)
        except TimeoutError:
            self._call.hang_up()
            raise CutOff from None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
