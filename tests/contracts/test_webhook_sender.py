"""Who sends, on 18 and on 15: nobody keeps others from their turn, and the dead are replaced."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.roles import PROJECTOR_ROLE, as_role
from application.webhooks import sender
from application.webhooks.attempts import Answer
from application.webhooks.sender import AT_ONCE, SHARE, Sender
from tests.conftest import cloned, eventually
from tests.contracts.sending import OK, Publisher, Receiver, publishing

pytestmark = pytest.mark.anyio
AT_ONCE_IS = 10  # seconds, on a busy machine
LISTENING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE query LIKE '%%webhooks.endpoints e%%' AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="module", params=["18", "15"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from cloned(request.getfixturevalue(f"postgres_{request.param}"))


@pytest.fixture
async def company(url: str) -> AsyncIterator[Publisher]:
    async with publishing(url) as made:
        yield made


@contextlib.asynccontextmanager
async def running(company: Publisher, url: str) -> AsyncIterator[asyncio.Task[None]]:
    """A sender as the process runs it; killed afterwards."""
    made = Sender(as_role(url, PROJECTOR_ROLE), company.transact, company.receiver.post)
    task = asyncio.create_task(made.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def hanging(item: dict[str, Any]) -> Answer:
    await asyncio.sleep(60)
    return OK


async def got(receiver: Receiver, company: Publisher, within: float = AT_ONCE_IS) -> None:
    """Wait until a receiver took all that there is of the company."""

    async def has_all() -> bool:
        return all(receiver.firsts().get(t) == of for t, of in company.versions().items())

    await eventually(has_all, within)


async def test_what_happens_is_sent_at_once(company: Publisher, url: str) -> None:
    await company.hook()
    async with running(company, url):
        for _ in range(3):
            await company.fill(1)
            await got(company.receiver, company)


async def test_many_endpoints_of_one_company_that_hang_hold_up_no_other(
    company: Publisher, url: str
) -> None:
    other = company.successor()
    for _ in range(AT_ONCE + 10):
        await company.hook()
    await company.fill(1)
    company.receiver.moods |= dict.fromkeys(company.tables, hanging)
    async with running(company, url):

        async def full() -> bool:
            return len(company.receiver.messages) >= 4 * SHARE

        await eventually(full)
        await other.hook()
        await other.fill(1)
        await got(company.receiver, other)
        assert len(company.receiver.messages) <= 4 * SHARE + 4


async def test_companies_that_always_have_something_leave_others_their_turn(
    company: Publisher, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "AT_ONCE", 2)
    monkeypatch.setattr(sender, "TURN", timedelta(seconds=0.2))
    monkeypatch.setattr(sender, "POLL", 0.1)

    async def slowly(item: dict[str, Any]) -> Answer:
        await asyncio.sleep(0.5)
        return OK

    for each in (company, company.successor()):
        await each.hook()
        await each.fill(12)
        company.receiver.moods |= dict.fromkeys(each.tables, slowly)
    other = company.successor()
    async with running(company, url):

        async def busy() -> bool:
            return len(company.receiver.messages) >= 8

        await eventually(busy)
        await other.hook()
        await other.fill(1)
        await got(company.receiver, other)
        assert len(company.receiver.taken[company.tables[0]]) < 12


async def test_what_a_dead_sender_had_is_sent_by_another_at_once(
    company: Publisher, url: str
) -> None:
    await company.hook()
    await company.fill(2)
    company.receiver.mood = hanging
    async with running(company, url):

        async def has_all() -> bool:
            return len(company.receiver.messages) == 4

        await eventually(has_all)
        company.receiver.mood = OK
        async with running(company, url):
            await asyncio.sleep(1.3)
            assert len(company.receiver.messages) == 4, "the first one lives, and has its lease"
    began = time.monotonic()
    async with running(company, url):
        await got(company.receiver, company)
    assert time.monotonic() - began < AT_ONCE_IS


async def test_a_sender_survives_that_its_connection_breaks(company: Publisher, url: str) -> None:
    await company.hook()
    async with running(company, url):
        await company.fill(1)
        await got(company.receiver, company)
        await company.owner.execute(LISTENING)
        await company.fill(1)
        await got(company.receiver, company, 5)


async def test_a_sender_that_is_given_nothing_to_read_by_one_endpoint_serves_the_others(
    company: Publisher, url: str
) -> None:
    """An event that this release cannot show is no reason to stop."""
    other = company.successor()
    await other.hook()
    await company.hook()
    await company.owner.execute(
        "INSERT INTO event_store.events (position, company_id, originator_id, originator_version,"
        " topic, state, salt, event_id, recorded_at)"
        " SELECT coalesce(max(position), 0) + 1, %s, %s, 1, 'TableDef.Renamed', 'no JSON', '',"
        " gen_random_uuid(), now() FROM event_store.events",
        (company.id, company.tables[0]),
    )
    async with running(company, url):
        await other.fill(1)
        await got(company.receiver, other)


async def test_what_was_sent_a_month_ago_is_forgotten(company: Publisher, url: str) -> None:
    await company.hook()
    for days in (31, 29):
        company.now = datetime.now(UTC) - timedelta(days=days)
        await company.append(company.tables[0])
        await company.send()
    _, second = await company.deliveries()
    async with running(company, url):

        async def is_forgotten() -> bool:
            return await company.deliveries() == [second]

        await eventually(is_forgotten)
