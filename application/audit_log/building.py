"""Builds the tree of each company from the events, in their global order.

No event is decoded or skipped: whatever is stored is a leaf. Hashes of leaves are computed where
the events are, so that these need not travel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from application.audit_log.leaf import FORMAT
from application.audit_log.merkle import HASH_SIZE, root

TILE = 256  # hashes
BATCH = 5_000  # events

# Whoever builds, signs or rebuilds holds this row. Who finds it taken comes again later.
LOCK = "SELECT position, builds FROM audit_log.progress FOR UPDATE SKIP LOCKED"
WAIT = "SELECT position, builds FROM audit_log.progress FOR UPDATE"
ADVANCE = "UPDATE audit_log.progress SET position = %s"
BEGIN_ANEW = """
WITH gone AS (DELETE FROM audit_log.tiles)
UPDATE audit_log.progress SET position = 0, builds = builds + 1
"""
# What an event committed to; one without a state, a salt or a commitment is a leaf all the same.
COMMITMENT = """
CASE WHEN state IS NULL THEN coalesce(commitment, '')
     ELSE sha256(coalesce(salt, '') || state) END
"""
# As `leaf.leaf_data` and `merkle.leaf_hash`.
LEAF_HASH = f"""
sha256('\\x00'::bytea || convert_to(concat(
    '{FORMAT}', E'\\n', company_id, E'\\n', position, E'\\n', originator_id, E'\\n',
    originator_version, E'\\n', topic, E'\\n', event_id, E'\\n',
    to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), E'\\n',
    encode({COMMITMENT}, 'hex'), E'\\n'), 'UTF8'))
"""
SIZE = """
SELECT index * 256 + octet_length(hashes) / 32
  FROM audit_log.tiles
 WHERE company_id = {company} AND level = 0
 ORDER BY index DESC LIMIT 1
"""
APPEND_LEAVES = f"""
WITH batch AS MATERIALIZED (
    SELECT position, company_id, {LEAF_HASH} AS hash
      FROM event_store.events
     WHERE position > %(after)s
     ORDER BY position
     LIMIT %(limit)s
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY company_id ORDER BY position) - 1 AS number
      FROM batch
), trees AS MATERIALIZED (
    SELECT company_id, coalesce(({SIZE.format(company="found.company_id")}), 0) AS size
      FROM (SELECT DISTINCT company_id FROM batch) AS found
), written AS (
    INSERT INTO audit_log.tiles AS t (company_id, level, index, last_position, hashes)
    SELECT company_id, 0, (size + number) / 256, max(position),
           string_agg(hash, '' ORDER BY position)
      FROM numbered JOIN trees USING (company_id)
     GROUP BY 1, 3
        ON CONFLICT (company_id, level, index)
        DO UPDATE SET last_position = excluded.last_position,
                      hashes = t.hashes || excluded.hashes
    RETURNING company_id, index, CASE WHEN octet_length(hashes) = 8192 THEN hashes END AS full_tile
)
SELECT company_id, index, full_tile, read.position, read.events
  FROM written, (SELECT max(position) AS position, count(*) AS events FROM batch) AS read
 ORDER BY company_id, index
"""  # noqa: S608  # our own text alone
APPEND_ROOTS = """
INSERT INTO audit_log.tiles AS t (company_id, level, index, hashes)
SELECT company_id, %(level)s, index / 256, string_agg(hash, '' ORDER BY index)
  FROM unnest(%(companies)s::uuid[], %(indexes)s::bigint[], %(hashes)s::bytea[])
           AS roots(company_id, index, hash)
 GROUP BY 1, 3
    ON CONFLICT (company_id, level, index) DO UPDATE SET hashes = t.hashes || excluded.hashes
RETURNING company_id, index, CASE WHEN octet_length(hashes) = 8192 THEN hashes END
"""

Connection = AsyncConnection[Any]
Tile = tuple[UUID, int, bytes | None]  # company, index, and the hashes if it is full


@dataclass(frozen=True)
class Built:
    """How many events were added, up to which position, and whose trees grew."""

    events: int = 0
    position: int = 0
    companies: frozenset[UUID] = frozenset()


async def build(connection: Connection, limit: int = BATCH) -> Built:
    """Add the next events to the trees; none if somebody else is building.

    Raises:
        psycopg.Error: nothing was added.
    """
    async with connection.transaction():
        locked = await (await connection.execute(LOCK)).fetchone()
        return await append(connection, locked[0], limit) if locked else Built()


async def append(connection: Connection, after: int, limit: int) -> Built:
    """Add the events above a position; the caller holds the lock on the progress."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(APPEND_LEAVES.encode(), {"after": after, "limit": limit})
        rows = await cursor.fetchall()
    if not rows:
        return Built(position=after)
    *_, position, events = rows[0]
    await _append_roots(connection, [row[:3] for row in rows])
    await connection.execute(ADVANCE, (position,))
    return Built(events, position, frozenset(row[0] for row in rows))


async def _append_roots(connection: Connection, tiles: Sequence[Tile], level: int = 1) -> None:
    """Add the roots of full tiles to the level above, and so on."""
    full = [(company_id, index, tile) for company_id, index, tile in tiles if tile]
    if not full:
        return
    params = {
        "level": level,
        "companies": [company_id for company_id, _, _ in full],
        "indexes": [index for _, index, _ in full],
        "hashes": [root(hashes(tile)) for _, _, tile in full],
    }
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(APPEND_ROOTS, params)
        await _append_roots(connection, await cursor.fetchall(), level + 1)


def hashes(tile: bytes) -> list[bytes]:
    """The hashes of a tile, or of a part of it."""
    return [tile[at : at + HASH_SIZE] for at in range(0, len(tile), HASH_SIZE)]
