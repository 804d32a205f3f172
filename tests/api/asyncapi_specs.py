"""The official JSON Schema of AsyncAPI documents, which only an npm package brings."""

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest

PACKAGE = "@asyncapi/specs@6.11.1"
MEMBER = "package/schemas/3.0.0.json"
KEPT = Path(__file__).parents[2] / "build" / "asyncapi-specs-6.11.1" / "3.0.0.json"
LIMIT = 60  # seconds


def official_schema() -> Any:
    """The schema of AsyncAPI 3.0 documents, which is fetched once.

    The test that asks is skipped where there is no npm, or nowhere to fetch from.
    """
    if not KEPT.exists():
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT.parent) as folder:
            _unpack(_fetched(Path(folder))).rename(KEPT)
    return json.loads(KEPT.read_bytes())


def _fetched(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        _absent("npm is not installed")
    command = [npm, "pack", "--silent", PACKAGE]
    try:
        subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=True
        )
    except subprocess.SubprocessError as error:
        _absent(f"npm says: {getattr(error, 'stderr', None) or error}")
    [archive] = folder.glob("*.tgz")
    return archive


def _unpack(archive: Path) -> Path:
    with tarfile.open(archive) as packed:
        member = packed.extractfile(MEMBER)
        assert member
        unpacked = archive.with_name(KEPT.name)
        unpacked.write_bytes(member.read())
    return unpacked


def _absent(why: str) -> NoReturn:
    pytest.skip(f"{PACKAGE} cannot be had: {why.strip()[-300:]}")
