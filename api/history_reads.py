"""Reading what happened, and what tables were: at a version, a position, or a moment."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow

from api.errors import ApiError, invalid
from api.history_items import Row
from api.pooled import Pool, fetching, transacting
from api.progress import Progress
from api.reading import DEFAULT_WAIT
from application.event_store.session import companies, scoped
from domain.errors import NotFound, TablePurged
from projections import history_queries as queries
from projections.history_queries import PastRow
from projections.keyset import Keyset, Page
from projections.log_queries import Wanted
from projections.table_def_queries import Filter

AT_VERSION, AT_POSITION = scoped(queries.AT_VERSION), scoped(queries.AT_POSITION)
LIST = {
    (sort, narrowed): scoped(query)
    for narrowed, listing in queries.LISTS_AT.items()
    for sort, query in listing.queries.items()
}
COUNT = {narrowed: scoped(listing.count) for narrowed, listing in queries.LISTS_AT.items()}
TOPICS = scoped(queries.TOPICS)
CHANGED, LAST = scoped(queries.CHANGED), scoped(queries.LAST)
# With what its actor is called; the walk behind it has the rows in their order already.
_NAMED = """
SELECT happened.*, people.name AS actor_name
  FROM ({query}) AS happened
  LEFT JOIN access.people ON people.company_id = %(company_id)s AND people.id = happened.updated_by
"""
OF_TABLE = {order: scoped(_NAMED.format(query=query)) for order, query in queries.OF_TABLE.items()}
# Words are found in an index that knows no order.
ANY_PLAN = """
SELECT set_config('enable_bitmapscan', 'on', true), set_config('enable_sort', 'on', true),
       set_config('plan_cache_mode', 'force_custom_plan', true)
"""


NEWEST_VERSION = 2**31 - 1  # and beyond: what a walk from the newest begins at
NOTHING_THEN = "There was nothing under this id then, or no such version."
APPEND = 0.005  # seconds that one takes


class HistoryReads:
    """The read side of what happened."""

    def __init__(self, pool: Pool, progress: Progress) -> None:
        self.progress = progress
        self._pooled = fetching(pool)
        self._transact = transacting(pool)

    async def of_table(
        self, company_id: UUID, id: UUID, order: str, after: Keyset | None, limit: int
    ) -> Sequence[Row]:
        """One more than a page of what happened to a table.

        Raises:
            NotFound: the company never had it.
            ApiError: `projection-behind`.
        """
        start = NEWEST_VERSION if order == "newest" else 0
        params = {"id": id, "limit": limit, "after": int(after.key) if after else start}
        rows = _in_order(await self._fetch(OF_TABLE[order], company_id, params), order)
        if not rows and after is None:
            raise self._missing(company_id)
        return rows

    async def of_company(self, wanted: Wanted, after: Keyset | None, limit: int) -> Sequence[Row]:
        """One more than a page of what happened in a company."""
        query, params = _NAMED.format(query=wanted.query()), wanted.params(after, limit)
        rows = await self._fetch(scoped(query), wanted.company_id, params)
        if wanted.by_words and len(rows) <= limit:
            query = _NAMED.format(query=wanted.query_by_words())
            rows = await self._search(query, wanted.company_id, params)
        return _in_order(rows, wanted.order)

    async def at_version(self, company_id: UUID, id: UUID, version: int) -> PastRow:
        """A table as it was at a version.

        Raises:
            NotFound: the company never had it, or it has no such version.
            TablePurged: it was purged then, or what it was has been erased.
            ApiError: `projection-behind`.
        """
        rows = await self._fetch(AT_VERSION, company_id, {"id": id, "version": version})
        return self._existing(company_id, rows)

    async def at_position(self, company_id: UUID, id: UUID, position: int) -> PastRow:
        """A table as it was at a position; raises as `at_version`."""
        params = {"id": id, "position": position}
        rows = await self._fetch(AT_POSITION, company_id, params)
        return self._existing(company_id, rows)

    async def topics(self, company_id: UUID, versions: Mapping[UUID, int]) -> Mapping[UUID, str]:
        """What happened to each of these tables at this version of it, as far as it is known."""
        params = {"ids": list(versions), "versions": list(versions.values())}
        rows = await self._fetch(TOPICS, company_id, params)
        return {id: topic for id, topic in rows if topic}

    async def list(self, wanted: Filter, position: int, after: Keyset | None, limit: int) -> Page:
        """One page of the list as it was at a position."""
        params = queries.list_params(wanted, position, after, limit)
        query = LIST[wanted.sort, wanted.is_narrowed]
        rows = await self._fetch(query, wanted.company_id, params)
        return Page(*rows[0])

    async def count(self, wanted: Filter, position: int) -> int:
        """How many tables the whole list had at a position."""
        params = wanted.params() | {"position": position}
        query = COUNT[wanted.is_narrowed]
        return int((await self._fetch(query, wanted.company_id, params))[0][0])

    async def changed(
        self, company_id: UUID, start: int, end: int, after: Keyset | None, limit: int
    ) -> Sequence[TupleRow]:
        """One more than a page of the tables that changed between two positions."""
        params = {"from": start, "to": end, "after": int(after.key) if after else start}
        return await self._fetch(CHANGED, company_id, params | {"limit": limit})

    async def position_before(self, moment: datetime) -> int:
        """The last position before a moment."""
        await self._over(moment)
        return int(await self._value(queries.BEFORE, moment))

    async def position_until(self, moment: datetime) -> int:
        """The last position at a moment or before: once it can be answered.

        Raises:
            ApiError: `projection-behind`.
        """
        await self._over(moment)
        return await self._shown(await self._value(queries.UNTIL, moment))

    async def last_position(self, company_id: UUID) -> int:
        """The position of the last thing that happened in a company, 0 = nothing did."""
        rows = await self._fetch(LAST, company_id, {})
        return rows[0][0] if rows else 0

    async def position_at(self, point: int | datetime, pointer: str) -> int:
        """The position that answers for a position or a moment: once it can be answered.

        Raises:
            ApiError: `validation` when it is not over yet, `projection-behind`.
        """
        if isinstance(point, datetime):
            if not await self._over(point):
                raise _to_come(pointer, "is still to come")
            return await self._shown(await self._value(queries.UNTIL, point))
        if point <= self.progress.position:  # no need to ask how far the log is
            return point
        if point > (head := await self._value(queries.HEAD)):
            raise _to_come(pointer, f"is beyond the last position, {head}")
        return await self._shown(point)

    async def settled(self, moment: datetime) -> None:
        """Wait until all is stored that was recorded until a moment, or until now if it is to come.

        Raises:
            ApiError: `projection-behind`.
        """
        if not await self._over(moment):
            await self._over(await self._value(queries.NOW))

    async def _over(self, moment: datetime) -> bool:
        """Wait until nothing can be recorded at a moment any more; False: it is still to come.

        Raises:
            ApiError: `projection-behind`.
        """
        for _ in range(round(DEFAULT_WAIT / APPEND)):
            if (is_over := await self._value(queries.OVER, moment)) is not False:
                return bool(is_over)
            await asyncio.sleep(APPEND)
        raise ApiError("projection-behind", "What was recorded then is still being stored.")

    def _existing(self, company_id: UUID, rows: Sequence[TupleRow]) -> PastRow:
        if not rows:
            raise self._missing(company_id, NOTHING_THEN)
        row = PastRow(*rows[0])
        if row.erased or row.purged_at:
            raise TablePurged
        return row

    def _missing(self, company_id: UUID, *why: str) -> Exception:
        """Why something is not there: what the company wrote may not be there yet."""
        return ApiError("projection-behind") if self.progress.behind(company_id) else NotFound(*why)

    async def _shown(self, position: int) -> int:
        if not await self.progress.reach(position, DEFAULT_WAIT):
            detail = f"The history is at position {self.progress.position}."
            raise ApiError("projection-behind", detail)
        return position

    async def _value(self, query: str, moment: datetime | None = None) -> Any:
        [(value,)] = await self._pooled(query, {"moment": moment})
        return value

    async def _search(
        self, query: str, company_id: UUID, params: Mapping[str, Any]
    ) -> Sequence[TupleRow]:
        async def run(connection: Any) -> Sequence[TupleRow]:
            await connection.execute(ANY_PLAN)
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(query.encode(), {**params, "company_id": company_id})
                return list(await cursor.fetchall())

        return await self._transact(company_id, run)

    async def _fetch(
        self, query: str, company_id: UUID, params: Mapping[str, Any]
    ) -> Sequence[TupleRow]:
        given = {"company_id": company_id, "companies": companies(company_id)}
        given |= params
        return await self._pooled(query, given)


def _to_come(pointer: str, detail: str) -> ApiError:
    return invalid([{"pointer": pointer, "in": "query", "code": "future", "detail": detail}])


def _in_order(rows: Sequence[TupleRow], order: str) -> Sequence[Row]:
    found = [Row(*row) for row in rows]
    return sorted(found, key=lambda row: row.position, reverse=order == "newest")
