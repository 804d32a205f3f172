"""The command line: dynamic-tables serve | project | migrate | rebuild | replay | key | openapi."""

import asyncio
import json
import logging
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import click
import psycopg
from psycopg import AsyncConnection

from api.database import Database, database
from api.embedded_postgres import EmbeddedPostgresError
from api.settings import Settings


@click.group()
def cli() -> None:
    """Dynamic Tables: event-sourced tables whose shape people change at run time."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(message)s")
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


@cli.command()
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many API processes share the port.",
)
@click.option("--demo", is_flag=True, help="With a demo company, and a key that is printed.")
@click.option("--api-only", is_flag=True,
              help="Only the API: `migrate` has run, `project` runs elsewhere.")  # fmt: skip
def serve(workers: int, demo: bool, api_only: bool) -> None:
    """Serve the API, and start everything that it needs."""
    from api import processes
    from api.demo import seed
    from api.migrations import migrate

    settings = Settings()
    try:
        listener = processes.listen(settings)
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Set DYNAMIC_TABLES_PORT to another port."
        ) from None
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with listener, database(settings) as found:
            if not api_only:
                asyncio.run(migrate(found.admin_url, found.url))
            key = asyncio.run(seed(found, settings.data_dir)) if demo else None
            with processes.running(settings, listener, found.url, workers, not api_only) as revive:
                address = _address(listener)
                _wait_until_ready(address, revive)
                _greet(address, key)
                while True:
                    time.sleep(1)
                    revive()
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)


@cli.command(hidden=True)
@click.option("--fd", type=int, required=True)
def worker(fd: int) -> None:
    """Be one API process of `serve`."""
    from api import processes

    processes.end_with_parent()
    settings = Settings()
    processes.serve_requests(settings, settings.database_url or "", fd)


@cli.command()
@click.option("--only", help="Only the projection of this name.")
@click.option("--supervised", is_flag=True, hidden=True)
def project(only: str | None, supervised: bool) -> None:
    """Keep the read models current; of several processes, one works and the others stand by."""
    from api import processes

    if supervised:
        processes.end_with_parent()
    with database(Settings()) as found:
        processes.project(found.url, only)


@cli.command()
def migrate() -> None:
    """Bring the database to the present schema."""
    from api.migrations import migrate as run

    _with_database(lambda found: run(found.admin_url, found.url))
    click.echo("The schema is up to date.")


@cli.command()
@click.argument("name")
def rebuild(name: str) -> None:
    """Build the read model NAME anew from the events, and swap it in."""
    from api.bootstrap import PROJECTOR_ROLE, as_role
    from api.migrations import PROJECTIONS
    from projections.rebuild import AlreadyRebuilding
    from projections.rebuild import rebuild as run

    chosen = next((p for p in PROJECTIONS if p.name == name), None)
    if chosen is None:
        raise click.ClickException(f"There is no read model {name!r}.")
    started = time.monotonic()
    try:
        position = _with_database(
            lambda found: run(as_role(found.url, PROJECTOR_ROLE), chosen, _progress)
        )
    except AlreadyRebuilding:
        raise click.ClickException(f"{name} is being rebuilt already.") from None
    click.echo(f"Rebuilt {name} to position {position} in {time.monotonic() - started:.1f} s.")


@cli.command()
@click.option("--check", is_flag=True, required=True, help="Compare; the only mode so far.")
def replay(check: bool) -> None:
    """Fold every event from zero and compare with the read models and reservations."""
    from api.bootstrap import PROJECTOR_ROLE, as_role
    from projections.check import check as run

    report = _with_database(lambda found: run(as_role(found.url, PROJECTOR_ROLE)))
    click.echo(f"{report.events} events, {report.tables} tables, to position {report.position}.")
    for difference in report.differences:
        click.echo(difference, err=True)
    sys.exit(1 if report.differences else 0)


@cli.group()
def key() -> None:
    """API keys."""


@key.command("create")
@click.option("--role", type=click.Choice(["viewer", "editor", "admin"]), default="viewer")
@click.option("--company", type=click.UUID, help="By default the only company there is.")
@click.option("--label", default="", help="What it is for.")
@click.option("--expires", type=click.DateTime(), help="When it stops working, in UTC.")
def create_key(role: str, company: UUID | None, label: str, expires: Any) -> None:
    """Create a key and print it, once."""
    from datetime import UTC

    from api import keys

    made = keys.NewKey.make()
    expires_at = expires and expires.replace(tzinfo=UTC)

    async def run(connection: AsyncConnection) -> None:
        owner = company or await keys.only_company(connection)
        if owner is None:
            raise click.ClickException("Say which company: --company UUID.")
        await keys.store(connection, made, owner, role, label, expires_at)

    _with_connection(run)
    click.echo(str(made))


@key.command("list")
def list_keys() -> None:
    """List all keys, without their secrets."""
    from api import keys

    rows = _with_connection(keys.listed)
    click.echo("id                                    company                               role"
               "    state    last used         label")  # fmt: skip
    for id, company_id, role, label, _, expires_at, revoked_at, last_used_at in rows:
        state = "revoked" if revoked_at else "expires" if expires_at else "valid"
        used = f"{last_used_at:%Y-%m-%d %H:%M}" if last_used_at else "never"
        click.echo(f"{id}  {company_id}  {role:7} {state:8} {used:17} {label}")


@key.command("revoke")
@click.argument("id", type=click.UUID)
def revoke_key(id: UUID) -> None:
    """Stop letting the key ID in, within a second, everywhere."""
    from api import keys

    if not _with_connection(lambda connection: keys.revoke(connection, id)):
        raise click.ClickException("There is no such key, or it is revoked already.")
    click.echo("Revoked.")


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from api.app import create_app

    click.echo(json.dumps(create_app(Settings(), "").openapi(), indent=2, ensure_ascii=False))


def main() -> None:
    """Run a command; what goes wrong is one clear line."""
    try:
        cli(prog_name="dynamic-tables")
    except EmbeddedPostgresError as error:
        sys.exit(f"Error: {error}")
    except psycopg.Error as error:
        sys.exit(f"Error: the database said: {str(error).strip().splitlines()[0]}")


def _with_database(run: Callable[[Database], Coroutine[Any, Any, Any]]) -> Any:
    with database(Settings()) as found:
        return asyncio.run(run(found))


def _with_connection(run: Callable[[AsyncConnection], Coroutine[Any, Any, Any]]) -> Any:
    async def connected(found: Database) -> Any:
        async with await AsyncConnection.connect(found.admin_url, autocommit=True) as connection:
            return await run(connection)

    return _with_database(connected)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _address(listener: Any) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _wait_until_ready(address: str, revive: Callable[[], None]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            revive()
            time.sleep(0.05)
    raise click.ClickException("The API did not become ready within 30 s; see the log above.")


def _greet(address: str, key: object) -> None:
    click.echo(f"Address {address}")
    if key:
        click.echo(f"API key {key}")
        click.echo(f"curl -s {address}/api/tables -H 'Authorization: Bearer {key}'")


def _progress(position: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\rposition {position}", nl=False, err=True)


if __name__ == "__main__":
    main()
