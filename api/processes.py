"""The processes of one installation on one machine, and who watches them."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import uvloop

from api.settings import Settings
from projections.base import Projection
from projections.projector import Projector, housekeeping

GRACE = 5  # seconds for requests that are under way when we stop; all is over within ten
LINGER = 1.5  # seconds more until a process that does not end is killed
UNSENT = 128 * 1024  # bytes that the system keeps for a client that does not read
RESTART_DELAY = 0.5  # seconds

Task = Callable[[], Coroutine[Any, Any, None]]

logger = logging.getLogger(__name__)


class Child:
    """A process of ours; it ends when we do, however we end, because its stdin closes."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str], fd: int = -1):
        self.name = name
        # -P: a folder named api where the user happens to be is not ours.
        self._command = [sys.executable, "-P", "-m", "api", *arguments]
        self._environment = environment
        self._fds = (fd,) if fd >= 0 else ()
        self.start()

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C is for us, and we decide in which order."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603  # our own program
            self._command,
            stdin=subprocess.PIPE,
            env=self._environment,
            pass_fds=self._fds,
            start_new_session=True,
        )

    def revive(self) -> None:
        """Start it again if it died."""
        if self.process.poll() is None or time.monotonic() - self.started_at < RESTART_DELAY:
            return
        logger.error("%s ended with status %s; starts again", self.name, self.process.returncode)
        self.start()


@contextlib.contextmanager
def running(
    listener: socket.socket, database_url: str, workers: int, projector: bool
) -> Iterator[Callable[[], None]]:
    """Run API workers, and the projector; yields a function that revives what died."""
    environment = os.environ | {"DYNAMIC_TABLES_DATABASE_URL": database_url}
    environment.pop("DYNAMIC_TABLES_ADMIN_DATABASE_URL", None)  # nothing that they need
    fd = listener.fileno()
    api = [
        Child(f"API worker {n}", ["worker", "--fd", str(fd)], environment, fd)
        for n in range(1, workers + 1)
    ]
    others = [Child("projector", ["project", "--supervised"], environment)] if projector else []

    def revive() -> None:
        for child in (*api, *others):
            child.revive()

    try:
        yield revive
    finally:
        listener.close()  # with the workers' copies gone, who comes now is refused at once
        _stop(api, GRACE + LINGER)
        _stop(others, LINGER)  # until then it let the last reads see the last writes


def _stop(children: Sequence[Child], timeout: float) -> None:
    """Ask them all to end; insist after `timeout` seconds."""
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + timeout
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def listen(settings: Settings) -> socket.socket:
    """The socket that all API workers share.

    Raises:
        OSError: the port is in use, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def project(conninfo: str, projections: Sequence[Projection], others: Sequence[Task] = ()) -> None:
    """Be the projector until SIGTERM or SIGINT, and whatever else follows events."""
    until_told(_project(conninfo, projections, others))


def until_told(work: Coroutine[Any, Any, None]) -> None:
    """Do some work to its end, or until SIGTERM or SIGINT."""
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        uvloop.run(_heeding_sigterm(work))


async def _heeding_sigterm(work: Coroutine[Any, Any, None]) -> None:
    me: asyncio.Task[Any] | None = asyncio.current_task()
    if me is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    await work


async def _project(
    conninfo: str, projections: Sequence[Projection], others: Sequence[Task]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for projection in projections:
            tasks.create_task(Projector(conninfo, projection).run())
        for other in others:
            tasks.create_task(other())
        tasks.create_task(housekeeping(conninfo))


def end_with_parent() -> None:
    """Get SIGTERM when whoever started us is gone: our stdin is a pipe from there."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE + LINGER)
        os._exit(1)  # nobody is left to insist

    threading.Thread(target=watch, daemon=True).start()
