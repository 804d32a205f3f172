"""The command line: what each command is called, and takes."""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import click
import psycopg
import pydantic

from api import logs
from api.collector import collect_seldom
from api.database import Database, NotMigrated, database, require_migrated, with_database
from api.postgres_programs import EmbeddedPostgresError
from api.settings import Settings
from api.terminal import head, progress

if TYPE_CHECKING:  # slow to load, with all events
    from projections.base import Projection

WEBHOOKS, AUDIT_LOG, AUDIT_TREES = "webhooks", "audit-log", "audit_log"
EXPORTS = "exports"


# What most processes never need is imported with the command that does.
ELSEWHERE = {
    "audit-key": "audit_commands:audit_key", "checkpoint": "audit_commands:checkpoint",
    "company": "key_commands:company", "export": "export_commands:export",
    "key": "key_commands:key", "publish": "publish_commands:publish",
    "replay": "replay_commands:replay", "verify": "export_commands:verify_export",
}  # fmt: skip


class Commands(click.Group):
    """The commands of this module, and those that are elsewhere."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All of them, by name."""
        return sorted([*super().list_commands(context), *ELSEWHERE])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of this name, with what it needs."""
        if name not in ELSEWHERE:
            return super().get_command(context, name)
        module, _, command = ELSEWHERE[name].partition(":")
        found: click.Command = getattr(import_module(f"api.{module}"), command)
        return found


@click.group(cls=Commands)
@click.pass_context
def cli(context: click.Context) -> None:
    """Dynamic Tables: event-sourced tables whose shape people change at run time."""
    collect_seldom()
    try:
        settings = Settings()
    except pydantic.ValidationError as error:
        raise click.ClickException(_wrong_settings(error)) from None
    logs.configure(settings.log_level, context.invoked_subcommand or "")


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
@click.option("--healthy", is_flag=True,
              help="Only look whether the API that runs on this machine is ready.")  # fmt: skip
def serve(workers: int, demo: bool, api_only: bool, healthy: bool) -> None:
    """Serve the API, and start everything that it needs."""
    settings = Settings()
    if healthy:
        from api.health import check_api

        check_api(settings.host, settings.port)
        return
    from api import serving

    serving.serve(settings, workers, demo, api_only)


@cli.command(hidden=True)
@click.option("--fd", type=int, required=True)
def worker(fd: int) -> None:
    """Be one API process of `serve`."""
    gc.disable()  # what is loaded stays; looking through it again and again takes a sixth of it
    from api import processes
    from api.worker import serve_requests

    gc.enable()
    processes.end_with_parent()
    settings = Settings()
    serve_requests(settings, settings.database_url or "", fd)


@cli.command()
@click.option("--only", metavar="NAME",
              help="Only one: a read model, cascade, webhooks, audit-log, or exports.")  # fmt: skip
@click.option("--healthy", is_flag=True,
              help="Only look whether some process keeps all of this current.")  # fmt: skip
@click.option("--supervised", is_flag=True, hidden=True)
def project(only: str | None, healthy: bool, supervised: bool) -> None:
    """Keep read models and the audit log current, empty deleted workspaces, send webhooks, export.

    Of several processes, one works on each and the others stand by; webhooks they send together,
    and each makes other exports.
    """
    from api import processes
    from api.background import followers, keep_audit_log, make_exports, send_webhooks
    from api.health import check_projector
    from api.roles import PROJECTOR_ROLE, as_role

    if supervised:
        processes.end_with_parent()
    settings = Settings()
    with database(settings) as found:
        conninfo = as_role(found.url, PROJECTOR_ROLE)
        also = {WEBHOOKS: send_webhooks, AUDIT_LOG: keep_audit_log, EXPORTS: make_exports}
        chosen = [] if only in also else _named(only, followers(conninfo), *also)
        others = [partial(also[name], settings, found.url) for name in also if only in (None, name)]
        if healthy:
            keeps_log = only in (None, AUDIT_LOG)
            asyncio.run(check_projector(conninfo, chosen, audit_log=keeps_log))
            return
        if not supervised:
            require_migrated(found.url, PROJECTOR_ROLE)
        processes.project(conninfo, chosen, others)


@cli.command()
def migrate() -> None:
    """Bring the database to the present schema."""
    from api.migrations import migrate as run

    key_file = Settings().audit_key_file
    with_database(lambda found: run(found.admin_url, found.url, key_file))
    click.echo("The schema is up to date.")


@cli.command()
@click.argument("name")
def rebuild(name: str) -> None:
    """Build the read model NAME, or the audit_log, anew from the events, and swap it in."""
    from api.audit_commands import rebuild_trees
    from api.read_models import READ_MODELS
    from api.roles import PROJECTOR_ROLE, as_role
    from projections.rebuild import AlreadyRebuilding
    from projections.rebuild import rebuild as run

    chosen = None if name == AUDIT_TREES else _named(name, READ_MODELS, AUDIT_TREES)[0]
    started = time.monotonic()

    async def rebuilt(found: Database) -> int:
        conninfo = as_role(found.url, PROJECTOR_ROLE)
        show = progress(await head(conninfo))
        if chosen is None:
            return await rebuild_trees(conninfo, show)
        return await run(conninfo, chosen, show)

    try:
        position = with_database(rebuilt, PROJECTOR_ROLE)
    except AlreadyRebuilding:
        raise click.ClickException(f"{name} is being rebuilt already.") from None
    click.echo(f"Rebuilt {name} to position {position} in {time.monotonic() - started:.1f} s.")


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from api.app import create_app

    click.echo(json.dumps(create_app(Settings(), "").openapi(), indent=2, ensure_ascii=False))


@cli.command()
def asyncapi() -> None:
    """Print the AsyncAPI document: the feed, the stream, webhooks and NATS."""
    from api.app import create_app
    from api.asyncapi import document

    version = create_app(Settings(), "").version
    click.echo(json.dumps(document(version), indent=2, ensure_ascii=False))


def main() -> None:
    """Run a command; what goes wrong is one clear line."""
    try:
        cli(prog_name="dynamic-tables")
    except Exception as error:
        explained = _explained(error)
        if explained is None:
            raise
        sys.exit(f"Error: {' '.join(explained.split())}")


def _explained(error: Exception) -> str | None:
    """What to tell whoever runs this; None for what only a programmer can read."""
    from api.health import Unhealthy
    from api.migrations import TooOld
    from api.operator import InvalidName
    from application.audit_log.note import NoteError
    from application.audit_log.selection import NothingSigned
    from application.errors import Fault
    from application.publisher import CannotContinue
    from domain.errors import UnreadableEvent

    if isinstance(error, psycopg.Error):
        return f"the database said: {(str(error).strip() or repr(error)).splitlines()[0]}"
    ours = (
        CannotContinue, EmbeddedPostgresError, Fault, InvalidName, NothingSigned, NotMigrated,
        NoteError, OSError, TooOld, Unhealthy, UnreadableEvent,
    )  # fmt: skip
    return str(error) if isinstance(error, ours) else None


def _wrong_settings(error: pydantic.ValidationError) -> str:
    """The variables that are wrong, without their values: some hold passwords."""
    return "; ".join(
        f"DYNAMIC_TABLES_{str(each['loc'][0]).upper()}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors()
    )


def _named(name: str | None, known: "Sequence[Projection]", *others: str) -> "Sequence[Projection]":
    """The one of this name, or all; `others`: what else there would be."""
    chosen = [each for each in known if name in (None, each.name)]
    if not chosen:
        names = ", ".join([*(each.name for each in known), *others])
        raise click.ClickException(f"There is no {name!r}; there is {names}.")
    return chosen


if __name__ == "__main__":
    main()
