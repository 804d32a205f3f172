"""The settings of a table as a page, as they are or were; and what others change meanwhile."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.clashes import Clash, StaleChange, clashes, wishes
from api.errors import ApiError, invalid
from api.history_items import FIELDS as SHOWN
from api.history_items import changes as differences
from api.ids import new_id
from api.table_defs import READ, WRITE, TableId, missing_only_if_shown
from api.table_schemas import PastQuery, TableChanges
from api.views import table_view
from api.web import writes
from api.web.page import Page, PageCall, caught_up, invalid_fields, redirect, render
from api.web.people import names_of
from api.web.table_form import COLORS, ICONS, VIEWS, Fields, wanted
from api.web.workspace_names import all_workspaces
from application.base import Outcome, Stale
from domain.values import merge_patch

REFUSALS = ("validation", "slug-taken", "workspace-deleted", "company-removed")
ROUNDS = 5  # how often others may be faster with something else

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/tables/{id}", dependencies=READ)
async def show_table(call: PageCall, id: TableId, query: Annotated[PastQuery, Query()]) -> Response:
    """Its settings; at a version or a moment that is over, only to be read."""
    if query.version is not None or query.as_of is not None:
        return await _then(call, id, query)
    table = await present(call, id)
    return await _settings(call, table, Fields.of(table))


@router.post("/tables/{id}", dependencies=WRITE)
async def save_table(call: PageCall, id: TableId) -> Response:
    """Record what a form changes; what others changed meanwhile is kept, or shown beside it."""
    table = await present(call, id)
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
        return await _refused(call, table, problem)
    notice = {"text": "saved-merged" if merged else "saved", "name": saved.aggregate.name}
    return redirect(f"/tables/{id}", notice)


@router.post("/tables/{id}/review", dependencies=WRITE)
async def review_table(call: PageCall, id: TableId) -> Response:
    """What a form would record, before it does."""
    table = await present(call, id)
    try:
        base = await _base(call, table)
        changes = writes.read(TableChanges, _chosen(call, wanted(call.given, base)))
        request = writes.request_of(call, "change", dry_run=True)
        outcome = await call.services.table_defs.change(id, request, changes)
    except Exception as error:
        problem = writes.refusal(error, *REFUSALS)
        return await _refused(call, table, problem)
    changed = difference(table, table_view(outcome.aggregate))
    return await render(
        call, "review.html", table=table, changes=changed, fields=call.given.json(),
        workspaces=await all_workspaces(call),
    )  # fmt: skip


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


async def present(call: PageCall, id: UUID) -> dict[str, Any]:
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


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
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
        keys = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]
        _leave_out(patch, keys[1:])
    return patch


def _leave_out(patch: dict[str, Any], keys: Sequence[str]) -> None:
    """Take this part out of a patch, and what is empty without it."""
    if len(keys) > 1 and isinstance(inner := patch.get(keys[0]), dict):
        _leave_out(inner, keys[1:])
    if keys and (len(keys) == 1 or patch.get(keys[0]) == {}):
        patch.pop(keys[0], None)


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
    others = {str(each.event.metadata.actor_id) for each in since}
    names = await names_of(call, {table["createdBy"], table["updatedBy"], *others})
    status = 409 if clashing else 200 if problem is None else 422
    return await render(
        call, "table.html", status,
        table=table, fields=fields, version=table["version"], past=None, problem=problem,
        once=new_id().hex,
        errors=invalid_fields(problem) if problem else {}, clashes=clashing,
        by=sorted(names[id] for id in others & names.keys()), names=names,
        workspaces=await all_workspaces(call), icons=ICONS, colors=COLORS, views=VIEWS,
        may_write="tables:write" in call.caller.scopes and not table["deletedAt"],
    )  # fmt: skip


async def _refused(call: PageCall, table: Mapping[str, Any], problem: ApiError) -> Response:
    """The fields as they were given, still on top of the version that their writer saw."""
    shown = {**table, "version": number(call, "version")}
    return await _settings(call, shown, Fields.given(call.given, table), problem)


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
    now = (await call.services.tables.several(company_id, [id])).get(id)
    names = await names_of(call, {table["createdBy"], table["updatedBy"]})
    return await render(
        call, "table.html", table=table, fields=Fields.of(table), version=row.version, past=row,
        problem=None, errors={}, clashes=(), by=(), workspaces=await all_workspaces(call),
        names=names, icons=ICONS, colors=COLORS, views=VIEWS, may_write=False,
        may_revert="tables:write" in call.caller.scopes and now and not row.deleted_at,
        last=now and json.loads(now.json)["version"],
    )  # fmt: skip
