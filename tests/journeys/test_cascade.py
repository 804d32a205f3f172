"""Thousands of tables follow their workspace, although whoever sees to it is killed often."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from api.demo import COMPANY, SALES
from api.embedded_postgres import attach
from api.operator import by_operator
from api.roles import API_ROLE, as_role
from application.base import Request
from application.event_store.postgres import PostgresEventStore
from application.table_defs import TableDefs
from domain.table_details import Details
from tests.conftest import sized
from tests.journeys.processes import Serve, run, until

MANY = sized(1_000, 10_000)
LIFE = sized(0.3, 2)  # seconds, at most, that who follows goes on after it did something
DELETED_BEFORE = 3
COUNT = """
SELECT count(*), count(DISTINCT table_id),
       count(*) FILTER (WHERE metadata ->> 'causationId' = %s)
  FROM event_store.readable_events WHERE topic = %s AND position > %s
"""
CAUSE = """
SELECT event_id::text, position FROM event_store.events
 WHERE topic = %s ORDER BY position DESC LIMIT 1
"""
HEAD = "SELECT max(position) FROM event_store.events"
PROJECTED = "SELECT position FROM projections.positions WHERE projection = 'cascade_v1'"


async def fill(url: str) -> None:
    """Thousands of tables in the workspace, three of which are deleted."""
    store = PostgresEventStore(as_role(url, API_ROLE))
    table_defs = TableDefs(store)
    request = Request(by_operator(COMPANY, "create"))

    async def create(number: int) -> UUID:
        details = Details(name=f"T {number}", slug=f"t-{number}", workspace_id=SALES)
        return UUID(str((await table_defs.create(request, details)).aggregate.id))

    ids: list[UUID] = []
    for start in range(0, MANY, 500):
        ids += await asyncio.gather(*(create(start + number) for number in range(500)))
    for id in ids[:DELETED_BEFORE]:
        await table_defs.delete(id, request)
    await store.close()


def kill_until_done(service: Serve, connection: psycopg.Connection[Any], cause: int) -> int:
    """Kill the process that follows the events at random moments until it has reacted."""

    def number(query: str) -> int:
        return int((connection.execute(query).fetchone() or (0,))[0])

    kills = 0
    while number(PROJECTED) < cause:
        before = number(HEAD)
        until(lambda before=before: number(HEAD) > before or number(PROJECTED) >= cause, 60, "more")
        time.sleep(random.random() * LIFE if kills else 0)  # the first is in the middle of it
        for pid in service.children("project"):
            os.kill(pid, signal.SIGKILL)
            kills += 1
    return kills


def test_killed_at_random_none_is_forgotten_and_none_deleted_twice(data: Path) -> None:
    with (
        Serve(data, "--demo") as service,
        service.client() as client,
        attach(data) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        asyncio.run(fill(url))
        there = MANY - DELETED_BEFORE + 2  # and the two of the demo

        assert client.delete(f"/api/workspaces/{SALES}").status_code == 204
        cause, position = connection.execute(CAUSE, ("Workspace.Deleted",)).fetchone()  # type: ignore[misc]
        assert kill_until_done(service, connection, position) > 1
        deleted = connection.execute(COUNT, (cause, "TableDef.Deleted", position)).fetchone()
        assert deleted == (there, there, there)

        assert client.post(f"/api/workspaces/{SALES}/restore").status_code == 200
        cause, position = connection.execute(CAUSE, ("Workspace.Restored",)).fetchone()  # type: ignore[misc]
        assert kill_until_done(service, connection, position) > 1
        restored = connection.execute(COUNT, (cause, "TableDef.Restored", position)).fetchone()
        assert restored == (there, there, there)

        until(lambda: run(data, "project", "--healthy").returncode == 0, 30, "it is led again")
        checked = run(data, "replay", "--check")
        assert (checked.returncode, checked.stderr) == (0, "")
