"""Who am I, for which company, and what may I do?"""

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.responses import Response

from api.answers import found
from api.endpoint import Call, Endpoint
from api.failures import EVERY, failures
from api.security import requires
from api.tenancy_views import Me

router = APIRouter(
    tags=["access"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("/api/me", dependencies=[requires()], responses=found(Me) | failures(*EVERY))
async def get_me(call: Call) -> Response:
    """Tell who is calling, for which company, and with which scopes. Anybody may ask."""
    caller = call.caller
    actor_name = company = None
    if caller.company:
        await call.services.tenancy.progress.own_writes(caller.reader)
        actor_name = await call.services.directory.name(caller.company, caller.actor_id)
        name = await call.services.tenancy.company_name(caller.company)
        company = {"id": caller.company, "name": name}
    body = {
        "actor": {"id": caller.actor_id, "name": actor_name, "kind": caller.actor_kind},
        "company": company,
        "role": caller.role,
        "scopes": sorted(caller.scopes),
        "csrfToken": caller.csrf_token,
    }
    headers = {"Cache-Control": "no-store"}
    return Response(to_json(body), 200, headers, "application/json")
