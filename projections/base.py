"""What every projection has: a schema of its own, a position in it, and batches that move both."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

from domain.errors import UnreadableEvent
from domain.recorded import Recorded, decode, event_classes

READ = """
SELECT originator_id, originator_version, topic, state, company_id, position, recorded_at
  FROM event_store.events
 WHERE position > %s
 ORDER BY position
 LIMIT %s
"""
READ_PARKED = """
SELECT originator_id, originator_version, topic, state, company_id, position, recorded_at
  FROM event_store.events
 WHERE originator_id = %s AND position >= %s AND position <= %s
 ORDER BY originator_version
"""
POSITION = "SELECT position FROM projections.positions WHERE projection = %s"
ADVANCE = """
UPDATE projections.positions SET position = %(new)s
 WHERE projection = %(schema)s AND position = %(old)s
"""
START = """
INSERT INTO projections.positions (projection, position) VALUES (%s, 0)
ON CONFLICT (projection) DO NOTHING
"""
ANNOUNCE = "SELECT pg_notify(%s, %s)"
PARKED = "SELECT originator_id, position FROM projections.parked WHERE projection = %s"
PARK = """
INSERT INTO projections.parked (projection, originator_id, position, error)
VALUES (%s, %s, %s, %s)
"""
UNPARK = "DELETE FROM projections.parked WHERE projection = %s AND originator_id = %s"
KNOWN_TO_ANY_RELEASE = """
SELECT max(class_version) FROM event_store.topics WHERE topic = %s
"""

logger = logging.getLogger(__name__)


class Projection(Protocol):
    """A read model: its name and version, its tables, and how events change them."""

    name: str
    version: int

    async def apply(self, connection: AsyncConnection, events: Sequence[Recorded]) -> None:
        """Write what these events, in global order, change; the caller holds the transaction."""


class Fenced(Exception):
    """Somebody else moved this projection's position: another leader, or a finished rebuild."""


class NewerEvent(Exception):
    """A newer release wrote this event; only that release can project it."""


def live_schema(projection: Projection) -> str:
    """The schema that queries read, such as `table_defs_v1`."""
    return f"{projection.name}_v{projection.version}"


def channel(schema: str) -> str:
    """Where the projection of a schema announces its position."""
    return f"dynamic_tables_{schema}"


async def connect(conninfo: str, schema: str) -> AsyncConnection:
    """A connection whose unqualified names are the tables of a projection's schema.

    Commits do not wait for the disk: what a crash takes back can be projected again, rows and
    position together.
    """
    options = f"-c search_path={schema} -c synchronous_commit=off"
    given = psycopg.conninfo.conninfo_to_dict(conninfo).get("options") or ""
    return await AsyncConnection.connect(
        make_conninfo(conninfo, options=f"{given} {options}"),
        autocommit=True,
        prepare_threshold=0,
        connect_timeout=2,
    )


async def create(
    connection: AsyncConnection, projection: Projection, schema: str, *, indexed: bool
) -> None:
    """Create the empty tables of a projection, if they do not exist, and start it at zero."""
    name = sql.Identifier(schema)
    async with connection.transaction():
        known = await connection.execute(POSITION, (schema,))
        if await known.fetchone():
            return
        await connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
        await connection.execute(_script(f"{projection.name}.sql"), prepare=False)
        if indexed:
            await connection.execute(_script(f"{projection.name}_indexes.sql"), prepare=False)
        await connection.execute(
            sql.SQL(
                "GRANT USAGE ON SCHEMA {0} TO dynamic_tables_api;"
                "GRANT SELECT ON ALL TABLES IN SCHEMA {0} TO dynamic_tables_api"
            ).format(name),
            prepare=False,
        )
        await connection.execute(START, (schema,))


async def create_indexes(connection: AsyncConnection, projection: Projection) -> None:
    """Create the indexes of a projection that was filled without them."""
    async with connection.transaction():
        await connection.execute(_script(f"{projection.name}_indexes.sql"), prepare=False)


def _script(name: str) -> bytes:
    return files("projections").joinpath(name).read_bytes()


@dataclass
class Follower:
    """Moves one projection along the global order, a batch and a transaction at a time.

    `strict`: stop at an event that cannot be projected instead of parking its aggregate.
    """

    projection: Projection
    connection: AsyncConnection[Any]
    schema: str
    strict: bool = False
    position: int = 0

    async def start(self) -> None:
        """Find out where the projection is, and try once more what is parked."""
        row = await (await self.connection.execute(POSITION, (self.schema,))).fetchone()
        self.position = row[0] if row else 0
        parked = await (await self.connection.execute(PARKED, (self.schema,))).fetchall()
        self._parked: set[UUID] = {originator_id for originator_id, _ in parked}
        for originator_id, position in parked:
            await self._retry(originator_id, position)

    async def step(self, limit: int) -> int:
        """Project the next events; returns how many there were.

        Raises:
            Fenced: the position is not where this follower left it; nothing was written.
            NewerEvent: the next event belongs to a newer release.
            UnreadableEvent, psycopg.Error: only when strict, at an event that is broken.
        """
        async with self.connection.cursor(binary=True) as cursor:
            await cursor.execute(READ, (self.position, limit))
            rows = await cursor.fetchall()
        if not rows:
            return 0
        try:
            await self._project([decoded for row in rows if (decoded := self._decode(row))], rows)
        except (psycopg.OperationalError, Fenced):
            raise
        except Exception:
            if self.strict:
                raise
            await self._project_singly(rows)
        return len(rows)

    async def _project(self, events: Sequence[Recorded], rows: Sequence[Any]) -> None:
        async with self.connection.transaction():
            await self._advance(rows[-1][5])
            if events:
                await self.projection.apply(self.connection, events)
        self.position = rows[-1][5]

    async def _project_singly(self, rows: Sequence[Any]) -> None:
        for row in rows:
            try:
                decoded = self._decode(row)
                await self._project([decoded] if decoded else [], [row])
            except (psycopg.OperationalError, Fenced):
                raise
            except Exception as error:
                await self._park(row, error)

    async def _park(self, row: Any, error: Exception) -> None:
        originator_id, _, topic, *_, position, _ = row
        if isinstance(error, UnreadableEvent) and await self._is_newer(topic):
            raise NewerEvent(f"{topic} at position {position}") from error
        logger.error("parked %s at position %s: %s", originator_id, position, error)
        async with self.connection.transaction():
            await self._advance(position)
            await self.connection.execute(
                PARK, (self.schema, originator_id, position, str(error)[:1000])
            )
        self._parked.add(originator_id)
        self.position = position

    async def _is_newer(self, topic: str) -> bool:
        cursor = await self.connection.execute(KNOWN_TO_ANY_RELEASE, (topic,))
        row = await cursor.fetchone()
        newest = row and row[0]
        ours = event_classes().get(topic)
        return newest is not None and (ours is None or ours.class_version < newest)

    async def _retry(self, originator_id: UUID, position: int) -> None:
        """Project in order what waited for this release, or leave it parked."""
        try:
            async with self.connection.transaction():
                async with self.connection.cursor(binary=True) as cursor:
                    await cursor.execute(READ_PARKED, (originator_id, position, self.position))
                    rows = await cursor.fetchall()
                await self.projection.apply(self.connection, [_recorded(row) for row in rows])
                await self.connection.execute(UNPARK, (self.schema, originator_id))
        except psycopg.OperationalError:
            raise
        except Exception as error:
            logger.warning("still parked: %s: %s", originator_id, error)
        else:
            self._parked.discard(originator_id)

    async def _advance(self, position: int) -> None:
        """Move the position, before any row: a follower that lost its place writes nothing."""
        moved = await self.connection.execute(
            ADVANCE, {"new": position, "schema": self.schema, "old": self.position}
        )
        if moved.rowcount != 1:
            raise Fenced(self.schema)
        await self.connection.execute(ANNOUNCE, (channel(self.schema), str(position)))

    def _decode(self, row: Any) -> Recorded | None:
        return None if row[0] in self._parked else _recorded(row)


def _recorded(row: Any) -> Recorded:
    originator_id, version, topic, state, company_id, position, recorded_at = row
    return Recorded(decode(topic, originator_id, version, state), company_id, position, recorded_at)
