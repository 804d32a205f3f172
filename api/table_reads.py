"""Reading table definitions: point reads that wait share one query; lists use a small pool."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from application.batching import Coalescer
from application.event_store.session import Params, Session
from domain.errors import NotFound, TablePurged
from projections import table_def_queries as queries
from projections.table_def_queries import Filter, Keyset, Page, TableRow


class TableReads:
    """The read side of table definitions."""

    def __init__(self, session: Session, pool: AsyncConnectionPool[AsyncConnection[TupleRow]]):
        self._session = session
        self._pool = pool
        self._rows: Coalescer[UUID, TableRow] = Coalescer(self._fetch_rows)

    async def one(self, company_id: UUID, id: UUID) -> TableRow:
        """One table of the company, deleted or not.

        Raises:
            NotFound, TablePurged.
        """
        row = await self._rows.get(id)
        if row is not None and row.company_id == company_id:
            return row
        if await self._fetch(queries.IS_PURGED, (id, company_id)):
            raise TablePurged
        raise NotFound

    async def id_by_slug(self, company_id: UUID, slug: str) -> tuple[UUID, str, bool]:
        """Which table has this slug, its present slug, and whether the two are the same.

        Raises:
            NotFound: no table of the company has it or had it last.
        """
        rows = await self._fetch(queries.ID_BY_SLUG, {"company_id": company_id, "slug": slug})
        if not rows:
            raise NotFound
        id, present, current = rows[0]
        return id, present, current

    async def list(self, wanted: Filter, after: Keyset | None, limit: int) -> Page:
        """One page of the list."""
        params = queries.list_params(wanted, after, limit)
        rows = await self._fetch(queries.LIST[wanted.sort], params)
        return Page(*rows[0])

    async def count(self, wanted: Filter) -> int:
        """How many tables the whole list has."""
        rows = await self._fetch(queries.COUNT, wanted.params())
        return int(rows[0][0])

    async def _fetch_rows(self, ids: Sequence[UUID]) -> Mapping[UUID, TableRow]:
        rows = await self._session.fetch(queries.BY_ID, queries.by_id_params(ids))
        return {row[0]: TableRow(*row) for row in rows}

    async def _fetch(self, query: str, params: Params) -> Sequence[TupleRow]:
        async with self._pool.connection() as connection, connection.cursor(binary=True) as cursor:
            await cursor.execute(query.encode(), params)
            return await cursor.fetchall()
