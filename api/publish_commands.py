"""`publish`: the processes that copy every event to a message broker."""

import re
from functools import partial

import click

from api.database import database, require_migrated
from api.settings import Settings

ONE_TOKEN = re.compile(r"[\w-]+", re.ASCII)


@click.group()
def publish() -> None:
    """Copy every event of every company, in order, to a message broker."""


def _stream(_: click.Context, __: click.Parameter, value: str) -> str:
    if not ONE_TOKEN.fullmatch(value):
        raise click.BadParameter("letters, digits, - and _ only")
    return value


@publish.command("nats")
@click.option("--stream", default="DYNAMIC_TABLES", show_default=True, callback=_stream,
              help="The stream; it is made if there is none.")  # fmt: skip
@click.option("--once", is_flag=True, help="Publish what is there, and end.")
@click.option("--rebuild", is_flag=True, help="Purge the stream, and begin at zero.")
@click.option("--after", type=click.IntRange(0), metavar="POSITION",
              help="Begin above this position if the stream is empty.")  # fmt: skip
def nats(stream: str, once: bool, rebuild: bool, after: int | None) -> None:
    """Copy to a stream of NATS JetStream, and go on as events come.

    Of several processes, one works and the others stand by.
    """
    from api import nats_broker, processes
    from api.roles import PROJECTOR_ROLE, as_role
    from application.publisher import SILENCE, Publisher

    settings = Settings()
    with database(settings) as found:
        require_migrated(found.url, PROJECTOR_ROLE)
        publisher = Publisher(
            nats_broker.name(settings.nats_url, stream),
            as_role(found.url, PROJECTOR_ROLE, f"-c idle_session_timeout={SILENCE}s"),
            partial(nats_broker.connected, settings.nats_url, stream),
            after,
            rebuild,
        )
        processes.until_told(publisher.once() if once else publisher.run())
