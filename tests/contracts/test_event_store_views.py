"""The event table for others: the event-sourcing library's own tools, people with SQL, the feed."""

import asyncio
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import ProgrammingError
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict

from api.roles import API_ROLE, as_role
from application.event_feed import LATEST, PAGE, PAGE_OF_ONE, EventFeed, Wanted
from application.event_store.postgres import PostgresEventStore
from application.event_store.session import companies
from domain.base import replay
from domain.recorded import Recorded, encode
from domain.table_def import TableDef
from domain.table_details import Changes
from tests.contracts.commands import command, context, new_table

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
SOURCES = ("domain", "application", "projections", "api", "benchmarks", "docs", ".ci")
BANNED = "ENABLE_DB_" + "FUNCTIONS"
CALLS = "SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'head'"
OLD_SAMPLE = """
INSERT INTO event_store.events
SELECT max(position) + 1, %(company)s, %(id)s, 1, 'TableDef.Created', %(state)s, NULL, %(event)s,
       max(recorded_at)
  FROM event_store.events
"""


def many_tables(company: UUID) -> list[TableDef]:
    """Tables that have seen every kind of event between them."""
    tables = [new_table(company, events=number % 4 + 1) for number in range(30)]
    changes = Changes(
        slug="näme".encode("ascii", "ignore").decode(),
        description="“Ünïcode” 🙂\nand lines",
        icon="🗂",
        color="#a1b2c3",
        workspace_id=uuid4(),
        settings={"allowMultiple": False, "own": {"deep": [1, 2.5, None]}},
    )
    for table in tables[::3]:
        table.change(changes.model_copy(update={"slug": f"s-{table.id}"}), context(company))
    for table in tables[::5]:
        table.delete(context(company))
    tables[0].restore(context(company))
    tables[5].purge(context(company))
    return tables


@pytest.fixture
async def filled(postgres_store: PostgresEventStore, owner: Connection[Any]) -> list[Recorded]:
    """What is stored, in global order: many tables, and one that an earlier release wrote."""
    for table in many_tables(uuid4()):
        await postgres_store.append(command(table))
    event = new_table(uuid4()).collect()[0].model_copy(update={"color": "#ABCDEF"})
    state = json.loads(encode(event))
    state.pop("classVersion")
    company = event.metadata.company_id
    parameters = {
        "company": company,
        "id": event.originator_id,
        "state": json.dumps(state).encode(),
        "event": event.metadata.event_id,
    }
    owner.execute(OLD_SAMPLE, parameters)
    return list(await postgres_store.read(0, 1000))


@pytest.fixture
def library(any_database: str) -> Iterator[Application[UUID]]:
    """The library's own application, synchronous, on our table."""
    given = conninfo_to_dict(any_database)
    env = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": given["dbname"],
        "POSTGRES_HOST": given["host"],
        "POSTGRES_USER": given["user"],
        "POSTGRES_PASSWORD": "",
        "POSTGRES_SCHEMA": "event_store",
        "CREATE_TABLE": "n",
        "MAPPER_TOPIC": "application.event_store.mapper:EventMapper",
    }

    class DynamicTables(Application[UUID]):
        name = "dynamic_tables"

    with DynamicTables(env=env) as application:
        yield application


async def test_the_library_loads_every_aggregate_as_we_do(
    filled: list[Recorded], library: Application[UUID], postgres_store: PostgresEventStore
) -> None:
    ids = {(recorded.company_id, recorded.event.originator_id) for recorded in filled}
    assert len(ids) == 31
    for company_id, id in ids:
        ours = replay([r.event for r in await postgres_store.load(company_id, id)])
        theirs: Any = library.repository.get(id)
        assert type(theirs) is TableDef
        assert theirs == ours


async def test_the_library_loads_a_past_version_as_we_do(
    filled: list[Recorded], library: Application[UUID]
) -> None:
    id = next(r.event.originator_id for r in filled if r.event.originator_version == 3)
    past = [
        r.event for r in filled if r.event.originator_id == id and r.event.originator_version < 3
    ]
    assert library.repository.get(id, version=2) == replay(past)


async def test_the_library_pages_through_every_notification_in_order(
    filled: list[Recorded], library: Application[UUID]
) -> None:
    notifications, start = [], 1
    while page := library.recorder.select_notifications(start=start, limit=7):
        notifications += page
        start = page[-1].id + 1
    assert [n.id for n in notifications] == [recorded.position for recorded in filled]
    events = [library.mapper.to_domain_event(n) for n in notifications]
    assert events == [recorded.event for recorded in filled]
    assert library.recorder.max_notification_id() == filled[-1].position


async def test_the_library_s_notification_log_and_filters_work(
    filled: list[Recorded], library: Application[UUID]
) -> None:
    section = library.notification_log["1,10"]
    assert [item.id for item in section.items] == list(range(1, 11))
    renamed = library.recorder.select_notifications(1, 1000, topics=["TableDef.Renamed"])
    assert [n.id for n in renamed] == [
        r.position for r in filled if isinstance(r.event, TableDef.Renamed)
    ]


async def test_an_empty_store_has_no_notification(library: Application[UUID]) -> None:
    assert library.recorder.max_notification_id() is None
    assert library.recorder.select_notifications(1, 10) == []


async def test_the_library_cannot_write_to_our_table(library: Application[UUID]) -> None:
    with pytest.raises(ProgrammingError):
        library.save(new_table(uuid4()))
    assert library.recorder.max_notification_id() is None


async def test_people_with_sql_see_what_happened_as_json(
    filled: list[Recorded], owner: Connection[Any]
) -> None:
    query = (
        "SELECT position, recorded_at, company_id, table_id, version, topic, event_id,"
        " occurred_at, data, metadata FROM event_store.readable_events ORDER BY position"
    )
    rows = owner.execute(query).fetchall()
    assert len(rows) == len(filled)
    for row, recorded in zip(rows[:-1], filled[:-1], strict=True):
        event, stored = recorded.event, json.loads(encode(recorded.event))
        assert row == (
            recorded.position,
            recorded.recorded_at,
            recorded.company_id,
            event.originator_id,
            event.originator_version,
            event.TOPIC,
            event.metadata.event_id,
            event.timestamp,
            stored["data"],
            stored["metadata"],
        )


async def test_an_erased_event_is_shown_without_its_content(
    filled: list[Recorded], owner: Connection[Any]
) -> None:
    owner.execute("SET session_replication_role = replica")
    owner.execute("UPDATE event_store.events SET state = NULL, salt = NULL WHERE position = 1")
    query = "SELECT data, metadata FROM event_store.readable_events WHERE position = 1"
    assert owner.execute(query).fetchall() == [(None, None)]


@pytest.mark.parametrize("page", [PAGE, PAGE_OF_ONE])
async def test_a_page_of_the_feed_asks_for_the_head_once_however_many_events_it_has(
    page: str,
    filled: Sequence[Recorded],
    owner: Connection[Any],
) -> None:
    first = filled[0]
    with owner.transaction():
        owner.execute("SET LOCAL track_functions = 'all'")
        found = owner.execute(
            page.encode(),
            {
                "companies": companies(first.company_id), "company_id": first.company_id,
                "originator_id": first.event.originator_id, "after": 0, "until": LATEST,
                "topics": None, "limit": 100, "scan": 100,
            },
        ).fetchall()  # fmt: skip
        assert len(found) > 1
        assert owner.execute(CALLS).fetchone() == (1,)


async def test_pages_of_the_feed_join_to_the_whole_and_nothing_is_read_for_who_left(
    any_database: str, filled: Sequence[Recorded]
) -> None:
    async with await AsyncConnection.connect(as_role(any_database, API_ROLE)) as connection:

        async def fetch(query: str, params: Mapping[str, Any]) -> Sequence[Any]:
            return await (await connection.execute(query.encode(), params)).fetchall()

        feed, wanted = EventFeed(fetch), Wanted(filled[0].company_id)
        whole = await feed.read(wanted, 0, 1_000)
        for size in (1, 7, 1_000):
            pages = [page async for page in feed.pages(wanted, 0, whole.head, size)]
            assert [row for page in pages for row in page.rows] == list(whole.rows)
            assert pages[-1].position == whole.head
        assert not [page async for page in feed.pages(wanted, whole.head, whole.head, 7)]

        others = asyncio.all_tasks()
        async with aclosing(feed.pages(wanted, 0, whole.head, 7)) as begun:
            assert len((await anext(begun)).rows) == 7
            assert asyncio.all_tasks() > others
        assert asyncio.all_tasks() == others


def test_no_source_file_switches_on_the_library_s_unordered_appends() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split("\n")
    files = [ROOT / name for name in listed if name] or [
        path for folder in SOURCES for path in (ROOT / folder).rglob("*")
    ]
    found = [
        path
        for path in files
        if path.is_file() and path.suffix != ".md" and BANNED.encode() in path.read_bytes()
    ]
    assert len(files) > 20
    assert found == []
