"""What the `project` process does: keep read models and the log current, send, export.

It knows nothing of HTTP, so that it starts quickly.
"""

from api.ids import new_id
from api.pooled import opened_later, transacting
from api.read_models import READ_MODELS
from api.roles import PROJECTOR_ROLE, as_role
from api.settings import Settings
from api.webhook_client import outbound
from application.audit_log.exporter import Exporter
from application.audit_log.log import AuditLog
from application.cascade import Cascade
from application.event_store.postgres import PostgresEventStore
from application.webhooks.sender import Sender
from projections.base import Projection

SENDING = 8  # database connections of whoever sends webhooks
# What is asked for by id is looked up by id, and a page is a walk along an index from a key on,
# whatever the planner believed of a table's size when it first saw it, and goes on believing.
LOOKUP_PLANS = "-c enable_bitmapscan=off -c enable_seqscan=off"
KEYSET_PLANS = f"{LOOKUP_PLANS} -c enable_sort=off -c plan_cache_mode=force_generic_plan"


def followers(conninfo: str) -> tuple[Projection, ...]:
    """What the projector process keeps current, as its role."""
    store = PostgresEventStore(as_role(conninfo, PROJECTOR_ROLE, LOOKUP_PLANS))
    return (*READ_MODELS, Cascade(store, new_id))


async def send_webhooks(settings: Settings, database_url: str) -> None:
    """Send events to the endpoints of webhooks until cancelled, as the projector's role."""
    conninfo = as_role(database_url, PROJECTOR_ROLE)
    calling = outbound(private=settings.webhook_private_addresses)
    async with opened_later(conninfo, 1, SENDING) as pool, calling as opened:
        await Sender(conninfo, transacting(pool), opened.post).run()


async def make_exports(_: Settings, database_url: str) -> None:
    """Make the exports of logs that are asked for until cancelled, as the projector's role."""
    from api.edition import edition  # with the schemas of all events: not before it starts

    await Exporter(as_role(database_url, PROJECTOR_ROLE, KEYSET_PLANS), edition()).run()


async def keep_audit_log(settings: Settings, database_url: str) -> None:
    """Keep the tamper-evident log until cancelled, as the projector's role."""
    conninfo = as_role(database_url, PROJECTOR_ROLE, LOOKUP_PLANS)
    await AuditLog(conninfo, settings.audit_key_file).run()
