"""A disk that is full, and a clock that is wrong."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import eventually
from tests.faults.report import LeftOut, fault
from tests.faults.world import World, world
from tests.journeys.workers import worker

SIZE = "320m"
PROBES = (("POST", "/api/tables", {"name": "x" * 100}), ("GET", "/api/tables"), ("GET", "/readyz"))
ORDER = """
SELECT count(*) FROM (SELECT position, recorded_at,
       lag(recorded_at) OVER (ORDER BY position) AS before FROM event_store.events) AS pairs
 WHERE recorded_at < before
"""


@fault("disk full", "writes 503, reads 200, `/readyz` says so; after space: goes on by itself")
async def disk_full(there: World) -> str:
    with _small_disk(there) as folder:
        seed, ballast = there.random.getrandbits(30), folder / "ballast"
        async with world(there.folder, seed, long=there.long, data=folder / "data") as small:
            async with small.writers.writing():
                await asyncio.sleep(1)
                _fill(ballast)
                await eventually(lambda: _refuses(small.client), 30, "writes are refused")
                seen = Counter[str]()
                for _ in range(20):
                    _fill(ballast)
                    seen.update([await _probed(small.client, *each) for each in PROBES])
                    await asyncio.sleep(0.2)
                ballast.unlink()
                back = await small.answers(60)
            wrong = await small.oracle.asked() + small.writers.surprises
            assert not wrong, wrong
    assert not any(" 500" in what for what in seen), seen
    assert seen["GET /readyz 200 degraded"] > 0, seen
    told = ", ".join(f"{count} × {what}" for what, count in sorted(seen.items()))
    return f"{told}; {back:.1f} s after there was space a write was answered, and the oracle agrees"


async def _probed(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> str:
    """What a request is answered, in words."""
    answer = await client.request(method, path, json=body)
    found = answer.json()
    return f"{method} {path} {answer.status_code} {found.get('code') or found.get('status') or ''}"


@fault("clock an hour off on one node",
       "order by position untouched; keys, retries and log behave")  # fmt: skip
async def clock_off(there: World) -> str:
    faketime = shutil.which("faketime")
    if faketime is None:
        raise LeftOut("faketime is not installed (Debian: faketime)")
    command = [faketime, "-f", "+1h", "printenv", "LD_PRELOAD"]
    asked = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    library = (await asked.communicate())[0].decode().strip()
    times = there.some(20, 200)
    for shift in ("+1h", "-1h"):
        variables = {
            "LD_PRELOAD": library, "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        log = there.folder / f"shifted-{next(there.numbers)}.log"
        with worker(there.database, log, variables=variables) as node:
            headers = {"Authorization": f"Bearer {there.service.key}"}
            address = f"http://127.0.0.1:{node.port}"
            async with (
                httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as shifted,
                there.writers.writing(),
            ):
                for _ in range(times):
                    await _retried(there, (shifted, there.client, shifted))
    [(back,)] = await there.rows(ORDER)
    assert back == 0, back
    return (
        f"{times} × an hour ahead, {times} × an hour behind, each asked again on either node: one"
        " position each; recorded in order"
    )


async def _retried(there: World, clients: Sequence[httpx.AsyncClient]) -> None:
    """Send one command to each of them; all must tell of the same event."""
    mark = f"m-clock-{next(there.numbers)}-{there.random.getrandbits(64):x}"
    there.oracle.intents.ask(mark)
    body, headers = {"name": mark}, {"Idempotency-Key": mark}
    answers = [await each.post("/api/tables", json=body, headers=headers) for each in clients]
    assert {each.status_code for each in answers} == {201}, [each.text for each in answers]
    [position] = {each.headers["event-position"] for each in answers}
    there.oracle.intents.promise(mark, int(position))


@contextlib.contextmanager
def _small_disk(there: World) -> Iterator[Path]:
    folder = there.folder / f"small-{next(there.numbers)}"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "faults", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        raise LeftOut("nobody but root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(ballast: Path) -> None:
    """Take all the space there is."""
    with ballast.open("ab") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), b"\0" * 4096)


async def _refuses(client: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await client.post("/api/tables", json={"name": "y" * 100})).status_code == 503
    return False
