"""What schemathesis checks beyond its own checks."""

import os
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response

# Rules on text after it was trimmed and normalised, on invisible characters, on the size of a whole
# object, on the state of things: JSON Schema cannot say them.
BEYOND_JSON_SCHEMA = {
    "invalid-text", "too-short", "too-long", "too-large", "too-deep", "number-too-large",
    "number-too-small", "unknown", "invalid-url", "contradiction", "datetime", "past",
    "out-of-order", "future", "too-early", "deleted",
}  # fmt: skip
CODES = {"validation", "idempotency-key-reused", "invalid-cursor"}


SPARED = frozenset(os.environ["SPARED"].split())
# A key has a role or scopes of its own, not both.
ROLE_OR_SCOPES = {"pointer": "", "in": "body", "code": "required"}


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Case, kwargs: Any) -> None:
    """Whoever is asking is only put aside as a rehearsal: nobody would be let in any more.

    Lists tell the ids of the keys that the requests come with, and of their company.
    """
    if case.method != "GET" and (case.path_parameters or {}).get("id") in SPARED:
        case.query = {**(case.query or {}), "dryRun": "true"}


@schemathesis.hook.apply_to(method="PATCH", path="/api/company")
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """No company asks for If-Match here: all writes without it would be refused from then on."""
    settings = body.get("settings") if isinstance(body, dict) else None
    if isinstance(settings, dict) and settings.get("requireIfMatch") is True:
        return {**body, "settings": {**settings, "requireIfMatch": False}}
    return body


@schemathesis.check
def what_the_schema_allows_is_refused_only_for_rules_beyond_it(
    ctx: CheckContext, response: Response, case: Case
) -> None:
    """A request that fits the document is never called malformed."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if not positive or response.status_code not in (400, 422):
        return
    problem = response.json()
    errors = problem.get("errors", [])
    codes = {each["code"] for each in errors if not ROLE_OR_SCOPES.items() <= each.items()}
    assert problem["code"] in CODES, problem
    assert codes <= BEYOND_JSON_SCHEMA, problem


@schemathesis.check
def every_answer_has_the_id_of_its_request(
    ctx: CheckContext, response: Response, case: Case
) -> None:
    """Errors name it in the body as well."""
    [request_id] = response.headers["x-request-id"]
    if response.status_code >= 400:
        assert response.json()["requestId"] == request_id
