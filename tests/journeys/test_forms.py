"""Forms of the pages while somebody signs in as somebody else in another tab."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.journeys.processes import Serve

CHROMIUM = shutil.which("chromium")
PATIENCE = 60_000.0  # milliseconds

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: chromium)")


@pytest.fixture
def service(data: Path) -> Iterator[Serve]:
    with Serve(data, "--demo") as running:
        yield running


@pytest.fixture
def page(service: Serve) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context().new_page()
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def sign_in(page: Page, service: Serve, key: str) -> None:
    page.goto(f"{service.address}/sign-in")
    page.fill("#key", key)
    page.press("#key", "Enter")
    page.wait_for_selector("header.side")


def test_a_form_is_sent_again_for_the_same_key_and_for_nobody_else(
    service: Serve, page: Page
) -> None:
    with service.client() as client:
        answer = client.post("/api/keys", json={"label": "other", "role": "admin"})
        other = answer.json()["key"]
        for key, count in ((other, 0), (service.key, 1)):
            sign_in(page, service, service.key)
            page.goto(f"{service.address}/tables/new")
            page.fill("#name", "Mine")
            tab = page.context.new_page()
            sign_in(tab, service, key)
            page.click("[data-default]")
            page.wait_for_selector("#notices .toast")
            tables = client.get("/api/tables", params={"q": "Mine"}).json()["items"]
            assert [table["name"] for table in tables] == ["Mine"] * count
            assert page.locator("#name").input_value() == "Mine"
            tab.close()
