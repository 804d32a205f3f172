"""A demo company with a few tables and a key to try things with."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection

from api import keys
from api.bootstrap import API_ROLE, as_role
from api.database import Database
from api.ids import new_id
from api.keys import NewKey
from application.base import Request
from application.event_store.postgres import PostgresEventStore
from application.table_defs import TableDefs
from domain.base import Context
from domain.table_details import Details
from domain.values import Settings

COMPANY = UUID("019ab3f2-0000-7000-8000-000000000001")
KEY_FILE = "api-key"
WAS_HERE = "SELECT EXISTS (SELECT FROM event_store.events WHERE company_id = %s)"
TABLES = (
    Details(name="Customers", icon="👥", color="#1a73e8", description="Who buys from us."),
    Details(name="Orders", icon="📦", color="#e8710a", settings=Settings(defaultView="kanban")),
    Details(name="Ideas", icon="💡", color="#f9ab00", settings=Settings(enableForm=True)),
)


async def seed(database: Database, data_dir: Path) -> NewKey:
    """Make sure that the demo company and the key in the data folder exist; return the key.

    The company gets its tables once: what a person makes of them later is theirs.

    Raises:
        OSError: the data folder cannot be used.
    """
    async with await AsyncConnection.connect(database.admin_url, autocommit=True) as connection:
        key = _kept_key(data_dir) or _keep(data_dir)
        if not await _let_in(connection, key):
            key = _keep(data_dir)
            await _let_in(connection, key)
        row = await (await connection.execute(WAS_HERE, (COMPANY,))).fetchone()
    if row and not row[0]:
        await _create_tables(database.url)
    return key


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


async def _create_tables(database_url: str) -> None:
    store = PostgresEventStore(as_role(database_url, API_ROLE))
    table_defs = TableDefs(store)
    try:
        for number, details in enumerate(TABLES):
            await table_defs.create(Request(_context(number)), details)
    finally:
        await store.close()


def _context(number: int) -> Context:
    return Context(
        company_id=COMPANY,
        actor_id=COMPANY,
        actor_kind="system",
        occurred_at=datetime.now(UTC),
        new_id=new_id,
        request_id=f"demo-{number}",
        correlation_id="demo",
        command="create",
        reason="Demo data",
    )
