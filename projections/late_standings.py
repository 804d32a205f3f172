"""Which versions of a table stood when, if they are told late: those of a table that was parked.

Eras have gone by since, and it stood in each of them.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import itemgetter
from uuid import UUID

from psycopg import AsyncConnection
from pydantic_core import to_json

from projections.eras import ADD, COLUMNS, FOR_EVER, PARTS, STAND_NO_MORE, load, save
from projections.handlers import Row

SPANS = """
SELECT company_id, era, array_agg(begins ORDER BY begins), array_agg(part ORDER BY begins)
  FROM eras WHERE company_id = ANY(%s)
 GROUP BY company_id, era ORDER BY company_id, era
"""
LATEST = """
UPDATE standings s SET latest = grown.latest
  FROM (SELECT id, era, version, latest AS before,
               max(latest) OVER (PARTITION BY company_id ORDER BY position) AS latest
          FROM standings WHERE company_id = ANY(%s)) AS grown
 WHERE grown.before < grown.latest
   AND s.id = grown.id AND s.era = grown.era AND s.version = grown.version
"""


async def stand_again(connection: AsyncConnection, versions: Sequence[Row]) -> None:
    """Let tables stand where they did that were left out while eras went by.

    `versions`: all of each table, in their order. What was purged stands no more, what was erased
    never did.
    """
    presents = await load(connection, versions)
    spans = await _spans(connection, presents)
    kept = []
    for _, of_table in groupby(versions, itemgetter("id")):
        rows = list(of_table)
        ends = [*(row["position"] for row in rows[1:]), FOR_EVER]
        for row, until in zip(rows, ends, strict=True):
            if row["updated_by"] is None or row["purged_at"] is not None:
                continue
            present = presents[row["company_id"]]
            present.latest = max(present.latest, row["updated_at"])
            stood = {column: row[column] for column in COLUMNS}
            stood |= {"until": until, "latest": row["updated_at"]}
            kept += [
                stood | {"era": span.era, "ended_in": span.part_of(until)}
                for span in _between(spans[row["company_id"]], row["position"], until)
            ]
            if until == FOR_EVER:  # also in the next one, if that is filled so far
                after = [era for era in present.of(row["id"]) if era > present.era]
                kept += [stood | {"era": era, "ended_in": PARTS} for era in after]
    await connection.execute(STAND_NO_MORE, (list({row["id"] for row in versions}),))
    if kept:
        await connection.execute(ADD, (to_json(kept).decode(),))
        await connection.execute(LATEST, (list(presents),))
    await save(connection, presents)


@dataclass(frozen=True)
class _Span:
    """From which position an era answers, and until when; `begins`: each of its `parts`."""

    era: int
    begins: Sequence[int]
    parts: Sequence[int]
    ends: int = FOR_EVER

    def since(self) -> int:
        """The position from which on it answers."""
        return self.begins[0]

    def part_of(self, until: int) -> int:
        """The part in which a row ends."""
        if until > self.ends or until == FOR_EVER:
            return PARTS
        return self.parts[bisect_left(self.begins, until) - 1]


def _between(spans: Sequence[_Span], position: int, until: int) -> Sequence[_Span]:
    """Those in which something stood that came at `position`."""
    first = bisect_right(spans, position, key=_Span.since) - 1
    return spans[first : bisect_left(spans, until, key=_Span.since)]


async def _spans(
    connection: AsyncConnection, companies: Iterable[UUID]
) -> Mapping[UUID, Sequence[_Span]]:
    spans: dict[UUID, list[_Span]] = defaultdict(list)
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(SPANS, (list(companies),))
        async for company_id, *span in cursor:
            spans[company_id].append(_Span(*span))
    return {
        company_id: [
            replace(span, ends=after.begins[0]) for span, after in pairwise(of_company)
        ] + of_company[-1:]
        for company_id, of_company in spans.items()
    }  # fmt: skip
