"""The composition root: what one API process is made of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from api.auth import ApiKeys, Authenticator
from api.cursor import CursorSigner
from api.progress import Progress
from api.settings import Settings
from api.table_reads import TableReads
from application.event_store.postgres import PostgresEventStore
from application.event_store.session import Session
from application.table_defs import TableDefs
from projections.table_def_queries import SCHEMA

API_ROLE = "dynamic_tables_api"
PROJECTOR_ROLE = "dynamic_tables_projector"
CURSOR_KEY = "SELECT value FROM access.secrets WHERE name = 'cursor'"


@dataclass(frozen=True)
class Services:
    """What the endpoints use."""

    table_defs: TableDefs
    tables: TableReads
    authenticator: Authenticator
    progress: Progress
    cursors: CursorSigner
    session: Session


# A page is a walk along an index from a key on, whatever the planner believes of the table's size.
KEYSET_PLANS = (
    "-c enable_bitmapscan=off -c enable_seqscan=off -c enable_sort=off"
    " -c plan_cache_mode=force_generic_plan"
)


def as_role(database_url: str, role: str, options: str = "") -> str:
    """A connection string whose sessions run as a role that can do no more than it needs."""
    given = conninfo_to_dict(database_url)
    options = (
        f"{options} {given.get('options') or ''} -c role={role} -c timezone=UTC"
        # Our queries name their schemas: nobody who may create one can slip in an operator.
        " -c search_path=pg_catalog"
        " -c lock_timeout=2s -c statement_timeout=10s -c idle_in_transaction_session_timeout=60s"
        " -c jit=off -c default_transaction_isolation=read\\ committed"
    )
    return make_conninfo(
        database_url, options=options.strip(), application_name=role, tcp_user_timeout=10_000
    )


@contextlib.asynccontextmanager
async def services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """Open what an API process needs, and close it afterwards."""
    conninfo = as_role(database_url, API_ROLE)
    store = PostgresEventStore(conninfo)
    session = Session(conninfo)
    # When a key was used last may be lost in a crash; authentication need not wait for the disk.
    keys = Session(as_role(database_url, API_ROLE, "-c synchronous_commit=off"))
    progress = Progress(conninfo, SCHEMA)
    pool = AsyncConnectionPool(
        as_role(database_url, API_ROLE, KEYSET_PLANS),
        min_size=1,
        max_size=settings.read_connections,
        max_waiting=500,
        timeout=2,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 0, "connect_timeout": 2},
    )
    secret = (await session.fetch(CURSOR_KEY))[0][0]
    async with pool:
        follower = asyncio.create_task(progress.follow())
        try:
            yield Services(
                table_defs=TableDefs(store),
                tables=TableReads(session, pool),
                authenticator=Authenticator(ApiKeys(keys)),
                progress=progress,
                cursors=CursorSigner(secret),
                session=session,
            )
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            for part in (store, session, keys):
                await part.close()
