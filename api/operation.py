"""For whoever runs it: is it alive, ready and fast; and the pages by which it explains itself.

None of these needs credentials, and none shows a company's data.
"""

from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path
from fastapi.openapi.docs import get_swagger_ui_html
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from api.answers import found, text
from api.errors import ApiError
from api.failures import failures
from api.metrics import HEAD, LAG, PARKED, PROJECTED, REFUSED, WAITING
from api.problems import CATALOGUE
from api.read_models import PROJECTIONS, READ_MODELS
from api.views import Health
from api.web.page import plain
from application.errors import Fault
from projections.base import live_schema

LAG_QUERY = """
SELECT projection, position,
       event_store.head(),
       (SELECT count(*) FROM projections.parked WHERE parked.projection = positions.projection)
  FROM projections.positions
 WHERE projection = ANY(%s)
"""
AUDIT_LOG_QUERY = """
SELECT signed, event_store.head(), refused,
       coalesce(greatest(extract(epoch FROM clock_timestamp() - waits_since), 0), 0)::float8
  FROM audit_log.standing()
"""
SHOWN = {live_schema(projection) for projection in READ_MODELS}  # what answers are made from
LIVE = [live_schema(projection) for projection in PROJECTIONS]
FIGURES = 'dynamic_tables_projection_lag_events{projection="table_defs_v1"} 0.0'
AUDIT_LOG = "audit_log"
LAG_AT_START = 100  # events; as many may arrive while we look
LARGEST_LAG = 10_000  # events; beyond, lists are too old to be called ready
LONGEST_WAIT = 300.0  # seconds; an event whose head is not signed by then is not going to be

router = APIRouter(tags=["operation"], generate_unique_id_function=lambda route: route.name)


@router.get("/livez", responses=found(Health))
async def livez() -> Response:
    """The process runs."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    responses=found(Health) | failures("unavailable", "projection-behind", "internal"),
)
async def readyz(request: Request) -> Response:
    """The process can serve: the database answers, and the read models are not far behind.

    A process that has just started waits until each read model has caught up once: a new version of
    one starts empty, and the release before serves from the old one until then. It is `degraded`,
    and serves all the same, when tables are parked, the audit log is not signed any further, or the
    database takes no events: its disk may be full.
    """
    projections = await _projections(request)
    allowed = LARGEST_LAG if request.app.state.caught_up else LAG_AT_START
    shown = [p for p in projections if p["projection"] in SHOWN]
    behind = [p["projection"] for p in shown if p["lag"] > allowed]
    if behind:
        detail = f"Far behind: {', '.join(behind)}."
        raise ApiError("projection-behind", detail, projections=projections)
    request.app.state.caught_up = True
    log = await _audit_log(request)
    is_log_behind = log["refused"] > 0 or log["waitingSeconds"] > LONGEST_WAIT
    store = {"isStoring": request.app.state.services.store.is_storing}
    is_well = not is_log_behind and store["isStoring"] and not any(p["parked"] for p in projections)
    return JSONResponse(
        {
            "status": "ok" if is_well else "degraded",
            "projections": projections,
            "auditLog": log,
            "eventStore": store,
        }
    )


@router.get("/metrics", response_class=PlainTextResponse, responses=text("text/plain", FIGURES))
async def metrics(request: Request) -> Response:
    """Figures for Prometheus, of this process, the read models and the audit log.

    With several workers each answer is of the one process that the request came to; the others
    are the same in all of them.
    """
    try:
        await _projections(request)
        await _audit_log(request)
    except Fault:
        LAG.clear()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/problems/{code}",
    response_class=HTMLResponse,
    responses=text("text/html", "<!doctype html><h1>Not found</h1>") | failures("not-found"),
)
async def problem_page(
    request: Request,
    code: Annotated[str, Path(description="The code of a problem.", examples=["slug-taken"])],
) -> Response:
    """What a problem means and what to do about it."""
    problem = CATALOGUE.get(code)
    if problem is None:
        raise HTTPException(404)
    return plain(request, "problem_kind.html", kind=problem)


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """The OpenAPI document to look through and try out, without internet access."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Dynamic Tables",
        swagger_js_url="/docs/static/swagger-ui-bundle.js",
        swagger_css_url="/docs/static/swagger-ui.css",
        swagger_favicon_url="/docs/static/favicon.png",
    )


def mount_docs(app: FastAPI) -> None:
    """Serve Swagger UI's own files from the package that brings them."""
    directory = str(files("fastapi_offline").joinpath("static"))
    app.mount("/docs/static", StaticFiles(directory=directory), name="docs")


async def _projections(request: Request) -> list[dict[str, Any]]:
    rows = await request.app.state.services.session.fetch(LAG_QUERY, (LIVE,))
    for name, position, head, parked in rows:
        HEAD.set(head)
        PROJECTED.labels(name).set(position)
        LAG.labels(name).set(head - position)
        PARKED.labels(name).set(parked)
    return [
        {"projection": name, "position": str(position), "lag": head - position, "parked": parked}
        for name, position, head, parked in rows
    ]


async def _audit_log(request: Request) -> dict[str, Any]:
    [row] = await request.app.state.services.session.fetch(AUDIT_LOG_QUERY)
    position, head, refused, waiting = row
    PROJECTED.labels(AUDIT_LOG).set(position)
    LAG.labels(AUDIT_LOG).set(head - position)
    WAITING.set(waiting)
    REFUSED.set(refused)
    return {
        "position": str(position), "lag": head - position, "refused": refused,
        "waitingSeconds": round(waiting, 3),
    }  # fmt: skip
