"""Build a read model anew beside the live one, and let it take its place when it has caught up."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql

from domain.recorded import Recorded
from projections.base import (
    Filling,
    Projection,
    Statements,
    channel,
    connect,
    create,
    create_indexes,
    indexes,
    is_on,
    live_schema,
)
from projections.follower import BY_INDEX, Follower, last_position

HEAD = "SELECT event_store.head()"
# As a follower reads, but one aggregate after the other, up to a position.
READ_BY_AGGREGATE = """
SELECT originator_id, originator_version, topic,
       coalesce(state, CASE WHEN commitment IS NULL THEN ''::bytea END),
       company_id, position, recorded_at
  FROM event_store.events
 WHERE (originator_id, originator_version) > (%(id)s, %(version)s)
   AND position <= %(until)s AND split_part(topic, '.', 1) = ANY(%(nouns)s)
 ORDER BY originator_id, originator_version
 LIMIT %(limit)s
"""
TRY_TO_REBUILD = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
REBUILT = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"
FORGET = "DELETE FROM projections.positions WHERE projection = %s"
UNPARK_ALL = "DELETE FROM projections.parked WHERE projection = %s"
LOCK_POSITION = "SELECT position FROM projections.positions WHERE projection = %s FOR UPDATE"
TAKE_POSITION = """
UPDATE projections.positions SET position = %s, term = term + 1 WHERE projection = %s
"""
ANNOUNCE = "SELECT pg_notify(%s, %s)"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
KEEP_VACUUM_OUT: LiteralString = "LOCK TABLE {}.{} IN SHARE UPDATE EXCLUSIVE MODE"
BE_BRIEF = "SET LOCAL lock_timeout = '200ms'"
PAUSE = 1.0  # seconds between attempts to replace tables that somebody reads
BATCH = 500  # events: what is made of them stays in the cache of the processor
SWITCH = 0.0005  # seconds that a thread works until another may that waits
# Indexes of a large table take as long as they take, and one may wait for what the other does.
NO_HURRY = f"-c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 {BY_INDEX}"
IN_ORDER = "-c enable_sort=off"  # along an index, whatever the planner believes of a condition

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
    async with (
        await connect(conninfo, beside, NO_HURRY) as connection,
        await connect(conninfo, beside, f"{NO_HURRY} {IN_ORDER}") as ahead,
    ):
        await _only_one(connection, live)
        await _drop(connection, beside)
        await create(connection, projection, beside, indexed=False)
        follower = Follower(projection, connection, beside, strict=True)
        await follower.start()
        filling = projection.filling()
        early = [each for each in indexes(projection) if filling and is_on(each, filling.whole)]
        if filling:
            await _fill(follower, ahead, filling, progress, early)
        await _catch_up(follower, ahead, progress)
        missing = (each for each in indexes(projection) if each not in early)
        await _together(create_indexes(connection, missing), create_indexes(ahead, missing))
        await _analyze(connection, beside)
        await _catch_up(follower, ahead, progress)
        logger.info("%s: has caught up; takes its place when no VACUUM works there", live)
        while not await _swap(follower, ahead, live):
            await asyncio.sleep(PAUSE)
            await follower.start()
            await _catch_up(follower, ahead, progress)
        # Now, or whoever comes next might be sooner than the server sees that we are gone.
        await connection.execute(REBUILT, (f"rebuild:{live}",))
        return follower.position


async def _only_one(connection: AsyncConnection, schema: str) -> None:
    cursor = await connection.execute(TRY_TO_REBUILD, (f"rebuild:{schema}",))
    row = await cursor.fetchone()
    if not row or not row[0]:
        raise AlreadyRebuilding(schema)


async def _fill(
    follower: Follower,
    ahead: AsyncConnection,
    filling: Filling,
    progress: Callable[[int], None],
    early: Sequence[bytes],
) -> None:
    """Reach the head as it is, one aggregate after the other: so each row is written but once.

    While the server writes what was made of some, the next ones are folded, in a thread, and those
    after them read, on a connection of its own. In the end that one creates the `early` indexes.
    """
    [(head,)] = await (await ahead.execute(HEAD)).fetchall()

    async def read(id: UUID, version: int) -> Sequence[Any]:
        params = {"id": id, "version": version, "until": head, "limit": BATCH}
        params |= {"nouns": list(follower.projection.nouns)}
        async with ahead.cursor(binary=True) as cursor:
            await cursor.execute(READ_BY_AGGREGATE, params)
            return await cursor.fetchall()

    def fold(rows: Sequence[Any]) -> Statements:
        return filling.fold(follower.understood(rows))

    done = 0
    statements: Statements = []
    rows = await read(UUID(int=0), 0)
    with _switching_often():
        while rows:
            id, version, *_ = rows[-1]
            done += len(rows)
            _, statements, rows = await _together(
                follower.fill(statements), asyncio.to_thread(fold, rows), read(id, version)
            )
            progress(done)
    await follower.fill([*statements, *filling.rest()])
    await _together(_finish(follower, filling), create_indexes(ahead, iter(early)))
    await follower.filled(head)


@contextmanager
def _switching_often() -> Iterator[None]:
    """Do not let the server wait for what it is sent, in pieces, while another thread folds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def _finish(follower: Follower, filling: Filling) -> None:
    async with follower.connection.transaction():
        await filling.finish(follower.connection)


async def _catch_up(
    follower: Follower, ahead: AsyncConnection, progress: Callable[[int], None]
) -> None:
    """Reach the head as it was a moment ago; who writes all the time would keep us for ever.

    While the server writes a batch, the next one is read, on a connection of its own.
    """
    rows, events = await _read(follower, ahead, follower.position)
    while len(rows) == BATCH:
        next_ones = _read(follower, ahead, last_position(rows))
        _, (rows, events) = await _together(follower.project(rows, events), next_ones)
        progress(follower.position)
    if rows:
        await follower.project(rows, events)
    progress(follower.position)


async def _together(*awaited: Awaitable[Any]) -> Sequence[Any]:
    """What they find; if one fails, also not before all are done: none goes on by itself."""
    answers = await asyncio.gather(*awaited, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


async def _read(
    follower: Follower, ahead: AsyncConnection, after: int
) -> tuple[Sequence[Any], Sequence[Recorded]]:
    rows = await follower.read(ahead, after, BATCH)
    return rows, follower.understood(rows)


async def _analyze(connection: AsyncConnection, schema: str) -> None:
    for (table,) in await (await connection.execute(TABLES, (schema,))).fetchall():
        await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(schema, table)))


async def _swap(follower: Follower, ahead: AsyncConnection, live: str) -> bool:
    """Take the place of the live tables; False if somebody has been reading them for long.

    The live projector stands still at its fence while we catch up with it. Dropping the old tables
    waits for the queries that read them, and lets no other in before the new ones are there: a
    query that saw old rows with a new position would be a lie. Queries wait behind us meanwhile,
    so we give up soon, and well before the server looks for deadlocks.
    """
    connection, beside = follower.connection, follower.schema
    try:
        async with connection.transaction():
            await _keep_vacuum_out(connection, live)
            await _catch_up(follower, ahead, lambda _: None)
            await connection.execute(LOCK_POSITION, (live,))
            await _catch_up(follower, ahead, lambda _: None)
            await connection.execute(BE_BRIEF)
            await connection.execute(_statement("DROP SCHEMA IF EXISTS {} CASCADE", live))
            await connection.execute(_statement("ALTER SCHEMA {} RENAME TO {}", beside, live))
            await connection.execute(TAKE_POSITION, (follower.position, live))
            await connection.execute(FORGET, (beside,))
            await connection.execute(UNPARK_ALL, (live,))
            await connection.execute(ANNOUNCE, (channel(live), str(follower.position)))
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        logger.info("%s: waits for a long query on the old tables", live)
        return False
    return True


async def _keep_vacuum_out(connection: AsyncConnection, schema: str) -> None:
    """Let no VACUUM work on the tables of a schema: it would hold us up for as long as it takes.

    What the server has begun by itself gives way when somebody waits for a second or so, unless it
    must not, or works on what is stored apart from its rows. Meanwhile nobody else waits: others
    read and write.
    """
    for (table,) in await (await connection.execute(TABLES, (schema,))).fetchall():
        await connection.execute(_statement(KEEP_VACUUM_OUT, schema, table))


def _statement(text: LiteralString, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))


async def _drop(connection: AsyncConnection, schema: str) -> None:
    """Drop what an earlier attempt left, with the position of what was in it."""
    async with connection.transaction():
        await connection.execute(FORGET, (schema,))
        await connection.execute(_statement("DROP SCHEMA IF EXISTS {} CASCADE", schema))
