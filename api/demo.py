"""A demo company with a few tables and a key to try things with."""

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
from domain.table_def import Details
from domain.values import Settings

COMPANY = UUID("019ab3f2-0000-7000-8000-000000000001")
KEY_FILE = "api-key"
TABLES = (
    Details(name="Customers", icon="👥", color="#1a73e8", description="Who buys from us."),
    Details(name="Orders", icon="📦", color="#e8710a", settings=Settings(defaultView="kanban")),
    Details(name="Ideas", icon="💡", color="#f9ab00", settings=Settings(enableForm=True)),
)


async def seed(database: Database, data_dir: Path) -> NewKey:
    """Make sure that the demo company, its tables and the key in the data folder exist."""
    key = _kept_key(data_dir)
    async with await AsyncConnection.connect(database.admin_url, autocommit=True) as connection:
        await keys.store(connection, key, COMPANY, "admin", "demo")
    await _create_tables(database.url)
    return key


def _kept_key(data_dir: Path) -> NewKey:
    """The key of the data folder, the same at each start."""
    path = data_dir / KEY_FILE
    try:
        return NewKey.parse(path.read_text())
    except (FileNotFoundError, ValueError):
        key = NewKey.make()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"{key}\n")
        return key


async def _create_tables(database_url: str) -> None:
    store = PostgresEventStore(as_role(database_url, API_ROLE))
    table_defs = TableDefs(store)
    try:
        if await store.free_slug(COMPANY, ["customers"]) is None:
            return
        for number, details in enumerate(TABLES):
            request = Request(_context(number))
            await table_defs.create(request, details)
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
