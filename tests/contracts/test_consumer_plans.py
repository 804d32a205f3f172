"""What a reader asks is answered from a few rows, on 18 and on 15, however much others do.

The planner may know the tables or not; of a company it is made to believe that it is one of many.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection

from api.bootstrap import KEYSET_PLANS
from api.roles import API_ROLE, as_role
from application import event_feed
from application.consumers import delivery, handout, held, registry, standing
from application.consumers.consumer import Terms
from application.event_store.session import ACT_AS, companies
from tests.conftest import cloned
from tests.contracts.consuming import Company, connect
from tests.contracts.stores import connected, prepared
from tests.contracts.test_list_plans import explain, parts

OURS, OTHERS, SCAN = 40, 20_000, 10
# Many events of other companies, some of which have few tables.
FILL = """
INSERT INTO event_store.events (
       position, company_id, originator_id, originator_version, topic, state, salt, event_id,
       recorded_at)
SELECT (SELECT max(position) FROM event_store.events) + n, %(company_id)s,
       md5(%(company_id)s::text || n %% 50)::uuid, 1 + n / 50, 'TableDef.Renamed', '{}', '',
       gen_random_uuid(), %(moment)s + n * interval '1 ms'
  FROM generate_series(1, %(many)s) AS n
"""
QUERIES = {
    name: getattr(module, name)
    for module, names in (
        (delivery, ("FREE", "TAKE", "LEASE", "LEASED", "REFUSED", "HOLD")),
        (handout, ("KNOWN", "DUE", "HELD_EVENTS", "NEXT_EVENTS", "MOVE")),
        (standing, ("PARTITIONS", "LAG", "HEAD_AND_HELD")),
        (registry, ("PLACE", "HEAD", "LOWEST")),
        (held, ("WAITING",)),
        (event_feed, ("PAGE", "AT", "ONE")),
    )
    for name in names
}  # fmt: skip

OF_THEIR_OWN = {
    "HELD_EVENTS": {"after": 0},
    "WAITING": {"originator_id": UUID(int=0)},
}


@dataclass(frozen=True)
class Filled:
    """A database in which a company has few events, and others have many since."""

    url: str
    params: dict[str, Any]


async def few_and_many(url: str) -> Filled:
    """A consumer that has got some events and refused one, and what its queries ask for."""
    owner, api = await connect(url)
    async with owner, api:
        company = Company(owner, api)
        for number in range(OURS):
            await company.append(company.tables[number % 4])
        consumer = await company.define(Terms())
        refused = await company.fetch(OURS // 2)
        assert refused
        await company.nack(refused.lease, refused.rows[0][0], 3600)
        given = await company.fetch(OURS // 2)
        assert given
        for many in (OTHERS, OTHERS // 10):
            await owner.execute(FILL, {"company_id": uuid4(), "many": many, "moment": company.now})
    position, table, _, _, _, event_id = given.rows[0]
    return Filled(url, {
        "companies": companies(company.id), "company_id": company.id, "consumer_id": consumer.id,
        "id": consumer.id, "partitions": 1, "partition": 0, "topics": None, "of": None,
        "originator_id": None, "now": None, "lease": given.lease, "sequence": None,
        "position": position, "failed": position, "delivered": given.position, "event_id": event_id,
        "scanned": given.position, "after": OURS, "until": given.position, "limit": SCAN,
        "scan": SCAN, "counted": 100_000, "table": table, "owner": uuid4(), "seconds": 60,
        "error": "no", "moment": company.now,
    })  # fmt: skip


@pytest.fixture(scope="module", params=["18", "15"])
def filled(request: pytest.FixtureRequest) -> Iterator[Filled]:
    for url in cloned(request.getfixturevalue(f"postgres_{request.param}")):
        yield asyncio.run(few_and_many(url))


@pytest.fixture(scope="module", params=[False, True], ids=["unknown sizes", "analysed"])
def api(request: pytest.FixtureRequest, filled: Filled) -> Iterator[Connection[Any]]:
    """A connection as those that the API reads through; the planner may know the tables."""
    if request.param:
        with connected(filled.url) as owner:
            owner.execute("ANALYZE")
    with prepared(as_role(filled.url, API_ROLE, KEYSET_PLANS)) as connection:
        yield connection


@pytest.mark.parametrize("name", QUERIES)
def test_what_others_do_is_not_looked_at(api: Connection[Any], filled: Filled, name: str) -> None:
    params = filled.params | OF_THEIR_OWN.get(name, {})
    if name in ("HELD_EVENTS", "HOLD"):
        params["originator_id"] = params["table"]
    with api.transaction(force_rollback=True):
        api.execute(ACT_AS, (companies(params["company_id"]),))
        plan = explain(api, QUERIES[name], params)
    scans = [
        part for part in parts(plan) if "Relation Name" in part and "Scan" in part["Node Type"]
    ]
    for scan in scans:
        assert scan["Node Type"] in ("Index Scan", "Index Only Scan"), scan
        removed = scan.get("Rows Removed by Filter", 0)
        assert (scan["Actual Rows"] + removed) * scan["Actual Loops"] <= 2 * OURS, scan
