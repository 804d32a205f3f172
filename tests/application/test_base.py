"""Taking turns, and finding an aggregate again: what every command does."""

import asyncio
from uuid import UUID

import pytest

from application.base import Application, Turns, existing
from domain.errors import NotFound
from tests.application.callers import OURS, THEIRS, WatchedStore, ask
from tests.domain.vocabulary import context, new

pytestmark = pytest.mark.anyio


class Diary:
    """Notes who works when, under which key."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.pages: list[str] = []

    async def work(self, name: str, key: str | None) -> None:
        async with self.turns.of(key):
            self.pages.append(f"{name} begins")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.pages.append(f"{name} ends")


async def test_under_one_key_one_works_at_a_time_in_the_order_of_asking() -> None:
    diary = Diary()
    await asyncio.gather(*(diary.work(name, "k") for name in "abc"))
    assert diary.pages == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


@pytest.mark.parametrize("keys", [("k", "l"), (None, None)])
async def test_under_different_keys_or_none_nobody_waits(keys: tuple[str | None, ...]) -> None:
    diary = Diary()
    await asyncio.gather(*(diary.work(name, key) for name, key in zip("ab", keys, strict=True)))
    assert diary.pages[:2] == ["a begins", "b begins"]


async def test_who_goes_away_while_waiting_or_working_lets_the_next_one_in() -> None:
    diary = Diary()
    tasks = [asyncio.create_task(diary.work(name, "k")) for name in "abcd"]
    await asyncio.sleep(0)
    for leaving in (tasks[0], tasks[2]):
        leaving.cancel()
    await asyncio.wait(tasks)
    assert diary.pages == ["a begins", "b begins", "b ends", "d begins", "d ends"]


async def test_who_fails_lets_the_next_one_in() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        async with turns.of("k"):
            raise ZeroDivisionError
    async with asyncio.timeout(1), turns.of("k"):
        pass


async def test_a_newcomer_waits_behind_those_who_wait_already() -> None:
    diary = Diary()
    first, second = (asyncio.create_task(diary.work(name, "k")) for name in "ab")
    await first
    await diary.work("c", "k")
    assert diary.pages[-2:] == ["c begins", "c ends"]
    assert second.done()


async def test_no_key_is_remembered_when_nobody_needs_it_any_more() -> None:
    diary = Diary()
    await asyncio.gather(*(diary.work("a", f"k{n % 3}") for n in range(9)))
    assert diary.turns._locks == {}


async def test_what_does_not_exist_and_what_is_another_companys_look_the_same(
    store: WatchedStore,
) -> None:
    table = new()
    await Application(store).append(table, ask())
    recorded = await store.load(OURS, table.id)
    assert existing(recorded, OURS).version == 1
    for nothing in ([], recorded):
        with pytest.raises(NotFound):
            existing(nothing, THEIRS)


async def test_a_decision_to_do_nothing_stores_nothing(store: WatchedStore) -> None:
    application = Application(store)
    table = new()
    first = await application.append(table, ask())
    outcome = await application.execute(table.id, ask(), lambda table: None)
    assert (outcome.receipt, outcome.events, store.appends) == (first.receipt, (), 1)


async def test_a_decision_is_taken_anew_on_what_others_stored_in_between(
    store: WatchedStore,
) -> None:
    here, there = Application(store), Application(store)
    table = new()
    await here.append(table, ask())
    seen = []

    def delete_or_restore(table: "object") -> None:
        seen.append(table.version)  # type: ignore[attr-defined]
        (table.restore if table.deleted_at else table.delete)(context())  # type: ignore[attr-defined]

    outcomes = await asyncio.gather(
        *(process.execute(table.id, ask(), delete_or_restore) for process in (here, there))
    )
    assert seen == [1, 1, 2]
    assert sorted(outcome.receipt.version for outcome in outcomes) == [2, 3]


async def test_commands_on_one_aggregate_queue_up_instead_of_racing(store: WatchedStore) -> None:
    application = Application(store)
    table = new()
    await application.append(table, ask())
    await asyncio.gather(
        *(
            application.execute(
                table.id, ask(), lambda t: (t.restore if t.deleted_at else t.delete)(context())
            )
            for _ in range(20)
        )
    )
    assert store.appends == 21
    recorded = await store.load(OURS, table.id)
    assert [r.event.originator_version for r in recorded] == list(range(1, 22))


async def test_an_error_of_the_decision_stores_nothing(store: WatchedStore) -> None:
    application = Application(store)
    table = new()
    await application.append(table, ask())

    def fail(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await application.execute(table.id, ask("k"), fail)
    with pytest.raises(NotFound):
        await application.execute(UUID(int=404), ask("k"), fail)
    assert len(await store.everything()) == 1
