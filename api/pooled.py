"""Reads that need not share a query: each takes a connection of a small pool, and gives it back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from api.orders import Connection
from application.event_feed import Fetch
from application.event_store.session import ACT_AS, Transact, companies

T = TypeVar("T")
Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]


def fetching(pool: Pool) -> Fetch:
    """All rows of one statement, on a connection of the pool."""

    async def fetch(query: str, params: Mapping[str, Any]) -> Sequence[TupleRow]:
        async with pool.connection() as connection, connection.cursor(binary=True) as cursor:
            await cursor.execute(query.encode(), params)
            return await cursor.fetchall()

    return fetch


def transacting(pool: Pool) -> Transact:
    """Several statements in one transaction of a company, on a connection of the pool."""

    async def transact(company_id: UUID, run: Callable[[Connection], Awaitable[T]]) -> T:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(ACT_AS, (companies(company_id),))
            return await run(connection)

    return transact
