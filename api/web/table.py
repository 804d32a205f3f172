"""One table as a page: its settings, as they are or as they were, and what may be done to it."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.clashes import Clash, StaleChange, clashes, wishes
from api.errors import ApiError, invalid
from api.history_items import FIELDS as SHOWN
from api.history_items import changes as differences
from api.ids import new_id
from api.table_defs import PURGE, READ, WRITE, TableId, missing_only_if_shown
from api.table_schemas import CopyOptions, PastQuery, TableChanges
from api.views import table_view
from api.web import writes
from api.web.page import Page, PageCall, caught_up, invalid_fields, ours, redirect, render
from api.web.table_form import COLORS, ICONS, VIEWS, Fields, wanted
from api.web.workspace_names import all_workspaces
from application.base import Outcome, Request, Stale
from application.earlier import Earlier
from domain.errors import NotDeleted
from domain.table_details import FIELDS
from domain.values import merge_patch

REFUSALS = ("validation", "slug-taken", "workspace-deleted", "company-removed")
ROUNDS = 5  # how often others may be faster with something else

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/tables/{id}", dependencies=READ)
async def show_table(call: PageCall, id: TableId, query: Annotated[PastQuery, Query()]) -> Response:
    """Its settings; at a version or a moment that is over, only to be read."""
    if query.version is not None or query.as_of is not None:
        return await _then(call, id, query)
    table = await _present(call, id)
    return await _settings(call, table, Fields.of(table))


@router.post("/tables/{id}", dependencies=WRITE)
async def save_table(call: PageCall, id: TableId) -> Response:
    """Record what a form changes; what others changed meanwhile is kept, or shown beside it."""
    table = await _present(call, id)
    try:
        base = await _base(call, table)
        patch = _chosen(call, wanted(call.given, base))
        if not patch:
            return redirect(f"/tables/{id}", {"text": "unchanged"})
        changes = writes.read(TableChanges, patch)
        saved, merged = await _change(call, id, int(base["version"]), changes)
    except StaleChange as stale:
        return await _clash(call, stale)
    except Exception as error:
        problem = writes.refusal(error, *REFUSALS)
        return await _settings(call, table, Fields.given(call.given, table), problem)
    notice = {"text": "saved-merged" if merged else "saved", "name": saved.aggregate.name}
    return redirect(f"/tables/{id}", notice)


@router.post("/tables/{id}/review", dependencies=WRITE)
async def review_table(call: PageCall, id: TableId) -> Response:
    """What a form would record, before it does."""
    table = await _present(call, id)
    try:
        base = await _base(call, table)
        changes = writes.read(TableChanges, wanted(call.given, base))
        request = writes.request_of(call, "change", dry_run=True)
        outcome = await call.services.table_defs.change(id, request, changes)
    except Exception as error:
        problem = writes.refusal(error, *REFUSALS)
        return await _settings(call, table, Fields.given(call.given, table), problem)
    changed = _changed(table, table_view(outcome.aggregate))
    return await render(
        call, "review.html", table=table, changes=changed, fields=call.given.json(),
        workspaces=await all_workspaces(call),
    )  # fmt: skip


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
    table = await _present(call, id)
    if not table["deletedAt"]:
        raise NotDeleted
    return await render(call, "purge.html", table=table, error=None)


@router.post("/tables/{id}/purge", dependencies=PURGE)
async def purge_table(call: PageCall, id: TableId) -> Response:
    """End it for ever, if its name was typed; if wanted, with all that was recorded of it."""
    table, form = await _present(call, id), call.given
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
    table = await _present(call, id)
    request = writes.request_of(call, "revert", dry_run=True)
    outcome = await _revert(call, id, request, query.version)
    return await render(
        call, "revert.html", table=table, version=query.version,
        changes=_changed(table, table_view(outcome.aggregate)), once=new_id().hex,
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


def number(call: PageCall, name: str) -> int:
    """A version that a form names.

    Raises:
        ApiError: `validation`.
    """
    text = call.given.get(name)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        fault = {"in": "body", "code": "type", "detail": "must be a version"}
        raise invalid([{"pointer": f"/{name}", **fault}])
    return int(text)


async def _present(call: PageCall, id: UUID) -> dict[str, Any]:
    """The table as it is, deleted or not."""
    tables, company_id = call.services.tables, call.caller.company_id
    await caught_up(call, tables.progress)
    with missing_only_if_shown(call):
        row = await tables.one(company_id, id)
    found: dict[str, Any] = json.loads(row.json)
    return found


async def _base(call: PageCall, table: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table as whoever filled in the form saw it."""
    version = number(call, "version")
    if version == table["version"]:
        return table
    id = UUID(table["id"])
    row = await call.services.history.at_version(call.caller.company_id, id, version)
    found: Mapping[str, Any] = json.loads(row.json)
    return found


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What differs between two states of a table, as JSON; what is not set is as it is then."""
    first, second = (
        {name: each[name] for name in SHOWN["TableDef"] if name in each}
        | {"settings": each["effectiveSettings"]}
        for each in (before, after)
    )
    return differences(first, second)


def _chosen(call: PageCall, patch: dict[str, Any]) -> dict[str, Any]:
    """What is left of a change when of some fields that of the others is taken."""
    picked = call.given.beginning("pick:")
    for pointer in (each for each in picked if picked[each] == "theirs"):
        _, _, name = pointer.rpartition("/")
        of = patch.get("settings", {}) if pointer.startswith("/settings/") else patch
        of.pop(name, None)
    if not patch.get("settings", True):
        del patch["settings"]
    return patch


async def _change(
    call: PageCall, id: UUID, version: int, changes: TableChanges
) -> tuple[Outcome, bool]:
    """Change what others have not changed meanwhile; and whether they changed something else.

    Raises:
        StaleChange: they changed the same.
    """
    for round in range(ROUNDS):
        request = writes.request_of(call, "change", version)
        try:
            outcome = await writes.write(
                call, request, lambda it: call.services.table_defs.change(id, it, changes)
            )
        except Stale as stale:
            change = StaleChange(stale, changes)
            if stale.base is None or clashes(change):
                raise change from stale
            version = stale.current.version
        else:
            return outcome, round > 0
    raise ApiError("append-busy")


async def _settings(
    call: PageCall,
    table: Mapping[str, Any],
    fields: Fields,
    problem: ApiError | None = None,
    clashing: Sequence[Clash] = (),
    since: Sequence[Any] = (),
) -> Response:
    """The settings of a table: what it is, or what somebody made of its fields."""
    company_id = call.caller.company_id
    people = {UUID(table[name]) for name in ("createdBy", "updatedBy")}
    people |= {each.event.metadata.actor_id for each in since}
    names = await call.services.directory.names(company_id, people)
    status = 409 if clashing else 200 if problem is None else 422
    return await render(
        call, "table.html", status,
        table=table, fields=fields, version=table["version"], past=None, problem=problem,
        errors=invalid_fields(problem) if problem else {}, clashes=clashing,
        by=sorted({names.get(each.event.metadata.actor_id) or "" for each in since}),
        names={str(id): name for id, name in names.items()},
        workspaces=await all_workspaces(call), icons=ICONS, colors=COLORS, views=VIEWS,
        may_write="tables:write" in call.caller.scopes and not table["deletedAt"],
    )  # fmt: skip


async def _clash(call: PageCall, change: StaleChange) -> Response:
    """Theirs, yours and what it was, field by field; the form has yours, on top of theirs."""
    current = change.stale.current
    theirs = table_view(current)
    if current.deleted_at:
        return redirect(f"/tables/{current.id}", {"text": "deleted-meanwhile"})
    yours = merge_patch(theirs, wishes(change.wanted, theirs["settings"]))
    fields = Fields.of(yours)
    return await _settings(call, theirs, fields, None, clashes(change), change.stale.since)


async def _then(call: PageCall, id: UUID, query: PastQuery) -> Response:
    """A table as it was."""
    history, company_id = call.services.history, call.caller.company_id
    await caught_up(call, history.progress)
    if query.as_of is not None:
        position = await history.position_at(query.as_of, "/asOf")
        row = await history.at_position(company_id, id, position)
    else:
        row = await history.at_version(company_id, id, query.version or 1)
    table = json.loads(row.json)
    people = {UUID(table[name]) for name in ("createdBy", "updatedBy")}
    names = await call.services.directory.names(company_id, people)
    return await render(
        call, "table.html", table=table, fields=Fields.of(table), version=row.version, past=row,
        problem=None, errors={}, clashes=(), by=(), workspaces=await all_workspaces(call),
        names={str(id): name for id, name in names.items()},
        icons=ICONS, colors=COLORS, views=VIEWS, may_write=False,
    )  # fmt: skip
