"""Writes that record no event: in one transaction of a company, once for each idempotency key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from api.endpoint import Call
from api.idempotency import remember
from api.ids import new_id
from api.schemas import KeyHeaders, WriteQuery
from api.writing import idempotency
from application.event_store.session import Transact
from application.event_store.store import IdempotencyKey

Connection = AsyncConnection[TupleRow]
T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """Who wants something done, and the idempotency key of the request."""

    company_id: UUID
    actor_id: UUID
    idempotency: IdempotencyKey | None = None
    dry_run: bool = False


class _Rehearsed(Exception):
    """Nothing is to be kept."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


def order(call: Call, query: WriteQuery, headers: KeyHeaders) -> Order:
    """What a request orders."""
    caller = call.caller
    key = idempotency(call, headers)
    return Order(caller.company_id, caller.actor_id, key, query.dry_run)


async def carry_out(
    transact: Transact, order: Order, run: Callable[[Connection], Awaitable[T]]
) -> T:
    """Do what is ordered, or rehearse it."""

    async def unless_rehearsed(connection: Connection) -> T:
        result = await run(connection)
        if order.dry_run:
            raise _Rehearsed(result)
        return result

    try:
        return await transact(order.company_id, unless_rehearsed)
    except _Rehearsed as rehearsed:
        result: T = rehearsed.result
        return result


async def remembered(connection: Connection, order: Order, made: UUID) -> UUID:
    """What the order makes, or what the same order made before; see `remember`.

    Raises:
        KeyReused: the idempotency key belongs to another request.
    """
    if order.idempotency is None or order.dry_run:
        return made
    return await remember(connection, order.company_id, order.idempotency, made)


async def is_repeated(connection: Connection, order: Order) -> bool:
    """Whether the same order was carried out before.

    Raises:
        KeyReused: the idempotency key belongs to another request.
    """
    marker = new_id()
    return await remembered(connection, order, marker) != marker
