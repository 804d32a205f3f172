"""The AsyncAPI document: every way in which what happens reaches others."""

from typing import Any

from api.asyncapi_channels import SERVERS, channels, operations
from api.asyncapi_messages import TRAITS, cloud_events, items, schemas
from api.scopes import COOKIE
from api.security import bearer

VERSION = "3.0.0"
DESCRIPTION = """
Everything that happens to the tables, workspaces and settings of a company, in one order. Each
event comes at least once, with an id to drop repeats by; those of one table come in the order of
their versions. Fields and types may be added: ignore what you do not know. An erased event has
`"data": null`.
"""
SECURITY = {
    "bearer": bearer.model.model_dump(mode="json", by_alias=True, exclude_none=True),
    "session": {
        "type": "httpApiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A browser that signed in at /sign-in.",
    },
    "signature": {
        "type": "httpApiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks 1.0: signed with the secret of the webhook (`whsec_…`).",
    },
}


def document(version: str) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of this version of the service."""
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Dynamic Tables",
            "version": version,
            "description": " ".join(DESCRIPTION.split()),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": SERVERS,
        "channels": channels(),
        "operations": operations(),
        "components": {
            "schemas": schemas(),
            "messages": items() | cloud_events(suffix=".cloudevent"),
            "messageTraits": TRAITS,
            "securitySchemes": SECURITY,
        },
    }
