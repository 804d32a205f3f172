"""What the copy makes of events: the same as the service, each once, whatever an answer is like."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings

from api.event_schemas import TOPICS
from api.views import table_view
from application.feed import feed_item
from domain.base import Event
from domain.errors import DomainError
from domain.recorded import Recorded
from domain.table_def import TableDef
from examples import follower
from tests.domain.test_table_def import COMMANDS, FIELDS, delete, purge
from tests.domain.vocabulary import COMPANY, NOON, Command, change, context, new

ROOT = Path(__file__).parents[2]
Item = dict[str, Any]
DIES = """
import json, os, signal, sqlite3, sys
from examples import follower

class Mortal(sqlite3.Connection):
    left = int(sys.argv[1])
    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.set_trace_callback(self.survive)
    def survive(self, statement):
        Mortal.left -= 1
        if not Mortal.left:
            os.kill(os.getpid(), signal.SIGKILL)

connect = sqlite3.connect
sqlite3.connect = lambda *given, **named: connect(*given, factory=Mortal, **named)
page = json.load(sys.stdin)
follower.take(follower.open_copy(sys.argv[2]), page, len(page))
"""


@pytest.fixture
def copy() -> Iterator[sqlite3.Connection]:
    copy = follower.open_copy(":memory:")
    yield copy
    copy.close()


def items(*events: Event) -> list[Item]:
    """The events as the feed gives them, from position 1."""
    return [feed_item(Recorded(e, COMPANY, n, e.timestamp)) for n, e in enumerate(events, 1)]


def rows(copy: sqlite3.Connection) -> list[Item]:
    cursor = copy.execute("SELECT * FROM tables ORDER BY id")
    return [dict(zip([c[0] for c in cursor.description], row, strict=True)) for row in cursor]


def checkpoint(copy: sqlite3.Connection) -> tuple[Any, ...]:
    """Position, id, events, unknown."""
    found: tuple[Any, ...] = copy.execute("SELECT * FROM checkpoint").fetchone()[1:]
    return found


def shown(table: TableDef) -> Item:
    """A table as the service shows it, and as the copy should hold it."""
    view = table_view(table)
    del view["companyId"], view["effectiveSettings"]
    return view | {"settings": follower.canonical(view["settings"])}


@settings(settings.get_profile("domain"))
@given(FIELDS, COMMANDS)
def test_any_events_make_of_a_table_what_they_make_of_it_in_the_service(
    fields: Item, commands: list[Command]
) -> None:
    table = new(**{**fields, "slug": "orders"})
    events, copy = [*table.collect()], follower.open_copy(":memory:")
    for minute, command in enumerate(commands):
        later = context(actor_id=UUID(int=minute), occurred_at=NOON + timedelta(minutes=minute))
        try:
            command(table, later)
        except DomainError:
            continue
        events += table.collect()
    page = items(*events)
    assert follower.take(copy, page, len(page)) == len(page)
    assert rows(copy) == ([] if table.purged_at else [shown(table)])
    assert checkpoint(copy) == (len(page), page[-1]["id"], len(page), 0)
    copy.close()


def test_every_type_of_the_service_is_known() -> None:
    tables = {name for name, topic in TOPICS.items() if topic.startswith("TableDef.")}
    assert tables == set(follower.MEANS)


def test_what_took_effect_is_skipped(copy: sqlite3.Connection) -> None:
    table = new()
    change(name="Sales")(table, context())
    page = items(*table.collect())
    assert follower.take(copy, page[:1], 1) == 1
    assert follower.take(copy, page, 2) == 1  # an overlap
    assert follower.take(copy, page, 2) == 0
    assert follower.take(copy, page[:1], 1) == 0  # another process was faster
    assert rows(copy) == [shown(table)]
    assert checkpoint(copy) == (2, page[1]["id"], 2, 0)


def test_a_page_takes_effect_as_a_whole_or_not_at_all(copy: sqlite3.Connection) -> None:
    table = new()
    change(name="Sales", description="All")(table, context())
    page = items(*table.collect())
    del page[1]["data"]
    with pytest.raises(KeyError):
        follower.take(copy, page, 3)
    assert (rows(copy), checkpoint(copy)) == ([], (0, None, 0, 0))


def test_killed_before_any_statement_it_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    table = new()
    change(name="Sales", settings={"a": {"b": 1}})(table, context())
    page, killed = items(*table.collect()), 0
    while killed < 100:
        file = str(tmp_path / f"{killed + 1}.sqlite")
        command = [sys.executable, "-c", DIES, str(killed + 1), file]
        died = subprocess.run(command, cwd=ROOT, input=json.dumps(page), text=True, check=False)
        with closing(follower.open_copy(file)) as copy:
            follower.take(copy, page, len(page))
            assert rows(copy) == [shown(table)]
            assert checkpoint(copy) == (3, page[-1]["id"], 3, 0)
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL
        killed += 1
    assert killed > len(page) + 3  # and, at least, before it begins, moves on, and commits


def test_a_position_without_its_event_is_kept_without_an_id(copy: sqlite3.Connection) -> None:
    page = items(*new().collect())
    assert follower.take(copy, page, 9) == 1
    assert checkpoint(copy) == (9, None, 1, 0)
    assert follower.take(copy, [], 12) == 0
    assert checkpoint(copy) == (12, None, 1, 0)


def test_an_erased_event_says_nothing_but_that_its_table_is_gone(copy: sqlite3.Connection) -> None:
    """Erased is all of a purged table; perhaps after the first of its events took effect."""
    table = new()
    for command in (delete, purge):
        command(table, context())
    page = items(*table.collect())
    follower.take(copy, page[:1], 1)
    names = ("position", "id", "type", "tableId", "companyId", "version")
    erased = [{n: e[n] for n in names} | {"data": None, "erased": True} for e in page]
    assert follower.take(copy, erased, 3) == 2
    assert rows(copy) == []
    fresh = follower.open_copy(":memory:")
    assert follower.take(fresh, erased, 3) == 3
    assert rows(fresh) == []
    fresh.close()


def test_events_of_workspaces_and_unknown_tables_change_no_table(copy: sqlite3.Connection) -> None:
    [created] = items(*new().collect())
    workspace = {name: created[name] for name in created if name != "tableId"}
    later = created | {"position": "2", "type": "dynamic-tables.table-def.created.v7"}
    assert follower.take(copy, [workspace, later], 2) == 2
    assert (rows(copy), checkpoint(copy)) == ([], (2, created["id"], 2, 1))


class Answers(BaseHTTPRequestHandler):
    """What proxies and networks make of an answer, one after the other."""

    answers: list[bytes]

    def do_GET(self) -> None:
        self.wfile.write(self.answers.pop(0))

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_it_waits_out_whatever_is_no_answer(
    copy: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    head, slept = b"HTTP/1.1 200 OK\r\nFeed-Position: 7\r\nFeed-Head: 9\r\n", []
    Answers.answers = [
        b"",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>",
        b"HTTP/1.1 503 Unavailable\r\nRetry-After: 40\r\n\r\n",
        b'HTTP/1.1 429 Many\r\nRetry-After: 3\r\n\r\n{"detail": "Too many requests."}',
        b"HTTP/1.1 200 OK\r\n\r\n<html>Come back later</html>",
        head + b"Content-Length: 99\r\n\r\n[",
        head + b"\r\n[",
        *[b"HTTP/1.1 500 Internal\r\nRetry-After: 0\r\n\r\n"] * 2,
        head + b"\r\n[]",
    ]
    monkeypatch.setattr("time.sleep", slept.append)
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        page = follower.next_page(f"http://127.0.0.1:{server.server_port}", "dtk_x", copy, 0)
        server.shutdown()
        thread.join()
    assert page == ([], 7, 9)
    assert slept == [0.5, 1, 40, 3, 8, 15, 15, 15, 15]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(slept)
    assert lines[3] == "429 Too many requests. Trying again in 3 s."
