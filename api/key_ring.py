"""The API keys of a company, as its admins make, list, rotate and revoke them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api import keys
from api.errors import ApiError
from api.keys import NewKey
from api.orders import Connection, Order, carry_out, is_repeated, remembered
from api.scopes import ROLES
from application.event_store.session import Session
from domain.errors import NotFound
from projections.keyset import TIME, Listing, SortKey

ROLE_SCOPES = json.dumps({role: sorted(scopes) for role, scopes in ROLES.items()})
KEY = f"""json_build_object(
       'id', t.id, 'label', t.label, 'role', t.role,
       'scopes', coalesce(to_jsonb(t.scopes), '{ROLE_SCOPES}'::jsonb -> t.role),
       'createdBy', t.created_by, 'createdAt', {TIME.format("t.created_at")},
       'expiresAt', {TIME.format("least(t.expires_at, t.retires_at)")},
       'lastUsedAt', {TIME.format("t.last_used_at")},
       'revokedAt', {TIME.format("t.revoked_at")}, 'revokedBy', t.revoked_by)"""
KEYS = Listing(
    source="access.api_keys",
    json=KEY,
    gone="(revoked_at IS NOT NULL)",
    sorts={"createdAt": SortKey("created_at", "timestamptz")},
)
ONE = f"SELECT {KEY}::text FROM access.api_keys t WHERE company_id = %s AND id = %s"  # noqa: S608
FIND = """
SELECT role, scopes, label, expires_at,
       revoked_at IS NOT NULL OR coalesce(least(expires_at, retires_at) <= now(), false)
  FROM access.api_keys
 WHERE company_id = %s AND id = %s
   FOR UPDATE
"""
REVOKE = """
UPDATE access.api_keys SET revoked_at = now(), revoked_by = %s
 WHERE company_id = %s AND id = %s AND revoked_at IS NULL
"""
RETIRE = """
UPDATE access.api_keys
   SET retires_at = least(retires_at, now() + make_interval(secs => %s))
 WHERE company_id = %s AND id = %s
"""


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
    replayed: bool = False


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
            key = NewKey.make()
            before = await _before(connection, order, key)
            return before or await _make(connection, order, wanted, key)

        return await carry_out(self._session.run_as, order, run)

    async def find(self, company_id: UUID, id: UUID) -> str:
        """One key as JSON.

        Raises:
            NotFound.
        """

        async def run(connection: Connection) -> str:
            return await _shown(connection, company_id, id)

        return await self._session.run_as(company_id, run)

    async def rotate(
        self, order: Order, id: UUID, overlap: float, allow: Callable[[Wanted], None]
    ) -> Made:
        """Make a key that takes the place of another, which goes on for `overlap` seconds.

        It expires when the other would have without that. `allow` may say no by an exception.

        Raises:
            NotFound; ApiError: `key-revoked`, also for one that has expired.
            KeyReused: the idempotency key belongs to another request.
        """

        async def run(connection: Connection) -> Made:
            if before := await _before(connection, order, key := NewKey.make()):
                return before
            wanted = await _wanted_again(connection, order.company_id, id)
            allow(wanted)
            made = await _make(connection, order, wanted, key)
            await connection.execute(RETIRE, (overlap, order.company_id, id))
            return made

        return await carry_out(self._session.run_as, order, run)

    async def revoke(self, order: Order, id: UUID) -> Made:
        """Let a key in no more, within a second, everywhere; again does nothing.

        Raises:
            NotFound; KeyReused: the idempotency key belongs to another request.
        """

        async def run(connection: Connection) -> Made:
            await _shown(connection, order.company_id, id)
            replayed = await is_repeated(connection, order)
            await connection.execute(REVOKE, (order.actor_id, order.company_id, id))
            return Made(id, await _shown(connection, order.company_id, id), None, replayed)

        return await carry_out(self._session.run_as, order, run)


async def _before(connection: Connection, order: Order, key: NewKey) -> Made | None:
    """What the same request made before, without its secret; otherwise it will be `key`."""
    made_id = await remembered(connection, order, key.id)
    if made_id == key.id:
        return None
    return Made(made_id, await _shown(connection, order.company_id, made_id), None, replayed=True)


async def _make(connection: Connection, order: Order, wanted: Wanted, key: NewKey) -> Made:
    row = keys.row(
        key, order.company_id, wanted.role, wanted.label, wanted.expires_at,
        None if wanted.scopes is None else sorted(wanted.scopes), order.actor_id,
    )  # fmt: skip
    await connection.execute(keys.INSERT, row)
    await connection.execute(keys.NAME, row)
    return Made(key.id, await _shown(connection, order.company_id, key.id), str(key))


async def _wanted_again(connection: Connection, company_id: UUID, id: UUID) -> Wanted:
    """What a key that takes the place of this one is; nobody else changes it meanwhile."""
    row = await (await connection.execute(FIND, (company_id, id))).fetchone()
    if row is None:
        raise NotFound
    role, scopes, label, expires_at, ended = row
    if ended:
        raise ApiError("key-revoked")
    return Wanted(label, role, None if scopes is None else frozenset(scopes), expires_at)


async def _shown(connection: Connection, company_id: UUID, id: UUID) -> str:
    row = await (await connection.execute(ONE.encode(), (company_id, id))).fetchone()
    if row is None:
        raise NotFound
    return str(row[0])
