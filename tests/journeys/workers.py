"""One API process by itself, on a database in which a company has a key."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from api import processes
from api.keys import INSERT, NewKey, row
from api.settings import Settings
from tests.journeys.processes import until

PROGRAM = """
import resource, sys
from api import event_stream, logs
from api.settings import Settings
from api.worker import serve_requests

database, fd, patience = sys.argv[1:]
event_stream.PATIENCE = float(patience)
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))  # fewer than most systems give at first
logs.configure("info", "worker")
serve_requests(Settings(), database, int(fd))
"""


@dataclass
class Worker:
    """`company`: whose key `token` is."""

    process: psutil.Process
    port: int
    company: UUID
    token: str
    log: Path

    def client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers=headers,
            timeout=20,
            limits=httpx.Limits(max_connections=None),
        )


@contextlib.contextmanager
def worker(
    database: str, log: Path, patience: float = 30, variables: Mapping[str, str] | None = None
) -> Iterator[Worker]:
    """Run an API process that gives a client `patience` seconds to read."""
    company, key = uuid4(), NewKey.make()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(INSERT, row(key, company, "admin", "tests"))
    listener = processes.listen(Settings(port=0))
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, database, str(listener.fileno()), str(patience)],
            pass_fds=(listener.fileno(),),
            stderr=stderr,
            env=os.environ | {"DYNAMIC_TABLES_READ_CONNECTIONS": "4"} | dict(variables or {}),
        )
    port = listener.getsockname()[1]
    listener.close()
    try:
        until(lambda: _answers(port), 15, "it answers")
        yield Worker(psutil.Process(process.pid), port, company, str(key), log)
    finally:
        process.terminate()
        process.wait(15)


def connections(database: str) -> int:
    """How many connections there are to this database besides the one that asks."""
    with psycopg.connect(database) as connection:
        name = conninfo_to_dict(database)["dbname"]
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        )
        return int((connection.execute(query, (name,)).fetchone() or (0,))[0])


def _answers(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=0.5).status_code == 200
    return False
