"""The stream of NATS JetStream that holds a copy of every event.

A message is accepted only where its headers say that it belongs: the first of a batch right after
the sequence number that we saw, each further one right after the event before it as well. NATS
2.9 looks for duplicates first, and remembers ids over a purge, so an acknowledgement counts only if
it names the sequence number that we meant. It may forget the last id when it restarts, so the first
of a batch does not ask for that.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from urllib.parse import unquote, urlsplit
from uuid import UUID

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import Header, StorageType, StreamConfig
from nats.js.errors import NotFoundError
from pydantic_core import from_json

from application.publisher import (
    BrokerUnavailable,
    CannotContinue,
    Displaced,
    Emptied,
    Message,
    Place,
)

SUBJECTS = "dynamic-tables.>"
POSITION = "Dynamic-Tables-Position"
CONTENT_TYPE = "application/cloudevents+json"
ANSWER_TIMEOUT = 5.0  # seconds
WRONG_LAST = (10070, 10071)  # what the server says of a wrong last id and sequence number
SILENCE = 5  # seconds until a server that says nothing is asked whether it is there


class NatsBroker:
    """A connection to one stream."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=ANSWER_TIMEOUT)
        self._stream = stream
        self._sequence = 0
        self._inbox = ""
        self._pending: dict[str, asyncio.Future[Msg]] = {}

    async def begin(self) -> None:
        """Make the stream unless there is one, and be ready for answers.

        The client's own `publish_async` loses an answer that says no (2.16).
        """
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)
        try:
            await self._jetstream.stream_info(self._stream)
        except NotFoundError:
            await self._jetstream.add_stream(
                StreamConfig(name=self._stream, subjects=[SUBJECTS], storage=StorageType.FILE)
            )

    async def last(self) -> Place | None:
        """The last event in the stream; see `Broker`."""
        with _in_our_words():
            state = (await self._jetstream.stream_info(self._stream)).state
            self._sequence = state.last_seq
            if not state.last_seq:
                return None
            try:
                message = await self._jetstream.get_msg(self._stream, state.last_seq)
            except NotFoundError:
                raise Emptied from None
        return _place(message.headers or {})

    async def clear(self) -> None:
        """Purge the stream; its sequence numbers go on. See `Broker`."""
        with _in_our_words():
            await self._jetstream.purge_stream(self._stream)
            state = (await self._jetstream.stream_info(self._stream)).state
        if state.messages:
            raise Displaced("somebody else published while the stream was purged")
        self._sequence = state.last_seq

    async def publish(self, messages: Sequence[Message]) -> None:
        """Send all, then wait for all acknowledgements; see `Broker`."""
        self._pending.clear()
        with _in_our_words():
            for before, (previous, message) in enumerate(
                zip((None, *messages), messages, strict=False), self._sequence
            ):
                await self._send(message, before, previous)
            async with asyncio.timeout(ANSWER_TIMEOUT):
                answers = await asyncio.gather(*self._pending.values(), return_exceptions=True)
        for sequence, answer in enumerate(answers, self._sequence + 1):
            _check(answer, sequence)
        self._sequence += len(messages)

    async def _send(self, message: Message, before: int, previous: Message | None) -> None:
        headers = {
            "content-type": CONTENT_TYPE,
            Header.MSG_ID: str(message.event_id),
            Header.EXPECTED_STREAM: self._stream,
            Header.EXPECTED_LAST_SEQUENCE: str(before),
            POSITION: str(message.position),
        }
        if previous:
            headers[Header.EXPECTED_LAST_MSG_ID] = str(previous.event_id)
        reply = f"{self._inbox}.{message.position}"
        self._pending[reply] = asyncio.get_running_loop().create_future()
        await self._client.publish(subject(message), message.payload, reply, headers)

    async def _answered(self, answer: Msg) -> None:
        waiting = self._pending.get(answer.subject)
        if waiting and not waiting.done():
            waiting.set_result(answer)

    async def lost(self) -> None:
        """Wait for nothing any more: the connection is gone."""
        for waiting in self._pending.values():
            waiting.cancel()


@contextlib.asynccontextmanager
async def connected(url: str, stream: str) -> AsyncIterator[NatsBroker]:
    """A connection that is not opened again when it breaks: where the stream is must be asked.

    Raises:
        BrokerUnavailable: nobody answers, or lets us in.
    """
    user, password, token = _login(url)
    client, reasons = Client(), list[Exception]()
    broker = NatsBroker(client, stream)

    async def note(reason: Exception) -> None:
        reasons.append(reason)

    try:
        with _in_our_words(reasons):
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await client.connect(
                    url.split(","),
                    user=user,
                    password=password,
                    token=token,
                    name="dynamic-tables publish",
                    error_cb=note,
                    closed_cb=broker.lost,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    ping_interval=SILENCE,
                )
            await broker.begin()
        yield broker
    finally:
        with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await client.close()


def subject(message: Message) -> str:
    """Such as `dynamic-tables.<company>.table-def.renamed`."""
    service, noun, event, _ = message.type.split(".")
    return f"{service}.{message.company_id}.{noun}.{event}"


def name(url: str, stream: str) -> str:
    """What a stream is called in the log; the URL without a password."""
    hosts = ",".join(urlsplit(each).netloc.rpartition("@")[2] for each in url.split(","))
    return f"nats://{hosts}/{stream}"


def _login(url: str) -> tuple[str | None, str | None, str | None]:
    """User, password and token, decoded; a user without a password is a token."""
    first = urlsplit(url.split(",")[0])
    user, password = (value and unquote(value) for value in (first.username, first.password))
    return (user, password, None) if password else (None, None, user)


def _place(headers: dict[str, str]) -> Place:
    try:
        return Place(int(headers[POSITION]), UUID(headers[Header.MSG_ID]))
    except (KeyError, ValueError):
        raise CannotContinue(
            "The last message of the stream is none of ours: only this service may write to it."
            " Publish anew with --rebuild."
        ) from None


def _check(answer: Msg | BaseException, sequence: int) -> None:
    if isinstance(answer, BaseException):
        raise BrokerUnavailable("NATS: the connection broke")
    if not answer.data:  # nobody was there to answer
        raise BrokerUnavailable(f"NATS: no stream takes {SUBJECTS}")
    said = from_json(answer.data)
    if said.get("error", {}).get("err_code") in WRONG_LAST:
        raise Displaced("the stream does not end where it ended when we looked")
    if "error" in said:
        raise BrokerUnavailable(f"NATS: {said['error']['description']}")
    if said["seq"] != sequence:
        raise Displaced("NATS remembers the event from elsewhere in the stream, for some time")


@contextlib.contextmanager
def _in_our_words(reasons: Sequence[Exception] = ()) -> Iterator[None]:
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as error:
        reason = str(reasons[-1] if reasons else error).removeprefix("nats: ")
        raise BrokerUnavailable(f"NATS: {reason or 'no answer in time'}") from error
