"""What people and keys are called: names beside the events, not in them, so that they can go."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from api.idempotency import remember
from api.ids import new_id
from application.event_store.session import Session
from application.event_store.store import IdempotencyKey
from domain.errors import NotFound
from projections.folding import sort_key
from projections.keyset import TIME, Listing, SortKey

REMEMBERED = 100_000  # names, per process

NOTE = """
INSERT INTO access.people AS known (company_id, id, kind, name, name_folded)
VALUES (%(company_id)s, %(id)s, %(kind)s, %(name)s, %(name_folded)s)
    ON CONFLICT (company_id, id) DO UPDATE
   SET name = excluded.name, name_folded = excluded.name_folded, updated_at = now()
 WHERE known.erased_at IS NULL AND known.name IS DISTINCT FROM excluded.name
"""
NAMES = """
SELECT id, name FROM access.people WHERE company_id = %(company_id)s AND id = ANY(%(ids)s)
"""
ERASE = """
UPDATE access.people
   SET name = NULL, name_folded = '', erased_at = coalesce(erased_at, now()), updated_at = now()
 WHERE company_id = %(company_id)s AND id = %(id)s
"""
FORGET_LABEL = """
UPDATE access.api_keys SET label = '' WHERE company_id = %(company_id)s AND id = %(id)s
"""

_JSON = f"""json_build_object('id', t.id, 'kind', t.kind, 'name', t.name,
                              'erasedAt', {TIME.format("t.erased_at")})"""
PERSON = f"""
SELECT {_JSON}::text FROM access.people t WHERE company_id = %(company_id)s AND id = %(id)s
"""  # noqa: S608
PEOPLE = Listing(
    source="access.people",
    json=_JSON,
    gone="(erased_at IS NOT NULL)",
    sorts={"name": SortKey("name_folded", "text")},
)


class Directory:
    """The names of those who act in a company."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._noted: dict[tuple[UUID, UUID], str] = {}

    async def note(self, company_id: UUID, id: UUID, name: str) -> None:
        """Remember what a person is called now; who was erased stays without a name.

        A database that only reads may refuse.
        """
        if self._noted.get((company_id, id)) == name:
            return
        params = {
            "company_id": company_id, "id": id, "kind": "user", "name": name,
            "name_folded": sort_key(name),
        }  # fmt: skip
        with contextlib.suppress(psycopg.errors.ReadOnlySqlTransaction):
            await self._as(company_id, NOTE, params)
        if len(self._noted) >= REMEMBERED:
            self._noted.clear()
        self._noted[company_id, id] = name

    async def name(self, company_id: UUID, id: UUID) -> str | None:
        """What somebody is called, if that is known."""
        return (await self.names(company_id, [id])).get(id)

    async def names(self, company_id: UUID, ids: Collection[UUID]) -> Mapping[UUID, str | None]:
        """What each of them is called, as far as that is known."""
        rows = await self._as(company_id, NAMES, {"company_id": company_id, "ids": list(ids)})
        return dict(rows)

    async def erase(
        self, company_id: UUID, id: UUID, key: IdempotencyKey | None = None, dry_run: bool = False
    ) -> tuple[str, bool]:
        """Forget a name for good: tokens that still tell it are not listened to.

        Returns the person as JSON, as they are then or, with `dry_run`, still are; and whether the
        same request came before.

        Raises:
            NotFound: nobody of this id is known in the company.
            KeyReused: the idempotency key belongs to another request.
        """

        async def run(connection: AsyncConnection[TupleRow]) -> tuple[str, bool]:
            params, replayed = {"company_id": company_id, "id": id}, False
            if key and not dry_run:
                marker = new_id()
                replayed = await remember(connection, company_id, key, marker) != marker
            if not dry_run:
                await connection.execute(ERASE, params)
                await connection.execute(FORGET_LABEL, params)
            row = await (await connection.execute(PERSON.encode(), params)).fetchone()
            if row is None:
                raise NotFound  # here, so that nothing is kept, not even the idempotency key
            return str(row[0]), replayed

        return await self._session.run_as(company_id, run)

    async def _as(self, company_id: UUID, query: str, params: Any) -> Sequence[TupleRow]:
        async def run(connection: AsyncConnection[TupleRow]) -> Sequence[TupleRow]:
            cursor = await connection.execute(query.encode(), params)
            return await cursor.fetchall() if cursor.description else ()

        return await self._session.run_as(company_id, run)
