"""What a client is told when the network, the lock or the server fails: the truth, and soon."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Timer
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.roles import API_ROLE, PROJECTOR_ROLE, as_role
from application.errors import (
    AppendBusy,
    Fault,
    KeyReused,
    SlugTaken,
    StoreUnavailable,
    VersionConflict,
)
from application.event_store import session
from application.event_store.postgres import PostgresEventStore
from application.event_store.store import Append, Receipt
from domain.errors import UnreadableEvent
from tests.contracts.commands import command, creation, key, new_table, rename
from tests.contracts.proxy import (
    Proxy,
    cut_after_commit,
    cut_before_sending,
    cut_in_flight,
    lose,
    proxied,
)
from tests.contracts.stores import connected

pytestmark = pytest.mark.anyio

LOCK = "SELECT pg_advisory_lock(hashtextextended('event_store.append', 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('event_store.append', 0))"
POISON = """
INSERT INTO event_store.events
SELECT position + 1, company_id, originator_id, originator_version + 1, %s, %s, salt, %s,
       recorded_at
  FROM event_store.events ORDER BY position DESC LIMIT 1
"""


async def outcomes(store: PostgresEventStore, appends: list[Append]) -> list[Any]:
    """What each of these gets that are sent at once, so that they share a batch."""
    return await asyncio.gather(*map(store.append, appends), return_exceptions=True)


def stored(owner: Connection[Any], append: Append) -> int:
    """How many events of this command there are."""
    ids = [event.metadata.event_id for event in append.events]
    query = "SELECT count(*) FROM event_store.events WHERE event_id = ANY(%s)"
    return owner.execute(query, (ids,)).fetchall()[0][0]  # type: ignore[no-any-return]


@pytest.fixture
async def proxy(any_database: str) -> AsyncIterator[Proxy]:
    async with proxied(any_database) as proxy:
        yield proxy


@pytest.fixture
async def far_store(proxy: Proxy) -> AsyncIterator[PostgresEventStore]:
    """A store that reaches its database through the proxy, and has done so once."""
    store = PostgresEventStore(as_role(proxy.conninfo, API_ROLE))
    await store.append(creation(uuid4()))
    yield store
    await store.close()


@pytest.fixture
async def hasty_store(any_database: str) -> AsyncIterator[PostgresEventStore]:
    """A store that waits a second for a lock instead of two."""
    conninfo = as_role(any_database, API_ROLE)
    options = conninfo_to_dict(conninfo)["options"]
    hasty = make_conninfo(conninfo, options=f"{options} -c lock_timeout=1s")
    store = PostgresEventStore(hasty)
    yield store
    await store.close()


async def test_an_append_whose_acknowledgement_was_lost_succeeds(
    proxy: Proxy, far_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    append = creation(uuid4(), events=3)
    proxy.next_message(cut_after_commit)
    receipt = await far_store.append(append)
    last = (await far_store.load(append.company_id, append.originator_id))[-1]
    assert receipt == Receipt(append.originator_id, 3, last.position, last.recorded_at)
    assert stored(owner, append) == 3


async def test_an_append_that_was_on_the_way_when_the_connection_broke_succeeds(
    proxy: Proxy, far_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    append = creation(uuid4())
    proxy.next_message(cut_in_flight)
    assert (await far_store.append(append)).version == 1
    assert stored(owner, append) == 1


async def test_each_command_of_a_batch_whose_acknowledgement_was_lost_gets_its_own_answer(
    proxy: Proxy, far_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    company, table = uuid4(), new_table(uuid4())
    await far_store.append(creation(company, "orders"))
    await far_store.append(command(table))
    good = [creation(company, events=2, idempotency=key(str(n))) for n in range(20)]
    other, last = new_table(table.company_id), new_table(company)
    await far_store.append(command(other))
    await far_store.append(command(last, idempotency=key("used")))
    nothing = [
        command(table, position=3, idempotency=key("nothing")),
        command(other, position=4, idempotency=key("nothing either")),
    ]
    refused = [
        creation(company, "orders"),
        Append(company, uuid4(), 4),
        command(last, idempotency=key("used", "two")),
    ]
    proxy.next_message(cut_after_commit)
    answers = await outcomes(far_store, [*good, *nothing, *refused])
    assert [(a.originator_id, a.version) for a in answers[:20]] == [
        (append.originator_id, 2) for append in good
    ]
    assert [stored(owner, append) for append in good] == [2] * 20
    assert answers[20:22] == [await replayed(far_store, append) for append in nothing]
    # Nothing is known of a refused one: it may be sent again, and is refused again.
    assert [type(answer) for answer in answers[22:]] == [StoreUnavailable] * 3
    again = await outcomes(far_store, refused)
    assert [type(answer) for answer in again] == [SlugTaken, VersionConflict, KeyReused]


def test_the_process_that_a_batch_was_sent_to_is_waited_for_until_it_ends_a_second_at_most(
    any_database: str, owner: Connection[Any]
) -> None:
    def wait(backend: int) -> float:
        started = time.monotonic()
        owner.execute("SELECT event_store.resolve('[]', %s)", (backend,))
        return time.monotonic() - started

    assert wait(0) < 0.9, "there is none"
    with connected(any_database) as lost:
        backend = lost.info.backend_pid
        assert 1 <= wait(backend) < 5
        ending = Timer(0.2, lost.close)
        ending.start()
        assert 0.1 < wait(backend) < 0.9
        ending.join()


def test_what_became_of_a_batch_is_asked_for_under_the_lock(
    any_database: str, owner: Connection[Any]
) -> None:
    owner.execute(LOCK)
    with connected(any_database) as other, ThreadPoolExecutor() as threads:
        answer = threads.submit(other.execute, "SELECT event_store.resolve('[]', 0)")
        with pytest.raises(TimeoutError):
            answer.result(0.2)
        owner.execute(UNLOCK)
        answer.result(10)


async def test_nobody_is_told_that_nothing_was_stored_who_could_not_look(
    proxy: Proxy, owner: Connection[Any]
) -> None:
    conninfo = conninfo_to_dict(as_role(proxy.conninfo, API_ROLE))
    impatient = f"{conninfo['options']} -c lock_timeout=100ms"
    store = PostgresEventStore(make_conninfo("", **conninfo | {"options": impatient}))
    await store.append(creation(uuid4()))
    owner.execute(LOCK)
    proxy.next_message(cut_before_sending)
    with pytest.raises(StoreUnavailable, match="what was stored is unknown"):
        await store.append(creation(uuid4()))
    owner.execute(UNLOCK)
    await store.close()


async def test_a_store_that_failed_says_so_until_it_stores_again(any_database: str) -> None:
    store = PostgresEventStore(as_role(any_database, API_ROLE))
    assert store.is_storing
    with pytest.raises(StoreUnavailable):
        await store.append(Append(uuid4(), uuid4(), 2**40))  # more than the database can count
    assert not store.is_storing
    await store.append(creation(uuid4()))
    assert store.is_storing
    await store.close()


async def replayed(store: PostgresEventStore, append: Append) -> Receipt:
    """The receipt of a command as it was first given."""
    again = await store.append(append)
    assert again.replayed
    return Receipt(again.originator_id, again.version, again.position, again.recorded_at)


async def test_a_request_that_never_left_is_unavailable_and_the_next_one_works(
    proxy: Proxy, far_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    append = creation(uuid4(), "orders", idempotency=key("k"))
    proxy.next_message(cut_before_sending)
    with pytest.raises(StoreUnavailable):
        await far_store.append(append)
    assert stored(owner, append) == 0
    assert (await far_store.append(append)).version == 1
    assert stored(owner, append) == 1


async def test_a_lost_acknowledgement_is_not_counted_by_the_retry_with_the_same_key(
    proxy: Proxy, far_store: PostgresEventStore
) -> None:
    company = uuid4()
    proxy.next_message(cut_after_commit)
    first = await far_store.append(creation(company, idempotency=key("k")))
    again = await far_store.append(creation(company, idempotency=key("k")))
    assert (again.originator_id, again.position) == (first.originator_id, first.position)
    assert again.replayed


async def test_a_frozen_connection_is_given_up(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxied(database) as proxy:
        store = PostgresEventStore(as_role(proxy.conninfo, API_ROLE))
        await store.append(creation(uuid4()))
        monkeypatch.setattr(session, "ANSWER_TIMEOUT", 0.2)
        proxy.next_message(lose)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.append(creation(uuid4()))
        assert time.monotonic() - started < 10  # psycopg tries for 5 s to cancel the query
        assert (await store.append(creation(uuid4()))).version == 1
        await store.close()


async def test_a_broken_read_is_unavailable_and_the_next_one_works(
    proxy: Proxy, far_store: PostgresEventStore
) -> None:
    append = creation(uuid4())
    await far_store.append(append)
    await far_store.load(uuid4(), uuid4())
    proxy.next_message(cut_before_sending)
    with pytest.raises(StoreUnavailable):
        await far_store.load(append.company_id, append.originator_id)
    assert len(await far_store.load(append.company_id, append.originator_id)) == 1


async def test_no_database_is_unavailable_soon(tmp_path: Any) -> None:
    store = PostgresEventStore(as_role(f"postgresql://x@/x?host={tmp_path}", API_ROLE))
    started = time.monotonic()
    answers = await outcomes(store, [creation(uuid4()) for _ in range(20)])
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert time.monotonic() - started < 10, "not one after the other"
    assert not store.is_storing


async def test_a_lock_that_others_hold_fails_the_whole_queue_at_once(
    hasty_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    owner.execute(LOCK)
    started = time.monotonic()
    first = asyncio.create_task(hasty_store.append(creation(uuid4())))
    await asyncio.sleep(0.05)  # the first is waiting for the lock, the others for the first
    behind = [asyncio.create_task(hasty_store.append(creation(uuid4()))) for _ in range(50)]
    answers = await asyncio.gather(first, *behind, return_exceptions=True)
    assert {type(answer) for answer in answers} == {AppendBusy}
    assert 1 <= time.monotonic() - started < 1.95, "nobody waits for the lock after the first"
    owner.execute(UNLOCK)
    assert (await hasty_store.append(creation(uuid4()))).position == 1


@pytest.mark.parametrize("role", [API_ROLE, PROJECTOR_ROLE])
def test_a_process_waits_two_seconds_for_a_lock(database: str, role: str) -> None:
    with connected(as_role(database, role)) as connection:
        assert connection.execute("SHOW lock_timeout").fetchall() == [("2s",)]


async def test_reads_go_on_while_the_append_lock_is_held(
    postgres_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    append = creation(uuid4())
    await postgres_store.append(append)
    owner.execute(LOCK)
    waiting = asyncio.create_task(postgres_store.append(creation(uuid4())))
    await asyncio.sleep(0.02)
    assert len(await postgres_store.load(append.company_id, append.originator_id)) == 1
    assert len(await postgres_store.read(0, 10)) == 1
    assert not waiting.done()
    owner.execute(UNLOCK)
    assert (await waiting).position == 2


def bad_commands() -> list[Append]:
    """What no database can store, though the edge should have refused it long before."""
    twice = new_table(uuid4(), events=2)
    events = twice.collect()
    same_id = events[1].model_copy(update={"metadata": events[0].metadata})
    surrogate = new_table(uuid4()).collect()[0].model_copy(update={"name": "\ud800"})
    long_key = "".join(chr(0x4E00 + n) for n in range(9000))  # more than an index takes
    return [
        Append(twice.company_id, twice.id, 0, [events[0], same_id]),
        Append(surrogate.company_id, surrogate.originator_id, 0, [surrogate]),
        creation(uuid4(), "a\x00b"),
        creation(uuid4(), idempotency=key(long_key)),
        Append(uuid4(), uuid4(), 2**40),
    ]


async def test_one_command_of_fifty_that_breaks_the_batch_disturbs_no_other(
    postgres_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    for bad in bad_commands():
        appends = [creation(uuid4()) for _ in range(50)]
        answers = await outcomes(postgres_store, [*appends[:20], bad, *appends[20:]])
        assert isinstance(answers.pop(20), Exception)
        assert [type(answer) for answer in answers] == [Receipt] * 50
        assert [stored(owner, append) for append in appends] == [1] * 50
        assert stored(owner, bad) == 0


async def test_a_batch_that_is_retried_singly_does_not_wait_for_the_lock_again_and_again(
    hasty_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    await hasty_store.append(creation(uuid4()))
    breaking = creation(uuid4(), "a\x00b")
    owner.execute(LOCK)
    started = time.monotonic()
    answers = await outcomes(hasty_store, [breaking, *(creation(uuid4()) for _ in range(50))])
    assert all(isinstance(answer, Fault) for answer in answers)
    assert time.monotonic() - started < 10, "50 waits would take as many seconds"
    owner.execute(UNLOCK)


UNREADABLE = [
    ("TableDef.Unheard", b'{"occurredAt":"2026-01-01T00:00:00Z","data":{},"metadata":{}}'),
    ("TableDef.Renamed", b'{"occurredAt":"2026-01-01T00:00:00Z","data":{},"metadata":{}}'),
    ("TableDef.Renamed", b"not json"),
    ("TableDef.Renamed", b"[]"),
    ("TableDef.Renamed", b"\xff\xfe"),
    ("TableDef.Renamed", None),
]


async def test_an_unreadable_event_stops_its_own_aggregate_only(
    postgres_store: PostgresEventStore, owner: Connection[Any]
) -> None:
    for topic, state in UNREADABLE:
        healthy, broken = creation(uuid4()), new_table(uuid4())
        for append in (healthy, command(broken)):
            await postgres_store.append(append)
        owner.execute(POISON, (topic, state, uuid4()))
        wanted = [(broken.company_id, broken.id), (healthy.company_id, healthy.originator_id)]
        loads = [postgres_store.load(*identity) for identity in wanted * 10]
        answers: list[Any] = await asyncio.gather(*loads, return_exceptions=True)
        assert {type(answer) for answer in answers[::2]} == {UnreadableEvent}
        assert {len(answer) for answer in answers[1::2]} == {1}
        with pytest.raises(VersionConflict):
            await postgres_store.append(command(rename(broken)))
    assert (await postgres_store.append(creation(uuid4()))).version == 1


async def test_terminated_backends_lose_nothing_acknowledged_and_double_nothing(
    any_database: str, owner: Connection[Any]
) -> None:
    stores = [PostgresEventStore(as_role(any_database, API_ROLE)) for _ in range(3)]
    company, numbers = uuid4(), count()
    acknowledged: dict[str, UUID] = {}
    faults: Counter[type] = Counter()

    async def client(store: PostgresEventStore) -> None:
        while len(acknowledged) <= 300:
            name = f"intent-{next(numbers)}"
            while name not in acknowledged:
                try:
                    append = creation(company, events=2, idempotency=key(name))
                    acknowledged[name] = (await store.append(append)).originator_id
                except StoreUnavailable as fault:
                    faults[type(fault)] += 1

    async def killer() -> None:
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()"
            " ORDER BY random() LIMIT 1"
        )
        while len(acknowledged) <= 300:
            await asyncio.to_thread(owner.execute, query, (API_ROLE,))
            await asyncio.sleep(0.01)

    await asyncio.gather(killer(), *(client(store) for store in stores for _ in range(5)))
    for store in stores:
        await store.close()
    rows = owner.execute(
        "SELECT originator_id, count(*), max(originator_version) FROM event_store.events"
        " WHERE company_id = %s GROUP BY originator_id",
        (company,),
    ).fetchall()
    assert faults  # or nothing was interrupted, and nothing is shown
    assert Counter(acknowledged.values()) == Counter(row[0] for row in rows)
    assert {row[1:] for row in rows} == {(2, 2)}
