"""The faults there are, and what was seen of each, as a table of Markdown."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.oracle import QUESTIONS
from tests.faults.world import World

Inject = Callable[[World], Awaitable[str]]
FILE = Path(__file__).parents[2] / "build" / "faults.md"

TEXT = """# Faults that were injected

{good} of {rows} as expected, in {seconds:.0f} s, seed {seed}. {acknowledged:,} commands were
acknowledged, {events:,} events stored, {kills:,} processes killed. A stream and a long poll
followed throughout; the stream was cut {cuts:,} times.

Writers were refused or cut off, and asked again with the same key: {refusals}.

After each fault it was asked: {questions}.

| fault | expected | seen | as expected | acknowledged | events | seconds |
| --- | --- | --- | --- | --- | --- | --- |
{table}
"""


class LeftOut(Exception):
    """This machine cannot do that; says why."""


@dataclass(frozen=True)
class Fault:
    """`inject` does it, and tells what was seen; it raises AssertionError if that is not right."""

    name: str
    expected: str
    inject: Inject


FAULTS: dict[str, Fault] = {}


def fault(name: str, expected: str) -> Callable[[Inject], Inject]:
    """Register one; it is called by the name of its function."""

    def register(inject: Inject) -> Inject:
        FAULTS[inject.__name__.replace("_", "-")] = Fault(name, expected, inject)
        return inject

    return register


@dataclass
class Row:
    """What came of one; `wrong`: nothing, if all is well."""

    fault: Fault
    seen: str
    wrong: list[str]
    seconds: float
    acknowledged: int
    events: int
    left_out: bool = False

    def __str__(self) -> str:
        verdict = "left out" if self.left_out else "NO" if self.wrong else "yes"
        seen = "; ".join([self.seen, *self.wrong]).replace("|", "/").replace("\n", " ")
        cells = (
            self.fault.name, self.fault.expected, seen, verdict, f"{self.acknowledged:,}",
            f"{self.events:,}", f"{self.seconds:.1f}",
        )  # fmt: skip
        return f"| {' | '.join(cells)} |"


@dataclass
class Report:
    """All rows of a run, and where they are written."""

    seed: int
    started: float = field(default_factory=time.monotonic)
    rows: list[Row] = field(default_factory=list)

    def write(self, world: World) -> None:
        """Write what there is so far, so that a run that is cut short has told something."""
        good = sum(not row.wrong and not row.left_out for row in self.rows)
        seconds = time.monotonic() - self.started
        refusals = world.writers.refusals.most_common()
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(
            TEXT.format(
                good=good,
                rows=len(self.rows),
                seconds=seconds,
                seed=self.seed,
                acknowledged=len(world.oracle.intents.promised),
                events=world.oracle.events,
                kills=world.kills,
                cuts=world.oracle.browsers[0].cuts,
                refusals=", ".join(f"{count:,} × {what}" for what, count in refusals) or "never",
                questions="; ".join(QUESTIONS),
                table="\n".join(map(str, self.rows)),
            )
        )
