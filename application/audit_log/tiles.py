"""Reads hashes over ranges of leaves out of the tiles, for roots and proofs."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from application.audit_log.building import TILE, hashes
from application.audit_log.merkle import Frontier, Range, perfect_subtrees, root

READ = """
SELECT wanted.company_id, wanted.begin, wanted.until,
       substring(t.hashes FROM wanted.first * 32 + 1 FOR wanted.count * 32)
  FROM unnest(%(companies)s::uuid[], %(begins)s::bigint[], %(ends)s::bigint[],
              %(levels)s::smallint[], %(indexes)s::bigint[], %(firsts)s::integer[],
              %(counts)s::integer[])
           AS wanted(company_id, begin, until, level, index, first, count)
  JOIN audit_log.tiles t USING (company_id, level, index)
 WHERE octet_length(t.hashes) >= (wanted.first + wanted.count) * 32
"""
COLUMNS = ("companies", "begins", "ends", "levels", "indexes", "firsts", "counts")

Subtree = tuple[UUID, int, int]  # whose, from which leaf on, up to which without it


class Missing(Exception):
    """The tiles do not have what was asked for."""


class Hashes:
    """The hashes of some perfect subtrees, and of what they make up."""

    def __init__(self, known: dict[Subtree, bytes]) -> None:
        self._known = known

    def over(self, company_id: UUID, leaves: Range) -> bytes:
        """The hash over a range of leaves that is a node of a tree, or the root of one.

        Raises:
            Missing: a tile is not there, or too short.
        """
        frontier = Frontier()
        for begin, end in perfect_subtrees(*leaves):
            hash = self._known.get((company_id, begin, end))
            if hash is None:
                raise Missing
            frontier.append(hash, end - begin)
        return frontier.root()


async def read(connection: AsyncConnection[Any], wanted: Iterable[tuple[UUID, Range]]) -> Hashes:
    """What is needed to know the hashes over these ranges of companies' leaves."""
    subtrees = {
        (company_id, *subtree)
        for company_id, leaves in wanted
        for subtree in perfect_subtrees(*leaves)
    }
    places = [(*subtree, *_place(*subtree[1:])) for subtree in subtrees]
    if not places:
        return Hashes({})
    params = dict(zip(COLUMNS, map(list, zip(*places, strict=True)), strict=True))
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(READ, params)
        rows = await cursor.fetchall()
    return Hashes({(id, begin, end): root(hashes(data)) for id, begin, end, data in rows})


def _place(begin: int, end: int) -> tuple[int, int, int, int]:
    """Where the hashes are that a perfect subtree is made of: level, tile, first, and how many."""
    height = (end - begin).bit_length() - 1
    level, above = divmod(height, TILE.bit_length() - 1)
    index, first = divmod(begin >> (height - above), TILE)
    return level, index, first, 1 << above
