"""Pages are light, need few requests, and nothing in them jumps while they load."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import NARROW, Open
from tests.browser.demo_product import DemoProduct
from tests.browser.states import PAGES

pytestmark = pytest.mark.browser

KIB = 1024
TRANSFERRED_MAX = 60 * KIB
EDITOR_TRANSFERRED_MAX = 200 * KIB
REQUESTS_MAX = 10
# States of one page weigh much the same.
WEIGHED = (
    "login",
    "queue",
    "queue without a match",
    "waiting for two",
    "done",
    "proposals",
    "runs",
    "run that failed",
    "question of a run",
    "rules",
    "version of a rule",
    "rule being written",
    "backtest",
    "report: overview",
    "report: agents",
    "audit log",
    "API",
    "not found",
)
SHIFT_AFTER_PAINT = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(layoutShift)))))"""


class Meter:
    """Counts what one loading of a page costs, with an empty cache."""

    def __init__(self, page: Page) -> None:
        self.requests = 0
        self.transferred = 0
        self._session = page.context.new_cdp_session(page)
        self._session.on("Network.requestWillBeSent", self._count)
        self._session.on("Network.loadingFinished", self._weigh)
        self._session.send("Network.enable")
        self._session.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def _count(self, event: Mapping[str, Any]) -> None:
        self.requests += 1

    def _weigh(self, event: Mapping[str, Any]) -> None:
        self.transferred += event["encodedDataLength"]


@pytest.mark.parametrize("name", WEIGHED)
def test_it_is_light_and_does_not_jump(product: DemoProduct, look_at: Open, name: str) -> None:
    page = PAGES[name](product, look_at)
    meter = Meter(page)
    page.reload()
    assert meter.requests <= REQUESTS_MAX
    assert meter.transferred <= TRANSFERRED_MAX
    assert page.evaluate(SHIFT_AFTER_PAINT) == 0
    page.set_viewport_size({"width": NARROW, "height": 900})
    page.reload()
    assert page.evaluate(SHIFT_AFTER_PAINT) == 0


def test_a_minute_that_ends_while_a_page_loads_moves_nothing(
    product: DemoProduct, look_at: Open
) -> None:
    page = look_at("/rules/", user="admin")
    page.add_init_script("const now = Date.now; Date.now = () => now() + 3_600_000;")
    page.route("**/app*.js", after_the_first_paint)
    page.reload()
    assert page.locator("time[data-relative]").count() > 0
    assert page.evaluate(SHIFT_AFTER_PAINT) == 0


def after_the_first_paint(route: Route) -> None:
    time.sleep(0.3)
    route.continue_()


def test_the_text_editor_alone_is_heavier(product: DemoProduct, look_at: Open) -> None:
    """It comes with the text; who writes rows, or reads, never loads it."""
    page = look_at("/rules/refund-limit/edit/", user="admin")
    meter = Meter(page)
    page.reload()
    page.get_by_role("button", name="Edit as text").click()
    expect(page.locator(".cm-content")).to_be_focused()
    expect(page.locator("#marks")).to_contain_text("It compiles")
    assert meter.transferred <= EDITOR_TRANSFERRED_MAX
    assert meter.transferred > TRANSFERRED_MAX
