"""Data folders in which the demo was served before, and databases in which nothing was."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import POSTGRES_15
from tests.journeys.nats_server import NatsServer
from tests.journeys.processes import Serve


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which the demo was served before; to be copied; one for all workers."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    common = base.parent if is_worker else base
    with (common / "used.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (common / "used").exists():
            data = tmp_path_factory.mktemp("new") / "data"
            with Serve(data, "--demo") as service:
                service.end()
            data.rename(common / "used")
    return common / "used"


@pytest.fixture
def data(used: Path, tmp_path: Path) -> Path:
    """A data folder of one's own, in which the demo was served before."""
    return Path(shutil.copytree(used, tmp_path / "data"))


@pytest.fixture
def blank(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database in which nothing was ever made.

    On the oldest version that is here: the newest is that of all journeys with the embedded server.
    """
    url = request.getfixturevalue("postgres_15" if POSTGRES_15.exists() else "postgres_18")
    name = f"start_{os.getpid()}_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield make_conninfo(url, dbname=name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def login(blank: str) -> Iterator[str]:
    """The URL of the same database for a user who may log in, and no more."""
    name = f"somebody_{uuid4().hex[:8]}"
    with psycopg.connect(blank, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        yield make_conninfo(blank, user=name)
    with psycopg.connect(blank, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP ROLE {name}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server in which nothing was ever published."""
    server = NatsServer(tmp_path / "jetstream")
    yield server
    server.kill()
