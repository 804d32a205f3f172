"""`key` and `company`: who gets in, for whoever runs the installation."""

from datetime import UTC, datetime
from uuid import UUID

import click
from psycopg import AsyncConnection

from api import keys
from api.database import with_connection, with_database
from api.operator import listed, register
from api.roles import API_ROLE
from api.scopes import ROLES


@click.group()
def key() -> None:
    """API keys: made, listed, rotated and revoked."""


@key.command("create")
@click.option("--role", type=click.Choice(list(ROLES)), default="viewer", show_default=True)
@click.option("--company", type=click.UUID,
              help="By default the only company there is; `platform` is of none.")  # fmt: skip
@click.option("--label", default="", help="What it is for.")
@click.option("--expires", type=click.DateTime(), help="When it stops working, in UTC.")
def create_key(role: str, company: UUID | None, label: str, expires: datetime | None) -> None:
    """Create a key and print it, once."""
    made = keys.NewKey.make()
    expires_at = expires and expires.replace(tzinfo=UTC)

    async def run(connection: AsyncConnection) -> None:
        owner = None if role == "platform" else await _owner(connection, company)
        await keys.store(connection, made, owner, role, label, expires_at)

    with_connection(run)
    click.echo(str(made))


@key.command("list")
def list_keys() -> None:
    """List all keys, without their secrets."""
    rows = with_connection(keys.listed)
    click.echo(f"{'id':36}  {'company':36}  {'may':10} {'state':8} {'last used':17} label")
    for id, company_id, may, label, expires_at, revoked_at, last_used_at in rows:
        expired = expires_at and expires_at <= datetime.now(UTC)
        state = "revoked" if revoked_at else "expired" if expired else "valid"
        used = f"{last_used_at:%Y-%m-%d %H:%M}" if last_used_at else "never"
        owner = str(company_id or "platform")
        click.echo(f"{id}  {owner:36}  {may:10} {state:8} {used:17} {label}")


@key.command("rotate")
@click.argument("id", type=click.UUID)
@click.option("--overlap", type=click.FloatRange(0, 720), default=24, show_default=True,
              help="Hours for which the old key goes on working.")  # fmt: skip
def rotate_key(id: UUID, overlap: float) -> None:
    """Make a key in the place of the key ID and print it, once."""
    made = with_connection(lambda connection: keys.rotate(connection, id, overlap * 3600))
    if made is None:
        raise click.ClickException("There is no such key, or it is revoked or expired.")
    click.echo(str(made))


@key.command("revoke")
@click.argument("id", type=click.UUID)
def revoke_key(id: UUID) -> None:
    """Stop letting the key ID in, within a second, everywhere."""
    if not with_connection(lambda connection: keys.revoke(connection, id)):
        raise click.ClickException("There is no such key, or it is revoked already.")
    click.echo("Revoked.")


@click.group()
def company() -> None:
    """Companies, each with tables, workspaces and keys of its own."""


@company.command("create")
@click.argument("name")
def create_company(name: str) -> None:
    """Register the company NAME, and print its id and the first key of an admin, once."""
    id, made = with_database(lambda found: register(found, name), API_ROLE)
    click.echo(f"Company {id}")
    click.echo(f"API key {made}")


@company.command("list")
def list_companies() -> None:
    """List all companies by name."""
    for id, name, removed_at in with_connection(listed):
        click.echo(f"{id}  {'removed' if removed_at else 'present'}  {name}")


async def _owner(connection: AsyncConnection, company: UUID | None) -> UUID:
    owner = company or await keys.only_company(connection)
    if owner is None:
        raise click.ClickException("Say which company: --company UUID.")
    if not await keys.is_company(connection, owner):
        raise click.ClickException(f"There is no company {owner}; `company list` shows them.")
    return owner
