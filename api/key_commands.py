"""`key create | list | revoke`: who gets in, for whoever runs the installation."""

from datetime import UTC, datetime
from uuid import UUID

import click
from psycopg import AsyncConnection

from api import keys
from api.database import with_connection


@click.group()
def key() -> None:
    """API keys: viewers read, editors also write, admins also purge."""


@key.command("create")
@click.option("--role", type=click.Choice(["viewer", "editor", "admin"]), default="viewer",
              show_default=True)  # fmt: skip
@click.option("--company", type=click.UUID, help="By default the only company there is.")
@click.option("--label", default="", help="What it is for.")
@click.option("--expires", type=click.DateTime(), help="When it stops working, in UTC.")
def create_key(role: str, company: UUID | None, label: str, expires: datetime | None) -> None:
    """Create a key and print it, once."""
    made = keys.NewKey.make()
    expires_at = expires and expires.replace(tzinfo=UTC)

    async def run(connection: AsyncConnection) -> None:
        owner = company or await keys.only_company(connection)
        if owner is None:
            raise click.ClickException("Say which company: --company UUID.")
        await keys.store(connection, made, owner, role, label, expires_at)

    with_connection(run)
    click.echo(str(made))


@key.command("list")
def list_keys() -> None:
    """List all keys, without their secrets."""
    rows = with_connection(keys.listed)
    click.echo("id                                    company                               role"
               "    state    last used         label")  # fmt: skip
    for id, company_id, role, label, _, expires_at, revoked_at, last_used_at in rows:
        expired = expires_at and expires_at <= datetime.now(UTC)
        state = "revoked" if revoked_at else "expired" if expired else "valid"
        used = f"{last_used_at:%Y-%m-%d %H:%M}" if last_used_at else "never"
        click.echo(f"{id}  {company_id}  {role:7} {state:8} {used:17} {label}")


@key.command("revoke")
@click.argument("id", type=click.UUID)
def revoke_key(id: UUID) -> None:
    """Stop letting the key ID in, within a second, everywhere."""
    if not with_connection(lambda connection: keys.revoke(connection, id)):
        raise click.ClickException("There is no such key, or it is revoked already.")
    click.echo("Revoked.")
