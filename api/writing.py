"""What every write has: who asks, on which condition, under which key; and how it is answered."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from starlette.responses import Response

from api.endpoint import Call
from api.errors import ApiError
from api.ids import new_id
from api.progress import Progress
from api.schemas import ConditionalHeaders, KeyHeaders, WriteHeaders, WriteQuery
from application.base import Outcome, Request
from application.event_store.store import IdempotencyKey
from application.feed import event_data, public_type
from domain.base import Context


@dataclass(frozen=True)
class Noun:
    """How what was written is shown: what it is called, its JSON, and where it is."""

    name: str
    view: Callable[[Any], dict[str, Any]]
    path: Callable[[Any], str]
    progress: Callable[[Call], Progress]


def write_request(
    call: Call,
    command: str,
    query: WriteQuery,
    headers: WriteHeaders,
    company_id: UUID | None = None,
) -> Request:
    """The application's view of a write; `command` is what the history will call it.

    `company_id`: for the platform, which acts for a company that is not its own.
    """
    caller = call.caller
    if_match = headers.if_match if isinstance(headers, ConditionalHeaders) else None
    traceparent = call.scope["traceparent"]
    context = Context(
        company_id=company_id or caller.company_id,
        actor_id=caller.actor_id,
        actor_kind=caller.actor_kind,
        occurred_at=datetime.now(UTC),
        new_id=new_id,
        request_id=call.request_id,
        correlation_id=traceparent.split("-")[1] if traceparent else call.request_id,
        command=command,
        traceparent=traceparent,
        reason=headers.reason,
    )
    key = idempotency(call, headers, "platform " if company_id else "")
    return Request(context, if_match, key, query.dry_run)


async def conditional_request(
    call: Call, command: str, query: WriteQuery, headers: ConditionalHeaders
) -> Request:
    """The same for what exists already: a company may want each such write to have an If-Match.

    Raises:
        ApiError: `precondition-required`.
    """
    if "if-match" not in call.headers:
        settings = await call.services.tenancy.settings(call.caller.company_id)
        if settings["requireIfMatch"]:
            raise ApiError("precondition-required")
    return write_request(call, command, query, headers)


def idempotency(call: Call, headers: KeyHeaders, realm: str = "") -> IdempotencyKey | None:
    """The key with a hash of all that makes the request what it is.

    `realm`: sets keys apart that others of the company may not run into; with a space, which no
    caller's own key can have.
    """
    if headers.idempotency_key is None:
        return None
    content = json.loads(call.content) if call.content else None
    parts = [
        call.method,
        call.url.path,
        call.url.query,
        call.headers.get("if-match", ""),
        json.dumps(content, sort_keys=True),
    ]
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return IdempotencyKey(realm + headers.idempotency_key, digest)


def created(call: Call, request: Request, outcome: Outcome, noun: Noun) -> Response:
    """201 and where it is."""
    response = changed(call, request, outcome, noun, 201)
    if not request.dry_run:
        response.headers["Location"] = noun.path(outcome.aggregate)
    return response


def changed(
    call: Call, request: Request, outcome: Outcome, noun: Noun, status: int = 200
) -> Response:
    """What it is like now, or with `dryRun` would be."""
    aggregate, receipt = outcome.aggregate, outcome.receipt
    if request.dry_run:
        return rehearsed(noun.name, noun.view(aggregate), outcome)
    note_written(call, request, receipt.position, noun)
    headers = {"ETag": f'"{aggregate.version}"', "Event-Position": str(receipt.position)}
    if receipt.replayed:
        headers["Idempotency-Replayed"] = "true"
    if status == 204:
        return Response(status_code=204, headers=headers)
    return Response(to_json(noun.view(aggregate)), status, headers, "application/json")


def note_written(call: Call, request: Request, position: int, noun: Noun) -> None:
    """Let whoever wrote see it: what they read next waits for this position."""
    for reader in {request.context.company_id, call.caller.reader}:
        noun.progress(call).wrote(reader, position)
        call.services.history.progress.wrote(reader, position)


def rehearsed(name: str, view: Any, outcome: Outcome | None = None) -> Response:
    """What would be recorded, and what it would be like then; nothing was stored."""
    recorded = outcome.events if outcome else ()
    events = [{"type": public_type(e.TOPIC), "data": event_data(e)} for e in recorded]
    body = {"dryRun": True, name: view, "events": events}
    return Response(to_json(body), media_type="application/json")
