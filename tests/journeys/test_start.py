"""It starts from nothing, says how to use it, survives what dies, and ends without a trace."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psycopg
import pytest

from api.embedded_postgres import attach
from tests.journeys.processes import COMMAND, Serve, alive, python_of, run, until

ENDED_ORDERLY = "Stopped.\n"
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO|WARNING|ERROR) [a-z]+: \S.*")
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
DEMO = {"Contacts", "Customers", "Ideas", "Orders"}


def names(service: Serve) -> set[str]:
    with service.client() as client:
        answer = client.get("/api/tables").raise_for_status()
    return {row["name"] for row in answer.json()["items"]}


def shows(service: Serve, wanted: set[str]) -> bool:
    """Whether these tables are in the list; not while there is none."""
    try:
        return names(service) >= wanted
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def service(used: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One that runs while many tests ask it, kill parts of it and find it whole again."""
    data = Path(shutil.copytree(used, tmp_path_factory.mktemp("service") / "data"))
    with Serve(data, "--demo") as running:
        yield running


def test_from_nothing_to_a_curl_that_lists_tables(tmp_path: Path) -> None:
    with Serve(tmp_path / "data", "--demo") as service:
        address, key, curl, sign_in = service.output
        assert re.fullmatch(r"Address http://127\.0\.0\.1:\d+", address)
        assert re.fullmatch(r"API key dtk_[0-9a-f]{32}_[0-9a-f]{48}", key)
        pasted = subprocess.run(["sh", "-c", curl], capture_output=True, check=True).stdout
        assert {row["name"] for row in json.loads(pasted)["items"]} == DEMO
        link = sign_in.removeprefix("Sign in ")
        with httpx.Client(follow_redirects=True) as browser:
            assert "<strong>demo</strong><small>Demo · Admin</small>" in browser.get(link).text
        with httpx.Client(follow_redirects=True) as second:
            assert second.get(link).status_code == 401


def test_the_next_start_has_the_same_key_and_tables_and_ends_when_told(
    used: Path, data: Path
) -> None:
    left = DEMO - {"Customers"}
    for number, before in ((signal.SIGINT, DEMO), (signal.SIGTERM, left), (signal.SIGHUP, left)):
        with Serve(data, "--demo") as service, service.client() as client:
            assert f"{service.key}\n" == (used / "api-key").read_text()
            assert names(service) == before
            for row in client.get("/api/tables").json()["items"]:
                if row["name"] == "Customers":  # which no start makes again
                    client.delete(f"/api/tables/{row['id']}").raise_for_status()
                    client.post(f"/api/tables/{row['id']}/purge").raise_for_status()
            assert len(service.children()) > 2
            service.end(number)
            assert service.log.read_text().endswith(ENDED_ORDERLY)
            assert service.process.returncode == 0


def test_the_log_level_holds_in_all_processes_and_ctrl_c_may_be_pressed_often(data: Path) -> None:
    with Serve(data, log_level="WARNING") as service:
        all_of_it = service.children()
        while service.process.poll() is None:
            service.process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert not any(map(alive, all_of_it))
        assert service.log.read_text() == ENDED_ORDERLY


def test_ctrl_c_before_it_is_ready_leaves_nothing_behind(tmp_path: Path) -> None:
    service = Serve(tmp_path / "data", "--demo")
    try:
        until((service.data / "postgres.log").exists, 30, "it creates its database")
        service.end(signal.SIGINT)
        assert service.log.read_text() == ENDED_ORDERLY
    finally:
        service.close()


def test_a_connection_is_kept_for_longer_than_clients_keep_theirs(data: Path) -> None:
    """Or who sends a request on one just then cannot know whether it was carried out."""
    with Serve(data) as service:
        address = urlsplit(service.address)
        connection = HTTPConnection(address.hostname or "", address.port)
        for pause in (6, 0):
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
            time.sleep(pause)
        connection.close()


def test_a_request_under_way_is_answered_and_an_idle_connection_does_not_hold_it_up(
    data: Path,
) -> None:
    with Serve(data, "--demo") as service, service.client() as client, attach(data) as url:
        with psycopg.connect(url) as busy, ThreadPoolExecutor() as threads:
            busy.execute("SELECT pg_advisory_lock(hashtextextended('event_store.append', 0))")
            answer = threads.submit(client.post, "/api/tables", json={"name": "Last"})
            until(lambda: busy.execute(WAITING).fetchone() == (1,), 15, "it waits for the lock")
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert not answer.done()
            busy.close()
            assert answer.result().status_code == 201
        service.process.wait(15)  # although the client keeps its connection open
        with psycopg.connect(url) as connection:
            assert connection.execute(
                "SELECT max(position) FROM event_store.events"
            ).fetchone() == (8,)


def test_when_it_is_killed_its_processes_end_and_the_next_start_finds_the_database(
    data: Path,
) -> None:
    with Serve(data, "--demo") as first:
        postmaster = first.postmaster()
        others = first.children("-m api")
        assert len(others) == 2
        first.process.kill()
        first.process.wait()
        until(lambda: not any(map(alive, others)), 30, "its processes end")
        assert alive(postmaster)
        with Serve(data, "--demo") as second:
            assert second.postmaster() == postmaster
            assert second.key == first.key
            assert names(second) == DEMO
            second.end()
    assert not alive(postmaster)


def test_a_killed_worker_is_replaced(service: Serve) -> None:
    [worker] = service.children("-m api worker")
    os.kill(worker, signal.SIGKILL)
    until(lambda: service.children("-m api worker") not in ([], [worker]), 15, "another")
    assert names(service) >= DEMO


def test_a_killed_projector_is_replaced_and_catches_up(service: Serve) -> None:
    [projector] = service.children("-m api project")
    os.kill(projector, signal.SIGKILL)
    with service.client() as client:
        created = client.post("/api/tables", json={"name": "While it was away"})
        assert created.status_code == 201
        until(lambda: "While it was away" in names(service), 15, "it is in the list")


def test_a_killed_database_comes_back_by_itself(service: Serve) -> None:
    postmaster = service.postmaster()
    os.kill(postmaster, signal.SIGKILL)
    killed_at, seen = time.monotonic(), []
    with service.client() as client:
        while not seen or seen[-1] != 201:
            assert time.monotonic() - killed_at < 15, seen
            answer = client.post("/api/tables", json={"name": "After"})
            seen.append(answer.status_code)
            if answer.status_code == 503:
                assert int(answer.headers["Retry-After"]) > 0
            time.sleep(0.05)
    assert set(seen) <= {201, 503}
    assert service.postmaster() != postmaster
    left = 20 - (time.monotonic() - killed_at)
    until(lambda: shows(service, {"After"}), left, "the read model catches up")


def test_a_database_that_dies_with_a_worker_comes_back_with_it(service: Serve) -> None:
    [worker] = service.children("-m api worker")
    os.kill(service.postmaster(), signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    until(lambda: shows(service, DEMO), 25, "it serves again")


def test_what_it_logs_is_of_one_format_without_noise(service: Serve) -> None:
    lines = service.log.read_text().splitlines()
    assert [line for line in lines if not LOG_LINE.fullmatch(line)] == []
    assert not any("Started server process" in line or "startup" in line for line in lines)


def test_every_worker_shares_the_port(data: Path) -> None:
    with Serve(data, "--demo", "--workers", "3") as service:
        workers = service.children("-m api worker")
        assert len(workers) == 3
        for worker in workers[:2]:  # whoever is left serves alone until they are back
            os.kill(worker, signal.SIGSTOP)
        for _ in range(20):
            with service.client() as client:
                assert client.get("/livez").status_code == 200
        for worker in workers[:2]:
            os.kill(worker, signal.SIGCONT)
        service.end()


def test_the_console_script_may_be_run_from_a_folder_that_has_an_api_of_its_own(
    data: Path,
) -> None:
    script = shutil.which("dynamic-tables", path=str(Path(COMMAND[0]).parent))
    if script is None:
        pytest.skip("the package is not installed, only on the path")
    (data.parent / "elsewhere/api").mkdir(parents=True)
    (data.parent / "elsewhere/api/__init__.py").write_text("raise SystemExit('not this one')")
    with Serve(data, command=(script,), cwd=data.parent / "elsewhere") as service:
        service.end()


def test_commands_work_on_the_running_database(service: Serve) -> None:
    made = run(service.data, "key", "create", "--role", "viewer", "--label", "to look").stdout
    with service.client() as client:
        client.headers["Authorization"] = f"Bearer {made.strip()}"
        assert client.get("/api/tables").status_code == 200
        assert client.post("/api/tables", json={"name": "No"}).status_code == 403
        assert "to look" in run(service.data, "key", "list").stdout
        assert run(service.data, "key", "revoke", made.split("_")[1]).stdout == "Revoked.\n"
        time.sleep(1.1)
        assert client.get("/api/tables").status_code == 401
    assert "Rebuilt table_defs to position" in run(service.data, "rebuild", "table_defs").stdout
    until(lambda: shows(service, DEMO), 15, "the rebuilt read model is served")
    for command in (("migrate",), ("replay", "--check"), ("project", "--healthy")):
        done = run(service.data, *command)
        assert (done.returncode, done.stderr) == (0, ""), command
    assert service.process.poll() is None


def test_commands_work_when_nothing_runs(data: Path) -> None:
    checked = run(data, "replay", "--check")
    assert (checked.returncode, checked.stdout) == (0, "7 events, 4 tables, to position 7.\n")
    checked = run(data, "replay", "--check", "--to", "1")
    assert (checked.returncode, checked.stdout) == (0, "1 events, 0 tables, to position 1.\n")
    unknown = run(data, "replay", "--check", "--table", str(UUID(int=1)))
    assert (unknown.returncode, unknown.stderr) == (1, f"Error: There is no table {UUID(int=1)}.\n")
    assert "Rebuilt table_defs to position 7" in run(data, "rebuild", "table_defs").stdout
    assert run(data, "migrate").stdout == "The schema is up to date.\n"
    assert "demo" in run(data, "key", "list").stdout
    assert not (data / "cluster/postmaster.pid").exists()


def test_a_key_that_was_revoked_is_replaced(data: Path) -> None:
    before = (data / "api-key").read_text()
    revoked = run(data, "key", "revoke", before.split("_")[1])
    assert revoked.stdout == "Revoked.\n"
    with Serve(data, "--demo") as service:
        assert f"{service.key}\n" != before
        assert names(service) == DEMO


def test_a_port_in_use_is_one_clear_line(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run(data, "serve", port=port)
    assert refused.returncode != 0
    assert refused.stderr == (
        f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use."
        " Set DYNAMIC_TABLES_PORT to another port.\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_needs_no_more() -> None:
    command, variables = python_of("nobody")
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        shutil.chown(home, "nobody")
        data = Path(home) / "data"
        with Serve(data, "--demo", command=command, user="nobody", variables=variables) as service:
            assert names(service) == DEMO
            postmaster = service.postmaster()
            assert Path(f"/proc/{postmaster}").stat().st_uid == data.stat().st_uid != 0
            service.end()
