"""The OpenAPI document: valid, complete, and true."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import create_app
from api.endpoint import Endpoint
from api.problems import CATALOGUE
from api.settings import Settings
from api.web.page import Page
from tests.api.document import PUBLIC

IDEMPOTENT = {"Idempotency-Key", "Reason", "dryRun"}
TRACE = {"X-Request-Id", "traceparent"}
WAITING = {"If-None-Match", "Min-Position", "Prefer"}
PAGE = WAITING | {"limit", "cursor", "state"}
ONE = {"id", "state"} | WAITING
NEW = IDEMPOTENT
KEPT = NEW - {"Reason"}  # of what is no event
COPY = IDEMPOTENT | {"id"}
CHANGE = COPY | {"If-Match"}
PARAMETERS = {
    "list_events": {
        "after",
        "afterId",
        "limit",
        "wait",
        "types",
        "tableId",
        "Accept",
        "If-None-Match",
    },
    "stream_events": {"after", "types", "tableId", "Last-Event-ID"},
    "get_event": {"id"},
    "create_table": NEW,
    "list_tables": PAGE
    | {"workspaceId", "updatedBy", "q", "sort", "count", "asOf", "asOfPosition"},
    "suggest_slug": {"name"},
    "get_table_by_slug": WAITING | {"slug", "state"},
    "get_table": ONE | {"version", "asOf"},
    "change_table": CHANGE,
    "delete_table": CHANGE,
    "restore_table": CHANGE,
    "purge_table": CHANGE,
    "duplicate_table": COPY,
    "revert_table": CHANGE,
    "create_workspace": NEW,
    "list_workspaces": PAGE,
    "get_workspace": ONE,
    "put_workspace": CHANGE,
    "change_workspace": CHANGE,
    "delete_workspace": CHANGE,
    "restore_workspace": CHANGE,
    "get_company": WAITING,
    "change_company": CHANGE - {"id"},
    "register_company": NEW,
    "list_companies": PAGE,
    "get_one_company": ONE,
    "change_one_company": CHANGE,
    "remove_company": CHANGE,
    "restore_company": CHANGE,
    # Neither keys nor names are events, or in a read model.
    "create_key": NEW - {"Reason"},
    "list_keys": PAGE - {"Min-Position", "Prefer"},
    "get_key": {"id", "If-None-Match"},
    "rotate_key": COPY - {"Reason"},
    "revoke_key": COPY - {"Reason"},
    "list_people": PAGE - {"Min-Position", "Prefer"},
    "erase_person": COPY - {"Reason"},
    "list_table_history": WAITING | {"id", "limit", "cursor", "order"},
    "compare_table": WAITING | {"id", "from", "to"},
    "list_audit_events": WAITING
    | {"limit", "cursor", "order", "actorId", "type", "tableId", "from", "to", "q"},
    "compare_company": WAITING | {"limit", "cursor", "from", "to"},
    "get_me": set(),
    "get_checkpoint": set(),
    "list_audit_keys": set(),
    "prove_inclusion": {"eventId", "size"},
    "prove_consistency": {"from", "to"},
    "list_consumers": {"If-None-Match"},
    "put_consumer": KEPT | {"name"},
    "get_consumer": {"name", "If-None-Match"},
    "delete_consumer": KEPT | {"name"},
    "seek_consumer": KEPT | {"name"},
    "fetch_events": {"name"},
    "acknowledge_events": {"name"},
    "refuse_event": {"name"},
    "list_parked": {"name", "limit", "cursor", "If-None-Match"},
    "replay_all_parked": KEPT | {"name"},
    "replay_parked": KEPT | {"name", "id"},
    "drop_parked": KEPT | {"name", "id"},
    "create_webhook": KEPT,
    "list_webhooks": {"If-None-Match"},
    "get_webhook": {"id", "If-None-Match"},
    "change_webhook": KEPT | {"id"},
    "delete_webhook": KEPT | {"id"},
    "rotate_webhook_secret": KEPT | {"id"},
    "list_deliveries": {"id", "limit", "cursor", "If-None-Match"},
    "redeliver": KEPT | {"id", "delivery_id"},
    "replay_events": KEPT | {"id"},
    "test_webhook": {"id"},
    "create_export": KEPT,
    "list_exports": {"If-None-Match"},
    "get_export": {"id", "If-None-Match"},
    "delete_export": KEPT | {"id"},
    "download_export": {"id", "Range", "If-Range", "If-None-Match"},
}
STATUSES = {
    "list_consumers": "200 304 401 403 422 429 500 503",
    "put_consumer": "200 201 400 401 403 404 409 413 415 422 429 500 503",
    "get_consumer": "200 304 401 403 404 422 429 500 503",
    "delete_consumer": "200 204 401 403 404 422 429 500 503",
    "seek_consumer": "200 400 401 403 404 409 413 415 422 429 500 503",
    "fetch_events": "200 400 401 403 404 409 413 415 422 429 500 503",
    "acknowledge_events": "204 400 401 403 404 409 413 415 422 429 500 503",
    "refuse_event": "200 400 401 403 404 409 413 415 422 429 500 503",
    "list_parked": "200 304 400 401 403 404 422 429 500 503",
    "replay_all_parked": "200 204 401 403 404 422 429 500 503",
    "replay_parked": "200 204 401 403 404 422 429 500 503",
    "drop_parked": "200 204 401 403 404 422 429 500 503",
    "create_webhook": "200 201 400 401 403 409 413 415 422 429 500 503",
    "list_webhooks": "200 304 401 403 422 429 500 503",
    "get_webhook": "200 304 401 403 404 422 429 500 503",
    "change_webhook": "200 400 401 403 404 413 415 422 429 500 503",
    "delete_webhook": "200 204 401 403 404 422 429 500 503",
    "rotate_webhook_secret": "200 201 400 401 403 404 413 415 422 429 500 503",
    "list_deliveries": "200 304 400 401 403 404 422 429 500 503",
    "redeliver": "200 202 401 403 404 409 422 429 500 503",
    "replay_events": "200 202 400 401 403 404 409 413 415 422 429 500 503",
    "test_webhook": "200 401 403 404 422 429 500 503",
    "create_export": "200 202 400 401 403 409 413 415 422 429 500 503",
    "list_exports": "200 304 401 403 422 429 500 503",
    "get_export": "200 304 401 403 404 422 429 500 503",
    "delete_export": "200 204 401 403 404 422 429 500 503",
    "download_export": "200 206 304 401 403 404 409 416 422 429 500 503",
    "list_events": "200 304 401 403 409 422 429 500 503",
    "stream_events": "200 400 401 403 409 422 429 500 503",
    "get_event": "200 401 403 404 422 429 500 503",
    "create_table": "200 201 400 401 403 409 413 415 422 429 500 503",
    "list_tables": "200 304 400 401 403 422 429 500 503",
    "suggest_slug": "200 401 403 422 429 500 503",
    "get_table_by_slug": "200 304 308 400 401 403 404 410 422 429 500 503",
    "get_table": "200 304 400 401 403 404 410 422 429 500 503",
    "change_table": "200 400 401 403 404 409 410 412 413 415 422 428 429 500 503",
    "delete_table": "200 204 401 403 404 410 412 422 428 429 500 503",
    "restore_table": "200 401 403 404 409 410 412 422 428 429 500 503",
    "purge_table": "200 204 400 401 403 404 409 410 412 413 415 422 428 429 500 503",
    "revert_table": "200 400 401 403 404 409 410 412 413 415 422 428 429 500 503",
    "duplicate_table": "200 201 400 401 403 404 409 410 413 415 422 429 500 503",
    "create_workspace": "200 201 400 401 403 409 413 415 422 429 500 503",
    "list_workspaces": "200 304 400 401 403 422 429 500 503",
    "get_workspace": "200 304 400 401 403 404 422 429 500 503",
    "put_workspace": "200 201 400 401 403 404 409 412 413 415 422 429 500 503",
    "change_workspace": "200 400 401 403 404 409 412 413 415 422 428 429 500 503",
    "delete_workspace": "200 204 401 403 404 412 422 428 429 500 503",
    "restore_workspace": "200 401 403 404 409 412 422 428 429 500 503",
    "get_company": "200 304 400 401 403 404 422 429 500 503",
    "change_company": "200 400 401 403 404 409 412 413 415 422 428 429 500 503",
    "register_company": "200 201 400 401 403 413 415 422 429 500 503",
    "list_companies": "200 304 400 401 403 422 429 500 503",
    "get_one_company": "200 304 400 401 403 404 422 429 500 503",
    "change_one_company": "200 400 401 403 404 409 412 413 415 422 429 500 503",
    "remove_company": "200 204 401 403 404 412 422 429 500 503",
    "restore_company": "200 401 403 404 412 422 429 500 503",
    "create_key": "200 201 400 401 403 413 415 422 429 500 503",
    "list_keys": "200 304 400 401 403 422 429 500 503",
    "get_key": "200 304 401 403 404 422 429 500 503",
    "rotate_key": "200 201 400 401 403 404 409 413 415 422 429 500 503",
    "revoke_key": "200 204 401 403 404 422 429 500 503",
    "list_people": "200 304 400 401 403 422 429 500 503",
    "erase_person": "200 204 401 403 404 422 429 500 503",
    "list_table_history": "200 304 400 401 403 404 422 429 500 503",
    "compare_table": "200 304 400 401 403 404 410 422 429 500 503",
    "list_audit_events": "200 304 400 401 403 422 429 500 503",
    "compare_company": "200 304 400 401 403 422 429 500 503",
    "get_me": "200 401 403 422 429 500 503",
    "get_checkpoint": "200 401 403 404 409 422 429 500 503",
    "list_audit_keys": "200 401 403 422 429 500 503",
    "prove_inclusion": "200 401 403 404 409 422 429 500 503",
    "prove_consistency": "200 401 403 404 409 422 429 500 503",
    "livez": "200",
    "readyz": "200 500 503",
    "metrics": "200",
    "problem_page": "200 404",
    "list_schemas": "200 304",
    "get_schema": "200 304 404",
    "get_asyncapi": "200 304",
}
PAGES = {"/docs", "/static/{edition}/{name}"}  # for people; what programs use is in the document


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(), "postgresql://nowhere/nothing")


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    # As a client gets it.
    found: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return found


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def contents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for operation in operations(document):
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media_type, content in part.get("content", {}).items():
                yield f"{operation['operationId']} {media_type}", content


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_in_the_document(app: FastAPI, document: dict[str, Any]) -> None:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path not in PAGES and not isinstance(route, Page):
            for method in route.methods:
                assert method.lower() in document["paths"][route.path]


def test_every_operation_has_all_its_parameters(document: dict[str, Any]) -> None:
    for operation in operations(document):
        found = {parameter["name"] for parameter in operation["parameters"]}
        if operation["operationId"] in PARAMETERS:
            assert found == PARAMETERS[operation["operationId"]] | TRACE
    assert {o["operationId"] for o in operations(document)} == set(STATUSES)


def test_every_operation_has_all_its_statuses(document: dict[str, Any]) -> None:
    for operation in operations(document):
        expected = STATUSES[operation["operationId"]].split()
        assert sorted(operation["responses"]) == expected, operation["operationId"]


def test_every_operation_below_api_shows_the_scope_that_it_needs(
    app: FastAPI, document: dict[str, Any]
) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "bearer": "http", "session": "apiKey",
    }  # fmt: skip
    for route in app.routes:
        if isinstance(route, Endpoint) and not isinstance(route, Page):
            [method] = route.methods
            operation = document["paths"][route.path][method.lower()]
            assert operation["security"] == [{scheme: route.scopes} for scheme in schemes]
            assert route.scopes or route.path == "/api/me"
    for path, found in document["paths"].items():
        for operation in found.values():
            public = operation["operationId"] in PUBLIC
            assert ("security" in operation) == (path.startswith("/api/") and not public)


def test_everything_is_described_and_has_an_example(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert operation["description"]
        for parameter in operation["parameters"]:
            assert parameter["description"], parameter
            assert "example" in parameter, parameter
        for response in operation["responses"].values():
            assert response["description"]
            for header in response["headers"].values():
                assert header["description"]
                assert header["example"]
    for name, content in contents(document):
        assert content.get("examples") or content.get("example"), name


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    def check(value: Any, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)

    for _, content in contents(document):
        for example in content.get("examples", {}).values():
            check(example["value"], content["schema"])
    for operation in operations(document):
        for parameter in operation["parameters"]:
            check(parameter["example"], parameter["schema"])
        for response in operation["responses"].values():
            for header in response["headers"].values():
                check(header["example"], header["schema"])


def test_every_problem_of_the_catalogue_is_somewhere_in_the_document(
    document: dict[str, Any],
) -> None:
    shown = {
        code: (int(status), example["value"]["status"])
        for operation in operations(document)
        for status, response in operation["responses"].items()
        for content in (response.get("content", {}).get("application/problem+json", {}),)
        for code, example in content.get("examples", {}).items()
    }
    for code, statuses in shown.items():
        assert statuses == (CATALOGUE[code].status,) * 2
    assert set(CATALOGUE) - set(shown) == {"method-not-allowed"}  # of no operation
    assert set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(
        CATALOGUE
    )


def test_a_patch_is_shown_as_a_merge_patch_too(document: dict[str, Any]) -> None:
    patches = [path["patch"] for path in document["paths"].values() if "patch" in path]
    assert len(patches) == 5
    for patch in patches:
        content = patch["requestBody"]["content"]
        assert set(content) == {"application/json", "application/merge-patch+json"}
    for name in ("TableChanges", "WorkspaceChange", "CompanyChange", "WebhookChange"):
        changes = document["components"]["schemas"][name]
        assert "required" not in changes
        assert not any("default" in field for field in changes["properties"].values())


def test_patterns_are_those_of_json_schema(document: dict[str, Any]) -> None:
    """ECMA-262 has no \\A, \\z, inline flags or possessive quantifiers."""
    for pattern in re.findall(r'"pattern": "(.*?)(?<!\\)"', json.dumps(document)):
        assert not re.search(r"\\\\[AzZ]|\(\?[a-zP]|[*+?}]\+", pattern), pattern
