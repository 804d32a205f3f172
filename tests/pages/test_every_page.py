"""What holds on every page: narrow or wide, in both themes, in each language, for everybody."""

import re
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files

import pytest
from fluent.syntax import FluentParser
from fluent.syntax.ast import Message, Pattern, Placeable, SelectExpression, TextElement
from playwright.sync_api import Page, ViewportSize, expect

from api.web.static_files import FILES
from tests.npm import member
from tests.pages.people import PATIENCE, Company, follow

AXE = ("axe-core", "4.14.1", "axe.min.js")
RUN = """async rules => {
    const found = await axe.run({runOnly: rules})
    return found.violations.flatMap(({id, nodes}) =>
        nodes.map(node => `${id}: ${node.html.slice(0, 200)} ${node.any[0]?.message ?? ""}`))
}"""
TAGS = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}  # the one in which themes differ
NOWHERE = "01a00000-0000-7000-8000-000000000000"
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 360, "height": 640}
BEYOND = """() => {
    const wide = document.documentElement.scrollWidth
    const scrolls = each => each && (/auto|scroll/.test(getComputedStyle(each).overflowX)
        || scrolls(each.parentElement))
    const beyond = [...document.querySelectorAll("a, button, input, select, textarea, summary")]
        .filter(each => each.checkVisibility() && !each.closest(".skip, .visually-hidden"))
        .filter(each => {
            const {left, right, width} = each.getBoundingClientRect()
            return width > 1 && (left < 0 || right > innerWidth) && !scrolls(each.parentElement)
        })
    return [...(wide > innerWidth ? [`${wide} px`] : []), ...beyond.map(each => each.outerHTML)]
}"""
SAID = """() => {
    const said = new Set([document.title.split(" – ")[0]])
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode())
        if (!walker.currentNode.parentElement.closest("[lang=en]"))
            said.add(walker.currentNode.data)
    for (const name of ["title", "aria-label", "placeholder", "alt", "data-text"])
        for (const each of document.querySelectorAll(`[${name}]`)) said.add(each.getAttribute(name))
    return [...said].map(text => text.replace(/\\s+/g, " ").trim()).filter(text => text)
}"""


Walk = Callable[[Page, Company], Iterator[str]]


def tables(page: Page, company: Company) -> Iterator[str]:
    """The pages of tables, with something on each."""
    table = company.create("Zubehör", description="Teile", color="#f9ab00", icon="wrench")
    workspace = company.client.post("/api/workspaces", json={"name": "Werkstatt"}).json()["id"]
    company.change(table, settings={"rows": 50}, slug="zubehoer-neu", workspaceId=workspace)
    company.create("Ablage " + "sehrlang" * 20)
    gone = company.create("Altes")
    then = company.change(gone, color="#e5484d")["updatedAt"]
    assert company.client.delete(f"/api/tables/{gone['id']}").status_code == 204
    company.change(table, description="Andere Teile", settings={"defaultView": "kanban"})
    at, away = f"/tables/{table['id']}", f"/tables/{gone['id']}"
    yield from visited(page, (
        "/", "/?view=cards&density=compact", "/?q=niemals", "/?state=deleted", f"/?asOf={then}",
        "/tables/new", at, f"{at}?version=1", f"{at}/revert?version=1", away, f"{away}/purge",
        f"/tables/{NOWHERE}", "/history?q=niemals", f"{at}/history",
        f"{at}/differences?version=1",
    ))  # fmt: skip


def offices(page: Page, company: Company) -> Iterator[str]:
    """The pages of admins and auditors."""
    client = company.client
    workspace = client.post("/api/workspaces", json={"name": "Werkstatt"}).json()["id"]
    company.create("Zubehör")
    hook = client.post("/api/webhooks", json={"url": "https://hooks.example.com", "paused": True})
    assert client.put("/api/consumers/lager", json={}).is_success
    hooks, rooms = f"/webhooks/{hook.json()['id']}", f"/workspaces/{workspace}"
    event = company.get("/api/events", limit="1")[0]["id"]
    key = company.get("/api/keys")["items"][0]["id"]
    yield from visited(page, (
        "/company", "/keys", "/keys/new", f"/keys/{key}/revoke", f"/keys/{key}/rotate",
        "/workspaces", "/workspaces/new", f"{rooms}/rename", f"{rooms}/delete", "/history",
        f"/history/events/{event}", "/history/exports", "/history/checkpoint", "/webhooks",
        "/webhooks/new", hooks, f"{hooks}/edit", f"{hooks}/rotate", f"{hooks}/delete",
        f"{hooks}/replay", "/consumers", "/consumers/_new", "/consumers/lager",
        "/consumers/lager/edit", "/consumers/lager/seek", "/consumers/lager/delete",
    ))  # fmt: skip


def visited(page: Page, addresses: Sequence[str]) -> Iterator[str]:
    for address in addresses:
        answer = page.goto(address)
        assert answer
        assert answer.status == (404 if NOWHERE in address else 200), address
        yield address


def answers(page: Page, company: Company) -> Iterator[str]:
    """What is seen only by doing something: menus, dialogs, a review, a fault, a conflict."""
    company.change(company.create("Zubehör"), description="Teile")
    page.goto("/")
    page.locator("details.menu.person summary").click()
    yield "the menu of a person"
    page.locator("details.time summary").click()
    yield "the times"
    page.keyboard.press("Escape")
    page.locator("details.menu summary").last.click()
    yield "the menu of a table"
    page.keyboard.press("Escape")
    page.locator(".pick").first.check()
    yield "several selected"
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).to_be_hidden()
    page.set_viewport_size(NARROW)
    page.locator(".chosen > summary").click()
    yield "the filters of a telephone"
    page.keyboard.press("?")
    yield "the keys"
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.locator("[role=option]").first).to_be_visible()
    yield "the palette"
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    page.locator("[data-key=c]").press("c")  # where the focus is after the palette is not told yet
    expect(page.locator("#dialog[open]")).to_be_visible()
    for summary in page.locator("#dialog summary").all()[:2]:
        summary.click()
    yield "a new table"
    page.locator("#dialog #slug").fill("Ä ö")
    page.keyboard.press("Enter")
    expect(page.locator("#dialog #slug-error")).to_be_visible()
    yield "a fault"
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator("#dialog [data-draft]")).to_be_visible()
    yield "a draft"
    page.keyboard.press("Escape")
    follow(page.locator("[data-row]").first)
    page.locator("#name").fill("Zwei")
    yield "something not saved"
    page.locator("[data-save] [data-dialog]").click()
    expect(page.locator("#dialog[open]")).to_be_visible()
    yield "a review"
    page.keyboard.press("Escape")
    page.locator("[name=version]").first.evaluate("each => { each.value = 1 }")
    page.locator("#description").fill("Drei")
    page.locator("[data-save] .primary").click()
    expect(page.locator(".clash")).to_be_visible()
    yield "a conflict"
    page.context.clear_cookies(name=re.compile("session"))
    page.goto("/sign-in")
    yield "/sign-in"


each_walk = pytest.mark.parametrize("walk", [tables, offices, answers])


@each_walk
def test_every_page_is_accessible_in_german_and_fits_a_telephone(
    company: Company, walk: Walk
) -> None:
    english, wrong = re.compile("|".join(other_words())), list[str]()
    page = company.person(locale="de-DE", timezone_id="Europe/Berlin", viewport=WIDE)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.add_init_script(member(*AXE).decode())
    for where in walk(page, company):
        wrong += [f"{where}: {each}" for each in page.evaluate(RUN, TAGS)]
        page.emulate_media(color_scheme="dark")
        wrong += [f"{where}, dark: {each}" for each in page.evaluate(RUN, CONTRAST)]
        page.emulate_media(color_scheme="light")
        for said in page.evaluate(SAID):
            if english.fullmatch(said):
                wrong.append(f"{where}: in English: {said}")
        page.set_viewport_size(NARROW)
        wrong += [f"{where}: beyond the edge: {each}" for each in page.evaluate(BEYOND)]
        page.set_viewport_size(WIDE)
    assert not wrong, "\n".join(wrong)


def other_words() -> Iterator[str]:
    """The English texts that are others in German, as regular expressions."""
    texts, german = catalogue("en"), catalogue("de")
    assert texts.keys() <= german.keys()
    for id, text in texts.items():
        for each in text - german[id]:
            if re.search(r"\w{2}", each.replace(".+", "")):
                yield each


def catalogue(code: str) -> dict[str, set[str]]:
    """The texts of a language as regular expressions, by their ids."""
    source = files("api.web").joinpath("catalogue", f"{code}.ftl").read_text("utf-8")
    messages = [each for each in FluentParser().parse(source).body if isinstance(each, Message)]
    return {each.id.name: set(expressions(each.value)) for each in messages if each.value}


def expressions(pattern: Pattern) -> Iterator[str]:
    """One for each text that a pattern may become."""
    said = ""
    for element in pattern.elements:
        match element:
            case TextElement():
                said += re.escape(re.sub(r"\s+", " ", element.value))
            case Placeable(expression=SelectExpression(variants=variants)):
                for variant in variants:
                    yield from expressions(variant.value)
                return
            case _:
                said += ".+"
    yield said.strip()


def test_scripts_and_style_are_small() -> None:
    assert sum(map(len, FILES.values())) <= 150_000


@pytest.mark.parametrize("what", ["the list", "a table"])
def test_all_works_without_scripts(company: Company, what: str) -> None:
    page = company.person(java_script_enabled=False)
    if what == "the list":
        lists_without_scripts(page, company)
    else:
        changes_without_scripts(page)


def lists_without_scripts(page: Page, company: Company) -> None:
    for name in ("Ideas", "Orders"):
        company.create(name)
    page.reload()
    page.get_by_role("searchbox").fill("ord")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("[data-rows] > li")).to_have_count(1)
    page.get_by_label("Actions for Orders").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted “Orders”.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Restored “Orders”.")).to_be_visible()
    page.goto("/")
    page.get_by_label("Select Ideas").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted one table.")).to_be_visible()
    page.get_by_role("link", name="Trash").click()
    expect(page.locator("[data-rows] > li")).to_contain_text("deleted just now by Ada")
    page.get_by_role("button", name="Restore Ideas").click()
    page.goto("/")
    expect(page.locator("[data-rows] > li")).to_have_count(2)


def changes_without_scripts(page: Page) -> None:
    page.get_by_role("link", name="New table").click()
    page.get_by_label("Name", exact=True).fill("Leads")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("Created “Leads”.")).to_be_visible()
    expect(page.get_by_label("Slug")).to_have_value("leads")
    page.get_by_label("Name", exact=True).fill("Prospects")
    page.get_by_label("Slug").fill("No slug")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Only words of a–z and 0–9, joined by single hyphens.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Prospects")
    page.get_by_label("Slug").fill("prospects")
    page.get_by_role("button", name="Review").click()
    page.get_by_label("Reason").fill("A better word")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved “Prospects”.")).to_be_visible()
    page.goto(f"{page.url}/revert?version=1")
    page.get_by_role("button", name="Restore this version").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Leads")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted “Leads”.")).to_be_visible()
    expect(page.get_by_text("A table holds one kind of thing")).to_be_visible()


def test_ten_thousand_tables_are_one_page(company: Company) -> None:
    company.fill(10_000)
    page = company.person()
    rows = page.locator("[data-rows] > li")
    expect(page.locator("[data-count]")).to_have_text("10,000")
    page.wait_for_function(
        """() => {
            scrollTo(0, document.body.scrollHeight)
            return document.querySelectorAll("[data-rows] > li").length >= 1000
        }""",
        polling=100,
        timeout=3 * PATIENCE,
    )
    expect(rows).to_have_count(1_000)
    follow(page.get_by_role("link", name="More tables"))
    expect(page).to_have_url(re.compile("cursor="))
    expect(rows.first).to_be_visible()
    assert rows.count() <= 1_000
    page.get_by_role("searchbox").fill("orders-7777")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("orders-7777")
