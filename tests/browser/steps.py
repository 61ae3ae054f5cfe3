"""What people do on these pages, said once."""

from playwright.sync_api import Locator, Page, expect

# A promise, because playwright's own waiting needs the eval that the pages forbid.
KEYS_AWAKE = """() => new Promise((awake) => {
  const ready = performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd;
  setTimeout(awake, ready + 400 - performance.now());
})"""


# A little more than app.js sleeps after each swap.
KEYS_SLEEP_MS = 450


def wait_for_keys(page: Page) -> None:
    """Keys sleep for 400 ms after a page has come, so that none meant for the last page is obeyed."""
    page.evaluate(KEYS_AWAKE)


def take(page: Page) -> Page:
    """Hold what the page shows, where nobody does yet."""
    page.get_by_role("button", name="Take it").click()
    expect(page.locator("#lease")).to_be_visible()
    return page


def take_by_key(page: Page) -> None:
    """And wait until the next key is listened to."""
    wait_for_keys(page)
    page.keyboard.press("c")
    expect(page.locator("#lease")).to_be_visible()
    page.wait_for_timeout(KEYS_SLEEP_MS)


def lose_hold(page: Page) -> None:
    """In another window the same person lets go, and this page does not know yet."""
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Release it").click()
    expect(other.get_by_role("button", name="Take it")).to_be_visible()
    other.close()


def write_rejection(page: Page, reason: str, note: str) -> Locator:
    """Fill in the form; the button that sends it is returned."""
    form = page.locator("#decide details.reject")
    form.locator("summary").click()
    form.get_by_label(reason).check()
    form.get_by_label("Note", exact=True).fill(note)
    return form.get_by_role("button", name="Reject, run nothing")
