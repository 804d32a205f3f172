"""The composition root: what one API process is made of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from api.auth import Authenticator, Guests
from api.background import KEYSET_PLANS, LOOKUP_PLANS
from api.checkpoints import Checkpoints
from api.cursor import CursorSigner
from api.directory import Directory
from api.event_hub import EventHub
from api.guests import ProviderGuests
from api.history_reads import HistoryReads
from api.key_ring import KeyRing
from api.known_keys import ApiKeys
from api.pooled import fetching, opened_later, transacting
from api.progress import Progress, Watch
from api.rate_limit import RateLimit
from api.roles import API_ROLE, as_role
from api.sessions import Sessions
from api.settings import Settings
from api.table_reads import TableReads
from api.tenancy_reads import TenancyReads
from api.tokens import token_verifier
from api.webhook_client import Outbound, outbound
from application.companies import Companies
from application.event_feed import EventFeed
from application.event_store.postgres import PostgresEventStore
from application.event_store.session import Session, Transact
from application.known import Known
from application.table_defs import TableDefs
from application.workspaces import Workspaces
from projections.history_queries import SCHEMA as HISTORY
from projections.table_def_queries import SCHEMA
from projections.tenancy_queries import SCHEMA as TENANCY

FAILURES_AT_ONCE = 30  # credentials that an address may get wrong in a row
SENDING = 8  # database connections of whoever sends webhooks
SECRETS = "SELECT name, value FROM access.secrets"
# What is looked up by its key has one way to it, whatever the key: it is planned once.
POINT_PLANS = f"{LOOKUP_PLANS} -c plan_cache_mode=force_generic_plan"


@dataclass(frozen=True)
class Services:
    """What the endpoints use."""

    store: PostgresEventStore
    table_defs: TableDefs
    workspaces: Workspaces
    companies: Companies
    keys: KeyRing
    tables: TableReads
    history: HistoryReads
    tenancy: TenancyReads
    directory: Directory
    feed: EventFeed
    hub: EventHub
    checkpoints: Checkpoints
    transact: Transact
    outbound: Outbound
    authenticator: Authenticator
    sessions: Sessions
    cursors: CursorSigner
    session: Session


@contextlib.asynccontextmanager
async def services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """Open what an API process needs, and close it afterwards."""
    conninfo = as_role(database_url, API_ROLE, LOOKUP_PLANS)
    store = PostgresEventStore(conninfo)
    session = Session(as_role(database_url, API_ROLE, POINT_PLANS))
    # When a key was used last may be lost in a crash; authentication need not wait for the disk.
    access = Session(as_role(database_url, API_ROLE, f"{LOOKUP_PLANS} -c synchronous_commit=off"))
    by_keyset, most = as_role(database_url, API_ROLE, KEYSET_PLANS), settings.read_connections
    pool, following = opened_later(by_keyset, 1, most), opened_later(by_keyset, 0, most)
    secrets: dict[str, bytes] = dict(await session.fetch(SECRETS))
    progress = {schema: Progress() for schema in (SCHEMA, TENANCY, HISTORY)}
    sessions = Sessions(access, secrets["session"], settings.session_hours)
    known = Known()
    companies, directory = Companies(store, known), Directory(session)
    events = Session(conninfo)
    hub, checkpoints = EventHub(conninfo, events), Checkpoints(session)
    calling = outbound(private=settings.webhook_private_addresses)
    async with pool, following, calling as opened_outbound:
        running = (Watch(conninfo, progress), hub, checkpoints)
        tasks = [asyncio.create_task(each.run()) for each in running]
        try:
            yield Services(
                store=store,
                table_defs=TableDefs(store, known),
                workspaces=Workspaces(store, known),
                companies=companies,
                keys=KeyRing(session),
                tables=TableReads(session, pool, progress[SCHEMA]),
                history=HistoryReads(pool, progress[HISTORY]),
                tenancy=TenancyReads(session, pool, progress[TENANCY]),
                directory=directory,
                feed=EventFeed(fetching(pool)),
                hub=hub,
                checkpoints=checkpoints,
                transact=transacting(following),
                outbound=opened_outbound,
                authenticator=Authenticator(
                    ApiKeys(access),
                    sessions,
                    _guests(settings, access, companies, directory, progress[TENANCY]),
                    RateLimit(settings.failed_logins_per_minute / 60, FAILURES_AT_ONCE),
                    RateLimit(settings.requests_per_second, settings.requests_at_once),
                ),
                sessions=sessions,
                cursors=CursorSigner(secrets["cursor"]),
                session=session,
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for part in (store, session, access, events):
                await part.close()


def _guests(
    settings: Settings,
    session: Session,
    companies: Companies,
    directory: Directory,
    progress: Progress,
) -> Guests | None:
    verifier = token_verifier(settings)
    if verifier is None:
        return None
    register = settings.jwt_register_companies
    return ProviderGuests(verifier, session, companies, directory, progress, register)
