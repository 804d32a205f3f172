"""The workspaces of a company as a page: new ones, other names, put aside and brought back."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.errors import ApiError
from api.ids import new_id
from api.tenancy_schemas import NewWorkspace, WorkspaceChange
from api.web import meanwhile, writes
from api.web.company import company_values
from api.web.listing import ListingQuery, listed
from api.web.page import Page, PageCall, caught_up, invalid_fields, redirect, render
from api.web.people import names_of
from api.web.table import number
from api.workspaces import READ, WORKSPACE, WRITE, WorkspaceId
from application.base import Outcome, Stale
from projections.table_def_queries import Filter
from projections.tenancy_queries import WORKSPACES

REFUSALS = ("validation", "company-removed", "workspace-deleted")
FORM, DELETION = "workspace_form.html", "workspace_delete.html"
BLANK = {"id": "", "name": "", "version": 0}

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/workspaces", dependencies=READ)
async def list_workspaces(call: PageCall, query: Annotated[ListingQuery, Query()]) -> Response:
    """The list by name, or the deleted ones; and what the company itself is like."""
    await caught_up(call, call.services.tenancy.progress)
    shown = await listed(call, WORKSPACES, query)
    about = await company_values(call)
    return await render(call, "workspaces.html", about=about, **shown)


@router.get("/workspaces/new", dependencies=WRITE)
async def new_workspace(call: PageCall) -> Response:
    """The form of a new one."""
    return await _form(call, BLANK, "")


@router.post("/workspaces/new", dependencies=WRITE)
async def create_workspace(call: PageCall) -> Response:
    """Create it."""
    workspaces, name = call.services.workspaces, call.given.get("name")
    try:
        new = writes.read(NewWorkspace, {"name": name})
        outcome = await _do(call, "create", lambda it: workspaces.create(it, new))
    except Exception as error:
        return await _form(call, BLANK, name, writes.refusal(error, *REFUSALS))
    return redirect("/workspaces", {"text": "created", "name": outcome.aggregate.name})


@router.get("/workspaces/{id}/rename", dependencies=WRITE)
async def ask_for_name(call: PageCall, id: WorkspaceId) -> Response:
    """The form of another name."""
    workspace = await _present(call, id)
    if workspace["deletedAt"]:
        return _gone(workspace["name"])
    return await _form(call, workspace, workspace["name"])


@router.post("/workspaces/{id}/rename", dependencies=WRITE)
async def rename_workspace(call: PageCall, id: WorkspaceId) -> Response:
    """Give it another name; who was faster is told, and asked."""
    workspace, name = await _present(call, id), call.given.get("name")
    try:
        wanted = {"name": writes.read(WorkspaceChange, {"name": name}).name}
        outcome = await _rename(call, id, wanted)
    except Stale as stale:
        return await _clash(call, FORM, stale, name=name)
    except Exception as error:
        problem = writes.refusal(error, *REFUSALS)
        if problem.code == "workspace-deleted":
            return _gone(workspace["name"])
        return await _form(call, workspace, name, problem)
    return redirect("/workspaces", {"text": "saved", "name": outcome.aggregate.name})


@router.get("/workspaces/{id}/delete", dependencies=WRITE)
async def ask_to_delete(call: PageCall, id: WorkspaceId) -> Response:
    """The form that puts it aside: what goes with it."""
    workspace = await _present(call, id)
    if workspace["deletedAt"]:
        return _gone(workspace["name"])
    return await _show(call, DELETION, workspace)


@router.post("/workspaces/{id}/delete", dependencies=WRITE)
async def delete_workspace(call: PageCall, id: WorkspaceId) -> Response:
    """Put it aside with its tables, and offer to take that back."""
    workspaces, version = call.services.workspaces, number(call, "version")
    try:
        outcome = await _do(call, "delete", lambda it: workspaces.delete(id, it), version)
    except Stale as stale:
        return await _clash(call, DELETION, stale)
    except Exception as error:
        problem = writes.refusal(error, "validation")
        return await _show(call, DELETION, await _present(call, id), 422, problem=problem)
    notice = {"text": "workspace-deleted", "name": outcome.aggregate.name}
    return redirect("/workspaces", notice | {"undo": f"/workspaces/{id}/restore"})


@router.post("/workspaces/{id}/restore", dependencies=WRITE)
async def restore_workspace(call: PageCall, id: WorkspaceId) -> Response:
    """Bring it back, with the tables that were deleted with it."""
    workspaces = call.services.workspaces
    outcome = await _do(call, "restore", lambda it: workspaces.restore(id, it))
    return redirect("/workspaces", {"text": "workspace-restored", "name": outcome.aggregate.name})


async def _do(
    call: PageCall, name: str, command: writes.Command, version: int | None = None
) -> Outcome:
    request = writes.request_of(call, name, version)
    return await writes.write(call, request, command, WORKSPACE)


async def _rename(call: PageCall, id: UUID, wanted: meanwhile.Values) -> Outcome:
    workspaces = call.services.workspaces

    async def change(values: meanwhile.Values, version: int) -> Outcome:
        changes = WorkspaceChange(**values)
        return await _do(call, "change", lambda it: workspaces.change(id, it, changes), version)

    version = number(call, "version")
    return await meanwhile.merged(version, wanted, lambda each: {"name": each.name}, change)


async def _present(call: PageCall, id: UUID) -> dict[str, Any]:
    """The workspace as it is, deleted or not."""
    tenancy = call.services.tenancy
    await caught_up(call, tenancy.progress)
    row = await tenancy.workspace(call.caller.company_id, id)
    found: dict[str, Any] = json.loads(row.json)
    return found


def _gone(name: str) -> Response:
    notice = {"text": "workspace-deleted-meanwhile", "name": name}
    return redirect("/workspaces?state=deleted", notice)


async def _clash(call: PageCall, template: str, stale: Stale, **shown: Any) -> Response:
    """What it is called now, and who called it that; sent again, the form holds."""
    current = stale.current
    if current.deleted_at:
        return _gone(current.name)
    workspace = WORKSPACE.view(current)
    clash = {"by": (await names_of(call, [current.updated_by])).get(workspace["updatedBy"])}
    return await _show(call, template, workspace, 409, clash=clash, **shown)


async def _form(
    call: PageCall, workspace: dict[str, Any], name: str, problem: ApiError | None = None
) -> Response:
    status = 200 if problem is None else 422
    return await _show(call, FORM, workspace, status, name=name, problem=problem)


async def _show(
    call: PageCall, template: str, workspace: dict[str, Any], status: int = 200, **shown: Any
) -> Response:
    """A form about a workspace, or about a new one."""
    problem = shown.setdefault("problem", None)
    shown |= {"errors": invalid_fields(problem) if problem else {}, "workspace": workspace}
    shown.setdefault("clash", None)
    shown["once"] = call.given.get("once") if problem else new_id().hex
    if template == DELETION:
        shown["reason"] = call.given.get("reason")
        shown["count"] = await _tables(call, UUID(workspace["id"]))
    return await render(call, template, status, **shown)


async def _tables(call: PageCall, id: UUID) -> int:
    """How many tables are in a workspace."""
    tables, company_id = call.services.tables, call.caller.company_id
    await caught_up(call, tables.progress)
    return await tables.count(Filter(company_id, any_workspace=False, workspace_id=id))
