"""The session ends while somebody is writing."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, sign_in
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import take, write_rejection

pytestmark = pytest.mark.browser

NOTE = "Three lines of careful reasoning."


def assert_nothing_was_decided(product: DemoProduct, page: Page, held: str) -> None:
    expect(page.get_by_label("Note", exact=True)).to_have_value(NOTE)
    assert product.fetch(held)["status"] == "in_review"


def test_it_keeps_the_text_offers_to_sign_in_and_sends_afterwards(
    product: DemoProduct, open_page: Open
) -> None:
    held = product.submit()["id"]
    page = open_page(f"/proposals/{held}/", expected=("401",))
    take(page)
    send = write_rejection(page, "Wrong target", NOTE)
    page.context.clear_cookies(name=re.compile("session"))
    send.click()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("You are signed out.")
    assert_nothing_was_decided(product, page, held)

    with page.expect_popup() as opening:
        notice.get_by_role("link", name="Sign in").click()
    sign_in(opening.value, product, "reviewer")
    send.click()
    expect(page.locator("#outcome")).to_contain_text(NOTE)
    assert product.fetch(held)["status"] == "rejected"


def test_it_keeps_the_text_when_all_cookies_are_gone(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()["id"]
    page = open_page(f"/proposals/{held}/", expected=("403",))
    take(page)
    send = write_rejection(page, "Wrong target", NOTE)
    page.context.clear_cookies()
    send.click()
    expect(page.get_by_role("alert").filter(has_text="Nothing was")).to_be_visible()
    assert_nothing_was_decided(product, page, held)


def test_a_new_page_brings_the_text_back(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()["id"]
    page = take(open_page(f"/proposals/{held}/"))
    write_rejection(page, "Wrong target", NOTE)
    page.reload()
    page.locator("#decide details.reject summary").click()
    expect(page.get_by_label("Note", exact=True)).to_have_value(NOTE)
    expect(page.locator("#decide").get_by_label("Wrong target").first).to_be_checked()
