"""Ways to the pages about notices and webhooks, each through the pages themselves."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct

# Never anybody's: the name is kept for examples.
URL = "https://chat.invalid/hooks/s3cret"


def notices(product: DemoProduct, open_page: Open) -> Page:
    """Somebody who chose to hear of everything in the bell, and heard of something."""
    page = open_page("/me/notices/", user="reviewer2")
    page.get_by_label("Something waits for a decision: in the bell").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notice")).to_contain_text("Saved.")
    product.submit()
    page.goto("/notices/")
    expect(page.locator("main table")).to_contain_text("A guardrail holds refund.create")
    return page


def webhook_secret(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/settings/webhooks/new/", user="admin")
    page.get_by_label("Name").fill("Payments channel")
    page.get_by_label("URL").fill(URL)
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("code.secret")).to_contain_text("whsec_")
    return page


def webhook(product: DemoProduct, open_page: Open) -> Page:
    """One that cannot be reached, as a test has shown."""
    page = webhook_secret(product, open_page)
    page.get_by_role("link", name="I have kept it").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#webhook")).to_contain_text("Tried again later", timeout=20_000)
    return page


def webhook_refused(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/settings/webhooks/new/", user="admin", expected=("422",))
    page.get_by_label("Name").fill("Payments channel")
    page.get_by_label("URL").fill("http://chat.invalid/")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("alert").first).to_contain_text("https")
    return page
