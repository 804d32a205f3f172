"""Faults that need a release of another kind, or a history that was altered: tests inject them.

They run with `make test` as well; here only in the long form.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.faults.report import LeftOut, fault
from tests.faults.world import World

ROOT = Path(__file__).parents[2]
PASSED = re.compile(r"(\d+) passed")


def _tested(name: str, expected: str, *where: str, at_length: bool = False) -> None:
    """Register a fault that these tests inject, each on a database of its own.

    `at_length`: with as many as its name says, where `make test` is content with fewer.
    """
    environment = os.environ | ({"LONG_TESTS": "1"} if at_length else {})

    async def tested(there: World) -> str:
        if not there.long:
            raise LeftOut(f"injected by `make test`: {', '.join(where)}")
        command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider"]
        done = await asyncio.to_thread(
            subprocess.run, [*command, *(f"tests/{each}" for each in where)],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = done.stdout.strip().splitlines()
        assert done.returncode == 0, lines[-10:]
        passed = PASSED.search(lines[-1])
        assert passed, lines[-1]
        return f"{passed[1]} tests passed: {', '.join(where)}"

    tested.__name__ = re.sub(r"[^a-z]+", "_", name.partition(",")[0].lower()).strip("_")
    fault(name, expected)(tested)


_tested("poison event (unknown type, broken shape)",
        "its table is parked and reported, others go on; replay after the fix drains in order; a"
        " rebuild stops", "projections/test_parking.py")  # fmt: skip
_tested("event type newer than the code", "the projector waits and says so; the API serves",
        "projections/test_parking.py::test_the_event_of_a_newer_release_is_waited_for")  # fmt: skip
_tested("events written by every earlier release", "read through upcasters; hashes still verify",
        "domain/test_recorded.py", "api/test_old_events.py")  # fmt: skip
_tested("stalled streams, 2,000 who follow", "bounded memory; they resume by id",
        "journeys/test_many_followers.py", at_length=True)  # fmt: skip
_tested("stale lease acknowledged", "409; checkpoint never moves back",
        "contracts/test_consumers.py", "contracts/test_consumer_races.py")  # fmt: skip
_tested("webhook receiver: 500, timeout, redirect, 410, 429, private address, changing DNS",
        "retried, slowed down, switched off or refused, as the documentation says",
        "contracts/test_webhooks.py", "contracts/test_webhook_sender.py",
        "api/test_webhook_client.py", "journeys/test_webhooks.py")  # fmt: skip
_tested("row of the event table changed, deleted, inserted, tail cut, rewritten and re-signed",
        "`verify` names the first bad event; the last needs a kept head",
        "contracts/test_export_tampering.py", "contracts/test_audit_log.py")  # fmt: skip
_tested("yesterday's backup restored",
        "consumers get `feed-rewound`, auditors a shrunken log, each told what to do",
        "api/test_restored_backup.py", "api/test_feed_faults.py")  # fmt: skip
_tested("eight processes start on an empty database", "all come up",
        "contracts/test_migrations.py")  # fmt: skip
_tested("every operation with another company's ids", "answered exactly like a random id",
        "api/test_isolation.py")  # fmt: skip
_tested("row-level security alone (conditions removed)", "still nothing leaks",
        "contracts/test_row_level_security.py",
        "contracts/test_queries_without_conditions.py")  # fmt: skip
_tested("rolling upgrade: old and new code side by side", "no failed request, nothing lost",
        "contracts/test_adoption.py")  # fmt: skip
