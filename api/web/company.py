"""One's own company as a page: what it is called, and its settings."""

import json
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.companies import COMPANY, WRITE
from api.errors import ApiError
from api.tenancy_schemas import CompanyChange
from api.web import meanwhile, writes
from api.web.page import Page, PageCall, caught_up, invalid_fields, redirect, render
from api.web.people import names_of
from api.web.table import number
from application.base import Outcome, Stale
from domain.errors import NotFound

router = APIRouter(include_in_schema=False, route_class=Page)


@router.get("/company", dependencies=WRITE)
async def show_company(call: PageCall) -> Response:
    """The form of its name and settings."""
    about = await _present(call)
    return await _form(call, about, about["version"])


@router.post("/company", dependencies=WRITE)
async def save_company(call: PageCall) -> Response:
    """Record what the form changes; what others changed meanwhile is kept, or shown."""
    about, version = await _present(call), number(call, "version")
    given = {"name": call.given.get("name"), "requireIfMatch": "requireIfMatch" in call.given}
    wanted = meanwhile.differing(given, about) if version == about["version"] else given
    if not wanted:
        return redirect("/workspaces", {"text": "unchanged"})
    try:
        outcome = await meanwhile.merged(version, wanted, _values, _change(call))
    except Stale as stale:
        theirs = _values(stale.current)
        names = await names_of(call, [stale.current.updated_by])
        clash = {"by": names.get(str(stale.current.updated_by)), **theirs}
        return await _form(call, given, stale.current.version, 409, clash=clash)
    except Exception as error:
        problem = writes.refusal(error, "validation")
        return await _form(call, given, version, 422, problem=problem)
    return redirect("/workspaces", {"text": "saved", "name": outcome.aggregate.name})


async def company_values(call: PageCall) -> dict[str, Any] | None:
    """Name, settings and version of the caller's company, if it is registered."""
    try:
        row = await call.services.tenancy.company(call.caller.company_id)
    except NotFound:
        return None
    found = json.loads(row.json)
    return {"name": found["name"], "version": found["version"], **found["effectiveSettings"]}


async def _present(call: PageCall) -> dict[str, Any]:
    await caught_up(call, call.services.tenancy.progress)
    about = await company_values(call)
    if about is None:
        raise NotFound
    return about


def _values(company: Any) -> meanwhile.Values:
    view = COMPANY.view(company)
    return {"name": view["name"], **view["effectiveSettings"]}


def _change(call: PageCall) -> Any:
    """How some of its values are set, at a version."""

    async def change(values: meanwhile.Values, version: int) -> Outcome:
        patch: dict[str, Any] = {"name": values["name"]} if "name" in values else {}
        if "requireIfMatch" in values:
            patch["settings"] = {"requireIfMatch": values["requireIfMatch"]}
        changes = writes.read(CompanyChange, patch)
        request = writes.request_of(call, "change", version)
        companies = call.services.companies
        return await writes.write(
            call, request, lambda each: companies.change(each, changes), COMPANY
        )

    return change


async def _form(
    call: PageCall,
    about: meanwhile.Values,
    version: int,
    status: int = 200,
    problem: ApiError | None = None,
    clash: meanwhile.Values | None = None,
) -> Response:
    errors = invalid_fields(problem) if problem else {}
    return await render(
        call, "company.html", status,
        about=about, version=version, problem=problem, errors=errors, clash=clash,
    )  # fmt: skip
