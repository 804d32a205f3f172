"""What admins do for programs and people: webhooks and keys, in a browser."""

from playwright.sync_api import Page, expect

from tests.pages.people import Company


def position(page: Page) -> None:
    """A form says from which position on, if that is chosen; nothing else asks for it."""
    field, choice = page.get_by_label("Position", exact=True), page.get_by_label("What comes after")
    expect(field).to_be_hidden()
    choice.check()
    expect(field).to_be_visible()
    page.get_by_role("button", name="Create").click()
    expect(field).to_be_focused()
    expect(page.get_by_text("A position is a number such as")).to_be_visible()
    field.fill("0")


def test_a_field_is_shown_when_it_is_needed(company: Company) -> None:
    page = company.person()
    page.goto("/webhooks/new")
    page.get_by_label("Address").fill("https://hooks.example.com/tables")
    position(page)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="The webhook is ready")).to_be_visible()
    page.goto("/consumers")
    page.get_by_role("link", name="Add the first consumer").click()
    page.get_by_label("Name", exact=True).fill("warehouse-copy")
    position(page)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="warehouse-copy")).to_be_visible()
    without = company.person("Bob", java_script_enabled=False)
    without.goto("/webhooks/new")
    expect(without.get_by_label("Position", exact=True)).to_be_visible()


def test_a_key_of_single_rights_is_made_and_replaced(company: Company) -> None:
    page = company.person()
    dialog = page.get_by_role("dialog")
    page.goto("/keys")
    page.get_by_role("link", name="New key").click()
    dialog.get_by_label("Label").fill("Copy")
    rights = dialog.get_by_role("group", name="Single rights")
    expect(rights).to_be_hidden()
    dialog.get_by_role("radio", name="Single rights").check()
    dialog.get_by_role("button", name="Create").click()
    expect(rights.get_by_text("This is needed.")).to_be_visible()
    rights.get_by_label("Follow events").check()
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="“Copy” is made")).to_be_visible()
    page.get_by_role("link", name="I have kept it").click()
    page.get_by_role("link", name="Replace Copy").click()
    dialog.get_by_label("This one goes on for").select_option("an hour")
    dialog.get_by_role("button", name="Replace").click()
    expect(page.get_by_role("heading", name="“Copy” has a new key")).to_be_visible()
    expect(page.get_by_text("The former one works until")).to_be_visible()
    page.locator("details.person summary").click()
    page.get_by_role("link", name="Company settings").click()
    expect(dialog.get_by_role("heading", name="Company settings")).to_be_visible()
    keys = [each for each in company.get("/api/keys")["items"] if each["label"] == "Copy"]
    assert [each["scopes"] for each in keys] == [["events:read"]] * 2
