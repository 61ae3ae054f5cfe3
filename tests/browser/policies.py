"""Evaluation policies for the browser tests: written and tried over the API."""

import secrets

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.rules import finish, send


def write_policy(product: DemoProduct, agent: str = "", *, accept_above: float = 0.8) -> int:
    """For an agent that nobody else proposes as, unless one is named. It has scores on both sides."""
    if not agent:
        agent = f"agent-{secrets.token_hex(4)}"
        for confidence in (0.3, 0.75, 0.85, 0.85, 0.95):
            product.submit(
                agent=agent, confidence=confidence, args={"amount_minor": 900, "currency": "EUR"}
            )
    body = {
        "scope": {"agent": agent},
        "accept_above": accept_above,
        "escalate_at_or_below": 0.4,
        "target_error": 0.02,
        "note": "They are right more often than they say.",
    }
    return int(send(product, "POST", "/policies", body)["number"])


def agent_of(product: DemoProduct, number: int) -> str:
    return str(send(product, "GET", f"/policies/{number}")["scope"]["agent"])


def draft(product: DemoProduct, open_page: Open) -> Page:
    return open_page(f"/policies/{write_policy(product)}/", user="admin")


def seen_by_others(product: DemoProduct, open_page: Open) -> Page:
    """A second version, tried, as a manager sees it."""
    first = write_policy(product)
    second = write_policy(product, agent_of(product, first), accept_above=0.9)
    finish(product, f"/policies/{second}/backtest")
    return open_page(f"/policies/{second}/", user="manager")


def backtest(product: DemoProduct, open_page: Open) -> Page:
    number = write_policy(product)
    found = finish(product, f"/policies/{number}/backtest")
    return open_page(f"/policies/{number}/backtests/{found}/", user="manager")


def change(product: DemoProduct, open_page: Open) -> Page:
    number = write_policy(product)
    finish(product, f"/policies/{number}/backtest")
    asked = send(product, "POST", f"/policies/{number}/activate", {"note": "It was tried."})
    return open_page(f"/proposals/{asked['proposal']}/", user="admin2")


def being_written(product: DemoProduct, open_page: Open) -> Page:
    """With a line moved, and a validator begun."""
    number = write_policy(product)
    page = open_page(f"/policies/{number}/edit/", user="admin")
    page.get_by_role("button", name="Add a validator").click()
    expect(page.get_by_label("Rubric")).to_be_visible()
    line = page.locator(".histogram .accept")
    expect(line).to_have_attribute("x1", "800")
    page.get_by_label("Accept above").fill("0.5")
    expect(line).to_have_attribute("x1", "500")
    page.get_by_text("As a table").click()
    return page


def that_is_wrong(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/policies/new/", user="admin", expected=("422",))
    page.get_by_label("Accept above").fill("0.2")
    page.get_by_role("button", name="Save as a draft").click()
    expect(page.get_by_role("alert").first).to_contain_text("It must be lower")
    return page
