"""What is done to a table by its page or its row: deleting, restoring, purging, copying it."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.errors import invalid
from api.ids import new_id
from api.table_defs import PURGE, WRITE, TableId
from api.table_schemas import CopyOptions, PastQuery
from api.views import table_view
from api.web import writes
from api.web.page import Page, PageCall, ours, redirect, render
from api.web.table import difference, number, present
from api.web.workspace_names import all_workspaces
from application.base import Outcome, Request
from application.earlier import Earlier
from domain.errors import NotDeleted
from domain.table_details import FIELDS

router = APIRouter(include_in_schema=False, route_class=Page)


@router.post("/tables/{id}/delete", dependencies=WRITE)
async def delete_table(call: PageCall, id: TableId) -> Response:
    """Put it aside, and offer to take that back."""
    outcome = await _do(call, "delete", lambda it: call.services.table_defs.delete(id, it))
    notice = {"text": "deleted", "name": outcome.aggregate.name, "undo": f"/tables/{id}/restore"}
    return redirect(ours(call.given.get("next")), notice)


@router.post("/tables/{id}/restore", dependencies=WRITE)
async def restore_table(call: PageCall, id: TableId) -> Response:
    """Bring it back."""
    outcome = await _do(call, "restore", lambda it: call.services.table_defs.restore(id, it))
    notice = {"text": "restored", "name": outcome.aggregate.name}
    return redirect(ours(call.given.get("next") or f"/tables/{id}"), notice)


@router.get("/tables/{id}/purge", dependencies=PURGE)
async def ask_to_purge(call: PageCall, id: TableId) -> Response:
    """The form that ends it for ever: its name is to be typed."""
    table = await present(call, id)
    if not table["deletedAt"]:
        raise NotDeleted
    return await render(call, "purge.html", table=table, error=None)


@router.post("/tables/{id}/purge", dependencies=PURGE)
async def purge_table(call: PageCall, id: TableId) -> Response:
    """End it for ever, if its name was typed; if wanted, with all that was recorded of it."""
    table, form = await present(call, id), call.given
    erase = "erase" in form
    if form.get("name").strip() != table["name"]:
        return await render(call, "purge.html", 422, table=table, error="purge-name")
    if erase and not form.get("reason").strip():
        return await render(call, "purge.html", 422, table=table, error="purge-reason")
    await _do(call, "purge", lambda it: call.services.table_defs.purge(id, it, erase))
    notice = {"text": "erased" if erase else "purged", "name": "" if erase else table["name"]}
    return redirect("/?state=deleted", notice)


@router.post("/tables/{id}/duplicate", dependencies=WRITE)
async def duplicate_table(call: PageCall, id: TableId) -> Response:
    """Copy it, and go on with the copy."""
    own = CopyOptions()
    copy = await _do(call, "duplicate", lambda it: call.services.table_defs.duplicate(id, it, own))
    notice = {"text": "created", "name": copy.aggregate.name}
    return redirect(f"/tables/{copy.aggregate.id}", notice)


@router.get("/tables/{id}/revert", dependencies=WRITE)
async def ask_to_revert(
    call: PageCall, id: TableId, query: Annotated[PastQuery, Query()]
) -> Response:
    """What putting it back to a version would change."""
    if query.version is None:
        raise invalid([{"pointer": "/version", "in": "query", "code": "required",
                        "detail": "say to which version"}])  # fmt: skip
    table = await present(call, id)
    request = writes.request_of(call, "revert", dry_run=True)
    outcome = await _revert(call, id, request, query.version)
    return await render(
        call, "revert.html", table=table, version=query.version,
        changes=difference(table, table_view(outcome.aggregate)), once=new_id().hex,
        workspaces=await all_workspaces(call),
    )  # fmt: skip


@router.post("/tables/{id}/revert", dependencies=WRITE)
async def revert_table(call: PageCall, id: TableId) -> Response:
    """Put it back to a version, by new events."""
    version = number(call, "version")
    outcome = await _do(call, "revert", lambda it: _revert(call, id, it, version))
    notice = {"text": "reverted", "name": outcome.aggregate.name, "count": version}
    return redirect(f"/tables/{id}", notice)


async def _revert(call: PageCall, id: UUID, request: Request, version: int) -> Outcome:
    earlier = Earlier(version, None)
    return await call.services.table_defs.revert(id, request, earlier, list(FIELDS))


async def _do(
    call: PageCall, name: str, command: Callable[[Request], Awaitable[Outcome]]
) -> Outcome:
    known = number(call, "version") if "version" in call.given and name == "delete" else None
    return await writes.write(call, writes.request_of(call, name, known), command)
