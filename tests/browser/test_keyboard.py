"""Deciding without a mouse."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import UNDOABLE_FOR_A_MINUTE, DemoProduct
from tests.browser.steps import KEYS_SLEEP_MS, take, take_by_key, wait_for_keys

pytestmark = pytest.mark.browser

# Faster than the browser tells the page that the form has opened.
PRESS_AT_ONCE = """(keys) => keys.forEach((key) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })))"""


def test_it_lists_the_keys_of_the_page(product: DemoProduct, open_page: Open) -> None:
    page = take(open_page(f"/proposals/{product.submit()['id']}/"))
    page.wait_for_timeout(KEYS_SLEEP_MS)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys on this page")
    expect(sheet).to_be_visible()
    rows = sheet.locator("dl > div").all_inner_texts()
    listed = dict(row.split("\n", 1) for row in rows)
    assert listed["a"] == "Approve and run"
    assert "Reject" in listed["r"]
    assert listed["c"] == "Release it"
    assert {"e", "d", "u", "h", "m", "y", "i"} <= set(listed)
    assert {"j", "k", "1", "9", "0", "/", "?"} <= set(listed)
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_it_approves_with_one_key(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()
    page = open_page(f"/proposals/{held['id']}/")
    take_by_key(page)
    page.keyboard.press("a")
    expect(page.locator("#outcome")).to_contain_text("Transaction")
    assert product.fetch(held["id"], wait=10)["status"] == "executed"


def test_it_rejects_with_three_keys(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()
    page = open_page(f"/proposals/{held['id']}/")
    take_by_key(page)
    for key in ("r", "2", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#outcome")).to_contain_text("Rejected")
    expect(page.locator("#outcome")).to_contain_text("Wrong value")
    assert product.fetch(held["id"])["status"] == "rejected"


def test_letters_of_a_note_are_not_keys(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()
    page = open_page(f"/proposals/{held['id']}/")
    take_by_key(page)
    for key in ("r", "4", "m"):
        page.keyboard.press(key)
    expect(page.get_by_label("Note", exact=True)).to_be_focused()
    page.keyboard.type("a rather late 2 word answer?")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#outcome")).to_contain_text("a rather late 2 word answer?")
    assert product.fetch(held["id"])["status"] == "rejected"
    # It was said, so nothing is kept of it.
    expect(page.get_by_label("Your note, kept")).to_be_hidden()


def test_a_quick_hand_stays_in_the_note(product: DemoProduct, open_page: Open) -> None:
    page = open_page(f"/proposals/{product.submit()['id']}/")
    take_by_key(page)
    page.evaluate(PRESS_AT_ONCE, ["r", "4", "m"])
    page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    page.keyboard.type("a note")
    expect(page.get_by_label("Note")).to_have_value("a note")


def test_a_key_that_is_held_down_decides_nothing(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()
    page = open_page(f"/proposals/{held['id']}/")
    take(page)
    page.keyboard.down("a")
    page.wait_for_timeout(KEYS_SLEEP_MS)
    page.keyboard.down("a")
    page.keyboard.up("a")
    page.keyboard.press("r")
    expect(page.get_by_label("Note")).to_be_visible()
    assert product.fetch(held["id"])["status"] == "in_review"


def test_single_keys_can_be_switched_off(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()
    page = open_page(f"/proposals/{held['id']}/")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Single-key shortcuts").uncheck()
    page.reload()
    take(page)
    page.wait_for_timeout(KEYS_SLEEP_MS)
    page.keyboard.press("a")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_label("Single-key shortcuts")).not_to_be_checked()
    assert product.fetch(held["id"])["status"] == "in_review"


def test_it_takes_approves_and_takes_back_by_keys(product: DemoProduct, open_page: Open) -> None:
    held = product.submit(**UNDOABLE_FOR_A_MINUTE)
    page = open_page(f"/proposals/{held['id']}/")
    take_by_key(page)
    page.keyboard.press("a")
    expect(page.locator(".undo")).to_contain_text("Runs in")
    page.wait_for_timeout(KEYS_SLEEP_MS)
    page.keyboard.press("z")
    expect(page.locator("#lease")).to_be_visible()
    expect(page.locator("#history")).to_contain_text("took the decision back")
    assert product.fetch(held["id"])["status"] == "in_review"


def test_release_is_the_key_that_took_it(product: DemoProduct, open_page: Open) -> None:
    page = open_page(f"/proposals/{product.submit()['id']}/")
    take_by_key(page)
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Take it")).to_be_visible()


def test_the_palette_finds_and_does(product: DemoProduct, open_page: Open) -> None:
    page = open_page(f"/proposals/{product.submit()['id']}/")
    wait_for_keys(page)
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    field.fill("take")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#lease")).to_be_visible()
    page.wait_for_timeout(KEYS_SLEEP_MS)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option", name="Queue: Running late")).to_be_visible()
    field.fill("running")
    page.get_by_role("option").first.click()
    expect(page).to_have_url(re.compile("view=breaching"))


def test_it_walks_through_the_queue(product: DemoProduct, open_page: Open) -> None:
    product.submit()
    page = open_page("/queue/")
    wait_for_keys(page)
    rows = page.locator("[data-row]")
    page.keyboard.press("j")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("k")
    target = rows.nth(0).inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(target)
