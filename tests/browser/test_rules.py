"""A rule from its first row to the proposal it decides, as two admins do it."""

import re
import secrets

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.rules import INVOICE, WRITING, put_in_force, write_rule
from tests.browser.steps import take

# What Chromium says of a request that was cut off.
UNANSWERED = ("ERR_FAILED",)

pytestmark = pytest.mark.browser


def editor(page: Page) -> None:
    """The text editor has come, and the focus is in it."""
    expect(page.locator(".cm-content")).to_be_focused()


def test_a_rule_from_its_first_row_to_its_first_decision(
    product: DemoProduct, open_page: Open
) -> None:
    slug, action = f"limit-{secrets.token_hex(3)}", f"test.{secrets.token_hex(3)}"
    large = INVOICE | {"action": action, "args": {"amount_minor": 90_000, "currency": "EUR"}}
    recorded = product.submit(**large)
    assert recorded["disposition"] == "accept"

    page = open_page("/rules/", user="admin", expected=WRITING)
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Name").fill(slug)
    page.get_by_label("Title").fill("Large test invoices need a person")
    page.get_by_label("Actions", exact=True).fill(action)
    page.get_by_label("Message").fill("{proposal.args.amount_minor} is too much")

    # In rows, with the text that they make.
    page.get_by_label("Field").fill("proposal.args.amount_minor")
    page.get_by_label("Value").fill("50000")
    expect(page.locator("#preview")).to_have_text("proposal.args.amount_minor <= 50000")
    expect(page.locator("#marks")).to_contain_text("It compiles")

    # As text: a mark at its place, and a field completed.
    page.get_by_role("button", name="Edit as text").click()
    editor(page)
    page.keyboard.press("Control+End")
    page.keyboard.type(" && proposel.target != ''")
    expect(page.locator("#marks")).to_contain_text("line 1, column 40")
    expect(page.locator("#marks")).to_contain_text("did you mean proposal?")
    expect(page.locator(".cm-lintRange-error")).to_have_text("proposel")
    page.keyboard.press("Control+a")
    page.keyboard.type("proposal.args.amou")
    expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("proposal.args.amount_minor")
    # A list that has only just opened takes no Enter, lest it swallow one that was meant as a line break.
    page.wait_for_timeout(200)
    page.keyboard.press("Enter")
    page.keyboard.type(" <= 60000")
    expect(page.locator("#marks")).to_contain_text("It compiles")
    page.get_by_role("button", name="Show as rows").click()
    expect(page.get_by_label("Value")).to_have_value("60000")

    # On one recorded proposal, without saving.
    page.get_by_label("or its id").fill(recorded["id"])
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.locator("#trial .verdict")).to_be_focused()
    expect(page.locator("#trial")).to_contain_text("waits for a person")
    expect(page.locator("#trial")).to_contain_text("90000 is too much")
    expect(page.locator(".explain tr", has_text="<= 60000")).to_contain_text("false")

    page.get_by_role("button", name="Save as a draft").click()
    expect(page).to_have_url(re.compile(f"/rules/{slug}/1/$"))
    expect(page.locator("#next")).to_contain_text("Activation needs a finished backtest.")

    # On the past.
    page.get_by_role("button", name="Start a backtest").click()
    expect(page.locator("#backtest")).to_contain_text("What it found")
    expect(page.locator("#flips")).to_contain_text("90000 is too much")
    page.get_by_role("link", name=f"{slug}, version 1").click()

    # In shadow: it watches, and nothing is held.
    page.get_by_role("button", name="Let it watch").click()
    expect(page.get_by_role("status").filter(has_text="asked about every new")).to_be_visible()
    assert product.submit(**large)["disposition"] == "accept"
    page.get_by_role("link", name="Where it disagrees").click()
    expect(page.locator("main")).to_contain_text("90000 is too much")
    page.go_back()

    # Another admin agrees; whoever wrote it cannot.
    ask = page.locator("details.reject").filter(has_text="Ask for activation")
    ask.locator("summary").click()
    ask.get_by_label("Why").fill("Tried for a day.")
    ask.get_by_role("button", name="Ask for activation").click()
    page.get_by_role("link", name="look at it").click()
    expect(page.locator("#decide")).to_contain_text("another admin must agree")
    other = open_page(page.url, user="admin2")
    expect(other.locator("main")).to_contain_text("Tried for a day.")
    expect(other.locator("main")).to_contain_text("What it found")
    take(other).get_by_role("button", name="Approve the change").click()
    expect(other.locator("#outcome")).to_contain_text("Done")

    # It decides.
    page.goto(f"/rules/{slug}/")
    expect(page.locator("main")).to_contain_text("What is in force")
    held = product.submit(**large)
    assert held["disposition"] == "hold"
    page.reload()
    expect(page.get_by_label("Figures and actions")).to_contain_text("1 objection in 7 days")


def test_a_rule_is_written_and_tested_without_javascript(
    product: DemoProduct, open_page: Open
) -> None:
    slug = f"plain-{secrets.token_hex(3)}"
    page = open_page("/rules/new/", user="admin", java_script_enabled=False, expected=("422",))
    page.get_by_label("Name").fill(slug)
    page.get_by_label("Title").fill("Written without scripts")
    page.get_by_label("Field").fill("proposal.args.amount_minor")
    page.get_by_label("Value").fill("50000")
    page.get_by_role("button", name="Add a row").click()
    page.get_by_label("Field").nth(1).fill("proposal.args.currency")
    page.get_by_label("Operator").nth(1).select_option(label="is one of")
    page.get_by_label("Value").nth(1).fill("EUR, USD")
    page.get_by_role("button", name="Edit as text").click()
    text = page.get_by_role("textbox", name="Condition")
    expect(text).to_have_value(
        'proposal.args.amount_minor <= 50000 &&\nproposal.args.currency in ["EUR", "USD"]'
    )
    text.fill("proposal.args.amount_minor <=")
    page.get_by_role("button", name="Save as a draft").click()
    expect(page.get_by_role("alert")).to_contain_text("line 1")
    text.fill("size(proposal.args.currency) == 3")
    page.get_by_role("button", name="Show as rows").click()
    expect(page.get_by_role("alert")).to_contain_text("It stays text")
    page.get_by_role("button", name="Save as a draft").click()
    page.get_by_role("button", name="Start a backtest").click()
    while not page.locator("#flips, #findings-heading").first.is_visible():
        page.get_by_role("link", name="Refresh").click()
    expect(page.locator("main")).to_contain_text("In its scope")


def test_what_was_written_meanwhile_is_shown_and_nothing_lost(
    product: DemoProduct, open_page: Open
) -> None:
    slug = write_rule(product)
    slow = open_page(f"/rules/{slug}/edit/", user="admin", expected=("409",))
    write_rule(product, slug, limit=75_000)
    slow.get_by_label("Value").fill("60000")
    slow.get_by_role("button", name="Save as a draft").click()
    expect(slow.get_by_role("alert")).to_contain_text("Somebody wrote version 2")
    expect(slow.get_by_role("alert")).to_contain_text("75000")
    expect(slow.get_by_label("Value")).to_have_value("60000")
    slow.get_by_role("button", name="Save as a draft").click()
    expect(slow).to_have_url(re.compile(f"/rules/{slug}/3/$"))


def test_a_version_that_decided_is_rolled_back_to(product: DemoProduct, open_page: Open) -> None:
    slug = put_in_force(product, open_page, write_rule(product))
    write_rule(product, slug, limit=75_000)
    put_in_force(product, open_page, slug, 2)
    page = open_page(f"/rules/{slug}/1/", user="admin")
    ask = page.locator("details.reject").filter(has_text="Roll back to it")
    ask.locator("summary").click()
    expect(ask).to_contain_text("Another admin has to approve; you cannot.")
    ask.get_by_label("Why").fill("75000 was too much.")
    ask.get_by_role("button", name="Roll back to it").click()
    page.get_by_role("link", name="look at it").click()
    other = open_page(page.url, user="admin2")
    expect(other.locator("main")).to_contain_text("stricter")
    take(other).get_by_role("button", name="Approve the change").click()
    expect(other.locator("#outcome")).to_contain_text("Done")
    page.goto(f"/rules/{slug}/")
    expect(page.locator("main")).to_contain_text("version 1 decides")


def test_letters_in_the_editor_are_no_keys_of_the_page(
    product: DemoProduct, open_page: Open
) -> None:
    slug = write_rule(product, condition="size(proposal.args.note) < 5")
    page = open_page(f"/rules/{slug}/edit/", user="admin", expected=WRITING)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("g q / ? j")
    expect(page.locator("#id_condition")).to_have_value("g q / ? j")
    expect(page.locator("#keys")).to_be_hidden()
    expect(page.locator("#marks")).to_contain_text("line 1, column")
    page.keyboard.press("Tab")
    expect(page.locator(".cm-content")).not_to_be_focused()


@pytest.mark.parametrize("condition", ["context.score < 5", "size(proposal.args.note) < 5"])
def test_a_check_that_got_no_answer_is_said(
    product: DemoProduct, open_page: Open, condition: str
) -> None:
    slug = write_rule(product, condition=condition)
    page = open_page(f"/rules/{slug}/edit/", user="admin", expected=UNANSWERED)
    expect(page.locator("#marks")).to_contain_text("It compiles. Its arguments were not checked")
    page.route("**/rules/check/", lambda route: route.abort())
    change(page)
    expect(page.locator("#marks")).to_contain_text("It could not be checked")
    expect(page.locator("#marks")).not_to_contain_text("It compiles")
    page.unroute("**/rules/check/")
    change(page)
    expect(page.locator("#marks")).to_contain_text("It compiles. Its arguments were not checked")


def change(page: Page) -> None:
    """One more digit at the end of the condition."""
    if page.get_by_label("Value").count():
        page.get_by_label("Value").press_sequentially("1")
        return
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("1")
