"""A real NATS server with JetStream, that can be killed and started again on what it kept."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig, StreamState
from nats.js.errors import NotFoundError

from tests.journeys.processes import until

PROGRAM = shutil.which("nats-server", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
STREAM = "DYNAMIC_TABLES"
T = TypeVar("T")


class NatsServer:
    """On a port of its own; `login` is the user and password that it asks for."""

    def __init__(self, folder: Path, login: str = "") -> None:
        if PROGRAM is None:
            pytest.skip("nats-server is not installed (Debian: nats-server)")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        user, _, password = unquote(login).partition(":")
        asked = ["--user", user, "--pass", password] if login else []
        self._command = [PROGRAM, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd",
                         str(folder), *asked]  # fmt: skip
        self.url = f"nats://{login}@127.0.0.1:{self.port}" if login else self.address
        self.start()

    @property
    def address(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        until(self._answers, 10, "NATS answers")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(self, run: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        """What somebody else finds out or does who uses JetStream."""

        async def asked() -> T:
            client = Client()
            await client.connect(self.url, allow_reconnect=False)
            try:
                return await run(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asked())

    def state(self) -> StreamState:
        """How much is in the stream; nothing if there is none yet."""

        async def look(jetstream: JetStreamContext) -> StreamState:
            with contextlib.suppress(NotFoundError):
                return (await jetstream.stream_info(STREAM)).state
            return StreamState(messages=0, bytes=0, first_seq=0, last_seq=0, consumer_count=0)

        return self.ask(look)

    def make(self, **config: Any) -> None:
        """Somebody makes the stream before we do, in their own way."""

        async def add(jetstream: JetStreamContext) -> None:
            wanted = {"name": STREAM, "subjects": ["dynamic-tables.>"], **config}
            await jetstream.add_stream(StreamConfig(**wanted))

        self.ask(add)

    def purge(self) -> None:
        async def purge(jetstream: JetStreamContext) -> None:
            await jetstream.purge_stream(STREAM)

        self.ask(purge)

    def messages(self, subject: str = "dynamic-tables.>") -> list[Msg]:
        """All that is in the stream under a subject, in order."""

        async def read(jetstream: JetStreamContext) -> list[Msg]:
            unacknowledged = ConsumerConfig(ack_policy=AckPolicy.NONE)
            consumer = await jetstream.pull_subscribe(subject, stream=STREAM, config=unacknowledged)
            wanted = (await consumer.consumer_info()).num_pending
            found: list[Msg] = []
            while len(found) < wanted:
                found += await consumer.fetch(min(1000, wanted - len(found)), timeout=5)
            return found

        return self.ask(read)
