"""Whether a service does its work, for whoever watches it from outside: exit status 0 or 1."""

import asyncio
import http.client
import json
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from projections.base import Projection, live_schema

# An advisory lock on one bigint shows as two halves: the upper in classid, the lower in objid.
_STATE = """
SELECT position, step, coalesce((SELECT max(position) FROM event_store.events), 0),
       EXISTS (SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND granted AND objsubid = 1
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND (classid::bigint << 32 | objid::bigint) = hashtextextended(lock, 0))
  FROM ({source}) AS follower(position, step, lock)
"""
PROJECTION = _STATE.format(
    source="""
SELECT position, position, 'projector:' || projection
  FROM projections.positions
 WHERE projection = %(name)s"""
)
# Many events are added before their heads are signed: it moves with either.
AUDIT_LOG = _STATE.format(
    source="SELECT signed_position, position + signed_position, %(name)s FROM audit_log.progress"
)
PATIENCE = 3.0  # seconds in which somebody must lead, and what is behind must move


class Unhealthy(Exception):
    """What does not work."""


async def check_projector(
    conninfo: str, projections: Sequence[Projection], *, audit_log: bool = False
) -> None:
    """Look whether some process keeps each of these read models current, and the audit log.

    One that stands by is as healthy as the one that leads. One that hangs loses the lead.

    Raises:
        Unhealthy: nobody leads, or what is behind does not move.
        psycopg.Error: the database does not answer.
    """
    async with await AsyncConnection.connect(
        conninfo, autocommit=True, connect_timeout=2
    ) as connection:
        for projection in projections:
            await _check(connection, PROJECTION, live_schema(projection), projection.acts)
        if audit_log:
            await _check(connection, AUDIT_LOG, "audit_log")


async def _check(
    connection: AsyncConnection, query: str, name: str, takes_long: bool = False
) -> None:
    position, first, head, led = await _state(connection, query, name)
    step = first
    for _ in range(int(PATIENCE / 0.1)):
        if led and (step > first or position >= head or takes_long):
            return
        await asyncio.sleep(0.1)
        position, step, _, led = await _state(connection, query, name)
    what = "stands still" if led else "is led by nobody"
    raise Unhealthy(f"{name} {what} at position {position} of {head}.")


async def _state(connection: AsyncConnection, query: str, name: str) -> tuple[int, int, int, bool]:
    row = await (await connection.execute(query.encode(), {"name": name})).fetchone()
    if row is None:
        raise Unhealthy(f"{name} does not exist: run `dynamic-tables migrate`.")
    return row[0], row[1], row[2], row[3]


def readiness(host: str, port: int, timeout: float = 2) -> tuple[int, dict[str, Any]]:
    """Status and body of the API's /readyz.

    Asks the process itself, whatever proxy the environment names.

    Raises:
        OSError, http.client.HTTPException: nothing answers there, or not like an API.
    """
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=timeout)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


def check_api(host: str, port: int) -> None:
    """Look whether the API on this machine is ready.

    Raises:
        Unhealthy: it is not.
    """
    try:
        status, body = readiness(host, port)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unhealthy(f"The API does not answer: {error}.") from error
    if status != 200:
        raise Unhealthy(f"The API is not ready: {body.get('detail') or status}")


def _reachable(host: str) -> str:
    """An address that leads to a listener on `host`: "all of them" is none to call."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
