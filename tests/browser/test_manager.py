"""A manager looks and does not decide."""

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct

pytestmark = pytest.mark.browser


def test_it_offers_a_manager_no_decision_and_takes_none(
    product: DemoProduct, open_page: Open
) -> None:
    held = product.submit()
    page = open_page(f"/proposals/{held['id']}/", user="manager")
    expect(page.locator("#decide")).to_contain_text("Deciding needs the role reviewer or admin.")
    # Handing it to a team is all there is.
    expect(page.locator("#decide").get_by_role("button", name="Approve")).to_have_count(0)
    expect(page.locator("#decide").get_by_role("button", name="Take it")).to_have_count(0)
    expect(page.locator("#decide [name=verdict]")).to_have_count(0)

    forged = {
        "csrfmiddlewaretoken": page.locator("[name=csrfmiddlewaretoken]").first.input_value(),
        "item": held["review_item"]["id"],
        "version": "1",
        "idempotency_key": "forged",
        "verdict": "approve",
    }
    answer = page.request.post(f"/proposals/{held['id']}/decide/", form=forged)
    assert answer.status == httpx.codes.FORBIDDEN
    assert "It needs the role" in answer.text()
    assert product.fetch(held["id"])["status"] == "in_review"
