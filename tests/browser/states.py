"""Every page of the product, and every state of the review screen, each with a way to get there."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.demo_product import OVER_THE_LIMIT_FOR_ONE, DemoProduct
from tests.browser.rules import WRITING, ask_for, backtest, propose_for, watch, write_rule
from tests.browser.steps import write_rejection
from tests.runs import WORKFLOWS

type Visit = Callable[[DemoProduct, Open], Page]


def at(path: str, **options: Any) -> Visit:
    return lambda product, open_page: open_page(path, **options)


def proposal(user: str = "reviewer", **changes: Any) -> Visit:
    def visit(product: DemoProduct, open_page: Open) -> Page:
        made = product.submit(**changes)
        if made["disposition"] == "accept":
            product.fetch(made["id"], wait=10)
        return open_page(f"/proposals/{made['id']}/", user=user)

    return visit


def run(workflow: str, user: str = "admin") -> Visit:
    def visit(product: DemoProduct, open_page: Open) -> Page:
        product.save(workflow, WORKFLOWS[workflow])
        made = product.run(workflow, {"order": "A-20931"})
        return open_page(f"/runs/{made['id']}/", user=user)

    return visit


def question(product: DemoProduct, open_page: Open) -> Page:
    product.save("refunds", WORKFLOWS["refunds"])
    made = product.run("refunds", {"order": "A-20931"})
    return open_page(f"/items/{made['works'][-1]['review_item']}/")


def event(product: DemoProduct, open_page: Open) -> Page:
    product.save("invoices", WORKFLOWS["invoices"])
    return open_page(f"/runs/{product.run('invoices')['id']}/events/2/")


def dead_letter(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/routing/dead-letters/?reason=route_error", user="admin")
    page.locator("main table a").first.click()
    page.get_by_text("Edit the envelope").click()
    return page


def routes_checked(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/routing/routes/edit/", user="admin")
    page.get_by_label("Workflow").first.fill("support-case")
    page.get_by_role("button", name="Check on recent events").click()
    expect(page.get_by_role("status").first).to_contain_text("would go elsewhere")
    return page


def routes_refused(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/routing/routes/edit/", user="admin", expected=("422",))
    page.get_by_label("Workflow").first.fill("nowhere")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("alert").first).to_contain_text("Not saved.")
    return page


def approved(product: DemoProduct, open_page: Open) -> Page:
    page = proposal()(product, open_page)
    page.get_by_role("button", name="Approve and run").click()
    expect(page.locator("#outcome")).to_contain_text("Transaction")
    return page


def half_approved(product: DemoProduct, open_page: Open) -> Page:
    page = proposal(**OVER_THE_LIMIT_FOR_ONE)(product, open_page)
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#decide")).to_contain_text("1 of 2")
    return page


def rejected(product: DemoProduct, open_page: Open) -> Page:
    page = proposal()(product, open_page)
    write_rejection(page, "Wrong value", "It should be 18.40.").click()
    expect(page.locator("#outcome")).to_contain_text("Wrong value")
    return page


def rejecting(product: DemoProduct, open_page: Open) -> Page:
    page = proposal()(product, open_page)
    write_rejection(page, "Wrong value", "It should be 18.40.")
    return page


def too_late(product: DemoProduct, open_page: Open) -> Page:
    held = product.submit()["id"]
    fast = open_page(f"/proposals/{held}/", user="reviewer2")
    slow = open_page(f"/proposals/{held}/", expected=("409",))
    fast.get_by_role("button", name="Approve and run").click()
    expect(fast.locator("#outcome")).to_contain_text("Transaction")
    write_rejection(slow, "Wrong value", "It should be 18.40.").click()
    expect(slow.locator("#decide")).to_contain_text("Not recorded")
    return slow


def keys(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/queue/")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    return page


def menu(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/proposals/")
    page.get_by_role("button", name="Account of").click()
    return page


def wrong_password(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/login/", user=None)
    page.get_by_label("User name").fill("reviewer")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    return page


def contract(instead_of: str, text: str, *, says: str, status: str) -> Visit:
    """A new version that is refused, with what was typed still there."""

    def visit(product: DemoProduct, open_page: Open) -> Page:
        path = "/contracts/action/refund.create/edit/"
        page = open_page(path, user="admin", expected=(status,))
        schema = page.get_by_label("JSON Schema")
        schema.fill(schema.input_value().replace(instead_of, text))
        page.get_by_label("What changes, and why").fill("Tried out.")
        page.get_by_role("button", name="Save version").click()
        expect(page.get_by_role("alert").first).to_contain_text(says)
        return page

    return visit


def rule_version(product: DemoProduct, open_page: Open) -> Page:
    """Tried on the past and on one proposal, watching, and asked to be put into force."""
    slug = write_rule(product)
    made = propose_for(product, slug)
    backtest(product, slug)
    watch(product, slug)
    ask_for(product, slug)
    return open_page(f"/rules/{slug}/1/?proposal={made['id']}", user="admin")


def rule_draft(product: DemoProduct, open_page: Open) -> Page:
    return open_page(f"/rules/{write_rule(product)}/1/", user="admin")


def finished_backtest(product: DemoProduct, open_page: Open) -> Page:
    slug = write_rule(product)
    propose_for(product, slug)
    return open_page(f"/rules/{slug}/1/backtests/{backtest(product, slug)}/", user="manager")


def shadow(product: DemoProduct, open_page: Open) -> Page:
    slug = write_rule(product)
    backtest(product, slug)
    watch(product, slug)
    propose_for(product, slug)
    return open_page(f"/rules/{slug}/1/shadow/", user="manager")


def comparison(product: DemoProduct, open_page: Open) -> Page:
    slug = write_rule(product)
    write_rule(product, slug, limit=75_000)
    return open_page(f"/rules/{slug}/compare/?from=1&to=2")


def change_of_a_rule(product: DemoProduct, open_page: Open) -> Page:
    slug = write_rule(product)
    propose_for(product, slug)
    backtest(product, slug)
    return open_page(f"/proposals/{ask_for(product, slug)}/", user="admin2")


def rule_as_text(product: DemoProduct, open_page: Open) -> Page:
    """With a mark in it, and the list of fields open."""
    slug = write_rule(product, condition="size(proposal.args.note) < 5")
    page = open_page(f"/rules/{slug}/edit/", user="admin", expected=WRITING)
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type(" && prop")
    expect(page.locator(".cm-tooltip-autocomplete")).to_be_visible()
    expect(page.locator("#marks")).to_contain_text("did you mean proposal?")
    return page


def rule_with_windows(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/rules/new/", user="admin")
    page.get_by_role("button", name="Add a number").click()
    expect(page.get_by_label("Within")).to_be_visible()
    page.get_by_role("button", name="Add a row").click()
    expect(page.get_by_label("Operator")).to_have_count(2)
    return page


def rule_that_is_wrong(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/rules/new/", user="admin", expected=("422",))
    page.get_by_role("button", name="Save as a draft").click()
    expect(page.get_by_role("alert").first).to_contain_text("This field is required.")
    return page


PAGES: dict[str, Visit] = {
    "login": at("/login/", user=None),
    "queue": at("/queue/"),
    "queue without a match": at("/queue/?action=no.such"),
    "waiting": proposal(),
    "waiting for two": proposal(**OVER_THE_LIMIT_FOR_ONE),
    "waiting on a low score": proposal(action="ticket.close", confidence=0.4),
    "waiting, for a manager": proposal(user="manager"),
    "done": proposal(args={"amount_minor": 1_990, "currency": "EUR"}),
    "blocked": proposal(
        action="access.grant", args={"system": "billing-db", "role": "admin"}, confidence=0.97
    ),
    "back with the agent": proposal(action="ticket.close", confidence=0.7),
    "proposals": at("/proposals/"),
    "runs": at("/runs/"),
    "runs without a match": at("/runs/?status=new&mine=1"),
    "run that waits": run("support"),
    "run that failed": run("failing", user="reviewer"),
    "run that asks": run("refunds"),
    "question of a run": question,
    "event": event,
    "routing": at("/routing/"),
    "dead letters": at("/routing/dead-letters/", user="admin"),
    "dead letters sent again": at(
        "/routing/dead-letters/redrive/?type=order.returned&reason=unknown_type", user="admin"
    ),
    "dead letter": dead_letter,
    "routes": at("/routing/routes/"),
    "routes being edited": at("/routing/routes/edit/", user="admin"),
    "contracts": at("/contracts/"),
    "contract": at("/contracts/action/refund.create/"),
    "older contract": at("/contracts/action/refund.create/1/", user="admin"),
    "new contract": at("/contracts/new/", user="admin"),
    "rules": at("/rules/", user="admin"),
    "rules without a match": at("/rules/?stage=retired&action=no.such"),
    "rule": at("/rules/refund-limit/"),
    "version of a rule": at("/rules/refund-limit/1/"),
    "draft of a rule": rule_draft,
    "rule in every way tried": rule_version,
    "rule being written": at("/rules/refund-limit/edit/", user="admin"),
    "objections of a rule": at("/rules/refund-limit/objections/"),
    "backtest": finished_backtest,
    "shadow": shadow,
    "comparison of versions": comparison,
    "change of a rule": change_of_a_rule,
    "audit log": at("/audit-log/", user="manager"),
    "API": at("/api/v1/docs"),
    "not for this role": at("/audit-log/", expected=("403",)),
    "not found": at("/no/such/page/", expected=("404",)),
}
MOMENTS: dict[str, Visit] = {
    "contract that breaks a promise": contract(
        '"EUR"', '"CHF"', says="It would refuse a value", status="409"
    ),
    "contract with a mistake": contract('"integer"', '"money"', says="must be", status="422"),
    "approved": approved,
    "half approved": half_approved,
    "rejecting": rejecting,
    "rejected": rejected,
    "too late": too_late,
    "routes checked": routes_checked,
    "routes refused": routes_refused,
    "rule as text": rule_as_text,
    "rule with windows": rule_with_windows,
    "rule that is wrong": rule_that_is_wrong,
    "keys": keys,
    "menu": menu,
    "wrong password": wrong_password,
}
