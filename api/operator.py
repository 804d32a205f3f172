"""What whoever runs the installation does with companies, without being asked who they are."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pydantic
from psycopg import AsyncConnection

from api import keys
from api.database import Database
from api.ids import new_id
from api.keys import NewKey
from api.roles import API_ROLE, as_role
from application.base import Request
from application.companies import Companies
from application.event_store.postgres import PostgresEventStore
from domain.base import Context
from domain.company_details import CompanyDetails
from projections.tenancy_queries import SCHEMA

LIST = f"SELECT id, name, removed_at FROM {SCHEMA}.companies ORDER BY name_folded, id"  # noqa: S608


class InvalidName(Exception):
    """This is no name for a company: 1 to 255 characters on one line."""

    def __str__(self) -> str:
        return self.__doc__ or ""


async def register(found: Database, name: str) -> tuple[UUID, NewKey]:
    """Register a company; its id, and the first key of an admin.

    Raises:
        InvalidName, Fault, psycopg.Error.
    """
    try:
        details = CompanyDetails(name=name)
    except pydantic.ValidationError:
        raise InvalidName from None
    id, key = new_id(), NewKey.make()
    store = PostgresEventStore(as_role(found.url, API_ROLE))
    try:
        await Companies(store).register(Request(by_operator(id, "register")), details)
    finally:
        await store.close()
    async with await AsyncConnection.connect(found.admin_url, autocommit=True) as connection:
        await keys.store(connection, key, id, "admin", "First key")
    return id, key


async def listed(connection: AsyncConnection) -> Sequence[Any]:
    """Id, name and moment of removal of each company, by name."""
    return await (await connection.execute(LIST)).fetchall()


def by_operator(company_id: UUID, command: str, reason: str | None = None) -> Context:
    """Whoever runs the installation does something for a company now."""
    request = new_id()
    return Context(
        company_id=company_id,
        actor_id=company_id,
        actor_kind="system",
        occurred_at=datetime.now(UTC),
        new_id=new_id,
        request_id=request.hex,
        correlation_id=request.hex,
        command=command,
        reason=reason,
    )
