"""Which addresses of the network we call on somebody's behalf: public ones, and no other."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpcore

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
UNICAST = ipaddress.ip_network("2000::/3")  # whatever IPv6 address anybody was ever given: RFC 4291
INSIDE = [  # what not every release of Python knows not to be public
    ipaddress.ip_network("100.64.0.0/10"),  # shared behind a provider's NAT: RFC 6598
    ipaddress.ip_network("192.0.0.0/24"),  # protocols: RFC 6890; Oracle's cloud has its own there
    ipaddress.ip_network("168.63.129.16"),  # Azure's own, which only its machines can reach
]
LOOKUPS = 128  # names that are looked up at once; who waits for a slow one holds up no database

_lookups = ThreadPoolExecutor(LOOKUPS, "lookup")


class PrivateAddress(Exception):
    """A name that leads to an address that we must not call."""


def is_public(address: Address) -> bool:
    """Whether anybody could be meant by it; also of an IPv4 address inside an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        if inner:
            return is_public(inner)
        return address in UNICAST and address.is_global and not address.teredo
    is_inside = any(address in network for network in INSIDE)
    return address.is_global and not address.is_multicast and not is_inside


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None


async def resolve(host: str, port: int) -> Sequence[Address]:
    """The addresses of a name, which may be an address itself.

    Raises:
        OSError: there is none.
    """
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_lookups, look_up)
    hosts = [str(address[0]).partition("%")[0] for *_, address in found]
    return [ipaddress.ip_address(host) for host in dict.fromkeys(hosts)]


def check(host: str, addresses: Iterable[Address]) -> None:
    """Let pass whatever is public altogether.

    Raises:
        PrivateAddress: one of them is not.
    """
    if private := [str(each) for each in addresses if not is_public(each)]:
        raise PrivateAddress(f"{host} is at {', '.join(private)}, which is not a public address")


class PublicBackend(httpcore.AsyncNetworkBackend):
    """Connects to the very address that it has checked, whatever the name says a moment later."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the addresses of a host.

        Raises:
            PrivateAddress; httpcore.ConnectError: none of them answers, or there is none.
        """
        try:
            addresses = await resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host}: {error}") from error
        check(host, addresses)
        for address in addresses[:-1]:
            try:
                return await self._connect(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._connect(addresses[-1], port, timeout, local_address, socket_options)

    async def _connect(
        self, address: Address, port: int, *options: Any
    ) -> httpcore.AsyncNetworkStream:
        return await self._backend.connect_tcp(str(address), port, *options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._backend.sleep(seconds)
