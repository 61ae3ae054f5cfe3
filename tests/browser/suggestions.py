"""Verdicts from which a rule can be suggested: asked for over the API, given in the queue."""

import secrets

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.rules import send

# Enough of both kinds, among the older and among the newest.
EACH = 24
SCHEMA = {
    "type": "object",
    "required": ["grams", "country"],
    "properties": {"grams": {"type": "integer"}, "country": {"type": "string"}},
    "additionalProperties": False,
}


def offered(product: DemoProduct, open_page: Open) -> Page:
    """Every other parcel goes where people let none go."""
    word = f"parcel-{secrets.token_hex(4)}"
    action = f"{word}.send"
    send(product, "PUT", f"/contracts/action/{action}", {"schema": SCHEMA, "timeout_s": 60})
    for number in range(2 * EACH):
        country = "XX" if number % 2 else "NL"
        args = {"grams": number * 37 % 900, "country": country}
        target = f"{word}/{country}/{number}"
        product.submit(action=action, args=args, target=target, confidence=0.3)
    decide_all(open_page, f"{word}/XX", "Reject")
    decide_all(open_page, f"{word}/NL", "Approve")
    page = open_page(f"/rules/suggestions/?action={action}", user="admin")
    expect(page.get_by_role("button", name="Make it a draft rule")).to_be_visible()
    return page


def decide_all(open_page: Open, targets: str, verdict: str) -> None:
    page = open_page(f"/queue/?q={targets}")
    page.get_by_label("Select all").check()
    page.get_by_role("button", name=f"{verdict} …").click()
    if verdict == "Reject":
        page.get_by_label("Wrong value").check()
    page.get_by_role("button", name=f"{verdict} {EACH}").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{EACH} {verdict.lower()}")
