"""Reading companies and workspaces, and the lists of keys and people."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow

from api.pooled import Pool, fetching
from api.progress import Progress
from application.batching import Coalescer
from application.event_store.session import Session, companies, scoped
from domain.company_details import DEFAULT_COMPANY_SETTINGS
from domain.errors import NotFound
from projections import tenancy_queries as queries
from projections.keyset import Keyset, Listing, Page, State
from projections.tenancy_queries import TenantRow

WORKSPACE = scoped(queries.WORKSPACE_BY_ID)
COMPANY = scoped(queries.COMPANY_BY_ID)
NAME = scoped(queries.COMPANY_NAME)
SETTINGS = scoped(queries.COMPANY_SETTINGS)
AS_PLATFORM = "SELECT set_config('dynamic_tables.platform', 'on', true)"
FRESH = 1.0  # seconds for which a company's settings are not asked for again
CACHED = 10_000  # companies


class TenancyReads:
    """The read side of companies and workspaces."""

    def __init__(self, session: Session, pool: Pool, progress: Progress) -> None:
        self.progress = progress
        self._session = session
        self._pool = pool
        self._pooled = fetching(pool)
        self._settings: Coalescer[UUID, Mapping[str, Any]] = Coalescer(self._fetch_settings)
        self._known: dict[UUID, tuple[float, Mapping[str, Any]]] = {}

    async def workspace(self, company_id: UUID, id: UUID) -> TenantRow:
        """One workspace of the company, deleted or not.

        Raises:
            NotFound.
        """
        params = {"company_id": company_id, "id": id, "companies": companies(company_id)}
        return _one(await self._pooled(WORKSPACE, params))

    async def company(self, id: UUID) -> TenantRow:
        """One company, removed or not.

        Raises:
            NotFound.
        """
        return _one(await self._pooled(COMPANY, {"id": id, "companies": companies(id)}))

    async def company_name(self, id: UUID) -> str | None:
        """What a company is called, if it is registered."""
        rows = await self._pooled(NAME, {"id": id, "companies": companies(id)})
        return rows[0][0] if rows else None

    async def settings(self, company_id: UUID) -> Mapping[str, Any]:
        """The settings of a company, with their defaults, at most a second old."""
        asked_at, known = self._known.get(company_id, (0.0, {}))
        now = time.monotonic()
        if now - asked_at < FRESH and known:
            return known
        found = await self._settings.get(company_id) or DEFAULT_COMPANY_SETTINGS
        if len(self._known) >= CACHED:
            self._known.clear()
        self._known[company_id] = (now, found)
        return found

    async def page(
        self, listing: Listing, company_id: UUID, state: State, after: Keyset | None, limit: int
    ) -> Page:
        """One page of a list of the company's, in its only order."""
        [sort] = listing.sorts
        params = listing.params(sort, state, after, limit)
        params |= {"company_id": company_id, "companies": companies(company_id)}
        return Page(*(await self._pooled(scoped(listing.queries[sort]), params))[0])

    async def all_companies(self, state: State, after: Keyset | None, limit: int) -> Page:
        """One page of all companies, for the platform."""
        params = queries.COMPANIES.params("name", state, after, limit)
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(AS_PLATFORM)
            query = queries.COMPANIES.queries["name"].encode()
            return Page(*(await (await connection.execute(query, params)).fetchall())[0])

    async def _fetch_settings(self, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, Any]]:
        params = {"company_ids": list(ids), "companies": companies(*ids)}
        return dict(await self._session.fetch(SETTINGS, params))


def _one(rows: Sequence[TupleRow]) -> TenantRow:
    if not rows:
        raise NotFound
    return TenantRow(*rows[0])
