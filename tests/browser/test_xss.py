"""Sixty payloads in every field that an agent writes: none runs, loads anything or becomes markup.

Many of them share a page, because a page costs a third of a second and there are a thousand places.
"""

from itertools import batched
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.hostile import MARK
from tests.browser.test_hostile_agent import unfold
from tests.browser.xss_payloads import PAYLOADS

pytestmark = pytest.mark.browser

ACTION = "hostile.show"
ANYTHING: dict[str, Any] = {}
NAMES = (
    "amount", "currency", "patch", "before", "after", "statement", "letter", "to", "cc", "subject",
    "tree", "text", "table", "plain",
)  # fmt: skip
CONTRACT = {
    "timeout_s": 60,
    "schema": {"type": "object", "properties": dict.fromkeys(NAMES, ANYTHING)},
    "review": {
        "heading": "Show {plain} to {target} of {agent}",
        "shows": {
            "/amount": {"as": "money", "currency": "/currency"},
            "/patch": {"as": "diff"},
            "/after": {"as": "diff", "old": "/before"},
            "/statement": {"as": "sql"},
            "/letter": {"as": "email", "to": "/to", "cc": "/cc", "subject": "/subject"},
            "/tree": {"as": "json"},
            "/text": {"as": "text"},
            "/table": {"as": "table"},
        },
    },
}
# What of a page could only have come from a payload.
MADE_OF_THEM = f"""
  :is(main, title) :is(script, iframe, object, embed, base, meta, style, video, math, foreignObject, template),
  main link:not([href^="/static/"]), main img, main svg :is(a, script, animate, style),
  main :is([onerror], [onload], [onclick], [onfocus], [ontoggle], [onmouseover], [onpointerenter], [style]),
  main :is([href*="{MARK}" i], [src*="{MARK}" i], [action*="{MARK}" i], [hx-get*="{MARK}" i], [hx-post*="{MARK}" i]),
  main [href^="javascript:" i], main [href^="data:" i]
"""


def suggestion(one: str, several: tuple[str, ...]) -> dict[str, Any]:
    """One where a field has room for one, several where it has room for more."""
    lines = "\n".join(several)
    return {
        "action": ACTION,
        "target": one,
        "agent_version": one[:100],
        "model": one,
        "rationale": lines,
        "external_id": one,
        "context": {one: list(several)},
        "tainted": [f"/args/{one}"[:500], "/args/letter", one],
        "confidence": 0.1,
        "args": {
            "amount": one,
            "currency": one,
            "patch": f"@@ -1 +1 @@\n-{lines}\n+{lines}",
            "before": "\n".join(reversed(several)),
            "after": lines,
            "statement": f"DELETE FROM {lines}",
            "letter": f"https://{lines}",
            "to": list(several),
            "cc": one,
            "subject": one,
            "tree": {one: {text: [text] for text in several}},
            "text": lines,
            "table": [{one: text, "x": {text: text}} for text in several],
            "plain": one,
            one: list(several),
        },
    }


@pytest.fixture(scope="module")
def poisoned(product: DemoProduct) -> list[dict[str, Any]]:
    """Sixty proposals that wait, each with its own payload in every field and five more where they fit."""
    answer = httpx.put(
        f"{product.base_url}/api/v1/contracts/action/{ACTION}",
        json=CONTRACT,
        headers={"Authorization": f"Bearer {product.tokens['admin']}"},
        timeout=30,
    )
    assert answer.is_success, answer.text
    ring = PAYLOADS + PAYLOADS[:5]
    return [
        product.submit(**suggestion(ring[number], ring[number : number + 6]))
        for number in range(len(PAYLOADS))
    ]


def assert_nothing_came_of_it(page: Page) -> None:
    unfold(page)
    found = page.evaluate(
        "selector => [...document.querySelectorAll(selector)].map((part) => part.outerHTML)",
        MADE_OF_THEM,
    )
    assert found == [], page.url


def test_where_people_decide(poisoned: list[dict[str, Any]], look_at: Open) -> None:
    page = look_at(None)
    for made in poisoned:
        page.goto(f"/proposals/{made['id']}/")
        assert_nothing_came_of_it(page)
        assert MARK in page.locator(".document").inner_text()


@pytest.mark.parametrize(
    "path",
    [
        "/queue/",
        f"/queue/?action={ACTION}",
        f"/proposals/?action={ACTION}",
        "/runs/",
        "/audit-log/",
    ],
)
def test_lists(poisoned: list[dict[str, Any]], look_at: Open, path: str) -> None:
    page = look_at(path, user="admin")
    assert_nothing_came_of_it(page)
    more = page.get_by_role("link", name="Older")
    if path.startswith("/proposals") and more.count():
        more.click()
        assert_nothing_came_of_it(page)


def test_a_trace_takes_numbers_alone(product: DemoProduct) -> None:
    body = {"agent": "a", "action": ACTION}
    traces = [{payload: 1} for payload in PAYLOADS] + [{"tokens_in": text} for text in PAYLOADS]
    for trace in traces[::10]:
        answer = product.post(body | {"trace": trace})
        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_runs_and_their_events(product: DemoProduct, look_at: Open) -> None:
    """A target has room for four."""
    page = look_at(None, user="admin")
    for several in batched(PAYLOADS, 4, strict=True):
        made = product.submit(
            **suggestion(several[0], several) | {"target": " ".join(several)[:500]}
        )
        page.goto(f"/runs/{made['run']}/")
        assert_nothing_came_of_it(page)
    page.goto(f"/runs/{made['run']}/events/1/")
    assert_nothing_came_of_it(page)


def test_the_form_of_an_edit(product: DemoProduct, open_page: Open) -> None:
    """As names and as values of fields, and in the JSON of the whole."""
    args = {text: [text, {text: text}] for text in PAYLOADS} | {"long": "\n".join(PAYLOADS)}
    page = open_page(None)
    for body in (args, {text: text for text in PAYLOADS[:20]}):
        made = product.submit(
            action="hostile.edit", args=body, tainted=list(PAYLOADS), confidence=0.1
        )
        page.goto(f"/proposals/{made['id']}/")
        assert_nothing_came_of_it(page)
        page.get_by_role("button", name="Take it").first.click()
        expect(page.get_by_text("Held by you").first).to_be_visible()
        page.goto(f"/proposals/{made['id']}/edit/")
        expect(page.get_by_label("Note")).to_be_visible()
        assert page.get_by_label("JSON of the arguments").input_value().count(MARK) >= len(body)
        assert_nothing_came_of_it(page)
