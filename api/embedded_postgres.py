"""The database for whoever configured none: a private PostgreSQL, kept in a data folder.

The first command that needs it starts it, the others join, the last to leave stops it, and nobody
has to clean up after a crash. Three lock files tell who is there; the kernel releases them,
whatever happens to their holders:

    gate.lock      held while somebody starts or stops the server
    attached.lock  shared by every process that uses the server
    server.lock    inherited by all processes of the server: free when the last of them is gone

The socket lies in the cluster's own folder. Its mode, 0700, is the whole protection: there are no
passwords. The server reaches that folder as its working directory, so as root it can run under an
account that may not even look into the folders above.
"""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from api.postgres_programs import (
    MAJOR_VERSION,
    Account,
    EmbeddedPostgresError,
    account_of,
    here,
    own,
    programs,
    run,
)

DATABASE = "dynamic_tables"
PATIENCE = 30.0  # seconds without a sign of progress
LOG_LIMIT = 10_000_000  # bytes
HEADING = b"-- Dynamic Tables starts PostgreSQL"  # in its log, above what each start says
LONGEST_SOCKET_FOLDER = 85  # bytes; with the socket's name it must fit into 104 (macOS) or 108
INITDB_OPTIONS = [
    "--username=postgres",
    "--auth-local=trust",
    "--auth-host=reject",
    "--encoding=UTF8",
    "--data-checksums",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
]
SETTINGS = [
    "listen_addresses=",
    "unix_socket_directories=.",
    "unix_socket_permissions=0700",
    "port=5432",
    "fsync=on",
    "max_connections=200",
    "shared_buffers=256MB",
    "max_wal_size=2GB",
    "wal_compression=on",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_destination=stderr",
    "logging_collector=off",
]

_started: dict[Path, subprocess.Popen[bytes]] = {}  # servers this process must reap


@contextmanager
def attach(data_dir: Path) -> Iterator[str]:
    """Start the private server of this data folder, or join those who use it; yield its URI.

    The URI is for libpq: superuser `postgres`, database `dynamic_tables`. SIGTERM and SIGHUP, where
    they would kill the process on the spot, leave this block instead as SystemExit.
    """
    home, process = data_dir.absolute(), os.getpid()
    with ExitStack() as stack:
        with _one_line(home):
            home = _prepare(home)
            stack.enter_context(_signals_unwind())
            attached = stack.enter_context(_lock_file(home, "attached"))
            uri = stack.enter_context(_uri(home / "cluster"))
        try:
            with _one_line(home), _gate(home):
                fcntl.flock(attached, fcntl.LOCK_SH)
                _ensure_running(home, uri)
            yield uri
        finally:
            if os.getpid() == process:  # a forked child may get here too, but does not own the lock
                _leave(home, attached)


def revive(data_dir: Path, uri: str) -> bool:
    """Start the server again if it died under those who are attached; whether it had.

    Raises:
        EmbeddedPostgresError: it does not come back.
    """
    home = data_dir.resolve()
    with _one_line(home):
        with _lock_file(home, "server") as lock:
            died = _obtained(lock)
        if died:
            with _gate(home):
                _ensure_running(home, uri)
    return died


@contextmanager
def _one_line(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(f"the data folder {home} cannot be used: {error}") from error


def _prepare(home: Path) -> Path:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = home.stat()
    if found.st_uid != os.geteuid():
        raise EmbeddedPostgresError(f"the data folder {home} belongs to another user")
    if found.st_mode & stat.S_ISVTX:
        raise EmbeddedPostgresError(f"the data folder {home} is shared: choose one below it")
    home.chmod(0o700)
    return home.resolve()


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Make the signals that end a service run the `finally` blocks. Own handlers are respected."""
    taken = []
    if threading.current_thread() is threading.main_thread():
        both = (signal.SIGTERM, signal.SIGHUP)
        taken = [each for each in both if signal.getsignal(each) == signal.SIG_DFL]
    for each in taken:
        signal.signal(each, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


@contextmanager
def _uri(cluster: Path) -> Iterator[str]:
    """The way to the socket; a folder too deep for a socket's address gets a short alias."""
    folder, alias = cluster, None
    if len(os.fsencode(cluster)) > LONGEST_SOCKET_FOLDER or "," in str(cluster):
        alias = Path(tempfile.mkdtemp(prefix="dynamic-tables-", dir="/tmp"))
        folder = alias / "cluster"
        folder.symlink_to(cluster)
    try:
        host = quote(str(folder), safe="")
        yield f"postgresql://postgres@/{DATABASE}?host={host}&port=5432"
    finally:
        if alias:
            shutil.rmtree(alias, ignore_errors=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _lock_file(home: Path, name: str) -> IO[bytes]:
    return open(home / f"{name}.lock", "ab", buffering=0, opener=_private)


@contextmanager
def _gate(home: Path) -> Iterator[None]:
    with _lock_file(home, "gate") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(gate, fcntl.LOCK_UN)  # closing is not enough if we were forked meanwhile


def _obtained(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ensure_running(home: Path, uri: str) -> None:
    attempts = 0
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with _lock_file(home, "server") as lock:
            if _obtained(lock):
                if attempts == 2:  # the first may have been killed; the second has a reason
                    raise _failure(home, "PostgreSQL stopped while starting")
                attempts += 1
                _start(home, lock)
        _, status = _postmaster(home)
        if status == "ready" and _has_database(uri):
            return
        if status == "starting":  # a recovery may take its time
            deadline = time.monotonic() + PATIENCE
        time.sleep(0.01)
    raise _failure(home, f"PostgreSQL did not start within {PATIENCE:.0f} s")


def _failure(home: Path, what: str) -> EmbeddedPostgresError:
    log = home / "postgres.log"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65_536))
        recent = file.read().rpartition(HEADING)[2]
    lines = recent.decode(errors="replace").splitlines()
    telling = [line for line in lines if any(w in line for w in ("FATAL:", "PANIC:", "error:"))]
    return EmbeddedPostgresError(f"{what}: {(telling or lines or [''])[-1]} (log: {log})")


def _postmaster(home: Path) -> tuple[int, str]:
    """The process id and the state that the postmaster noted, as pg_ctl reads them."""
    try:
        lines = (home / "cluster/postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip()
    except (FileNotFoundError, IndexError, ValueError):
        return 0, ""


def _has_database(uri: str) -> bool:
    try:
        with psycopg.connect(uri, dbname="postgres", autocommit=True, connect_timeout=2) as server:
            known = "SELECT FROM pg_database WHERE datname = %s"
            if not server.execute(known, (DATABASE,)).rowcount:
                server.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError:
        return False
    return True


def _start(home: Path, lock: IO[bytes]) -> None:
    _reap(home)
    cluster = home / "cluster"
    account = account_of(cluster)
    bin_dir = programs(account)
    if not cluster.exists():
        _create(home, account, bin_dir)
    _check_version(cluster)
    own(cluster, account)
    _remove_stale_notes(home)
    options = [*SETTINGS, f"dynamic_tables.folder={cluster}"]  # by which _is_postmaster knows it
    command = [str(bin_dir / "postgres"), "-D", here(cluster), *(f"--{each}" for each in options)]
    with _log(home) as log:
        _started[home] = run(command, account, cluster, log, keep=(lock.fileno(),))


@contextmanager
def _log(home: Path) -> Iterator[IO[bytes]]:
    log = home / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(home / "postgres.log.1")
    with open(log, "ab", buffering=0, opener=_private) as file:
        file.write(HEADING + b"\n")
        yield file


def _create(home: Path, account: Account, bin_dir: Path) -> None:
    """Make the cluster aside and move it into place, so that there is never half of one."""
    for leftover in home.glob("cluster.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="cluster.", dir=home))
    own(fresh, account)
    command = [str(bin_dir / "initdb"), "-D", here(fresh), *INITDB_OPTIONS]
    with _log(home) as log, run(command, account, fresh, log) as initdb:
        code = initdb.wait()
    if code:
        raise _failure(home, "PostgreSQL could not create its files")
    fresh.rename(home / "cluster")
    _make_durable(home)


def _make_durable(folder: Path) -> None:
    """Write the folder's list of names to the disk: a rename alone may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_version(cluster: Path) -> None:
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != MAJOR_VERSION:
        message = f"the data folder {cluster.parent} was created by PostgreSQL {found}"
        raise EmbeddedPostgresError(f"{message}; this release comes with {MAJOR_VERSION}")


def _remove_stale_notes(home: Path) -> None:
    """Remove what a killed server left: PostgreSQL would take whoever has its pid now for it."""
    pid, _ = _postmaster(home)
    if not _is_postmaster(pid, home):
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (home / "cluster" / name).unlink(missing_ok=True)


def _is_postmaster(pid: int, home: Path) -> bool:
    if Path("/proc/self").exists():
        with suppress(OSError):
            return os.fsencode(home / "cluster") in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    listing = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - as above
    return os.fsencode(home / "cluster") in listing.stdout


def _leave(home: Path, attached: IO[bytes]) -> None:
    with suppress(FileNotFoundError), _gate(home):  # the server of a deleted folder stops by itself
        if _obtained(attached):
            _stop(home)
    fcntl.flock(attached, fcntl.LOCK_UN)


def _stop(home: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with _lock_file(home, "server") as lock:
            if _obtained(lock):
                break
        pid, _ = _postmaster(home)
        if _is_postmaster(pid, home):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)  # fast shutdown; to repeat it changes nothing
        time.sleep(0.01)
    _reap(home)


def _reap(home: Path) -> None:
    if child := _started.pop(home, None):
        with suppress(subprocess.TimeoutExpired):
            child.wait(1)
