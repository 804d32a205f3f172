"""`serve`: from a port and a data folder to an answering API, and down again without a trace."""

import asyncio
import contextlib
import errno
import http.client
import logging
import signal
import socket
import time
from collections.abc import Callable
from typing import TypeVar

import click

from api import processes
from api.database import Database, database, require_migrated
from api.demo import seed
from api.health import readiness
from api.keys import NewKey
from api.migrations import migrate
from api.postgres_programs import EmbeddedPostgresError
from api.roles import API_ROLE
from api.settings import Settings

PATIENCE = 30.0  # seconds until the API must answer
CATCH_UP = 5.0  # seconds for the read models to have what was there before we started
WATCH = 0.5  # seconds between two looks at what may have died

T = TypeVar("T")

logger = logging.getLogger(__name__)


def serve(settings: Settings, workers: int, demo: bool, api_only: bool) -> None:
    """Serve until told to stop.

    Raises:
        click.ClickException: the port cannot be had, or the API does not answer.
        EmbeddedPostgresError, NotMigrated, TooOld, psycopg.Error: the database is not fit.
    """
    _end_on_signals()
    with (
        contextlib.suppress(KeyboardInterrupt),
        _listen(settings) as listener,
        database(settings) as found,
    ):
        let_in = _prepare(found, settings, demo, api_only)
        with processes.running(listener, found.url, workers, not api_only) as revive:
            _greet(listener, revive, let_in)
            _watch(found, revive)
    click.echo("Stopped.", err=True)


def _end_on_signals() -> None:
    """Ctrl-C, `kill` and a closed terminal all end us in order, however often they come."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    taken = [each for each in numbers if signal.getsignal(each) != signal.SIG_IGN]

    def interrupt(*_: object) -> None:
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in taken:
        signal.signal(each, interrupt)


def _listen(settings: Settings) -> socket.socket:
    try:
        return processes.listen(settings)
    except OSError as error:
        is_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
        wrong = "PORT to another port" if is_port else "HOST to another address"
        raise click.ClickException(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            f"Set DYNAMIC_TABLES_{wrong}."
        ) from None


def _prepare(
    found: Database, settings: Settings, demo: bool, api_only: bool
) -> tuple[NewKey, str] | None:
    if not api_only:
        asyncio.run(migrate(found.admin_url, found.url, settings.audit_key_file))
    require_migrated(found.url, API_ROLE)
    return asyncio.run(seed(found, settings.data_dir)) if demo else None


def _greet(
    listener: socket.socket, revive: Callable[[], None], let_in: tuple[NewKey, str] | None
) -> None:
    host, port = listener.getsockname()[:2]
    _wait_until_ready(host, port, revive)
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    click.echo(f"Address {address}")
    if let_in:
        key, code = let_in
        click.echo(f"API key {key}")
        click.echo(f"curl -s {address}/api/tables -H 'Authorization: Bearer {key}'")
        click.echo(f"Sign in {address}/sign-in?code={code}")


def _wait_until_ready(host: str, port: int, revive: Callable[[], None]) -> None:
    """Wait until the API answers and, for a while, until it shows what was there before."""
    first = _obtain(lambda: _projections(host, port), PATIENCE, revive)
    if not first:
        raise click.ClickException(f"The API did not answer within {PATIENCE:.0f} s; see above.")
    heads = {name: position + lag for name, (position, lag) in first.items()}

    def caught_up() -> bool:
        now = _projections(host, port)
        return all(now.get(name, (0, 0))[0] >= head for name, head in heads.items())

    _obtain(caught_up, CATCH_UP, revive)


def _obtain(ask: Callable[[], T], patience: float, revive: Callable[[], None]) -> T | None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        revive()
        time.sleep(0.05)
    return None


def _projections(host: str, port: int) -> dict[str, tuple[int, int]]:
    """Position and lag of each read model; empty while the API cannot tell."""
    try:
        _, body = readiness(host, port)
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return {p["projection"]: (int(p["position"]), p["lag"]) for p in body.get("projections", ())}


def _watch(found: Database, revive: Callable[[], None]) -> None:
    """Bring back what dies, the database first, until a signal ends us."""
    while True:
        time.sleep(WATCH)
        try:
            if found.revive():
                logger.warning("the database had died; it runs again")
        except EmbeddedPostgresError as error:
            logger.warning("the database does not come back: %s", error)
        revive()
