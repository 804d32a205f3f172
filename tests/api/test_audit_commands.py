"""The commands for whoever runs the installation: who signs the audit log, and what was signed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.__main__ import cli
from application.audit_log.checkpoint import Checkpoint
from application.audit_log.note import SignerKey, VerifierKey, open_note
from tests.contracts.logged import logged

pytestmark = pytest.mark.anyio

Run = Callable[..., Result]


@pytest.fixture
def run(database: str) -> Run:
    """A command on the database, with these settings besides."""

    def invoke(*arguments: Any, **settings: object) -> Result:
        given = {"database_url": database} | settings
        environment = {f"DYNAMIC_TABLES_{name.upper()}": str(v) for name, v in given.items()}
        return CliRunner().invoke(cli, [str(each) for each in arguments], env=environment)

    return invoke


def test_a_key_is_generated_for_a_file_and_what_verifies_it_is_shown_apart(run: Run) -> None:
    made = run("audit-key", "generate", "--name", "example.com/log")
    key = SignerKey.parse(made.stdout.strip())
    assert key.name == "example.com/log"
    assert made.stderr == f"Verifier key {key.verifier}\n"
    assert run("audit-key", "generate", "--name", "two words").exit_code == 1


def test_keys_are_listed_and_rotated(run: Run) -> None:
    [first] = run("audit-key", "list").stdout.splitlines()
    rotated = run("audit-key", "rotate").stdout.strip()
    second, retired = run("audit-key", "list").stdout.splitlines()
    assert second.startswith("signs")
    assert second.endswith(f" {VerifierKey.parse(rotated)}")
    assert retired.startswith("retired")
    assert retired.split()[-1] == first.split()[-1] != rotated


def test_a_key_in_a_file_is_not_rotated_in_the_database(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(run("audit-key", "generate").stdout)
    refused = run("audit-key", "rotate", audit_key_file=path)
    assert (refused.exit_code, "start `project` again" in refused.stderr) == (1, True)


def test_migrate_records_what_verifies_the_key_in_a_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = run("audit-key", "generate")
    path.write_text(made.stdout)
    assert run("migrate", audit_key_file=path).exit_code == 0
    first, _ = run("audit-key", "list").stdout.splitlines()
    assert first.split()[-1] == made.stderr.split()[-1]


async def test_a_checkpoint_is_printed_until_the_log_is_altered(run: Run, database: str) -> None:
    async def printed(*arguments: object) -> Result:
        return await asyncio.to_thread(run, *arguments)

    async with logged(database) as log:
        company = log.companies[0]
        assert "Nothing was signed" in (await printed("checkpoint", "--company", company)).stderr
        await log.happen(30, company)
        await log.keep()
        first = await printed("checkpoint", "--company", company)
        key = VerifierKey.parse((await printed("audit-key", "list")).stdout.split()[-1])
        assert Checkpoint.parse(open_note(first.stdout, [key]).text).size == 30
        assert (await printed("rebuild", "audit_log")).exit_code == 0

        await log.tamper("UPDATE event_store.events SET topic = 'T' WHERE position = 7")
        rebuilt = await printed("rebuild", "audit_log")
        assert (rebuilt.exit_code, "Of 1 companies" in rebuilt.stderr) == (1, True)
        second = await printed("checkpoint", "--company", company)
        assert (second.exit_code, second.stdout) == (1, first.stdout)
        assert "The first 30 events are not those that were signed." in second.stderr
