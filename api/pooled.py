"""Reads that need not share a query: each takes a connection of a small pool, and gives it back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from application.errors import StoreUnavailable
from application.event_feed import Fetch
from application.event_store.session import ACT_AS, ANSWER_TIMEOUT, Transact, companies

T = TypeVar("T")
Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]


def opened_later(conninfo: str, min_size: int, max_size: int) -> Pool:
    """A pool of connections that fail fast, which its user opens."""
    return AsyncConnectionPool(
        conninfo,
        min_size=min_size,
        max_size=max_size,
        max_waiting=500,
        timeout=2,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 0, "connect_timeout": 2},
    )


def fetching(pool: Pool) -> Fetch:
    """All rows of one statement that changes nothing, on a connection of the pool.

    One that broke, perhaps long ago, is passed over: to ask on another does no harm.
    """

    async def fetch(query: str, params: Mapping[str, Any]) -> Sequence[TupleRow]:
        for _ in range(pool.max_size + 1):
            async with _answering(pool) as connection, connection.cursor(binary=True) as cursor:
                try:
                    await cursor.execute(query.encode(), params)
                    return await cursor.fetchall()
                except psycopg.OperationalError:
                    if not connection.broken:
                        raise
        raise StoreUnavailable("every connection was broken")

    return fetch


def transacting(pool: Pool) -> Transact:
    """Several statements in one transaction of a company, on a connection of the pool."""

    async def transact(
        company_id: UUID, run: Callable[[AsyncConnection[TupleRow]], Awaitable[T]]
    ) -> T:
        async with _answering(pool) as connection, connection.transaction():
            await connection.execute(ACT_AS, (companies(company_id),))
            return await run(connection)

    return transact


@contextlib.asynccontextmanager
async def _answering(pool: Pool) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """A connection of the pool, which gets another for one that does not answer in time.

    Raises:
        StoreUnavailable: it did not.
    """
    async with pool.connection() as connection:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                yield connection
        except TimeoutError as error:
            await connection.close()
            raise StoreUnavailable("no answer in time") from error
