"""Every page of the product, and every state of the review screen, each with a way to get there."""

import secrets
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser import policies, suggestions
from tests.browser.conftest import Open
from tests.browser.demo_product import OVER_THE_LIMIT_FOR_ONE, UNDOABLE_FOR_A_MINUTE, DemoProduct
from tests.browser.notices import notices, webhook, webhook_refused, webhook_secret
from tests.browser.rules import WRITING, ask_for, backtest, propose_for, watch, write_rule
from tests.browser.steps import lose_hold, take, wait_for_keys, write_rejection
from tests.memories import MESH, REMEMBERING
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


def tools(path: str, user: str = "admin") -> Visit:
    def visit(product: DemoProduct, open_page: Open) -> Page:
        product.save_tool("find-order", kind="read")
        product.save_tool("refund", description="Pays money back.\nAsk twice.")
        return open_page(path, user=user)

    return visit


def retired_tool(product: DemoProduct, open_page: Open) -> Page:
    product.save_tool("pay-out", description="Pays money out.")
    product.retire_tool("pay-out", "It pays strangers.")
    return open_page("/tools/pay-out/", user="admin")


def run(workflow: str, user: str = "admin") -> Visit:
    def visit(product: DemoProduct, open_page: Open) -> Page:
        product.save(workflow, WORKFLOWS[workflow])
        made = product.run(workflow, {"order": "A-20931"})
        return open_page(f"/runs/{made['id']}/", user=user)

    return visit


def routed(product: DemoProduct, open_page: Open) -> Page:
    """By the model, as no rule fits; and somebody says that it was right."""
    made = product.run("front-desk", {"text": "Do you sell maps?", "channel": "chat"})
    page = open_page(f"/runs/{made['id']}/")
    page.get_by_role("button", name="Note it").click()
    expect(page.get_by_text("it was right")).to_be_visible()
    return page


def span_of_run(product: DemoProduct, open_page: Open) -> Page:
    """What an agent was handed and said, opened beside the trace."""
    page = run("failing")(product, open_page)
    page.locator("#run-trace [data-kind=agent] [data-span]").last.click()
    expect(page.locator("#span-title")).to_be_focused()
    page.locator("#trace-detail summary").first.click()
    return page


def trace(query: str) -> Visit:
    def visit(product: DemoProduct, open_page: Open) -> Page:
        product.save("invoices", WORKFLOWS["invoices"])
        made = product.run("invoices", {"order": "A-20931"})
        return open_page(f"/runs/{made['id']}/trace/{query}", user="admin")

    return visit


def version(workflow: str) -> Visit:
    def visit(product: DemoProduct, open_page: Open) -> Page:
        product.save(workflow, WORKFLOWS[workflow])
        return open_page(f"/workflows/{workflow}/")

    return visit


def question(product: DemoProduct, open_page: Open) -> Page:
    product.save("refunds", WORKFLOWS["refunds"])
    made = product.run("refunds", {"order": "A-20931"})
    return open_page(f"/items/{product.item_of(made['id'])}/")


def event(product: DemoProduct, open_page: Open) -> Page:
    product.save("invoices", WORKFLOWS["invoices"])
    return open_page(f"/runs/{product.run('invoices')['id']}/events/2/")


def observation(product: DemoProduct, open_page: Open) -> Page:
    """One that was read, and from which something followed; about to be revoked."""
    product.save("remembering", REMEMBERING)
    product.run("remembering")
    page = open_page("/memory/?key=customer")
    page.locator("main table a").first.click()
    expect(page.get_by_text("by a call that had read it")).to_be_visible()
    page.get_by_text("Revoke…").click()
    return page


def revoking(product: DemoProduct, open_page: Open) -> Page:
    page = observation(product, open_page)
    page.get_by_label("Why").fill("a tool lied")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name="Revoke 1")).to_be_visible()
    return page


def mesh(product: DemoProduct, open_page: Open) -> Page:
    product.save("mesh", MESH)
    return open_page(f"/runs/{product.run('mesh')['id']}/")


def mesh_drawn(product: DemoProduct, open_page: Open) -> Page:
    product.save("mesh", MESH)
    return open_page("/workflows/mesh/")


def token(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/settings/tokens/", user="admin")
    page.get_by_role("link", name="demo propose").click()
    page.get_by_text("Revoke this token").click()
    return page


def token_made(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/settings/tokens/new/", user="admin")
    page.get_by_label("Name").fill("Refunds, host 3")
    page.get_by_label("propose: ").check()
    page.get_by_label("Account of the program").fill("refunds")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("code.secret")).to_contain_text("cs_")
    return page


def token_refused(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/settings/tokens/new/", user="admin", expected=("422",))
    page.get_by_label("Name").fill("Refunds, host 3")
    page.get_by_label("review: ").check()
    page.get_by_label("Account of the program").fill("refunds")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert").first).to_contain_text("let a person own the token")
    return page


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


def track_record(product: DemoProduct, open_page: Open) -> Page:
    """Of what the demo decided before anybody came; the background worker takes it in within seconds."""
    page = open_page("/calibration/", user="admin")
    lines = page.locator("main table a")
    for _ in range(60):
        if lines.count():
            break
        page.wait_for_timeout(500)
        page.reload()
    lines.first.click()
    expect(page.get_by_role("heading", name="What may run by itself")).to_be_visible()
    return page


def stand_down(product: DemoProduct, open_page: Open) -> Page:
    """The demo's: an auditor would have rejected what ran by itself. Whoever settles that is told nothing."""
    page = open_page("/calibration/", user="admin2")
    row = page.get_by_role("row").filter(has_text="stands down")
    for _ in range(60):
        if row.count():
            break
        page.wait_for_timeout(500)
        page.reload()
    row.first.get_by_role("link").click()
    expect(page.get_by_text("Automatic accepting stands down")).to_be_visible()
    return page


def approved(product: DemoProduct, open_page: Open) -> Page:
    page = take(proposal()(product, open_page))
    page.get_by_role("button", name="Approve and run").click()
    expect(page.locator("#outcome")).to_contain_text("Transaction")
    return page


def half_approved(product: DemoProduct, open_page: Open) -> Page:
    page = take(proposal(**OVER_THE_LIMIT_FOR_ONE)(product, open_page))
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#decide")).to_contain_text("1 of 2")
    return page


def rejected(product: DemoProduct, open_page: Open) -> Page:
    page = take(proposal()(product, open_page))
    write_rejection(page, "Wrong value", "It should be 18.40.").click()
    expect(page.locator("#outcome")).to_contain_text("Wrong value")
    return page


def rejecting(product: DemoProduct, open_page: Open) -> Page:
    page = take(proposal()(product, open_page))
    write_rejection(page, "Wrong value", "It should be 18.40.")
    return page


def too_late(product: DemoProduct, open_page: Open) -> Page:
    """The hold was lost, and somebody else decided."""
    slow = take(open_page(f"/proposals/{product.submit()['id']}/", expected=("409",)))
    send = write_rejection(slow, "Wrong value", "It should be 18.40.")
    lose_hold(slow)
    fast = take(open_page(slow.url.removeprefix(product.base_url), user="reviewer2"))
    fast.get_by_role("button", name="Approve and run").click()
    expect(fast.locator("#outcome")).to_contain_text("Transaction")
    send.click()
    expect(slow.locator("#decide")).to_contain_text("Not recorded")
    return slow


def held(product: DemoProduct, open_page: Open) -> Page:
    return take(proposal()(product, open_page))


def opened(key: str, **changes: Any) -> Visit:
    """A held proposal with one of its forms open."""

    def visit(product: DemoProduct, open_page: Open) -> Page:
        page = take(proposal(**changes)(product, open_page))
        page.locator(f'#decide summary[data-key="{key}"]').click()
        return page

    return visit


def held_by_other(product: DemoProduct, open_page: Open) -> Page:
    page = held(product, open_page)
    return open_page(page.url.removeprefix(product.base_url), user="reviewer2")


def snoozed(product: DemoProduct, open_page: Open) -> Page:
    page = opened("h")(product, open_page)
    page.get_by_label("For an hour").check()
    page.get_by_role("button", name="Snooze", exact=True).click()
    expect(page.locator("#outcome")).to_contain_text("Snoozed")
    return page


def editing(product: DemoProduct, open_page: Open) -> Page:
    page = held(product, open_page)
    page.locator("#decide").get_by_role("link", name="Edit").click()
    expect(page.get_by_role("button", name="Check and go on")).to_be_visible()
    return page


def edited(product: DemoProduct, open_page: Open) -> Page:
    page = editing(product, open_page)
    page.get_by_label("amount_minor").first.fill("150000")
    page.get_by_label("Wrong value").check()
    page.get_by_role("button", name="Check and go on").click()
    expect(page.get_by_text("Revision 2 replaces 1").first).to_be_visible()
    return page


def undoable(product: DemoProduct, open_page: Open) -> Page:
    page = take(proposal(**UNDOABLE_FOR_A_MINUTE)(product, open_page))
    page.get_by_role("button", name="Approve and run").click()
    expect(page.locator(".undo")).to_contain_text("Runs in")
    return page


def commented(product: DemoProduct, open_page: Open) -> Page:
    page = proposal()(product, open_page)
    page.get_by_label("Say something").fill("Could you look at the photo, @reviewer2?")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".mention")).to_have_text("@reviewer2")
    return page


def certificate(product: DemoProduct, open_page: Open) -> Page:
    page = approved(product, open_page)
    page.get_by_role("link", name="Open and check it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Decision certificate")
    return page


def palette(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/queue/")
    wait_for_keys(page)
    page.keyboard.press("Control+k")
    expect(page.locator("#palette").get_by_role("option").first).to_be_visible()
    return page


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


def audit(product: DemoProduct, open_page: Open) -> Page:
    """Handed out: the one begun last, or the next. By somebody who has nothing else to look at."""
    page = open_page("/audits/", user="admin2")
    page.locator("main form button").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Should this run?")
    return page


def audit_of_somebody_else(product: DemoProduct, open_page: Open) -> Page:
    address = audit(product, open_page).url.removeprefix(product.base_url)
    return open_page(address, user="reviewer")


def audit_refused(product: DemoProduct, open_page: Open) -> Page:
    page = audit(product, open_page)
    page.locator("details.reject summary").click()
    return page


def audit_judged(product: DemoProduct, open_page: Open) -> Page:
    page = audit(product, open_page)
    page.get_by_role("button", name="I would let it run").click()
    expect(page.locator("#reveal")).to_contain_text("with what was done.")
    return page


def gold_item(product: DemoProduct, open_page: Open) -> Page:
    """Made of a proposal that somebody has decided, on its own page."""
    made = approved(product, open_page).url.removeprefix(product.base_url)
    page = open_page(made, user="admin")
    page.get_by_text("Make it a gold item").first.click()
    page.get_by_label("Why, for whoever says otherwise").fill("The photo shows the damage.")
    page.get_by_role("button", name="Make it a gold item").click()
    expect(page.get_by_text("The photo shows the damage.")).to_be_visible()
    return page


def gold_refused(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/audits/gold/", user="admin", expected=("422",))
    page.get_by_label("Id of a settled proposal").fill("prp_unknown")
    page.get_by_label("Why, for whoever says otherwise").last.fill("It is clear.")
    page.get_by_role("button", name="Add gold item").click()
    expect(page.get_by_role("alert").first).to_contain_text("there is none with this id")
    return page


def dispute(product: DemoProduct, open_page: Open) -> Page:
    """The demo's, in the hands of somebody who has not judged it."""
    page = open_page("/audits/adjudicate/", user="admin")
    page.locator("main form button").first.click()
    expect(page.get_by_text("Two verdicts disagree")).to_be_visible()
    return page


def team(product: DemoProduct, open_page: Open) -> Page:
    """With a member, and something that it decides."""
    page = open_page("/settings/teams/", user="manager")
    page.get_by_label("Name of a new team").fill(f"Team {secrets.token_hex(4)}")
    page.get_by_role("button", name="Add team").click()
    page.get_by_label("Add somebody").select_option("reviewer2")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Name").first.fill(f"no.action.{secrets.token_hex(4)}")
    page.get_by_role("button", name="Give").click()
    expect(page.get_by_role("button", name="Take away")).to_be_visible()
    return page


def team_still_needed(product: DemoProduct, open_page: Open) -> Page:
    address = team(product, open_page).url.removeprefix(product.base_url)
    page = open_page(address, user="manager", expected=("409",))
    page.get_by_text("Retire this team").click()
    page.get_by_role("button", name="Retire").click()
    expect(page.get_by_role("alert").first).to_contain_text("is still needed")
    return page


def reason_refused(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/settings/reasons/", user="admin", expected=("422",))
    page.get_by_label("A new reason").fill("wording")
    page.get_by_role("button", name="Add reason").click()
    expect(page.locator(":focus")).to_contain_text("another reason is called that")
    return page


def person(product: DemoProduct, open_page: Open) -> Page:
    page = open_page("/settings/people/", user="admin")
    page.get_by_role("link", name="reviewer2").click()
    expect(page.get_by_role("button", name="Save the roles")).to_be_visible()
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
    "audits": at("/audits/"),
    "audits, for a manager": at("/audits/", user="manager"),
    "audit": audit,
    "audit of somebody else": audit_of_somebody_else,
    "gold items": at("/audits/gold/", user="admin"),
    "disputes": at("/audits/adjudicate/"),
    "teams": at("/settings/teams/", user="manager"),
    "team": team,
    "items to move": at("/settings/teams/move/", user="manager"),
    "reasons": at("/settings/reasons/", user="admin"),
    "reason": at("/settings/reasons/wording/", user="admin"),
    "proposals": at("/proposals/"),
    "runs": at("/runs/"),
    "runs without a match": at("/runs/?status=new&mine=1"),
    "run that waits": run("support"),
    "run that failed": run("failing", user="reviewer"),
    "span of a run": span_of_run,
    "trace as a table": trace("?view=table"),
    "trace by itself": trace(""),
    "run that asks": run("refunds"),
    "run that was routed": routed,
    "workflow that routes": at("/workflows/front-desk/"),
    "choices of a router": at("/workflows/front-desk/routing/"),
    "choices of a router, none of them": at("/workflows/front-desk/routing/?verdict=wrong"),
    "run of a supervisor": run("pool"),
    "run of a consensus": run("council"),
    "workflow of a supervisor": version("pool"),
    "workflow of a consensus": version("council"),
    "question of a run": question,
    "event": event,
    "memory": at("/memory/"),
    "memory without a match": at("/memory/?status=revoked&tag=no.such"),
    "observation": observation,
    "observation about to be revoked": revoking,
    "run of a mesh": mesh,
    "mesh": mesh_drawn,
    "routing": at("/routing/"),
    "dead letters": at("/routing/dead-letters/", user="admin"),
    "dead letters sent again": at(
        "/routing/dead-letters/redrive/?type=order.returned&reason=unknown_type", user="admin"
    ),
    "dead letter": dead_letter,
    "routes": at("/routing/routes/"),
    "routes being edited": at("/routing/routes/edit/", user="admin"),
    "tools": tools("/tools/"),
    "tool that waits": tools("/tools/find-order/"),
    "retired tool": retired_tool,
    "new server of tools": at("/tools/servers/new/", user="admin"),
    "contracts": at("/contracts/"),
    "contract": at("/contracts/action/refund.create/"),
    "older contract": at("/contracts/action/refund.create/1/", user="admin"),
    "new contract": at("/contracts/new/", user="admin"),
    "calibration": at("/calibration/"),
    "calibration of one action": track_record,
    "calibration that stands down": stand_down,
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
    "report: overview": at("/reports/overview/?compare=on", user="manager"),
    "report: acceptance": at("/reports/acceptance/?measure=value", user="manager"),
    "report: agents": at("/reports/agents/", user="manager"),
    "report: audits": at("/reports/audits/", user="manager"),
    "report: rules": at("/reports/rules/", user="manager"),
    "report: reviewers": at("/reports/reviewers/", user="manager"),
    "report: one's own line": at("/reports/reviewers/", user="reviewer2"),
    "report: economics": at("/reports/economics/", user="manager"),
    "report, narrowed": at("/reports/overview/?agent=refund-agent&tier=high", user="manager"),
    "report, asked wrongly": at("/reports/rules/?agent=no.such&period=1000", user="manager"),
    "report of nothing": at("/reports/audits/?since=2020-01-01&until=2020-01-02", user="manager"),
    "proposals of a report": at(
        "/proposals/?since=2020-01-01&agent=refund-agent&ending=undecided&counted=1", user="manager"
    ),
    "suggested rules": at("/rules/suggestions/", user="manager"),
    "suggested rule, of too few": at("/rules/suggestions/?action=refund.create", user="admin"),
    "suggested rule, of nothing": at("/rules/suggestions/?action=no.such", user="admin"),
    "evaluation set": at("/rules/evaluation-set/", user="admin"),
    "agents": at("/agents/", user="admin"),
    "agent": at("/agents/complaint-reader/", user="admin"),
    "agent as others see it": at("/agents/complaint-reader/"),
    "new agent": at("/agents/new/", user="admin"),
    "version of an agent": at("/agents/complaint-reader/versions/2/?beside=1", user="admin"),
    "new version of an agent": at("/agents/letter-writer/versions/new/", user="admin"),
    "endpoints": at("/settings/endpoints/", user="admin"),
    "endpoint": at("/settings/endpoints/house/", user="admin"),
    "tokens": at("/settings/tokens/", user="admin"),
    "token": token,
    "new token": at("/settings/tokens/new/", user="admin"),
    "new endpoint": at("/settings/endpoints/new/", user="admin"),
    "policies": at("/policies/", user="admin"),
    "policy that decides": at("/policies/?agent=refund-agent&action=refund.create", user="manager"),
    "policy": at("/policies/1/"),
    "draft of a policy": policies.draft,
    "version of a policy": policies.seen_by_others,
    "new policy": at("/policies/new/", user="admin"),
    "backtest of a policy": policies.backtest,
    "change of a policy": policies.change,
    "notices": notices,
    "no notices": at("/notices/", user="manager"),
    "what reaches me how": at("/me/notices/"),
    "what reaches a manager how": at("/me/notices/", user="manager"),
    "webhooks": at("/settings/webhooks/", user="admin"),
    "new webhook": at("/settings/webhooks/new/", user="admin"),
    "webhook": webhook,
    "audit log": at("/audit-log/", user="manager"),
    "your account": at("/me/"),
    "second factors": at("/me/factors/"),
    "authenticator app": at("/me/factors/app/"),
    "password": at("/me/password/"),
    "is it still you": at("/me/prove/", user="manager"),
    "people": at("/settings/people/", user="admin"),
    "person": person,
    "person being added": at("/settings/people/new/", user="admin"),
    "link that is over": at("/welcome/no-such/", user=None, expected=("410",)),
    "API": at("/api/v1/docs"),
    "not for this role": at("/audit-log/", expected=("403",)),
    "not found": at("/no/such/page/", expected=("404",)),
}
MOMENTS: dict[str, Visit] = {
    "webhook added": webhook_secret,
    "webhook refused": webhook_refused,
    "token made": token_made,
    "token refused": token_refused,
    "team still needed": team_still_needed,
    "reason refused": reason_refused,
    "contract that breaks a promise": contract(
        '"EUR"', '"CHF"', says="It would refuse a value", status="409"
    ),
    "contract with a mistake": contract('"integer"', '"money"', says="must be", status="422"),
    "gold item": gold_item,
    "gold refused": gold_refused,
    "audit refused": audit_refused,
    "audit judged": audit_judged,
    "approved": approved,
    "half approved": half_approved,
    "rejecting": rejecting,
    "held": held,
    "responding": opened("d"),
    "escalating": opened("u"),
    "snoozing": opened("h"),
    "snoozed": snoozed,
    "held by somebody else": held_by_other,
    "editing": editing,
    "edited": edited,
    "undoable": undoable,
    "commented": commented,
    "certificate": certificate,
    "palette": palette,
    "rejected": rejected,
    "too late": too_late,
    "routes checked": routes_checked,
    "routes refused": routes_refused,
    "rule as text": rule_as_text,
    "rule with windows": rule_with_windows,
    "rule that is wrong": rule_that_is_wrong,
    "suggested rule, offered": suggestions.offered,
    "being evaluated": policies.being_evaluated,
    "failed by a validator": policies.failed_by_a_validator,
    "policy being written": policies.being_written,
    "policy that is wrong": policies.that_is_wrong,
    "keys": keys,
    "menu": menu,
    "wrong password": wrong_password,
    # Last: while an admin holds it, reports and policies are closed to them.
    "dispute": dispute,
}
