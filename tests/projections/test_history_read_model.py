"""What stood at any position is what the events up to it say, whatever the eras and batches."""

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from api.history_reads import ANY_PLAN
from api.views import table_view
from domain.base import replay
from domain.table_def import TableDef
from projections import eras, history_filling
from projections import rebuild as rebuilding
from projections.base import connect, create, execute
from projections.check import check
from projections.folding import fold
from projections.history import HistoryProjection
from projections.history_queries import CHANGED, LISTS_AT, OF_TABLE, list_params
from projections.keyset import Page
from projections.log_queries import Wanted
from projections.rebuild import rebuild
from projections.table_def_queries import Filter, Sort
from tests.conftest import sized
from tests.projections.filling import changed_while_it_fills
from tests.projections.test_table_defs_read_model import HISTORIES, WORKSPACE, act
from tests.projections.world import HISTORY, World, reader, world_of

pytestmark = pytest.mark.anyio

MANY_VERSIONS = f"""
INSERT INTO {HISTORY}.versions (
       id, version, company_id, position, topic, event_id, recorded_at, words)
SELECT gen_random_uuid(), 1, %s, position, 'TableDef.Created', gen_random_uuid(), now(), 'a'
  FROM generate_series(1, 3000) AS position
"""

VERSIONS = f"SELECT * FROM {HISTORY}.versions ORDER BY id, version"
# Lists would be right, and slow.
WRONG_PARTS = f"""
SELECT s.version, s.era, s.position, s.until, s.ended_in, ended.era, ended.part
  FROM {HISTORY}.standings s
 CROSS JOIN LATERAL (
       SELECT era, part FROM {HISTORY}.eras e
        WHERE e.company_id = s.company_id AND e.begins < s.until
        ORDER BY e.begins DESC LIMIT 1) AS ended
 WHERE s.until < {eras.FOR_EVER} AND ended.era = s.era AND ended.part <> s.ended_in
"""


@pytest.fixture
async def world(shared_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """With eras of a few events each, filled a row or two at a time."""
    monkeypatch.setattr(eras, "SHORTEST", 3)
    monkeypatch.setattr(eras, "LEAST_SHARE", 1)
    monkeypatch.setattr(eras, "SHARE", 1)
    async with world_of(shared_database, HistoryProjection()) as world:
        await world.forget_everything()
        yield world


KEYS: Mapping[str, Callable[[TableDef], Any]] = {
    "name": lambda table: fold(table.name),
    "createdAt": lambda table: table.created_on,
    "updatedAt": lambda table: table.modified_on,
}


def in_order(tables: list[TableDef], sort: Sort) -> list[TableDef]:
    key = KEYS[sort.removeprefix("-")]
    return sorted(tables, key=lambda table: (key(table), table.id), reverse=sort.startswith("-"))


async def listed(world: World, wanted: Filter, position: int) -> list[Any]:
    params = list_params(wanted, position, None, 200)
    pages = [
        Page(*(await world.ask(LISTS_AT[narrowed].queries[wanted.sort], params))[0])
        for narrowed in {True, wanted.is_narrowed}
    ]
    assert pages == pages[:1] * len(pages)
    return json.loads(f"[{pages[0].items}]")


async def folded(world: World, company: UUID, position: int) -> list[TableDef]:
    """The tables of a company as the events up to a position make them."""
    events = defaultdict(list)
    for recorded in await world.store.read(0, position):
        if isinstance(recorded.event, TableDef.Event) and recorded.company_id == company:
            events[recorded.event.originator_id].append(recorded.event)
    tables = [replay(each) for each in events.values()]
    return [table for table in tables if not table.purged_at]


async def assert_exact(world: World) -> None:
    for position in range(await world.head() + 1):
        for company in (world.ours, world.theirs):
            expected = await folded(world, company, position)
            for sort in get_args(Sort):
                shown = await listed(world, Filter(company, state="all", sort=sort), position)
                views = [table_view(table) for table in in_order(expected, sort)]
                assert shown == from_json(to_json(views)), (position, sort)
    assert await world.ask(WRONG_PARTS) == []


@settings(
    max_examples=sized(12, 200),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=HISTORIES, batch=st.integers(1, 7), anew=st.booleans())
async def test_every_position_shows_what_stood_at_it(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    history: list[tuple[int, tuple[str, Any]]],
    batch: int,
    anew: bool,
) -> None:
    """Whether it has followed all the time, is built anew half-way, or when all has happened."""
    monkeypatch.setattr(rebuilding, "BATCH", batch)
    await world.forget_everything()
    for company in (world.ours, world.theirs):
        await world.workspace(company=company, id=WORKSPACE)
    slots: dict[int, UUID] = {}
    for number, (slot, command) in enumerate(history):
        if anew and number == len(history) // 2:
            await rebuild(world.conninfo, HistoryProjection())
        await act(world, slots, slot, command)
    await world.project(batch)
    assert await world.parked() == {}
    await assert_exact(world)
    assert (await check(world.conninfo)).differences == []
    await rebuild(world.conninfo, HistoryProjection())
    await assert_exact(world)
    assert (await check(world.conninfo)).differences == []


OF_THE_FIRST = f"{HISTORY}.standings WHERE id = %s AND version = 1 AND era = 1"
SET = f"UPDATE {HISTORY}.standings SET {{}} WHERE id = %s AND version = 1 AND era = 1"
WRONGS = [
    *(
        (SET.format(change), " in era 1: it is not what the version was then")
        for change in (
            "position = position - 1", "until = until - 1", "ended_in = ended_in - 1",
            "company_id = id", "workspace_id = id", "updated_by = id", "deleted_at = now()",
            "created_at = now()", "latest = updated_at - interval '1 microsecond'",
            f"until = {eras.FOR_EVER}", f"ended_in = {eras.PARTS}",
        )
    ),
    (f"DELETE FROM {OF_THE_FIRST}", ": missing in 1 of the eras in which it stood"),
    (SET.format("era = 0"), " in era 0: it is not what the version was then"),
    (SET.format("era = era + 7"), " in era 8: it is not what the version was then"),
    (f"UPDATE {HISTORY}.versions SET topic = 'Workspace.Renamed' WHERE id = %s", " in era 1: the"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONGS)
async def test_it_is_found_where_a_version_did_not_stand_as_it_did(
    world: World, change: str, said: str
) -> None:
    id, other = await world.create("Orders"), await world.create("Others")
    for number in range(8):
        await world.change(other if number else id, name=f"Name {number}")
        await world.project()
    assert (await check(world.conninfo)).differences == []
    await world.owner.execute(change, (id,))
    report = await check(world.conninfo)
    found = f"standing of {id} v1{said}"
    assert any(difference.startswith(found) for difference in report.differences)
    assert (await check(world.conninfo, only=id)).differences == report.differences
    assert (await check(world.conninfo, only=other)).differences == []


async def test_it_is_found_if_what_stands_is_missing_in_the_era_that_is_being_filled(
    world: World,
) -> None:
    for number in range(20):
        await world.create(f"Table {number}")
    await world.project()
    filled = f"SELECT era + 1, filled_to FROM {HISTORY}.present_eras WHERE company_id = %s"
    [(era, filled_to)] = await world.ask(filled, (world.ours,))
    assert filled_to is not None
    assert (await check(world.conninfo)).differences == []
    lost = f"""
        DELETE FROM {HISTORY}.standings WHERE era = %s AND until = {eras.FOR_EVER} RETURNING id"""
    rows = await world.ask(lost, (era,))
    assert len((await check(world.conninfo)).differences) == len(rows) > 0


async def test_an_unreadable_table_does_not_keep_the_eras_of_others_from_being_compared(
    world: World,
) -> None:
    id, other = await world.create("Orders"), await world.create("Others")
    await world.change(id, name="Sales")
    await world.project()
    await world.append(other, 2, "TableDef.Renamed", b"{")
    await world.project()
    await world.owner.execute(SET.format("position = 0"), (id,))
    differences = (await check(world.conninfo)).differences
    assert f"standing of {id} v1 in era 1: it is not what the version was then" in differences


async def test_a_version_that_nobody_knows_did_not_stand(world: World) -> None:
    id, other = await world.create("Orders"), await world.create("Others")
    for number in range(8):
        await world.change(other, name=f"Name {number}")
    await world.project()
    await world.owner.execute(SET.format("version = 7"), (id,))
    assert set((await check(world.conninfo)).differences) == {
        f"standing of {id} v7 in era 1: the events know nothing of it",
        f"standing of {id} v1: missing in 1 of the eras in which it stood",
    }


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_what_happens_while_it_fills_stands_where_it_should(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    await changed_while_it_fills(world, monkeypatch, size)
    assert await rebuild(world.conninfo, HistoryProjection()) == await world.head()
    await assert_exact(world)
    assert (await check(world.conninfo)).differences == []
    versions = await world.ask(VERSIONS)
    monkeypatch.setattr(HistoryProjection, "filling", lambda _: None)
    await rebuild(world.conninfo, HistoryProjection())
    assert await world.ask(VERSIONS) == versions, "as in global order"


MANY = f"""
INSERT INTO stood ({history_filling.STOOD})
SELECT gen_random_uuid(), 1, md5('company ' || number % 1000)::uuid, number, NULL,
       gen_random_uuid(), NULL, now(), now(), 'name', 'name', {eras.FOR_EVER}
  FROM generate_series(1, 20000) AS number;
INSERT INTO eras SELECT md5('company ' || number)::uuid, 0, 1, 0
  FROM generate_series(0, 999) AS number;
INSERT INTO overtaken SELECT company_id, position, now() FROM stood WHERE position % 20 = 0
"""


async def test_whatever_there_is_of_a_log_each_version_is_looked_at_once(world: World) -> None:
    """With many companies, and with clocks that differ."""
    async with (
        await connect(world.conninfo, "filled", rebuilding.NO_HURRY) as connection,
        connection.transaction(force_rollback=True),
    ):
        await create(connection, HistoryProjection(), "filled", indexed=False)
        filling = history_filling.HistoryFilling()
        await execute(connection, filling.rest())
        await connection.execute(MANY, prepare=False)
        await execute(connection, history_filling.AT_EASE)
        await connection.execute(history_filling.ANALYZE)
        explained = await connection.execute(f"EXPLAIN {history_filling.STAND}", prepare=False)
        plan = "\n".join(line for (line,) in await explained.fetchall())
    assert "Hash Join" in plan, plan
    assert "Hash Left Join" in plan or "Hash Right Join" in plan, plan


async def test_the_last_update_of_a_company_stays_the_last_when_one_is_dated_back(
    world: World,
) -> None:
    """By a clock that was behind. Other companies have a last one of their own."""
    id, other = await world.create("Orders"), await world.create("Sales")
    theirs = await world.create("Orders", world.theirs)
    await world.append(id, 2, "TableDef.Renamed", {"name": "Long ago"})
    await world.append(theirs, 2, "TableDef.Renamed", {"name": "Long ago"}, world.theirs)
    await world.change(other, name="Now")
    await world.project()
    updates = f"SELECT id, version, updated_at FROM {HISTORY}.versions"
    at = {(id, version): moment for id, version, moment in await world.ask(updates)}
    assert at[id, 2] < at[id, 1]
    latest = {
        (id, 1): at[id, 1], (other, 1): at[other, 1], (id, 2): at[other, 1],
        (other, 2): at[other, 2], (theirs, 1): at[theirs, 1], (theirs, 2): at[theirs, 1],
    }  # fmt: skip

    async def is_told() -> bool:
        rows = await world.ask(f"SELECT DISTINCT id, version, latest FROM {HISTORY}.standings")
        return {(id, version): moment for id, version, moment in rows} == latest

    assert await is_told()
    await rebuild(world.conninfo, HistoryProjection())
    assert await is_told()


async def test_eras_follow_each_other_while_tables_change(world: World) -> None:
    ids = [await world.create(f"Table {n}") for n in range(6)]
    for step in range(40):
        await world.change(ids[step % 4], name=f"Name {step}")
        if step % 3 == 0:
            await world.project(1 + step % 4)
    await world.project()
    [(count,)] = await world.ask(f"SELECT count(*) FROM {HISTORY}.eras")
    assert count >= 3
    [(rows, copies)] = await world.ask(
        f"SELECT count(*), count(*) - count(DISTINCT position) FROM {HISTORY}.standings"
    )
    assert copies
    assert rows < 3 * 46
    await assert_exact(world)
    await rebuild(world.conninfo, HistoryProjection())
    await assert_exact(world)
    assert (await check(world.conninfo)).differences == []


async def test_the_parts_of_an_era_are_told_apart_within_a_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eras, "SHORTEST", 32)  # and as many to fill the next: 4 events for a part
    id = await world.create("Orders")
    for number in range(30):
        await world.change(id, name=f"Name {number}")
    await world.project()
    begins = await world.ask(f"SELECT begins, part FROM {HISTORY}.eras ORDER BY begins")
    assert begins == [(0, 0), (4, 1), (8, 2), (12, 3), (16, 4), (20, 5), (24, 6), (28, 7)]
    await assert_exact(world)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE {0}.versions SET name = 'x' WHERE version = 1", "version .* v1, name"),
        ("DELETE FROM {0}.versions WHERE version = 2", "version .* v2: .* missing"),
        ("UPDATE {0}.standings SET until = 1 WHERE version = 2", "standing of .* missing"),
        ("UPDATE {0}.standings SET name_folded = 'x' WHERE version = 2", "name_folded"),
    ],
)
async def test_a_check_finds_what_is_wrong_with_it(world: World, change: str, told: str) -> None:
    id = await world.create("Orders")
    await world.change(id, name="Sales")
    await world.project()
    await world.owner.execute(change.format(HISTORY).encode())
    report = await check(world.conninfo)
    assert any(re.search(told, each) for each in report.differences), report.differences


async def test_the_index_of_words_serves_the_role_that_asks(world: World) -> None:
    """An operator that is not leakproof is no condition of an index where a policy applies."""
    await world.owner.execute(MANY_VERSIONS, (world.ours,))
    await world.owner.execute(f"ANALYZE {HISTORY}.versions")
    wanted = Wanted(world.ours, text="orders")
    async with await reader(world.conninfo) as connection, connection.transaction():
        await connection.execute(ANY_PLAN)
        query = f"EXPLAIN {wanted.query_by_words()}"
        params = wanted.params(None, 50)
        plan = await (await connection.execute(query.encode(), params)).fetchall()
    assert "versions_by_words" in str(plan)


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_what_something_was_before_is_found_by_its_version(world: World, order: str) -> None:
    """Not among all its versions: an expression that is not leakproof would be no condition."""
    for query in (OF_TABLE[order], Wanted(world.ours, order=order).query()):
        params = Wanted(world.ours, order=order).params(None, 50) | {"after": 0, "id": world.ours}
        async with await reader(world.conninfo) as connection:
            plan = await connection.execute(f"EXPLAIN {query}".encode(), params)
            lines = [line for (line,) in await plan.fetchall()]
        assert re.search(r"Index Cond: \(\(id = .* AND \(version < .*\.version", "\n".join(lines))


async def test_what_was_purged_is_found_among_the_purged_alone(world: World) -> None:
    params = {"company_id": world.ours, "from": 0, "to": 1, "after": 0, "limit": 50}
    async with await reader(world.conninfo) as connection:
        plan = await connection.execute(f"EXPLAIN {CHANGED}".encode(), params)
        assert "versions_purged" in str(await plan.fetchall())


@pytest.mark.parametrize("batch", [1, 500])
async def test_what_waited_and_is_erased_stands_nowhere(world: World, batch: int) -> None:
    gone, other = await world.create("Orders"), await world.create("Others")
    position = await world.append(gone, 2, "TableDef.Renamed", {"name": "a\0b"})
    for number in range(5):
        await world.change(other, name=f"Name {number}")
        follower = await world.project(2)
    assert await world.parked() == {gone: position}
    await world.purge(gone, erase=True)
    await world.change(other, name="Sales")
    while await follower.step(batch):
        pass
    assert await world.parked() == {}
    versions = "SELECT version, name FROM versions WHERE id = %s ORDER BY version"
    told = await (await world.projection.execute(versions, (gone,))).fetchall()
    assert told == [(version, None) for version in range(1, 6)]
    await assert_exact(world)
    assert (await check(world.conninfo)).differences == []


async def test_what_waited_stands_where_it_stood_when_it_is_projected_at_last(world: World) -> None:
    waiting, gone, other = [await world.create(name) for name in ("Orders", "Old", "Others")]
    await world.change(waiting, name="Sales")
    await world.project()
    position = await world.append(waiting, 3, "TableDef.Renamed", b"{")
    ahead = world.stored({"description": "Later"}) | {"occurredAt": "2099-01-01T00:00:00Z"}
    await world.append(waiting, 4, "TableDef.DescriptionChanged", json.dumps(ahead).encode())
    last = await world.append(gone, 2, "TableDef.Renamed", b"{")
    for number in range(16):
        await world.change(other, name=f"Name {number}")
        if number == 8:
            await world.append(waiting, 5, "TableDef.Deleted", {})
            await world.append(gone, 3, "TableDef.Deleted", {})
            await world.append(gone, 4, "TableDef.Purged", {})
        await world.project(2)
    for kept in ("slugs WHERE table_id", "memberships WHERE member_id"):  # as purging it would
        await world.owner.execute(f"DELETE FROM event_store.{kept} = %s", (gone,))
    assert set(await world.parked()) == {waiting, gone}
    await world.repair(position, "TableDef.Renamed", {"name": "Repaired"})
    await world.repair(last, "TableDef.Renamed", {"name": "Older"})
    for number in range(3):
        await world.project()
        await assert_exact(world)
        assert (await check(world.conninfo)).differences == []
        await world.change(other, name=f"New {number}")
    assert await world.parked() == {}
