"""Requests that arrive while a batch is running wait together and go into the next one.

No artificial delay: alone, a request goes at once. One mechanism serves group commit, where a batch
is one transaction, and coalesced reads, where it is one query.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from application.errors import AppendBusy, Fault

Q = TypeVar("Q")
A = TypeVar("A")
K = TypeVar("K", bound=Hashable)

BATCH_SIZE = 500
QUEUE_SIZE = 5_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a request works on: alone in its batch, or together with others that only share it."""

    exclusive: Sequence[Hashable] = ()
    shared: Sequence[Hashable] = ()


NO_TOKENS = Tokens()


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Q, A]):
    """A request that waits for its answer."""

    request: Q
    tokens: Tokens
    answer: "asyncio.Future[A]"


class Batcher(Generic[Q, A]):
    """Runs one batch at a time.

    `run` answers each request of a batch with a value or an exception; `tokens` names what keeps
    two requests out of one batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]],
        tokens: Callable[[Q], Tokens] = lambda _: NO_TOKENS,
    ) -> None:
        self._run = run
        self._tokens = tokens
        self._waiting: list[Waiting[Q, A]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, request: Q) -> A:
        """Wait for the answer to one request; a caller that goes away disturbs nobody else.

        Raises:
            AppendBusy: too many requests are waiting already.
        """
        if len(self._waiting) >= QUEUE_SIZE:
            raise AppendBusy
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(request, self._tokens(request), answer))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await answer

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._take())
        finally:
            self._task = None

    def _take(self) -> list[Waiting[Q, A]]:
        taken: list[Waiting[Q, A]] = []
        left: list[Waiting[Q, A]] = []
        alone, used = set[Hashable](), set[Hashable]()
        for waiting in self._waiting:
            exclusive, shared = waiting.tokens.exclusive, waiting.tokens.shared
            fits = used.isdisjoint(exclusive) and alone.isdisjoint(shared)
            if fits and len(taken) < BATCH_SIZE:
                taken.append(waiting)
                alone.update(exclusive)
                used.update(exclusive, shared)
            else:
                left.append(waiting)
        self._waiting = left
        return taken

    async def _answer(self, batch: list[Waiting[Q, A]]) -> None:
        answered: list[tuple[Waiting[Q, A], A | Exception]]
        try:
            answers = await self._run([waiting.request for waiting in batch])
            answered = list(zip(batch, answers, strict=True))
        except AppendBusy as busy:
            # Whoever waits behind this batch would wait as long again.
            answered = [(waiting, busy) for waiting in batch + self._waiting]
            self._waiting = []
        except asyncio.CancelledError:
            for waiting in batch + self._waiting:
                waiting.answer.cancel()
            self._waiting = []
            raise
        except Exception as error:
            answered = [(waiting, error) for waiting in batch]
        for waiting, answer in answered:
            _settle(waiting.answer, answer)


class Coalescer(Generic[K, A]):
    """Looks up values by key; lookups that wait share one query.

    A lookup never gets an answer from a query that started before it was asked.
    """

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, A]]]) -> None:
        self._fetch = fetch
        self._batcher: Batcher[K, A | None] = Batcher(self._run)

    async def get(self, key: K) -> A | None:
        """The value of a key, or None."""
        return await self._batcher.ask(key)

    async def _run(self, keys: Sequence[K]) -> Sequence[A | None]:
        found = await self._fetch(list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]


def _settle(future: "asyncio.Future[A]", answer: A | Exception) -> None:
    if future.done():  # its caller has gone away
        return
    if isinstance(answer, Fault):
        # One exception object raised in many tasks would collect all of their tracebacks.
        future.set_exception(type(answer)(*answer.args))
    elif isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
