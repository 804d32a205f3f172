"""A peer: somebody else's service, installed from npm, running on this machine."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.load import LoadFailed
from benchmarks.peers.work import Contender, Shape

INSTALLED = Path("build/peers")
EMAIL, PASSWORD = "admin@example.com", "Only-4-benchmarks"
INSTALLING, STARTING, STOPPING = 1800, 180, 15  # seconds at most


class Unavailable(Exception):
    """A peer cannot be installed, started or prepared."""


@dataclass(frozen=True)
class Place:
    """Where a peer is installed, and where it keeps what."""

    modules: Path  # its node_modules
    folder: Path  # of its own, empty at first
    database: Mapping[str, str]  # of its own: host, port, user, dbname
    port: int

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Access:
    """How its items are reached."""

    credential: str  # a whole header
    shapes: Mapping[str, Shape]


class Peer(ABC):
    """What differs between peers."""

    name: ClassVar[str]
    package: ClassVar[str]  # of npm, with the version
    overrides: ClassVar[Sequence[tuple[str, str]]] = ()  # versions of what it depends on
    options: ClassVar[Sequence[str]] = ()  # of npm install
    flushes: ClassVar[bool] = True
    ready: ClassVar[str]  # the path that answers 200 when it has started

    @abstractmethod
    def set_up(self, place: Place) -> Sequence[str]:
        """The command that it needs before its first start, if any."""

    @abstractmethod
    def command(self, place: Place) -> Sequence[str]:
        """The command that serves."""

    def environment(self, place: Place) -> Mapping[str, str]:
        """What it is told by environment variables."""
        return {}

    @abstractmethod
    def prepare(self, address: str) -> Access:
        """Make the collection for the items, and a key to it."""

    def holds(self, address: str) -> bool:
        """Whether what it was told holds, before the work and after."""
        return True


def install(peer: Peer) -> Path:
    """Its node_modules; nothing is done when they are there.

    Raises:
        Unavailable: npm is missing, or cannot install it.
    """
    folder = INSTALLED.absolute() / peer.name.lower()
    done = folder / ".installed"
    if done.exists() and done.read_text() == peer.package:
        return folder / "node_modules"
    if not shutil.which("npm"):
        raise Unavailable("npm is not installed (Debian: apt install npm)")
    say(f"{peer.name}: installing {peer.package}, which may take minutes")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(
        json.dumps({"private": True, "overrides": dict(peer.overrides)})
    )
    command = ["npm", "install", "--no-audit", "--no-fund", *peer.options, peer.package]
    run(command, folder, {}, INSTALLING)
    done.write_text(peer.package)
    return folder / "node_modules"


@contextlib.contextmanager
def running(
    peer: Peer, modules: Path, folder: Path, database: Mapping[str, str]
) -> Iterator[Contender]:
    """Set it up, make the collection, start it again, fill it; it serves until the block ends.

    Raises:
        Unavailable: one of these failed.
    """
    folder.mkdir()
    place = Place(modules, folder, database, _free_port())
    if command := peer.set_up(place):
        run(command, folder, peer.environment(place), STARTING)
    with _started(peer, place):
        try:
            access = peer.prepare(place.address)
        except (OSError, KeyError, ValueError) as error:
            raise Unavailable(f"its API did not make the collection: {error!r}") from error
    with _started(peer, place) as (pid, seconds):
        _must_hold(peer, place)
        contender = Contender(
            peer.name, peer.package.replace("@", " "), peer.flushes, place.address,
            access.credential, access.shapes, seconds, resident(pid), lambda: resident(pid),
        )  # fmt: skip
        try:
            contender.fill()
        except LoadFailed as error:
            raise Unavailable(f"it did not take the first items: {error}") from error
        yield contender
        _must_hold(peer, place)


def _must_hold(peer: Peer, place: Place) -> None:
    if not peer.holds(place.address):
        raise Unavailable("what it was told does not hold")


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], limit: int) -> None:
    """Run a command to its end.

    Raises:
        Unavailable: it failed, or took too long.
    """
    what = f"{' '.join(command[:3])} …"
    with _spawned(command, folder, environment) as process:
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{what} took more than {limit} s") from error
    if code:
        raise Unavailable(f"{what} failed: {_reason(folder)}")


@contextlib.contextmanager
def _started(peer: Peer, place: Place) -> Iterator[tuple[int, float]]:
    """Serve until the block ends; the process id, and the seconds it took to answer."""
    began = time.monotonic()
    with _spawned(peer.command(place), place.folder, peer.environment(place)) as process:
        while not _answers(place.address + peer.ready):
            if process.poll() is not None or time.monotonic() - began > STARTING:
                raise Unavailable(f"it did not start: {_reason(place.folder)}")
            time.sleep(0.05)
        yield process.pid, time.monotonic() - began


@contextlib.contextmanager
def _spawned(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, which is gone when the block ends."""
    try:
        with (folder / "output.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=folder, env=os.environ | environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise Unavailable(f"{command[0]} cannot be run: {error}") from error
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOPPING)


def _reason(folder: Path) -> str:
    """The first line of its output that tells of an error, or the first of all."""
    lines = (folder / "output.log").read_text(errors="replace").split("\n")
    telling = [line for line in lines if "error" in line.lower()] or [x for x in lines if x] or [""]
    return telling[0][:200]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ask(url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
    """POST JSON, or GET without; the answer's."""
    request = urllib.request.Request(
        url, None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"} | dict(headers or {}),
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{error.code} {error.read()[:200]!r}") from error


def say(what: str) -> None:
    """Tell whoever waits."""
    print(what, file=sys.stderr, flush=True)


def resident(*roots: int) -> float:
    """MiB that these processes and their descendants have in memory (Linux)."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    pages = 0
    for pid in found:
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
