"""Arguments in each way they can be shown, and the form of an edit, for everybody's eyes."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations_everywhere
from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.test_hostile_agent import assert_no_sideways_scroll, unfold
from tests.browser.test_xss import ACTION, CONTRACT

pytestmark = pytest.mark.browser

ARGS: dict[str, Any] = {
    "amount": 184_000,
    "currency": "EUR",
    "patch": "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n",
    "before": "one\ntwo",
    "after": "one\nthree",
    "statement": "-- all of them\nDELETE FROM orders;\nSELECT 'x', 5 FROM t",
    "letter": "See https://bank.example@evil.example/ today.",
    "to": ["a@example.org", "b@example.org"],
    "cc": "c@example.org",
    "subject": "Your order",
    "tree": {"deep": {"er": [1, "1", None]}, "flat": True},
    "text": "one\ntwo\nthree",
    "table": [{"sku": "a", "count": 2}, {"sku": "b", "note": None}],
    "plain": {"a": [1]},
}


@pytest.fixture(scope="module")
def shown(product: DemoProduct) -> str:
    answer = httpx.put(
        f"{product.base_url}/api/v1/contracts/action/{ACTION}",
        json=CONTRACT,
        headers={"Authorization": f"Bearer {product.tokens['admin']}"},
        timeout=30,
    )
    assert answer.is_success, answer.text
    made = product.submit(
        action=ACTION, args=ARGS, tainted=["/args/to", "/args/before", "/args/text"], confidence=0.1
    )
    return f"/proposals/{made['id']}/"


def test_every_kind_can_be_read_by_everybody(shown: str, look_at: Open) -> None:
    page = look_at(shown)
    unfold(page)
    expect(page.get_by_text("DELETE without WHERE: it touches every row of orders")).to_be_visible()
    expect(page.get_by_text("€1,840.00").first).to_be_visible()
    assert violations_everywhere(page) == []
    assert_no_sideways_scroll(page)


def test_an_edit_keeps_types_and_shows_what_changed(shown: str, open_page: Open) -> None:
    page = open_page(shown)
    page.get_by_role("button", name="Take it").first.click()
    expect(page.get_by_text("Held by you").first).to_be_visible()
    page.goto(f"{shown}edit/")
    unfold(page)
    assert violations_everywhere(page) == []
    assert_no_sideways_scroll(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.locator("[name='arg/amount']").fill("184500")
    page.get_by_label("Wrong value").check()
    page.get_by_role("button", name="Check and go on").click()
    changed = page.locator(".changed")
    expect(changed).to_contain_text("€1,840.00")
    expect(changed).to_contain_text("€1,845.00")
    expect(changed.get_by_role("listitem")).to_have_count(1)
    assert violations_everywhere(page) == []
