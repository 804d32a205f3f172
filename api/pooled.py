"""Reads that need not share a query: each takes a connection of a small pool, and gives it back."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from application.event_feed import Fetch

Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]


def fetching(pool: Pool) -> Fetch:
    """All rows of one statement, on a connection of the pool."""

    async def fetch(query: str, params: Mapping[str, Any]) -> Sequence[TupleRow]:
        async with pool.connection() as connection, connection.cursor(binary=True) as cursor:
            await cursor.execute(query.encode(), params)
            return await cursor.fetchall()

    return fetch
