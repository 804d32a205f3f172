"""Were a query to forget whose rows it asks for, row-level security would still hold.

Each query of the API is robbed of its conditions on the company and asked for what another company
has, in the name of ours.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

import pytest
from psycopg import Connection

from api import directory, key_ring, table_reads, tenancy_reads
from api.bootstrap import KEYSET_PLANS
from api.directory import PEOPLE
from api.key_ring import KEYS
from api.roles import API_ROLE, as_role
from application.consumers import consumer
from application.event_store import postgres
from application.event_store.session import ACT_AS, companies, scoped
from application.webhooks import deliveries, endpoints
from domain.containers import workspace_aggregate
from projections.keyset import Listing
from projections.table_def_queries import Filter, Sort, by_id_params, list_params
from projections.tenancy_queries import COMPANIES, WORKSPACES
from tests.contracts.stores import prepared
from tests.contracts.tenants import REQUEST, WORKSPACE, Tenant, Tenants

OF_A_COMPANY = re.compile(r"(\w+\.)?company_id = (%\(company_id\)s|ANY\(%\(company_ids\)s\))")
A_COMPANY = re.compile(r"(\w+\.)?\bid = (%\(id\)s|ANY\(%\(company_ids\)s\))")
FIRST = UUID(int=0)

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Query:
    """One query of the API: how it is asked for what a company has, and when that shows."""

    text: str
    params: Callable[[Tenant], Params]
    shows: Callable[[Tenant, list[Any]], bool] = lambda tenant, rows: any(
        mark in str(rows) for mark in tenant.marks
    )
    condition: re.Pattern[str] = OF_A_COMPANY

    @property
    def forgetful(self) -> str:
        """The same without any condition on the company."""
        text, removed = self.condition.subn("true", self.text)
        assert removed, self.text
        return text


def page(listing: Listing) -> list[Query]:
    """The pages of a list, in each of its orders."""
    return [
        Query(scoped(text), lambda _, sort=sort: listing.params(sort, "all", None, 100))  # type: ignore[misc]
        for sort, text in listing.queries.items()
    ]


def table_page(sort: Sort) -> Query:
    return Query(
        table_reads.LIST[sort], lambda t: list_params(Filter(t.id, "all", sort), None, 100)
    )


QUERIES = {
    "LOAD": Query(postgres.LOAD, lambda t: {"ids": [t.table], "company_ids": [t.id]}),
    "RECALL": Query(
        postgres.RECALL,
        lambda _: {"key": REQUEST},
        lambda t, rows: any(row[1] == t.table for row in rows),
    ),
    "FREE_SLUG": Query(
        postgres.FREE_SLUG, lambda t: {"slugs": [t.slug]}, lambda _, rows: rows == []
    ),
    "MEMBERS": Query(
        postgres.MEMBERS,
        lambda t: {
            "container_id": workspace_aggregate(t.id, WORKSPACE), "before": 2**60,
            "after": FIRST, "limit": 9, "because": None,
        },
    ),
    "BY_ID": Query(table_reads.BY_ID, lambda t: by_id_params([t.id], [t.table])),
    "ID_BY_SLUG": Query(table_reads.ID_BY_SLUG, lambda t: {"slug": t.slug}),
    "ID_BY_SLUG former": Query(table_reads.ID_BY_SLUG, lambda t: {"slug": f"old-{t.name.lower()}"}),
    "IS_PURGED": Query(
        table_reads.IS_PURGED, lambda t: {"id": t.purged}, lambda _, rows: rows != []
    ),
    "COUNT": Query(
        table_reads.COUNT,
        lambda t: Filter(t.id).params(),
        lambda t, rows: rows == [(t.tables,)],
    ),
    "WORKSPACE": Query(tenancy_reads.WORKSPACE, lambda _: {"id": WORKSPACE}),
    "COMPANY": Query(tenancy_reads.COMPANY, lambda t: {"id": t.id}, condition=A_COMPANY),
    "NAME": Query(tenancy_reads.NAME, lambda t: {"id": t.id}, condition=A_COMPANY),
    "SETTINGS": Query(
        tenancy_reads.SETTINGS, lambda t: {"company_ids": [t.id]}, condition=A_COMPANY
    ),
    **{f"LIST {sort}": table_page(sort) for sort in get_args(Sort)},
    **{
        f"{listing.source} {number}": query
        for listing in (WORKSPACES, KEYS, PEOPLE)
        for number, query in enumerate(page(listing))
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=["", KEYSET_PLANS], ids=["point reads", "lists"])
def api(request: pytest.FixtureRequest, tenants: Tenants) -> Iterator[Connection[Any]]:
    """A connection as the API has it, for either kind of reads."""
    with prepared(as_role(tenants.url, API_ROLE, request.param)) as connection:
        yield connection


def ask(connection: Connection[Any], text: str, params: Params, named: UUID) -> list[Any]:
    """The rows of a query in the name of a company."""
    return connection.execute(text.encode(), {**params, "companies": companies(named)}).fetchall()


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_that_forgets_whose_rows_it_wants_shows_none_of_another_s(
    api: Connection[Any], tenants: Tenants, query: Query
) -> None:
    theirs, ours = tenants.theirs, tenants.ours
    wanted = {"company_id": theirs.id, **query.params(theirs)}
    for text in (query.text, query.forgetful):
        assert not query.shows(theirs, ask(api, text, wanted, ours.id))
        # Or this test would show nothing.
        assert query.shows(theirs, ask(api, text, wanted, theirs.id))
        assert not query.shows(theirs, ask(api, text, wanted, ours.id))


def test_no_condition_on_a_company_is_left_in_a_query_that_forgot_it() -> None:
    for name, query in QUERIES.items():
        assert "%(company_id" not in query.forgetful, name
        assert ("%(id)s" in query.forgetful) == (name in {"IS_PURGED", "WORKSPACE"}), name


def test_every_query_in_the_name_of_companies_is_tried() -> None:
    tried = {query.text for query in QUERIES.values()}
    for module in (postgres, table_reads, tenancy_reads):
        for name, value in vars(module).items():
            texts = value.values() if isinstance(value, dict) else [value]
            ours = {text for text in texts if isinstance(text, str) and "AS scope(" in text}
            assert ours <= tried, name


ALONE = re.compile(r"company_id = (%\(company_id\)s|%s) AND ")
IN_A_TRANSACTION = {
    "NAMES": (directory.NAMES, lambda t: {"ids": [t.key]}),
    "PERSON": (directory.PERSON, lambda t: {"id": t.key}),
    "ONE": (key_ring.ONE, lambda t: (t.key,)),
    "FIND": (key_ring.FIND, lambda t: (t.key,)),
    "ERASE": (directory.ERASE, lambda t: {"id": t.key}),
    "FORGET_LABEL": (directory.FORGET_LABEL, lambda t: {"id": t.key}),
    "REVOKE": (key_ring.REVOKE, lambda t: (t.id, t.key)),
    "RETIRE": (key_ring.RETIRE, lambda t: (1.0, t.key)),
    "consumer": (consumer.FIND, lambda t: {"name": t.consumer}),
    "webhook": (endpoints.FIND, lambda t: {"id": t.webhook}),
    "delivery": (
        deliveries.ONE,
        lambda t: {"id": t.delivery, "endpoint_id": t.webhook},
    ),
    "deliveries": (
        deliveries.PAGE,
        lambda t: {"before": deliveries.LAST, "limit": 9, "endpoint_id": t.webhook},
    ),
    "ROTATE": (
        endpoints.ROTATE,
        lambda t: {"id": t.webhook, "overlap": 1, "secret": b"", "by": t.id},
    ),
}


@pytest.mark.parametrize(("text", "params"), IN_A_TRANSACTION.values(), ids=IN_A_TRANSACTION)
def test_a_statement_that_forgets_whose_rows_it_wants_finds_none_of_another_s(
    api: Connection[Any], tenants: Tenants, text: str, params: Callable[[Tenant], Any]
) -> None:
    forgetful, removed = ALONE.subn("", text)
    assert removed == 1
    for named, found in ((tenants.ours, 0), (tenants.theirs, 1), (tenants.ours, 0)):
        with api.transaction(force_rollback=True):
            api.execute(ACT_AS, (companies(named.id),))
            assert api.execute(forgetful.encode(), params(tenants.theirs)).rowcount == found


def test_the_list_of_all_companies_shows_in_a_company_s_name_that_company(
    api: Connection[Any], tenants: Tenants
) -> None:
    params = COMPANIES.params("name", "all", None, 100)
    for tenant, other in ((tenants.ours, tenants.theirs), (tenants.theirs, tenants.ours)):
        rows = ask(api, scoped(COMPANIES.queries["name"]), params, tenant.id)
        assert str(tenant.id) in rows[0][0]
        assert str(other.id) not in rows[0][0]
    rows = api.execute(COMPANIES.queries["name"].encode(), params).fetchall()
    assert rows[0][0] == ""
