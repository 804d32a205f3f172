"""All of it with the keyboard alone; where the focus is can be seen."""

from playwright.sync_api import Page, expect

from tests.pages.people import Company

SEEN = """() => {
    const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement)
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2
}"""
FOCUS = """end => [
    ...document.querySelectorAll("dialog[open] :is(a, button, input, select, textarea)")
].filter(each => each.checkVisibility()).at(end).focus()"""
OUTSIDE = """() => {
    const at = document.activeElement
    return at !== document.body && !at.closest("dialog[open]")
}"""


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def entered(page: Page) -> None:
    """Press Enter, which leads to another page, and wait for its scripts."""
    with page.expect_navigation():
        page.keyboard.press("Enter")


def trapped(page: Page) -> None:
    """Fails if Tab leads out of a dialog; the focus is where it was, in the end."""
    began = page.evaluate_handle("document.activeElement")
    for end, key in ((-1, "Tab"), (0, "Shift+Tab")):
        page.evaluate(FOCUS, end)
        for _ in range(3):
            page.keyboard.press(key)
            assert not page.evaluate(OUTSIDE)
    began.evaluate("element => element.focus()")


def test_a_table_from_beginning_to_end(company: Company) -> None:
    for name in ("Ideas", "Orders", "Parts"):
        company.create(name)
    page = company.person()
    focused, dialog = page.locator(":focus"), page.get_by_role("dialog")
    search = page.get_by_role("searchbox", name="Search tables")
    expect(page.get_by_role("link", name="Parts")).to_be_visible()

    page.keyboard.press("Tab")
    expect(focused).to_have_text("Skip to the content")
    assert page.evaluate(SEEN)
    press(page, "Enter", "j")
    expect(focused).to_have_text("Parts")
    assert page.evaluate(SEEN)
    press(page, "j", "j", "j", "k")
    expect(focused).to_have_text("Orders")

    page.keyboard.press("c")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    trapped(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(focused).to_have_text("Orders")
    page.keyboard.press("c")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Machines")
    expect(dialog.get_by_label("Slug")).to_have_value("machines")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Machines")).to_be_visible()

    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Go to a table or a page")).to_be_focused()
    trapped(page)
    expect(dialog.get_by_role("option", name="Machines")).to_be_visible()
    page.keyboard.type("Tab")
    expect(dialog.get_by_role("option")).to_have_text(["Tables", "New table"])
    expect(dialog.get_by_role("group", name="Pages").get_by_role("option")).to_have_text(["Tables"])
    expect(dialog.get_by_role("group", name="Tables")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("option", selected=True)).to_have_text("New table")
    entered(page)
    expect(page.get_by_role("heading", name="New table")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("keyb")
    expect(dialog.get_by_role("option", selected=True)).to_have_text("Keyboard")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("heading", name="Keyboard")).to_be_visible()
    press(page, "Escape", "Control+k")
    page.keyboard.type("nothing of ours")
    expect(dialog.get_by_text("Nothing is called that")).to_be_visible()
    press(page, "Escape", "Control+k")
    page.keyboard.type("Tab")
    expect(dialog.get_by_role("option")).to_have_text(["Tables", "New table"])
    entered(page)
    expect(page.get_by_role("heading", name="Tables")).to_be_visible()

    page.keyboard.press("/")
    expect(search).to_be_focused()
    assert page.evaluate(SEEN)
    page.keyboard.type("mach")
    expect(page.locator("[data-rows] > li")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(focused).to_have_text("Machines")
    entered(page)
    expect(page.get_by_label("Name", exact=True)).to_have_value("Machines")
    page.get_by_label("Name", exact=True).focus()
    press(page, "End")
    page.keyboard.type(" and tools")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("heading", name="Machines and tools")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_hidden()

    page.keyboard.press("Control+k")
    page.keyboard.type("Tables")
    expect(dialog.get_by_role("option")).to_have_text(["Tables"])
    entered(page)
    expect(page.get_by_role("link", name="Machines and tools")).to_be_visible()
    press(page, "j", "#")
    expect(page.get_by_text("Deleted “Machines and tools”.")).to_be_visible()
    expect(page.locator("[data-rows] > li")).to_have_count(3)
    page.keyboard.press("z")
    expect(page.get_by_text("Restored “Machines and tools”.")).to_be_visible()
    page.keyboard.press("?")
    expect(dialog.get_by_role("heading", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_menu_opens_closes_and_gives_back_the_focus(company: Company) -> None:
    company.create("Parts")
    page = company.person()
    summary = page.get_by_label("Actions for Parts")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Duplicate")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator(":focus")).to_have_text("Settings")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Duplicate")).to_be_hidden()
    expect(summary).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    with page.expect_navigation():
        page.keyboard.press("e")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Parts")
    page.get_by_label("Name", exact=True).fill("Spare parts")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Spare parts")).to_be_visible()


def test_several_are_selected_by_a_range_and_all_at_once(company: Company) -> None:
    for name in ("Five", "Four", "Three", "Two", "One"):
        company.create(name)
    page = company.person()
    bar, all_shown = page.locator("[data-selected]"), page.get_by_label("Select all")
    page.get_by_label("Select Two").click()
    page.get_by_label("Select Four").click(modifiers=["Shift"])
    expect(bar).to_have_text("3 selected")
    expect(page.get_by_label("Select Three")).to_be_checked()
    page.get_by_label("Select Five").focus()
    press(page, "Space", "Shift+Tab", "Shift+Tab")
    expect(bar).to_have_text("4 selected")
    assert all_shown.evaluate("each => each.indeterminate")
    page.get_by_label("Select Two").focus()
    press(page, "Shift+Space")
    expect(page.get_by_label("Select Two")).not_to_be_checked()
    expect(bar).to_be_hidden()  # the range to the one before has none now
    all_shown.check()
    expect(bar).to_have_text("5 selected")
    page.get_by_role("button", name="Clear").click()
    expect(bar).to_be_hidden()
    expect(all_shown).to_be_focused()
    expect(all_shown).not_to_be_checked()
    press(page, "Space")
    page.get_by_label("Actions for One").click()
    press(page, "Escape")
    expect(bar).to_have_text("5 selected")
    press(page, "Escape")
    expect(bar).to_be_hidden()
