"""It uses the PostgreSQL that it is given, as whoever it is given, or says in one line why not."""

import asyncio
import re
import subprocess
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from api.embedded_postgres import attach
from api.migrations import migrate
from tests.journeys.processes import Serve, run

DEMO = {"Contacts", "Customers", "Ideas", "Orders"}
FIRST_MIGRATE = (
    "Error: The database is not ready for this user: run `dynamic-tables migrate` first.\n"
)
USERS = """
SELECT DISTINCT usename FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'dynamic_tables%%'
"""


def names(service: Serve) -> set[str]:
    with service.client() as client:
        answer = client.get("/api/tables").raise_for_status()
    return {row["name"] for row in answer.json()["items"]}


def line(refused: subprocess.CompletedProcess[str]) -> str:
    """The one line that a command ends with that cannot do its work."""
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1
    return refused.stderr


def test_it_serves_from_the_database_it_is_given(tmp_path: Path, blank: str) -> None:
    with Serve(tmp_path / "data", "--demo", database_url=blank) as service:
        assert names(service) == DEMO
        assert [path.name for path in service.data.iterdir()] == ["api-key"]
        service.end()


def test_an_ordinary_user_serves_and_the_admin_only_prepares(
    tmp_path: Path, blank: str, login: str
) -> None:
    data = tmp_path / "data"
    with Serve(data, "--demo", database_url=login, admin_database_url=blank) as service:
        assert names(service) == DEMO
        with psycopg.connect(blank) as connection:
            users = [row[0] for row in connection.execute(USERS)]
        assert users == [psycopg.conninfo.conninfo_to_dict(login)["user"]]
        with service.client() as client:
            assert client.post("/api/tables", json={"name": "Fifth"}).status_code == 201
        service.end()
    checked = run(data, "replay", "--check", database_url=login)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "8 events, 5 tables, to position 8.\n"


def test_the_admin_alone_can_migrate_and_make_keys(tmp_path: Path, blank: str) -> None:
    data = tmp_path / "data"
    assert run(data, "migrate", admin_database_url=blank).returncode == 0
    made = run(data, "company", "create", "Sales Ltd", admin_database_url=blank)
    [(company, first_key)] = re.findall(r"Company (\S+)\nAPI key (dtk_\S+)\n", made.stdout)
    second = run(data, "key", "create", "--company", company, admin_database_url=blank)
    assert second.stdout.startswith("dtk_")
    assert second.stdout != first_key
    platform = run(data, "key", "create", "--role", "platform", admin_database_url=blank)
    assert platform.stdout.startswith("dtk_")
    rotated = run(data, "key", "rotate", first_key.split("_")[1], admin_database_url=blank)
    assert rotated.stdout.startswith("dtk_")
    unknown = run(data, "key", "create", "--company", str(uuid4()), admin_database_url=blank)
    assert line(unknown).startswith("Error: There is no company ")
    assert not data.exists()


@pytest.mark.parametrize(
    "command",
    [("serve", "--api-only"), ("project",), ("rebuild", "table_defs"), ("replay", "--check"),
     ("key", "list"), ("company", "list")],
)  # fmt: skip
def test_a_database_that_was_not_migrated_is_one_clear_line(
    tmp_path: Path, empty_database: str, command: tuple[str, ...]
) -> None:
    assert line(run(tmp_path / "data", *command, database_url=empty_database)) == FIRST_MIGRATE


def test_a_user_who_was_not_admitted_is_one_clear_line(
    tmp_path: Path, blank: str, login: str
) -> None:
    data = tmp_path / "data"
    asyncio.run(migrate(blank, blank))
    assert line(run(data, "serve", "--api-only", database_url=login)) == FIRST_MIGRATE
    assert line(run(data, "project", database_url=login)) == FIRST_MIGRATE


def test_a_user_who_may_not_prepare_the_database_is_one_clear_line(
    tmp_path: Path, login: str
) -> None:
    refused = line(run(tmp_path / "data", "serve", database_url=login))
    assert refused.startswith("Error: the database said: ")
    assert "permission denied" in refused or "must have admin option" in refused  # 15 says that


@pytest.mark.parametrize(
    ("command", "url", "said"),
    [
        ("serve", "postgresql://somebody:secret@127.0.0.1:1/x", "Connection refused"),
        ("project", "postgresql://somebody:secret@127.0.0.1:1/x", "Connection refused"),
        ("migrate", "postgresql://somebody:secret@nowhere.invalid/x", "resolve host 'nowhere.inv"),
        ("serve", "mysql://somebody:secret@127.0.0.1/x", "not the URL of a PostgreSQL database"),
    ],
)
def test_a_broken_url_is_one_clear_line(tmp_path: Path, command: str, url: str, said: str) -> None:
    refused = line(run(tmp_path / "data", command, database_url=url))
    assert said in refused
    assert "secret" not in refused


def test_a_wrong_password_is_one_clear_line(data: Path) -> None:
    with attach(data) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
            rules = data / "cluster/pg_hba.conf"
            rules.write_text(f"local all locked scram-sha-256\n{rules.read_text()}")
            connection.execute("SELECT pg_reload_conf()")
        right, wrong = (make_conninfo(url, user="locked", password=p) for p in ("right", "wrong"))
        while True:  # until the server has read its rules anew
            try:
                psycopg.connect(wrong).close()
            except psycopg.OperationalError:
                break
        refused = line(run(data, "serve", "--api-only", database_url=wrong))
        assert "password authentication failed" in refused
        assert line(run(data, "serve", "--api-only", database_url=right)) == FIRST_MIGRATE


def test_a_postgresql_that_is_too_old_is_one_clear_line(
    tmp_path: Path, empty_database: str
) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA old")
        connection.execute(
            "CREATE FUNCTION old.current_setting(text) RETURNS text"
            " LANGUAGE sql AS $$ SELECT '140011' $$"
        )
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET search_path = old, pg_catalog").format(
                sql.Identifier(connection.info.dbname)
            )
        )
    for command in ("serve", "migrate"):
        refused = line(run(tmp_path / "data", command, database_url=empty_database))
        assert refused == "Error: PostgreSQL 15 or newer is needed, this is 14.\n"


def test_a_wrong_setting_is_one_clear_line_without_its_value(data: Path) -> None:
    refused = line(run(data, "serve", port="s3cret", log_level="loud"))
    assert "DYNAMIC_TABLES_PORT: " in refused
    assert "DYNAMIC_TABLES_LOG_LEVEL: " in refused
    assert "s3cret" not in refused


def test_a_data_folder_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be used" in line(run(tmp_path / "file/data", "serve", "--demo"))


def test_a_demo_key_that_cannot_be_kept_is_one_clear_line(
    tmp_path: Path, empty_database: str
) -> None:
    (tmp_path / "file").touch()
    refused = run(tmp_path / "file", "serve", "--demo", database_url=empty_database)
    assert "Not a directory" in line(refused)


def test_a_corrupt_cluster_is_one_clear_line(data: Path) -> None:
    (data / "cluster/global/pg_control").unlink()
    assert "pg_control" in line(run(data, "serve"))
    (data / "cluster/PG_VERSION").unlink()
    assert "PG_VERSION" in line(run(data, "serve"))
