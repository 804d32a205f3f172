"""Breaks the code on purpose, once in each way, and tells which ways no test noticed.

`make mutants` writes docs/mutants.md, in an hour or two. What was noticed is remembered as long as
its file stays as it is: `--again` tries only the rest, for those who write a test for it, or who
stopped it, which writes a report of what was tried.
"""

import json
import random
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from tests.mutants import python, sql
from tests.mutants.mutant import Mutant
from tests.mutants.report import ENOUGH, Part, written
from tests.mutants.running import Copy, copied, notices, preload, run

USE_CASES = ("table_defs", "workspaces", "companies", "containers", "reverting", "known")
RULES = [
    *sorted(map(str, Path("tests/domain").glob("test_*.py"))),
    *(f"tests/application/test_{name}.py" for name in USE_CASES),
]
# Each promise once: on one version of PostgreSQL, and without those that only take long. The model
# comes first: most mutants fall foul of it.
MODEL = "test_event_store_contract.py::test_postgres_says_what_the_store_in_memory_says"
PROMISES = ("event_store_contract", "event_store_containers", "coalesced_reads",
            "event_store_order", "event_store_faults")  # fmt: skip
STORE = [
    f"tests/contracts/{MODEL}",
    *(f"tests/contracts/test_{name}.py" for name in PROMISES),
    "-k=not 15 and not InMemory and not sixteen and not frozen",
]
SCRIPT = Path("application/event_store/schema.sql")
CALLER = Path("application/event_store/postgres.py")
RESULTS, REPORT = Path("build/mutants.json"), Path("docs/mutants.md")
Results = dict[str, bool]  # whether a mutant was noticed, by its name


def main() -> None:
    """Run every mutant and write the report."""
    results = _noticed() if "--again" in sys.argv else {}
    preload()
    with suppress(KeyboardInterrupt), copied() as copy:
        for part in parts():
            _try(part, copy, results)
    REPORT.write_text(written(parts(), results))
    if poor := [part.name for part in parts() if part.ratio(results) < ENOUGH]:
        raise SystemExit(f"less than {ENOUGH:.0%} were noticed: {', '.join(poor)}")


def parts() -> Sequence[Part]:
    """All mutants, with the tests that should notice them."""
    domain = [m for path in sorted(Path("domain").glob("*.py")) for m in python.mutants(path)]
    functions = sql.functions(SCRIPT, "event_store.append", "event_store.resolve")
    append = [*functions, *sql.queries(CALLER), *python.mutants(CALLER)]
    return [Part("The domain", RULES, domain), Part("The append function", STORE, append)]


def _noticed() -> Results:
    known: Results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {name: noticed for name, noticed in known.items() if noticed}


def _try(part: Part, copy: Copy, results: Results) -> None:
    started = time.monotonic()
    if run(part.tests, copy, 600):
        raise SystemExit(f"the tests fail as it is: {copy.output.read_text()}")
    timeout = 10 + 3 * (time.monotonic() - started)
    RESULTS.parent.mkdir(exist_ok=True)
    untried = [mutant for mutant in part.mutants if mutant.name() not in results]
    # In any order, so that a run that was stopped tells something of all files.
    for mutant in random.sample(untried, len(untried)):
        noticed = notices(mutant, _stages(mutant, part.tests), copy, timeout)
        results[mutant.name()] = noticed
        RESULTS.write_text(json.dumps(results))
        if not noticed:
            source = mutant.path.read_bytes()
            click.echo(f"{mutant.path}:{mutant.line(source)}: {' => '.join(mutant.diff(source))}")


def _stages(mutant: Mutant, tests: Sequence[str]) -> Sequence[Sequence[str]]:
    """First the tests of its own file, or the model of it; most mutants get no further."""
    own = f"test_{mutant.path.stem.partition('_')[0]}"
    first = [test for test in tests if "::" in test or Path(test).name.startswith(own)]
    options = [test for test in tests if test.startswith("-")]
    return [first + options, [test for test in tests if test not in first]] if first else [tests]


if __name__ == "__main__":
    main()
