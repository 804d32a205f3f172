"""What was done is undone, looked at as it was, and put back; and ended for ever, if wanted."""

import re

from playwright.sync_api import expect

from tests.pages.people import Company, follow


def test_deleted_undone_deleted_and_purged_by_its_name(company: Company) -> None:
    company.create("Old stock")
    page = company.person()
    row = page.locator("[data-rows] > li").filter(has_text="Old stock")
    for undone in (True, False):
        row.get_by_label("Actions for Old stock").click()
        row.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Deleted “Old stock”.")).to_be_visible()
        expect(row).to_be_hidden()
        if undone:
            page.get_by_role("button", name="Undo").click()
            expect(page.get_by_text("Restored “Old stock”.")).to_be_visible()
            follow(page.get_by_role("link", name="Tables", exact=True).first)
    follow(page.get_by_role("link", name="Trash"))
    expect(page.get_by_role("heading", name="Trash")).to_be_visible()
    expect(row).to_contain_text("deleted just now by Ada")
    row.get_by_role("button", name="Restore Old stock").click()
    expect(page.get_by_text("Restored “Old stock”.")).to_be_visible()
    expect(page.get_by_text("The trash is empty")).to_be_visible()
    page.go_back()
    row.get_by_label("Actions for Old stock").click()
    row.get_by_role("button", name="Delete").click()
    page.go_forward()
    row.get_by_label("Actions for Old stock").click()
    row.get_by_role("link", name="Purge").click()
    dialog = page.get_by_role("dialog")
    name = dialog.get_by_label("Type “Old stock” to confirm")
    expect(name).to_be_focused()
    name.fill("Old")
    dialog.get_by_role("button", name="Purge").click()
    expect(dialog.get_by_text("This is not its name.")).to_be_visible()
    expect(name).to_be_focused()
    name.fill("Old stock")
    dialog.get_by_role("button", name="Purge").click()
    expect(page.get_by_text("“Old stock” is gone for ever.")).to_be_visible()
    expect(page.get_by_text("The trash is empty")).to_be_visible()
    assert company.get("/api/tables", state="all")["items"] == []


def test_last_tuesday_is_marked_against_now_and_can_only_be_read(company: Company) -> None:
    kept, changed, gone = map(company.create, ("Kept", "Changed", "Gone"))
    then = company.change(gone, description="For the last time")["updatedAt"]
    company.change(changed, name="Changed since")
    assert company.client.delete(f"/api/tables/{gone['id']}").status_code == 204
    company.create("New")
    page = company.person()
    page.locator("details.time > summary").click()
    follow(page.get_by_role("link", name="A week ago"))
    expect(page.get_by_text("There was nothing then")).to_be_visible()
    follow(page.get_by_role("link", name="Back to now"))
    page.goto(f"/?asOf={then}")
    expect(page.get_by_text("This can only be read.")).to_be_visible()
    for name, mark in (
        ("Kept", "unchanged"), ("Changed", "changed since"), ("Gone", "gone since"),
        ("New", "new since"),
    ):  # fmt: skip
        row = page.locator("main li").filter(has=page.get_by_role("link", name=name, exact=True))
        expect(row.locator(".mark")).to_have_text(mark)
    expect(page.get_by_role("link", name="New table")).to_be_hidden()
    expect(page.get_by_role("checkbox")).to_have_count(0)
    follow(page.get_by_role("link", name="Changed", exact=True))
    expect(page.get_by_text("This can only be read.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_be_hidden()
    follow(page.get_by_role("link", name="Back to now"))
    expect(page.get_by_label("Name", exact=True)).to_have_value("Changed since")
    expect(page.get_by_label("Name", exact=True)).to_be_enabled()
    assert company.get(f"/api/tables/{kept['id']}")["version"] == 1


def test_a_time_that_is_typed_is_of_the_zone_that_stands_beside_it(company: Company) -> None:
    company.create("Kept")
    page = company.person(timezone_id="Asia/Tokyo")
    page.reload()
    page.locator("details.time > summary").click()
    time = page.get_by_label("Show everything as it was on")
    expect(time).to_have_accessible_description("In your time zone, Asia/Tokyo.")
    time.fill("2020-03-01T10:30")
    follow(page.get_by_role("button", name="Show", exact=True))
    expect(page).to_have_url("/?asOf=2020-03-01T01%3A30%3A00.000000Z")
    expect(page.get_by_text("As it was on Mar 1, 2020, 10:30:00")).to_be_visible()
    expect(page.get_by_text("There was nothing then")).to_be_visible()
    page.locator("details.time > summary").click()
    expect(time).to_have_value("2020-03-01T10:30")


def test_version_3_is_restored(company: Company) -> None:
    table = company.create("One")
    for name in ("Two", "Three", "Four"):
        company.change(table, name=name)
    page = company.person()
    page.goto(f"/tables/{table['id']}/history")
    slider = page.get_by_role("slider", name="Versions")
    expect(slider).to_have_attribute(
        "aria-valuetext", re.compile("^Version 4 of 4, Importer .*Four")
    )
    assert slider.evaluate("each => each.list.options.length") == 4
    slider.press("ArrowLeft")
    expect(page.get_by_text("Importer renamed Two to Three")).to_have_count(2)
    expect(page.get_by_role("heading", name="What has changed since version 3")).to_be_visible()
    follow(page.locator("[data-difference]").get_by_role("link", name="Show this version"))
    expect(slider).to_have_value("3")
    slider.press("ArrowLeft")
    expect(page.get_by_text("Importer renamed One to Two")).to_be_visible()
    slider.press("ArrowRight")
    expect(page.get_by_text("Importer renamed Two to Three")).to_be_visible()
    expect(page.get_by_text("Version 3, of")).to_be_visible()
    page.locator(".then").get_by_role("link", name="Restore this version").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row", name="Name")).to_contain_text("Four")
    expect(dialog.get_by_role("row", name="Name")).to_contain_text("Three")
    dialog.get_by_label("Reason").fill("It was better")
    dialog.get_by_role("button", name="Restore this version").click()
    expect(page.get_by_text("“Three” is as it was at version 3.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Three")
    assert company.get(f"/api/tables/{table['id']}")["version"] == 5
    page.goto(f"/tables/{table['id']}/revert?version=3")
    expect(page.get_by_text("Nothing changes.")).to_be_visible()
    expect(page.get_by_role("button", name="Restore this version")).to_be_disabled()
