"""Pictures of each page in both themes, of a service with plausible data: `make screenshots`."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from tests.journeys.processes import Serve
from tests.pages.programs import connected, receiving

Scenes = Callable[[Page], Iterator[str]]

FOLDER = Path(__file__).parents[2] / "build" / "screenshots"
EMPTY = {"webhooks-empty": "/webhooks", "consumers-empty": "/consumers"}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
OPEN = "dialog[open], details.menu[open], [data-save]:not([hidden])"
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
TABLES = (
    ("Invoices", "receipt", "#0d9488", "What we sent, and what was paid.", "Sales"),
    ("Suppliers", "truck", "#8e4ec6", "Who sells to us, and at what terms.", None),
    ("Roadmap", "rocket", "#d6409f", "What comes next, and why.", "Product"),
    ("Bugs", "bug", "#e5484d", "What is wrong, how it shows, and who looks at it.", "Product"),
    ("Interviews", "message-square", "#0891b2", "What people told us, word by word.", "Product"),
    ("Offers", "handshake", "#5b5bd6", "", "Sales"),
    ("Spare parts", "wrench", "#6b7280", "What the workshop has on its shelves.", None),
    ("Holidays", "plane", "#7cb342", "Who is away, and who stands in.", None),
    ("Experiments of the last quarter, with all that was measured", "flask-conical", None, "",
     "Product"),
)  # fmt: skip
CHANGES: tuple[Mapping[str, Any], ...] = (
    {"description": "Who buys from us, and who may one day."},
    {"settings": {"recordNameFormat": "{{name}} – {{date}}", "enableForm": True}},
    {"name": "Customers and leads", "settings": {"region": "EMEA", "grid": {"rows": 50}}},
)


def main() -> None:
    """Write them to build/screenshots."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        data, own = Path(folder) / "data", {"webhook_private_addresses": True}
        with Serve(data, "--demo", **own) as service, receiving() as address:
            signed_in = visit(browser, service)
            take(browser, service, signed_in, lambda page: visited(page, EMPTY))
            with service.client() as client:
                ids = filled(client)
                ids |= connected(client, address, ids["table"])
            take(browser, service, signed_in, lambda page: scenes(page, ids))
        browser.close()


def filled(client: httpx.Client) -> dict[str, str]:
    """The tables of a company after some weeks; their ids by what they are good for."""
    workspaces = {each["name"]: each["id"] for each in got(client, "/api/workspaces")["items"]}
    for name, icon, color, description, workspace in TABLES:
        fields = {"name": name, "icon": icon, "color": color, "description": description or None}
        done(
            client.post(
                "/api/tables", json=fields | {"workspaceId": workspaces.get(workspace or "")}
            )
        )
    ids = {each["name"]: each["id"] for each in got(client, "/api/tables")["items"]}
    then = got(client, f"/api/tables/{ids['Holidays']}")["updatedAt"]
    for fields in CHANGES:
        patch(client, ids["Customers"], fields)
    for name in ("Offers", "Spare parts"):
        done(client.delete(f"/api/tables/{ids[name]}"))
    done(client.post("/api/tables", json={"name": "Complaints", "icon": "megaphone"}))
    event = got(client, "/api/events?limit=1")[0]["id"]
    return {"table": ids["Customers"], "gone": ids["Offers"], "then": then, "event": event}


def got(client: httpx.Client, path: str) -> Any:
    return done(client.get(path)).json()


def patch(client: httpx.Client, id: str, fields: Mapping[str, Any]) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    done(client.patch(f"/api/tables/{id}", json=fields, headers=headers))


def done(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, answer.text
    return answer


def visit(browser: Browser, service: Serve) -> Any:
    """What a browser keeps of somebody who came by the printed link."""
    context = browser.new_context()
    context.new_page().goto(service.output[3].removeprefix("Sign in "))
    state = context.storage_state()
    context.close()
    return state


def take(browser: Browser, service: Serve, signed_in: Any, shown: Scenes) -> None:
    """A picture of each scene in both themes."""
    for theme in THEMES:
        context = browser.new_context(
            base_url=service.address, storage_state=signed_in, color_scheme=theme, viewport=WIDE,
            reduced_motion="reduce",
        )  # fmt: skip
        page = context.new_page()
        for name in shown(page):
            opened = page.locator(OPEN).count()
            page.screenshot(path=FOLDER / f"{name}-{theme}.png", full_page=not opened)
        context.close()


def visited(page: Page, pages: Mapping[str, str]) -> Iterator[str]:
    for name, address in pages.items():
        page.goto(address)
        yield name


def scenes(page: Page, ids: Mapping[str, str]) -> Iterator[str]:
    """Each page, with what is open on it, by a name for its picture."""
    at = f"/tables/{ids['table']}"
    pages = {
        "list": "/", "cards": "/?view=cards", "compact": "/?density=compact",
        "found": "/?q=who", "nothing-found": "/?q=unicorns", "trash": "/?state=deleted",
        "then": f"/?asOf={ids['then']}", "table": at, "table-then": f"{at}?version=2",
        "table-deleted": f"/tables/{ids['gone']}", "restore-version": f"{at}/revert?version=1",
        "purge": f"/tables/{ids['gone']}/purge", "new-table": "/tables/new",
        "history": "/history", "table-history": f"{at}/history", "workspaces": "/workspaces",
        "keys": "/keys", "new-key": "/keys/new", "webhooks": "/webhooks",
        "webhook": f"/webhooks/{ids['taken']}", "webhook-refused": f"/webhooks/{ids['refused']}",
        "new-webhook": "/webhooks/new", "consumers": "/consumers",
        "consumer": "/consumers/warehouse-copy", "seek": "/consumers/warehouse-copy/seek",
        "company": "/company", "event": f"/history/events/{ids['event']}",
        "problem": "/tables/01a00000-0000-7000-8000-000000000000",
    }  # fmt: skip
    yield from visited(page, pages)
    for name, act in OPENED.items():
        page.goto(at if name in ("review", "clash", "unsaved") else "/")
        act(page)
        yield name
    page.set_viewport_size(NARROW)
    for name in (
        "list", "cards", "table", "then", "new-table", "history", "table-history", "keys",
        "webhooks", "webhook-refused", "consumers", "consumer",
    ):  # fmt: skip
        page.goto(pages[name])
        yield f"{name}-360"
    page.set_viewport_size(WIDE)
    page.context.clear_cookies()
    page.goto("/sign-in")
    yield "sign-in"


def time(page: Page) -> None:
    page.locator("details.time summary").click()


def person(page: Page) -> None:
    page.locator("details.person summary").click()


def menu(page: Page) -> None:
    page.locator("[data-rows] details.menu summary").nth(2).click()


def several(page: Page) -> None:
    for number in (0, 2, 3):
        page.locator(".pick").nth(number).check()


def create(page: Page) -> None:
    page.keyboard.press("c")
    page.locator("#dialog #name").fill("Events of the year")
    page.locator("#dialog .swatch[title=Violet]").click()
    page.locator("#dialog [data-icon=calendar]").click()
    page.locator("#dialog small", has_text="events-of-the-year").wait_for()


def palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.locator("[role=option]").first.wait_for()


def keys(page: Page) -> None:
    page.keyboard.press("?")


def unsaved(page: Page) -> None:
    page.locator("#name").fill("Customers, leads and partners")
    page.locator("#enableComments").click()


def review(page: Page) -> None:
    unsaved(page)
    page.locator("[data-save] [data-dialog]").click()
    page.locator("#dialog[open]").wait_for()


def clash(page: Page) -> None:
    page.locator("[name=version]").first.evaluate("each => { each.value = 2 }")
    unsaved(page)
    page.locator("[data-save] .primary").click()
    page.locator(".clash").wait_for()


OPENED: Mapping[str, Callable[[Page], None]] = {
    "time": time, "person": person, "menu": menu, "selected": several, "create": create,
    "palette": palette, "keyboard": keys, "unsaved": unsaved, "review": review, "clash": clash,
}  # fmt: skip

if __name__ == "__main__":
    main()
