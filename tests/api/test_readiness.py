"""When an installation is ready, and when it says that it is not."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api import read_models
from api.operation import LAG_AT_START, LARGEST_LAG, LONGEST_WAIT
from api.roles import PROJECTOR_ROLE, as_role
from application.audit_log.log import AuditLog
from application.cascade import Cascade
from application.event_store.session import connect
from projections.base import live_schema
from tests.api.conftest import Installation, Service, installed
from tests.api.test_operation import figure
from tests.api.test_table_defs import assert_problem
from tests.conftest import eventually

pytestmark = pytest.mark.anyio

LAG = 'dynamic_tables_projection_{}{{projection="audit_log"}}'
READ_MODELS = {live_schema(projection) for projection in read_models.READ_MODELS}


@pytest.fixture
async def installation(database: str) -> AsyncIterator[Installation]:
    """One for each test: events and positions are made up here."""
    async with installed(database) as made:
        yield made


async def test_a_read_model_far_behind_is_not_ready_nor_one_that_never_caught_up(
    anyone: AsyncClient, service: Service, sql: AsyncConnection
) -> None:
    head = await service.head()
    async with held_back(service):
        await record(sql, head + LAG_AT_START + 1)
        assert_problem(await anyone.get("/readyz"), 503, "projection-behind")
        service.app.state.caught_up = True  # as after an earlier answer
        assert (await anyone.get("/readyz")).status_code == 200
        await record(sql, head + LARGEST_LAG + 1)
        answer = await anyone.get("/readyz")
        problem = assert_problem(answer, 503, "projection-behind")
        assert "retry-after" in answer.headers
        lags = {each["projection"]: each["lag"] for each in problem["projections"]}
        assert lags.keys() == {*READ_MODELS, live_schema(Cascade)}
        assert all(lags[name] == LARGEST_LAG + 1 for name in READ_MODELS)


async def test_what_a_retired_read_model_left_behind_does_not_matter(
    anyone: AsyncClient, sql: AsyncConnection
) -> None:
    await sql.execute("INSERT INTO projections.positions VALUES ('table_defs_v0', -99999)")
    assert (await anyone.get("/readyz")).status_code == 200


@contextlib.asynccontextmanager
async def held_back(service: Service) -> AsyncIterator[None]:
    """Keep the projector from moving, once it has caught up."""
    async with await AsyncConnection.connect(service.database) as other:

        async def caught_up() -> bool:
            behind = "SELECT FROM projections.positions WHERE position < event_store.head()"
            found = (await other.execute(behind)).rowcount
            await other.rollback()
            return found == 0

        await eventually(caught_up)
        await other.execute("SELECT FROM projections.positions FOR UPDATE")
        yield


async def record(sql: AsyncConnection, position: int) -> None:
    await sql.execute(
        "INSERT INTO event_store.events VALUES"
        " (%s, gen_random_uuid(), gen_random_uuid(), 1, 'X', '', '', gen_random_uuid(), now())",
        (position,),
    )


async def test_a_log_that_is_not_signed_is_degraded_but_ready(
    anyone: AsyncClient, service: Service, sql: AsyncConnection
) -> None:
    conninfo = as_role(service.database, PROJECTOR_ROLE)

    async def shown() -> tuple[str, dict[str, Any]]:
        answer = await anyone.get("/readyz")
        return answer.json()["status"], answer.json()["auditLog"]

    async def kept() -> None:
        async with await connect(conninfo) as connection:
            while await AuditLog(conninfo).step(connection):
                pass

    head = await service.head()
    status, log = await shown()
    assert (status, log["position"], log["lag"], log["refused"]) == ("ok", "0", head, 0)
    assert 0 < log["waitingSeconds"] < LONGEST_WAIT
    async with sql.transaction():
        await sql.execute("SET LOCAL session_replication_role = replica")
        await sql.execute("UPDATE event_store.events SET recorded_at = now() - interval '1 hour'")
    status, log = await shown()
    assert (status, log["waitingSeconds"] > 3599) == ("degraded", True)
    assert await figure(anyone, "dynamic_tables_audit_log_waiting_seconds") > 3599
    await kept()
    signed = {"position": str(head), "lag": 0, "refused": 0, "waitingSeconds": 0}
    assert await shown() == ("ok", signed)
    assert await figure(anyone, LAG.format("lag_events")) == 0
    assert await figure(anyone, LAG.format("position")) == head

    await sql.execute("UPDATE audit_log.heads SET root = '' WHERE company_id = %s", (service.ours,))
    await kept()
    assert await shown() == ("degraded", signed | {"refused": 1})
    assert await figure(anyone, "dynamic_tables_audit_log_refused") == 1


async def test_parked_tables_make_it_degraded_but_ready(
    anyone: AsyncClient, sql: AsyncConnection
) -> None:
    for schema in READ_MODELS:
        await sql.execute(
            "INSERT INTO projections.parked (projection, originator_id, position, error)"
            " VALUES (%s, gen_random_uuid(), 1, 'broken')",
            (schema,),
        )
        answer = await anyone.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        parked = {each["projection"]: each["parked"] for each in answer.json()["projections"]}
        assert parked[schema] == 1


async def test_a_database_that_stores_nothing_makes_it_degraded_but_ready(
    anyone: AsyncClient, client: AsyncClient, sql: AsyncConnection
) -> None:
    async def shown() -> tuple[str, bool]:
        answer = await anyone.get("/readyz")
        assert answer.status_code == 200
        return answer.json()["status"], answer.json()["eventStore"]["isStoring"]

    assert await shown() == ("ok", True)
    await sql.execute(
        "ALTER TABLE event_store.events ADD CONSTRAINT full_disk CHECK (false) NOT VALID"
    )
    assert_problem(await client.post("/api/tables", json={"name": "A"}), 503, "unavailable")
    assert await shown() == ("degraded", False)
    await sql.execute("ALTER TABLE event_store.events DROP CONSTRAINT full_disk")
    assert (await client.post("/api/tables", json={"name": "A"})).status_code == 201
    assert await shown() == ("ok", True)
