"""What may be asked for: scopes, and the roles that are sets of them."""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

Scope = Literal[
    "tables:read", "tables:write", "tables:purge", "workspaces:write", "company:write",
    "people:write", "keys:write", "events:read", "consumers:write", "webhooks:write",
    "audit:read", "audit:export", "companies:write",
]  # fmt: skip
Role = Literal["viewer", "editor", "integrator", "auditor", "admin", "platform"]
CompanyRole = Literal["viewer", "editor", "integrator", "auditor", "admin"]

PLATFORM_SCOPES = frozenset({"companies:write"})
COMPANY_SCOPES = frozenset(get_args(Scope)) - PLATFORM_SCOPES
ROLES: Mapping[str, frozenset[str]] = {
    "viewer": frozenset({"tables:read"}),
    "editor": frozenset({"tables:read", "tables:write"}),
    "integrator": frozenset({"tables:read", "events:read", "consumers:write", "webhooks:write"}),
    "auditor": frozenset({"tables:read", "events:read", "audit:read", "audit:export"}),
    "admin": COMPANY_SCOPES,
    "platform": PLATFORM_SCOPES,
}
COOKIE = "dynamic_tables_session"


def granted(entries: Iterable[str]) -> frozenset[str]:
    """The scopes of a company that these names of roles and scopes mean; others mean nothing."""
    scopes = set[str]()
    for entry in entries:
        scopes |= ROLES.get(entry, frozenset({entry}))
    return COMPANY_SCOPES & scopes
