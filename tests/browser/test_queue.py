"""The list of what waits, left open, and several of its rows at once."""

import re
import secrets
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import NARROW, WIDE, Open
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import wait_for_keys

pytestmark = pytest.mark.browser

TICK_MS = 10_000
# Only what is in the list: the bar above it counts, and its words get longer.
SHIFT_OF_ROWS = """() => {
  window.rowShift = 0;
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries())
      for (const { node } of shift.sources)
        if (document.querySelector("main").contains(node)) window.rowShift += shift.value;
  }).observe({ type: "layout-shift" });
}"""
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def submit(product: DemoProduct) -> Callable[[], str]:
    """A ticket to close, of low risk, for this test alone: its word is in the target."""
    word = f"box{secrets.token_hex(4)}"

    def one() -> str:
        made = product.submit(
            action="ticket.close",
            target=f"{word}/{secrets.token_hex(3)}",
            args={"note": "Answered."},
            confidence=0.4,
            agent="support-agent",
        )
        return str(made["proposal"]["target"])

    one.word = word  # type: ignore[attr-defined]
    return one


def address(submit: Callable[[], str]) -> str:
    return f"/queue/?q={submit.word}"  # type: ignore[attr-defined]


def open_list(open_page: Open, path: str, width: int = WIDE) -> Page:
    page = open_page(None, width=width)
    page.clock.install()
    page.goto(path)
    return page


def row(page: Page, target: str) -> Locator:
    return page.get_by_role("row").filter(has_text=target)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_new_rows_are_announced_and_come_in_when_they_are_called(
    submit: Callable[[], str], open_page: Open, width: int
) -> None:
    first = submit()
    page = open_list(open_page, address(submit), width)
    expect(row(page, first)).to_be_visible()
    second, third = submit(), submit()
    page.evaluate(SHIFT_OF_ROWS)
    page.clock.run_for(TICK_MS)
    pill = page.get_by_role("link", name="2 new")
    expect(pill).to_be_visible()
    assert row(page, second).count() == 0
    page.evaluate(TWO_FRAMES)
    assert page.evaluate("window.rowShift") == 0
    pill.click()
    for target in (second, third):
        expect(row(page, target)).to_be_visible()
    expect(pill).to_have_count(0)
    expect(page.locator("[data-row]").first).to_be_focused()


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_what_others_do_greys_rows_where_they_are(
    submit: Callable[[], str], open_page: Open, width: int
) -> None:
    targets = [submit() for _ in range(3)]
    page = open_list(open_page, address(submit), width)
    order = page.locator("[data-row]").all_inner_texts()
    page.get_by_label(re.compile(targets[2])).check()
    page.evaluate(SHIFT_OF_ROWS)

    other = open_page(address(submit), user="reviewer2")
    other.get_by_label(re.compile(targets[1])).check()
    other.get_by_role("button", name="Approve …").click()
    other.get_by_role("button", name="Approve 1").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("1 approved")
    other.goto(address(submit))
    other.get_by_role("button", name="Next for you").click()
    expect(other).not_to_have_url(re.compile("/queue/"))

    page.clock.run_for(TICK_MS)
    expect(page.locator("tr.over")).to_contain_text("Approved by reviewer2")
    expect(page.locator("tr.grey:not(.over)")).to_contain_text("Held by reviewer2")
    assert page.locator("[data-row]").all_inner_texts() == order
    page.evaluate(TWO_FRAMES)
    assert page.evaluate("window.rowShift") == 0
    expect(page.get_by_label(re.compile(targets[2]))).to_be_checked()
    expect(page.get_by_label(re.compile(targets[1]))).to_be_disabled()
    page.get_by_role("link", name="Renew").click()
    expect(row(page, targets[1])).to_have_count(0)


def test_rows_are_selected_by_key_one_by_one_and_by_range(
    submit: Callable[[], str], open_page: Open
) -> None:
    for _ in range(4):
        submit()
    page = open_page(address(submit))
    wait_for_keys(page)
    boxes = page.locator("input[name=ids]")
    selected = page.locator("#selected-count")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(boxes.nth(0)).to_be_checked()
    expect(selected).to_have_text("1 selected")
    page.keyboard.press("x")
    expect(selected).to_have_text("0 selected")
    page.keyboard.press("x")
    for _ in range(2):
        page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(selected).to_have_text("3 selected")
    expect(boxes.nth(3)).not_to_be_checked()
    page.reload()
    expect(selected).to_have_text("3 selected")
    page.get_by_label("Select all").check()
    expect(selected).to_have_text("4 selected")
    page.get_by_label("Select all").uncheck()
    expect(page.get_by_role("button", name="Approve …")).to_be_hidden()
    boxes.nth(1).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(selected).to_have_text("3 selected")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.locator("#keys-list")).to_contain_text("Select this row")


def test_several_are_approved_and_all_taken_back(
    submit: Callable[[], str], open_page: Open
) -> None:
    for _ in range(3):
        submit()
    page = open_page(address(submit))
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Approve …").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Approve 3 items?")
    page.get_by_role("button", name="Approve 3").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("3 approved")
    page.get_by_role("button", name="Take all back").click()
    expect(page.get_by_role("status").first).to_contain_text("3 taken back.")
    page.goto(address(submit))
    expect(page.locator("[data-row]")).to_have_count(3)
    expect(page.locator("input[name=ids]:checked")).to_have_count(0)


def test_several_are_rejected_without_javascript(
    submit: Callable[[], str], open_page: Open
) -> None:
    for _ in range(2):
        submit()
    page = open_page(address(submit), java_script_enabled=False)
    for box in page.locator("input[name=ids]").all():
        box.check()
    page.get_by_role("button", name="Reject …").click()
    page.get_by_label("Wrong value").check()
    page.get_by_role("button", name="Reject 2").click()
    assert page.get_by_role("heading", level=1).inner_text() == "2 rejected"


def test_a_view_is_saved_from_the_filter(submit: Callable[[], str], open_page: Open) -> None:
    target = submit()
    page = open_page(address(submit))
    page.get_by_role("button", name="Save this view").click()
    page.get_by_label("Name of the view").fill(target)
    page.get_by_role("button", name="Save", exact=True).click()
    tab = page.get_by_role("navigation", name="Views").get_by_role("link", name=target)
    expect(tab).to_have_attribute("aria-current", "page")
    page.goto("/queue/")
    tab.click()
    expect(page.locator("[data-row]")).to_have_count(1)
    page.get_by_role("button", name="Change this view").click()
    page.get_by_role("button", name="Delete this view").click()
    expect(page.get_by_role("status").first).to_contain_text("Deleted.")


def test_the_score_explains_itself(submit: Callable[[], str], open_page: Open) -> None:
    submit()
    page = open_page(address(submit))
    page.get_by_role("button", name=re.compile("Priority")).click()
    expect(page.locator(".because:popover-open")).to_contain_text("Priority")
