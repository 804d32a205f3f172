"""What the tests do with stores, and one that can be read through, whatever its role may see."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection

from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.errors import Fault, Refused
from application.event_store.postgres import PostgresEventStore
from application.event_store.store import Append, EventStore, Receipt
from domain.recorded import Recorded


class ApiStore(PostgresEventStore):
    """A store as an API process has it, but for `read`, which is a projector's."""

    def __init__(self, database_url: str) -> None:
        super().__init__(as_role(database_url, API_ROLE))
        self._feed = PostgresEventStore(as_role(database_url, PROJECTOR_ROLE))

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """Events of all companies above a position, in global order."""
        return await self._feed.read(after, limit)

    async def close(self) -> None:
        """Close the connections."""
        await super().close()
        await self._feed.close()


async def everything(store: EventStore) -> Sequence[Recorded]:
    """All that was ever stored."""
    return await store.read(0, 1_000_000)


async def outcome(store: EventStore, append: Append) -> Receipt | Exception:
    """The receipt of a command, or how it was refused."""
    try:
        return await store.append(append)
    except (Refused, Fault) as error:
        return error


async def at_once(store: EventStore, appends: Sequence[Append]) -> list[Receipt | Exception]:
    """What each of these gets that are sent in the same moment."""
    return list(await asyncio.gather(*(outcome(store, append) for append in appends)))


@contextmanager
def connected(conninfo: str) -> Iterator[Connection[Any]]:
    """A connection whose statements commit by themselves; closed afterwards."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


@contextmanager
def prepared(conninfo: str) -> Iterator[Connection[Any]]:
    """The same, and it prepares its statements at once, as the connections of the API do."""
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=0) as connection:
        yield connection
