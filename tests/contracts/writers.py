"""Writers in a process of their own: `python -m` with CONNINFO, STORES and COMMANDS."""

import asyncio
import sys
from uuid import uuid4

from application.event_store.postgres import PostgresEventStore
from tests.contracts.commands import creation

EVENTS = 10  # of one command


async def write(conninfo: str, stores: int, commands: int) -> None:
    """Append `stores` times `commands` commands, each store three at once."""

    async def work(store: PostgresEventStore, number: int) -> None:
        for _ in range(number, commands, 3):
            await store.append(creation(uuid4(), events=EVENTS))

    writers = [PostgresEventStore(conninfo) for _ in range(stores)]
    await asyncio.gather(*(work(store, number) for store in writers for number in range(3)))
    for store in writers:
        await store.close()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
