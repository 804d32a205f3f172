"""Which database: the one that is configured, or the embedded one of the data folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from api.embedded_postgres import attach
from api.settings import Settings


@dataclass(frozen=True)
class Database:
    """How to reach it: as the processes do, and as somebody who may create roles."""

    url: str
    admin_url: str


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """The database of these settings; the embedded one runs at least until the end of the block.

    Raises:
        EmbeddedPostgresError: the embedded database cannot be started.
    """
    if settings.database_url:
        yield Database(settings.database_url, settings.admin_database_url or settings.database_url)
        return
    with attach(settings.data_dir) as url:
        yield Database(url, url)
