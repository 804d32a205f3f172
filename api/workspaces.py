"""Workspaces over HTTP: the parts of a company that its tables may belong to."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from starlette.responses import Response

from api.answers import puts, reads, writes
from api.endpoint import Call, Endpoint
from api.errors import ApiError
from api.failures import BODY, CONDITIONAL
from api.reading import after, catch_up, page_answer, unless_known
from api.schemas import ConditionalHeaders, OneQuery, ReadHeaders, WriteHeaders, WriteQuery
from api.security import requires
from api.tenancy_schemas import NewWorkspace, PageQuery, WorkspaceChange
from api.tenancy_views import Workspace, WorkspacePage, WorkspaceRehearsal, workspace_view
from api.views import EXAMPLE_ID
from api.writing import Noun, changed, conditional_request, created, write_request
from application.feed import rfc3339
from projections.tenancy_queries import WORKSPACES, TenantRow

READ = [requires("tables:read")]
WRITE = [requires("workspaces:write")]
SHAPES = {"model": Workspace, "rehearsal": WorkspaceRehearsal}
WORKSPACE = Noun(
    "workspace",
    workspace_view,
    lambda workspace: f"/api/workspaces/{workspace.workspace_id}",
    lambda call: call.services.tenancy.progress,
)
WorkspaceId = Annotated[UUID, Path(description="The workspace.", examples=[EXAMPLE_ID])]

router = APIRouter(
    prefix="/api/workspaces",
    tags=["workspaces"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.post("", status_code=201, dependencies=WRITE,
             responses=writes(201, *BODY, "company-removed", **SHAPES))  # fmt: skip
async def create_workspace(
    call: Call,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[WriteHeaders, Header()],
    new: Annotated[NewWorkspace, Body()],
) -> Response:
    """Create a workspace under a new id."""
    request = write_request(call, "create", query, headers)
    return created(call, request, await call.services.workspaces.create(request, new), WORKSPACE)


@router.get("", dependencies=READ, responses=reads(WorkspacePage, "invalid-cursor"))
async def list_workspaces(
    call: Call, query: Annotated[PageQuery, Query()], headers: Annotated[ReadHeaders, Header()]
) -> Response:
    """List the workspaces of the company by name."""
    tenancy, company_id = call.services.tenancy, call.caller.company_id
    await catch_up(call, tenancy.progress, headers)
    wanted = ("workspaces", company_id, query.state)
    start = after(call, query.cursor, wanted)
    page = await tenancy.page(WORKSPACES, company_id, query.state, start, query.limit)
    return page_answer(call, headers, page, wanted)


@router.get("/{id}", dependencies=READ, responses=reads(Workspace, "not-found"))
async def get_workspace(
    call: Call,
    id: WorkspaceId,
    query: Annotated[OneQuery, Query()],
    headers: Annotated[ReadHeaders, Header()],
) -> Response:
    """Read one workspace."""
    await catch_up(call, call.services.tenancy.progress, headers)
    row = await call.services.tenancy.workspace(call.caller.company_id, id)
    return shown(row, query.state, headers)


@router.put("/{id}", dependencies=WRITE,
            responses=puts(Workspace, WorkspaceRehearsal, *BODY, "workspace-deleted",
                           "company-removed", "not-found", "version-mismatch"))  # fmt: skip
async def put_workspace(
    call: Call,
    id: WorkspaceId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
    new: Annotated[NewWorkspace, Body()],
) -> Response:
    """Have a workspace under an id that another system gave it: create it, or rename it."""
    request = write_request(call, "put", query, headers)
    outcome = await call.services.workspaces.put(id, request, new)
    if outcome.began:
        return created(call, request, outcome, WORKSPACE)
    return changed(call, request, outcome, WORKSPACE)


@router.patch("/{id}", dependencies=WRITE, openapi_extra={"x-merge-patch": True},
              responses=writes(200, *BODY, "not-found", *CONDITIONAL, "workspace-deleted",
                               **SHAPES))  # fmt: skip
async def change_workspace(
    call: Call,
    id: WorkspaceId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
    changes: Annotated[WorkspaceChange, Body()],
) -> Response:
    """Give a workspace another name."""
    request = await conditional_request(call, "change", query, headers)
    outcome = await call.services.workspaces.change(id, request, changes)
    return changed(call, request, outcome, WORKSPACE)


@router.delete("/{id}", status_code=204, dependencies=WRITE,
               responses=writes(204, "not-found", *CONDITIONAL, **SHAPES))  # fmt: skip
async def delete_workspace(
    call: Call,
    id: WorkspaceId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """Put a workspace aside; the tables in it follow at once. Again does nothing."""
    request = await conditional_request(call, "delete", query, headers)
    outcome = await call.services.workspaces.delete(id, request)
    return changed(call, request, outcome, WORKSPACE, 204)


@router.post("/{id}/restore", dependencies=WRITE,
             responses=writes(200, "not-found", *CONDITIONAL, "company-removed",
                              **SHAPES))  # fmt: skip
async def restore_workspace(
    call: Call,
    id: WorkspaceId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """Bring a workspace back, with the tables that were deleted with it, and no others."""
    request = await conditional_request(call, "restore", query, headers)
    outcome = await call.services.workspaces.restore(id, request)
    return changed(call, request, outcome, WORKSPACE)


def shown(row: TenantRow, state: str, headers: ReadHeaders) -> Response:
    """One workspace or company, unless it is deleted and was not asked for as such."""
    if row.gone_at and state == "active":
        raise ApiError(
            "not-found", "It is deleted. Restore it, or read it with ?state=all.",
            deletedAt=rfc3339(row.gone_at), restorable=True,
        )  # fmt: skip
    answer = {"ETag": f'"{row.version}"', "Event-Position": str(row.position)}
    return unless_known(headers, row.json.encode(), answer)
