"""Did each version of each table stand when it did? Compares eras with the versions themselves.

What a version was, and when the next one came, `versions` says, which is compared with the events.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from psycopg import AsyncConnection

from projections.base import live_schema
from projections.eras import BEFORE, FOR_EVER, PARTS
from projections.history import HistoryProjection

HISTORY = live_schema(HistoryProjection())
# How a row comes to be is told in `eras.stand`, `history_filling.STAND` and `late_standings`: the
# last events of an era are in it although the next one answers for the very last; in an era that
# was over when a version ended, it may stand for ever; in one that was being filled when it ended,
# it may have ended before. How names and texts are folded only Python knows.
WRONG = f"""
WITH spans AS MATERIALIZED (
    SELECT company_id, array_agg(begins ORDER BY begins) AS begins,
           array_agg(era ORDER BY begins) AS eras, array_agg(part ORDER BY begins) AS parts
      FROM {HISTORY}.eras
     GROUP BY company_id
), told AS (
    SELECT *, lead(position, 1, {FOR_EVER}) OVER (PARTITION BY id ORDER BY version) AS until
      FROM {HISTORY}.versions
     WHERE id BETWEEN %(first)s AND %(last)s AND topic LIKE 'TableDef.%%'
), stood AS (
    SELECT t.*, eras[told] AS earliest, eras[came] AS first, eras[ended] AS last,
           parts[ended] AS part
      FROM told t
      JOIN spans USING (company_id)
     CROSS JOIN LATERAL (
           SELECT width_bucket(position - 1, begins) AS told,
                  width_bucket(position, begins) AS came, width_bucket(until - 1, begins) AS ended
           ) AS spanned
     WHERE updated_by IS NOT NULL AND purged_at IS NULL
), compared AS (
    SELECT coalesce(t.id, s.id) AS id, coalesce(t.version, s.version) AS version, s.era,
           t.first, t.last, coalesce(t.position, s.position) AS position,
           t.id IS NOT NULL AND s.era >= t.earliest
           AND (s.company_id, s.position, s.updated_by, s.created_at, s.updated_at)
             = (t.company_id, t.position, t.updated_by, t.created_at, t.updated_at)
           AND (s.workspace_id, s.deleted_at) IS NOT DISTINCT FROM (t.workspace_id, t.deleted_at)
           AND s.latest >= t.updated_at
           AND (s.until = t.until OR s.until = {FOR_EVER} AND s.era < t.last)
           AND s.ended_in = CASE WHEN s.era < t.last OR t.until = {FOR_EVER} THEN {PARTS}
                                 WHEN s.era = t.last THEN part ELSE {BEFORE} END AS is_right
      FROM stood t
      FULL JOIN (SELECT * FROM {HISTORY}.standings
                  WHERE id BETWEEN %(first)s AND %(last)s) AS s USING (id, version)
)
SELECT id, version, array_agg(era ORDER BY era) FILTER (WHERE NOT is_right),
       max(last - first + 1) - count(era) FILTER (WHERE era BETWEEN first AND last)
  FROM compared
 WHERE position <= %(to)s
 GROUP BY id, version
HAVING NOT bool_and(is_right) OR count(era) FILTER (WHERE era BETWEEN first AND last)
                                 < max(last - first + 1)
 ORDER BY id, version
"""  # noqa: S608


async def differences(connection: AsyncConnection, params: Mapping[str, Any]) -> AsyncIterator[str]:
    """Each version whose rows are not where and what they should be, in words.

    `params`: `first` and `last` id of the tables, and `to`, the position of the last version.
    """
    async for id, version, wrong, missing in await connection.execute(WRONG.encode(), params):
        label = f"standing of {id} v{version}"
        for era in wrong or ():
            yield f"{label} in era {era}: it is not what the version was then"
        if missing:
            yield f"{label}: missing in {missing} of the eras in which it stood"
