"""Rules for the browser tests: written and tried over the API, agreed to by a person."""

import secrets
import time
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import take

INVOICE = {"agent": "invoice-agent", "confidence": 0.99, "target": "invoice/1"}
# What is half written is answered with 422, which Chromium calls an error.
WRITING = ("422",)


def write_rule(product: DemoProduct, slug: str = "", *, limit: int = 50_000, **changes: Any) -> str:
    """A new version, of a new rule unless one is named; about an action that nobody else proposes."""
    slug = slug or f"rule-{secrets.token_hex(4)}"
    body = {
        "title": "Large test invoices need a person",
        "effect": "hold",
        "require": changes.get("condition", f"proposal.args.amount_minor <= {limit}"),
        "message": "{proposal.args.amount_minor} is too much",
        "applies_to": {"actions": [f"test.{slug}"]},
    }
    send(product, "PUT", f"/rules/{slug}", body)
    return slug


def propose_for(product: DemoProduct, slug: str, minor: int = 90_000) -> dict[str, Any]:
    args = {"amount_minor": minor, "currency": "EUR"}
    return product.submit(**INVOICE | {"action": f"test.{slug}", "args": args})


def backtest(product: DemoProduct, slug: str, number: int = 1) -> str:
    """Its id, once it has come to its end."""
    return finish(product, f"/rules/{slug}/versions/{number}/backtest")


def finish(product: DemoProduct, path: str) -> str:
    begun = send(product, "POST", path, {})
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = send(product, "GET", f"/backtests/{begun['id']}")
        if found["status"] == "done":
            return str(found["id"])
        time.sleep(0.1)
    raise AssertionError(f"the backtest is {found['status']}")


def watch(product: DemoProduct, slug: str, number: int = 1) -> None:
    send(product, "POST", f"/rules/{slug}/versions/{number}/shadow", {})


def ask_for(product: DemoProduct, slug: str, number: int = 1) -> str:
    """The proposal to put a version into force."""
    found = send(
        product, "POST", f"/rules/{slug}/versions/{number}/activate", {"note": "It was tried."}
    )
    return str(found["proposal"])


def put_in_force(product: DemoProduct, open_page: Open, slug: str, number: int = 1) -> str:
    backtest(product, slug, number)
    page = open_page(f"/proposals/{ask_for(product, slug, number)}/", user="admin2")
    take(page).get_by_role("button", name="Approve the change").click()
    expect(page.locator("#outcome")).to_contain_text("Done")
    return slug


def send(
    product: DemoProduct, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    answer = httpx.request(
        method,
        f"{product.base_url}/api/v1{path}",
        json=body,
        headers={"Authorization": f"Bearer {product.tokens['admin']}"},
        timeout=30,
    )
    assert answer.is_success, answer.text
    return dict(answer.json())
