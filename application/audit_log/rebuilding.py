"""Builds all trees anew from the events, and compares them with what was signed."""

from collections.abc import Callable

from application.audit_log.building import BATCH, BEGIN_ANEW, WAIT, append
from application.audit_log.signing import sign_all
from application.event_store.session import connect

BEFORE_ALL = -(2**63)  # positions begin with 1; whatever was put before them is found as well
# Events that are large take as long as they take.
NO_HURRY = b"SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"


async def rebuild(
    conninfo: str, progress: Callable[[int], None] = lambda _: None
) -> tuple[int, int]:
    """Build the trees anew; up to which position, and of how many companies no head is signed now.

    Proofs are read from the old tiles until the new ones take their place, in one transaction.
    Heads stay what they are. Killed half-way, nothing has changed.

    Raises:
        StoreUnavailable, psycopg.Error: the old tiles stay.
    """
    async with await connect(conninfo) as connection:
        await connection.execute(NO_HURRY, prepare=False)
        async with connection.transaction():
            await connection.execute(WAIT)
            await connection.execute(BEGIN_ANEW)
            position = BEFORE_ALL
            while (built := await append(connection, position, BATCH)).events:
                position = built.position
                progress(position)
        return max(position, 0), await sign_all(connection, None)
