"""What an auditor takes away, as pages: exports of the log, and its signed checkpoint."""

from datetime import date
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import audit_exports
from api.audit_exports import EXPORT, ExportId
from api.errors import ApiError, invalid
from api.export_schemas import NewExport, export_view
from api.history import AUDIT
from api.ids import new_id
from api.orders import order
from api.problems import CATALOGUE
from api.schemas import KeyHeaders, WriteQuery
from api.web import writes
from api.web.history import beginning, ending
from api.web.page import Page, PageCall, invalid_fields, language_of, redirect, render
from api.web.people import names_of
from application.audit_log.heads import Head, NothingSigned, SigningRefused, sound
from application.feed import rfc3339

EXPORTS = "/history/exports"
AT_ONCE = WriteQuery.model_construct(dry_run=False)

router = APIRouter(include_in_schema=False, route_class=Page)


class Days(BaseModel):
    """Both days, of the reader's zone, are part of what is exported."""

    model_config = ConfigDict(extra="ignore")

    from_: date | None = Field(None, alias="from")
    to: date | None = None
    format: Literal["zip", "csv"] = "zip"


@router.get("/history/exports", dependencies=EXPORT)
async def show_exports(call: PageCall) -> Response:
    """The exports that there are, and the form of a new one."""
    return await _exports(call, {**call.query_params})


@router.post("/history/exports", dependencies=EXPORT)
async def ask_for_export(call: PageCall) -> Response:
    """Have an export made; the page then shows how far it is."""
    given = {
        name: call.given.get(name) for name in ("from", "to", "format") if call.given.get(name)
    }
    try:
        new = _new(call, writes.read(Days, given))
        once = {"Idempotency-Key": call.given.get("once")} if call.given.get("once") else {}
        ordered = order(call, AT_ONCE, writes.read(KeyHeaders, once))
        await audit_exports.ask(call, ordered, new)
    except Exception as error:
        return await _exports(call, given, writes.refusal(error, "validation", "limit-reached"))
    return redirect(EXPORTS)


@router.post("/history/exports/{id}/delete", dependencies=EXPORT)
async def delete_export(call: PageCall, id: ExportId) -> Response:
    """Forget an export."""
    await audit_exports.forget(call, order(call, AT_ONCE, KeyHeaders.model_construct()), id)
    return redirect(EXPORTS)


def _new(call: PageCall, days: Days) -> NewExport:
    """What is to be exported.

    Raises:
        ApiError: `validation`.
    """
    if days.from_ and days.to and days.from_ > days.to:
        fault = {"in": "body", "code": "out-of-order", "detail": "must not be before from"}
        raise invalid([{"pointer": "/to", **fault}])
    zone = language_of(call).tz
    begin = days.from_ and rfc3339(beginning(days.from_, zone))
    end = days.to and rfc3339(ending(days.to, zone))
    return writes.read(NewExport, {"from": begin, "to": end, "format": days.format})


async def _exports(
    call: PageCall, given: dict[str, str], problem: ApiError | None = None
) -> Response:
    made = await audit_exports.every(call)
    names = await names_of(call, {each.requested_by for each in made})
    return await render(
        call, "exports.html", CATALOGUE[problem.code].status if problem else 200,
        exports=[{**export_view(each), "by": names.get(str(each.requested_by))} for each in made],
        given={"from": "", "to": "", "format": "zip"} | given, problem=problem,
        errors=invalid_fields(problem) if problem else {}, once=new_id().hex,
        most=audit_exports.MOST,
    )  # fmt: skip


@router.get("/history/checkpoint", dependencies=AUDIT)
async def show_checkpoint(call: PageCall) -> Response:
    """The last signed head of the log, to be kept elsewhere, and how to verify with it."""
    company_id = call.caller.company_id
    head: Head | None = None
    refused = False
    try:
        head = await call.services.transact(company_id, lambda each: sound(each, company_id))
    except NothingSigned:
        pass
    except SigningRefused as error:
        head, refused = error.head, True
    return await render(call, "checkpoint.html", head=head, refused=refused)
