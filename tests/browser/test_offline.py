"""The network goes away while somebody is writing."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import take, write_rejection

pytestmark = pytest.mark.browser


def test_it_says_so_keeps_the_text_and_sends_when_asked_again(
    product: DemoProduct, open_page: Open
) -> None:
    held = product.submit()["id"]
    page = open_page(
        f"/proposals/{held}/", expected=("ERR_INTERNET_DISCONNECTED", "Failed to fetch")
    )
    take(page)
    send = write_rejection(page, "Breaks a policy", "The window is 30 days.")
    page.context.set_offline(True)
    send.click()
    toast = page.get_by_role("alert").filter(has_text="Your text is kept")
    expect(toast).to_contain_text("Nothing was sent.")
    expect(page.get_by_label("Note", exact=True)).to_have_value("The window is 30 days.")
    assert product.fetch(held)["status"] == "in_review"

    page.context.set_offline(False)
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_be_hidden()
    send.click()
    expect(page.locator("#outcome")).to_contain_text("The window is 30 days.")
    assert product.fetch(held)["status"] == "rejected"
