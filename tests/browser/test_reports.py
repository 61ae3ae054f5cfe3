"""Reports in a browser: a filter works by choosing, with and without JavaScript, and a chart keeps its words readable."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW, WIDE, Open
from tests.browser.demo_product import DemoProduct

pytestmark = pytest.mark.browser

# In pixels, as they are painted.
TEXT_MIN = 11
SMALLEST = """() => Math.min(...[...document.querySelectorAll(".plot text, .whisker-axis text")]
  .filter((text) => text.checkVisibility())
  .map((text) => parseFloat(getComputedStyle(text).fontSize) * (text.getScreenCTM()?.d ?? 1)))"""


def test_choosing_is_enough_and_the_address_says_it(product: DemoProduct, open_page: Open) -> None:
    page = open_page("/reports/overview/", user="manager")
    page.get_by_label("Period").select_option("Last 7 days")
    expect(page).to_have_url(re.compile(r"period=7"))
    page.get_by_label("Compare with the time before").check()
    expect(page.locator(".scope")).to_contain_text("compared with as many days before")
    page.get_by_role("link", name="Acceptance", exact=True).click()
    expect(page).to_have_url(re.compile(r"/reports/acceptance/\?.*period=7"))
    expect(page.get_by_label("Period")).to_have_value("7")
    page.reload()
    expect(page.get_by_label("Period")).to_have_value("7")


def test_it_works_without_javascript(product: DemoProduct, open_page: Open) -> None:
    page = open_page("/reports/agents/", user="manager", java_script_enabled=False)
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Agent", exact=True).select_option("refund-agent")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".scope")).to_contain_text("agent refund-agent")
    page.get_by_role("link", name="Clear filters").click()
    expect(page.locator(".scope")).not_to_contain_text("refund-agent")


@pytest.mark.parametrize("name", ["overview", "acceptance", "agents", "economics"])
def test_words_in_charts_stay_readable(product: DemoProduct, look_at: Open, name: str) -> None:
    page = look_at(f"/reports/{name}/?period=90", user="manager")
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(SMALLEST) >= TEXT_MIN
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_has_the_numbers_and_no_navigation(product: DemoProduct, look_at: Open) -> None:
    page = look_at("/reports/overview/", user="manager")
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Reports")).to_be_hidden()
    expect(page.locator(".report-filter")).to_be_hidden()
    expect(page.get_by_role("table").first).to_be_visible()
    page.emulate_media(media="screen")


def test_a_reviewer_sees_one_line(product: DemoProduct, look_at: Open) -> None:
    page = look_at("/reports/reviewers/", user="reviewer2")
    expect(page.get_by_role("rowheader")).to_have_text(["reviewer2"])
