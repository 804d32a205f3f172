"""Files that only npm packages bring; each is fetched once."""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

BUILD = Path(__file__).parents[1] / "build"
LIMIT = 60  # seconds


def member(package: str, version: str, name: str) -> bytes:
    """A file of a package; the folder `build` keeps it.

    The test that asks is skipped where there is no npm, or nowhere to fetch from.
    """
    folder = f"{package.removeprefix('@').replace('/', '-')}-{version}"
    kept = BUILD / folder / Path(name).name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as temporary:
            archive = _fetched(f"{package}@{version}", Path(temporary))
            _unpack(archive, name).rename(kept)
    return kept.read_bytes()


def _fetched(package: str, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        _absent(package, "npm is not installed")
    command = [npm, "pack", "--silent", package]
    try:
        subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=True
        )
    except subprocess.SubprocessError as error:
        _absent(package, f"npm says: {getattr(error, 'stderr', None) or error}")
    [archive] = folder.glob("*.tgz")
    return archive


def _unpack(archive: Path, name: str) -> Path:
    with tarfile.open(archive) as packed:
        found = packed.extractfile(f"package/{name}")
        assert found
        unpacked = archive.with_name(Path(name).name)
        unpacked.write_bytes(found.read())
    return unpacked


def _absent(package: str, why: str) -> NoReturn:
    pytest.skip(f"{package} cannot be had: {why.strip()[-300:]}")
