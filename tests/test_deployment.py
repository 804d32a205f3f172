"""The image and the services of docker-compose.yml, as far as they show without an engine.

What the build stage copies is installed for real, and the services' commands then run from there as
plain processes, with the environment and the logins of the compose file, on a PostgreSQL that asks
for their passwords.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

from api.__main__ import cli
from api.embedded_postgres import attach
from api.settings import Settings

ROOT = Path(__file__).parents[1]
OURS = ("migrate", "api", "projector", "publisher")
PREFIX = "DYNAMIC_TABLES_"


def interpolated(text: str) -> str:
    """The file as compose reads it where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")


COMPOSE: dict[str, Any] = yaml.safe_load(interpolated((ROOT / "docker-compose.yml").read_text()))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, in order."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [
        (word, rest.strip())
        for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def arguments(instruction: str) -> list[str]:
    return [rest for word, rest in instructions() if word == instruction]


def copied() -> list[list[str]]:
    """The arguments of each COPY from the source tree."""
    return [shlex.split(rest) for rest in arguments("COPY") if not rest.startswith("--from")]


def test_nothing_is_left_to_substitute() -> None:
    assert "$" not in json.dumps(COMPOSE)


def test_the_image_is_built_from_files_that_exist() -> None:
    sources = [source for *sources, _ in copied() for source in sources]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert sent == set(sources)


def test_the_image_installs_what_is_locked_and_runs_as_nobody_special() -> None:
    installs = [rest for rest in arguments("RUN") if "pip install" in rest]
    assert all("--require-hashes" in rest or "--no-deps" in rest for rest in installs)
    assert "--require-hashes -r requirements.lock" in installs[0]
    [user] = arguments("USER")
    assert int(user) > 0
    stages = arguments("FROM")
    assert len(stages) == 2
    assert all(re.match(r"python:3\.\d+-slim\b", stage) for stage in stages)
    assert arguments("HEALTHCHECK")


@pytest.mark.parametrize(
    "command",
    [SERVICES[name]["command"] for name in OURS]
    + [SERVICES[name]["healthcheck"]["test"][2:] for name in ("api", "projector")]
    + [json.loads(each) for each in arguments("CMD")]
    + [json.loads(each.partition("CMD ")[2])[1:] for each in arguments("HEALTHCHECK")],
    ids=" ".join,
)
def test_every_command_exists_with_its_options(command: list[str]) -> None:
    found: click.Command = cli
    while isinstance(found, click.Group):
        name, *command = command
        found = found.get_command(click.Context(found), name) or pytest.fail(name)
    assert set(command) <= {option for each in found.params for option in each.opts}


def test_every_variable_is_a_setting() -> None:
    used = {name for each in OURS for name in SERVICES[each]["environment"]}
    used |= set(re.findall(rf"\b{PREFIX}\w+", " ".join(arguments("ENV"))))
    assert used <= {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_every_password_of_the_try_out_can_be_replaced() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    left = re.sub(r"\$\{[A-Z]+_PASSWORD:-try-out\}", "", text)
    assert "try-out" not in re.sub(r"#.*", "", left)


def test_only_migrate_knows_the_admin() -> None:
    admin = SERVICES["migrate"]["environment"][f"{PREFIX}ADMIN_DATABASE_URL"]
    assert "//postgres:" in admin
    for name in ("api", "projector", "publisher"):
        assert list(SERVICES[name]["environment"]) != []
        assert "//postgres:" not in json.dumps(SERVICES[name]["environment"])
        assert f"{PREFIX}ADMIN_DATABASE_URL" not in SERVICES[name]["environment"]


def test_the_services_wait_for_each_other_and_say_how_they_are() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("api", "projector"):
        waits = SERVICES[name]["depends_on"]
        assert waits["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES["postgres"]["healthcheck"]["test"][1] == "pg_isready"


def test_the_data_is_in_a_named_volume_where_postgresql_18_keeps_it() -> None:
    assert SERVICES["postgres"]["image"] == "postgres:18"
    [mount] = SERVICES["postgres"]["volumes"]
    volume, target = mount.split(":")
    assert volume in COMPOSE["volumes"]
    assert target == "/var/lib/postgresql"


def test_compose_itself_accepts_the_file() -> None:
    def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    if not shutil.which("docker") or compose("version").returncode:
        pytest.skip("docker compose is not installed")
    done = compose("config", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build stage leaves: our packages, installed from what it copies."""
    source, target = (tmp_path_factory.mktemp("image") / name for name in ("src", "site"))
    source.mkdir()
    skipped = shutil.ignore_patterns("__pycache__")
    for *sources, place in copied():
        for each in sources:
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, source / place, ignore=skipped)
            else:
                shutil.copy(ROOT / each, source / place)
    build = "--quiet --no-deps --no-build-isolation --no-index --no-compile"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *build.split(), "--target", target, "."],
        cwd=source,
        env={"PATH": os.environ["PATH"], "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
    )
    return target


def test_the_image_has_every_module_and_script(installed: Path) -> None:
    names = [
        path.relative_to(ROOT)
        for folder in ("domain", "application", "projections", "api")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql"}
    ]
    assert [str(name) for name in names if not (installed / name).exists()] == []


@dataclass
class Stack:
    """The services as processes; only where they find each other differs from the file."""

    installed: Path
    url: str
    port: int
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        given = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
        for key in given:
            if key.endswith("DATABASE_URL"):
                host = psycopg.conninfo.conninfo_to_dict(self.url)["host"]
                given[key] = make_conninfo(given[key], host=str(host))
        if "DYNAMIC_TABLES_PORT" in given:
            given["DYNAMIC_TABLES_PORT"] = str(self.port)
        return given | {"PATH": os.defpath, "PYTHONPATH": str(self.installed)}

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "api", *(arguments or SERVICES[name]["command"])]
        return subprocess.Popen(
            command,
            cwd="/",
            env=self.environment(name),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, *arguments: str) -> tuple[int, str, str]:
        process = self.start(name, *arguments)
        output, errors = process.communicate(timeout=30)
        return process.returncode, output, errors

    def up(self, name: str) -> None:
        """Start a service and wait until its own health check is content."""
        self.running[name] = self.start(name)
        deadline = time.monotonic() + 20
        while (looked := self.healthy(name))[0] != 0:
            assert self.running[name].poll() is None, self.running[name].communicate()
            assert time.monotonic() < deadline, looked

    def healthy(self, name: str) -> tuple[int, str, str]:
        return self.run(name, *SERVICES[name]["healthcheck"]["test"][2:])

    def down(self, name: str) -> int:
        process = self.running.pop(name)
        process.terminate()
        process.communicate(timeout=float(SERVICES[name]["stop_grace_period"].rstrip("s")))
        return process.returncode


@pytest.fixture
def stack(installed: Path, tmp_path: Path, free_port: int) -> Iterator[Stack]:
    password = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]
    with attach(tmp_path / "data") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(COMPOSE["configs"]["logins"]["content"], prepare=False)
            connection.execute("CREATE ROLE trusted SUPERUSER LOGIN")
            connection.execute(f"ALTER ROLE postgres PASSWORD '{password}'")
            rules = tmp_path / "data/cluster/pg_hba.conf"
            rules.write_text("local all trusted trust\nlocal all all scram-sha-256\n")
            connection.execute("SELECT pg_reload_conf()")
        stack = Stack(installed, make_conninfo(url, user="trusted"), free_port)
        try:
            yield stack
        finally:
            for process in stack.running.values():
                process.kill()
                process.communicate()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_the_stack_comes_up_works_and_goes_down(stack: Stack) -> None:
    early = stack.run("api", *SERVICES["api"]["command"])
    assert early[0] == 1
    assert "dynamic-tables migrate" in early[2]
    assert stack.run("migrate")[0] == 0
    assert stack.run("migrate")[0] == 0  # each `up` runs it again
    stack.up("projector")
    stack.up("api")
    made = stack.run("migrate", "company", "create", "Example Ltd")[1].split("API key ")[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}") as client:
        client.headers["Authorization"] = f"Bearer {made.strip()}"
        assert client.post("/api/tables", json={"name": "Orders"}).status_code == 201
        [row] = client.get("/api/tables").json()["items"]
        assert row["name"] == "Orders"
    assert logins(stack) == {
        ("dynamic_tables_api", "dynamic_tables_api"),
        ("dynamic_tables_projector", "dynamic_tables_projector"),
    }
    assert superusers(stack) == {"postgres", "trusted"}
    assert stack.down("projector") == 0
    assert stack.healthy("projector")[0] == 1
    assert stack.healthy("api")[0] == 0
    assert stack.down("api") == 0
    assert stack.healthy("api")[0] == 1


def logins(stack: Stack) -> set[tuple[str, str]]:
    """Who is logged in, and what their connections call themselves."""
    with psycopg.connect(stack.url) as connection:
        rows = connection.execute(
            "SELECT DISTINCT usename, application_name FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND usename <> 'trusted'"
        )
        return {(str(user), name) for user, name in rows}


def superusers(stack: Stack) -> set[str]:
    with psycopg.connect(stack.url) as connection:
        return {row[0] for row in connection.execute("SELECT rolname FROM pg_roles WHERE rolsuper")}
