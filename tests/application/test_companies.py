"""What is done with companies: each request is about the company that it comes from."""

from collections.abc import Awaitable, Callable

import pytest

from application.base import Outcome, Request, Stale
from application.companies import Companies
from application.errors import KeyReused
from application.event_store.store import IdempotencyKey
from domain.company import Company
from domain.company_details import CompanyChanges, CompanyDetails
from domain.errors import CompanyRemoved, NotFound
from tests.application.callers import OURS, THEIRS, WatchedStore, all_of, ask
from tests.domain.vocabulary import NOON, parsed, state

pytestmark = pytest.mark.anyio

Use = Callable[[Companies, Request], Awaitable[Outcome]]
ACME = CompanyDetails(name="Acme")


async def change(companies: Companies, request: Request) -> Outcome:
    changes = parsed(CompanyChanges, name="Acme Ltd", settings={"requireIfMatch": True})
    return await companies.change(request, changes)


remove, restore = Companies.remove, Companies.restore

# Each use of a registered company, after the uses without which it would record nothing.
USES: dict[str, tuple[list[Use], Use]] = {
    "change": ([], change),
    "remove": ([], remove),
    "restore": ([remove], restore),
}
every_use = pytest.mark.parametrize(("before", "use"), USES.values(), ids=USES)


async def prepare(companies: Companies, before: list[Use]) -> None:
    await companies.register(ask(), ACME)
    for use in before:
        await use(companies, ask())


async def test_registering_stores_one_event_of_the_company_that_asks(
    companies: Companies, store: WatchedStore
) -> None:
    outcome = await companies.register(ask(), ACME)
    (recorded,) = await store.everything()
    assert outcome.aggregate.id == recorded.event.originator_id == recorded.company_id == OURS
    assert (outcome.aggregate.name, outcome.began) == ("Acme", True)
    assert [type(event) for event in outcome.events] == [Company.Registered]


@pytest.mark.parametrize("before", [[], [change], [remove]])
async def test_registering_again_leaves_the_company_as_it_is(
    companies: Companies, store: WatchedStore, before: list[Use]
) -> None:
    await prepare(companies, before)
    stored = await store.everything()
    again = await companies.register(ask(), CompanyDetails(name="Other"))
    assert (again.began, again.events, again.receipt.version) == (False, (), len(stored))
    assert await store.everything() == stored


async def test_of_fifty_who_register_at_once_in_two_processes_one_does(
    companies: Companies, store: WatchedStore
) -> None:
    outcomes = await all_of(
        process.register(ask(), ACME)
        for _ in range(25)
        for process in (companies, Companies(store))
    )
    began = [outcome.began for outcome in outcomes if isinstance(outcome, Outcome)]
    assert sorted(began) == [False] * 49 + [True]
    assert len(await store.everything()) == 1


async def test_name_and_settings_change_in_one_append(
    companies: Companies, store: WatchedStore
) -> None:
    await prepare(companies, [])
    store.appends = 0
    outcome = await change(companies, ask())
    assert [type(event) for event in outcome.events] == [Company.Renamed, Company.SettingsChanged]
    assert (outcome.aggregate.name, outcome.aggregate.settings) == (
        "Acme Ltd",
        {"requireIfMatch": True},
    )
    assert store.appends == 1


async def test_a_removed_company_refuses_a_change_until_it_is_restored(
    companies: Companies,
) -> None:
    await prepare(companies, [])
    assert (await companies.remove(ask())).aggregate.removed_at == NOON
    with pytest.raises(CompanyRemoved):
        await change(companies, ask())
    assert (await companies.restore(ask())).aggregate.removed_at is None
    assert (await change(companies, ask())).events


@every_use
async def test_each_use_again_stores_nothing(
    companies: Companies, store: WatchedStore, before: list[Use], use: Use
) -> None:
    await prepare(companies, [*before, use])
    stored = await store.everything()
    again = await use(companies, ask())
    assert (again.events, again.receipt.version) == ((), len(stored))
    assert await store.everything() == stored


@every_use
async def test_a_stale_request_is_refused(
    companies: Companies, store: WatchedStore, before: list[Use], use: Use
) -> None:
    await prepare(companies, before)
    stored = await store.everything()
    with pytest.raises(Stale):
        await use(companies, ask(if_match=[len(stored) + 1]))
    assert await store.everything() == stored
    assert (await use(companies, ask(if_match=[len(stored)]))).events


# Idempotency keys


async def test_the_same_registration_again_is_replayed(companies: Companies) -> None:
    first = await companies.register(ask("k"), ACME)
    await change(companies, ask())
    second = await companies.register(ask("k"), ACME)
    assert (second.receipt.replayed, second.began) == (True, True)
    assert state(second.aggregate) == state(first.aggregate)


@every_use
async def test_the_same_request_again_gets_the_same_answer_whatever_happened_since(
    companies: Companies, store: WatchedStore, before: list[Use], use: Use
) -> None:
    await prepare(companies, before)
    first = await use(companies, ask("k", "body"))
    for later in (restore, remove, restore, remove):
        await later(companies, ask())
    stored = await store.everything()
    second = await use(companies, ask("k", "body"))
    assert (first.receipt.replayed, second.receipt.replayed) == (False, True)
    assert state(second.aggregate) == state(first.aggregate)
    assert second.receipt.position == first.receipt.position
    assert await store.everything() == stored


@every_use
async def test_a_key_is_refused_for_another_request(
    companies: Companies, store: WatchedStore, before: list[Use], use: Use
) -> None:
    await companies.register(ask("k", "one"), ACME)
    for earlier in before:
        await earlier(companies, ask())
    stored = await store.everything()
    with pytest.raises(KeyReused):
        await use(companies, ask("k", "two"))
    assert await store.everything() == stored


# Rehearsals and strangers


async def test_rehearsing_a_registration_stores_neither_event_nor_key(
    companies: Companies, store: WatchedStore
) -> None:
    assert (await companies.register(ask("k", dry_run=True), ACME)).began
    assert await store.everything() == []
    assert await store.recall(OURS, IdempotencyKey("k", "")) is None


@every_use
async def test_rehearsing_stores_neither_event_nor_key(
    companies: Companies, store: WatchedStore, before: list[Use], use: Use
) -> None:
    await prepare(companies, before)
    stored = await store.everything()
    rehearsed = await use(companies, ask("k", dry_run=True))
    assert await store.everything() == stored
    assert await store.recall(OURS, IdempotencyKey("k", "")) is None
    done = await use(companies, ask("k"))
    assert done.aggregate.version == rehearsed.aggregate.version
    assert [type(event) for event in done.events] == [type(event) for event in rehearsed.events]


@every_use
async def test_a_company_that_nobody_registered_is_not_found(
    companies: Companies, store: WatchedStore, before: list[Use], use: Use
) -> None:
    await prepare(companies, before)
    stored = await store.everything()
    for request in (ask(company=THEIRS), ask("k", company=THEIRS, dry_run=True)):
        with pytest.raises(NotFound):
            await use(companies, request)
    assert await store.everything() == stored
