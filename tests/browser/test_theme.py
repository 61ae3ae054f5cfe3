"""The theme somebody chose stays."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, sign_in
from tests.browser.demo_product import DemoProduct

pytestmark = pytest.mark.browser


def expect_dark(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).to_have_css("color-scheme", "dark")


@pytest.mark.parametrize("javascript", [True, False])
def test_it_stays_over_reload_and_sign_out(
    product: DemoProduct, open_page: Open, *, javascript: bool
) -> None:
    page = open_page(None, user=None, java_script_enabled=javascript, color_scheme="light")
    sign_in(page, product, "reviewer2")
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("button", name="Dark").click()
    expect_dark(page)
    page.reload()
    expect_dark(page)
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    expect_dark(page)
