"""The form of a webhook: from its fields to what is asked for, and back to its fields."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from api.errors import ApiError
from api.ids import new_id
from api.web.event_filter import TYPES, chosen_table, chosen_types, named, offered_tables
from api.web.forms import Form
from api.web.page import PageCall, invalid_fields, render

REFUSALS = ("validation", "limit-reached", "feed-rewound", "idempotency-key-reused")
BLANK: Mapping[str, Any] = {
    "url": "", "description": "", "types": (), "table": "", "paused": False, "start": "head",
    "position": "",
}  # fmt: skip


def given(form: Form) -> Mapping[str, Any]:
    """What somebody made of the fields, right or wrong."""
    texts = {name: form.get(name) for name in ("url", "description", "table", "position")}
    start = form.get("start") or "head"
    return {**texts, "types": form.all("type"), "paused": "paused" in form, "start": start}


async def of(call: PageCall, webhook: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a webhook."""
    table = await named(call, webhook["tableId"])
    return {**BLANK, **webhook, "types": webhook["types"] or (), "table": table}


async def wanted(call: PageCall) -> dict[str, Any]:
    """What the fields say of any webhook, as the API has it."""
    form = call.given
    return {
        "url": form.get("url").strip(),
        "description": form.get("description").strip() or None,
        "types": chosen_types(form),
        "tableId": await chosen_table(call),
    }


def beginning(form: Form) -> dict[str, Any]:
    """What they say of a new one alone: where it begins, and whether it waits."""
    start = form.get("start") or "head"
    position = form.get("position").strip()
    return {"paused": "paused" in form, "start": position if start == "position" else start}


async def show(
    call: PageCall,
    fields: Mapping[str, Any],
    webhook: Mapping[str, Any] | None = None,
    problem: ApiError | None = None,
) -> Response:
    """The form, of a new webhook or of one that exists, with what is wrong beside its fields."""
    return await render(
        call, "webhook_form.html", 200 if problem is None else 422,
        fields=fields, webhook=webhook, problem=problem,
        errors=invalid_fields(problem) if problem else {}, kinds=TYPES,
        offered=await offered_tables(call),
        once=call.given.get("once") if problem else new_id().hex,
    )  # fmt: skip
