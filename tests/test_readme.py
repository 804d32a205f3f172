"""The README is the front door: every command, setting and folder is named there."""

import re
from pathlib import Path

import pytest

from api.__main__ import ELSEWHERE, cli
from api.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "command", [c for c in [*cli.commands, *ELSEWHERE] if not cli.get_command(None, c).hidden]
)
def test_every_command_is_named(command: str) -> None:
    assert f"`dynamic-tables {command}" in README


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_is_named(setting: str) -> None:
    assert f"`DYNAMIC_TABLES_{setting.upper()}`" in README


def test_no_setting_is_named_that_does_not_exist() -> None:
    named = set(re.findall(r"DYNAMIC_TABLES_(\w+)", README))
    assert named <= {name.upper() for name in Settings.model_fields}


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize(
    "folder", ["domain", "application", "projections", "api", "tests", "examples", "benchmarks"]
)
def test_every_folder_is_on_the_map(folder: str) -> None:
    assert f"| `{folder}/` |" in README
