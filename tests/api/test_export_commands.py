"""The commands `export` and `verify`."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from anyio import to_thread
from click.testing import CliRunner, Result

from api.__main__ import cli
from tests.contracts.exporting import Anchored, Parts, anchored, happen
from tests.contracts.logged import Logged, logged

pytestmark = pytest.mark.anyio


@dataclass
class Installed:
    """A log of a company, and its commands."""

    log: Logged
    kept: Anchored
    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "export.zip"

    def run(self, *arguments: Any, database: bool = True) -> Result:
        url = self.log.url if database else "postgresql://nowhere.invalid/nothing"
        environment = {"DYNAMIC_TABLES_DATABASE_URL": url}
        return CliRunner().invoke(cli, [str(each) for each in arguments], env=environment)

    def export(self, *arguments: Any, output: str = "export.zip") -> Result:
        where = ("--company", self.log.companies[0], "--output", self.folder / output)
        return self.run("export", *where, *arguments)

    def verify(self, *arguments: Any) -> Result:
        """Without a database."""
        return self.run("verify", self.archive, *arguments, database=False)


@pytest.fixture
async def installed(database: str, tmp_path: Path) -> AsyncIterator[Installed]:
    async with logged(database) as log:
        await happen(log, Random(3), 90)
        await log.keep()
        yield Installed(log, await anchored(log, log.companies[0]), tmp_path)


async def _in_thread(run: Any, *arguments: Any, **options: Any) -> Result:
    """A command has an event loop of its own."""
    return await to_thread.run_sync(partial(run, *arguments, **options))


async def test_what_is_exported_is_verified_without_the_service(installed: Installed) -> None:
    made = await _in_thread(installed.export)
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("Wrote ")
    assert [each.name for each in installed.folder.iterdir()] == ["export.zip"]
    key, checkpoint = installed.folder / "key", installed.folder / "checkpoint.txt"
    key.write_text(f"{installed.kept.key}\n")
    listed = installed.folder / "keys.json"
    listed.write_text(json.dumps({"items": [{"key": str(installed.kept.key)}]}))
    checkpoint.write_text(installed.kept.saved or "")
    unanchored = await _in_thread(installed.verify)
    assert (unanchored.exit_code, "rests on nothing" in unanchored.stdout) == (2, True)
    for anchor in (
        ("--public-key", key), ("--public-key", installed.kept.key), ("--checkpoint", checkpoint),
        ("--public-key", listed),
        ("--public-key", key, "--checkpoint", checkpoint),
    ):  # fmt: skip
        sound = await _in_thread(installed.verify, *anchor)
        assert sound.exit_code == 0, sound.output
        assert "does not prove" in sound.stdout


async def test_what_was_altered_is_told_with_the_first_bad_event(installed: Installed) -> None:
    await _in_thread(installed.export)
    parts = Parts.of(installed.archive.read_bytes())
    parts.lines[7]["salt"] = "00" * 16
    parts.write_lines()
    parts.write(installed.archive)
    altered = await _in_thread(installed.verify, "--public-key", installed.kept.key)
    line = parts.lines[7]
    assert altered.exit_code == 1
    assert (
        f"event 7 (position {line['position']}, event id {line['eventId']}, aggregate"
        f" {line['aggregateId']}, version {line['version']})"
    ) in altered.stdout
    assert "does not prove" in altered.stdout


async def test_a_part_is_exported_and_a_spreadsheet(installed: Installed) -> None:
    made = await _in_thread(installed.export, "--from", "20", "--to", "2026-01-01T00:01:00Z")
    assert made.exit_code == 0, made.output
    positions = [int(each["position"]) for each in Parts.of(installed.archive.read_bytes()).lines]
    assert positions
    assert min(positions) >= 20
    assert (await _in_thread(installed.verify, "--public-key", installed.kept.key)).exit_code == 0
    made = await _in_thread(installed.export, "--csv", output="export.csv")
    assert made.exit_code == 0
    assert (installed.folder / "export.csv").read_bytes().startswith(b'\xef\xbb\xbf"position"')


WRONG = (
    ("--public-key", "x"), ("--public-key", "\0"), ("--checkpoint", "/nowhere"), ("--wrong",),
    ("--public-key", "/dev/null"), ("--checkpoint", "/"),
)  # fmt: skip


async def test_a_call_that_is_wrong_is_no_answer(installed: Installed) -> None:
    """2 would say that the archive is sound."""
    await _in_thread(installed.export)
    for wrong in WRONG:
        assert (await _in_thread(installed.verify, *wrong)).exit_code == 1, wrong
    nowhere = await _in_thread(installed.run, "verify", installed.folder / "none", database=False)
    assert nowhere.exit_code == 1
    assert (await _in_thread(installed.run, "verify", database=False)).exit_code == 1


async def test_an_export_that_fails_leaves_no_file(installed: Installed) -> None:
    other = ("--company", "00000000-0000-0000-0000-000000000001", "--output")
    failed = await _in_thread(installed.run, "export", *other, installed.folder / "other.zip")
    assert failed.exit_code == 1
    assert list(installed.folder.iterdir()) == []
    wrong = await _in_thread(installed.export, "--from", "yesterday")
    assert wrong.exit_code == 2
    assert "must be a position" in wrong.output
