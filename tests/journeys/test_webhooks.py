"""Everything arrives, each table's events in order, although whoever sends is killed often."""

import json
import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from tests.conftest import sized
from tests.journeys.processes import Serve, until

WRITERS, TABLES, RENAMES = 4, 5, sized(11, 19)  # 400 events at length: made, then renamed
KILLS = sized(2, 8)
SEED = 20261122


class Receiver:
    """A receiver that verifies what it gets, and knows what it took, by table, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        self.taken: dict[str, list[int]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        item = Webhook(self.secret).verify(body, headers)
        with self._lock:
            self.taken[item["tableId"]].append(item["version"])

    def count(self) -> int:
        """How much it took, with repeats."""
        with self._lock:
            return sum(map(len, self.taken.values()))

    def firsts(self) -> dict[str, list[int]]:
        """Without repeats."""
        with self._lock:
            return {table: list(dict.fromkeys(of)) for table, of in self.taken.items()}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Whoever is sent the events, on this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # as its base class calls it
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take(body, dict(self.headers))
            time.sleep(0.02)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write(service: Serve, writer: int) -> dict[str, list[int]]:
    """Make tables and rename them, by turns; the versions that there are of each."""
    with service.client() as client:
        made = [
            _done(client.post("/api/tables", json={"name": f"W{writer} T{n}"}))
            for n in range(TABLES)
        ]
        for number in range(RENAMES):
            for id in made:
                name = {"name": f"W{writer} {number}"}
                _done(client.patch(f"/api/tables/{id}", json=name))
    return {id: [*range(1, RENAMES + 2)] for id in made}


def _done(answer: httpx.Response) -> str:
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def senders(service: Serve) -> set[int]:
    return set(service.children("-m api project"))


def kill_often(service: Serve, receiver: Receiver, chance: random.Random) -> int:
    """Kill whoever sends, a moment after something of theirs arrived; how much arrived until then.

    It is started again each time.
    """
    killed = set[int]()
    for _ in range(KILLS):
        until(lambda: senders(service) - killed, 30, "it is started again")
        before = receiver.count()
        until(lambda before=before: receiver.count() > before, 30, f"it goes on, seed {SEED}")
        time.sleep(chance.uniform(0, 0.05))
        for pid in senders(service):
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    return receiver.count()


def test_killed_at_random_everything_arrives_in_the_order_of_its_table(data: Path) -> None:
    chance = random.Random(SEED)
    with (
        receiving() as receiver,
        Serve(data, "--demo", webhook_private_addresses="true") as service,
        service.client() as client,
        ThreadPoolExecutor() as threads,
    ):
        answer = client.post("/api/webhooks", json={"url": receiver.url})
        assert answer.status_code == 201, answer.text
        receiver.secret = answer.json()["secret"]
        writing = [threads.submit(write, service, writer) for writer in range(WRITERS)]
        arrived = kill_often(service, receiver, chance)
        written = {id: of for each in writing for id, of in each.result().items()}
        events = sum(map(len, written.values()))
        assert arrived < events, "it was killed with something left to send"
        took = until(lambda: receiver.firsts() == written, 60, f"all arrives, seed {SEED}")
        assert took < 25, "no lease of the dead is waited for"
        assert receiver.count() <= events + 4 * KILLS, "what was under way is repeated, no more"
        where = answer.headers["location"]
        until(lambda: client.get(where).json()["lag"]["events"] == 0, 10, "nothing is behind")
        assert client.get(where).json()["pausedFor"] is None


@pytest.fixture
def strict(data: Path) -> Iterator[Serve]:
    """A service whose webhooks may go to public addresses alone."""
    with Serve(data, "--demo") as service:
        yield service


def test_nothing_of_it_reaches_a_private_address_unless_that_is_allowed(strict: Serve) -> None:
    with receiving() as receiver, strict.client() as client:
        answer = client.post("/api/webhooks", json={"url": receiver.url})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["code"] == "private-address"
        assert json.loads(client.get("/api/webhooks").text)["items"] == []
