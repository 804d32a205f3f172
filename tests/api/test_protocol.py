"""Answers leave in as few system calls as can be, and none waits for another."""

import asyncio
from typing import Any

import pytest

from api.protocol import InPairs

pytestmark = pytest.mark.anyio


class Sent(asyncio.Transport):
    """What reaches the system, call by call."""

    def __init__(self) -> None:
        super().__init__({"peername": "somebody"})
        self.calls: list[bytes] = []

    def is_closing(self) -> bool:
        return b"aborted" in self.calls

    def write(self, data: Any) -> None:
        self.calls.append(bytes(data))

    def writelines(self, pieces: Any) -> None:
        self.calls.append(b"".join(pieces))

    def close(self) -> None:
        self.calls.append(b"closed")

    def abort(self) -> None:
        self.calls.append(b"aborted")


@pytest.fixture
async def sent() -> Sent:
    return Sent()


@pytest.fixture
async def pairs(sent: Sent) -> InPairs:
    return InPairs(sent, asyncio.get_running_loop())


async def test_a_head_leaves_with_its_body_at_once(sent: Sent, pairs: InPairs) -> None:
    pairs.write(b"head, ")
    pairs.write(b"body")
    assert sent.calls == [b"head, body"]
    await asyncio.sleep(0)
    assert sent.calls == [b"head, body"]


async def test_a_head_alone_waits_for_the_turn_to_end(sent: Sent, pairs: InPairs) -> None:
    pairs.write(b"head")
    assert sent.calls == []
    await asyncio.sleep(0)
    assert sent.calls == [b"head"]


async def test_nothing_is_lost_or_turned_round(sent: Sent, pairs: InPairs) -> None:
    for number in range(7):
        pairs.write(b"%d" % number)
        if number == 4:
            await asyncio.sleep(0)
    pairs.write(b"")
    await asyncio.sleep(0)
    assert b"".join(sent.calls) == b"0123456"


async def test_what_was_kept_leaves_before_the_end(sent: Sent, pairs: InPairs) -> None:
    pairs.write(b"goodbye")
    pairs.close()
    await asyncio.sleep(0)
    assert sent.calls == [b"goodbye", b"closed"]


async def test_who_is_hung_up_on_gets_nothing_more(sent: Sent, pairs: InPairs) -> None:
    assert pairs.get_extra_info("peername") == "somebody"
    pairs.write(b"endless")
    pairs.abort()
    await asyncio.sleep(0)
    assert sent.calls == [b"aborted"]
