"""The command that holds what is shown against what happened."""

import sys
from uuid import UUID

import click

from api.database import Database, with_database
from api.terminal import head, progress


@click.command()
@click.option("--check", is_flag=True, required=True, help="Compare; the only mode so far.")
@click.option("--to", "position", metavar="POSITION", type=click.IntRange(0),
              help="Fold no further; what has changed since is not compared.")  # fmt: skip
@click.option("--table", metavar="ID", type=click.UUID, help="Only this table.")
def replay(check: bool, position: int | None, table: UUID | None) -> None:
    """Fold every event from zero and compare with the read models and reservations."""
    from api.roles import PROJECTOR_ROLE, as_role
    from projections.check import check as run
    from projections.comparing import Report

    async def checked(found: Database) -> Report:
        conninfo = as_role(found.url, PROJECTOR_ROLE)
        last = await head(conninfo)
        show = progress(last if position is None else min(last, position))
        report = await run(conninfo, only=table, to=position, progress=show)
        show(last)
        return report

    report = with_database(checked, PROJECTOR_ROLE)
    if table and not report.events and not report.differences:
        raise click.ClickException(f"There is no table {table}.")
    click.echo(f"{report.events} events, {report.tables} tables, to position {report.position}.")
    for difference in report.differences:
        click.echo(difference, err=True)
    sys.exit(1 if report.differences else 0)
