"""A page of a list is a walk along an index from where the last page ended, on 18 and on 15.

Row-level security or not: its policy must not come between the index and the page.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection, sql

from api.bootstrap import KEYSET_PLANS, LOOKUP_PLANS, POINT_PLANS
from api.directory import PEOPLE
from api.key_ring import KEYS
from api.roles import API_ROLE, as_role
from api.table_reads import BY_ID
from api.tenancy_reads import AS_PLATFORM
from application.event_store.postgres import LOAD
from application.event_store.session import companies, scoped
from projections.history_queries import LISTS_AT
from projections.history_queries import list_params as past_params
from projections.keyset import Keyset, Listing
from projections.table_def_queries import TABLES, Filter, Sort, by_id_params, list_params
from projections.tenancy_queries import COMPANIES, WORKSPACES
from tests.conftest import cloned
from tests.contracts.stores import connected, prepared
from tests.contracts.tenants import rows_of

MANY, LIMIT = 400, 10
PARAMETER = re.compile(r"%\((\w+)\)s")
PLANNED = """
SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%AS scoped%'
"""
FILL = """
INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, %s)
"""
LISTINGS = {
    "tables": (TABLES, "idx_table_defs_by_"),
    "workspaces": (WORKSPACES, "workspaces_by_name"),
    "keys": (KEYS, "api_keys_by_age"),
    "people": (PEOPLE, "people_by_name"),
}
LISTS = [
    pytest.param(
        replace(listing, sorts={sort: column}),
        direction + sort,
        index,
        id=f"{name} {direction}{sort}",
    )
    for name, (listing, index) in LISTINGS.items()
    for sort, column in listing.sorts.items()
    for direction in ("", "-")
]


@dataclass(frozen=True)
class Filled:
    """A database in which two companies have long lists."""

    url: str
    ours: UUID
    theirs: UUID


@pytest.fixture(scope="module", params=["18", "15"])
def filled(request: pytest.FixtureRequest) -> Iterator[Filled]:
    for url in cloned(request.getfixturevalue(f"postgres_{request.param}")):
        found = Filled(url, uuid4(), uuid4())
        with connected(url) as owner:
            for company, prefix in ((found.ours, "Ours"), (found.theirs, "Theirs")):
                rows = json.dumps(rows_of(MANY, company, prefix), default=str)
                for listing, _ in LISTINGS.values():
                    owner.execute(FILL.format(table=listing.source).encode(), (rows,))
            rows = json.dumps(rows_of(MANY, found.ours, "Company"), default=str)
            owner.execute(FILL.format(table=COMPANIES.source).encode(), (rows,))
        yield found


@pytest.fixture(scope="module", params=[False, True], ids=["unknown sizes", "analysed"])
def api(request: pytest.FixtureRequest, filled: Filled) -> Iterator[Connection[Any]]:
    """A connection as those that the API reads lists through; the planner may know the tables."""
    if request.param:
        with connected(filled.url) as owner:
            owner.execute("ANALYZE")
    with prepared(as_role(filled.url, API_ROLE, KEYSET_PLANS)) as connection:
        yield connection


def explain(connection: Connection[Any], query: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the server does for a prepared query: the plan, and how many rows each part gave."""
    names = list(dict.fromkeys(PARAMETER.findall(query)))
    text = PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", query)
    values = sql.SQL(", ").join(sql.Literal(params[name]) for name in names)
    connection.execute("DEALLOCATE ALL")
    connection.execute(f"PREPARE page AS {text}".encode())
    execute = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) EXECUTE page ({})").format(values)
    return connection.execute(execute).fetchall()[0][0][0]["Plan"]  # type: ignore[no-any-return]


def parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan and all that it consists of."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from parts(part)


def assert_walks(plan: dict[str, Any], index: str, key: str, order: str) -> None:
    """The innermost limit takes its rows from an index as they come, and no more than it needs."""
    *_, inner = [part for part in parts(plan) if part["Node Type"] == "Limit"]
    walk = next(part for part in parts(inner) if "Scan" in part["Node Type"])
    kinds = {part["Node Type"] for part in parts(inner)}
    assert not any("Sort" in kind for kind in kinds), kinds
    assert walk["Node Type"] in {"Index Scan", "Index Only Scan"}
    assert walk["Index Name"].startswith(index)
    assert walk["Scan Direction"] == order
    assert re.search(rf"ROW\({key}, id\) [<>] ROW\(", walk["Index Cond"]), walk["Index Cond"]
    assert walk["Actual Rows"] == LIMIT + 1
    assert walk.get("Rows Removed by Filter", 0) == 0


@pytest.mark.parametrize(("listing", "sort", "index"), LISTS)
def test_a_page_in_the_middle_reads_its_own_rows_and_the_first_of_the_next(
    api: Connection[Any], filled: Filled, listing: Listing, sort: str, index: str
) -> None:
    [by] = listing.sorts.values()
    middle = "ours 000200" if by.type == "text" else "2026-01-01T03:20:00Z"
    after = Keyset(middle, UUID(int=0))
    params = {"companies": companies(filled.ours), "company_id": filled.ours}
    if listing.source == TABLES.source:
        params |= list_params(Filter(filled.ours, sort=sort), after, LIMIT)  # type: ignore[arg-type]
    else:
        params |= listing.params(sort, "active", after, LIMIT)
    plan = explain(api, scoped(listing.queries[sort]), params)
    assert_walks(plan, index, by.column, "Backward" if sort.startswith("-") else "Forward")


@pytest.mark.parametrize("sort", ["name", "-name"])
def test_the_platform_s_list_of_companies_walks_too(api: Connection[Any], sort: str) -> None:
    params = COMPANIES.params(sort, "active", Keyset("company 000200", UUID(int=0)), LIMIT)
    with api.transaction():
        api.execute(AS_PLATFORM)
        plan = explain(api, COMPANIES.queries[sort], params)
    order = "Backward" if sort.startswith("-") else "Forward"
    assert_walks(plan, "companies_by_name", "name_folded", order)


@pytest.mark.parametrize("sort", LISTS_AT[False].queries)
def test_who_stood_at_a_position_is_told_by_an_index_alone(
    api: Connection[Any], filled: Filled, sort: Sort
) -> None:
    params = past_params(Filter(filled.ours, sort=sort), 5, None, LIMIT)
    companies_named = {"companies": companies(filled.ours)}
    plan = explain(api, scoped(LISTS_AT[False].queries[sort]), params | companies_named)
    walks = {
        part["Index Name"]: part["Node Type"]
        for part in parts(plan)
        if part.get("Relation Name") == "standings"
    }
    walks.pop("standings_by_position", None)  # the last row until then
    [(index, kind)] = walks.items()
    assert (index.startswith("standings_by_"), kind) == (True, "Index Only Scan")


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_what_is_asked_for_by_id_is_found_by_id_and_not_by_company(
    filled: Filled, mode: str
) -> None:
    """Whatever the planner believes of a company's size: it may have all rows there are."""
    ids = {"ids": [uuid4()], "company_ids": [filled.ours], "companies": companies(filled.ours)}
    points = (
        (BY_ID, by_id_params([filled.ours], [uuid4()]) | ids, "table_defs_pkey"),
        (LOAD, ids, "events_one_per_version"),
    )
    with prepared(
        as_role(filled.url, API_ROLE, f"{LOOKUP_PLANS} -c plan_cache_mode={mode}")
    ) as connection:
        for query, params, index in points:
            plan = explain(connection, query, params)
            used = {part["Index Name"]: part for part in parts(plan) if "Index Name" in part}
            used.pop("positions_pkey", None)
            assert list(used) == [index]
            assert re.search(r"\bid = ", used[index]["Index Cond"].replace("originator_", ""))


def test_a_table_that_is_asked_for_by_id_is_looked_for_as_it_was_planned_once(
    filled: Filled,
) -> None:
    """Planning takes as long as looking, and a short array would be a reason to plan anew."""
    params = by_id_params([filled.ours], [uuid4()]) | {"companies": companies(filled.ours)}
    with prepared(as_role(filled.url, API_ROLE, POINT_PLANS)) as connection:
        for _ in range(10):
            connection.execute(BY_ID.encode(), params)
        planned = connection.execute(PLANNED, prepare=False).fetchall()
    assert planned == [(10, 0)]
