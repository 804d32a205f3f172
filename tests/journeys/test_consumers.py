"""Eight who read for a consumer, and crash, oversleep and refuse: each event is dealt with."""

import asyncio
import logging
import random
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import sized
from tests.journeys.processes import Serve

SEED = 20261122
READERS, WRITERS, TABLES, EVENTS = 8, 4, 24, sized(264, 600)
LEASE = 1  # seconds
COPY = "/api/consumers/copy"

Delivery = dict[str, Any]

logger = logging.getLogger(__name__)


@dataclass
class Holding:
    """What one reader had, as far as they know: from when until when, and what they dealt with.

    `acks`: up to which position, and when they said so; those alone that were taken.
    """

    delivery: Delivery
    since: float
    until: float
    acks: list[tuple[int, float]] = field(default_factory=list)

    @property
    def events(self) -> dict[str, list[int]]:
        """The positions of each table."""
        found = defaultdict(list)
        for event in self.delivery["events"]:
            found[event["tableId"]].append(int(event["position"]))
        return found

    def dealt_with(self) -> dict[int, float]:
        """The positions that were acknowledged, and when."""
        return {
            position: min(moment for until, moment in self.acks if until >= position)
            for positions in self.events.values()
            for position in positions
            if any(until >= position for until, _ in self.acks)
        }


@dataclass
class Run:
    """What those who write and read do, and what they saw."""

    client: httpx.AsyncClient
    tables: list[str] = field(default_factory=list)
    written: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    holdings: list[Holding] = field(default_factory=list)
    refused: int = 0
    lost: int = 0
    crashed: int = 0
    is_over: bool = False

    async def post(self, action: str, said: Any, *expected: int) -> httpx.Response:
        answer = await self.client.post(f"{COPY}/{action}", json=said)
        assert answer.status_code in expected, answer.text
        return answer

    async def create(self, number: int) -> None:
        answer = await self.client.post("/api/tables", json={"name": f"T {number}"})
        assert answer.status_code == 201, answer.text
        self.tables.append(answer.json()["id"])
        self._wrote(answer)

    async def write(self, dice: random.Random) -> None:
        for number in range((EVENTS - TABLES) // WRITERS):
            address = f"/api/tables/{dice.choice(self.tables)}"
            changes = {"description": f"{dice.random()} {number}"}
            answer = await self.client.patch(address, json=changes)
            assert answer.status_code == 200, answer.text
            self._wrote(answer)

    def _wrote(self, answer: httpx.Response) -> None:
        self.written[answer.json()["id"]].append(int(answer.headers["event-position"]))

    async def read(self, dice: random.Random) -> None:
        while not self.is_over:
            wish = {"limit": dice.choice((1, 5, 20)), "wait": 1}
            delivery = (await self.post("fetch", wish, 200)).json()
            if delivery["lease"] is None:
                continue
            leased_until = datetime.fromisoformat(delivery["leasedUntil"]).timestamp()
            holding = Holding(delivery, time.time(), leased_until)
            self.holdings.append(holding)
            await self._act(dice, holding)

    async def _act(self, dice: random.Random, holding: Holding) -> None:
        """Mostly deal with it; sometimes in parts, too late, not at all, or not wanting to."""
        what = dice.random()
        last = holding.delivery["position"]
        if what < 0.05:
            self.crashed += 1
            await asyncio.sleep(LEASE / 2)
        elif what < 0.09:
            await asyncio.sleep(LEASE * 1.2)
            await self._ack(holding, last)
        elif what < 0.2:
            await self._refuse(holding, dice.choice(holding.delivery["events"])["position"])
        elif what < 0.4:
            await self._ack(holding, dice.choice(holding.delivery["events"])["position"])
            await self._ack(holding, last)
        else:
            await asyncio.sleep(dice.random() * 0.02)
            await self._ack(holding, last)

    async def _ack(self, holding: Holding, position: str) -> None:
        said = {"lease": holding.delivery["lease"], "position": position}
        moment = time.time()
        answer = await self.post("ack", said, 204, 409)
        if answer.status_code == 409:
            self.lost += 1
            return
        holding.acks.append((int(position), moment))
        whole = int(position) >= int(holding.delivery["events"][-1]["position"])
        holding.until = min(holding.until, moment) if whole else moment + LEASE

    async def _refuse(self, holding: Holding, position: str) -> None:
        said = {
            "lease": holding.delivery["lease"], "position": position, "retryAfterSeconds": 0.1,
        }  # fmt: skip
        moment = time.time()
        if (await self.post("nack", said, 200, 409)).status_code == 200:
            self.refused += 1
            holding.until = min(holding.until, moment)

    async def finish(self) -> None:
        """Wait until all is dealt with: nothing lags, and nothing waits."""
        while True:
            now = (await self.client.get(COPY)).json()
            busy = any(each["owner"] for each in now["progress"])
            if not (busy or now["lag"]["events"] or now["retrying"] or now["parked"]):
                self.is_over = True
                return
            await asyncio.sleep(0.1)


def assert_all_is_dealt_with_in_order(run: Run) -> None:
    """Each event of each table, and none before those that came before it."""
    dealt_with: dict[int, float] = {}
    for holding in run.holdings:
        for position, moment in holding.dealt_with().items():
            dealt_with[position] = min(moment, dealt_with.get(position, moment))
    assert sorted(dealt_with) == sorted(p for each in run.written.values() for p in each)
    for holding in run.holdings:
        for table, positions in holding.events.items():
            all_of_it = sorted(run.written[table])
            first = bisect_left(all_of_it, positions[0])
            assert positions == all_of_it[first : first + len(positions)], "without a hole"
            before = all_of_it[:first]
            assert all(dealt_with[each] < holding.since for each in before), "none passed over"


def assert_nobody_has_what_somebody_else_has(run: Run) -> None:
    had = defaultdict(list)
    for holding in run.holdings:
        for table in holding.events:
            had[table].append((holding.since, holding.until))
    for spans in had.values():
        spans.sort()
        for (_, until), (since, _) in pairwise(spans):
            assert until <= since


async def at_once(count: int, act: Callable[[random.Random], Awaitable[None]], seed: int) -> None:
    await asyncio.gather(*(act(random.Random(f"{seed} {number}")) for number in range(count)))


def test_whatever_readers_do_each_event_is_dealt_with_in_the_order_of_its_table(
    database: str, tmp_path: Path
) -> None:
    async def play(service: Serve) -> Run:
        headers = {"Authorization": f"Bearer {service.key}"}
        limits = httpx.Limits(max_connections=READERS + WRITERS + 1)
        async with httpx.AsyncClient(
            base_url=service.address, headers=headers, timeout=10, limits=limits
        ) as client:
            terms = {"partitions": 4, "leaseSeconds": LEASE, "start": "head", "maxAttempts": 100}
            assert (await client.put(COPY, json=terms)).status_code == 201
            run = Run(client)
            reading = asyncio.create_task(at_once(READERS, run.read, SEED))
            await asyncio.gather(*(run.create(number) for number in range(TABLES)))
            await at_once(WRITERS, run.write, SEED + 1)
            await asyncio.wait_for(run.finish(), 60)
            await reading
            return run

    data = tmp_path / "data"
    with Serve(data, "--demo", "--workers", "2", database_url=database) as service:
        began = time.monotonic()
        run = asyncio.run(play(service))
        took = time.monotonic() - began
    seen = f"{len(run.holdings)} leases, {run.crashed} crashes, {run.lost} leases lost"
    logger.info("seed %s: %s, %s refusals, %.1f s", SEED, seen, run.refused, took)
    assert_all_is_dealt_with_in_order(run)
    assert_nobody_has_what_somebody_else_has(run)
    assert min(run.crashed, run.lost, run.refused) > 0, "they were too well-behaved"
