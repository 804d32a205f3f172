"""Each mutant is one that can run, and each reason is of one that there is."""

import ast
from collections import defaultdict

from tests.mutants.__main__ import parts
from tests.mutants.mutant import Mutant
from tests.mutants.report import REASONS, what_it_says

MUTANTS: list[Mutant] = [mutant for part in parts() for mutant in part.mutants]


def test_each_mutant_is_another_and_can_be_parsed() -> None:
    sources = {mutant.path: mutant.path.read_bytes() for mutant in MUTANTS}
    changed = [mutant.apply(sources[mutant.path]) for mutant in MUTANTS]
    assert len({*changed, *sources.values()}) == len(MUTANTS) + len(sources)
    for mutant, source in [*zip(MUTANTS, changed, strict=True)][::7]:
        if mutant.path.suffix == ".py":
            ast.parse(source)


def test_each_reason_is_of_a_mutant_that_there_is() -> None:
    said: defaultdict[str, set[str]] = defaultdict(set)
    for mutant in MUTANTS:
        said[str(mutant.path)].add(what_it_says(mutant, mutant.path.read_bytes()))
    assert {name: reasons.keys() - said[name] for name, reasons in REASONS.items()} == {
        name: set() for name in REASONS
    }
