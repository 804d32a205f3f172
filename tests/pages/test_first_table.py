"""The first visit: from the printed link to the first table."""

import re

from playwright.sync_api import expect

from tests.pages.people import Company, follow


def test_the_printed_link_signs_in_to_the_demo(company: Company) -> None:
    page = company.nobody()
    page.goto(company.installation.service.output[3].removeprefix("Sign in "))
    expect(page.get_by_role("heading", name="Tables")).to_be_visible()
    expect(page.get_by_role("link", name="Customers")).to_be_visible()
    page.goto("/tables/00000000-0000-0000-0000-000000000000")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def test_a_key_can_be_looked_at_before_it_is_sent(company: Company) -> None:
    company.watch.expected += ("a status of 401 ",)
    page = company.nobody()
    page.goto("/sign-in")
    key, show = page.get_by_label("API key"), page.get_by_role("button", name="Show the key")
    expect(key).to_be_focused()
    page.keyboard.type("dtk_typed")
    expect(key).to_have_attribute("type", "password")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(show).to_have_attribute("aria-pressed", "true")
    expect(key).to_have_attribute("type", "text")
    key.press("Enter")
    expect(key).to_have_attribute("aria-invalid", "true")
    expect(key).to_have_accessible_description(re.compile("^This key is unknown"))
    expect(key).to_be_focused()
    expect(key).to_have_attribute("type", "password")
    key.fill(str(company.installation.key(company.id, "viewer", "Ada")))
    key.press("Enter")
    expect(page.get_by_role("heading", name="No tables yet")).to_be_visible()


def test_from_nothing_to_a_first_table_and_the_next(company: Company) -> None:
    page = company.person()
    expect(page.get_by_text("A table holds one kind of thing")).to_be_visible()
    page.get_by_role("link", name="Create the first table").click()
    dialog = page.get_by_role("dialog")
    name, slug = dialog.get_by_label("Name", exact=True), dialog.get_by_label("Slug")
    expect(name).to_be_focused()
    assert page.evaluate("getSelection().toString()") == "Untitled table"
    expect(slug).to_have_value("untitled-table")
    page.keyboard.type("Our customers")
    expect(slug).to_have_value("our-customers")
    dialog.get_by_label("Colour Blue")
    dialog.locator("label.swatch[title=Blue]").click()
    dialog.get_by_role("button", name="users").click()
    preview = dialog.locator("[data-preview]")
    expect(preview).to_contain_text("Our customersour-customers")
    expect(preview.locator("rect").first).to_have_attribute("fill", "#1a73e8")
    expect(preview.locator("svg svg")).to_have_class("icon")
    dialog.get_by_role("button", name="Create", exact=True).dblclick()
    expect(page.get_by_text("Created “Our customers”.")).to_be_visible()
    expect(page.get_by_role("heading", name="Our customers")).to_be_visible()
    [table] = company.get("/api/tables")["items"]
    assert (table["name"], table["slug"]) == ("Our customers", "our-customers")
    assert (table["icon"], table["color"]) == ("users", "#1a73e8")

    follow(page.get_by_role("link", name="Tables", exact=True).first)
    page.get_by_role("link", name="New table").click()
    expect(name).to_be_focused()
    page.keyboard.type("Our customers")
    expect(slug).to_have_value("our-customers-2")
    expect(slug).to_be_hidden()
    dialog.get_by_text("Slug and description").click()
    slug.fill("our-customers")
    expect(dialog.locator("#slug-status")).to_contain_text("our-customers is in use")
    dialog.get_by_role("button", name="our-customers-2").click()
    expect(dialog.locator("#slug-status")).to_contain_text("our-customers-2 is free")
    name.fill("Customers of last year")
    expect(preview).to_contain_text("Customers of last year")
    expect(slug).to_have_value("our-customers-2")  # it was touched
    dialog.get_by_role("button", name="Create another").click()
    expect(page.get_by_text("Created “Customers of last year”.")).to_be_visible()
    expect(name).to_be_focused()
    expect(name).to_have_value("Untitled table")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="Customers of last year")).to_be_visible()
    assert len(company.get("/api/tables")["items"]) == 2
