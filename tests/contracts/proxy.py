"""A network between a store and its database that breaks at the worst moment.

A proxy on a Unix socket: it passes everything on until it is told what to do to the next message.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

READY = b"Z\x00\x00\x00\x05I"  # ReadyForQuery, idle: what was asked for is done and committed
SOCKET = ".s.PGSQL.5432"


@dataclass
class Line:
    """One connection through the proxy.

    `asked`: all that the client sent; `loses_answers`: nothing comes back to it; `frozen`:
    nothing passes either way, and nobody is told.
    """

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    answer: bytes = b""
    asked: bytes = b""
    loses_answers: bool = False
    frozen: bool = False

    def hang_up(self) -> None:
        """Let the client see a broken connection; the server does not see it yet."""
        self.loses_answers = True
        self.client.close()

    async def done(self) -> None:
        """Wait until the server has carried out what was sent to it."""
        async with asyncio.timeout(10):
            while not self.answer.endswith(READY):  # noqa: ASYNC110  # bytes arrive elsewhere
                await asyncio.sleep(0.001)


Trouble = Callable[[Line, bytes], Coroutine[Any, Any, None]]


async def cut_before_sending(line: Line, message: bytes) -> None:
    """The message never leaves."""
    line.hang_up()


async def cut_after_commit(line: Line, message: bytes) -> None:
    """The message is carried out, but its acknowledgement is lost."""
    line.loses_answers, line.answer = True, b""
    line.server.write(message)
    await line.done()
    line.hang_up()


async def cut_in_flight(line: Line, message: bytes) -> None:
    """The client sees a broken connection while its message is still on the way."""
    line.hang_up()
    line.answer = b""
    await asyncio.sleep(0.1)
    line.server.write(message)
    await line.done()


async def lose(line: Line, message: bytes) -> None:
    """The message is lost, and nobody hears of it."""
    line.loses_answers = True
    await asyncio.sleep(3600)


class Proxy:
    """`conninfo` leads through it."""

    def __init__(self, conninfo: str, folder: Path) -> None:
        self.conninfo = make_conninfo(conninfo, host=str(folder), port=5432)
        self._server = str(Path(str(conninfo_to_dict(conninfo)["host"])) / SOCKET)
        self._trouble: Trouble | None = None
        self._saying = b""
        self._tasks = list[asyncio.Task[None]]()
        self._writers = list[asyncio.StreamWriter]()
        self._lines = list[Line]()

    def next_message(self, trouble: Trouble, saying: bytes = b"") -> None:
        """What happens to the next message of any client, or to the next that says this."""
        self._trouble, self._saying = trouble, saying

    def freeze(self, *asked: bytes) -> int:
        """Let nothing pass any more where all of this was asked; returns on how many lines."""
        lines = [line for line in self._lines if all(text in line.asked for text in asked)]
        for line in lines:
            line.frozen = True
        return len(lines)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until either side hangs up."""
        answers, server = await asyncio.open_unix_connection(self._server)
        line = Line(writer, server)
        self._writers += [writer, server]
        self._lines.append(line)
        for way in (self._ask(line, reader), self._answer(line, answers)):
            self._tasks.append(asyncio.create_task(way))

    async def close(self) -> None:
        """Cut everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _ask(self, line: Line, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while message := await reader.read(1_000_000):
                if line.frozen:
                    continue
                line.asked += message
                if self._trouble and self._saying in message:
                    trouble, self._trouble = self._trouble, None
                    await trouble(line, message)
                else:
                    line.server.write(message)
        line.server.close()

    async def _answer(self, line: Line, answers: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await answers.read(1_000_000):
                line.answer += data
                if not (line.loses_answers or line.frozen):
                    line.client.write(data)
        line.client.close()


@asynccontextmanager
async def proxied(conninfo: str) -> AsyncIterator[Proxy]:
    """A proxy to the server of this connection string."""
    folder = Path(tempfile.mkdtemp(prefix="proxy-"))  # a socket's path must be short
    proxy = Proxy(conninfo, folder)
    try:
        async with await asyncio.start_unix_server(proxy.accept, folder / SOCKET):
            yield proxy
            await proxy.close()
    finally:
        shutil.rmtree(folder)
