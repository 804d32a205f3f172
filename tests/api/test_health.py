"""A health check fails when the work is not done, and only then."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from psycopg import AsyncConnection

from api import health
from api.background import followers
from api.health import Unhealthy, check_api, check_projector
from api.read_models import PROJECTIONS
from api.roles import PROJECTOR_ROLE, as_role
from application.audit_log.log import AuditLog
from application.cascade import Cascade
from projections.base import Projection, live_schema
from projections.projector import Projector

pytestmark = pytest.mark.anyio
EVENT = """
INSERT INTO event_store.events (position, company_id, originator_id, originator_version, topic,
                                event_id, recorded_at)
VALUES (1, gen_random_uuid(), gen_random_uuid(), 1, 'Nothing', gen_random_uuid(), now())
"""
LEAD = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.5)


async def look(database: str) -> None:
    await check_projector(as_role(database, PROJECTOR_ROLE), PROJECTIONS)


async def test_a_projector_that_leads_is_healthy(any_database: str) -> None:
    conninfo = as_role(any_database, PROJECTOR_ROLE)
    tasks = [asyncio.create_task(Projector(conninfo, each).run()) for each in followers(conninfo)]
    try:
        for _ in range(10):
            with contextlib.suppress(Unhealthy):
                return await look(any_database)
        await look(any_database)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_without_a_leader_it_is_unhealthy(any_database: str) -> None:
    with pytest.raises(Unhealthy, match="led by nobody"):
        await look(any_database)


async def lead(connection: AsyncConnection, *projections: Projection | type[Projection]) -> None:
    for projection in projections:
        await connection.execute(LEAD, (f"projector:{live_schema(projection)}",))


async def test_a_leader_that_does_not_move_is_unhealthy_only_while_there_is_work(
    any_database: str,
) -> None:
    async with await AsyncConnection.connect(any_database, autocommit=True) as leader:
        await lead(leader, *PROJECTIONS)
        await look(any_database)
        await leader.execute(EVENT)
        with pytest.raises(Unhealthy, match="stands still at position 0 of 1"):
            await look(any_database)


async def test_each_read_model_needs_a_leader_of_its_own(database: str) -> None:
    for missing in PROJECTIONS:
        async with await AsyncConnection.connect(database, autocommit=True) as leader:
            await lead(leader, *(each for each in PROJECTIONS if each is not missing))
            with pytest.raises(Unhealthy, match=f"{live_schema(missing)} is led by nobody"):
                await look(database)


async def test_the_audit_log_needs_a_leader_that_signs(database: str, tmp_path: Path) -> None:
    conninfo = as_role(database, PROJECTOR_ROLE)

    async def look_at_the_log() -> None:
        await check_projector(conninfo, [], audit_log=True)

    with pytest.raises(Unhealthy, match="audit_log is led by nobody at position 0 of 0"):
        await look_at_the_log()
    async with (
        await AsyncConnection.connect(database, autocommit=True) as leader,
        await AsyncConnection.connect(conninfo, autocommit=True) as connection,
    ):
        await leader.execute(LEAD, ("audit_log",))
        await look_at_the_log()
        await leader.execute(EVENT)
        with pytest.raises(Unhealthy, match="audit_log stands still at position 0 of 1"):
            await look_at_the_log()
        await AuditLog(conninfo, tmp_path / "nothing").step(connection)  # there is no key in it
        with pytest.raises(Unhealthy, match="audit_log stands still at position 0 of 1"):
            await look_at_the_log()
        await AuditLog(conninfo).step(connection)
        await look_at_the_log()


async def test_a_cascade_may_take_its_time(database: str) -> None:
    """It acts for thousands of tables before its position moves."""
    async with await AsyncConnection.connect(database, autocommit=True) as leader:
        await lead(leader, *PROJECTIONS)
        await leader.execute(EVENT)
        await check_projector(as_role(database, PROJECTOR_ROLE), [Cascade])


async def test_a_leader_in_another_database_does_not_count(
    database: str, empty_database: str
) -> None:
    async with await AsyncConnection.connect(empty_database, autocommit=True) as elsewhere:
        await lead(elsewhere, *PROJECTIONS)
        with pytest.raises(Unhealthy, match="led by nobody"):
            await look(database)


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_an_api_that_is_ready_is_healthy_wherever_it_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://nowhere.invalid:1")
    with answering(200, b"{}") as port:
        check_api("127.0.0.1", port)
        check_api("0.0.0.0", port)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, json.dumps({"detail": "Far behind."}).encode(), "not ready: Far behind."),
        (404, b"{}", "not ready: 404"),
        (200, b"<html>", "does not answer"),
    ],
)
def test_anything_else_is_unhealthy(status: int, body: bytes, said: str) -> None:
    with answering(status, body) as port, pytest.raises(Unhealthy, match=said):
        check_api("127.0.0.1", port)


def test_nothing_there_is_unhealthy() -> None:
    with answering(200, b"{}") as port:
        pass
    with pytest.raises(Unhealthy, match="does not answer"):
        check_api("127.0.0.1", port)
