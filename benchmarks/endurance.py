"""Mixed load for long: what the processes hold must not grow, and answers must not slow down."""

import asyncio
import itertools
import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import psutil
import psycopg

from benchmarks.load import Client
from benchmarks.service import Service

CLIENTS = 8
PAUSE = 0.01  # seconds of a client between two requests: half of what two processors can do
OURS = """
SELECT count(*) FROM pg_stat_activity
 WHERE application_name LIKE 'dynamic_tables%' AND datname = current_database()
"""


@dataclass
class Sample:
    """What was held at a moment, and how long requests took since the one before."""

    megabytes: float
    files: int
    connections: int
    taken: list[float] = field(default_factory=list)  # milliseconds

    @property
    def figures(self) -> Mapping[str, float]:
        """By name."""
        return {
            "memory of all processes, MB": self.megabytes,
            "open files": self.files,
            "database connections": self.connections,
            "p50, ms": statistics.median(self.taken),
            "p99, ms": statistics.quantiles(self.taken, n=100)[-1],
        }


async def endured(service: Service, minutes: float) -> Sequence[Sample]:
    """Ask for so long; ten samples or more, the first after a tenth of the time to warm up."""
    taken: list[float] = []
    end = time.monotonic() + minutes * 60
    clients = [asyncio.create_task(_client(service, taken, end)) for _ in range(CLIENTS)]
    samples = []
    for number in range(11):
        await asyncio.sleep(max(0, end - time.monotonic()) / (11 - number))
        sample, taken[:] = _sample(service, list(taken)), []
        samples.append(sample)
    await asyncio.gather(*clients)
    return samples[1:]


async def _client(service: Service, taken: list[float], end: float) -> None:
    """One who creates, reads, changes, lists, follows and looks back, in turn."""
    async with Client(service.address, service.key) as client:
        _, body = await client.send("POST", "/api/tables", f'{{"name":"First {uuid4()}"}}')
        ids, after = [json.loads(body)["id"]], "head"
        for number in itertools.count():
            if time.monotonic() > end:
                return
            path = f"/api/tables/{random.choice(ids)}"
            requests = (
                ("POST", "/api/tables", f'{{"name":"More {uuid4()}"}}'),
                ("GET", path, ""),
                ("PATCH", path, f'{{"description":"{number}"}}'),
                ("GET", "/api/tables?limit=50&sort=-updatedAt", ""),
                ("GET", f"/api/events?after={after}&limit=100", ""),
                ("GET", f"{path}/history", ""),
            )
            kind = number % len(requests)
            started = time.perf_counter()
            headers, body = await client.send(*requests[kind])
            taken.append((time.perf_counter() - started) * 1000)
            if kind == 0:
                ids = [*ids[-50:], json.loads(body)["id"]]
            after = headers.get("feed-position", after)
            await asyncio.sleep(PAUSE)


def _sample(service: Service, taken: list[float]) -> Sample:
    processes = [psutil.Process(pid) for pid in service.pids]
    with psycopg.connect(service.database) as connection:
        [(connections,)] = connection.execute(OURS).fetchall()
    return Sample(
        sum(each.memory_info().rss for each in processes) / 1e6,
        sum(each.num_fds() for each in processes),
        connections,
        taken,
    )
