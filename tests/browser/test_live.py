"""Pages that are left open show what happens elsewhere. The browser's clock is wound forward."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import take

pytestmark = pytest.mark.browser

TICK_MS = 10_000


def open_with_own_clock(open_page: Open, path: str) -> Page:
    page = open_page(None)
    page.clock.install()
    page.goto(path)
    return page


def test_a_new_proposal_appears_on_the_open_queue(product: DemoProduct, open_page: Open) -> None:
    page = open_with_own_clock(open_page, "/queue/?action=refund.create")
    expect(page.get_by_role("heading", name="Queue")).to_be_visible()
    target = product.submit()["proposal"]["target"]
    row = page.get_by_role("row").filter(has_text=target)
    assert row.count() == 0
    page.clock.run_for(TICK_MS)
    page.locator("#pill").get_by_role("link", name="new").click()
    expect(row).to_be_visible()


def test_somebody_elses_decision_appears_on_the_open_page(
    product: DemoProduct, open_page: Open
) -> None:
    held = product.submit()["id"]
    watching = open_with_own_clock(open_page, f"/proposals/{held}/")
    expect(watching.locator("#outcome")).to_contain_text("Waiting for a person")
    deciding = open_page(f"/proposals/{held}/", user="reviewer2")
    take(deciding)
    deciding.get_by_role("button", name="Approve and run").click()
    expect(deciding.locator("#outcome")).to_contain_text("Transaction")
    watching.clock.run_for(TICK_MS)
    expect(watching.locator("#outcome")).to_contain_text("reviewer2,")
