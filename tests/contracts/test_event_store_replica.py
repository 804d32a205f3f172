"""On a replica that streams: what is followed there is the primary's one order, though untold."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.event_hub import EventHub
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.event_feed import Wanted
from application.event_store.postgres import PostgresEventStore
from application.event_store.session import Session
from tests.conftest import FORGETFUL, POSTGRES_15, cloned, eventually
from tests.contracts.commands import creation
from tests.contracts.stores import connected

pytestmark = pytest.mark.anyio


@pytest.fixture
def primary(postgres_15: str) -> Iterator[str]:
    """A database that a replica will have, too."""
    yield from cloned(postgres_15)


@pytest.fixture
def replica(primary: str) -> Iterator[str]:
    """The same database on a server that follows the first."""
    given = conninfo_to_dict(primary)
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="replica-") as folder:
        if user:
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            command = [str(POSTGRES_15 / program), *arguments]
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        data = f"{folder}/data"
        server = make_conninfo("", host=str(given["host"]), user="postgres")
        run("pg_basebackup", "-d", server, "-D", data, "-R", "-X", "stream", "-c", "fast")
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "max_connections=200")
        options = " ".join(f"-c {each}" for each in (*settings, *FORGETFUL))
        run("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield make_conninfo(primary, host=folder)
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


async def test_who_follows_a_replica_while_many_write_misses_and_repeats_nothing(
    primary: str, replica: str
) -> None:
    company = uuid4()
    stores = [PostgresEventStore(as_role(primary, API_ROLE)) for _ in range(4)]
    session = Session(as_role(replica, API_ROLE))
    reader = PostgresEventStore(as_role(replica, PROJECTOR_ROLE))
    hub = EventHub(as_role(replica, API_ROLE), session)
    pages: list[tuple[int, UUID]] = []
    told: list[tuple[int, UUID]] = []

    async def write(store: PostgresEventStore) -> None:
        for _ in range(25):
            await store.append(creation(company, events=2))

    async def read() -> bool:
        page = await reader.read(pages[-1][0] if pages else 0, 7)
        pages.extend((r.position, r.event.metadata.event_id) for r in page)
        return len(pages) == 200

    async def take(subscription: Any) -> None:
        async with asyncio.timeout(10):
            while len(told) < 200:
                told.extend((row[0], row[5]) for row in await subscription.take(10))

    with hub.subscribed(Wanted(company), 0) as subscription:
        running = asyncio.create_task(hub.run())
        following = asyncio.gather(take(subscription), eventually(read))
        await asyncio.gather(*map(write, stores))
        await following
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with connected(primary) as owner:
        query = "SELECT position, event_id FROM event_store.events ORDER BY position"
        assert pages == told == owner.execute(query).fetchall()
    for each in (*stores, reader, session):
        await each.close()
