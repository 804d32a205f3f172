"""Load: wrk for throughput, a small client for latencies, psycopg for bare SQL."""

import asyncio
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg

CREATE = """
local run = tostring(os.time()) .. tostring({}):sub(-6)
local number = 0
request = function()
  number = number + 1
  return wrk.format("POST", nil, nil,
    '{"name":"Orders ' .. run .. '-' .. number .. '","description":"What our customers ordered '
    .. 'since the first day, with all that belongs to it.","icon":"box","color":"#1a73e8",'
    .. '"settings":{"enableForm":true,"defaultView":"kanban"}}')
end
"""
PATCH = """
local ids = {{{ids}}}
local number = 0
request = function()
  number = number + 1
  return wrk.format("PATCH", "/api/tables/" .. ids[number % #ids + 1], nil,
    '{{"description":"changed ' .. number .. '"}}')
end
"""
GET = """
local ids = {{{ids}}}
local number = 0
request = function()
  number = number + 1
  return wrk.format("GET", "{prefix}" .. ids[number % #ids + 1])
end
"""
SECONDS, ROUNDS = 5, 3


class LoadFailed(SystemExit):
    """Something was answered otherwise than with success, or not at all."""


@dataclass(frozen=True)
class Load:
    """What one run of wrk measured."""

    rate: float  # answers per second
    p50: float  # milliseconds
    answers: int


def wrk(address: str, key: str, script: str = "", connections: int = 32) -> float:
    """Requests per second: the median of three runs after a warm-up; any refusal is an error."""
    runs = (load(address, _bearer(key), script, connections) for _ in range(ROUNDS))
    return statistics.median(run.rate for run in runs)


def wrk_p50(address: str, key: str, script: str = "") -> float:
    """Milliseconds that one of one connection's requests takes, the median of three medians."""
    runs = (load(address, _bearer(key), script, 1) for _ in range(ROUNDS))
    return statistics.median(run.p50 for run in runs)


def _bearer(key: str) -> str:
    return f"Authorization: Bearer {key}"


def load(
    address: str, credential: str, script: str = "", connections: int = 32, seconds: int = SECONDS
) -> Load:
    """One run of wrk; `credential` is a whole header.

    Raises:
        LoadFailed: anything else than success was answered.
    """
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed (Debian: apt install wrk)")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = [
            "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "20s",
            "-H", credential, "-H", "Content-Type: application/json",
            *(["-s", file.name] if script else []), address,
        ]  # fmt: skip
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=seconds + 60
        )
    output = done.stdout
    errors = re.findall(r"(?:Non-2xx|Socket errors).*", output)
    if done.returncode or errors:
        raise LoadFailed(f"errors under load: {', '.join(errors) or output + done.stderr}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])  # type: ignore[index]
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", output).groups()  # type: ignore[union-attr]
    p50 = float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
    return Load(rate, p50, int(re.search(r"(\d+) requests in", output)[1]))  # type: ignore[index]


class Client:
    """One connection that sends requests one after the other."""

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._key = key

    async def __aenter__(self) -> "Client":
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(
        self, method: str, path: str, body: str = "", headers: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """The headers, in lower case, and the body of the answer."""
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
            f"{body}".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.split("\r\n")
        if " 20" not in status:
            raise SystemExit(f"{method} {path}: {status}")
        found = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}
        return found, await self._reader.readexactly(int(found.get("content-length", 0)))


async def median_ms(action: Callable[[], Awaitable[object]], times: int = 300) -> float:
    """Milliseconds that an action takes, the median after a warm-up."""
    taken = []
    for number in range(times + 20):
        started = time.perf_counter()
        await action()
        if number >= 20:
            taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


def versions(database: str) -> str:
    """What the figures were measured on, and how fast that was just then."""
    with psycopg.connect(database) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    server = str(row[0]).split()[0] if row else "?"
    seconds = min(timeit.repeat("for n in range(10_000_000): total += n", "total = 0", number=1))
    return (
        f"Python {platform.python_version()} that makes {10 / seconds:.0f} million additions a"
        f" second, PostgreSQL {server}, {os.cpu_count()} cores"
    )
