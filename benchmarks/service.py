"""The service under load: real processes on a database of their own, and variants for ceilings."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from uuid import UUID

import psycopg
import uvicorn
from fastapi import APIRouter, Header
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from starlette.responses import Response

from api import keys, table_reads
from api.app import create_app
from api.background import followers, keep_audit_log, make_exports, send_webhooks
from api.collector import collect_seldom
from api.endpoint import Call, Endpoint
from api.ids import new_id
from api.keys import NewKey
from api.migrations import migrate
from api.processes import project
from api.protocol import BoundedProtocol
from api.roles import PROJECTOR_ROLE, as_role
from api.schemas import ReadHeaders
from api.security import requires
from api.settings import Settings
from api.worker import Server
from application.event_store.store import Append, EventStore, IdempotencyKey, Receipt
from domain.base import Context
from domain.recorded import Recorded
from domain.table_def import TableDef
from domain.table_details import Details
from projections import table_def_queries as queries

COMPANY = UUID("019ab3f2-0000-7000-8000-0000000000b1")
SMALL_COMPANY = UUID("019ab3f2-0000-7000-8000-0000000000b2")


@dataclass(frozen=True)
class Service:
    """Where it listens, and keys of the two companies."""

    address: str
    database: str
    key: str
    small_key: str
    pids: tuple[int, ...]  # of the API process, and of the projector
    started_in: float  # seconds

    @property
    def pid(self) -> int:
        """The API process."""
        return self.pids[0]


class NoStore:
    """An event store that answers at once and keeps nothing."""

    def __init__(self) -> None:
        self._receipt = Receipt(new_id(), 1, 1, datetime.now(UTC))
        table = TableDef.create(new_id(), Details(name="Orders"), "orders", context(COMPANY))
        self._history = [Recorded(e, COMPANY, 1, datetime.now(UTC)) for e in table.collect()]

    async def append(self, append: Append) -> Receipt:
        """Pretend."""
        return self._receipt

    async def load(self, company_id: UUID, originator_id: UUID) -> list[Recorded]:
        """The same table, whichever is asked for."""
        return self._history

    async def recall(self, company_id: UUID, idempotency: IdempotencyKey) -> None:
        """Nothing was ever asked before."""

    async def members(
        self,
        company_id: UUID,
        container_id: UUID,
        before: int,
        after: UUID,
        limit: int,
        because: Collection[UUID] | None = None,
    ) -> list[UUID]:
        """Nobody."""
        return []

    async def read(self, after: int, limit: int) -> list[Recorded]:
        """Nothing."""
        return []

    async def free_slug(self, company_id: UUID, candidates: Sequence[str]) -> str:
        """The first."""
        return candidates[0]


router = APIRouter(route_class=Endpoint)


@router.get("/api/empty/{id}", dependencies=[requires("tables:read")])
async def empty(call: Call, id: UUID, headers: Annotated[ReadHeaders, Header()]) -> Response:
    """A route that only authenticates and parses."""
    return Response(b"{}", media_type="application/json")


def context(company_id: UUID) -> Context:
    """Somebody who writes for the benchmarks."""
    return Context(
        company_id=company_id, actor_id=company_id, actor_kind="system",
        occurred_at=datetime.now(UTC), new_id=new_id, request_id="bench", correlation_id="bench",
    )  # fmt: skip


@contextlib.contextmanager
def running(
    database: str, variant: str = "full", *, projector: bool = True, without: str = ""
) -> Iterator[Service]:
    """Run one API process, and a projector; `variant`: `full`, `no-store`, or `no-rls`.

    Without row-level security the queries do not name their companies to the database; the tables
    must let them, as `without_row_level_security` makes them. `without`: what the projector leaves
    out.
    """
    key, small_key = asyncio.run(_prepare(database))
    environment = os.environ | {"DYNAMIC_TABLES_DATABASE_URL": database}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        commands = [["benchmarks.service", variant, str(fd)]]
        if projector:
            commands.append(["benchmarks.service", "project", without])
        began = time.perf_counter()
        children = [
            subprocess.Popen([sys.executable, "-m", *command], env=environment, pass_fds=(fd,))
            for command in commands
        ]
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(address)
            pids, started_in = tuple(child.pid for child in children), time.perf_counter() - began
            yield Service(address, database, str(key), str(small_key), pids, started_in)
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait(15)


@contextlib.contextmanager
def own_database(url: str, name: str) -> Iterator[str]:
    """A database that is there for a while."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield make_conninfo(url, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def _prepare(database: str) -> tuple[NewKey, NewKey]:
    await migrate(database, database)
    made = NewKey.make(), NewKey.make()
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        for key, company in zip(made, (COMPANY, SMALL_COMPANY), strict=True):
            await keys.store(connection, key, company, "admin", "bench")
    return made


def _wait(address: str) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/livez", timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit("the service did not start")


@contextlib.contextmanager
def without_row_level_security(database: str) -> Iterator[None]:
    """The read model's tables show all their rows to everybody meanwhile."""
    with psycopg.connect(database, autocommit=True) as connection:
        for state in ("DISABLE", "ENABLE"):
            statement = f"ALTER TABLE {queries.SCHEMA}.table_defs {state} ROW LEVEL SECURITY"
            connection.execute(statement.encode())
            if state == "DISABLE":
                yield


def _serve(variant: str, fd: int) -> None:
    settings = Settings()
    if variant == "no-rls":
        table_reads.BY_ID, table_reads.LIST = queries.BY_ID, dict(queries.LIST)
    app = create_app(settings, settings.database_url or "")
    app.router.routes[:0] = router.routes
    if variant == "no-store":
        opened = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lifespan(application):  # type: ignore[no-untyped-def]
            async with opened(application):
                store: EventStore = NoStore()
                application.state.services.table_defs.store = store
                yield

        app.router.lifespan_context = lifespan
    config = uvicorn.Config(
        app, loop="uvloop", http=BoundedProtocol, ws="none", access_log=False, log_level="warning",
        server_header=False, proxy_headers=False, backlog=2048,
    )  # fmt: skip
    Server(config).run(sockets=[socket.socket(fileno=fd)])


def _project(without: str) -> None:
    settings = Settings()
    database = settings.database_url or ""
    conninfo = as_role(database, PROJECTOR_ROLE)
    chosen = [each for each in followers(conninfo) if each.name != without]
    others = {"webhooks": send_webhooks, "audit-log": keep_audit_log, "exports": make_exports}
    project(conninfo, chosen, [
        partial(run, settings, database) for name, run in others.items() if name != without
    ])  # fmt: skip


if __name__ == "__main__":
    collect_seldom()  # as the command line does, which is passed over here
    match sys.argv[1:]:
        case ["project", without]:
            _project(without)
        case [variant, fd]:
            _serve(variant, int(fd))
