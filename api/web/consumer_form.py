"""The form of a consumer: from its fields to what is asked for, and back to its fields."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from api.errors import ApiError
from api.ids import new_id
from api.web.event_filter import TYPES, chosen_table, chosen_types, named, number, offered_tables
from api.web.forms import Form
from api.web.page import PageCall, invalid_fields, render

REFUSALS = ("validation", "limit-reached", "feed-rewound", "idempotency-key-reused")
NUMBERS = ("partitions", "leaseSeconds", "maxAttempts")
TEXTS = ("name", "table", "position", *NUMBERS)
BLANK: Mapping[str, Any] = {
    "name": "", "types": (), "table": "", "partitions": 1, "leaseSeconds": 60, "maxAttempts": 10,
    "start": "0", "position": "",
}  # fmt: skip


def given(form: Form) -> Mapping[str, Any]:
    """What somebody made of the fields, right or wrong."""
    texts = {name: form.get(name) for name in TEXTS}
    return {**texts, "types": form.all("type"), "start": form.get("start") or "0"}


async def of(call: PageCall, consumer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a consumer."""
    table = await named(call, consumer["tableId"])
    own = {name: value for name, value in consumer.items() if name in BLANK}
    return {**BLANK, **own, "types": consumer["types"] or (), "table": table, "position": ""}


async def wanted(call: PageCall) -> dict[str, Any]:
    """The terms that the fields say, as the API has them."""
    form = call.given
    start = form.get("start") or "0"
    return {
        "types": chosen_types(form),
        "tableId": await chosen_table(call),
        **{name: number(form.get(name).strip()) for name in NUMBERS},
        "start": form.get("position").strip() if start == "position" else start,
    }


async def show(
    call: PageCall,
    fields: Mapping[str, Any],
    consumer: Mapping[str, Any] | None = None,
    problem: ApiError | None = None,
) -> Response:
    """The form, of a new consumer or of one that exists, with what is wrong beside its fields."""
    return await render(
        call, "consumer_form.html", 200 if problem is None else 422,
        fields=fields, consumer=consumer, problem=problem,
        errors=invalid_fields(problem) if problem else {}, kinds=TYPES,
        offered=await offered_tables(call),
        once=call.given.get("once") if problem else new_id().hex,
    )  # fmt: skip
