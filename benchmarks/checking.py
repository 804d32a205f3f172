"""Folding everything from zero and comparing: a log of many tables that changed a few times."""

import asyncio
import time

import psycopg

from api.read_models import READ_MODELS
from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.base import Request
from application.event_store.postgres import PostgresEventStore
from application.table_defs import TableDefs
from benchmarks.service import COMPANY, context
from domain.table_details import Changes, Details
from projections.check import check
from projections.rebuild import rebuild

TABLES = 100_000
SLUG = "the-model-of-all"
CHANGES = (
    {"name": "Orders of 2027"},
    {"settings": {"defaultView": "kanban", "grid": {"rows": 50}}},
    {"description": "What our customers ordered since the first day."},
    {"settings": {"enableForm": None, "grid": {"wide": True}}},
)
# As many tables as there are numbers, with the history of the one that is their model.
COPIES = """
WITH copy AS MATERIALIZED (
    SELECT n, gen_random_uuid() AS id FROM generate_series(1, %(count)s) AS n
), model AS MATERIALIZED (
    SELECT e.*, (SELECT max(position) FROM event_store.events) AS head,
           (SELECT max(originator_version) FROM event_store.events
             WHERE originator_id = %(model)s) AS events
      FROM event_store.events e WHERE originator_id = %(model)s
), copied AS (
    INSERT INTO event_store.events (
           position, company_id, originator_id, originator_version, topic, state, salt, event_id,
           recorded_at)
    SELECT head + (originator_version - 1) * %(count)s + n, company_id, copy.id,
           originator_version, topic,
           convert_to(replace(convert_from(state, 'UTF8'), %(slug)s, %(slug)s || '-' || n), 'UTF8'),
           salt, gen_random_uuid(), recorded_at
      FROM model, copy
), reserved AS (
    INSERT INTO event_store.slugs SELECT %(company)s, %(slug)s || '-' || n, id FROM copy
)
INSERT INTO event_store.memberships
SELECT copy.id, company_id, container_id, position
  FROM event_store.memberships, copy WHERE member_id = %(model)s
"""


async def fill(database: str, tables: int = TABLES) -> int:
    """A company with so many tables of five events each, and its read models; how many events."""
    store = PostgresEventStore(as_role(database, API_ROLE))
    table_defs = TableDefs(store)
    details = Details.model_validate(
        {"name": "Orders", "slug": SLUG, "color": "#1a73e8", "settings": {"enableForm": True}}
    )
    model = (await table_defs.create(Request(context(COMPANY)), details)).aggregate.id
    for fields in CHANGES:
        changes = Changes.model_validate(fields)
        await table_defs.change(model, Request(context(COMPANY)), changes)
    await store.close()
    with psycopg.connect(database, autocommit=True) as connection:
        params = {"model": model, "company": COMPANY, "slug": SLUG, "count": tables - 1}
        connection.execute(COPIES.encode(), params)
        connection.execute("VACUUM (ANALYZE) event_store.events")
    for model in READ_MODELS:
        events = await rebuild(as_role(database, PROJECTOR_ROLE), model)
    return events


def rate(database: str, processes: int = 0) -> float:
    """Events per second of one check, which must find nothing; 0 = a process each processor."""
    started = time.perf_counter()
    report = asyncio.run(check(as_role(database, PROJECTOR_ROLE), processes=processes))
    if report.differences:
        raise SystemExit("\n".join(report.differences))
    return report.events / (time.perf_counter() - started)
