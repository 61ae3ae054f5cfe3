"""Everything a reviewer must be able to do when no script runs."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, sign_in
from tests.browser.demo_product import DemoProduct

pytestmark = pytest.mark.browser


def open_without_scripts(product: DemoProduct, open_page: Open, *expected: str) -> Page:
    page = open_page(None, user=None, java_script_enabled=False, expected=expected)
    sign_in(page, product, "reviewer")
    return page


def test_it_signs_in_approves_and_shows_the_receipt(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()
    page = open_without_scripts(product, open_page)
    page.goto("/queue/?action=refund.create")
    page.get_by_role("row").filter(has_text=held["proposal"]["target"]).get_by_role("link").click()
    page.get_by_role("button", name="Take it").click()
    page.get_by_role("button", name="Approve and run").click()
    expect(page.get_by_role("status").filter(has_text="Approved.")).to_be_visible()
    done = product.fetch(held["id"], wait=10)
    page.reload()
    expect(page.locator("#outcome")).to_contain_text(done["effect"]["id"])
    expect(page.locator("#outcome")).to_contain_text(done["effect"]["receipt"]["payload"])


def test_it_shows_what_is_missing_and_then_rejects(product: DemoProduct, open_page: Open) -> None:
    held = product.submit()
    page = open_without_scripts(product, open_page, "422")
    page.goto(f"/proposals/{held['id']}/")
    page.get_by_role("button", name="Take it").click()
    form = page.locator("details.reject")
    form.locator("summary").click()
    form.get_by_label("Note", exact=True).fill("Nobody can tell why.")
    # The browser asks for the reason itself; this is one that does not.
    page.evaluate("document.querySelector('details.reject form').noValidate = true")
    form.get_by_role("button", name="Reject, run nothing").click()
    expect(page.get_by_role("alert").filter(has_text="Not decided.")).to_be_visible()
    expect(form.get_by_label("Note", exact=True)).to_have_value("Nobody can tell why.")
    assert product.fetch(held["id"])["status"] == "in_review"

    form.get_by_label("Missing evidence").check()
    form.get_by_role("button", name="Reject, run nothing").click()
    expect(page.locator("#outcome")).to_contain_text("Nobody can tell why.")
    assert product.fetch(held["id"])["status"] == "rejected"
