"""What people do on these pages, said once."""

from playwright.sync_api import Locator, Page

# A promise, because playwright's own waiting needs the eval that the pages forbid.
KEYS_AWAKE = """() => new Promise((awake) => {
  const ready = performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd;
  setTimeout(awake, ready + 400 - performance.now());
})"""


def wait_for_keys(page: Page) -> None:
    """Keys sleep for 400 ms after a page has come, so that none meant for the last page is obeyed."""
    page.evaluate(KEYS_AWAKE)


def write_rejection(page: Page, reason: str, note: str) -> Locator:
    """Fill in the form; the button that sends it is returned."""
    form = page.locator("details.reject")
    form.locator("summary").click()
    form.get_by_label(reason).check()
    form.get_by_label("Note").fill(note)
    return form.get_by_role("button", name="Reject, run nothing")
