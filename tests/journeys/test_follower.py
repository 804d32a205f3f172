"""Whoever follows the feed has the same tables as the service, although they are killed often.

`DYNAMIC_TABLES_TEST_FOLLOWER_EVENTS=50000` and `-o log_cli=true`: a longer form, with its figures.
"""

import logging
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.demo import COMPANY, PRODUCT, SALES
from api.embedded_postgres import attach
from examples.follower import canonical
from tests.conftest import sized
from tests.journeys.processes import ROOT, Serve, until

EVENTS = int(os.environ.get("DYNAMIC_TABLES_TEST_FOLLOWER_EVENTS", sized("1000", "3000")))
KILLS = sized(10, 20)
WRITERS = 8
AT_LEAST = sized(4.0, 6.0)  # seconds that the writers take, so that each follower gets to its work
UNDERSTOOD = {200, 201, 204, 404, 409, 410}  # others were faster: deleted, purged, or took the slug
LATER = """
INSERT INTO event_store.events (position, company_id, originator_id, originator_version, topic,
                                state, event_id, recorded_at)
SELECT (SELECT max(position) + 1 FROM event_store.events), company_id, originator_id,
       originator_version + 1, 'TableDef.Shared',
       convert_to((convert_from(state, 'UTF8')::jsonb || %s::jsonb)::text, 'UTF8'),
       gen_random_uuid(), recorded_at
  FROM event_store.events WHERE originator_id = %s
"""
SHARED = '{"occurredAt": "2036-11-22T09:00:00.000000Z", "data": {"with": ["everybody"]}}'
ERASE = "UPDATE event_store.events SET state = NULL, salt = NULL WHERE originator_id = %s"

logger = logging.getLogger(__name__)


class Copy:
    """A copy, and the process that follows for it."""

    def __init__(self, folder: Path, address: str, key: str) -> None:
        self.file = folder / "copy.sqlite"
        self.log = folder / "follower.log"
        self._command = [sys.executable, str(ROOT / "examples/follower.py"), address, self.file]
        self.key = key
        self._environment = {"FOLLOWER_KEY": key}
        self.process: subprocess.Popen[bytes] | None = None

    def once(self, key: str | None = None) -> subprocess.CompletedProcess[str]:
        """Follow until it has all there is."""
        return subprocess.run(
            [*self._command, "--once"],
            env=self._environment | ({} if key is None else {"FOLLOWER_KEY": key}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self) -> None:
        """Follow."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it at once, at whatever it is; fails if it had ended by itself."""
        assert self.process
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, self.log.read_text()

    def read(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.file, timeout=30)) as copy:
            copy.row_factory = sqlite3.Row
            return [dict(row) for row in copy.execute(query)]

    def state(self, name: str) -> Any:
        """`position`, `eventId`, `events` or `unknown`."""
        try:
            return self.read("SELECT * FROM checkpoint")[0][name]
        except sqlite3.OperationalError:  # nobody has made it yet
            return None

    def tables(self) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.read("SELECT * FROM tables")}

    def names(self) -> set[str]:
        return {row["name"] for row in self.tables().values()}


class Writers:
    """People who change the same tables at once, in every way there is."""

    def __init__(self, service: Serve, seed: int) -> None:
        self._service = service
        self._seed = seed
        self._lock = threading.Lock()
        self._ids: list[str] = []
        self._started_at = time.monotonic()
        self.written = 0  # the last position of theirs
        self.requests = 0

    def write(self, number: int) -> None:
        """Be one of them until there are enough events."""
        with self._service.client() as client:
            person = Person(client, self._ids, random.Random(self._seed * 1_000 + number))
            while self.written < EVENTS:
                ahead = self.written / EVENTS - (time.monotonic() - self._started_at) / AT_LEAST
                time.sleep(max(0.0, ahead * AT_LEAST))
                answer = person.act()
                assert answer.status_code in UNDERSTOOD, answer.text
                with self._lock:
                    position = int(answer.headers.get("event-position", 0))
                    self.written = max(self.written, position)
                    self.requests += 1


class Person:
    """Somebody who changes tables at random."""

    def __init__(self, client: httpx.Client, ids: list[str], chance: random.Random) -> None:
        self._client = client
        self._ids = ids
        self._chance = chance
        self._actions: dict[Callable[[], httpx.Response], int] = {
            self._create: 15, self._change: 55, self._delete: 10, self._restore: 10,
            self._purge: 6, self._duplicate: 4,
        }  # fmt: skip

    def act(self) -> httpx.Response:
        """Do one thing."""
        if len(self._ids) < WRITERS * 2:
            return self._create()
        [action] = self._chance.choices(list(self._actions), list(self._actions.values()))
        return action()

    def _create(self) -> httpx.Response:
        return self._remember(self._client.post("/api/tables", json=self._fields() | self._name()))

    def _change(self) -> httpx.Response:
        return self._client.patch(self._some(), json=self._fields())

    def _delete(self) -> httpx.Response:
        return self._client.delete(self._some())

    def _restore(self) -> httpx.Response:
        return self._client.post(f"{self._some()}/restore")

    def _purge(self) -> httpx.Response:
        table = self._some()
        self._client.delete(table)
        purged = self._client.post(f"{table}/purge")
        if purged.status_code == 204 and self._chance.random() < 0.9:
            self._ids.remove(table.removeprefix("/api/tables/"))
        return purged

    def _duplicate(self) -> httpx.Response:
        return self._remember(self._client.post(f"{self._some()}/duplicate"))

    def _remember(self, made: httpx.Response) -> httpx.Response:
        if made.status_code == 201:
            self._ids.append(made.json()["id"])
        return made

    def _some(self) -> str:
        """A table, more often one of the latest, so that several are at it at once."""
        ids = self._ids[-50:] if self._chance.random() < 0.5 else self._ids[:]
        return f"/api/tables/{self._chance.choice(ids)}"

    def _name(self) -> dict[str, Any]:
        return {"name": f"{self._chance.choice(['Orders', 'Größe', '注文'])} {self._number()}"}

    def _number(self) -> int:
        return self._chance.randrange(10_000)

    def _fields(self) -> dict[str, Any]:
        """Some of what a table has."""
        chance = self._chance
        every = self._name() | {
            "slug": f"slug-{self._number()}",
            "description": chance.choice([None, f"About {self._number()}\nand more"]),
            "icon": chance.choice([None, "📦", "👥"]),
            "color": chance.choice([None, f"#{self._number():06}"]),
            "workspaceId": chance.choice([None, str(SALES), str(PRODUCT)]),
            "settings": chance.choice([None, self._settings()]),
        }
        return {name: every[name] for name in chance.sample(sorted(every), chance.randint(2, 6))}

    def _settings(self) -> dict[str, Any]:
        values = [
            None,
            True,
            1,
            0.5,
            "é\u2028",
            [None, {"a": None}],
            {"a": 1},
            {"a": None, "b": {}},
        ]
        names = ("enableForm", "one", "two", "three")
        settings = {name: self._chance.choice(values) for name in self._chance.sample(names, 2)}
        return settings | {"enableForm": self._chance.choice([None, True, False])}


@pytest.fixture(scope="module")
def service(used: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One that runs while several tests follow it."""
    data = Path(shutil.copytree(used, tmp_path_factory.mktemp("service") / "data"))
    with Serve(data, "--demo") as running:
        yield running


@pytest.fixture
def copy(service: Serve, tmp_path: Path) -> Copy:
    return Copy(tmp_path, service.address, service.key)


def shown(service: Serve, position: str) -> dict[str, dict[str, Any]]:
    """All tables as the service shows them from a position on, deleted ones too."""
    found: list[dict[str, Any]] = []
    params = {"state": "all", "limit": "200"}
    headers = {"Min-Position": position, "Prefer": "wait=10"}
    with service.client() as client:
        client.timeout = httpx.Timeout(30)
        while True:
            page = client.get("/api/tables", params=params, headers=headers).raise_for_status()
            found += page.json()["items"]
            if not page.json()["nextCursor"]:
                break
            params["cursor"] = page.json()["nextCursor"]
    for table in found:
        del table["companyId"], table["effectiveSettings"]
        table["settings"] = canonical(table["settings"])
    return {table["id"]: table for table in found}


def feed(service: Serve) -> tuple[int, str]:
    """How many events there are, and the position of the last."""
    headers = {"Accept": "application/x-ndjson"}
    with service.client() as client:
        lines = client.get("/api/events", headers=headers).raise_for_status()
    return lines.content.count(b"\n"), lines.headers["feed-position"]


def create(service: Serve, name: str) -> str:
    """A new table; returns its path."""
    with service.client() as client:
        made = client.post("/api/tables", json={"name": name}).raise_for_status()
    return f"/api/tables/{made.json()['id']}"


def kill_often(copy: Copy, writers: Writers, writing: list[Future[None]], seed: int) -> None:
    """Kill who follows at random moments while there is writing, and begin again each time."""
    chance, begun = random.Random(seed), writers.written
    for kill in range(KILLS):
        moment = begun + (EVENTS - begun) * (kill + chance.random()) / KILLS
        while writers.written < moment and not all(each.done() for each in writing):
            time.sleep(0.001)
        copy.kill()
        copy.start()


def test_killed_at_random_each_event_takes_effect_once(data: Path, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    logger.warning("seed %s", seed)
    with (
        Serve(data, "--demo") as service,
        ThreadPoolExecutor(WRITERS) as threads,
    ):
        copy, writers = Copy(tmp_path, service.address, service.key), Writers(service, seed)
        started = time.monotonic()
        copy.start()
        writing = [threads.submit(writers.write, number) for number in range(WRITERS)]
        try:
            kill_often(copy, writers, writing, seed)
            for each in writing:
                each.result()
            wrote = time.monotonic() - started
            events, position = feed(service)
            assert events >= EVENTS
            until(lambda: copy.state("events") == events, 30, "the copy has all there is")
        finally:
            copy.kill()
        done = time.monotonic() - started
        logger.warning("%s events by %s requests in %.1f s, followed in %.1f s", events,
                       writers.requests, wrote, done)  # fmt: skip
        last = copy.once()
        assert (last.returncode, last.stdout, last.stderr) == (0, "", "")
        assert copy.tables() == shown(service, position)
        assert str(copy.state("position")) == position
        assert copy.state("unknown") == 0
        logger.warning("%s tables are equal, %s kills", len(copy.tables()), KILLS)


def test_a_copy_of_before_is_gone_on_with(service: Serve, copy: Copy) -> None:
    create(service, "Before")
    first = copy.once()
    assert (first.returncode, first.stderr) == (0, "")
    before = copy.state("events")
    assert first.stdout == f"{before} new events, up to position {before} of {before}.\n"
    create(service, "Since")
    assert copy.once().stdout == f"1 new events, up to position {before + 1} of {before + 1}.\n"
    assert copy.once().stdout == ""
    assert copy.state("events") == before + 1
    assert copy.names() >= {"Before", "Since"}


def test_what_a_later_release_records_is_one_more_version(service: Serve, copy: Copy) -> None:
    id = create(service, "Shared").removeprefix("/api/tables/")
    copy.once()
    before = copy.tables()[id]
    with attach(service.data) as url, psycopg.connect(url) as connection:
        connection.execute(LATER, (SHARED, id))
    followed = copy.once()
    assert followed.returncode == 0
    assert "does not know dynamic-tables.table-def.shared.v1" in followed.stdout
    assert copy.tables()[id] == before | {"version": 2, "updatedAt": "2036-11-22T09:00:00.000000Z"}
    assert copy.state("unknown") == 1


def test_erased_events_are_passed_over(service: Serve, copy: Copy) -> None:
    table = create(service, "Secret")
    with service.client() as client:
        client.delete(table).raise_for_status()
        client.post(f"{table}/purge").raise_for_status()
    with attach(service.data) as url, psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # what is stored is for ever
        connection.execute(ERASE, (table.removeprefix("/api/tables/"),))
    assert copy.once().returncode == 0
    assert copy.state("events") == feed(service)[0]
    assert "Secret" not in copy.names()


@pytest.mark.parametrize("change", ["position = position + 1000", "eventId = :other"])
def test_a_service_that_went_back_is_told_in_one_line(
    service: Serve, copy: Copy, change: str
) -> None:
    copy.once()
    with closing(sqlite3.connect(copy.file)) as seen, seen:
        seen.execute(f"UPDATE checkpoint SET {change}", {"other": str(COMPANY)})
    before = copy.read("SELECT * FROM checkpoint")
    told = copy.once()
    assert (told.returncode, told.stdout) == (3, "")
    assert re.fullmatch(
        r"409 A backup was restored.* Delete the copy and start again.*\n", told.stderr
    )
    assert copy.read("SELECT * FROM checkpoint") == before


def test_a_key_that_is_not_accepted_is_told_in_one_line(service: Serve, copy: Copy) -> None:
    with service.client() as client:
        new = {"label": "V", "role": "viewer"}
        viewer = client.post("/api/keys", json=new).raise_for_status().json()["key"]
    for key, status in (("dtk_wrong", 401), (viewer, 403)):
        told = copy.once(key)
        assert (told.returncode, told.stdout) == (4, "")
        assert re.fullmatch(rf"{status} .* Set FOLLOWER_KEY to a key of .*\n", told.stderr)
    assert copy.once("").returncode == 2


def test_it_waits_for_a_service_that_is_not_there_yet_starts_again_or_has_had_enough(
    data: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    copy = Copy(tmp_path, f"http://127.0.0.1:{port}", (data / "api-key").read_text())
    copy.start()
    try:
        until(lambda: "refused. Trying again in" in copy.log.read_text(), 15, "it cannot reach it")
        with Serve(data, "--demo", port=port) as service:
            create(service, "First")
            until(lambda: copy.state("events") == 8, 30, "it has the first")
            with service.client() as client:
                new = {"label": "W", "role": "editor"}
                other = client.post("/api/keys", json=new).raise_for_status().json()["key"]
        limits = {"requests_per_second": 1, "requests_at_once": 2}
        with Serve(data, "--demo", port=port, **limits) as service:
            service.key = other
            create(service, "Second")
            until(lambda: "Second" in copy.names(), 30, "it goes on where it was")
            third = create(service, "Third")
            changes = 0
            with service.client() as writer, service.client() as reader:
                reader.headers["Authorization"] = f"Bearer {copy.key}"  # there is less left for it
                while "429 Nothing was done." not in copy.log.read_text():
                    reader.get("/api/tables")
                    change = writer.patch(third, json={"color": f"#{changes:06}"})
                    changes += change.status_code == 200
                    assert changes < 60, "it asks too often"
            time.sleep(2)  # we too
            create(service, "Fourth")
            until(lambda: "Fourth" in copy.names(), 30, "it goes on where it was")
            assert copy.state("events") == 11 + changes
            assert copy.names() >= {"First", "Second", "Third", "Fourth"}
    finally:
        copy.kill()
