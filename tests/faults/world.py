"""An installation that is really used: processes, a database, writers, and those who follow."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg import AsyncConnection

from api.embedded_postgres import attach
from tests.conftest import eventually
from tests.faults.clients import Intents, Poller, Writers
from tests.faults.oracle import Oracle, trusted_keys
from tests.journeys.processes import Serve
from tests.streams import Browser

LOCK = "SELECT pg_advisory_lock(hashtextextended('event_store.append', 0))"
BLOCKED = """
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory' AND NOT granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass
class World:
    """What faults are injected into. `long`: at full length, with random timing."""

    service: Serve
    database: str
    client: httpx.AsyncClient
    writers: Writers
    oracle: Oracle
    random: Random
    folder: Path
    long: bool
    kills: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def some(self, short: int, long: int) -> int:
        """How often something is done."""
        return long if self.long else short

    async def pause(self, most: float) -> None:
        """A moment of any length."""
        await asyncio.sleep(self.random.random() * most)

    def kill(self, kind: str, number: int = signal.SIGKILL) -> list[int]:
        """Send a signal to one of the processes of this kind; returns whom."""
        found = self.service.children(kind)
        for pid in self.random.sample(found, min(1, len(found))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                self.kills += number == signal.SIGKILL
                return [pid]
        return []

    @contextlib.asynccontextmanager
    async def appends_held(self) -> AsyncIterator[AsyncConnection]:
        """Meanwhile nobody can append; what is sent waits, and is refused after two seconds."""
        async with await AsyncConnection.connect(self.database, autocommit=True) as owner:
            await owner.execute(LOCK)
            yield owner

    async def blocked(self, owner: AsyncConnection) -> None:
        """Wait until somebody waits for the lock."""

        async def waits() -> bool:
            return (await (await owner.execute(BLOCKED)).fetchone() or (0,))[0] > 0

        await eventually(waits, 10, "somebody waits for the lock")

    async def answers(self, timeout: float = 30) -> float:
        """Wait until a write is answered; returns after how many seconds."""
        started = time.monotonic()
        mark = f"m-back-{next(self.numbers)}-{self.random.getrandbits(64):x}"
        async with asyncio.timeout(timeout):
            await self.writers.command("POST", "/api/tables", {"name": mark}, mark, patient=True)
        return time.monotonic() - started

    async def table(self) -> str:
        """The id of a new table."""
        mark = f"m-table-{next(self.numbers)}-{self.random.getrandbits(64):x}"
        answer = await self.writers.command(
            "POST", "/api/tables", {"name": mark}, mark, patient=True
        )
        assert answer is not None, self.writers.surprises
        return str(answer.json()["id"])

    async def rows(self, query: str, *params: Any) -> list[Any]:
        """Ask the database, as its superuser."""
        async with await AsyncConnection.connect(self.database, autocommit=True) as owner:
            return await (await owner.execute(query.encode(), params)).fetchall()

    @contextlib.contextmanager
    def node(self, name: str, *arguments: str, **settings: Any) -> Iterator[Serve]:
        """Another machine: a service of its own on the same database."""
        url = settings.pop("database_url", self.database)
        data = self.folder / f"{name}-{next(self.numbers)}"
        with Serve(data, *arguments, database_url=url, **settings) as service:
            service.key = self.service.key
            yield service


@contextlib.asynccontextmanager
async def world(folder: Path, seed: int, *, long: bool, data: Path | None = None) -> Any:
    """Run one: two API processes and a projector; a stream and a long poll follow all along."""
    data = data or folder / "data"
    port = _free_port()
    with Serve(data, "--demo", "--workers", "2", port=port) as service, attach(data) as url:
        headers = {"Authorization": f"Bearer {service.key}"}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(
            base_url=service.address, headers=headers, timeout=30, limits=limits
        ) as client:
            company = UUID((await client.get("/api/me")).json()["company"]["id"])
            intents, random = Intents(folder / "intents.jsonl"), Random(seed)
            oracle = Oracle(
                url, company, client, intents,
                [Browser(port, service.key, "after=0")], [Poller(client)], folder,
                keys=await trusted_keys(client),
            )  # fmt: skip
            writers = Writers(client, intents, random)
            follow = [asyncio.create_task(each.run()) for each in oracle.browsers]
            follow += [asyncio.create_task(each.run()) for each in oracle.pollers]
            try:
                yield World(service, url, client, writers, oracle, random, folder, long)
            finally:
                for task in follow:
                    task.cancel()
                await asyncio.gather(*follow, return_exceptions=True)
                intents.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def connect(url: str) -> psycopg.Connection[Any]:
    """As the superuser, each statement a transaction."""
    return psycopg.connect(url, autocommit=True)
