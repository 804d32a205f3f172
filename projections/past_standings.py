"""Did each version of each table stand when it did? Compares eras with the versions themselves.

What a version was, and when the next one came, `versions` says, which is compared with the events.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from psycopg import AsyncConnection

from projections.base import live_schema
from projections.eras import BEFORE, FOR_EVER, PARTS, SPANS
from projections.history import HistoryProjection

HISTORY = live_schema(HistoryProjection())
# How a row comes to be is told in `eras.stand`, `history_filling.STAND` and `late_standings`: the
# event at which the next era begins has its row in both; in an era that was over when a version
# ended, it may stand for ever; in the one that was being filled then, it may have ended before.
# Not compared here: how names and texts are folded, which only Python knows; nor whether `latest`
# is that of the whole company.
_COMPARED = f"""
WITH spans AS MATERIALIZED (
    {SPANS.format(eras=f"{HISTORY}.eras")}
), told AS (
    SELECT id, version, company_id, position, workspace_id, updated_by, deleted_at, created_at,
           updated_at, updated_by IS NOT NULL AND purged_at IS NULL AS stood,
           lead(position, 1, {FOR_EVER}) OVER (PARTITION BY id ORDER BY version) AS until
      FROM {HISTORY}.versions
     WHERE id BETWEEN %(first)s AND %(last)s AND topic LIKE 'TableDef.%%'
), spanned AS MATERIALIZED (
    SELECT told.*, eras[width_bucket(position - 1, begins)] AS earliest, since, final, last,
           parts[n] AS part,
           CASE WHEN stood AND position <= %(to)s THEN coalesce(last - since + 1, 1) ELSE 0 END
               AS due
      FROM told
      LEFT JOIN spans USING (company_id)
      LEFT JOIN {HISTORY}.present_eras USING (company_id)
     CROSS JOIN LATERAL (
           SELECT eras[width_bucket(position, begins)] AS since,
                  width_bucket(until - 1, begins) AS n OFFSET 0) AS ended
     CROSS JOIN LATERAL (
           SELECT eras[n] AS final,
                  eras[n] + (until = {FOR_EVER} AND (id <= filled_to) IS TRUE)::integer AS last
           ) AS stands
), found AS NOT MATERIALIZED (
    SELECT * FROM {HISTORY}.standings
     WHERE id BETWEEN %(first)s AND %(last)s
), compared AS (
    SELECT t.id, t.version, s.era, due,
           t.position <= %(to)s AND s.era BETWEEN since AND last AS is_due,
           t.position > %(to)s
           OR stood AND s.era BETWEEN earliest AND final + 1
              AND s.company_id = t.company_id AND s.position = t.position
              AND s.updated_by = t.updated_by
              AND s.created_at = t.created_at AND s.updated_at = t.updated_at
              AND s.workspace_id IS NOT DISTINCT FROM t.workspace_id
              AND s.deleted_at IS NOT DISTINCT FROM t.deleted_at
              AND s.latest >= t.updated_at
              AND (s.until = t.until OR s.until = {FOR_EVER} AND s.era < final)
              AND s.ended_in = CASE WHEN s.era < final OR t.until = {FOR_EVER} THEN {PARTS}
                                    WHEN s.era = final THEN part ELSE {BEFORE} END AS is_right
      FROM spanned t
      {{join}} JOIN found s ON s.id = t.id AND s.version = t.version
)
"""  # noqa: S608
# Whether all rows are right, and there are as many in their eras as there should be, and no others.
IS_SOUND = (
    _COMPARED.format(join="")  # noqa: S608
    + """
SELECT coalesce(bool_and(is_right IS TRUE), true)
       AND count(*) FILTER (WHERE is_due) = (SELECT coalesce(sum(due), 0) FROM spanned)
       AND count(*) = (SELECT count(*) FROM found)
  FROM compared
"""
)
WRONG = (
    _COMPARED.format(join="LEFT")
    + """
SELECT id, version, array_agg(era) FILTER (WHERE era IS NOT NULL AND is_right IS NOT TRUE),
       max(due) - count(*) FILTER (WHERE is_due)
  FROM compared
 GROUP BY id, version
HAVING bool_or(era IS NOT NULL AND is_right IS NOT TRUE)
    OR max(due) > count(*) FILTER (WHERE is_due)
 ORDER BY id, version
 LIMIT %(limit)s
"""
)
STRAY = f"""
SELECT id, version, era
  FROM {HISTORY}.standings s
 WHERE id BETWEEN %(first)s AND %(last)s
   AND NOT EXISTS (SELECT FROM {HISTORY}.versions v
                    WHERE v.id BETWEEN %(first)s AND %(last)s AND topic LIKE 'TableDef.%%'
                      AND v.id = s.id AND v.version = s.version)
 ORDER BY id, version, era
 LIMIT %(limit)s
"""  # noqa: S608
# Of a table with many versions, a walk along the other index is as long for each of them.
BY_HASH = """
SET LOCAL enable_mergejoin = off; SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'
"""


async def differences(
    connection: AsyncConnection, params: Mapping[str, Any], limit: int
) -> AsyncIterator[str]:
    """The first versions whose rows are not where and what they should be, in words.

    `params`: `first` and `last` id of the tables, and `to`, the position of the last version.
    """
    async with connection.transaction(force_rollback=True):
        await connection.execute(BY_HASH, prepare=False)
        [(is_sound,)] = await (await connection.execute(IS_SOUND.encode(), params)).fetchall()
        if is_sound:
            return
        count = 0
        async for difference in _named(connection, {**params, "limit": limit}):
            count += 1
            yield difference
        if not count:
            yield f"standings of {params['first']} to {params['last']}: the versions say otherwise"


async def _named(connection: AsyncConnection, params: Mapping[str, Any]) -> AsyncIterator[str]:
    async for id, version, eras, missing in await connection.execute(WRONG.encode(), params):
        label = f"standing of {id} v{version}"
        for era in sorted(eras or ()):
            yield f"{label} in era {era}: it is not what the version was then"
        if missing > 0:
            yield f"{label}: missing in {missing} of the eras in which it stood"
    async for id, version, era in await connection.execute(STRAY.encode(), params):
        yield f"standing of {id} v{version} in era {era}: the events know nothing of it"
