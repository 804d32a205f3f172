"""How far something is that takes a while, for whoever waits at a terminal."""

import sys
from collections.abc import Callable

import click
from psycopg import AsyncConnection

HEAD = "SELECT coalesce(max(position), 0) FROM event_store.events"


async def head(conninfo: str) -> int:
    """The position of the last event, which is also how many there are."""
    async with await AsyncConnection.connect(conninfo, autocommit=True) as connection:
        row = await (await connection.execute(HEAD)).fetchone()
        return row[0] if row else 0


def progress(head: int) -> Callable[[int], None]:
    """Shows on a terminal how far it is; nothing any more at the end."""

    def show(position: int) -> None:
        percent = min(100, 100 * position // max(1, head))
        click.echo(f"\r{position:,} of {head:,} events, {percent} %", nl=False, err=True)
        if position >= head:
            click.echo("\r\033[K", nl=False, err=True)

    return show if sys.stderr.isatty() else lambda _: None
