"""Runs tests on a copy of the code, a process for each mutant."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
from hypothesis import Phase, settings
from psycopg import sql

from api import embedded_postgres
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
FOLDERS = ("api", "application", "domain", "examples", "projections", "tests")
OPTIONS = [
    "-x", "-n", "0", "--tb", "no", "-p", "no:cacheprovider",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",  # of what is imported here
]  # fmt: skip
PATIENCE = 10  # seconds for a process that was interrupted
DATABASES = """
SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%' OR datname LIKE '%\\_template'
"""


def preload() -> None:
    """Import what all mutants have in common, other people's code: each is forked from here."""
    ours = "import sys, tests.conftest, tests.contracts.conftest, tests.domain.vocabulary"
    command = [sys.executable, "-c", f"{ours}; print(*sys.modules)"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in found.split():
        if name.partition(".")[0] not in (*FOLDERS, "__main__"):
            with suppress(ImportError):
                import_module(name)
    # That a property does not hold is enough; nobody asks for the smallest example.
    settings.register_profile("unshrunk", phases=(Phase.explicit, Phase.generate))
    settings.load_profile("unshrunk")
    gc.freeze()


@dataclass(frozen=True)
class Copy:
    """A copy of the code, which may be broken, and the server of its tests."""

    folder: Path
    server: str

    @property
    def output(self) -> Path:
        """What the tests said last."""
        return self.folder / "output"


@contextmanager
def copied() -> Iterator[Copy]:
    """A copy in a folder of its own, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for name in FOLDERS:
            shutil.copytree(ROOT / name, Path(folder, name))
        shutil.copy(ROOT / "pyproject.toml", folder)
        embedded_postgres.SETTINGS.extend(["fsync=off", "autovacuum=off"])
        with embedded_postgres.attach(Path(folder, "postgres")) as server:
            yield Copy(Path(folder), server)


def notices(mutant: Mutant, stages: Sequence[Sequence[str]], copy: Copy, timeout: float) -> bool:
    """Whether tests of any stage fail, or do not end, once the copy is broken in this way."""
    source = mutant.path.read_bytes()
    place = copy.folder / mutant.path
    place.write_bytes(mutant.apply(source))
    for compiled in place.parent.glob(f"__pycache__/{place.stem}.*"):  # may look as new as it is
        compiled.unlink()
    try:
        return any(run(tests, copy, timeout) != 0 for tests in stages)
    finally:
        place.write_bytes(source)


def run(tests: Sequence[str], copy: Copy, timeout: float) -> int | None:
    """The status with which pytest ends, and None if it does not in time."""
    _forget_databases(copy.server)
    if not (process := os.fork()):
        _be_pytest(tests, copy)
    ends = time.monotonic() + timeout
    while time.monotonic() < ends + PATIENCE:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status if time.monotonic() < ends else None
        if time.monotonic() > ends:
            os.kill(process, signal.SIGINT)
            time.sleep(1)
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def _forget_databases(server: str) -> None:
    """What tests made of a mutant that was killed in the end, and the template of the last one."""
    with psycopg.connect(server, autocommit=True) as connection:
        for (name,) in connection.execute(DATABASES).fetchall():
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))


def _be_pytest(tests: Sequence[str], copy: Copy) -> NoReturn:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(copy.folder)
    output = os.open(copy.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    status = 1
    try:
        _import_from(copy.folder)
        import_module("api.embedded_postgres").attach = lambda _: nullcontext(copy.server)
        status = int(pytest.main([*OPTIONS, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _import_from(folder: Path) -> None:
    """Modules are those of this folder, in this process and in those that it starts."""
    sys.path[:] = [str(folder), *(path for path in sys.path if path not in ("", str(ROOT)))]
    os.environ["PYTHONPATH"] = str(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in FOLDERS]:
        del sys.modules[name]
