"""No webhook leads to where only we can go: whatever its address looks like, or turns into."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Sequence
from typing import Any

import httpcore
import pytest

from api import addresses, webhook_client
from api.addresses import Address, PrivateAddress, PublicBackend, is_public
from api.errors import ApiError
from api.webhook_client import Outbound, outbound
from application.webhooks.attempts import Message
from tests.api.receivers import listening, telling

pytestmark = pytest.mark.anyio

PUBLIC = [
    "1.1.1.1", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
    "192.167.255.255", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e",
    "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1",
]  # fmt: skip
PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255",
    "100.100.100.200", "192.0.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "168.63.129.16",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
    "ff0e::1", "2001:db8::1", "100::1", "5f00::1", "4000::1",
    # An IPv4 address inside: mapped, compatible, SIIT, 6to4, NAT64, local NAT64, Teredo.
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::127.0.0.1", "::8.8.8.8",
    "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::1",
]  # fmt: skip
# As people, and those who wish us ill, may write addresses of this machine and its neighbours.
SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1",
    "017700000001", "0177.0.0.1", "0", "0.0.0.0", "localhost", "LOCALHOST", "localhost.",
    "127.0.0.1.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "2852039166",
    "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "10.1.2.3", "100.64.0.1", "224.0.0.1", "[fe80::1]",
    "[ff02::1]", "[fd00:ec2::254]",
]  # fmt: skip
# What no resolver here may know how to read; it leads nowhere then.
UNREADABLE = {"127.0.0.1.", "[fe80::1%25lo]", "localhost."}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_may_not(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", SPELLINGS)
async def test_however_it_is_spelt_a_private_address_is_refused_at_registration_and_delivery(
    host: str,
) -> None:
    async with telling() as (port, heard), outbound(private=False) as calling:
        url = f"http://{host}:{port}/"
        try:
            await calling.check(url)
            assert host in UNREADABLE
        except ApiError as refused:
            [fault] = refused.members["errors"]
            assert (fault["pointer"], fault["code"]) == ("/url", "private-address")
        answer = await calling.post(Message(url, {}, b"{}"))
        assert answer.status is None
        assert answer.error
        assert host in UNREADABLE or "not a public address" in answer.error
        assert heard == []


async def test_private_addresses_are_called_where_that_is_allowed() -> None:
    async with telling() as (port, heard), outbound(private=True) as calling:
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{port}/"
            await calling.check(url)
            answer = await calling.post(Message(url, {}, b"{}"))
            assert (answer.status, answer.text) == (200, "secret")
        assert len(heard) == 2


def resolving_to(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> None:
    """Let every name have these addresses, then those, and the last ones from then on."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[Address]:
        now = left.pop(0) if len(left) > 1 else left[0]
        return [ipaddress.ip_address(each) for each in now]

    monkeypatch.setattr(addresses, "resolve", resolve)
    monkeypatch.setattr(webhook_client, "resolve", resolve)


async def test_a_name_that_leads_elsewhere_since_it_was_registered_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving_to(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    async with telling() as (port, heard), outbound(private=False) as calling:
        url = f"http://rebound.example:{port}/"
        await calling.check(url)
        for _ in range(2):
            answer = await calling.post(Message(url, {}, b"{}"))
            assert answer.error == "rebound.example is at 127.0.0.1, which is not a public address"
        assert heard == []


async def test_a_name_with_one_private_address_among_public_ones_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving_to(monkeypatch, ["93.184.215.14", "127.0.0.1"])
    async with telling() as (port, heard), outbound(private=False) as calling:
        url = f"http://both.example:{port}/"
        with pytest.raises(ApiError):
            await calling.check(url)
        assert (await calling.post(Message(url, {}, b"{}"))).status is None
        assert heard == []


async def test_what_is_called_is_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is looked up once: between two looks it could have changed."""
    called: list[str] = []

    class Recorder(httpcore.AsyncMockBackend):
        async def connect_tcp(self, host: str, *args: object) -> httpcore.AsyncNetworkStream:  # type: ignore[override]
            called.append(host)
            if len(called) == 1:
                raise httpcore.ConnectError("nobody there")
            return await super().connect_tcp(host, 443)

    resolving_to(monkeypatch, ["2606:4700::1111", "93.184.215.14"], ["127.0.0.1"])
    backend = PublicBackend()
    backend._backend = Recorder([])  # type: ignore[assignment]
    await backend.connect_tcp("example.com", 443)
    assert called == ["2606:4700::1111", "93.184.215.14"], "the next one when the first is down"
    with pytest.raises(PrivateAddress):
        await backend.connect_tcp("example.com", 443)


async def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    async with telling() as (port, heard):

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            where = f"http://127.0.0.1:{port}/latest/meta-data".encode()
            writer.write(b"HTTP/1.1 307 Go\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % where)
            await writer.drain()

        async with listening(redirect) as redirecting, outbound(private=True) as calling:
            answer = await calling.post(Message(f"http://127.0.0.1:{redirecting}/", {}, b"{}"))
        assert answer.status == 307
        assert heard == []


async def test_a_name_that_leads_nowhere_may_be_registered_but_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(addresses, "resolve", resolve)
    monkeypatch.setattr(webhook_client, "resolve", resolve)
    async with outbound(private=False) as calling:
        await calling.check("https://soon.example/")
        answer = await calling.post(Message("https://soon.example/", {}, b"{}"))
    assert "soon.example" in (answer.error or "")


async def test_a_name_server_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(addresses, "resolve", resolve)
    monkeypatch.setattr(webhook_client, "resolve", resolve)
    monkeypatch.setattr(webhook_client, "PATIENCE", 0.05)
    monkeypatch.setattr(webhook_client, "TIMEOUT", 0.05)
    async with outbound(private=False) as calling:
        await calling.check("https://slow.example/")
        answer = await calling.post(Message("https://slow.example/", {}, b"{}"))
    assert answer.error == "no answer within 0 s"


async def test_where_everything_is_allowed_nothing_is_looked_up_at_registration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving_to(monkeypatch, ["10.0.0.1"])

    async def post(message: Message) -> None: ...

    await Outbound(post, private=True).check("http://inside.example/")  # type: ignore[arg-type]
    with pytest.raises(ApiError):
        await Outbound(post, private=False).check("http://inside.example/")  # type: ignore[arg-type]


async def test_names_that_are_never_answered_for_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, real = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *args: Any, **options: Any) -> Any:
        if host.startswith("slow"):
            over.wait(10)
        return real("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    waiting = [asyncio.create_task(addresses.resolve(f"slow{n}.example", 1)) for n in range(100)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await addresses.resolve("quick.example", 1) == [ipaddress.ip_address("127.0.0.1")]
    assert not any(task.done() for task in waiting)
    over.set()
    await asyncio.gather(*waiting)
