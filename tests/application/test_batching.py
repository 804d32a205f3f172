"""Whoever asks while a batch is running goes into the next one, together with the others."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from application import batching
from application.batching import Batcher, Coalescer, Tokens
from application.errors import AppendBusy, StoreUnavailable, VersionConflict
from tests.application.callers import all_of

pytestmark = pytest.mark.anyio


class Server:
    """Answers batches of words in capitals, each when it is told to go on."""

    def __init__(self, going: bool = True) -> None:
        self.batches: list[list[str]] = []
        self.running = self.most = 0
        self.go = asyncio.Event()
        self.failures: dict[int, BaseException] = {}
        if going:
            self.go.set()

    async def run(self, words: Sequence[str]) -> Sequence[str | Exception]:
        self.batches.append(list(words))
        number = len(self.batches)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        await asyncio.sleep(0)
        self.running -= 1
        if failure := self.failures.get(number):
            raise failure
        return [VersionConflict(7) if word == "bad" else word.upper() for word in words]


def letters(word: str) -> Tokens:
    """A word needs its small letters alone, and shares its capitals."""
    return Tokens(
        exclusive=[letter for letter in word if letter.islower()],
        shared=[letter.lower() for letter in word if letter.isupper()],
    )


async def batches_of(*words: str) -> list[list[str]]:
    """The batches in which these words are answered when all are asked at once."""
    server = Server()
    batcher: Batcher[str, str] = Batcher(server.run, tokens=letters)
    assert await asyncio.gather(*map(batcher.ask, words)) == [word.upper() for word in words]
    return server.batches


async def first_alone(batcher: Batcher[str, str]) -> asyncio.Task[str]:
    """One request in a batch of its own, which runs: whoever asks now must wait."""
    task = asyncio.create_task(batcher.ask("first"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_alone_a_request_goes_at_once() -> None:
    server = Server()
    batcher: Batcher[str, str] = Batcher(server.run)
    assert [await batcher.ask("a"), await batcher.ask("b")] == ["A", "B"]
    assert server.batches == [["a"], ["b"]]


async def test_those_who_come_while_a_batch_runs_share_the_next_one_in_order() -> None:
    server = Server(going=False)
    batcher: Batcher[str, str] = Batcher(server.run)
    first = await first_alone(batcher)
    others = [asyncio.create_task(batcher.ask(word)) for word in ("b", "c", "d")]
    await asyncio.sleep(0)
    server.go.set()
    assert await asyncio.gather(first, *others) == ["FIRST", "B", "C", "D"]
    assert server.batches == [["first"], ["b", "c", "d"]]


async def test_one_batch_runs_at_a_time() -> None:
    server = Server()
    batcher: Batcher[str, str] = Batcher(server.run)

    async def ask_repeatedly(word: str) -> None:
        for _ in range(5):
            assert await batcher.ask(word) == word.upper()

    await asyncio.gather(*(ask_repeatedly(f"w{n}") for n in range(10)))
    assert server.most == 1
    assert sum(map(len, server.batches)) == 50
    assert len(server.batches) <= 10


async def test_a_batch_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "BATCH_SIZE", 3)
    server = Server()
    batcher: Batcher[str, str] = Batcher(server.run)
    words = [f"w{n}" for n in range(8)]
    assert await asyncio.gather(*map(batcher.ask, words)) == [word.upper() for word in words]
    assert list(map(len, server.batches)) == [3, 3, 2]


async def test_two_requests_that_share_a_token_never_share_a_batch() -> None:
    server = Server()
    batcher: Batcher[str, str] = Batcher(server.run, tokens=letters)
    words = ["ab", "bc", "cd", "xy", "ad", "z"]
    assert await asyncio.gather(*map(batcher.ask, words)) == [word.upper() for word in words]
    assert server.batches == [["ab", "cd", "xy", "z"], ["bc", "ad"]]


async def test_who_is_passed_over_is_first_in_the_next_batch() -> None:
    server = Server()
    batcher: Batcher[str, str] = Batcher(server.run, tokens=letters)
    await asyncio.gather(*(batcher.ask(word) for word in ["a", "ab", "b", "a", "b"]))
    assert server.batches == [["a", "b"], ["ab"], ["a", "b"]]


async def test_those_who_only_share_a_token_go_together() -> None:
    assert await batches_of("A", "A", "AB", "B") == [["A", "A", "AB", "B"]]


async def test_who_needs_a_token_alone_waits_for_those_who_share_it() -> None:
    assert await batches_of("A", "a", "A") == [["A", "A"], ["a"]]
    assert await batches_of("xA", "ya", "zA") == [["xA", "zA"], ["ya"]]


async def test_those_who_share_a_token_wait_for_who_needs_it_alone() -> None:
    assert await batches_of("a", "A", "B", "A") == [["a", "B"], ["A", "A"]]
    assert await batches_of("ab", "xB", "yA", "zC") == [["ab", "zC"], ["xB", "yA"]]


async def test_who_shares_a_token_that_it_needs_alone_as_well_does_not_wait_for_itself() -> None:
    assert await batches_of("aA", "A") == [["aA"], ["A"]]


async def test_who_waits_for_a_token_keeps_no_other_token_from_those_behind() -> None:
    assert await batches_of("a", "ab", "b", "B") == [["a", "b"], ["ab"], ["B"]]


async def test_without_tokens_nobody_waits() -> None:
    assert await batches_of("1", "2", "1") == [["1", "2", "1"]]


async def test_a_request_whose_tokens_cannot_be_told_is_refused_alone() -> None:
    server = Server()

    def tokens(word: str) -> Tokens:
        if word == "bad":
            raise ValueError(word)
        return letters(word)

    batcher: Batcher[str, str] = Batcher(server.run, tokens)
    async with asyncio.timeout(1):
        answers = await all_of(map(batcher.ask, ["a", "bad", "b"]))
    assert (answers[0], type(answers[1]), answers[2]) == ("A", ValueError, "B")


async def test_an_error_is_the_answer_of_the_one_it_is_for() -> None:
    server = Server()
    batcher: Batcher[str, str] = Batcher(server.run)
    assert await all_of(map(batcher.ask, ["a", "bad", "b"])) == ["A", VersionConflict(7), "B"]


async def test_a_waiter_who_goes_away_disturbs_nobody() -> None:
    server = Server(going=False)
    batcher: Batcher[str, str] = Batcher(server.run)
    first = await first_alone(batcher)
    tasks = [asyncio.create_task(batcher.ask(word)) for word in ("a", "b", "c")]
    await asyncio.sleep(0)
    first.cancel()  # in the batch that runs
    tasks[1].cancel()  # in the queue
    await asyncio.wait([first, tasks[1]])
    server.go.set()
    assert await asyncio.gather(tasks[0], tasks[2]) == ["A", "C"]
    assert await batcher.ask("d") == "D"


async def test_a_failure_reaches_everybody_in_the_batch_and_nobody_else() -> None:
    server = Server(going=False)
    server.failures = {2: ZeroDivisionError("broken")}
    batcher: Batcher[str, str] = Batcher(server.run)
    first = await first_alone(batcher)
    batch = [asyncio.create_task(batcher.ask(word)) for word in ("a", "b")]
    await asyncio.sleep(0)
    server.go.set()
    assert await first == "FIRST"
    assert [type(error) for error in await all_of(batch)] == [ZeroDivisionError] * 2
    assert await batcher.ask("c") == "C"


async def test_each_who_waits_gets_a_fault_of_their_own() -> None:
    server = Server()
    server.failures = {1: StoreUnavailable("gone")}
    batcher: Batcher[str, str] = Batcher(server.run)
    errors = await all_of(map(batcher.ask, "abc"))
    assert [(type(error), str(error)) for error in errors] == [(StoreUnavailable, "gone")] * 3
    assert len({id(error) for error in errors}) == 3


async def test_whoever_queues_behind_a_busy_store_is_told_at_once() -> None:
    server = Server(going=False)
    server.failures = {1: AppendBusy()}
    batcher: Batcher[str, str] = Batcher(server.run)
    first = await first_alone(batcher)
    queue = [asyncio.create_task(batcher.ask(word)) for word in ("a", "b")]
    await asyncio.sleep(0)
    server.go.set()
    assert [type(error) for error in await all_of([first, *queue])] == [AppendBusy] * 3
    assert server.batches == [["first"]]
    assert await batcher.ask("c") == "C"


async def test_an_unavailable_store_is_asked_again_by_those_who_queue() -> None:
    server = Server(going=False)
    server.failures = {1: StoreUnavailable()}
    batcher: Batcher[str, str] = Batcher(server.run)
    first = await first_alone(batcher)
    second = asyncio.create_task(batcher.ask("a"))
    await asyncio.sleep(0)
    server.go.set()
    with pytest.raises(StoreUnavailable):
        await first
    assert await second == "A"


async def test_a_full_queue_refuses_who_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "QUEUE_SIZE", 2)
    server = Server(going=False)
    batcher: Batcher[str, str] = Batcher(server.run)
    first = await first_alone(batcher)
    queue = [asyncio.create_task(batcher.ask(word)) for word in ("a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(AppendBusy):
        await batcher.ask("c")
    server.go.set()
    assert await asyncio.gather(first, *queue) == ["FIRST", "A", "B"]


async def test_a_batch_that_is_cancelled_leaves_nobody_waiting() -> None:
    server = Server(going=False)
    server.failures = {1: asyncio.CancelledError()}
    batcher: Batcher[str, str] = Batcher(server.run)
    first = await first_alone(batcher)
    queued = asyncio.create_task(batcher.ask("a"))
    await asyncio.sleep(0)
    server.go.set()
    done, _ = await asyncio.wait([first, queued], timeout=1)
    assert (done, first.cancelled(), queued.cancelled()) == ({first, queued}, True, True)
    assert await batcher.ask("b") == "B"


async def test_too_few_answers_are_a_failure_and_not_a_wait_for_ever() -> None:
    async def forgetful(words: Sequence[str]) -> Sequence[str]:
        return words[1:]

    batcher: Batcher[str, str] = Batcher(forgetful)
    async with asyncio.timeout(1):
        answers = await all_of(map(batcher.ask, "abc"))
    assert all(isinstance(answer, Exception) for answer in answers)


# Coalesced reads


class Table:
    """Rows that can be changed while a query is running; a query sees those at its start."""

    def __init__(self) -> None:
        self.rows = {"a": 1, "b": 2}
        self.queries: list[list[str]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def fetch(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.queries.append(list(keys))
        seen = dict(self.rows)
        await self.go.wait()
        return {key: seen[key] for key in keys if key in seen}


async def test_lookups_that_wait_share_one_query_and_ask_for_each_key_once() -> None:
    table = Table()
    rows = Coalescer(table.fetch)
    assert await asyncio.gather(*map(rows.get, "aabca")) == [1, 1, 2, None, 1]
    assert table.queries == [["a", "b", "c"]]


async def test_an_answer_never_comes_from_a_query_that_began_before_the_question() -> None:
    table = Table()
    table.go.clear()
    rows = Coalescer(table.fetch)
    early = asyncio.create_task(rows.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    table.rows["a"] = 100
    late = asyncio.create_task(rows.get("a"))
    await asyncio.sleep(0)
    table.go.set()
    assert (await early, await late) == (1, 100)


async def test_a_lookup_that_goes_away_disturbs_no_other() -> None:
    table = Table()
    table.go.clear()
    rows = Coalescer(table.fetch)
    tasks = [asyncio.create_task(rows.get(key)) for key in "ab"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait([tasks[0]])
    table.go.set()
    assert await tasks[1] == 2


async def test_a_failing_query_fails_every_lookup_in_it_and_the_next_one_works() -> None:
    table = Table()

    async def fetch(keys: Sequence[str]) -> Mapping[str, int]:
        found = await table.fetch(keys)
        if len(table.queries) == 1:
            raise StoreUnavailable
        return found

    rows = Coalescer(fetch)
    errors = await all_of(map(rows.get, "ab"))
    assert [type(error) for error in errors] == [StoreUnavailable] * 2
    assert await rows.get("a") == 1
