"""What schemathesis checks beyond its own checks."""

import schemathesis
from schemathesis import Case, CheckContext, Response

# Rules on text after it was trimmed and normalised, on invisible characters, on the size of a whole
# object, on the state of things: JSON Schema cannot say them.
BEYOND_JSON_SCHEMA = {
    "invalid-text", "too-short", "too-long", "too-large", "too-deep", "number-too-large",
    "number-too-small",
}  # fmt: skip
CODES = {"validation", "idempotency-key-reused", "invalid-cursor"}


@schemathesis.check
def what_the_schema_allows_is_refused_only_for_rules_beyond_it(
    ctx: CheckContext, response: Response, case: Case
) -> None:
    """A request that fits the document is never called malformed."""
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if not positive or response.status_code not in (400, 422):
        return
    problem = response.json()
    codes = {error["code"] for error in problem.get("errors", [])}
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
