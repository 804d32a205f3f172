"""The tamper-evident log over HTTP: its signed head, who signs it, and proofs."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic_core import to_json
from starlette.responses import PlainTextResponse, Response

from api.answers import found, text
from api.audit_schemas import ConsistencyQuery, InclusionQuery
from api.audit_views import (
    NOTE,
    AuditKeys,
    ConsistencyProof,
    InclusionProof,
    consistency_view,
    inclusion_view,
    keys_view,
)
from api.endpoint import Call, Endpoint
from api.failures import EVERY, failures
from api.orders import Connection
from api.security import requires
from application.audit_log import proofs
from application.audit_log.heads import head, sound
from application.audit_log.keys import listed

READ = [requires("audit:read")]
JSON = "application/json"
SIGNED = failures(*EVERY, "not-found", "audit-log-altered")

router = APIRouter(
    prefix="/api/audit",
    tags=["audit"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("/checkpoint", dependencies=READ, response_class=PlainTextResponse,
            responses=text("text/plain", NOTE) | SIGNED)  # fmt: skip
async def get_checkpoint(call: Call) -> Response:
    """Read the last signed head of the company's log, and keep it where nobody can change it.

    It is a checkpoint in a signed note (c2sp.org/tlog-checkpoint, c2sp.org/signed-note).
    """
    company_id = call.caller.company_id
    signed = await call.services.transact(company_id, lambda c: sound(c, company_id))
    return PlainTextResponse(signed.note)


@router.get("/keys", dependencies=READ, responses=found(AuditKeys) | failures(*EVERY))
async def list_audit_keys(call: Call) -> Response:
    """List the keys that sign the heads of the log, and those that did."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> bytes:
        signed = await head(connection, company_id)
        return to_json(keys_view(await listed(connection), signed.handover if signed else None))

    return Response(await call.services.transact(company_id, run), 200, media_type=JSON)


@router.get("/proofs/inclusion", dependencies=READ, responses=found(InclusionProof) | SIGNED)
async def prove_inclusion(call: Call, query: Annotated[InclusionQuery, Query()]) -> Response:
    """Prove that an event is in the log that a head of this size signs."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> proofs.Inclusion:
        return await proofs.inclusion(connection, company_id, query.event_id, query.size)

    proof = await call.services.transact(company_id, run)
    return Response(to_json(inclusion_view(company_id, proof)), 200, media_type=JSON)


@router.get("/proofs/consistency", dependencies=READ, responses=found(ConsistencyProof) | SIGNED)
async def prove_consistency(call: Call, query: Annotated[ConsistencyQuery, Query()]) -> Response:
    """Prove that the log of a later head begins with that of an earlier one."""
    company_id = call.caller.company_id

    async def run(connection: Connection) -> proofs.Consistency:
        return await proofs.consistency(connection, company_id, query.first, query.second)

    proof = await call.services.transact(company_id, run)
    return Response(to_json(consistency_view(proof)), 200, media_type=JSON)
