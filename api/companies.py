"""Companies over HTTP: one's own, and all of them for the platform."""

from typing import Annotated
from uuid import UUID, uuid5

from fastapi import APIRouter, Body, Header, Path, Query
from starlette.responses import Response

from api.answers import reads, writes
from api.endpoint import Call, Endpoint
from api.failures import BODY, CONDITIONAL
from api.ids import new_id
from api.reading import after, catch_up, page_answer
from api.schemas import ConditionalHeaders, OneQuery, ReadHeaders, WriteHeaders, WriteQuery
from api.security import requires
from api.tenancy_schemas import CompanyChange, NewCompany, PageQuery
from api.tenancy_views import Company, CompanyPage, CompanyRehearsal, company_view
from api.views import EXAMPLE_ID
from api.workspaces import shown
from api.writing import Noun, changed, conditional_request, created, write_request

READ = [requires("tables:read")]
WRITE = [requires("company:write")]
PLATFORM = [requires("companies:write")]
SHAPES = {"model": Company, "rehearsal": CompanyRehearsal}
COMPANY = Noun(
    "company",
    company_view,
    lambda company: f"/api/companies/{company.id}",
    lambda call: call.services.tenancy.progress,
)
CompanyId = Annotated[UUID, Path(description="The company.", examples=[EXAMPLE_ID])]

router = APIRouter(
    tags=["companies"],
    route_class=Endpoint,
    generate_unique_id_function=lambda route: route.name,
)


@router.get("/api/company", dependencies=READ, responses=reads(Company, "not-found"))
async def get_company(call: Call, headers: Annotated[ReadHeaders, Header()]) -> Response:
    """Read one's own company and its settings."""
    tenancy = call.services.tenancy
    await catch_up(call, tenancy.progress, headers)
    return shown(await tenancy.company(call.caller.company_id), "active", headers)


@router.patch("/api/company", dependencies=WRITE, openapi_extra={"x-merge-patch": True},
              responses=writes(200, *BODY, "not-found", *CONDITIONAL, "company-removed",
                               **SHAPES))  # fmt: skip
async def change_company(
    call: Call,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
    changes: Annotated[CompanyChange, Body()],
) -> Response:
    """Change the name or settings of one's own company; within seconds they hold everywhere."""
    request = await conditional_request(call, "change", query, headers)
    return changed(call, request, await call.services.companies.change(request, changes), COMPANY)


@router.post("/api/companies", status_code=201, dependencies=PLATFORM,
             responses=writes(201, *BODY, **SHAPES))  # fmt: skip
async def register_company(
    call: Call,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[WriteHeaders, Header()],
    new: Annotated[NewCompany, Body()],
) -> Response:
    """Register a company. The platform gets no key of it: the first is made on the command line."""
    key = headers.idempotency_key  # the company that the same request registered has the same id
    id = uuid5(call.caller.actor_id, key) if key else new_id()
    request = write_request(call, "register", query, headers, id)
    return created(call, request, await call.services.companies.register(request, new), COMPANY)


@router.get("/api/companies", dependencies=PLATFORM,
            responses=reads(CompanyPage, "invalid-cursor"))  # fmt: skip
async def list_companies(
    call: Call, query: Annotated[PageQuery, Query()], headers: Annotated[ReadHeaders, Header()]
) -> Response:
    """List all companies by name."""
    await catch_up(call, call.services.tenancy.progress, headers)
    wanted = ("companies", query.state)
    start = after(call, query.cursor, wanted)
    page = await call.services.tenancy.all_companies(query.state, start, query.limit)
    return page_answer(call, headers, page, wanted)


@router.get("/api/companies/{id}", dependencies=PLATFORM, responses=reads(Company, "not-found"))
async def get_one_company(
    call: Call,
    id: CompanyId,
    query: Annotated[OneQuery, Query()],
    headers: Annotated[ReadHeaders, Header()],
) -> Response:
    """Read one company."""
    await catch_up(call, call.services.tenancy.progress, headers)
    return shown(await call.services.tenancy.company(id), query.state, headers)


@router.patch("/api/companies/{id}", dependencies=PLATFORM, openapi_extra={"x-merge-patch": True},
              responses=writes(200, *BODY, "not-found", "version-mismatch", "company-removed",
                               **SHAPES))  # fmt: skip
async def change_one_company(
    call: Call,
    id: CompanyId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
    changes: Annotated[CompanyChange, Body()],
) -> Response:
    """Change the name or settings of a company."""
    request = write_request(call, "change", query, headers, id)
    return changed(call, request, await call.services.companies.change(request, changes), COMPANY)


@router.delete("/api/companies/{id}", status_code=204, dependencies=PLATFORM,
               responses=writes(204, "not-found", "version-mismatch", **SHAPES))  # fmt: skip
async def remove_company(
    call: Call,
    id: CompanyId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """Put a company aside: nobody of it gets in any more, and all that it has is deleted."""
    request = write_request(call, "remove", query, headers, id)
    return changed(call, request, await call.services.companies.remove(request), COMPANY, 204)


@router.post("/api/companies/{id}/restore", dependencies=PLATFORM,
             responses=writes(200, "not-found", "version-mismatch", **SHAPES))  # fmt: skip
async def restore_company(
    call: Call,
    id: CompanyId,
    query: Annotated[WriteQuery, Query()],
    headers: Annotated[ConditionalHeaders, Header()],
) -> Response:
    """Bring a company back, with its keys and what was deleted with it, and nothing else."""
    request = write_request(call, "restore", query, headers, id)
    return changed(call, request, await call.services.companies.restore(request), COMPANY)
