"""The pages about runs, and the questions that runs ask, in a real browser."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import lose_hold, take, take_by_key
from tests.runs import QUESTION, REFUNDS, SUPPORT, scripted, stage

pytestmark = pytest.mark.browser

SLOW: dict[str, Any] = {
    "pattern": "pipeline",
    "stages": [
        stage("read", {"order": "A-20931"}),
        stage("think", agent=scripted("thinker", {"ok": True}, takes_ms=4_000)),
    ],
}


def asked(product: DemoProduct) -> dict[str, Any]:
    """A run that waits for the answer of a person."""
    product.save("refunds", REFUNDS)
    run = product.run("refunds", {"order": "A-20931"})
    assert run["status"] == "waiting", run
    return run


def test_a_run_moves_before_the_eyes_of_who_watches(product: DemoProduct, open_page: Open) -> None:
    """What was opened to be read stays open while the rest goes on."""
    page = open_page("/runs/")
    product.save("slow", SLOW)
    page.goto(f"/runs/{product.run('slow', wait=0)['id']}/")
    first = page.locator("#stage-read")
    expect(first).to_contain_text("Done")
    first.locator("summary").click()
    page.locator("#event-1 summary").click()
    expect(page.locator("#stage-think")).to_contain_text("At work")
    expect(page.locator("#stage-think")).to_contain_text("Done")
    expect(page.locator("#run-now .chips")).to_contain_text("Completed")
    expect(page.locator("#run-events")).to_contain_text("think answered")
    expect(first.locator("details")).to_have_attribute("open", "")
    expect(page.locator("#event-1")).to_have_attribute("open", "")
    expect(page.locator('[data-live="1"]')).to_have_count(0)


def test_a_question_is_answered_with_one_key(product: DemoProduct, open_page: Open) -> None:
    run = asked(product)
    page = open_page(f"/items/{product.item_of(run['id'])}/")
    expect(page.get_by_role("heading", name=QUESTION)).to_be_visible()
    take_by_key(page)
    page.keyboard.press("a")
    expect(page.locator("#outcome")).to_contain_text("Approved")
    expect(page.locator("#outcome h2")).to_be_focused()
    assert product.fetch_run(run["id"], wait=10)["works"][1]["status"] == "done"


def test_a_question_is_rejected_without_javascript(product: DemoProduct, open_page: Open) -> None:
    run = asked(product)
    page = open_page(f"/items/{product.item_of(run['id'])}/", java_script_enabled=False)
    page.get_by_role("button", name="Take it").click()
    form = page.locator("details.reject")
    form.locator("summary").click()
    form.get_by_label("Wrong value").check()
    form.get_by_role("button", name=re.compile("Reject")).click()
    expect(page.locator("#outcome")).to_contain_text("Rejected")
    assert product.fetch_run(run["id"], wait=10)["status"] == "failed"


def test_the_open_page_notices_that_somebody_was_faster(
    product: DemoProduct, open_page: Open
) -> None:
    path = f"/items/{product.item_of(asked(product)['id'])}/"
    slow = open_page(path, user="reviewer2", expected=("409",))
    # The page asks every ten seconds, and on a slow machine would know before the click.
    slow.route("**/news/", lambda route: route.fulfill(status=304))
    take(slow)
    lose_hold(slow)
    fast = take(open_page(path))
    fast.get_by_role("button", name="Approve").click()
    expect(fast.locator("#outcome")).to_contain_text("Approved")
    slow.get_by_role("button", name="Approve").click()
    expect(slow.locator("#decide")).to_contain_text("reviewer was first")


def test_a_run_is_cancelled_after_a_second_look(product: DemoProduct, open_page: Open) -> None:
    product.save("support", SUPPORT)
    run = product.run("support", {"text": "My chair is broken."})
    page = open_page(f"/runs/{run['id']}/", user="admin")
    page.locator("summary", has_text="Cancel…").click()
    expect(page.get_by_label("Why")).to_be_focused()
    page.get_by_role("button", name="Cancel this run").click()
    assert product.fetch_run(run["id"])["status"] == "waiting"
    page.get_by_label("Why").fill("The customer called.")
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.locator("#run-now")).to_contain_text("The customer called.")
    assert product.fetch_run(run["id"])["status"] == "cancelled"
