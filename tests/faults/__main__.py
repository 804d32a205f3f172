"""Inject faults into a running installation, and write build/faults.md: `make faults`.

Without arguments each is injected once, in its short form. Names choose some of them. With
`--minutes N` all are repeated, in another order each time and at full length, until the time is
over. The exit status is 1 if anything was not as expected.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults import database, files, processes, requests, suites
from tests.faults.report import FAULTS, FILE, Fault, LeftOut, Report, Row
from tests.faults.world import World, world

MODULES = (requests, processes, database, files, suites)  # each registers its faults


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FAULTS))
    parser.add_argument("--minutes", type=float, default=0, help="repeat for so long")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    given = parser.parse_args()
    if unknown := set(given.names) - FAULTS.keys():
        parser.error(f"there is no {', '.join(unknown)}")
    report = Report(given.seed)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        asyncio.run(run(report, given.names or list(FAULTS), given.minutes, Path(folder)))
    tell(f"Written to {FILE}.")
    sys.exit(any(row.wrong for row in report.rows))


async def run(report: Report, names: list[str], minutes: float, folder: Path) -> None:
    """Inject these into one installation, in this order; if there is more time, again in others."""
    deadline = time.monotonic() + minutes * 60
    async with world(folder, report.seed, long=bool(minutes)) as there:
        while True:
            for name in names:
                report.rows.append(await injected(there, FAULTS[name]))
                report.write(there)
                tell(str(report.rows[-1]))
                if minutes and time.monotonic() > deadline:
                    return
            if time.monotonic() > deadline:
                return
            there.random.shuffle(names)


async def injected(there: World, fault: Fault) -> Row:
    """Inject one, and ask the oracle."""
    started, before = time.monotonic(), len(there.oracle.intents.promised)
    wrong: list[str] = []
    left_out = False
    try:
        seen = await fault.inject(there)
    except LeftOut as error:
        seen, left_out = str(error), True
    except Exception as error:  # whatever it is, the others are injected all the same
        seen = f"{type(error).__name__}: {error}"
        wrong.append("not as expected")
        traceback.print_exc()
    try:
        await there.answers()
        wrong += await there.oracle.asked()
    except Exception as error:
        wrong.append(f"the oracle could not be asked: {type(error).__name__}: {error}")
        traceback.print_exc()
    wrong += there.writers.surprises + there.oracle.pollers[0].surprises
    there.writers.surprises.clear()
    there.oracle.pollers[0].surprises.clear()
    acknowledged = len(there.oracle.intents.promised) - before
    seconds = time.monotonic() - started
    return Row(fault, seen, wrong, seconds, acknowledged, there.oracle.events, left_out)


def tell(line: str) -> None:
    """Say it at once."""
    print(line, flush=True)  # noqa: T201  # a command


if __name__ == "__main__":
    main()
