"""The API keys of a company, as its admins make, list, rotate and revoke them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, dict_row

from api import keys
from api.errors import ApiError
from api.idempotency import remember
from api.keys import NewKey
from api.scopes import ROLES
from application.event_store.session import Session
from application.event_store.store import IdempotencyKey
from domain.errors import NotFound
from projections.keyset import TIME, Listing

ROLE_SCOPES = json.dumps({role: sorted(scopes) for role, scopes in ROLES.items()})
KEY = f"""json_build_object(
       'id', t.id, 'label', t.label, 'role', t.role,
       'scopes', coalesce(to_jsonb(t.scopes), '{ROLE_SCOPES}'::jsonb -> t.role),
       'createdBy', t.created_by, 'createdAt', {TIME.format("t.created_at")},
       'expiresAt', {TIME.format("t.expires_at")}, 'lastUsedAt', {TIME.format("t.last_used_at")},
       'revokedAt', {TIME.format("t.revoked_at")}, 'revokedBy', t.revoked_by)"""
KEYS = Listing(
    source="access.api_keys",
    json=KEY,
    gone="revoked_at",
    sorts={"createdAt": ("created_at", "timestamptz")},
)
ONE = f"SELECT {KEY}::text FROM access.api_keys t WHERE company_id = %s AND id = %s"  # noqa: S608
FIND = """
SELECT role, scopes, label, expires_at, revoked_at FROM access.api_keys
 WHERE company_id = %s AND id = %s
   FOR UPDATE
"""
REVOKE = """
UPDATE access.api_keys SET revoked_at = now(), revoked_by = %s
 WHERE company_id = %s AND id = %s AND revoked_at IS NULL
"""
EXPIRE = """
UPDATE access.api_keys
   SET expires_at = least(expires_at, now() + make_interval(secs => %s))
 WHERE company_id = %s AND id = %s
"""

Connection = AsyncConnection[TupleRow]


@dataclass(frozen=True)
class Wanted:
    """What a new key shall be: of a role, or with just these scopes."""

    label: str
    role: str | None
    scopes: frozenset[str] | None
    expires_at: datetime | None


@dataclass(frozen=True)
class Made:
    """A new key as JSON; its text only when it is new, not when the same request comes again."""

    id: UUID
    json: str
    token: str | None


@dataclass(frozen=True)
class Order:
    """Who wants a key made, and the idempotency key of the request."""

    company_id: UUID
    actor_id: UUID
    idempotency: IdempotencyKey | None = None
    dry_run: bool = False


class _Rehearsed(Exception):
    """Nothing is to be kept."""

    def __init__(self, made: Made) -> None:
        super().__init__()
        self.made = made


class KeyRing:
    """The keys of each company. All that is done for one sees and changes no other's."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(self, order: Order, wanted: Wanted) -> Made:
        """Make a key.

        Raises:
            KeyReused: the idempotency key belongs to another request.
        """

        async def run(connection: Connection) -> Made:
            return await _make(connection, order, wanted)

        return await self._ordered(order, run)

    async def find(self, company_id: UUID, id: UUID) -> str:
        """One key as JSON.

        Raises:
            NotFound.
        """

        async def run(connection: Connection) -> str:
            return await _shown(connection, company_id, id)

        return await self._session.run_as(company_id, run)

    async def wanted_again(self, company_id: UUID, id: UUID) -> Wanted:
        """What a key that takes the place of this one would be.

        Raises:
            NotFound; ApiError: `key-revoked`.
        """

        async def run(connection: Connection) -> Mapping[str, Any] | None:
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(FIND, (company_id, id))
                return await cursor.fetchone()

        found = await self._session.run_as(company_id, run)
        if found is None:
            raise NotFound
        if found["revoked_at"]:
            raise ApiError("key-revoked")
        scopes = None if found["scopes"] is None else frozenset(found["scopes"])
        return Wanted(found["label"], found["role"], scopes, found["expires_at"])

    async def rotate(self, order: Order, id: UUID, wanted: Wanted, overlap: float) -> Made:
        """Make a key that takes the place of another, which expires `overlap` seconds from now.

        Raises:
            KeyReused: the idempotency key belongs to another request.
        """

        async def run(connection: Connection) -> Made:
            made = await _make(connection, order, wanted)
            if made.token:
                await connection.execute(EXPIRE, (overlap, order.company_id, id))
            return made

        return await self._ordered(order, run)

    async def revoke(self, order: Order, id: UUID) -> Made:
        """Let a key in no more, within a second, everywhere; again does nothing.

        Raises:
            NotFound; KeyReused: the idempotency key belongs to another request.
        """

        async def run(connection: Connection) -> Made:
            await _shown(connection, order.company_id, id)
            if order.idempotency and not order.dry_run:
                await remember(connection, order.company_id, order.idempotency, id)
            await connection.execute(REVOKE, (order.actor_id, order.company_id, id))
            return Made(id, await _shown(connection, order.company_id, id), None)

        return await self._ordered(order, run)

    async def _ordered(self, order: Order, run: Any) -> Made:
        async def unless_rehearsed(connection: Connection) -> Made:
            made: Made = await run(connection)
            if order.dry_run:
                raise _Rehearsed(made)
            return made

        try:
            return await self._session.run_as(order.company_id, unless_rehearsed)
        except _Rehearsed as rehearsed:
            return rehearsed.made


async def _make(connection: Connection, order: Order, wanted: Wanted) -> Made:
    key = NewKey.make()
    if order.idempotency and not order.dry_run:
        made_id = await remember(connection, order.company_id, order.idempotency, key.id)
        if made_id != key.id:
            return Made(made_id, await _shown(connection, order.company_id, made_id), None)
    row = keys.row(
        key, order.company_id, wanted.role, wanted.label, wanted.expires_at,
        None if wanted.scopes is None else sorted(wanted.scopes), order.actor_id,
    )  # fmt: skip
    await connection.execute(keys.INSERT, row)
    await connection.execute(keys.NAME, row)
    return Made(key.id, await _shown(connection, order.company_id, key.id), str(key))


async def _shown(connection: Connection, company_id: UUID, id: UUID) -> str:
    row = await (await connection.execute(ONE.encode(), (company_id, id))).fetchone()
    if row is None:
        raise NotFound
    return str(row[0])
