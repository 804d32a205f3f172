"""For whoever runs it: health, figures, and pages that need no internet."""

import contextlib
import re
from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api.operation import LAG_AT_START, LARGEST_LAG
from tests.api.conftest import Service
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def anyone(service: Service) -> AsyncClient:
    """Somebody without a key."""
    client = service.client()
    del client.headers["authorization"]
    return client


async def figure(client: AsyncClient, name: str) -> float:
    text = (await client.get("/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_the_process_is_alive_and_ready(client: AsyncClient, anyone: AsyncClient) -> None:
    assert (await anyone.get("/livez")).json() == {"status": "ok"}
    written = await client.post("/api/tables", json={"name": "A"})
    await client.get("/api/tables", headers={"Min-Position": "1"})
    answer = await anyone.get("/readyz")
    assert answer.status_code == 200
    [projection] = answer.json()["projections"]
    position = written.headers["event-position"]
    assert answer.json()["status"] == "ok"
    assert projection == {
        "projection": "table_defs_v1", "position": position, "lag": 0, "parked": 0,
    }  # fmt: skip


async def test_a_read_model_far_behind_is_not_ready_nor_one_that_never_caught_up(
    anyone: AsyncClient, service: Service, sql: AsyncConnection
) -> None:
    async with held_back(service):
        await record(sql, LAG_AT_START + 1)
        assert_problem(await anyone.get("/readyz"), 503, "projection-behind")
        service.app.state.caught_up = True  # as after an earlier answer
        assert (await anyone.get("/readyz")).status_code == 200
        await record(sql, LARGEST_LAG + 1)
        answer = await anyone.get("/readyz")
        problem = assert_problem(answer, 503, "projection-behind")
        assert "retry-after" in answer.headers
        [behind] = problem["projections"]
        assert behind["lag"] == LARGEST_LAG + 1


async def test_what_a_retired_read_model_left_behind_does_not_matter(
    anyone: AsyncClient, sql: AsyncConnection
) -> None:
    await sql.execute("INSERT INTO projections.positions VALUES ('table_defs_v0', -99999)")
    assert (await anyone.get("/readyz")).status_code == 200


@contextlib.asynccontextmanager
async def held_back(service: Service) -> AsyncIterator[None]:
    """Keep the projector from moving."""
    async with await AsyncConnection.connect(service.database) as other:
        await other.execute("SELECT FROM projections.positions FOR UPDATE")
        yield


async def record(sql: AsyncConnection, position: int) -> None:
    await sql.execute(
        "INSERT INTO event_store.events VALUES"
        " (%s, gen_random_uuid(), gen_random_uuid(), 1, 'X', '', '', gen_random_uuid(), now())",
        (position,),
    )


async def test_head_is_get_without_a_body(client: AsyncClient, anyone: AsyncClient) -> None:
    for path_ in ("/livez", "/api/tables"):
        answer = await client.head(path_)
        assert answer.status_code == 200
        assert answer.headers["x-request-id"]


async def test_parked_tables_make_it_degraded_but_ready(
    anyone: AsyncClient, sql: AsyncConnection
) -> None:
    await sql.execute(
        "INSERT INTO projections.parked (projection, originator_id, position, error)"
        " VALUES ('table_defs_v1', gen_random_uuid(), 1, 'broken')"
    )
    answer = await anyone.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["projections"][0]["parked"] == 1


async def test_the_figures_count_requests_by_route_and_status(
    client: AsyncClient, anyone: AsyncClient
) -> None:
    one = 'dynamic_tables_http_requests_total{method="GET",route="/api/tables/{id}",status="200"}'
    none = 'dynamic_tables_http_requests_total{method="GET",route="unknown",status="404"}'
    odd = 'dynamic_tables_http_requests_total{method="other",route="unknown",status="404"}'
    before = [await figure(anyone, name) for name in (one, none, odd)]
    table = await create(client)
    for _ in range(3):
        await client.get(path(table))
    await client.get("/nowhere/at/all")
    for method in ("BREW", "TRACE", "x" * 100):
        await client.request(method, "/nowhere")
    after = [await figure(anyone, name) for name in (one, none, odd)]
    assert [new - old for new, old in zip(after, before, strict=True)] == [3, 1, 3]
    seconds = 'dynamic_tables_http_request_seconds_count{route="/api/tables/{id}"}'
    assert await figure(anyone, seconds) >= 3
    lag = 'dynamic_tables_projection_lag_events{projection="table_defs_v1"}'
    assert await figure(anyone, lag) == 0
    assert await figure(anyone, "dynamic_tables_event_store_position") == 1


async def test_no_company_shows_in_the_figures(service: Service, client: AsyncClient) -> None:
    table = await create(client, name="Confidential")
    await client.get("/api/tables/by-slug/confidential")
    text = (await client.get("/metrics")).text
    for secret in (table["id"], str(service.ours), "onfidential"):
        assert secret not in text


async def test_the_documentation_loads_nothing_from_elsewhere(anyone: AsyncClient) -> None:
    page = await anyone.get("/docs")
    assert page.status_code == 200
    named = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page.text)
    assert "/openapi.json" in named
    assert len(named) >= 4
    for address in named:
        assert address.startswith("/")
        assert (await anyone.get(address)).status_code == 200
    style = (await anyone.get("/docs/static/swagger-ui.css")).text
    outside = [
        u for u in re.findall(r"url\(([^)]+)\)", style) if not u.strip("\"'").startswith("data:")
    ]
    assert outside == []


async def test_the_document_is_served(anyone: AsyncClient) -> None:
    answer = await anyone.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.1")
