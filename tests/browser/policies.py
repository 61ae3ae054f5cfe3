"""Evaluation policies for the browser tests: written and tried over the API."""

import secrets
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.rules import finish, send
from tests.browser.steps import take, write_rejection
from tests.judges import validator


def write_policy(
    product: DemoProduct, agent: str = "", *, accept_above: float = 0.8, validators: Any = ()
) -> int:
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
        "target_error": None if validators else 0.02,
        "validators": list(validators),
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


def put_in_force(product: DemoProduct, open_page: Open, *validators: str) -> str:
    """For an agent of its own, whose name is returned: what it proposes, these are asked about."""
    asked = [validator(name, timeout_s=60) for name in validators]
    number = write_policy(product, validators=asked)
    finish(product, f"/policies/{number}/backtest")
    wish = send(product, "POST", f"/policies/{number}/activate", {"note": "It was tried."})
    page = open_page(f"/proposals/{wish['proposal']}/", user="admin2")
    take(page).get_by_role("button", name="Approve the change").click()
    expect(page.locator("#outcome")).to_contain_text("Done")
    return agent_of(product, number)


def small_refund(product: DemoProduct, agent: str) -> str:
    """Its address. No rule holds it, and the agent is sure."""
    made = product.submit(agent=agent, args={"amount_minor": 900, "currency": "EUR"})
    return f"/proposals/{made['id']}/"


def being_evaluated(product: DemoProduct, open_page: Open) -> Page:
    agent = put_in_force(product, open_page, "calm", "pondering")
    page = open_page(small_refund(product, agent))
    expect(page.get_by_text("pondering is asked")).to_be_visible()
    return page


def failed_by_a_validator(product: DemoProduct, open_page: Open) -> Page:
    """By one that says no and by one that says nothing; decided, so that it is told."""
    agent = put_in_force(product, open_page, "calm", "stern", "broken")
    address = small_refund(product, agent)
    product.wait_for_validators(address.split("/")[2])
    page = take(open_page(address))
    expect(page.get_by_text("what validators say are shown after you decide")).to_be_visible()
    write_rejection(page, "Wrong value", "It promises too much.").click()
    expect(page.locator("#outcome")).to_contain_text("Wrong value")
    expect(page.get_by_text("Validator stern")).to_be_visible()
    return page


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
