"""What every write has: who asks, on which condition, under which idempotency key."""

import hashlib
import json
from datetime import UTC, datetime

from api.endpoint import Call
from api.ids import new_id
from api.schemas import ConditionalHeaders, WriteHeaders, WriteQuery
from application.base import Request
from application.event_store.store import IdempotencyKey
from domain.base import Context


def write_request(call: Call, command: str, query: WriteQuery, headers: WriteHeaders) -> Request:
    """The application's view of a write; `command` is what the history will call it."""
    caller = call.caller
    if_match = headers.if_match if isinstance(headers, ConditionalHeaders) else None
    traceparent = call.scope["traceparent"]
    context = Context(
        company_id=caller.company_id,
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
    return Request(context, if_match, _idempotency(call, headers), query.dry_run)


def _idempotency(call: Call, headers: WriteHeaders) -> IdempotencyKey | None:
    """The key with a hash of all that makes the request what it is."""
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
    return IdempotencyKey(headers.idempotency_key, digest)
