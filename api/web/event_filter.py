"""Which events a webhook or a consumer is for, as fields of a form: their types, and one table."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from api.event_schemas import TOPICS
from api.web.forms import Form
from api.web.page import PageCall, caught_up
from api.web.workspace_names import all_workspaces
from domain.containers import workspace_aggregate
from domain.errors import NotFound
from projections.table_def_queries import Filter

MOST = 200  # tables that are offered; any other can be typed
NOUNS = ("table-def", "workspace", "company")
TYPES: Mapping[str, Sequence[str]] = {
    noun: [name for name in TOPICS if name.split(".")[1] == noun] for noun in NOUNS
}


def chosen_types(form: Form) -> Sequence[str] | None:
    """The types that were ticked; None = all."""
    return list(form.all("type")) or None


async def chosen_table(call: PageCall) -> str | None:
    """The id of the table whose slug was typed; None = all. Whatever else it is, is kept."""
    text = call.given.get("table").strip()
    if text and _may_read(call):
        await caught_up(call, call.services.tables.progress)
        with contextlib.suppress(NotFound):
            id, _, _ = await call.services.tables.id_by_slug(call.caller.company_id, text)
            return str(id)
    return text or None


def number(text: str) -> int | str:
    """A whole number as JSON has it; whatever else it is, somebody else refuses it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else text


async def things(
    call: PageCall, ids: Iterable[str | UUID | None]
) -> Mapping[str, Mapping[str, Any]]:
    """Those of these tables and workspaces that there are, for whoever may read them."""
    wanted = {UUID(str(id)) for id in ids if id}
    if not wanted or not _may_read(call):
        return {}
    company_id = call.caller.company_id
    await caught_up(call, call.services.tables.progress)
    rows = await call.services.tables.several(company_id, list(wanted))
    found = {str(id): json.loads(row.json) for id, row in rows.items()}
    if len(found) < len(wanted):
        for id, each in (await all_workspaces(call)).items():
            found[str(workspace_aggregate(company_id, UUID(id)))] = each
        found[str(company_id)] = {"name": await call.services.tenancy.company_name(company_id)}
    return found


async def offered_tables(call: PageCall) -> Sequence[Mapping[str, Any]]:
    """The first tables by name, to choose one of."""
    if not _may_read(call):
        return []
    await caught_up(call, call.services.tables.progress)
    wanted = Filter(call.caller.company_id, sort="name")
    page = await call.services.tables.list(wanted, None, MOST)
    found: Sequence[Mapping[str, Any]] = json.loads(f"[{page.items}]")
    return found


async def named(call: PageCall, table_id: str | UUID | None) -> str:
    """What the field of a table shows for an id: its slug, if it has one."""
    tables = await things(call, [table_id])
    return str(tables.get(str(table_id), {}).get("slug") or table_id or "")


def _may_read(call: PageCall) -> bool:
    return "tables:read" in call.caller.scopes
