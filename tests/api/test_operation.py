"""For whoever runs it: health, figures, and pages that need no internet."""

import re

import pytest
from httpx import AsyncClient

from api.operation import LIVE
from tests.api.conftest import Service
from tests.api.test_table_defs import create, path
from tests.conftest import eventually

pytestmark = pytest.mark.anyio


async def figure(client: AsyncClient, name: str) -> float:
    text = (await client.get("/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_the_process_is_alive_and_ready(
    service: Service, client: AsyncClient, anyone: AsyncClient
) -> None:
    assert (await anyone.get("/livez")).json() == {"status": "ok"}
    position = (await client.post("/api/tables", json={"name": "A"})).headers["event-position"]
    expected = [
        {"projection": name, "position": position, "lag": 0, "parked": 0} for name in sorted(LIVE)
    ]

    async def caught_up() -> bool:
        answer = await anyone.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        shown = sorted(answer.json()["projections"], key=lambda each: each["projection"])
        return bool(shown == expected)

    await eventually(caught_up)


async def test_head_is_get_without_a_body(client: AsyncClient, anyone: AsyncClient) -> None:
    for path_ in ("/livez", "/api/tables"):
        answer = await client.head(path_)
        assert answer.status_code == 200
        assert answer.headers["x-request-id"]


async def test_the_figures_count_requests_by_route_and_status(
    service: Service, client: AsyncClient, anyone: AsyncClient
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
    assert await figure(anyone, "dynamic_tables_event_store_position") == await service.head()
    for name in LIVE:

        async def caught_up(name: str = name) -> bool:
            lag = f'dynamic_tables_projection_lag_events{{projection="{name}"}}'
            return await figure(anyone, lag) == 0

        await eventually(caught_up)


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
