"""Whatever an agent writes is shown as text: it runs nothing, loads nothing and covers nothing."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, WIDE, Open
from tests.browser.demo_product import DemoProduct
from tests.browser.hostile import PAYLOADS
from tests.browser.steps import take

pytestmark = pytest.mark.browser

ACTION = "hostile.act"
LISTS = ("/queue/", f"/queue/?action={ACTION}", f"/proposals/?action={ACTION}", "/audit-log/")


def poison(payload: str) -> dict[str, Any]:
    """The payload in every field that takes free text, as far as the field is long."""
    return {
        "action": ACTION,
        "target": payload[:500],
        "args": {
            payload: payload,
            "list": [payload, {payload: [payload]}],
            "amount_minor": payload,
        },
        "context": {payload: {payload: payload}},
        "rationale": payload,
        "external_id": payload[:200],
        "model": payload[:200],
        "agent_version": payload[:100],
        "tainted": [f"/args/{payload}"[:500], payload[:500]],
        "confidence": 0.1,
    }


def assert_no_sideways_scroll(page: Page) -> None:
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        excess = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert excess <= 0, f"{page.url} is {excess} px too wide at {width} px"


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('main details').forEach((part) => (part.open = true))")


@pytest.fixture(scope="module")
def poisoned(product: DemoProduct) -> dict[str, str]:
    """The id of one waiting proposal for each payload."""
    return {name: product.submit(**poison(payload))["id"] for name, payload in PAYLOADS.items()}


@pytest.mark.parametrize("name", PAYLOADS)
def test_it_shows_the_payload_as_text_and_can_still_be_decided(
    poisoned: dict[str, str], look_at: Open, name: str
) -> None:
    page = look_at(f"/proposals/{poisoned[name]}/")
    take(page).get_by_role("button", name="Approve and run").click(trial=True)
    unfold(page)
    assert_no_sideways_scroll(page)
    # Of the folds beside the document one is open at a time.
    reject = page.locator("details.reject")
    reject.evaluate("(fold) => { fold.open = true; }")
    reject.get_by_label("Suspected injection").check()


def test_lists_full_of_payloads_can_still_be_read(poisoned: dict[str, str], look_at: Open) -> None:
    page = look_at(None, user="admin")
    for path in LISTS:
        page.goto(path)
        expect(page.get_by_role("row").nth(1)).to_be_visible()
        assert_no_sideways_scroll(page)


def test_hidden_characters_are_spelled_out(poisoned: dict[str, str], look_at: Open) -> None:
    page = look_at(f"/proposals/{poisoned['terminal-and-direction']}/")
    shown = page.locator("main .document").inner_text()
    for code in ("U+001B", "U+202E", "U+2066", "U+200B", "U+FEFF", "U+E0041"):
        assert code in shown
    assert not set(shown) & set("\x1b\u202e\u2066\u200b\ufeff\U000e0041")
    title = page.title()
    assert "U+202E" in title
    assert "\u202e" not in title


def test_five_thousand_arguments_leave_the_page_usable(product: DemoProduct, look_at: Open) -> None:
    held = product.submit(
        action=ACTION, args={f"key{number}": number for number in range(5_000)}, confidence=0.1
    )
    page = look_at(f"/proposals/{held['id']}/")
    assert_no_sideways_scroll(page)
    # On a phone the button says less.
    take(page).get_by_role("button", name=re.compile("^Approve")).click(timeout=30_000)
    expect(page.locator("#outcome")).to_contain_text("Transaction")


@pytest.mark.parametrize("field", ["agent", "action", "workflow"])
def test_names_take_no_markup_at_all(product: DemoProduct, field: str) -> None:
    body = {"agent": "a", "action": "b"}
    refused = {
        payload
        for payload in PAYLOADS.values()
        if product.post(body | {field: payload}).status_code == httpx.codes.UNPROCESSABLE_ENTITY
    }
    assert refused == set(PAYLOADS.values())
