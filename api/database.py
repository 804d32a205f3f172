"""Which database: the one that is configured, or the embedded one of the data folder."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from api.embedded_postgres import attach, revive
from api.settings import Settings

T = TypeVar("T")

CONNECT_TIMEOUT = 5  # seconds
MIGRATED = """
SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('projections.positions'))
   AND EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('audit_log.progress'))
   AND EXISTS (SELECT FROM pg_roles WHERE rolname = %s AND pg_has_role(oid, 'MEMBER'))
"""


class NotMigrated(Exception):
    """The database is not ready for this user: run `dynamic-tables migrate` first."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@dataclass(frozen=True)
class Database:
    """How to reach it: as the processes do, and as somebody who may create roles.

    `revive` starts it again if it is ours and died, and tells whether it had.
    """

    url: str
    admin_url: str
    revive: Callable[[], bool] = lambda: False


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """The database of these settings; the embedded one runs at least until the end of the block.

    Raises:
        EmbeddedPostgresError: the embedded database cannot be started.
    """
    configured = settings.database_url or settings.admin_database_url
    if configured:
        yield Database(configured, settings.admin_database_url or configured)
        return
    with attach(settings.data_dir) as url:
        yield Database(url, url, lambda: revive(settings.data_dir, url))


def require_migrated(url: str, role: str) -> None:
    """Say at once what would otherwise be tried for ever.

    Raises:
        NotMigrated: there is no schema, or this user may not act as the role.
        psycopg.Error: the database cannot be reached, or lets nobody in.
    """
    with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT) as connection:
        try:
            row = connection.execute(MIGRATED, (role,)).fetchone()
        except psycopg.errors.InsufficientPrivilege:  # may not even look into the schema
            row = None
        if not row or not row[0]:
            raise NotMigrated


def with_database(run: Callable[[Database], Coroutine[Any, Any, T]], role: str | None = None) -> T:
    """Run a command on the database of the settings; if it acts as a role, that must be there.

    Raises:
        EmbeddedPostgresError, NotMigrated, psycopg.Error.
    """
    with database(Settings()) as found:
        if role:
            require_migrated(found.url, role)
        return asyncio.run(run(found))


def with_connection(run: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Run a command on a connection as the administrator of the database.

    Raises:
        EmbeddedPostgresError, NotMigrated, psycopg.Error.
    """

    async def connected(found: Database) -> T:
        async with await AsyncConnection.connect(
            found.admin_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT
        ) as connection:
            try:
                return await run(connection)
            except psycopg.errors.UndefinedTable:
                raise NotMigrated from None

    return with_database(connected)
