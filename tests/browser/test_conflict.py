"""Two people on one item."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import lose_hold, take, write_rejection

pytestmark = pytest.mark.browser


def test_the_second_is_told_who_won_and_keeps_the_note(
    product: DemoProduct, open_page: Open
) -> None:
    held = product.submit()
    address = f"/proposals/{held['id']}/"
    slow = take(open_page(address, user="reviewer2", expected=("409",)))
    send = write_rejection(slow, "Wrong value", "It should be 18.40.")
    lose_hold(slow)

    fast = take(open_page(address, user="reviewer"))
    fast.get_by_role("button", name="Approve and run").click()
    expect(fast.locator("#outcome")).to_contain_text("Transaction")
    send.click()

    panel = slow.locator("#decide")
    expect(panel).to_contain_text("Not recorded")
    expect(panel).to_contain_text("reviewer was first: approved")
    expect(panel.get_by_label("Your note, kept")).to_have_value("It should be 18.40.")
    expect(slow.locator("#outcome")).to_contain_text("reviewer,")
    assert product.fetch(held["id"], wait=10)["status"] == "executed"
