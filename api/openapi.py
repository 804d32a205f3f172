"""The OpenAPI document, complete: what FastAPI finds out by itself, and the rest."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import audit_views, consumer_views, export_schemas, tenancy_views, webhook_views
from api.answer_headers import COMMON
from api.consumer_schemas import Acknowledgement, ConsumerTerms, Fetch, Refusal, Seek
from api.contracts import SchemaList
from api.event_schemas import Event, EventList
from api.failures import JSON, MERGE_PATCH, REF, Problem
from api.history_views import DiffPage, HistoryPage, TableDiff
from api.reverting import Reversion
from api.scopes import COOKIE
from api.table_schemas import CopyOptions, NewTable, PurgeOptions, TableChanges
from api.tenancy_schemas import (
    CompanyChange,
    NewApiKey,
    NewCompany,
    NewWorkspace,
    Rotation,
    WorkspaceChange,
)
from api.views import Health, Rehearsal, Suggestion, Table, TablePage
from api.webhook_schemas import NewWebhook, ReplayRange, SecretRotation, WebhookChange
from domain.values import SETTINGS_KEYS

_SHOWN = (
    Table, TablePage, Rehearsal, Suggestion, NewTable, TableChanges, CopyOptions, Health,
    NewWorkspace, WorkspaceChange, NewCompany, CompanyChange, NewApiKey, Rotation,
    *tenancy_views.SHOWN, Event, EventList, SchemaList, *consumer_views.SHOWN,
    *webhook_views.SHOWN, NewWebhook, WebhookChange, SecretRotation, ReplayRange,
    ConsumerTerms, Fetch, Acknowledgement, Refusal, Seek, Reversion, PurgeOptions,
    *audit_views.SHOWN, *export_schemas.SHOWN, HistoryPage, TableDiff, DiffPage,
)  # fmt: skip
SESSION = {
    "type": "apiKey", "in": "cookie", "name": COOKIE,
    "description": "A browser that signed in at /sign-in. Every write also needs the header"
    " `X-CSRF-Token`, whose value `GET /api/me` tells.",
}  # fmt: skip
TRACE = [
    {
        "name": "X-Request-Id", "in": "header", "required": False, "example": "5f0c9b1e",
        "description": "An id of the caller's, echoed and stored; anything else gets a new one.",
        "schema": {"type": "string"},
    },
    {
        "name": "traceparent", "in": "header", "required": False,
        "example": COMMON["traceparent"]["example"],
        "description": "W3C trace context, echoed and stored; ignored when it is not valid.",
        "schema": {"type": "string"},
    },
]  # fmt: skip


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with what FastAPI cannot be told route by route."""
    whole = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = whole["components"]["schemas"]
    _, problem = models_json_schema([(Problem, "validation")], ref_template=REF)
    schemas |= problem["$defs"]
    schemas["Settings"] |= {
        "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,63}$"},
        "maxProperties": SETTINGS_KEYS,
    }
    for changes in ("TableChanges", "WorkspaceChange", "CompanyChange", "WebhookChange"):
        for field in schemas[changes]["properties"].values():
            field.pop("default", None)  # absent means: keep what is there
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for model in _SHOWN:
        schemas[model.__name__]["examples"] = _examples(model)
    whole["components"]["securitySchemes"]["session"] = SESSION
    for path in whole["paths"].values():
        for operation in path.values():
            _complete(operation)
    return whole


def _examples(model: type[BaseModel]) -> list[Any]:
    """A model's examples; FastAPI's encoder would drop what is null in them."""
    extra: Any = model.model_config["json_schema_extra"]
    return list(extra["examples"])


def _complete(operation: dict[str, Any]) -> None:
    parameters = [_tidied(parameter) for parameter in operation.get("parameters", [])]
    operation["parameters"] = [*parameters, *(TRACE if "security" in operation else [])]
    if "security" in operation:
        [[scopes]] = [list(each.values()) for each in operation["security"]]
        operation["security"].append({"session": scopes})
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]
    if operation.pop("x-merge-patch", False):
        content = operation["requestBody"]["content"]
        content[MERGE_PATCH] = content[JSON]
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        for media_type in part.get("content", {}).values():
            _add_examples(media_type)


def _tidied(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter as it is on the wire, where nothing is ever null."""
    schema = {k: v for k, v in parameter["schema"].items() if k not in ("title", "description")}
    choices = [choice for choice in schema.pop("anyOf", []) if choice != {"type": "null"}]
    examples = schema.pop("examples", None)
    if examples:
        parameter["example"] = examples[0]
    parameter["schema"] = {**choices[0], **schema} if len(choices) == 1 else schema
    if len(choices) > 1:
        parameter["schema"]["anyOf"] = choices
    return parameter


def _add_examples(media_type: dict[str, Any]) -> None:
    schema = media_type.get("schema", {})
    shown = {
        model.__name__: {"value": _examples(model)[0]}
        for model in _SHOWN
        if f'/{model.__name__}"' in str(schema).replace("'", '"')
    }
    if shown:
        media_type.setdefault("examples", shown)
