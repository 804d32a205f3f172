"""What is made of whatever a receiver answers: it is bounded, it is told, and it breaks nothing."""

import asyncio
import contextlib
import ssl
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import webhook_client
from api.webhook_client import KEPT, _seconds, outbound
from application.webhooks.attempts import Answer, Message
from tests.api.receivers import listening, telling

pytestmark = pytest.mark.anyio
HEAD = b"HTTP/1.1 200 OK\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
MEBIBYTE = 1024 * 1024
Reply = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def answering(reply: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A receiver that answers so, whatever it is sent; its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
        else:
            await reply(writer)

    async with listening(answer, tls) as port:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/"


async def posted(reply: Reply, tls: ssl.SSLContext | None = None) -> Answer:
    """What we make of such a receiver's answer."""
    async with answering(reply, tls) as url, outbound(private=True) as calling:
        return await calling.post(Message(url, {"webhook-id": "1"}, b"{}"))


async def test_a_message_arrives_as_it_is() -> None:
    async with telling(b"") as (port, heard), outbound(private=True) as calling:
        url = f"http://127.0.0.1:{port}/hook?x=1"
        answer = await calling.post(Message(url, {"webhook-id": "1"}, b"{}"))
    assert answer == Answer(200)
    lines = heard[0].decode().lower().split("\r\n")
    assert lines[0] == "post /hook?x=1 http/1.1"
    assert {f"host: 127.0.0.1:{port}", "webhook-id: 1", "content-length: 2"} < set(lines)


async def test_the_beginning_of_an_answer_is_kept() -> None:
    body = "grüezi\0".encode() + b"\xff" * 1000
    answer = await posted(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert answer.status == 200
    assert answer.text.startswith("grüezi\ufffd\ufffd")
    assert len(answer.text) == KEPT


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"<html>no HTTP</html>\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"content-length: 5\r\n\r\nabc",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"broken header\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 1000,
    ],
)
async def test_garbage_is_a_failure_that_is_told(reply: bytes) -> None:
    answer = await posted(reply)
    assert answer.status is None
    assert answer.error
    assert "\0" not in answer.error
    assert len(answer.error) <= KEPT


async def test_an_endless_body_is_read_no_further_than_it_is_kept() -> None:
    sent = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(HEAD + b"\r\n")
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    tracemalloc.start()
    answer = await posted(pour)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status, answer.text) == (200, "x" * KEPT)
    assert sent < 64 * MEBIBYTE
    assert peak < 16 * MEBIBYTE


async def test_a_compressed_body_stays_compressed() -> None:
    bomb = HEAD + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00"
    assert (await posted(bomb)).status == 200


async def test_endless_headers_are_a_failure() -> None:
    async def pour(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while True:
            writer.write(b"x-more: " + b"y" * 8_000 + b"\r\n")
            await writer.drain()

    tracemalloc.start()
    answer = await posted(pour)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status is None
    assert peak < 16 * MEBIBYTE


async def dripping(writer: asyncio.StreamWriter) -> None:
    for byte in HEAD + b"content-length: 1\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def dripping_a_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"content-length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def going_on(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


async def saying_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


@pytest.mark.parametrize("reply", [dripping, dripping_a_body, going_on, saying_nothing])
async def test_whoever_takes_their_time_is_not_waited_for(
    reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_client, "TIMEOUT", 0.3)
    began = asyncio.get_running_loop().time()
    async with answering(reply) as url, outbound(private=True) as calling:
        answer = await calling.post(Message(url, {}, b"{}"))
        assert asyncio.get_running_loop().time() - began < 1
    assert (answer.status, answer.error) == (None, "no answer within 0 s")


async def test_whoever_does_not_even_listen_is_a_failure_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_client, "TIMEOUT", 0.3)
    async with outbound(private=True) as calling:
        for url in ("http://127.0.0.1:1/", "http://nobody.invalid/"):
            answer = await calling.post(Message(url, {}, b"{}"))
            assert answer.status is None
            assert answer.error
    async with answering(hanging_up) as url, outbound(private=True) as calling:
        assert (await calling.post(Message(url, {}, b"{}" * 1000))).status is None


async def hanging_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """What a server needs whose certificate nobody trusts."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_that_nobody_trusts_is_a_failure(self_signed: ssl.SSLContext) -> None:
    answer = await posted(EMPTY, self_signed)
    assert answer.status is None
    assert "CERTIFICATE_VERIFY_FAILED" in (answer.error or "")


async def test_tls_with_whoever_has_none_is_a_failure() -> None:
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url, outbound(private=True) as out:
        answer = await out.post(Message(url.replace("http:", "https:"), {}, b"{}"))
    assert answer.status is None


async def test_retry_after_is_seconds_or_a_date() -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    for value, low, high in (
        ("120", 120, 120),
        (format_datetime(in_an_hour, usegmt=True), 3590, 3601),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
    ):
        reply = f"HTTP/1.1 429 Slow\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n"
        answer = await posted(reply.encode())
        assert answer.status == 429
        assert answer.retry_after is not None
        assert low <= answer.retry_after <= high


@pytest.mark.parametrize(
    "value",
    [
        "", "soon", "-1", "1.5", "1e9", "NaN", "inf", "99999999999999999999", "٣", "Sun, 32 Foo",
        "Mon, 1 Jan 2024 00:00:00 +99999999999999999999", "1 1 1 1:1:1 +9999",
        "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0000 00:00:00 GMT",
    ],
)  # fmt: skip
async def test_a_nonsensical_retry_after_does_no_harm(value: str) -> None:
    reply = f"HTTP/1.1 503 Busy\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n"
    answer = await posted(reply.encode())
    assert answer.status == 503 or value[:1] >= "١"


@given(st.text() | st.from_regex(r"\w{3}, \d+ Jan \d+ \d+:\d+:\d+ [+-]\d+", fullmatch=True))
def test_no_retry_after_breaks_anything(value: str) -> None:
    seconds = _seconds(value)
    assert seconds is None or seconds >= 0
