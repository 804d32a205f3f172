"""What the routes of a consumer share: it is found by name, and changed once for each key."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Path
from pydantic_core import to_json
from starlette.responses import Response

from api.consumer_schemas import CONSUMER_NAME
from api.consumer_views import consumer_view
from api.endpoint import Call
from api.orders import Connection, Order, carry_out, is_repeated, order
from api.schemas import KeyHeaders, WriteQuery
from api.security import requires
from api.writing import rehearsed
from application.consumers.consumer import Consumer, Lock, find
from application.consumers.standing import behind, standing

OWN = [requires("consumers:write")]
JSON = "application/json"
Name = Annotated[
    str,
    Path(pattern=CONSUMER_NAME, description="What the consumer is called.",
         examples=["warehouse-copy"]),
]  # fmt: skip
T = TypeVar("T")


async def with_consumer(
    call: Call,
    name: str,
    run: Callable[[Connection, Consumer], Awaitable[T]],
    lock: Lock | None = None,
) -> T:
    """Do something with the consumer of a name, in one transaction of its company.

    Raises:
        NotFound; and whatever `run` raises, nothing of which is kept then.
    """
    company_id = call.caller.company_id

    async def found(connection: Connection) -> T:
        return await run(connection, await find(connection, company_id, name, lock))

    return await call.services.transact(company_id, found)


async def change_consumer(
    call: Call,
    name: str,
    query: WriteQuery,
    headers: KeyHeaders,
    run: Callable[[Connection, Consumer], Awaitable[None]],
    *,
    shows: bool = False,
) -> Response:
    """Change a consumer, once for each idempotency key."""
    ordered = order(call, query, headers)
    shown, repeated = await once(call, name, ordered, run, shows=shows)
    if ordered.dry_run:
        return rehearsed("consumer", shown)
    if shows:
        return Response(to_json(shown), 200, replayed(repeated), JSON)
    return Response(status_code=204, headers=replayed(repeated))


async def once(
    call: Call,
    name: str,
    ordered: Order,
    run: Callable[[Connection, Consumer], Awaitable[None]],
    *,
    shows: bool = False,
) -> tuple[dict[str, Any] | None, bool]:
    """Carry out what is ordered, and tell whether it was before; `shows`: with how it is then.

    Raises:
        NotFound; and whatever `run` raises, nothing of which is kept then.
    """

    async def changed(connection: Connection) -> tuple[dict[str, Any] | None, bool]:
        repeated = await is_repeated(connection, ordered)
        if repeated and not shows:
            return None, True
        consumer = await find(connection, ordered.company_id, name, "update")
        before = await view(connection, consumer) if ordered.dry_run and not shows else None
        if not repeated:
            await run(connection, consumer)
        return (await view(connection, consumer) if shows else before), repeated

    return await carry_out(call.services.transact, ordered, changed)


async def view(connection: Connection, consumer: Consumer) -> dict[str, Any]:
    """A consumer as it is shown."""
    now, lag = await standing(connection, consumer), await behind(connection, consumer)
    return consumer_view(consumer, now, lag)


def replayed(repeated: bool) -> dict[str, str]:
    """The header that says so."""
    return {"Idempotency-Replayed": "true"} if repeated else {}
