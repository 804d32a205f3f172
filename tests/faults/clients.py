"""Clients that note what they were promised: without such a log, nothing can be said of a loss."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx

PAUSE = 0.03  # seconds of one writer between two commands
GIVES_UP = 0.1  # of those who hear nothing: nobody asks again


@dataclass
class Intents:
    """What was asked for, and what was promised. Each command has a mark that its event carries.

    `promised`: the position of the event, by the mark; `open`: of which nobody knows what became.
    """

    path: Path
    promised: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._file = self.path.open("a", buffering=1)

    def ask(self, mark: str) -> None:
        """Before it is sent."""
        self.open.add(mark)
        self._file.write(json.dumps({"asked": mark}) + "\n")

    def promise(self, mark: str, position: int) -> None:
        """As soon as it is answered."""
        self.open.discard(mark)
        self.promised[mark] = position
        self._file.write(json.dumps({"promised": mark, "position": position}) + "\n")

    def refuse(self, mark: str) -> None:
        """It was refused, and must not be there."""
        self.open.discard(mark)
        self.refused.add(mark)

    def close(self) -> None:
        """Keep no file open."""
        self._file.close()


class Writers:
    """So many who write without end, and repeat with the same key what was not answered."""

    def __init__(self, client: httpx.AsyncClient, intents: Intents, random: Random) -> None:
        self._client, self._intents, self._random = client, intents, random
        self.refusals: Counter[str] = Counter()
        self.surprises: list[str] = []
        self.taken: list[float] = []  # seconds of each command that was answered at once
        self._tasks: list[asyncio.Task[None]] = []
        self._end = False

    @contextlib.asynccontextmanager
    async def writing(self, count: int = 6, pause: float = PAUSE) -> AsyncIterator["Writers"]:
        """While this lasts they write; after it, all that is ever answered was answered."""
        self._end = False
        tasks = [asyncio.create_task(self._write(pause)) for _ in range(count)]
        try:
            yield self
        finally:
            self._end = True
            async with asyncio.timeout(60):
                await asyncio.gather(*tasks)

    async def _write(self, pause: float) -> None:
        mine: list[str] = []
        while not self._end:
            mark = f"m-{uuid4().hex}"
            if mine and self._random.random() < 0.6:
                path = f"/api/tables/{self._random.choice(mine[-20:])}"
                await self.command("PATCH", path, {"description": mark}, mark)
            elif answer := await self.command("POST", "/api/tables", {"name": mark}, mark):
                mine.append(answer.json()["id"])
            await asyncio.sleep(pause * self._random.random() * 2)

    async def command(
        self, method: str, path: str, body: Any, mark: str, *, patient: bool = False
    ) -> httpx.Response | None:
        """Send a command until it is answered; None if somebody gave up, or it was refused."""
        self._intents.ask(mark)
        delay, loop = 0.05, asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                answer = await self._client.request(
                    method, path, json=body, headers={"Idempotency-Key": mark}
                )
            except httpx.TransportError as error:
                self.refusals[type(error).__name__] += 1
                if not patient and self._random.random() < GIVES_UP:
                    return None
            else:
                if answer.is_success:
                    self.taken.append(loop.time() - started)
                    self._intents.promise(mark, int(answer.headers["event-position"]))
                    return answer
                code = answer.json()["code"]
                self.refusals[f"{answer.status_code} {code}"] += 1
                if answer.status_code != 503:
                    self.surprises.append(f"{method} {path}: {answer.status_code} {answer.text}")
                    self._intents.refuse(mark)
                    return None
                if "retry-after" not in answer.headers:
                    self.surprises.append(f"503 {code} without Retry-After")
            await asyncio.sleep(delay * (0.5 + self._random.random()))
            delay = min(delay * 2, 1.0)


@dataclass
class Poller:
    """Follows the feed by long polls, from before the first fault to after the last."""

    client: httpx.AsyncClient
    after: str = "0"
    seen: list[dict[str, Any]] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            params = {"after": self.after, "wait": 5, "limit": 500}
            try:
                answer = await self.client.get("/api/events", params=params)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == 200:
                self.seen += answer.json()
                self.after = answer.headers["feed-position"]
            elif answer.status_code == 503:
                await asyncio.sleep(0.1)
            else:
                self.surprises.append(f"the feed: {answer.status_code} {answer.text}")
                await asyncio.sleep(1)
