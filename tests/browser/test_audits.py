"""Judging blindly, by keys alone and without any script."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, sign_in
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import wait_for_keys

pytestmark = pytest.mark.browser
HARMLESS = {"amount_minor": 1_990, "currency": "EUR", "reason": "late_delivery"}


def accepted(product: DemoProduct, count: int) -> None:
    for _ in range(count):
        product.submit(args=HARMLESS)


def hidden_words(page: Page) -> list[str]:
    """What would tell what was done, if it stood there."""
    text = page.locator("main").inner_text()
    return [word for word in ("Decided by", "Confidence", "refund-agent", "Accept") if word in text]


def test_keys_alone_go_from_one_to_the_next(product: DemoProduct, open_page: Open) -> None:
    accepted(product, 2)
    page = open_page("/queue/", user="reviewer2")
    wait_for_keys(page)
    for key in ("g", "a"):
        page.keyboard.press(key)
    page.wait_for_url("**/audits/")
    wait_for_keys(page)
    page.keyboard.press("n")
    page.wait_for_url("**/audits/rev_*/")
    first = page.url
    assert hidden_words(page) == []
    wait_for_keys(page)
    for key in ("r", "4", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#reveal h2")).to_be_focused()
    expect(page.locator("#reveal")).to_contain_text("would not let it run: missing evidence")
    expect(page.locator("#announcer")).to_contain_text("Recorded.")
    page.wait_for_timeout(500)
    page.keyboard.press("n")
    page.wait_for_url(lambda url: "/audits/rev_" in url and url != first)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Should this run?")


def test_it_works_without_scripts(product: DemoProduct, open_page: Open) -> None:
    accepted(product, 1)
    page = open_page(None, user=None, java_script_enabled=False)
    sign_in(page, product, "reviewer2")
    page.goto("/audits/")
    page.locator("main form button").first.click()
    assert hidden_words(page) == []
    page.get_by_role("button", name="I would let it run").click()
    expect(page.get_by_role("status").filter(has_text="Recorded.")).to_be_visible()
    expect(page.locator("#reveal")).to_contain_text("Decided by")


def test_the_audited_proposal_leads_back(product: DemoProduct, open_page: Open) -> None:
    accepted(product, 1)
    page = open_page("/audits/", user="manager")
    expect(page.get_by_role("button", name="Start")).to_have_count(0)
    page = open_page("/audits/", user="admin2")
    page.locator("main form button").first.click()
    address = page.url
    item = address.rstrip("/").rsplit("/", 1)[1]
    page.goto(f"/find/?id={item}")
    assert page.url == address


def test_an_open_page_keeps_its_hold(product: DemoProduct, open_page: Open) -> None:
    accepted(product, 1)
    # A minute passes at once, and what was under way just then is a minute late.
    page = open_page(None, user="admin2", expected=("timeout",))
    page.clock.install()
    page.goto("/audits/")
    page.locator("main form button").first.click()
    page.wait_for_url("**/audits/rev_*/")
    with page.expect_response("**/keep/") as answer:
        page.clock.run_for(61_000)
    assert answer.value.status == 204
