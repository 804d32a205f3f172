"""Keys of an identity provider come and go, and so does the provider."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from api import key_sources
from api.key_sources import COOLDOWN, LIFESPAN, LOOK, OUTLIVE, RETRY, KeysUnavailable
from api.tokens import InvalidToken, TokenVerifier
from application.errors import Fault
from tests.api.test_tokens import USER, at_once, configured, jwk, refusal, shortly, signed
from tests.conftest import eventually

pytestmark = pytest.mark.anyio

OLD, NEW = signed("ES256"), signed("EdDSA")
GARBAGE: list[bytes] = [b"", b"<html>", b"\xff", b"5", b"[]", b"{}", b'{"keys": 5}', b"[" * 99_999]


class Clock:
    """A clock that others move."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Provider:
    """An identity provider on this machine, which can fall ill."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/jwks"
        self.asked = 0
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()
        self.publish(jwk("ES256"))

    def publish(self, *keys: Any) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        self.answers.wait(5)
        request.send_response(self.status)
        request.send_header("Location", self.url)
        request.end_headers()
        request.wfile.write(self.body)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at_work.answer(self)

        def log_message(self, *_: Any) -> None: ...

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        at_work = Provider(server.server_port)
        serving = threading.Thread(target=server.serve_forever, args=(0.005,))
        serving.start()
        yield at_work
        at_work.answers.set()
        server.shutdown()
        serving.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def at_url(provider: Provider, clock: Clock) -> TokenVerifier:
    return TokenVerifier(configured(jwt_jwks=provider.url), clock)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk("ES256")]}))
    return path


@pytest.fixture
def in_file(file: Path, clock: Clock) -> TokenVerifier:
    return TokenVerifier(configured(jwt_jwks=str(file)), clock)


async def works(verifier: TokenVerifier, token: str) -> bool:
    return (await verifier.verify(token)).user_id == USER


def reads(verifier: TokenVerifier, token: str) -> bool:
    """Whether the token's key is in the file, which nobody has to wait for."""
    try:
        return at_once(verifier.verify(token)).user_id == USER
    except InvalidToken:
        return False


async def test_keys_are_fetched_once_and_then_found_without_a_wait(
    at_url: TokenVerifier, provider: Provider, clock: Clock
) -> None:
    assert await works(at_url, OLD)
    clock.now += LIFESPAN
    assert at_once(at_url.verify(OLD)).user_id == USER
    assert provider.asked == 1


async def test_tokens_that_wait_for_the_same_keys_share_one_fetch(
    at_url: TokenVerifier, provider: Provider
) -> None:
    provider.answers.clear()
    waiting = [asyncio.create_task(works(at_url, OLD)) for _ in range(50)]
    await eventually(lambda: asyncio.sleep(0, provider.asked == 1))
    waiting.append(asyncio.create_task(works(at_url, OLD)))
    waiting.pop(0).cancel()
    provider.answers.set()
    assert all(await asyncio.gather(*waiting))
    assert provider.asked == 1


async def test_a_new_key_is_fetched_after_a_pause(
    at_url: TokenVerifier, provider: Provider, clock: Clock
) -> None:
    assert await works(at_url, OLD)
    provider.publish(jwk("ES256"), jwk("EdDSA"))
    clock.now += COOLDOWN
    assert await refusal(at_url, NEW) == "The token's key is not known."
    assert provider.asked == 1
    clock.now += 1
    assert await works(at_url, NEW)
    assert await works(at_url, OLD)
    assert provider.asked == 2


async def test_a_key_that_was_taken_back_is_good_for_five_minutes(
    at_url: TokenVerifier, provider: Provider, clock: Clock
) -> None:
    assert await works(at_url, OLD)
    provider.publish(jwk("EdDSA"))
    clock.now += LIFESPAN + 1
    assert await refusal(at_url, OLD) == "The token's key is not known."
    assert await works(at_url, NEW)


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_a_provider_that_is_down_at_first_is_a_fault_until_it_is_up(
    at_url: TokenVerifier, provider: Provider, clock: Clock, status: int
) -> None:
    provider.status = status
    for _ in range(3):
        with pytest.raises(Fault):
            await at_url.verify(OLD)
    assert provider.asked == 1
    provider.status = 200
    clock.now += RETRY + 1
    assert await works(at_url, OLD)


async def test_nobody_at_the_address_is_a_fault(clock: Clock) -> None:
    verifier = TokenVerifier(configured(jwt_jwks="http://127.0.0.1:9/jwks"), clock)
    with pytest.raises(KeysUnavailable):
        await verifier.verify(OLD)


@pytest.mark.parametrize("garbage", GARBAGE, ids=shortly)
async def test_garbage_at_the_url_is_a_fault(
    at_url: TokenVerifier, provider: Provider, garbage: bytes
) -> None:
    provider.body = garbage
    with pytest.raises(KeysUnavailable):
        await at_url.verify(OLD)


async def test_known_keys_work_for_an_hour_while_the_provider_is_down(
    at_url: TokenVerifier, provider: Provider, clock: Clock
) -> None:
    assert await works(at_url, OLD)
    provider.status = 500
    clock.now += OUTLIVE
    assert await works(at_url, OLD)
    assert at_once(at_url.verify(OLD)).user_id == USER
    with pytest.raises(KeysUnavailable):
        await at_url.verify(NEW)
    clock.now += 1
    with pytest.raises(KeysUnavailable):
        await at_url.verify(OLD)


async def test_a_provider_that_is_up_again_is_noticed_in_the_background(
    at_url: TokenVerifier, provider: Provider, clock: Clock
) -> None:
    assert await works(at_url, OLD)
    provider.status = 500
    clock.now += LIFESPAN + 1
    assert await works(at_url, OLD)
    provider.status = 200
    provider.publish(jwk("EdDSA"))
    clock.now += RETRY + 1
    assert at_once(at_url.verify(OLD)).user_id == USER
    await eventually(lambda: asyncio.sleep(0, provider.asked == 3))
    assert await works(at_url, NEW)
    assert await refusal(at_url, OLD) == "The token's key is not known."


async def test_a_provider_that_does_not_answer_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, at_url: TokenVerifier, provider: Provider, clock: Clock
) -> None:
    assert await works(at_url, OLD)
    monkeypatch.setattr(key_sources, "TIMEOUT", 0.02)
    provider.answers.clear()
    clock.now += LIFESPAN + 1
    assert await works(at_url, OLD)
    assert at_once(at_url.verify(OLD)).user_id == USER
    with pytest.raises(KeysUnavailable):
        await at_url.verify(NEW)
    assert provider.asked == 2
    provider.publish(jwk("EdDSA"))
    provider.answers.set()
    assert await works(at_url, NEW)


def test_a_file_is_read_again_when_it_has_changed(
    in_file: TokenVerifier, file: Path, clock: Clock
) -> None:
    assert reads(in_file, OLD)
    file.write_text(json.dumps({"keys": [jwk("EdDSA")]}))
    assert not reads(in_file, NEW)
    clock.now += LOOK
    assert reads(in_file, NEW)
    assert not reads(in_file, OLD)


def test_a_file_that_was_replaced_by_one_as_old_and_as_long_is_read_again(
    in_file: TokenVerifier, file: Path, clock: Clock
) -> None:
    assert reads(in_file, OLD)
    before = file.stat()
    other = file.with_name("new.json")
    other.write_text(json.dumps({"keys": [jwk("EdDSA")]}).ljust(before.st_size))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    clock.now += LOOK
    assert reads(in_file, NEW)


@pytest.mark.parametrize("garbage", [None, *GARBAGE], ids=shortly)
def test_a_file_of_garbage_or_none_at_all_is_a_fault_until_it_is_mended(
    in_file: TokenVerifier, file: Path, clock: Clock, garbage: bytes | None
) -> None:
    good = file.read_bytes()
    file.unlink()
    if garbage is not None:
        file.write_bytes(garbage)
    with pytest.raises(KeysUnavailable):
        reads(in_file, OLD)
    file.write_bytes(good)
    clock.now += LOOK
    assert reads(in_file, OLD)


def test_keys_outlive_their_file_by_an_hour(
    in_file: TokenVerifier, file: Path, clock: Clock
) -> None:
    clock.now += OUTLIVE
    assert reads(in_file, OLD)
    file.unlink()
    clock.now += OUTLIVE
    assert reads(in_file, OLD)
    clock.now += LOOK
    with pytest.raises(KeysUnavailable):
        reads(in_file, OLD)
