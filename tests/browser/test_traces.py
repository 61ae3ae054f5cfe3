"""The trace of a run in a real browser: by keys, live, and without JavaScript."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.states import WORKFLOWS
from tests.browser.test_runs import SLOW

pytestmark = pytest.mark.browser


def test_arrow_keys_move_and_enter_opens(product: DemoProduct, open_page: Open) -> None:
    product.save("failing", WORKFLOWS["failing"])
    run = product.run("failing", {"order": "A-20931"})
    page = open_page(f"/runs/{run['id']}/", user="admin")
    rows = page.locator("#run-trace [data-span]")
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(rows.nth(2)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#span-title")).to_contain_text("read-agent")
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")


def test_it_grows_without_taking_the_focus_away(product: DemoProduct, open_page: Open) -> None:
    page = open_page("/runs/")
    product.save("slow", SLOW)
    page.goto(f"/runs/{product.run('slow', wait=0)['id']}/")
    rows = page.locator("#run-trace [data-span]")
    rows.first.focus()
    expect(page.locator("#run-trace")).to_contain_text("at work")
    expect(page.locator("#run-trace .trace li[data-kind=agent]")).to_have_count(2)
    expect(page.locator("#run-now .chips")).to_contain_text("Completed")
    expect(page.locator("#run-trace")).not_to_contain_text("at work")
    expect(rows.first).to_be_focused()


def test_without_javascript_a_row_leads_to_its_details(
    product: DemoProduct, open_page: Open
) -> None:
    product.save("failing", WORKFLOWS["failing"])
    run = product.run("failing", {"order": "A-20931"})
    page = open_page(f"/runs/{run['id']}/", user="admin", java_script_enabled=False)
    page.locator("#run-trace [data-span]").last.click()
    expect(page.locator("#span-title")).to_contain_text("book-agent")
    expect(page.locator("main")).to_contain_text("It began at stage book")
    expect(page.locator("#run-trace [data-origin]")).to_contain_text("it began here")
