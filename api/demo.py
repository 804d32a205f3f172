"""A demo company with two workspaces, a few tables, and a key to try things with."""

import contextlib
import os
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection

from api import keys
from api.database import Database
from api.keys import NewKey
from api.operator import by_operator
from api.roles import API_ROLE, as_role
from api.sessions import CODE_MINUTES, STORE_CODE, new_code
from application.base import Request
from application.companies import Companies
from application.event_store.postgres import PostgresEventStore
from application.table_defs import TableDefs
from application.workspaces import Workspaces
from domain.company_details import CompanyDetails, WorkspaceDetails
from domain.table_details import Details
from domain.values import Settings

COMPANY = UUID("019ab3f2-0000-7000-8000-000000000001")
KEY_FILE = "api-key"
WAS_HERE = "SELECT EXISTS (SELECT FROM event_store.events WHERE company_id = %s)"
SALES, PRODUCT = (UUID(f"019ab3f2-0000-7000-8000-00000000001{n}") for n in (1, 2))
WORKSPACES = {SALES: "Sales", PRODUCT: "Product"}
TABLES = (
    Details(name="Customers", icon="users", color="#1a73e8", description="Who buys from us.",
            workspace_id=SALES),
    Details(name="Orders", icon="package", color="#e8710a", workspace_id=SALES,
            settings=Settings(defaultView="kanban")),
    Details(name="Ideas", icon="lightbulb", color="#f9ab00", workspace_id=PRODUCT,
            settings=Settings(enableForm=True)),
    Details(name="Contacts", icon="contact", color="#188038", description="Of the whole company."),
)  # fmt: skip


async def seed(database: Database, data_dir: Path) -> tuple[NewKey, str]:
    """Make sure that the demo company and the key in the data folder exist.

    Returns the key, and the code of a link that signs in with it once. The company gets its
    workspaces and tables once: what a person makes of them later is theirs.

    Raises:
        OSError: the data folder cannot be used.
    """
    async with await AsyncConnection.connect(database.admin_url, autocommit=True) as connection:
        key = _kept_key(data_dir) or _keep(data_dir)
        if not await _let_in(connection, key):
            key = _keep(data_dir)
            await _let_in(connection, key)
        code, code_hash = new_code()
        await connection.execute(STORE_CODE, (code_hash, key.id, CODE_MINUTES))
        row = await (await connection.execute(WAS_HERE, (COMPANY,))).fetchone()
    if row and not row[0]:
        await _fill(database.url)
    return key, code


def _kept_key(data_dir: Path) -> NewKey | None:
    """The key of the data folder, the same at each start."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return NewKey.parse((data_dir / KEY_FILE).read_text())
    return None


def _keep(data_dir: Path) -> NewKey:
    key = NewKey.make()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = data_dir / KEY_FILE
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{key}\n")
    return key


async def _let_in(connection: AsyncConnection, key: NewKey) -> bool:
    """Store the key unless it is known; False if it was revoked, or its secret is another."""
    await keys.store(connection, key, COMPANY, "admin", "demo")
    return await keys.admits(connection, key)


async def _fill(database_url: str) -> None:
    store = PostgresEventStore(as_role(database_url, API_ROLE))
    workspaces, table_defs = Workspaces(store), TableDefs(store)
    try:
        await Companies(store).register(_request(), CompanyDetails(name="Demo"))
        for id, name in WORKSPACES.items():
            await workspaces.put(id, _request(), WorkspaceDetails(name=name))
        for details in TABLES:
            await table_defs.create(_request(), details)
    finally:
        await store.close()


def _request() -> Request:
    return Request(by_operator(COMPANY, "create", "Demo data"))
