"""`audit-key` and `checkpoint`: who signs the audit log, and what was signed last."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID, uuid4

import click
from psycopg import AsyncConnection

from api.database import Database, with_database
from api.roles import PROJECTOR_ROLE, as_role
from api.settings import Settings
from application.audit_log import keys
from application.audit_log.heads import head
from application.audit_log.note import NoteError, SignerKey
from application.audit_log.rebuilding import rebuild
from application.event_store.session import connect

T = TypeVar("T")
IN_FILE = (
    "The key is in the file of DYNAMIC_TABLES_AUDIT_KEY_FILE: put the one that `audit-key generate`"
    " prints before it there, and start `project` again."
)


@click.group("audit-key")
def audit_key() -> None:
    """The keys that sign the heads of the audit log."""


@audit_key.command("list")
def list_audit_keys() -> None:
    """List all keys, the one that signs first, as those who verify need them."""
    for each in _as_projector(keys.listed):
        retired = f"retired {each.retired_at:%Y-%m-%d %H:%M}" if each.retired_at else "signs"
        click.echo(f"{retired:24}  since {each.created_at:%Y-%m-%d %H:%M}  {each.key}")


@audit_key.command("generate")
@click.option("--name", help="What it is called in notes; by default `dynamic-tables/<UUID>`.")
def generate_audit_key(name: str | None) -> None:
    """Print a new signer key for the file of DYNAMIC_TABLES_AUDIT_KEY_FILE.

    What it signs is verified with the key that is shown on standard error, which is no secret.
    """
    try:
        made = SignerKey.generate(name or f"dynamic-tables/{uuid4()}")
    except NoteError as error:
        raise click.ClickException(str(error)) from None
    click.echo(made.text())
    click.echo(f"Verifier key {made.verifier}", err=True)


@audit_key.command("rotate")
def rotate_audit_key() -> None:
    """Make a new key in the database, that signs from now on, and print its verifier key.

    The old one signs the last head of each company along with it, once.
    """
    if Settings().audit_key_file:
        raise click.ClickException(IN_FILE)
    click.echo(_as_projector(keys.rotate))


@click.command()
@click.option("--company", type=click.UUID, required=True, help="Whose; `company list` shows them.")
def checkpoint(company: UUID) -> None:
    """Print the last signed head of a company's audit log, to be kept where nobody can change it.

    Exit status 1 if there is none, or if no further head is signed because the log was altered.
    """
    found = _as_projector(lambda connection: head(connection, company))
    if found is None:
        raise click.ClickException(f"Nothing was signed yet for a company {company}.")
    click.echo(found.note, nl=False)
    if found.refused:
        since = f"{found.refused_at:%Y-%m-%d %H:%M:%S}"
        raise click.ClickException(f"No head is signed since {since}. {found.refused}")


async def rebuild_trees(conninfo: str, progress: Callable[[int], None]) -> int:
    """Build the trees anew; up to which position.

    Raises:
        ClickException: they are not what was signed.
    """
    position, refused = await rebuild(conninfo, progress)
    if refused:
        raise click.ClickException(
            f"Built to position {position}. Of {refused} companies the log does not extend what"
            " was signed; `checkpoint --company ID` says why."
        )
    return position


def _as_projector(run: Callable[[AsyncConnection[Any]], Coroutine[Any, Any, T]]) -> T:
    async def connected(found: Database) -> T:
        async with await connect(as_role(found.url, PROJECTOR_ROLE)) as connection:
            return await run(connection)

    return with_database(connected, PROJECTOR_ROLE)
