"""One database connection that is opened when first needed, and again after it broke."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from application.errors import AppendBusy, StoreUnavailable

CONNECT_TIMEOUT = 2  # seconds
ANSWER_TIMEOUT = 15  # seconds; the server gives up after 10
Params = Sequence[Any] | Mapping[str, Any]


class InDoubt(StoreUnavailable):
    """The connection broke before the answer came."""


async def connect(conninfo: str, **options: Any) -> AsyncConnection[TupleRow]:
    """Open a connection that fails fast.

    Raises:
        StoreUnavailable: it cannot be opened within two seconds.
    """
    try:
        return await AsyncConnection.connect(
            conninfo,
            autocommit=True,
            prepare_threshold=0,
            connect_timeout=CONNECT_TIMEOUT,
            **options,
        )
    except (psycopg.Error, OSError) as error:
        raise StoreUnavailable(str(error)) from error


class Session:
    """Runs one statement at a time; callers queue up.

    `backend`: the server's process behind the connection that was opened last.
    """

    def __init__(self, conninfo: str) -> None:
        self.backend: int | None = None
        self._conninfo = conninfo
        self._connection: AsyncConnection[TupleRow] | None = None
        self._turn = asyncio.Lock()

    async def fetch(self, query: str, params: Params = ()) -> list[TupleRow]:
        """All rows of one statement, which commits by itself.

        Raises:
            AppendBusy: a lock was not granted in time.
            InDoubt: the connection broke; whether the statement took effect is unknown.
            StoreUnavailable: there is no connection, or the database cannot go on.
            psycopg.Error: the statement itself, or a value in it, is refused.
        """
        async with self._turn:
            connection = await self._open()
            try:
                async with (
                    asyncio.timeout(ANSWER_TIMEOUT),
                    connection.cursor(binary=True) as cursor,
                ):
                    await cursor.execute(query.encode(), params)
                    return await cursor.fetchall()
            except psycopg.errors.LockNotAvailable as error:
                raise AppendBusy from error
            except psycopg.errors.ProgramLimitExceeded:
                raise  # a value too large for an index: another statement will do
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                raise (InDoubt if connection.broken else StoreUnavailable)(str(error)) from error
            except (asyncio.CancelledError, TimeoutError) as error:
                await connection.close()
                if isinstance(error, TimeoutError):
                    raise InDoubt("no answer in time") from error
                raise

    async def _open(self) -> AsyncConnection[TupleRow]:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = await connect(self._conninfo)
            self.backend = self._connection.info.backend_pid
        return self._connection

    async def close(self) -> None:
        """Close the connection; the next statement opens another."""
        if self._connection is not None:
            await self._connection.close()
