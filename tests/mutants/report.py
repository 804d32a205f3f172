"""What was noticed, as docs/mutants.md tells it."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tests.mutants.mutant import Mutant

ENOUGH = 0.9
DROPPED = ("", "pass", "NULL;")
# Why a change changes nothing, by file and by what the changed line says then.
REASONS = tomllib.loads(Path(__file__).with_name("equivalent.toml").read_text())
HEAD = f"""# Mutants

What the tests notice when the code is broken on purpose: an operator, a condition, a constant, an
argument or a result is another, or a whole statement or branch is missing, one at a time.
`make mutants` runs the tests of the rules on each mutant of `domain/`, and the contract of the
event store, on PostgreSQL 18, on each of `event_store.append`, of `event_store.resolve`, which
tells what became of a lost one, and of their caller. A mutant counts as killed when a test fails or
does not end; {ENOUGH:.0%} of each part have to be. Written by that run; the reasons are kept in
`tests/mutants/equivalent.toml`.
"""


@dataclass(frozen=True)
class Part:
    """Mutants that the same tests should notice."""

    name: str
    tests: Sequence[str]
    mutants: Sequence[Mutant]

    def ratio(self, results: Mapping[str, bool]) -> float:
        """How many of those that were tried were noticed."""
        return _Count.of(self.mutants, results).ratio


@dataclass(frozen=True)
class _Count:
    mutants: int
    killed: int
    survived: int

    @classmethod
    def of(cls, mutants: Sequence[Mutant], results: Mapping[str, bool]) -> "_Count":
        found = [results.get(mutant.name()) for mutant in mutants]
        return cls(len(mutants), found.count(True), found.count(False))

    @property
    def ratio(self) -> float:
        return self.killed / max(self.killed + self.survived, 1)

    def row(self, name: str) -> str:
        counts = f"{self.mutants} | {self.killed} | {self.survived}"
        ratio = f"{self.ratio:.1%}" if self.killed + self.survived else "–"
        return f"| {name} | {counts} | {ratio} |"


def written(parts: Sequence[Part], results: Mapping[str, bool]) -> str:
    """The whole report."""
    return "\n".join([HEAD, *(line for part in parts for line in _section(part, results))])


def _section(part: Part, results: Mapping[str, bool]) -> Iterator[str]:
    yield f"## {part.name}\n"
    yield "| file | mutants | killed | survived | killed of those tried |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for path in sorted({mutant.path for mutant in part.mutants}):
        of_file = [mutant for mutant in part.mutants if mutant.path == path]
        yield _Count.of(of_file, results).row(f"`{path}`")
    count = _Count.of(part.mutants, results)
    yield count.row("all")
    if untried := count.mutants - count.killed - count.survived:
        yield f"\n{untried} were not tried: the run was stopped."
    left = [mutant for mutant in part.mutants if results.get(mutant.name()) is False]
    for path, of_path in groupby(left, lambda mutant: mutant.path):
        yield f"\n### What survived in `{path}`\n"
        for mutant in of_path:
            yield _survivor(mutant, path.read_bytes())
    yield ""


def _survivor(mutant: Mutant, source: bytes) -> str:
    before, after = mutant.diff(source)
    reasons = REASONS.get(str(mutant.path), {})
    why = reasons.get(what_it_says(mutant, source), "not equivalent: a test is missing.")
    return f"- line {mutant.line(source)}: {why}\n\n      - {before}\n      + {after}\n"


def what_it_says(mutant: Mutant, source: bytes) -> str:
    """The changed line, or which one is missing."""
    before, after = mutant.diff(source)
    return f"no {before}" if after in DROPPED else after
