"""Errors are RFC 9457 problems everywhere, and tell what to do; a crash tells a request id."""

import logging
from uuid import uuid4

import pytest
from httpx import AsyncClient
from psycopg import AsyncConnection

from api.problems import CATALOGUE
from projections.table_def_queries import SCHEMA
from tests.api.conftest import Service
from tests.api.document import OPERATIONS
from tests.api.test_table_defs import assert_problem, create, path

pytestmark = pytest.mark.anyio

MEMBERS = {"type", "title", "status", "detail", "code", "requestId"}


async def test_every_problem_has_a_page_that_says_what_to_do(client: AsyncClient) -> None:
    for code, problem in CATALOGUE.items():
        page = await client.get(f"/problems/{code}")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert f"<code>{code}</code>, status {problem.status}" in page.text
    assert_problem(await client.get("/problems/no-such-problem"), 404, "not-found")


async def test_a_problem_has_its_members_and_its_type_is_a_page(client: AsyncClient) -> None:
    problem = (await client.get("/api/nothing")).json()
    assert problem.keys() == MEMBERS
    assert problem["type"] == "/problems/not-found"
    assert (await client.get(problem["type"])).status_code == 200


async def test_an_unknown_route_is_not_found_with_or_without_a_key(
    service: Service, client: AsyncClient
) -> None:
    async with service.client() as anonymous:
        del anonymous.headers["authorization"]
        for caller in (client, anonymous):
            for address in ("/nothing", "/api", "/api/", "/api/tables/", "/api/tables/x/y", "/%00",
                            "/docs/static/../app.py", "/docs/static/nothing.js"):  # fmt: skip
                for method in ("GET", "POST", "DELETE"):
                    answer = await caller.request(method, address)
                    if answer.status_code != 405:
                        assert_problem(answer, 404, "not-found")


async def test_a_wrong_method_is_told_the_right_ones(client: AsyncClient) -> None:
    table = await create(client)
    for address, wrong, allowed in (
        ("/api/tables", ("PUT", "PATCH", "DELETE", "OPTIONS"), "GET, POST"),
        (path(table), ("PUT", "POST", "OPTIONS"), "DELETE, GET, PATCH"),
        (path(table) + "/restore", ("GET", "PUT", "PATCH", "DELETE"), "POST"),
        ("/api/tables/by-slug/orders", ("POST", "PUT", "PATCH", "DELETE"), "GET"),
        ("/api/workspaces/x", ("POST", "OPTIONS"), "DELETE, GET, PATCH, PUT"),
        ("/api/company", ("POST", "PUT", "DELETE"), "GET, PATCH"),
        ("/api/companies/x", ("POST", "PUT"), "DELETE, GET, PATCH"),
        ("/api/keys/x", ("POST", "PUT", "PATCH"), "DELETE, GET"),
        ("/api/keys/x/rotate", ("GET", "PUT", "DELETE"), "POST"),
        ("/api/people/x", ("GET", "PATCH", "PUT"), "DELETE"),
        ("/sign-out", ("GET", "PUT"), "POST"),
        ("/livez", ("POST", "DELETE"), "GET"),
        ("/docs/static/swagger-ui.css", ("POST",), "GET, HEAD"),
    ):
        for method in wrong:
            answer = await client.request(method, address)
            assert_problem(answer, 405, "method-not-allowed")
            assert answer.headers["allow"] == allowed


async def test_a_media_type_that_is_not_understood_is_told_the_right_ones(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client)
    wrong = ("text/plain", "application/xml", "application/json-patch+json", "",
             "application/json; charset=utf-16", "application/jsonx", "json",
             "multipart/form-data; boundary=x", b"\xff")  # fmt: skip
    for kind in (*wrong, "application/merge-patch+json"):
        for address in ("/api/tables", path(table) + "/duplicate"):
            answer = await client.post(address, content="{}", headers={"Content-Type": kind})
            assert_problem(answer, 415, "unsupported-media-type")
            assert answer.headers["accept-post"] == "application/json"
    for kind in wrong:
        answer = await client.patch(path(table), content="{}", headers={"Content-Type": kind})
        assert_problem(answer, 415, "unsupported-media-type")
        accepted = "application/json, application/merge-patch+json"
        assert answer.headers["accept-patch"] == accepted
    assert await service.topics() == ["Created"]


async def test_every_operation_with_a_body_says_what_it_may_be(
    service: Service, client: AsyncClient, platform: AsyncClient
) -> None:
    before = await service.kept()
    for operation in OPERATIONS:
        if operation.schema is None:
            continue
        caller = platform if "companies:write" in operation.scopes else client
        address = operation.path.replace("{id}", str(uuid4()))
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
            answer = await caller.request(
                operation.method, address, content="{}", headers={"Content-Type": kind}
            )
            assert_problem(answer, 415, "unsupported-media-type")
            header = "accept-patch" if operation.method == "PATCH" else "accept-post"
            assert "application/json" in answer.headers[header], operation.id
    assert await service.kept() == before


async def test_all_that_is_wrong_is_told_at_once(service: Service, client: AsyncClient) -> None:
    answer = await client.post(
        "/api/tables?dryRun=perhaps&page=1",
        json={
            "name": "x" * 256,
            "slug": "Not A Slug",
            "description": 5,
            "icon": "a\nb",
            "color": "red",
            "workspaceId": "w",
            "settings": {"enableForm": "yes", "1bad": 1, "defaultView": "\u202e"},
            "version": 3,
            "a/b~c": 1,
        },
        headers={"Reason": "%FF", "Idempotency-Key": "a b"},
    )
    errors = assert_problem(answer, 422, "validation")["errors"]
    found = {(e["in"], e["pointer"]): e["code"] for e in errors}
    assert found == {
        ("query", "/dryRun"): "type",
        ("query", "/page"): "unknown-field",
        ("header", "/Reason"): "invalid-text",
        ("header", "/Idempotency-Key"): "invalid-text",
        ("body", "/name"): "too-long",
        ("body", "/slug"): "invalid-slug",
        ("body", "/description"): "type",
        ("body", "/icon"): "invalid-text",
        ("body", "/color"): "invalid-color",
        ("body", "/workspaceId"): "invalid-uuid",
        ("body", "/settings/enableForm"): "type",
        ("body", "/settings/1bad"): "invalid-name",
        ("body", "/settings/defaultView"): "invalid-text",
        ("body", "/version"): "read-only",
        ("body", "/a~1b~0c"): "unknown-field",
    }
    assert len(errors) == len(found)
    assert all(error["detail"] for error in errors)
    assert await service.topics() == []


async def test_limits_of_settings_are_told_with_all_else(client: AsyncClient) -> None:
    deep: dict[str, object] = {}
    for _ in range(9):
        deep = {"a": deep}
    for wrong, code in (
        (deep, "too-deep"),
        ({f"k{n}": n for n in range(101)}, "too-many-keys"),
        ({"a": "x" * 32 * 1024}, "too-large"),
    ):
        answer = await client.post("/api/tables", json={"name": "", "settings": wrong})
        errors = assert_problem(answer, 422, "validation")["errors"]
        codes = {error["pointer"]: error["code"] for error in errors}
        assert codes == {"/name": "too-short", "/settings": code}


async def test_settings_cannot_outgrow_their_limits_change_by_change(
    service: Service, client: AsyncClient
) -> None:
    table = await create(client, settings={f"k{n}": n for n in range(100)})
    answer = await client.patch(path(table), json={"name": "B", "settings": {"more": 1}})
    [error] = assert_problem(answer, 422, "validation")["errors"]
    assert (error["pointer"], error["code"]) == ("/settings", "too-many-keys")
    swapped = await client.patch(path(table), json={"settings": {"more": 1, "k0": None}})
    assert swapped.status_code == 200
    assert await service.topics() == ["Created", "SettingsChanged"]


async def test_an_id_that_is_none_is_named(client: AsyncClient) -> None:
    for id in ("x", "123", "%00", "%FF", "null", "0" * 31, "0" * 5000):
        for method, action in (("GET", ""), ("DELETE", ""), ("POST", "/restore")):
            answer = await client.request(method, f"/api/tables/{id}{action}")
            [error] = assert_problem(answer, 422, "validation")["errors"]
            assert (error["pointer"], error["in"]) == ("/id", "path")
            assert error["code"] == "invalid-uuid"


async def test_a_crash_tells_a_request_id_and_nothing_else(
    client: AsyncClient, sql: AsyncConnection, caplog: pytest.LogCaptureFixture
) -> None:
    table = await create(client)
    await client.get(path(table))
    rename = f"ALTER TABLE {SCHEMA}.table_defs RENAME COLUMN {{}} TO {{}}"
    await sql.execute(rename.format("shown", "secret_name").encode())
    try:
        for address in (path(table), "/api/tables"):
            with caplog.at_level(logging.ERROR):
                answer = await client.get(address)
            problem = assert_problem(answer, 500, "internal")
            assert problem == {
                "type": "/problems/internal",
                "title": "Something went wrong here",
                "status": 500,
                "detail": "Something went wrong. It was logged under this request id.",
                "code": "internal",
                "requestId": answer.headers["x-request-id"],
            }
    finally:
        await sql.execute(rename.format("secret_name", "shown").encode())
    assert "column t.shown does not exist" in caplog.text  # the log tells
