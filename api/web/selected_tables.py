"""What is done to several tables of the list at once."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.table_defs import WRITE
from api.table_schemas import TableChanges
from api.web import writes
from api.web.page import Page, PageCall, ours, redirect
from api.web.tables import PAGE
from application.base import Outcome, Request
from application.errors import Refused
from domain.errors import DomainError

Command = Callable[[UUID, Request], Awaitable[Outcome]]

router = APIRouter(include_in_schema=False, route_class=Page)


@router.post("/tables/selected/delete", dependencies=WRITE)
async def delete_selected(call: PageCall) -> Response:
    """Put several tables aside."""
    undo = "/tables/selected/restore"
    return await _each(call, "delete", call.services.table_defs.delete, "deleted-some", undo)


@router.post("/tables/selected/restore", dependencies=WRITE)
async def restore_selected(call: PageCall) -> Response:
    """Bring several tables back."""
    return await _each(call, "restore", call.services.table_defs.restore, "restored-some")


@router.post("/tables/selected/move", dependencies=WRITE)
async def move_selected(call: PageCall) -> Response:
    """Let several tables belong to another workspace, or to the whole company."""
    changes = writes.read(TableChanges, {"workspaceId": call.given.get("workspaceId") or None})

    async def move(id: UUID, request: Request) -> Outcome:
        return await call.services.table_defs.change(id, request, changes)

    return await _each(call, "change", move, "moved-some")


async def _each(
    call: PageCall, name: str, command: Command, text: str, undo: str | None = None
) -> Response:
    """Do the same to each selected table; one that is refused leaves the others."""
    done: list[UUID] = []
    for id in writes.ids(call):
        request = writes.request_of(call, name)

        async def run(request: Request, id: UUID = id) -> Outcome:
            return await command(id, request)

        try:
            await writes.write(call, request, run)
        except (DomainError, Refused):
            continue
        done.append(id)
    notice: dict[str, Any] = {"text": text, "count": len(done)}
    if undo and done and len(done) <= PAGE:
        notice |= {"undo": undo, "ids": [str(id) for id in done]}
    return redirect(ours(call.given.get("next")), notice)
