"""What a route asks for of whoever calls it, as the OpenAPI document says it."""

from fastapi import Security
from fastapi.params import Security as SecurityParam
from fastapi.security import HTTPBearer

from api.scopes import Scope

bearer = HTTPBearer(
    bearerFormat="dtk_<id>_<secret> or JWT",
    scheme_name="bearer",
    description="`Authorization: Bearer …` with an API key (`dtk_…`), or a JWT of the identity"
    " provider that this installation trusts.",
    auto_error=False,
)


def requires(*scopes: Scope) -> SecurityParam:
    """The dependency by which a route declares the scopes that it needs; none = just anybody."""
    security: SecurityParam = Security(bearer, scopes=list(scopes))
    return security
