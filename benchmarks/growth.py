"""The same requests in companies of ever more tables: what should stay as it is, and what may grow.

Tables are loaded through the store's own append, in batches of as many as it takes at once.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

import psycopg

from api.migrations import migrate
from api.read_models import READ_MODELS
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.base import Request
from application.event_store.postgres import PostgresEventStore
from application.table_defs import TableDefs
from benchmarks.load import Client, median_ms
from benchmarks.service import COMPANY, Service, context, running
from domain.table_def import TableDef
from domain.table_details import Changes, Details
from projections.rebuild import rebuild

SIZES = (1_000, 100_000, 1_000_000)
AT_ONCE = 1_000
ASKED = 200  # tables that are asked for
FLAT = (
    "create", "GET by id", "list, page of 50", "list, a word", "history of a table",
    "log, newest", "feed, page in the middle", "feed, newest", "start until ready",
)  # fmt: skip


@dataclass(frozen=True)
class Grown:
    """What was measured in a company of so many tables: milliseconds, and events per second."""

    tables: int
    ms: Mapping[str, float]
    rates: Mapping[str, float]


def grown(database: str, tables: int) -> Grown:
    """Fill an empty database with a company of this size, and measure."""
    asyncio.run(migrate(database, database))
    started = time.perf_counter()
    ids = asyncio.run(_load(database, tables))
    rates = {"append": 2 * tables / (time.perf_counter() - started)}
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
    for model in READ_MODELS:
        started = time.perf_counter()
        events = asyncio.run(rebuild(as_role(database, PROJECTOR_ROLE), model))
        rates[f"rebuild {model.name}"] = events / (time.perf_counter() - started)
    with running(database) as service:
        ready = {FLAT[-1]: 1000 * service.started_in}
        return Grown(tables, asyncio.run(_asked(service, ids)) | ready, rates)


async def _load(database: str, tables: int) -> Sequence[UUID]:
    """Tables that were created and changed once; some of their ids."""
    store = PostgresEventStore(as_role(database, API_ROLE))
    table_defs = TableDefs(store)
    chosen = set(random.Random(1).sample(range(tables), ASKED))
    numbers, ids = iter(range(tables)), list[UUID]()
    change = Changes(description="What our customers ordered since the first day.")

    async def write() -> None:
        for number in numbers:
            request = Request(context(COMPANY))
            name, slug = f"Table {number:07} {number % 1_000}", f"table-{number}"
            table = TableDef.create(uuid4(), Details(name=name, icon="box"), slug, request.context)
            table.change(change, request.context)
            await table_defs.append(table, request)
            if number in chosen:
                ids.append(table.id)

    await asyncio.gather(*(write() for _ in range(AT_ONCE)))
    await store.close()
    return ids


async def _asked(service: Service, ids: Sequence[UUID]) -> dict[str, float]:
    """Milliseconds of each kind of request, on one connection: the median."""
    await _caught_up(service)
    middle = await _middle(service)
    paths: dict[str, Callable[[], str]] = {
        "GET by id": lambda: f"/api/tables/{random.choice(ids)}",
        "list, page of 50": lambda: "/api/tables?limit=50",
        "list, a word": lambda: "/api/tables?limit=50&q=0000",
        "history of a table": lambda: f"/api/tables/{random.choice(ids)}/history",
        "log, newest": lambda: "/api/audit/events?limit=50",
        "feed, page in the middle": lambda: f"/api/events?after={middle}&limit=100",
        "feed, newest": lambda: "/api/events?after=head",
    }
    async with Client(service.address, service.key) as client:
        body = '{"name":"One more %s","icon":"box"}'
        found = {
            "create": await median_ms(lambda: client.send("POST", "/api/tables", body % uuid4()))
        }
        for name, path in paths.items():
            found[name] = await median_ms(partial(_get, client, path))
    return found


async def _get(client: Client, path: Callable[[], str]) -> None:
    await client.send("GET", path())


async def _caught_up(service: Service) -> None:
    """Wait until the log, which nobody rebuilt, has all that was loaded."""
    async with Client(service.address, service.key) as client:
        behind = 1
        while behind:
            await asyncio.sleep(1)
            health = json.loads((await client.send("GET", "/readyz"))[1])
            behind = sum(each["lag"] for each in (*health["projections"], health["auditLog"]))


async def _middle(service: Service) -> int:
    async with Client(service.address, service.key) as client:
        headers, _ = await client.send("GET", "/api/events?after=head")
    return int(headers["feed-position"]) // 2
