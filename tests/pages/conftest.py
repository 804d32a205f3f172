"""One service for all stories of a process, and a browser; each story has a company of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from api.embedded_postgres import attach
from tests.journeys.conftest import used as used
from tests.journeys.processes import Serve
from tests.pages.people import PATIENCE, Company, Installation, founded

CHROMIUM = shutil.which("chromium")

expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser there are no stories."""
    here = Path(__file__).parent
    for item in items if CHROMIUM is None else ():
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs chromium (Debian: chromium)"))


@pytest.fixture(scope="session")
def installation(used: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    data = Path(shutil.copytree(used, tmp_path_factory.mktemp("pages") / "data"))
    with Serve(data, "--demo") as service, attach(data) as database:
        yield Installation(service, database)
        said = service.log.read_text()
        assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """It has an event loop in this thread: tests of other modules need theirs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def company(
    installation: Installation, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Company]:
    with founded(installation, browser, request.node.name) as made:
        yield made
