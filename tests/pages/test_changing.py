"""Finding a table, changing it, alone and together with others, and saying why."""

import re

from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.pages.people import Company, follow

SOON = 5_000.0  # milliseconds: it is a second when nothing else uses the machine
DISCONNECTED = "net::ERR_INTERNET_DISCONNECTED"


def save(page: Page | Locator) -> None:
    page.get_by_role("button", name=re.compile("^Save")).click()


def test_one_of_a_hundred_is_found_by_typing_and_renamed(company: Company) -> None:
    company.fill(100)
    page = company.person()
    expect(page.locator("[data-count]")).to_have_text("100")
    page.get_by_role("searchbox", name="Search tables").press_sequentially("ders-73")
    expect(page.locator("[data-rows] > li")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/\?q=ders-73&sort=-updatedAt$"))
    page.reload()
    expect(page.get_by_role("searchbox", name="Search tables")).to_have_value("ders-73")
    follow(page.get_by_role("link", name="orders-73"))
    page.get_by_label("Name", exact=True).fill("Orders of the north")
    expect(page.get_by_text("1 unsaved change")).to_be_visible()
    save(page)
    expect(page.get_by_text("Saved “Orders of the north”.")).to_be_visible()
    expect(page.get_by_role("heading", name="Orders of the north")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="Orders of the north")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Search tables")).to_have_value("ders-73")


def test_a_setting_is_reviewed_and_its_reason_is_in_the_history(company: Company) -> None:
    table = company.create("Ideas")
    page = company.person()
    follow(page.get_by_role("link", name="Ideas"))
    page.get_by_label("Comments").click()
    page.get_by_label("First view").select_option("Kanban board")
    expect(page.get_by_text("2 unsaved changes")).to_be_visible()
    page.get_by_role("button", name="Review").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row", name="Comments")).to_be_visible()
    expect(dialog.get_by_role("row", name="First view")).to_contain_text("kanban")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("The team asked for it")
    save(dialog)
    expect(page.get_by_text("Saved “Ideas”.")).to_be_visible()
    expect(dialog).to_be_hidden()
    expect(page.get_by_label("First view")).to_have_value("kanban")
    follow(page.get_by_role("main").get_by_role("link", name="History"))
    expect(page.get_by_text("The team asked for it")).to_be_visible()
    last = company.get(f"/api/tables/{table['id']}/history")["items"][0]
    assert last["reason"] == "The team asked for it"
    assert last["actor"]["name"] == "Ada"


def test_two_people_change_the_same_table(company: Company) -> None:
    table = company.create("Leads", description="Who may buy")
    ada, bob = company.person("Ada"), company.person("Bob", "editor")
    for page in (ada, bob):
        follow(page.get_by_role("link", name="Leads"))
    bob.get_by_label("Name", exact=True).fill("Prospects")
    bob.get_by_label("Description").fill("Whoever may buy, one day")
    ada.get_by_label("Name", exact=True).fill("Hot leads")
    save(ada)
    expect(bob.get_by_text("Somebody changed this table while you edit it.")).to_be_visible()
    expect(bob.get_by_label("Name", exact=True)).to_have_value("Prospects")
    save(bob)
    clash = bob.get_by_role("alert")
    expect(clash).to_contain_text("Ada saved while you were editing.")
    row = clash.get_by_role("row", name="Name")
    expect(row.get_by_role("cell")).to_contain_text(["Leads", "Hot leads", "Prospects"])
    expect(clash.get_by_role("row")).to_have_count(2)  # with the heading: only what clashes
    row.get_by_role("radio", name="Hot leads").check()
    clash.get_by_role("button", name="Save my choice").click()
    expect(bob.get_by_text("Saved “Hot leads”.")).to_be_visible()
    now = company.get(f"/api/tables/{table['id']}")
    assert (now["name"], now["description"]) == ("Hot leads", "Whoever may buy, one day")

    expect(ada.get_by_label("Description")).to_have_value("Whoever may buy, one day")
    bob.get_by_label("Description").fill("Who asked for an offer")
    company.change(table, name="Warm leads")
    expect(bob.get_by_text("Somebody changed this table while you edit it.")).to_be_visible()
    save(bob)
    expect(bob.get_by_text("Others had changed something else meanwhile")).to_be_visible()
    expect(bob.get_by_role("heading", name="Warm leads")).to_be_visible()
    expect(bob.get_by_label("Description")).to_have_value("Who asked for an offer")


def test_what_others_do_is_seen_at_once(company: Company) -> None:
    orders = company.create("Orders")
    page = company.person()
    rows = page.locator("[data-rows] > li")
    company.create("Invoices")
    expect(rows.first).to_contain_text("Invoices", timeout=SOON)
    expect(rows.first).to_contain_text("by Importer")
    expect(page.get_by_text("Invoices: changed by Importer")).to_be_visible()
    company.change(orders, name="Orders of 2027")
    expect(rows.first).to_contain_text("Orders of 2027", timeout=SOON)
    expect(page.get_by_text("Orders of 2027: changed by Importer")).to_be_visible()
    follow(page.get_by_role("link", name="Orders of 2027"))
    expect(page.get_by_role("heading", name="Orders of 2027")).to_be_visible()
    company.change(orders, name="Orders of 2028")
    expect(page.get_by_role("heading", name="Orders of 2028")).to_be_visible(timeout=SOON)
    expect(page.get_by_label("Name", exact=True)).to_have_value("Orders of 2028")


def test_nothing_is_lost_without_a_network(company: Company) -> None:
    company.watch.expected += (DISCONNECTED,)
    table = company.create("Parts")
    page = company.person()
    follow(page.get_by_role("link", name="Parts"))
    page.get_by_label("Name", exact=True).fill("Spare parts")
    page.context.set_offline(True)
    save(page)
    expect(page.get_by_text("This could not be sent.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Spare parts")
    expect(page.get_by_text("No connection.")).to_be_visible()
    page.get_by_role("link", name="Discard").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Spare parts")
    company.change(table, description="Made elsewhere")
    page.context.set_offline(False)
    expect(page.get_by_text("Connected again.")).to_be_visible()
    expect(page.get_by_text("Somebody changed this table while you edit it.")).to_be_visible()
    save(page)
    expect(page.get_by_role("heading", name="Spare parts")).to_be_visible()
    expect(page.get_by_label("Description")).to_have_value("Made elsewhere")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted “Spare parts”.")).to_be_visible()
    page.context.set_offline(True)
    page.evaluate("history.back()")
    expect(page.get_by_text("No connection.")).to_be_visible()
    expect(page.get_by_text("No tables yet")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Spare parts")).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Restored “Spare parts”.")).to_be_visible()
    follow(page.get_by_role("link", name="Tables", exact=True).first)
    page.context.set_offline(True)
    expect(page.get_by_text("No connection.")).to_be_visible()
    company.create("Tools")
    page.get_by_role("searchbox").fill("to")
    page.get_by_role("link", name="New table").click()
    expect(page.get_by_text("This could not be sent.")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.context.set_offline(False)
    expect(page.get_by_role("link", name="Tools")).to_be_visible()
    assert company.get(f"/api/tables/{table['id']}")["name"] == "Spare parts"


def test_news_do_not_take_what_is_typed_meanwhile(company: Company) -> None:
    table = company.create("Leads")
    page, held = company.person(), list[Route]()
    follow(page.get_by_role("link", name="Leads"))
    page.route(re.compile(rf"/tables/{table['id']}$"), lambda route: held.append(route))  # noqa: PLW0108  # takes no builtin
    with page.expect_request(re.compile(rf"/tables/{table['id']}$")):
        company.change(table, description="Theirs")
    page.get_by_label("Name", exact=True).fill("Mine")
    held[0].continue_()
    expect(page.get_by_text("Somebody changed this table while you edit it.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Mine")


def test_what_is_not_saved_is_not_dropped_by_a_slip(company: Company) -> None:
    company.create("Parts")
    page, asked = company.person(), list[str]()

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", stay)
    follow(page.get_by_role("link", name="Parts", exact=True))
    page.get_by_label("Name", exact=True).fill("Spare parts")
    page.get_by_role("link", name="Tables", exact=True).first.click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Spare parts")
    assert asked == ["You have changes that are not saved. Leave without them?"]


def test_a_new_table_that_was_not_made_is_offered_again(company: Company) -> None:
    page = company.person()
    dialog = page.get_by_role("dialog")
    name, slug = dialog.get_by_label("Name", exact=True), dialog.get_by_label("Slug")

    def begin(*, is_offered: bool) -> None:
        page.get_by_role("link", name="New table").click()
        expect(name).to_be_focused()
        expect(dialog.get_by_text("You had begun “Tools”.")).to_be_visible(visible=is_offered)

    begin(is_offered=False)
    page.keyboard.press("Escape")
    begin(is_offered=False)  # nothing was typed
    name.fill("Tools")
    dialog.get_by_text("Slug and description").click()
    dialog.get_by_label("Description").fill("What hangs on the wall")
    dialog.locator("label.swatch[title=Blue]").click()
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_be_hidden()
    page.reload()
    begin(is_offered=True)
    expect(name).to_have_value("Untitled table")
    page.keyboard.press("Escape")
    begin(is_offered=True)
    dialog.get_by_role("button", name="Go on").click()
    expect(name).to_have_value("Tools")
    expect(slug).to_have_value("tools")
    expect(dialog.locator("[data-preview] rect").first).to_have_attribute("fill", "#1a73e8")
    dialog.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("Created “Tools”.")).to_be_visible()
    [table] = company.get("/api/tables")["items"]
    assert (table["description"], table["color"]) == ("What hangs on the wall", "#1a73e8")
    page.go_back()
    begin(is_offered=False)
    name.fill("Tools")
    page.keyboard.press("Escape")
    begin(is_offered=True)
    dialog.get_by_role("button", name="Discard").click()
    page.keyboard.press("Escape")
    begin(is_offered=False)
