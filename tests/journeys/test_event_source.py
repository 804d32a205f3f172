"""A page of the service follows what happens with the browser's own `EventSource`."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, sync_playwright

from tests.journeys.processes import Serve, until

CHROMIUM = shutil.which("chromium")
STREAM = "/api/events/stream"
CREATED = "dynamic-tables.table-def.created.v1"
FOLLOW = """
([address, types]) => {
  window.seen = []
  window.source = new EventSource(address)
  for (const type of types)
    source.addEventListener(type, event => seen.push(
      {type: event.type, id: event.lastEventId, data: JSON.parse(event.data)}))
}
"""
PATIENCE = 60_000.0  # milliseconds
OPEN = "() => source.readyState === EventSource.OPEN"
CUT = "() => source.readyState !== EventSource.OPEN"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: chromium)")


@pytest.fixture
def service(data: Path) -> Iterator[Serve]:
    with Serve(data, "--demo") as running:
        yield running


@pytest.fixture
def page(service: Serve) -> Iterator[Page]:
    """A page of the service in the browser of somebody who signed in by the link of the demo."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(service.output[3].removeprefix("Sign in "))
        assert page.get_by_role("heading", name="Tables").is_visible()
        yield page
        browser.close()


def create(service: Serve, count: int) -> list[dict[str, Any]]:
    """What happens, as the feed has it, when a client with a key creates that many tables."""
    with service.client() as client:
        for number in range(count):
            answer = client.post("/api/tables", json={"name": f"T {number}"})
            assert answer.status_code == 201
        after = int(answer.headers["event-position"]) - count
        return client.get("/api/events", params={"after": after}).json()


def seen(page: Page, wanted: list[dict[str, Any]]) -> None:
    """Fails unless the page is told of exactly this."""
    page.wait_for_function("count => seen.length >= count", arg=len(wanted))
    assert page.evaluate("seen") == [
        {"type": item["type"], "id": item["position"], "data": item} for item in wanted
    ]


def test_a_page_is_told_and_resumes_by_itself(service: Serve, page: Page) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108  # takes no builtin
    page.evaluate(FOLLOW, [STREAM, [CREATED]])
    page.wait_for_function(OPEN)
    happened = create(service, 3)
    seen(page, happened)

    [worker] = service.children("-m api worker")
    os.kill(worker, signal.SIGKILL)
    page.wait_for_function(CUT)
    until(lambda: answers(service), 30, "another worker answers")
    happened += create(service, 3)
    page.wait_for_function(OPEN)
    seen(page, happened)
    resumed = [each.all_headers().get("last-event-id") for each in asked if STREAM in each.url]
    assert (resumed[0], resumed[-1]) == (None, happened[2]["position"])
    happened += create(service, 1)
    seen(page, happened)


def answers(service: Serve) -> bool:
    try:
        with service.client() as client:
            return client.get("/livez").status_code == 200
    except httpx.HTTPError:
        return False
