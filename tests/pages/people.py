"""Companies of their own in a service that is shared, and the people of them at their browsers."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import psycopg
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request

from api import keys
from api.keys import NewKey
from api.sessions import CODE_MINUTES, STORE_CODE, new_code
from tests.journeys.processes import Serve, until

PATIENCE = 20_000.0  # milliseconds, on a busy machine
# As many tables as there are numbers, made at once, like one that is there.
COPIES = """
WITH locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended('event_store.append', 0))
), copy AS MATERIALIZED (
    SELECT n, gen_random_uuid() AS id, event_store.head() + n AS position
      FROM locked, generate_series(1, %(count)s) AS n
), copied AS (
    INSERT INTO event_store.events (
           position, company_id, originator_id, originator_version, topic, state, salt, event_id,
           recorded_at)
    SELECT copy.position, company_id, copy.id, originator_version, topic,
           convert_to(replace(convert_from(state, 'UTF8'), 'orders', 'orders-' || n), 'UTF8'),
           salt, gen_random_uuid(), clock_timestamp()
      FROM event_store.events, copy WHERE originator_id = %(model)s
), reserved AS (
    INSERT INTO event_store.slugs SELECT %(company)s, 'orders-' || n, id FROM copy
), joined AS (
    INSERT INTO event_store.memberships
    SELECT copy.id, company_id, container_id, copy.position
      FROM event_store.memberships, copy WHERE member_id = %(model)s
)
SELECT pg_notify('dynamic_tables_events', max(position)::text) FROM copy
"""
# What a browser says by itself when a form is refused, or a page is not there.
REFUSED = tuple(f"the server responded with a status of {code} " for code in (404, 409, 422))


@dataclass
class Installation:
    """A service that runs, and the database below it."""

    service: Serve
    database: str

    @property
    def address(self) -> str:
        return self.service.address

    def key(self, company: UUID | None, role: str, label: str) -> NewKey:
        """A new key of a company."""
        made = NewKey.make()
        row = keys.row(made, company, role, label)
        with psycopg.connect(self.database) as connection:
            connection.execute(keys.INSERT, row)
            if company:
                connection.execute(keys.NAME, row)
        return made

    def link(self, key: NewKey) -> str:
        """What signs in with a key once, as `serve --demo` prints it."""
        code, code_hash = new_code()
        with psycopg.connect(self.database) as connection:
            connection.execute(STORE_CODE, (code_hash, key.id, CODE_MINUTES))
        return f"{self.address}/sign-in?code={code}"

    def client(self, key: NewKey) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=30)


@dataclass
class Watch:
    """What no page may do, whatever its story: whisper of errors, or ask other hosts."""

    address: str
    wrong: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = REFUSED

    def over(self, context: BrowserContext) -> None:
        """From now on, over all pages of a context."""
        context.on("console", self._said)
        context.on("weberror", lambda error: self.wrong.append(f"{error.error.stack}"))
        context.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        known = any(each in message.text for each in self.expected)
        if message.type in ("error", "warning") and not known:
            self.wrong.append(f"{message.type} on {message.location['url']}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.wrong.append(f"asked for {request.url}")


@dataclass
class Company:
    """A company, its API as an integration has it, and browsers for its people."""

    installation: Installation
    id: UUID
    client: httpx.Client
    browser: Browser
    watch: Watch
    contexts: list[BrowserContext] = field(default_factory=list)

    def create(self, name: str, **fields: Any) -> dict[str, Any]:
        """A table that somebody makes elsewhere."""
        answer = self.client.post("/api/tables", json={"name": name, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def change(self, table: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A change that somebody makes elsewhere."""
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = self.client.patch(f"/api/tables/{table['id']}", json=fields, headers=headers)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    def fill(self, count: int) -> None:
        """So many tables at once, called orders, orders-1, orders-2, …"""
        model = self.create("orders")
        params = {"company": self.id, "model": model["id"], "count": count - 1}
        with psycopg.connect(self.installation.database) as connection:
            connection.execute(COPIES.encode(), params)
        self.change(model, description="The last event of all, for which read models are asked")
        history = f"/api/tables/{model['id']}/history"
        until(lambda: self.get("/api/tables", count="true")["totalCount"] == count, 60, "all")
        until(lambda: len(self.get(history)["items"]) == 2, 60, "the history of all")

    def get(self, path: str, **query: str) -> Any:
        """What the API answers."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def nobody(self, **options: Any) -> Page:
        """A browser of somebody who has not signed in."""
        context = self.browser.new_context(
            base_url=self.installation.address, reduced_motion="reduce", **options
        )
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        self.watch.over(context)
        return context.new_page()

    def person(self, name: str = "Ada", role: str = "admin", **options: Any) -> Page:
        """A browser of somebody who has, by a link; it shows the list."""
        page = self.nobody(**options)
        page.goto(self.installation.link(self.installation.key(self.id, role, name)))
        return page


def follow(link: Locator) -> None:
    """Click on a link to another page, and wait for its scripts."""
    with link.page.expect_navigation():
        link.click()


@contextlib.contextmanager
def founded(installation: Installation, browser: Browser, name: str) -> Iterator[Company]:
    """A company of one's own, without any table; at the end all was as it should be."""
    platform = installation.key(None, "platform", "platform")
    with installation.client(platform) as client:
        answer = client.post("/api/companies", json={"name": name})
        assert answer.status_code == 201, answer.text
        id = UUID(answer.json()["id"])
    watch = Watch(installation.address)
    with installation.client(installation.key(id, "admin", "Importer")) as client:
        company = Company(installation, id, client, browser, watch)
        try:
            yield company
        finally:
            for context in company.contexts:
                context.close()
    assert not watch.wrong, "\n".join(watch.wrong)
