"""A payment that two people must approve."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import OVER_THE_LIMIT_FOR_ONE, DemoProduct
from tests.browser.steps import take

pytestmark = pytest.mark.browser


def test_it_runs_after_the_second_approval(product: DemoProduct, open_page: Open) -> None:
    held = product.submit(**OVER_THE_LIMIT_FOR_ONE)
    address = f"/proposals/{held['id']}/"

    first = take(open_page(address, user="reviewer"))
    first.get_by_role("button", name="Approve").click()
    expect(first.locator("#outcome")).to_contain_text("Another person must approve")
    expect(first.locator("#decide")).to_contain_text("1 of 2")
    expect(first.get_by_role("button", name="Approve")).to_have_count(0)
    assert product.fetch(held["id"])["status"] == "in_review"

    second = open_page(address, user="reviewer2")
    expect(second.locator("#history")).not_to_contain_text("by reviewer")
    take(second)
    second.get_by_role("button", name="Approve").click()
    outcome = second.locator("#outcome")
    expect(outcome).to_contain_text("Transaction")
    expect(outcome.locator(".outcome dl.facts").first).to_contain_text("reviewer,")
    expect(outcome.locator(".outcome dl.facts").first).to_contain_text("reviewer2,")
    assert product.fetch(held["id"], wait=10)["status"] == "executed"
