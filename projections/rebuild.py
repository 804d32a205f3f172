"""Build a read model anew beside the live one, and let it take its place when it has caught up."""

import logging
from collections.abc import Callable

from psycopg import AsyncConnection, sql

from projections.base import (
    Follower,
    Projection,
    channel,
    connect,
    create,
    create_indexes,
    live_schema,
)

TRY_TO_REBUILD = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
FORGET = "DELETE FROM projections.positions WHERE projection = %s"
UNPARK_ALL = "DELETE FROM projections.parked WHERE projection = %s"
LOCK_POSITION = "SELECT position FROM projections.positions WHERE projection = %s FOR UPDATE"
TAKE_POSITION = "UPDATE projections.positions SET position = %s WHERE projection = %s"
ANNOUNCE = "SELECT pg_notify(%s, %s)"
BATCH = 5_000

logger = logging.getLogger(__name__)


class AlreadyRebuilding(Exception):
    """Another process is rebuilding this projection."""


async def rebuild(
    conninfo: str, projection: Projection, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Rebuild a projection from the first event; returns the position that it reached.

    Queries see the old tables until the new ones replace them in one transaction. Killed half-way,
    it has changed nothing that anybody reads; started again, it starts over.

    Raises:
        AlreadyRebuilding: one at a time.
        UnreadableEvent, psycopg.Error: an event cannot be projected; the old tables stay.
    """
    live, beside = live_schema(projection), f"{live_schema(projection)}_next"
    async with await connect(conninfo, beside) as connection:
        await _only_one(connection, live)
        await _drop(connection, beside)
        await create(connection, projection, beside, indexed=False)
        follower = Follower(projection, connection, beside, strict=True)
        await follower.start()
        await _catch_up(follower, progress)
        await create_indexes(connection, projection)
        await connection.execute(b"ANALYZE")
        await _catch_up(follower, progress)
        await _swap(follower, live)
        await _drop(connection, f"{live}_old")
        return follower.position


async def _only_one(connection: AsyncConnection, schema: str) -> None:
    cursor = await connection.execute(TRY_TO_REBUILD, (f"rebuild:{schema}",))
    row = await cursor.fetchone()
    if not row or not row[0]:
        raise AlreadyRebuilding(schema)


async def _catch_up(follower: Follower, progress: Callable[[int], None]) -> None:
    while await follower.step(BATCH):
        progress(follower.position)


async def _swap(follower: Follower, live: str) -> None:
    """Hold the live projector still at its fence, catch up with it, and trade places."""
    connection, beside = follower.connection, follower.schema
    async with connection.transaction():
        await connection.execute(LOCK_POSITION, (live,))
        await _catch_up(follower, lambda _: None)
        await _rename(connection, live, f"{live}_old")
        await _rename(connection, beside, live)
        await connection.execute(TAKE_POSITION, (follower.position, live))
        await connection.execute(FORGET, (beside,))
        await connection.execute(UNPARK_ALL, (live,))
        await connection.execute(ANNOUNCE, (channel(live), str(follower.position)))


async def _rename(connection: AsyncConnection, schema: str, name: str) -> None:
    await connection.execute(
        sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(schema), sql.Identifier(name))
    )


async def _drop(connection: AsyncConnection, schema: str) -> None:
    """Drop a schema that nobody reads any more, with the position of what was in it."""
    async with connection.transaction():
        await connection.execute(FORGET, (schema,))
        await connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
        )
