"""What a process knows of what it changed last: never another answer, only a quicker one."""

import asyncio
import re
import weakref
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from application.base import Outcome, Request
from application.earlier import Earlier
from application.errors import AppendBusy
from application.known import Known
from application.table_defs import TableDefs
from domain.table_def import TableDef
from tests.application.callers import OURS, THEIRS, WatchedStore, ask, changes, details
from tests.conftest import sized
from tests.domain.vocabulary import TABLE, change, context, new, state

pytestmark = pytest.mark.anyio

HERE, THERE = 0, 1
ANY_ID = re.compile("[0-9a-f-]{36}")
OWN = {"originator_id", "metadata"}  # what differs between any two stores
SELDOM = ["slug", "purge", "erase", "revert"]
NAMES = st.sampled_from(["Orders", "Sales", "Bills"])


@dataclass(frozen=True)
class Deed:
    """What somebody asks one of two processes for; `off`: how old the version is that they know."""

    process: int
    verb: str
    name: str = "Sales"
    key: str | None = None
    off: int | None = None
    dry_run: bool = False
    company: UUID = OURS


DEEDS = st.builds(
    Deed,
    st.sampled_from([HERE, HERE, THERE]),
    st.sampled_from(["rename", "settings"] * 3 + ["delete", "restore"] * 2 + SELDOM),
    NAMES,
    st.sampled_from([None, None, "k", "l"]),
    st.sampled_from([None, None, 0, 1]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([OURS, OURS, OURS, THEIRS]),
)


class World:
    """A store and those who write to it: a table to change, and another that holds a slug."""

    def __init__(self) -> None:
        self.store = WatchedStore()
        self.processes = [TableDefs(self.store), TableDefs(self.store)]
        self.id = UUID(int=0)

    async def begin(self) -> None:
        self.id = (await self.processes[HERE].create(ask(), details("Orders"))).aggregate.id
        await self.processes[HERE].create(ask(), details("Bills"))

    async def do(self, deed: Deed, process: TableDefs) -> object:
        """What the caller is told, without what differs between any two stores."""
        version = len(await self.store.load(OURS, self.id))
        request = ask(
            deed.key,
            f"{deed.verb} {deed.name} {deed.off}",
            company=deed.company,
            if_match=None if deed.off is None else [version - deed.off],
            dry_run=deed.dry_run,
        )
        try:
            return told(await command(process, self.id, request, deed))
        except Exception as error:
            return type(error), ANY_ID.sub("", str(error))

    async def history(self) -> Sequence[object]:
        recorded = await self.store.load(OURS, self.id)
        return [(r.position, r.event.TOPIC, r.event.model_dump(exclude=OWN)) for r in recorded]


def command(process: TableDefs, id: UUID, request: Request, deed: Deed) -> Any:
    match deed.verb:
        case "rename":
            return process.change(id, request, changes(name=deed.name))
        case "slug":
            return process.change(id, request, changes(slug=deed.name.lower()))
        case "settings":
            return process.change(id, request, changes(settings={"last": deed.name}))
        case "erase":
            return process.purge(id, request, erase=True)
        case "revert":
            return process.revert(id, request, Earlier(version=1))
    return getattr(process, deed.verb)(id, request)


def told(outcome: Outcome) -> object:
    receipt = outcome.receipt
    return (
        {key: value for key, value in state(outcome.aggregate).items() if key != "_id"},
        (receipt.version, receipt.position, receipt.replayed, outcome.began),
        [(event.TOPIC, event.model_dump(exclude=OWN)) for event in outcome.events],
    )


@given(st.lists(DEEDS, min_size=5, max_size=15))
@example([Deed(HERE, "rename"), Deed(HERE, "rename", "Bills", off=1)])
@example([Deed(HERE, "rename"), Deed(THERE, "delete"), Deed(HERE, "purge")])
@example([Deed(HERE, "rename"), Deed(THERE, "rename", "Bills"), Deed(HERE, "rename")])
@example(
    [
        Deed(HERE, "settings"),
        Deed(HERE, "rename", dry_run=True),
        Deed(THERE, "rename", "Bills"),
        Deed(HERE, "settings", "Bills"),
    ]
)
@settings(max_examples=sized(60, 3_000))
async def test_two_who_know_give_the_answers_of_those_who_look_each_time(
    deeds: Sequence[Deed],
) -> None:
    known, anew = World(), World()
    await known.begin()
    await anew.begin()
    for deed in deeds:
        expected = await anew.do(deed, TableDefs(anew.store))
        assert await known.do(deed, known.processes[deed.process]) == expected
        assert await known.history() == await anew.history()


async def test_who_changed_a_table_does_not_load_it_to_change_it_again(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    id = (await table_defs.create(ask(), details())).aggregate.id
    for number in range(5):
        await table_defs.change(id, ask(f"k{number}"), changes(name=f"Orders {number}"))
    await table_defs.delete(id, ask(if_match=[6]))
    assert (store.loads, store.appends) == (1, 7)


async def test_who_knows_an_outdated_table_can_put_it_back_to_a_moment(
    table_defs: TableDefs, elsewhere: TableDefs
) -> None:
    id = (await table_defs.create(ask(), details())).aggregate.id
    changed = await table_defs.change(id, ask(), changes(name="A"))
    await elsewhere.change(id, ask(), changes(name="B"))
    now = replace(context(), occurred_at=datetime.now(UTC))
    moment = Earlier(as_of=changed.receipt.recorded_at)
    outcome = await table_defs.revert(id, replace(ask(), context=now), moment)
    assert (outcome.aggregate.name, outcome.aggregate.version) == ("A", 4)


async def test_an_answer_is_not_changed_by_what_happens_to_the_table_later(
    table_defs: TableDefs,
) -> None:
    id = (await table_defs.create(ask(), details())).aggregate.id
    names = ["A", "B", "C"]
    outcomes = [await table_defs.change(id, ask(), changes(name=name)) for name in names]
    assert [outcome.aggregate.name for outcome in outcomes] == names


async def test_a_change_whose_fate_is_unknown_does_no_harm(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    id = (await table_defs.create(ask(), details())).aggregate.id
    await table_defs.change(id, ask(), changes(name="A"))
    store.failures = [AppendBusy()]
    with pytest.raises(AppendBusy):
        await table_defs.change(id, ask(), changes(name="B"))
    outcome = await table_defs.change(id, ask(), changes(slug="c"))
    assert (outcome.aggregate.name, outcome.aggregate.version) == ("A", 3)


async def test_another_event_at_the_version_that_is_known_is_a_conflict(
    table_defs: TableDefs, store: WatchedStore
) -> None:
    """As after a backup was put back, to which others have written since."""
    other = await table_defs.create(ask(), details())
    id = (await table_defs.create(ask(), details())).aggregate.id
    await table_defs.change(id, ask(), changes(name="Lost"))
    store.lose_the_last()
    await table_defs.change(other.aggregate.id, ask(), changes(name="Others"))
    await TableDefs(store).change(id, ask(), changes(slug="kept"))
    outcome = await table_defs.change(id, ask(), changes(description="D"))
    assert (outcome.aggregate.name, outcome.aggregate.slug) == ("Orders", "kept")


@pytest.fixture
def table() -> TableDef:
    table = new(settings={"a": {"b": 1}})
    table.collect()
    return table


async def test_a_state_is_given_to_its_company_alone_and_stays_as_it_is(table: TableDef) -> None:
    known = Known()
    known.keep(OURS, table, 7)
    assert known.get(THEIRS, TABLE) is None
    for _ in range(2):
        given = known.get(OURS, TABLE)
        assert given
        assert (state(given.aggregate), given.position) == (state(table), 7)
        change(name="Sales", settings={"a": {"b": 2}})(given.aggregate, context())
    known.forget(OURS, TABLE)
    assert known.get(OURS, TABLE) is None


@pytest.mark.parametrize("end", [TableDef.delete, TableDef.purge, TableDef.erase])
async def test_what_is_not_live_is_forgotten(table: TableDef, end: Callable[..., None]) -> None:
    known = Known()
    known.keep(OURS, copy(table), 6)
    table.delete(context())
    if end is not TableDef.delete:
        end(table, context())
    known.keep(OURS, table, 7)
    assert known.get(OURS, TABLE) is None


async def test_no_more_is_kept_than_has_room_and_what_was_changed_last_is(table: TableDef) -> None:
    known = Known(size=2_000)
    twins = [copy(table) for _ in range(50)]
    for number, twin in enumerate(twins):
        vars(twin)["_id"] = UUID(int=number)
        known.keep(OURS, twin, number)
    kept = [number for number in range(50) if known.get(OURS, UUID(int=number))]
    assert kept == [*range(50 - len(kept), 50)]
    assert 2 <= len(kept) <= 10


async def test_where_there_is_no_room_nothing_is_kept(table: TableDef) -> None:
    known = Known(size=0)
    known.keep(OURS, table, 7)
    assert known.get(OURS, TABLE) is None


async def test_what_is_old_leaves_the_memory_although_nobody_asks() -> None:
    known, aggregate = Known(seconds=0.01), new()
    known.keep(OURS, aggregate, 7)
    held = weakref.ref(aggregate)
    del aggregate
    assert held() is not None
    await asyncio.sleep(0.05)
    assert held() is None


def test_a_copy_has_recorded_nothing(table: TableDef) -> None:
    change(name="Sales")(table, context())
    twin = copy(table)
    assert (twin.pending_events, len(table.pending_events)) == ([], 1)
