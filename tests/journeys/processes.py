"""The whole system as real processes, started and stopped as a person would."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import httpx
import psutil
import pytest

from api.embedded_postgres import attach

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-P", "-m", "api")
SOON = 25.0  # seconds, on a busy machine
KEPT = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TMPDIR")


def environment(data: Path, **settings: object) -> dict[str, str]:
    """What a process of ours sees: this data folder, any free port, and these settings."""
    own = {f"DYNAMIC_TABLES_{name.upper()}": str(value) for name, value in settings.items()}
    inherited = {name: os.environ[name] for name in KEPT if name in os.environ}
    here = {"DYNAMIC_TABLES_DATA_DIR": str(data), "DYNAMIC_TABLES_PORT": "0"}
    return inherited | here | own


def run(data: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data, **settings),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def until(holds: Callable[[], object], timeout: float, what: str) -> float:
    """Wait until something holds; returns how long it took, fails after `timeout` seconds."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < timeout, f"not within {timeout} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - started


def descendants(pid: int) -> dict[int, str]:
    """All processes below this one, with their command lines."""
    found: dict[int, str] = {}
    for each in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
            found[each.pid] = " ".join(each.cmdline())
    return found


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def python_of(account: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """How the account can run the command, if it can: the interpreter may be out of its reach."""
    spec = importlib.util.find_spec("psycopg")
    site = Path(str(spec and spec.origin)).parents[1]
    variables = {"PYTHONPATH": f"{ROOT}:{site}", "HOME": "/"}
    name = f"python3.{sys.version_info.minor}"
    for python in filter(None, (sys.executable, shutil.which(name, path=os.defpath))):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [python, "-B", "-c", "import api.serving"],
                env=variables,
                user=account,
                extra_groups=[],
                cwd="/",
                check=True,
                capture_output=True,
            )
            return (python, "-B", "-P", "-m", "api"), variables
    pytest.skip(f"account {account} can reach no {name} with what it needs")


class Serve:
    """A `serve` that runs; at the end of its block nothing of it is left."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        command: tuple[str, ...] = COMMAND,
        user: str | None = None,
        variables: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **settings: object,
    ) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.{time.monotonic_ns()}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "serve", *arguments],
                env=environment(data, **settings) | dict(variables or {}),
                cwd=cwd or "/",
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                user=user,
                extra_groups=[] if user else None,
            )
        self.address = ""
        self.output: list[str] = []

    def ready(self) -> "Serve":
        """Wait for what it prints once it can be used."""
        assert self.process.stdout
        wanted = 4 if "--demo" in self.process.args else 1
        for _ in range(wanted):
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.log.read_text()}"
            self.output.append(line.rstrip("\n"))
        self.address = self.output[0].removeprefix("Address ")
        self.key = self.output[1].removeprefix("API key ") if wanted == 4 else ""
        return self

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=30)

    def children(self, kind: str = "") -> list[int]:
        """The processes below it whose command line contains `kind`."""
        below = descendants(self.process.pid)
        return [pid for pid, command in below.items() if kind in command]

    def postmaster(self) -> int:
        return int((self.data / "cluster/postmaster.pid").read_text().split()[0])

    def end(self, number: int = signal.SIGTERM) -> float:
        """Tell it to end; fails unless all of its processes are gone soon."""
        all_of_it = [self.process.pid, *self.children()]
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(SOON)
        left = SOON - (time.monotonic() - started)
        until(lambda: not any(map(alive, all_of_it)), left, "all gone")
        return time.monotonic() - started

    def __enter__(self) -> "Serve":
        return self.ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave nothing of it behind, whatever became of it."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if (self.data / "cluster/postmaster.pid").exists():
            with attach(self.data):
                pass  # the last to leave stops it
