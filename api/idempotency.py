"""Idempotency keys of commands that record no event, in the same namespace as all others."""

from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from application.errors import KeyReused
from application.event_store.store import IdempotencyKey

REMEMBER = "SELECT request_hash, made_id FROM access.remember(%s, %s, %s, %s)"


async def remember(
    connection: AsyncConnection[TupleRow], company_id: UUID, key: IdempotencyKey, made: UUID
) -> UUID:
    """What a request makes, in the caller's transaction; or what the same request made before.

    `made`: an id of this time alone, so that another one tells of a repetition. A second request
    waits until the first is committed.

    Raises:
        KeyReused: the key belongs to another request.
    """
    params = (company_id, key.key, key.request_hash, made)
    [(request_hash, made_id)] = await (await connection.execute(REMEMBER, params)).fetchall()
    if request_hash != key.request_hash:
        raise KeyReused
    return UUID(str(made_id))
