"""Webhooks, on 18 and on 15: what arrives, in which order, and when, whatever receivers do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from application.consumers.registry import Place
from application.webhooks import endpoints
from application.webhooks.attempts import JITTER, SCHEDULE, Answer, Message, patience
from application.webhooks.signing import shown
from tests.conftest import cloned, eventually, sized
from tests.contracts.sending import BROKEN, OK, SILENT, URL, Publisher, Receiver, publishing

pytestmark = pytest.mark.anyio
SECOND, MINUTE, HOUR = 1, 60, 3600
OTHER_URL = "https://elsewhere.example.com/"


@pytest.fixture(scope="module", params=["18", "15"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from cloned(request.getfixturevalue(f"postgres_{request.param}"))


@pytest.fixture
async def company(url: str) -> AsyncIterator[Publisher]:
    async with publishing(url) as made:
        yield made


def throttling(seconds: float, status: int = 429) -> Answer:
    return Answer(status, retry_after=seconds)


# In order, and whole


async def test_every_event_is_sent_once_and_in_order(company: Publisher) -> None:
    await company.fill(30)
    await company.hook()
    await company.send()
    assert company.receiver.taken == company.versions()
    assert await company.send() == 0, "nothing is due"
    await company.append(company.tables[0])
    await company.send()
    assert company.receiver.taken == company.versions()
    sent = await company.deliveries()
    assert {each.position for each in sent} == set(company.receiver.positions())
    assert {(each.attempt, each.error, each.status) for each in sent} == {(1, None, 204)}


async def test_what_is_sent_is_the_item_of_the_feed(company: Publisher) -> None:
    position = await company.append(company.tables[0])
    await company.hook()
    await company.send()
    [message] = company.receiver.messages
    item = json.loads(message.body)
    assert message.url == URL
    assert message.headers["webhook-id"] == item["id"]
    assert message.headers["content-type"] == "application/json"
    assert item["position"] == str(position)
    assert item["type"] == "dynamic-tables.table-def.renamed.v1"
    assert (item["companyId"], item["data"]) == (str(company.id), {"name": "Orders"})


async def test_tables_are_sent_at_the_same_time_but_each_one_after_the_other(
    company: Publisher,
) -> None:
    busy: set[str] = set()
    together = asyncio.Event()

    async def slowly(item: dict[str, Any]) -> Answer:
        assert item["tableId"] not in busy
        busy.add(item["tableId"])
        if len(busy) == 4:
            together.set()
        async with asyncio.timeout(5):
            await together.wait()
        await asyncio.sleep(0)
        busy.remove(item["tableId"])
        return OK

    company.receiver.mood = slowly
    await company.fill(3)
    await company.hook()
    await company.send()
    assert company.receiver.taken == company.versions()


async def test_a_receiver_that_was_down_for_an_hour_gets_everything_at_once(
    company: Publisher,
) -> None:
    await company.hook()
    company.receiver.mood = SILENT
    for _ in range(60):
        await company.fill(1)
        await company.send()
        company.later(MINUTE)
    assert company.receiver.taken == {}
    assert len(company.receiver.messages) < 40, "it is left alone most of the time"
    company.receiver.mood = OK
    company.later(2.3 * HOUR)
    await company.send()
    assert company.receiver.taken == company.versions()
    now = await company.endpoint()
    assert (now.failures, now.retry_at, now.last_error) == (0, None, None)


# Again, and again


async def test_an_event_is_tried_by_the_schedule_and_then_the_endpoint_is_paused(
    company: Publisher,
) -> None:
    await company.hook()
    first = await company.append(company.tables[0])
    company.receiver.mood = BROKEN
    for number, seconds in enumerate(SCHEDULE[1:], 1):
        await company.send()
        assert len(company.receiver.messages) == number
        company.later(seconds * (1 - JITTER) - 0.1)
        assert await company.send() == 0
        company.later(seconds * 2 * JITTER + 0.2)
    assert (await company.endpoint()).paused_at is None
    await company.send()
    assert len(company.receiver.messages) == len(SCHEDULE)
    paused = await company.endpoint()
    assert (paused.paused_for, paused.last_error) == ("failed", "answered 500")
    assert [each.attempt for each in await company.deliveries()] == [*range(1, 11)]
    later = await company.append(company.tables[0])
    company.later(1000 * HOUR)
    assert await company.send() == 0
    company.receiver.mood = OK
    await company.change(paused=False)
    await company.send()
    assert company.receiver.positions()[-2:] == [first, later]
    assert company.receiver.taken == company.versions()


async def test_a_receiver_that_refuses_everything_is_given_up_after_as_long(
    company: Publisher,
) -> None:
    await company.hook()
    company.tables = [*company.tables, *company.successor().tables]
    company.receiver.mood = BROKEN
    hours = 0
    while (await company.endpoint()).paused_at is None:
        await company.append(company.tables[hours % 8])
        await company.send()
        company.later(HOUR)
        hours += 1
    assert 0.9 * sum(SCHEDULE) < hours * HOUR < 1.3 * sum(SCHEDULE)
    company.receiver.mood = OK
    await company.change(paused=False)
    await company.send()
    assert company.receiver.taken == company.versions()


def test_attempts_are_spread_by_a_tenth() -> None:
    for attempts, seconds in enumerate(SCHEDULE[1:], 1):
        drawn = [patience(attempts) for _ in range(200)]
        assert all(0.9 * seconds <= each <= 1.1 * seconds for each in drawn)
        assert max(drawn) - min(drawn) > 0.1 * seconds
    assert SCHEDULE == (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)


async def test_an_event_that_is_always_refused_holds_back_its_own_table_alone(
    company: Publisher,
) -> None:
    await company.hook()
    poisoned = company.tables[0]
    company.receiver.moods[poisoned] = BROKEN
    for seconds in (*SCHEDULE[1:], HOUR):
        for table in company.tables:
            await company.append(table)
            await company.send()
        company.later(1.1 * seconds + 1)
    expected = company.versions()
    del expected[poisoned]
    assert company.receiver.taken == expected
    assert (await company.endpoint()).paused_at is None
    assert [each.attempt for each in await company.deliveries() if each.error] == [*range(1, 11)]
    del company.receiver.moods[poisoned]
    await company.change(again=True)
    await company.send()
    assert company.receiver.taken == company.versions()


async def test_a_single_event_that_is_refused_for_hours_does_not_delay_the_next_of_another_table(
    company: Publisher,
) -> None:
    """Also when nothing else is sent meanwhile that could tell that the receiver is well."""
    await company.hook()
    poisoned, other, *_ = company.tables
    company.receiver.moods[poisoned] = BROKEN
    await company.append(poisoned)
    for _ in range(12 * 6):
        await company.send()
        company.later(10 * MINUTE)
    assert len(company.receiver.messages) >= 5
    await company.append(other)
    await company.send()
    assert company.receiver.taken[other] == [1]


async def test_a_receiver_that_comes_and_goes_does_not_use_up_the_attempts_of_what_waits(
    company: Publisher,
) -> None:
    """When it works again what waits is tried at once, however often that happens."""
    await company.hook()
    refused, other, *_ = company.tables
    company.receiver.mood = BROKEN
    await company.append(refused)
    for seconds in SCHEDULE[1:]:
        await company.send()
        company.later(0 if seconds == SCHEDULE[-1] else 1.1 * seconds + 1)
    assert len(company.receiver.messages) == len(SCHEDULE) - 1
    await company.append(other)
    await company.send()
    company.receiver.moods[other] = OK
    company.later(6)
    await company.send()
    assert company.receiver.taken == {other: [1]}
    assert len(company.receiver.messages) == len(SCHEDULE) + 2, "it was tried again"
    company.receiver.mood = OK
    company.later(MINUTE)
    await company.send()
    assert company.receiver.taken == company.versions()


async def test_410_pauses_until_somebody_says_so(company: Publisher) -> None:
    await company.hook()
    await company.fill(1)
    company.receiver.mood = Answer(410)
    await company.send()
    assert (await company.endpoint()).paused_for == "gone"
    tried = len(company.receiver.messages)
    company.later(1000 * HOUR)
    assert await company.send() == 0
    assert len(company.receiver.messages) == tried
    company.receiver.mood = OK
    await company.change(paused=False)
    await company.send()
    assert company.receiver.taken == company.versions()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    company: Publisher, status: int
) -> None:
    await company.hook()
    first, *others = company.tables
    company.receiver.moods[first] = throttling(3 * HOUR, status)
    await company.append(first)
    await company.send()
    company.receiver.moods.clear()
    for table in others:
        await company.append(table)
    company.later(3 * HOUR - 1)
    assert await company.send() == 0
    company.later(2)
    await company.send()
    assert company.receiver.taken == company.versions()


async def test_what_was_taken_meanwhile_does_not_shorten_the_time_that_was_asked_for(
    company: Publisher,
) -> None:
    await company.hook()
    *tables, unsent = company.tables
    begun = 0

    async def answer(after: int, answer: Answer) -> Answer:
        """Once all three are under way, and so many of them were dealt with."""
        nonlocal begun
        begun += 1

        async def is_turn() -> bool:
            return begun == 3 and len(await company.deliveries()) == after

        await eventually(is_turn)
        return answer

    for turn, (table, mood) in enumerate(
        zip(tables, (throttling(HOUR), throttling(1), OK), strict=True)
    ):
        company.receiver.moods[table] = lambda _, turn=turn, mood=mood: answer(turn, mood)
        await company.append(table)
    await company.send()
    assert [each.status for each in await company.deliveries()] == [429, 429, 204]
    await company.append(unsent)
    company.later(HOUR - 10)
    assert await company.send() == 0


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_receiver_that_asks_for_little_time_is_not_given_up_sooner(
    company: Publisher, seconds: int
) -> None:
    await company.hook()
    company.tables = [table for _ in range(5) for table in company.successor().tables]
    await company.fill(1)
    company.receiver.mood = throttling(seconds)
    for _ in range(120):
        await company.send()
        company.later(1)
    assert (await company.endpoint()).paused_at is None
    assert len(company.receiver.messages) < 40


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 500, 999])
async def test_only_2xx_is_success(company: Publisher, status: int) -> None:
    await company.hook()
    await company.append(company.tables[0])
    company.receiver.mood = Answer(status, text="moved")
    await company.send()
    [sent] = await company.deliveries()
    assert (sent.status, sent.answer) == (status, "moved")
    assert (sent.error or "").startswith(f"answered {status}")
    company.receiver.mood = Answer(299)
    company.later(6)
    await company.send()
    assert company.receiver.taken == company.versions()


# Changed meanwhile


async def test_a_paused_endpoint_gets_nothing_and_then_everything(company: Publisher) -> None:
    await company.hook(paused=True)
    await company.fill(2)
    assert await company.send() == 0
    assert (await company.endpoint()).paused_for == "asked"
    await company.change(paused=False)
    await company.send()
    assert company.receiver.taken == company.versions()
    await company.change(paused=True)
    await company.fill(2)
    company.later(1000 * HOUR)
    assert await company.send() == 0
    await company.change(paused=False)
    await company.send()
    assert company.receiver.taken == company.versions()


async def test_a_pause_takes_effect_after_the_event_that_is_under_way(company: Publisher) -> None:
    await company.hook()
    table = company.tables[0]
    for _ in range(3):
        await company.append(table)

    async def pausing(item: dict[str, Any]) -> Answer:
        await company.change(paused=True)
        return OK

    company.receiver.mood = pausing
    await company.send()
    assert company.receiver.taken == {table: [1]}
    company.receiver.mood = OK
    await company.change(paused=False)
    await company.send()
    assert company.receiver.taken == company.versions()


async def test_another_url_takes_effect_at_once_and_what_waited_is_tried_there(
    company: Publisher,
) -> None:
    await company.hook()
    await company.fill(2)
    company.receiver.mood = BROKEN
    for _ in range(4):
        await company.send()
        company.later(301)
    company.receiver.mood = OK
    company.receiver.messages.clear()
    await company.change(url=OTHER_URL)
    await company.send()
    assert {each.url for each in company.receiver.messages} == {OTHER_URL}
    assert company.receiver.taken == company.versions()


async def test_what_follows_in_a_batch_goes_to_the_new_url(company: Publisher) -> None:
    await company.hook()
    for _ in range(3):
        await company.append(company.tables[0])

    async def moving(item: dict[str, Any]) -> Answer:
        await company.change(url=OTHER_URL)
        return OK

    company.receiver.mood = moving
    await company.send()
    assert [each.url for each in company.receiver.messages] == [URL, OTHER_URL, OTHER_URL]


async def test_only_what_is_wanted_is_sent(company: Publisher) -> None:
    table, other, *_ = company.tables
    wanted = []
    for topic in ("TableDef.Created", "TableDef.Renamed", "TableDef.Deleted"):
        wanted.append(await company.append(table, topic))
        await company.append(other, topic)
    await company.hook(topics=frozenset({"TableDef.Deleted"}))
    await company.send()
    assert company.receiver.taken == {table: [3], other: [3]}
    company.receiver.messages.clear()
    await company.hook(originator_id=table)
    await company.send()
    assert company.receiver.positions() == wanted
    await company.hook(start=Place(wanted[1]), originator_id=table)
    company.receiver.messages.clear()
    await company.send()
    assert company.receiver.positions() == wanted[2:]


async def test_what_is_not_wanted_any_more_is_not_tried_again(company: Publisher) -> None:
    await company.hook()
    refused, wanted, *_ = company.tables
    company.receiver.moods[refused] = BROKEN
    await company.append(refused)
    await company.append(wanted)
    await company.send()
    await company.change(originator_id=wanted)
    company.receiver.messages.clear()
    company.later(HOUR)
    last = await company.append(wanted)
    await company.send()
    assert company.receiver.positions() == [last]
    company.later(HOUR)
    assert await company.send() == 0


async def test_an_event_that_is_refused_while_it_stops_to_be_wanted_is_recorded_and_let_go(
    company: Publisher,
) -> None:
    await company.hook()
    refused, wanted, *_ = company.tables
    await company.append(refused)

    async def changing(item: dict[str, Any]) -> Answer:
        await company.change(originator_id=wanted)
        return BROKEN

    company.receiver.moods[refused] = changing
    await company.send()
    assert [each.error for each in await company.deliveries()] == ["answered 500"]
    last = await company.append(wanted)
    await company.send()
    assert company.receiver.positions()[1:] == [last], "no lease is in the way"


async def test_a_deleted_endpoint_is_sent_nothing_more(company: Publisher) -> None:
    await company.hook()
    for _ in range(3):
        await company.append(company.tables[0])

    async def deleting(item: dict[str, Any]) -> Answer:
        await company.forget_others()
        return OK

    company.receiver.mood = deleting
    await company.send()
    assert len(company.receiver.messages) == 1


async def test_a_restored_backup_pauses_until_somebody_knows(company: Publisher) -> None:
    await company.hook()
    await company.fill(2)
    await company.send()
    await company.rewind()
    company.receiver.taken.clear()
    await company.append(company.tables[0])
    await company.send()
    assert (await company.endpoint()).paused_for == "rewound"
    assert company.receiver.taken == {}
    await company.change(paused=False)
    await company.append(company.tables[0])
    await company.send()
    assert company.receiver.taken == {company.tables[0]: [2]}


# Signatures


async def signed(company: Publisher, overlap: float | None) -> tuple[Message, list[str]]:
    """A message of now, and the secrets that there were before and after a rotation."""
    company.now = datetime.now(UTC)
    before = await company.hook()
    secrets = [shown(before.secret)]
    if overlap is not None:
        rotated = await company.act(lambda c: endpoints.rotate(c, before, company.id, overlap))
        secrets.append(shown(rotated.secret))
        company.now = datetime.now(UTC)
    await company.append(company.tables[0])
    await company.send()
    return company.receiver.messages[-1], secrets


async def test_a_message_verifies_with_its_secret_and_not_when_it_was_changed(
    company: Publisher,
) -> None:
    message, [secret] = await signed(company, None)
    item = Webhook(secret).verify(message.body, dict(message.headers))
    assert item["id"] == message.headers["webhook-id"]
    moment = int(message.headers["webhook-timestamp"])
    for body, changed in (
        (message.body + b" ", {}),
        (message.body.replace(b"Orders", b"Borders"), {}),
        (message.body, {"webhook-timestamp": str(moment + 1)}),
        (message.body, {"webhook-timestamp": str(moment - 600)}),
        (message.body, {"webhook-id": "another"}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, {**message.headers, **changed})


async def test_while_a_secret_is_replaced_both_verify(company: Publisher) -> None:
    message, secrets = await signed(company, MINUTE)
    for secret in secrets:
        assert Webhook(secret).verify(message.body, dict(message.headers))
    company.later(MINUTE)
    await company.append(company.tables[0])
    await company.send()
    await only_the_new_one_verifies(company.receiver.messages[-1], *secrets)


async def test_without_an_overlap_only_the_new_secret_verifies(company: Publisher) -> None:
    message, secrets = await signed(company, 0)
    await only_the_new_one_verifies(message, *secrets)


async def only_the_new_one_verifies(message: Message, old: str, new: str) -> None:
    assert Webhook(new).verify(message.body, dict(message.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(message.body, dict(message.headers))


# Whoever dies


async def test_what_a_sender_that_dies_had_sent_is_sent_again(company: Publisher) -> None:
    await company.hook()
    for _ in range(3):
        await company.append(company.tables[0])
    await die_after(company, 2)
    assert company.receiver.taken == {company.tables[0]: [1, 2]}
    await company.send()
    assert company.receiver.taken == {company.tables[0]: [1, 2]}, "its lease goes on"
    company.later(31)
    await company.send()
    assert company.receiver.taken == {company.tables[0]: [1, 2, 2, 3]}


async def die_after(company: Publisher, messages: int) -> None:
    """Send until so many messages were taken, and keep nothing of the last."""
    left = messages
    dying = asyncio.Event()
    receiver = company.receiver

    class Deadly(Receiver):
        async def post(self, message: Message) -> Answer:
            nonlocal left
            answer = await receiver.post(message)
            left -= 1
            if left <= 0:
                dying.set()
                await asyncio.sleep(60)
            return answer

    company.receiver = Deadly()
    sending = asyncio.create_task(company.send())
    death = asyncio.create_task(dying.wait())
    await asyncio.wait({sending, death}, return_when=asyncio.FIRST_COMPLETED)
    for task in (sending, death):
        task.cancel()
    await asyncio.gather(sending, death, return_exceptions=True)
    company.receiver = receiver


# Whatever happens

Step = Callable[[Publisher], Awaitable[object]]
TABLE = st.integers(0, 3)
MOODS = [OK, OK, OK, BROKEN, SILENT, throttling(20), throttling(0, 503)]


def appending(table: int, count: int) -> Step:
    async def append(company: Publisher) -> None:
        for _ in range(count):
            await company.append(company.tables[table])

    return append


def feeling(table: int, mood: Answer) -> Step:
    async def feel(company: Publisher) -> None:
        company.receiver.moods[company.tables[table]] = mood

    return feel


def waiting(seconds: int) -> Step:
    async def wait(company: Publisher) -> None:
        company.later(seconds)

    return wait


def dying(messages: int) -> Step:
    return lambda company: die_after(company, messages)


def pausing(paused: bool) -> Step:
    return lambda company: company.change(paused=paused)


STEPS = st.one_of(
    st.builds(appending, TABLE, st.integers(1, 3)),
    st.builds(feeling, TABLE, st.sampled_from(MOODS)),
    st.builds(waiting, st.sampled_from([1, 6, 31, 400, 3 * HOUR, 30 * HOUR])),
    st.just(Publisher.send),
    st.just(Publisher.send),
    st.builds(dying, st.integers(1, 5)),
    st.builds(pausing, st.booleans()),
)


@settings(
    max_examples=sized(12, 200),
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=8, max_size=40))
async def test_whatever_happens_each_table_is_taken_in_order_and_whole(
    company: Publisher, steps: list[Step]
) -> None:
    company = company.successor()
    await company.forget_others()
    await company.hook()
    await company.fill(1)
    for step in steps:
        await step(company)
        for table, versions in company.receiver.firsts().items():
            assert versions == company.versions()[table][: len(versions)]
    company.receiver.moods.clear()
    company.later(100 * HOUR)
    await company.change(paused=True)
    await company.change(paused=False)
    await company.send()
    assert company.receiver.firsts() == company.versions()
    taken = {each.position for each in await company.deliveries() if each.error is None}
    assert taken == {position for of in company.events.values() for position in of}
