"""A publisher as a process, somebody who writes meanwhile, and what must be in the stream then."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from uuid import UUID

import psycopg
from nats.aio.msg import Msg

from api.roles import API_ROLE, as_role
from application.errors import Fault
from application.event_store.postgres import PostgresEventStore
from application.feed import cloud_event
from tests.contracts.commands import creation, new_company, standing
from tests.journeys.nats_server import NatsServer
from tests.journeys.processes import COMMAND, environment, until

COMPANIES = tuple(UUID(int=number) for number in (1, 2, 3))
EVENTS = """
SELECT company_id, position, originator_id, originator_version, topic, state, event_id
  FROM event_store.events ORDER BY position
"""
ERASE = "UPDATE event_store.events SET state = NULL, salt = NULL WHERE position = %s"
Place = tuple[int, str]


class Publisher:
    """`publish nats` with these arguments; at the end of its block it is gone."""

    def __init__(self, folder: Path, database: str, server: NatsServer, *arguments: str) -> None:
        self.log = folder / "publisher.log"
        self._command = [*COMMAND, "publish", "nats", *arguments]
        self._environment = environment(folder, database_url=database, nats_url=server.url)
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, cwd="/", stdout=log, stderr=log
            )

    def said(self, text: str) -> int:
        """How many lines it logged with this text."""
        return len([line for line in self.log.read_text().splitlines() if text in line])

    def at_work(self) -> "Publisher":
        until(lambda: self.said("publishes what is above"), 45, "it publishes")
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Tell it to end, which takes a few seconds at most; its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


def publish(
    folder: Path, database: str, server: NatsServer, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Publish what is there, and end."""
    return subprocess.run(
        [*COMMAND, "publish", "nats", "--once", *arguments],
        env=environment(folder, database_url=database, nats_url=server.url),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write(database: str, tables: int = 2, events: int = 3) -> None:
    """Something happens in each of the companies."""

    async def run() -> None:
        store = PostgresEventStore(as_role(database, API_ROLE))
        for _ in range(tables):
            for company in COMPANIES:
                await store.append(creation(company, events=events))
        await store.close()

    asyncio.run(run())


def found_companies(database: str) -> None:
    """The companies are registered, so that not all events are those of tables."""

    async def run() -> None:
        store = PostgresEventStore(as_role(database, API_ROLE))
        for company in COMPANIES:
            await store.append(standing(new_company(company)))
        await store.close()

    asyncio.run(run())


@contextlib.contextmanager
def writers(database: str, pause: float = 0.002) -> Iterator[None]:
    """Several who write all the time, also after the database was away for a moment."""
    over = threading.Event()

    async def work(store: PostgresEventStore, company: UUID) -> None:
        while not over.is_set():
            with contextlib.suppress(Fault):
                await store.append(creation(company, events=5))
            await asyncio.sleep(pause)

    async def run() -> None:
        store = PostgresEventStore(as_role(database, API_ROLE))
        await asyncio.gather(*(work(store, company) for company in COMPANIES * 2))
        await store.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def stored(database: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(EVENTS).fetchall()


def head(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM event_store.events").fetchone()
    return row[0] if row else 0


def alter(database: str, query: str, *params: object) -> None:
    """What only an owner can do who switches the trigger off, or a restored backup does."""
    with psycopg.connect(database) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(query, params)


def places(messages: Sequence[Msg]) -> list[Place]:
    """Position and event id of each message."""
    headers = [message.headers or {} for message in messages]
    return [(int(each["Dynamic-Tables-Position"]), each["Nats-Msg-Id"]) for each in headers]


def check(database: str, messages: Sequence[Msg]) -> None:
    """The messages are exactly the events, in order, none twice, each in its right form."""
    rows = stored(database)
    assert places(messages) == [(row[1], str(row[6])) for row in rows]
    for (company, *row), message in zip(rows, messages, strict=True):
        noun, event = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", str(row[3])).lower().split(".")
        assert message.subject == f"dynamic-tables.{company}.{noun}.{event}"
        assert json.loads(message.data) == cloud_event(UUID(str(company)), row)


def complete(database: str, server: NatsServer, timeout: float = 60) -> None:
    """Wait until all is published; check it."""
    wanted = head(database)
    assert wanted
    last = server.state().last_seq
    until(lambda: server.state().messages >= wanted, timeout, f"{wanted} messages, {last} so far")
    check(database, server.messages())
