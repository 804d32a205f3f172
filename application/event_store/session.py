"""One database connection that is opened when first needed, and again after it broke."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from application.errors import AppendBusy, StoreUnavailable

CONNECT_TIMEOUT = 2  # seconds
ANSWER_TIMEOUT = 15  # seconds; the server gives up after 10
ACT_AS = "SELECT set_config('dynamic_tables.companies', %s, true)"
T = TypeVar("T")
Params = Sequence[Any] | Mapping[str, Any]
# Row-level security asks for the companies that a transaction acts for, and a statement of its own
# is a transaction. LATERAL makes the rows wait for the setting; OFFSET keeps the planner from
# looking for another order. Were it to find one all the same, no row would show.
_SCOPED = """
SELECT scoped.*
  FROM set_config('dynamic_tables.companies', %(companies)s, true) AS scope(companies)
 CROSS JOIN LATERAL (
       SELECT wanted.* FROM ({query}) AS wanted
        WHERE scope.companies IS NOT NULL
       OFFSET 0) AS scoped
"""


def scoped(query: str) -> str:
    """A query that row-level security lets see the companies in `%(companies)s` and no other."""
    return _SCOPED.format(query=query.strip())


def companies(*ids: UUID) -> str:
    """The value of `%(companies)s`: an array as Postgres writes it."""
    return f"{{{','.join(map(str, ids))}}}"


class Transact(Protocol):
    """Runs several statements in one transaction that sees and changes one company's rows alone."""

    async def __call__(
        self, company_id: UUID, run: Callable[[AsyncConnection[TupleRow]], Awaitable[T]], /
    ) -> T:
        """What `run` returns; whatever it raises, nothing of it is kept then."""


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

        async def run(connection: AsyncConnection[TupleRow]) -> list[TupleRow]:
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(query.encode(), params)
                return await cursor.fetchall()

        return await self.run(run)

    async def run_as(
        self, company_id: UUID, run: Callable[[AsyncConnection[TupleRow]], Awaitable[T]]
    ) -> T:
        """Several statements in one transaction that sees and changes one company's rows alone.

        Raises:
            As `fetch`; and whatever `run` raises, nothing of which is kept then.
        """

        async def transact(connection: AsyncConnection[TupleRow]) -> T:
            async with connection.transaction():
                await connection.execute(ACT_AS, (companies(company_id),))
                return await run(connection)

        return await self.run(transact)

    async def run(self, run: Callable[[AsyncConnection[TupleRow]], Awaitable[T]]) -> T:
        """Whatever is done on the connection, with its errors in our words; see `fetch`."""
        async with self._turn:
            connection = await self._open()
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    return await run(connection)
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
