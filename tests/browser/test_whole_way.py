"""From an agent's request to a receipt, decided by a click."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import take

pytestmark = pytest.mark.browser


def test_it_runs_what_a_person_approved_and_shows_the_receipt(
    product: DemoProduct, open_page: Open
) -> None:
    held = product.submit()
    assert (held["status"], held["requires_human"]) == ("in_review", True)
    page = open_page("/queue/?action=refund.create")
    row = page.get_by_role("row").filter(has_text=held["proposal"]["target"])
    expect(row).to_contain_text("the amount 184000 is over the limit of 50000")
    row.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/proposals/{held['id']}/"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Refund €1,840.00")

    page.evaluate("window.neverReloaded = true")
    take(page).get_by_role("button", name="Approve and run").click()
    outcome = page.locator("#outcome")
    expect(outcome.get_by_role("heading", name="Done")).to_be_visible()
    done = product.fetch(held["id"])
    assert done["status"] == "executed"
    expect(outcome).to_contain_text(done["effect"]["id"])
    expect(outcome).to_contain_text(done["effect"]["receipt"]["payload"])
    expect(outcome).to_contain_text("Approved by")
    expect(page.locator("#history")).to_contain_text("Effect done, receipt recorded")
    expect(page.locator("#announcer")).to_have_text("Approved.")
    assert page.evaluate("window.neverReloaded")


def test_it_runs_by_itself_what_no_rule_holds(product: DemoProduct, open_page: Open) -> None:
    # Of an agent that no auditor of other tests has made stand down.
    args = {"amount_minor": 1_990, "currency": "EUR"}
    made = product.submit(agent="till-agent", args=args, confidence=0.97)
    assert made["disposition"] == "accept"
    page = open_page(f"/proposals/{made['id']}/")
    expect(page.locator("#outcome")).to_contain_text("Done")
    expect(page.locator("#outcome")).to_contain_text(product.fetch(made["id"])["effect"]["id"])
