"""Reading table definitions: point reads that wait share one query; lists use a small pool."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow

from api.pooled import Pool, fetching
from api.progress import Progress
from application.batching import Coalescer
from application.event_store.session import Session, companies, scoped
from domain.errors import NotFound, TablePurged
from projections import table_def_queries as queries
from projections.keyset import Keyset, Page
from projections.table_def_queries import Filter, TableRow

BY_ID = scoped(queries.BY_ID)
ID_BY_SLUG = scoped(queries.ID_BY_SLUG)
IS_PURGED = scoped(queries.IS_PURGED)
LIST = {sort: scoped(query) for sort, query in queries.LIST.items()}
COUNT = scoped(queries.COUNT)

Identity = tuple[UUID, UUID]  # company and table


class TableReads:
    """The read side of table definitions."""

    def __init__(
        self,
        session: Session,
        pool: Pool,
        progress: Progress,
    ) -> None:
        self.progress = progress
        self._session = session
        self._pooled = fetching(pool)
        self._rows: Coalescer[Identity, TableRow] = Coalescer(self._fetch_rows)

    async def one(self, company_id: UUID, id: UUID) -> TableRow:
        """One table of the company, deleted or not.

        Raises:
            NotFound, TablePurged.
        """
        if row := await self._rows.get((company_id, id)):
            return row
        if await self._fetch(IS_PURGED, company_id, {"id": id}):
            raise TablePurged
        raise NotFound

    async def several(self, company_id: UUID, ids: Sequence[UUID]) -> Mapping[UUID, TableRow]:
        """Those of these tables that there are, deleted or not."""
        params = queries.by_id_params([company_id], ids)
        rows = await self._fetch(BY_ID, company_id, params)
        return {row[0]: TableRow(*row) for row in rows}

    async def id_by_slug(self, company_id: UUID, slug: str) -> tuple[UUID, str, bool]:
        """Which table has this slug, its present slug, and whether the two are the same.

        Raises:
            NotFound: no table of the company has it or had it last.
        """
        rows = await self._fetch(ID_BY_SLUG, company_id, {"slug": slug})
        if not rows:
            raise NotFound
        id, present, current = rows[0]
        return id, present, current

    async def list(self, wanted: Filter, after: Keyset | None, limit: int) -> Page:
        """One page of the list."""
        params = queries.list_params(wanted, after, limit)
        rows = await self._fetch(LIST[wanted.sort], wanted.company_id, params)
        return Page(*rows[0])

    async def count(self, wanted: Filter) -> int:
        """How many tables the whole list has."""
        rows = await self._fetch(COUNT, wanted.company_id, wanted.params())
        return int(rows[0][0])

    async def _fetch_rows(self, wanted: Sequence[Identity]) -> Mapping[Identity, TableRow]:
        """One query for all who wait, as all of their companies; each gets its own row alone."""
        ours = list({company_id for company_id, _ in wanted})
        params = queries.by_id_params(ours, [id for _, id in wanted])
        rows = await self._session.fetch(BY_ID, params | {"companies": companies(*ours)})
        return {(row[1], row[0]): TableRow(*row) for row in rows}

    async def _fetch(
        self, query: str, company_id: UUID, params: Mapping[str, Any]
    ) -> Sequence[TupleRow]:
        given = {**params, "company_id": company_id, "companies": companies(company_id)}
        return await self._pooled(query, given)
