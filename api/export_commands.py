"""`export` and `verify`: the log of a company taken away, and checked without the service."""

import hashlib
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from pydantic_core import PydanticCustomError, from_json

from api.database import Database, with_database
from api.edition import edition
from api.export_schemas import wanted
from api.points import point
from api.roles import API_ROLE, as_role
from application.audit_log import export as exporting
from application.audit_log.anchoring import Trusted
from application.audit_log.note_keys import NoteError, VerifierKey
from application.audit_log.verify import verify
from application.audit_log.verify_report import text
from application.event_store.session import ACT_AS, companies, connect


def _point(_: click.Context, __: click.Parameter, value: str | None) -> Any:
    try:
        return value if value is None else point(value)
    except PydanticCustomError as error:
        raise click.BadParameter(error.message()) from None


@click.command("export")
@click.option("--company", type=click.UUID, required=True, help="Whose log.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The file to write.")  # fmt: skip
@click.option("--from", "first", metavar="POINT", callback=_point,
              help="The first event: at a position, or recorded at a time or later.")  # fmt: skip
@click.option("--to", "last", metavar="POINT", callback=_point,
              help="The last event: at a position, or recorded at a time or earlier.")  # fmt: skip
@click.option("--csv", is_flag=True, help="For a spreadsheet, instead of to be verified.")
def export(company: UUID, output: Path, first: Any, last: Any, csv: bool) -> None:
    """Write the log of a company to a file, up to the last event whose head is signed."""
    part = output.with_name(f"{output.name}.part")

    async def run(found: Database) -> tuple[int, str]:
        async with await connect(as_role(found.url, API_ROLE)) as connection:
            async with connection.transaction():
                await connection.execute(ACT_AS, (companies(company),))
                of = await wanted(connection, company, first, last)
            show = _progress()
            pieces = (
                exporting.spreadsheet(connection, of, show)
                if csv
                else exporting.archive(connection, of, edition(), show)
            )
            size, hash = 0, hashlib.sha256()
            with part.open("wb") as file:
                async with aclosing(pieces):
                    async for piece in pieces:
                        file.write(piece)
                        size += len(piece)
                        hash.update(piece)
            return size, hash.hexdigest()

    try:
        size, digest = with_database(run, API_ROLE)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"Wrote {size:,} bytes to {output}, SHA-256 {digest}.")


class _WrongCall(click.UsageError):
    """So that it is not taken for an answer."""

    exit_code = 1


class _Answering(click.Command):
    """A command whose 2 is an answer: a call that is wrong ends with 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As any command does."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _WrongCall(error.format_message(), error.ctx) from None


@click.command("verify", cls=_Answering)
@click.argument("archive", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path),
              help="A checkpoint that you kept: its events must be in the archive.")  # fmt: skip
@click.option("--public-key", "keys", multiple=True, metavar="KEY-OR-FILE",
              help="A public key that you trust, or a file with some, one a line or as"
                   " /api/audit/keys lists them.")  # fmt: skip
def verify_export(archive: Path, checkpoint: Path | None, keys: tuple[str, ...]) -> None:
    """Check that an export is what was recorded and signed; needs no database.

    Ends with 0 if it is sound, 1 if it was altered, 2 if it is sound but rests on nothing that was
    given.
    """
    saved = None
    if checkpoint:
        saved = _small(checkpoint).decode(errors="replace")
    trusted = Trusted([key for each in keys for key in _keys(each)], saved)
    report = verify(archive, trusted, _progress())
    click.echo(text(report))
    sys.exit(report.status)


def _keys(given: str) -> list[VerifierKey]:
    """The keys of an option: itself one, or the name of a file with some."""
    try:
        path = Path(given)
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False
    try:
        found = [VerifierKey.parse(key) for key in (_listed(_small(path)) if is_file else [given])]
    except NoteError as error:
        raise click.ClickException(f"--public-key {given[:200]}: {error}") from None
    if not found:
        raise click.ClickException(f"There is no key in {given[:200]}.")
    return found


def _listed(text: bytes) -> list[str]:
    """The keys of what the route for them answers; or one a line."""
    try:
        return [str(item["key"]) for item in from_json(text)["items"]]
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace").split()


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1_000_000)


def _progress() -> Callable[[int, int], None]:
    """Shows on a terminal how far it is."""

    def show(done: int, all: int) -> None:
        percent = 100 * done // max(1, all)
        click.echo(f"\r{done:,} of {all:,} events, {percent} %", nl=False, err=True)
        if done >= all:
            click.echo("\r\033[K", nl=False, err=True)

    return show if sys.stderr.isatty() else lambda _, __: None
