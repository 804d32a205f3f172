"""A real PostgreSQL for all tests, and a database of its own for each that asks for one.

PostgreSQL 18 is the embedded one. If a PostgreSQL 15 is installed too, the contract tests run on
both; otherwise the run says what it left out.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from api import embedded_postgres
from api.embedded_postgres import attach
from api.migrations import migrate
from api.roles import PROJECTOR_ROLE

# Each worker of each run would compile all the tests again.
sys.dont_write_bytecode = False
# A run in the background or under nohup ignores these signals, and what it starts would inherit
# that; handlers are not inherited, and the processes of the tests have to heed the signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# The same examples at each run: a red run is red again, and a green one tells nothing by chance.
settings.register_profile("deterministic", derandomize=True, database=None, deadline=None)
settings.load_profile("deterministic")

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
TEMPLATE, EMPTY = "dynamic_tables_template", "template0"
LONGEST = {"test_schemathesis.py", "test_deployment.py", "pages"}
# These servers need not outlive the machine, and make and drop a database for most of the tests.
FORGETFUL = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_wal_size=512MB")
MEMORY, ROOM = Path("/dev/shm"), 4 * 1024**3
_numbers = count(1)
T = TypeVar("T")


def _folder() -> str | None:
    """Where databases are made that are not kept: in memory, if there is room for them."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return str(MEMORY) if roomy else None


if folder := _folder():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)


def sized(short: T, long: T) -> T:
    """How much of something: `LONG_TESTS=1` runs them at full length, which takes minutes more."""
    return long if os.environ.get("LONG_TESTS") else short


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: journeys wait most of the time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest is begun first, so that nobody waits for it in the end.

    And by one process, with one service and one browser for all pages: a process with nothing left
    to do takes over what is last in another's line.
    """
    items.sort(key=lambda item: LONGEST.isdisjoint(item.path.parts[-2:]))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_18() -> Iterator[str]:
    """The server that is used unless a test asks for another; its superuser's URL."""
    kept = {each.partition("=")[0] for each in FORGETFUL}
    settings = [each for each in embedded_postgres.SETTINGS if each.partition("=")[0] not in kept]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pg18-", dir=_folder()))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(embedded_postgres, "SETTINGS", [*settings, *FORGETFUL])
            url = stack.enter_context(attach(Path(folder)))
        _make_template(url)
        yield url


@pytest.fixture(scope="session")
def postgres_15() -> Iterator[str]:
    """A server of the oldest version that is supported."""
    if not POSTGRES_15.exists():
        pytest.skip("PostgreSQL 15 is not installed (Debian: postgresql-15)")
    with tempfile.TemporaryDirectory(prefix="pg15-", dir=_folder()) as folder:
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            command = [str(POSTGRES_15 / program), *arguments]
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        data = f"{folder}/data"
        run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "max_connections=200")
        options = " ".join(f"-c {each}" for each in (*settings, *FORGETFUL))
        run("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        url = f"postgresql://postgres@/postgres?host={folder}"
        try:
            _make_template(url)
            yield url
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


@pytest.fixture
def database(postgres_18: str) -> Iterator[str]:
    """The URL of a fresh, migrated database, as its superuser."""
    yield from cloned(postgres_18)


@pytest.fixture(params=["18", "15"])
def any_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same on each supported version of PostgreSQL."""
    yield from cloned(request.getfixturevalue(f"postgres_{request.param}"))


@pytest.fixture
def empty_database(postgres_18: str) -> Iterator[str]:
    """The URL of a database in which nothing was ever made."""
    yield from cloned(postgres_18, EMPTY)


async def eventually(
    holds: Callable[[], Awaitable[bool]], timeout: float = 10.0, what: str = "it"
) -> None:
    """Wait until something holds; fail if it does not within `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while not await holds():  # noqa: ASYNC110  # what is asked is in another process
            await asyncio.sleep(0.005)


def _make_template(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    template = make_conninfo(url, dbname=TEMPLATE)
    asyncio.run(migrate(template, template))


def cloned(url: str, template: str = TEMPLATE) -> Iterator[str]:
    """A fresh database for as long as the generator lives; for fixtures of any scope."""
    name = sql.Identifier(f"test_{os.getpid()}_{next(_numbers)}")
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    # What `migrate` grants on a database is not copied with it.
    grant = sql.SQL("GRANT CREATE ON DATABASE {} TO {}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(create.format(name, sql.Identifier(template)))
        if template != EMPTY:
            connection.execute(grant.format(name, sql.Identifier(PROJECTOR_ROLE)))
        yield make_conninfo(url, dbname=name.as_string().strip('"'))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
