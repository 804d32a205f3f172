"""`replay --check` finds what is wrong in the read model or the reservations, nothing else."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from api.__main__ import cli
from domain.table_def import TableDef
from projections import check as checking
from projections import comparing as module
from projections import kept_rows
from projections.check import check
from projections.comparing import Report
from projections.expected import Kept
from projections.histories import History, Line
from projections.history import HistoryProjection
from projections.kept_rows import JSONB, Rows
from projections.rebuild import rebuild
from tests.conftest import eventually
from tests.projections.world import HISTORY, PROJECTION, SCHEMA, World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(emptied_world: World) -> World:
    return emptied_world


NOW = datetime.now(UTC)
ROW = f"{SCHEMA}.table_defs"
STRAY = f"""
INSERT INTO {ROW}
SELECT gen_random_uuid(), company_id, workspace_id, name, slug || '-2', description, icon, color,
       settings, deleted_at, created_by, created_at, updated_by, updated_at, version, position,
       name_folded, search_folded, shown
  FROM {ROW} WHERE id = %s
RETURNING id
"""


@pytest.fixture
async def lived(world: World) -> World:
    """Two companies with some history, projected."""
    for company in (world.ours, world.theirs):
        await world.create("Orders", company, slug="orders", settings={"n": 1, "deep": {"a": 1.5}})
        changed = await world.create("Clients", company)
        await world.change(changed, company, slug="people", settings={"big": 1e300})
        await world.delete(changed, company)
        await world.purge(await world.create("Gone", company), company)
    await world.project()
    return world


async def orders(world: World) -> Any:
    query = f"SELECT id FROM {ROW} WHERE company_id = %s AND slug = 'orders'"
    return (await world.ask(query, (world.ours,)))[0][0]


async def test_it_finds_nothing_when_nothing_is_wrong(lived: World) -> None:
    report = await check(lived.conninfo)
    assert report.differences == []
    assert (report.events, report.tables) == (16, 4)
    assert report.position == await lived.head()


async def test_it_finds_nothing_in_an_empty_store(world: World) -> None:
    report = await check(world.conninfo)
    assert (report.events, report.tables, report.position) == (0, 0, 0)
    assert report.differences == []


CHANGES = [
    ("name", "'Other'", "the events say 'Orders', found 'Other'"),
    ("slug", "'other'", "the events say 'orders', found 'other'"),
    ("description", "''", "the events say None, found ''"),
    ("icon", "'x'", "the events say None, found 'x'"),
    ("color", "'#000000'", "the events say None, found '#000000'"),
    ("workspace_id", "company_id", "the events say None, found UUID("),
    ("company_id", "id", "found UUID("),
    ("deleted_at", "now()", "the events say None, found datetime"),
    ("created_by", "id", "found UUID("),
    ("updated_by", "id", "found UUID("),
    ("created_at", "now()", "found datetime"),
    ("updated_at", "updated_at + interval '1 microsecond'", "found datetime"),
    ("settings", "settings || '{\"n\": true}'", "'n': True"),
    ("settings", "settings - 'n'", "found {'deep': {'a': 1.5}}"),
    ("version", "2", "the events say 1, found 2"),
    ("position", "2", "the events say 1, found 2"),
    ("name_folded", "''", "the events say 'orders', found ''"),
    ("search_folded", "''", "found ''"),
    ("shown", "jsonb_set(shown::jsonb, '{name}', '\"x\"')", "found '{"),
    ("shown", "(shown::jsonb - 'effectiveSettings')::json", "found '{"),
]


async def test_it_finds_a_changed_row_and_says_what_changed(lived: World) -> None:
    id = await orders(lived)
    for column, value, said in CHANGES:
        await lived.owner.execute(f"UPDATE {ROW} SET {column} = {value} WHERE id = %s", (id,))
        (difference,) = (await check(lived.conninfo)).differences
        assert difference.startswith(f"table {id}, {column.replace('shown', 'shows')}: ")
        assert said in difference
        await rebuild(lived.conninfo, PROJECTION)


async def test_it_finds_a_missing_row(lived: World) -> None:
    id = await orders(lived)
    await lived.owner.execute(f"DELETE FROM {ROW} WHERE id = %s", (id,))
    expected = f"table {id}: the events say that it is there, it is missing"
    assert (await check(lived.conninfo)).differences == [expected]


async def test_it_finds_a_row_that_no_event_knows(lived: World) -> None:
    stray = (await lived.ask(STRAY, (await orders(lived),)))[0][0]
    expected = f"table {stray}: the events know nothing of it, it is there"
    assert (await check(lived.conninfo)).differences == [expected]


async def test_it_finds_the_row_of_a_purged_table(lived: World) -> None:
    stray = (await lived.ask(STRAY, (await orders(lived),)))[0][0]
    gone = (await lived.ask(f"SELECT min(id::text)::uuid FROM {SCHEMA}.purged_table_defs"))[0][0]
    await lived.owner.execute(f"UPDATE {ROW} SET id = %s WHERE id = %s", (gone, stray))
    expected = f"table {gone}: the events know nothing of it, it is there"
    assert (await check(lived.conninfo)).differences == [expected]


async def test_it_finds_a_tombstone_that_is_missing(lived: World) -> None:
    query = f"DELETE FROM {SCHEMA}.purged_table_defs WHERE company_id = %s RETURNING id"
    gone = (await lived.ask(query, (lived.theirs,)))[0][0]
    expected = f"tombstone of {gone}: the events say that it is there, it is missing"
    assert (await check(lived.conninfo)).differences == [expected]


async def test_it_finds_former_slugs_that_are_wrong_missing_or_stray(lived: World) -> None:
    id = await orders(lived)
    await lived.change(id, slug="sales")
    await lived.change(id, slug="other")
    await lived.change(id, slug="sales")
    await lived.change(id, slug="orders")
    await lived.project()
    until = await lived.head() - 1
    assert (await check(lived.conninfo)).differences == []
    former = f"{SCHEMA}.former_slugs"
    for change in ("slug = 'x'", "position = 2", "company_id = gen_random_uuid()"):
        await lived.owner.execute(f"UPDATE {former} SET {change} WHERE slug = 'other'")
        (difference,) = (await check(lived.conninfo)).differences
        assert difference.startswith(f"former slugs of {id}, former: the events say ['(")
        assert f", '({lived.ours},other,{until})', " in difference.partition("found")[0]
        await rebuild(lived.conninfo, PROJECTION)
    await lived.owner.execute(f"DELETE FROM {former} WHERE table_id = %s", (id,))
    expected = f"former slugs of {id}: the events say that it is there, it is missing"
    assert (await check(lived.conninfo)).differences == [expected]
    await rebuild(lived.conninfo, PROJECTION)
    stray = f"INSERT INTO {former} VALUES (%s, 'stray', %s, 1)"
    await lived.owner.execute(stray, (lived.ours, lived.actor))
    expected = f"former slugs of {lived.actor}: the events know nothing of it, it is there"
    assert (await check(lived.conninfo)).differences == [expected]


@pytest.mark.parametrize("change", ["slug = 'other'", "company_id = gen_random_uuid()"])
async def test_it_finds_a_wrong_reservation(lived: World, change: str) -> None:
    id = await orders(lived)
    await lived.owner.execute(f"UPDATE event_store.slugs SET {change} WHERE table_id = %s", (id,))
    (difference,) = (await check(lived.conninfo)).differences
    assert difference.startswith(f"reservation of {id}, reserved: the events say ['(")
    assert f"({lived.ours},orders)" in difference


async def test_it_finds_reservations_that_are_missing_double_or_stray(lived: World) -> None:
    id = await orders(lived)
    await lived.owner.execute("DELETE FROM event_store.slugs WHERE table_id = %s", (id,))
    expected = f"reservation of {id}: the events say that it is there, it is missing"
    assert (await check(lived.conninfo)).differences == [expected]

    reserve = "INSERT INTO event_store.slugs VALUES (%s, %s, %s)"
    await lived.owner.execute(reserve, (lived.ours, "orders", id))
    await lived.owner.execute(reserve, (lived.ours, "double", id))
    (difference,) = (await check(lived.conninfo)).differences
    assert f"({lived.ours},double)" in difference

    await lived.owner.execute("DELETE FROM event_store.slugs WHERE slug = 'double'")
    await lived.owner.execute(reserve, (lived.ours, "stray", lived.actor))
    (difference,) = (await check(lived.conninfo)).differences
    assert difference.startswith(f"reservation of {lived.actor}: ")


async def test_it_reports_what_it_cannot_read_and_compares_the_rest(lived: World) -> None:
    broken = await orders(lived)
    await lived.append(broken, 2, "TableDef.Renamed", b"{}")
    other = (await lived.ask(f"SELECT id FROM {ROW} WHERE id <> %s LIMIT 1", (broken,)))[0][0]
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x' WHERE id = %s", (other,))
    differences = (await check(lived.conninfo)).differences
    assert len(differences) == 2
    assert any(d.startswith(f"table {broken}: its events cannot be read") for d in differences)
    assert any(d.startswith(f"table {other}, name: ") for d in differences)


async def test_it_works_while_the_projector_is_behind(lived: World) -> None:
    behind = await lived.head()
    id = await orders(lived)
    await lived.change(id, name="Sales", slug="sales")
    await lived.create("New", lived.theirs)
    await lived.purge(await lived.create("Gone again"))
    report = await check(lived.conninfo)
    assert report.position == behind < await lived.head()
    assert (report.differences, report.tables) == ([], 4)
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x' WHERE id = %s", (id,))
    (difference,) = (await check(lived.conninfo)).differences
    assert difference == f"table {id}, name: the events say 'Orders', found 'x'"


async def test_it_counts_no_further_than_a_hundred(lived: World) -> None:
    lists = (lived.create(f"Table {n}", (lived.ours, lived.theirs)[n % 2]) for n in range(120))
    await asyncio.gather(*lists)
    await lived.project()
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x'")
    assert len((await check(lived.conninfo)).differences) == 100


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_chunks_do_not_cut_a_history_in_two(
    lived: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", size)
    monkeypatch.setattr(kept_rows, "FETCH", size)
    report = await check(lived.conninfo)
    assert (report.events, report.tables, report.differences) == (16, 4, [])


async def test_rebuilds_and_writes_at_the_same_time_are_no_differences(lived: World) -> None:
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            id = await lived.create("Busy", lived.theirs)
            await lived.change(id, lived.theirs, name="Busier")

    async def checks() -> None:
        while not stop.is_set():
            assert (await check(lived.conninfo)).differences == []

    async with lived.projector(), asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        tasks.create_task(checks())
        for _ in range(6):
            await rebuild(lived.conninfo, PROJECTION)
        stop.set()
    await lived.project()
    await eventually(lived.is_current)


async def test_a_large_log_is_given_the_time_that_it_takes(lived: World) -> None:
    """More than any request may take."""
    async with lived.owner.transaction():
        await lived.owner.execute(f"LOCK TABLE {ROW}")
        hasty = lived.conninfo.replace("statement_timeout=10s", "statement_timeout=50ms")
        assert hasty != lived.conninfo
        checking = asyncio.create_task(check(hasty))
        await asyncio.sleep(0.15)
    assert (await checking).differences == []


# Up to a position, and one table alone


async def test_up_to_a_position_what_has_changed_since_is_not_compared(lived: World) -> None:
    until = await lived.head()
    changed = await orders(lived)
    others = [id for id in await lived.shown() if id != changed]
    await lived.change(changed, name="Sales")
    await lived.purge(await lived.create("Gone again"))
    await lived.project()
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x'")
    report = await check(lived.conninfo, to=until)
    assert (report.position, report.events, report.tables) == (until, 16, 3)
    assert sorted(report.differences) == sorted(
        difference
        for difference in (await check(lived.conninfo)).differences
        if any(str(id) in difference for id in others)
    )
    assert len(report.differences) == 3


async def test_up_to_a_position_beyond_the_last_everything_is_compared(lived: World) -> None:
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x'")
    report = await check(lived.conninfo, to=10**9)
    assert report == await check(lived.conninfo)
    assert len(report.differences) == 4
    assert (await check(lived.conninfo, to=0)).events == 0


async def test_a_row_that_the_read_model_has_not_changed_yet_is_compared(lived: World) -> None:
    """It shows what it was at the position of the read model, whatever happened after `to`."""
    until, id = await lived.head(), await orders(lived)
    await lived.change(id, name="Sales", slug="sales")
    assert (await check(lived.conninfo, to=until)).differences == []
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x' WHERE id = %s", (id,))
    (difference,) = (await check(lived.conninfo, to=until)).differences
    assert difference == f"table {id}, name: the events say 'Orders', found 'x'"


async def test_one_table_alone_is_compared_with_its_rows_everywhere(lived: World) -> None:
    id = await orders(lived)
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x'")
    await lived.owner.execute("DELETE FROM event_store.slugs")
    report = await check(lived.conninfo, only=id)
    assert (report.events, report.tables) == (1, 1)
    assert report.differences == [
        f"table {id}, name: the events say 'Orders', found 'x'",
        f"reservation of {id}: the events say that it is there, it is missing",
    ]
    assert (await check(lived.conninfo, only=lived.actor)) == Report(report.position)


async def test_several_processes_find_what_one_finds(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "SMALL", 0)
    monkeypatch.setattr(checking, "RANGE", 4)
    await lived.ask(STRAY, (await orders(lived),))
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x'")
    done: list[int] = []
    report = await check(lived.conninfo, processes=2, progress=done.append)
    assert report == await check(lived.conninfo, processes=1)
    assert (len(report.differences), max(done)) == (5, 16)


# Versions


@pytest.fixture
async def versions(lived: World) -> World:
    """A table has three names, and the read model of versions is built."""
    for name in ("Sales", "Purchases"):
        await lived.change(await orders(lived), name=name)
    await lived.project()
    await rebuild(lived.conninfo, HistoryProjection())
    return lived


async def test_the_command_names_each_difference_and_fails(lived: World) -> None:
    id = await orders(lived)
    await lived.owner.execute(f"UPDATE {ROW} SET name = 'x' WHERE id = %s", (id,))
    environment = {"DYNAMIC_TABLES_DATABASE_URL": lived.database}

    def replay(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["replay", "--check", *arguments], env=environment)

    for arguments in ((), ("--table", str(id))):
        told = await asyncio.to_thread(replay, *arguments)
        assert told.exit_code == 1
        assert told.stderr == f"table {id}, name: the events say 'Orders', found 'x'\n"
    nothing = await asyncio.to_thread(replay, "--to", "0")
    assert (nothing.exit_code, nothing.stderr) == (0, "")


async def test_each_version_is_compared(versions: World) -> None:
    id, rows = await orders(versions), f"{HISTORY}.versions"
    assert (await check(versions.conninfo)).differences == []
    for change in (
        f"UPDATE {rows} SET name = 'x' WHERE id = %s AND version = 1",
        f"DELETE FROM {rows} WHERE id = %s AND version = 2",
        f"UPDATE {rows} SET version = 4 WHERE id = %s AND version = 3",
    ):
        await versions.owner.execute(change, (id,))
    assert (await check(versions.conninfo)).differences[:4] == [
        f"version {id} v1, name: the events say 'Orders', found 'x'",
        f"version {id} v2: the events say that it is there, it is missing",
        f"version {id} v3: the events say that it is there, it is missing",
        f"version {id} v4: the events know nothing of it, it is there",
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("topic", "'TableDef.Restored'"), ("event_id", "gen_random_uuid()"),
        ("recorded_at", "recorded_at + interval '1 microsecond'"), ("actor_kind", "'key'"),
        ("command", "'other'"), ("reason", "'another'"), ("request_id", "'another'"),
        ("correlation_id", "'another'"), ("causation_id", "gen_random_uuid()"),
    ],
)  # fmt: skip
async def test_who_caused_a_version_and_why_is_compared(
    versions: World, column: str, value: str
) -> None:
    id, rows = await orders(versions), f"{HISTORY}.versions"
    change = f"UPDATE {rows} SET {column} = {value} WHERE id = %s AND version = 2"
    await versions.owner.execute(change, (id,))
    [difference] = (await check(versions.conninfo)).differences
    assert difference.startswith(f"version {id} v2, {column}: the events say ")


async def test_versions_are_compared_up_to_a_position(versions: World) -> None:
    """Also those of a table that has changed since."""
    id, rows = await orders(versions), f"{HISTORY}.versions"
    await versions.owner.execute(f"UPDATE {rows} SET name = 'x' WHERE id = %s", (id,))
    expected = [
        f"version {id} v{number}, name: the events say '{name}', found 'x'"
        for number, name in enumerate(("Orders", "Sales", "Purchases"), 1)
    ]
    assert (await check(versions.conninfo)).differences == expected
    head = await versions.head()
    assert (await check(versions.conninfo, to=head - 1)).differences == expected[:2]
    assert (await check(versions.conninfo, to=1)).differences == expected[:1]


# Erasure


async def erase(world: World, id: UUID) -> None:
    """Empty the events of a table; only an owner can who switches the trigger off."""
    async with world.owner.transaction():
        await world.owner.execute("SET LOCAL session_replication_role = replica")
        await world.owner.execute(
            "UPDATE event_store.events SET state = NULL, salt = NULL WHERE originator_id = %s",
            (id,),
        )


async def test_of_an_erased_table_there_should_be_nothing(lived: World) -> None:
    gone = (await lived.ask(f"SELECT min(id::text)::uuid FROM {SCHEMA}.purged_table_defs"))[0][0]
    await erase(lived, gone)
    report = await check(lived.conninfo)
    assert (report.differences, report.events, report.tables) == ([], 16, 4)
    stray = (await lived.ask(STRAY, (await orders(lived),)))[0][0]
    await lived.owner.execute(f"UPDATE {ROW} SET id = %s WHERE id = %s", (gone, stray))
    await lived.owner.execute(
        "INSERT INTO event_store.slugs VALUES (%s, 'kept', %s)", (lived.ours, gone)
    )
    assert (await check(lived.conninfo)).differences == [
        f"table {gone}: the events know nothing of it, it is there",
        f"reservation of {gone}: the events know nothing of it, it is there",
    ]


async def test_whose_last_event_says_that_it_was_erased_is_erased(lived: World) -> None:
    gone = (await lived.ask(f"SELECT min(id::text)::uuid FROM {SCHEMA}.purged_table_defs"))[0][0]
    await erase(lived, gone)
    position = await lived.append(gone, 4, "TableDef.Erased", {})
    assert (await check(lived.conninfo)).differences == []
    history = History([*lines(gone, "Created", "Deleted", "Purged"),
                       Line(gone.bytes, 4, "TableDef.Erased", b"{}", position, NOW)])  # fmt: skip
    kept = Kept("version of", "", {TableDef: lambda *_: {}}, versions=True)
    assert list(history.rows(kept, position)) == []
    assert len(list(history.rows(kept, position - 1))) == 4  # of which nobody can tell


def lines(id: UUID, *topics: str) -> list[Line]:
    """Events that were erased."""
    at = enumerate(topics, 1)
    return [Line(id.bytes, n, f"TableDef.{topic}", None, n, NOW) for n, topic in at]


@dataclass
class Column:
    name: str
    type_code: int = 0


async def test_true_is_not_one_in_json_that_only_some_of_the_rows_have() -> None:
    columns = [Column("id"), Column("version"), Column("settings", JSONB)]
    cursor: Any = SimpleNamespace(description=columns)
    rows = Rows(cursor, Kept("row", "", {}))

    def equal(expected: Any, sent: bytes | None) -> bool:
        return rows.equal({"id": 1, "version": 2, "settings": expected}, (1, 2, sent))

    assert equal(None, None)
    assert equal({"a": 10.0**300}, b'\x01{"a": 1%b}' % (b"0" * 300))
    assert not equal({"a": True}, b'\x01{"a": 1}')
    assert not equal({"a": True}, None)


async def test_a_live_table_that_lost_an_event_cannot_be_read(lived: World) -> None:
    id = await orders(lived)
    await erase(lived, id)
    (difference,) = (await check(lived.conninfo)).differences
    assert difference.startswith(f"table {id}: its events cannot be read")
