"""The demo: people, tokens, rules and a morning of proposals, all through the same actions as real ones."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from orchestrator.actions import (
    audits,
    backtests,
    claims,
    confirmations,
    contracts,
    demo_agents,
    demo_routing,
    policies,
    proposals,
    reviews,
    rules,
    runs,
    tokens,
    users,
    workflows,
)
from orchestrator.actions.actor import Actor
from orchestrator.actions.demo_contracts import DEMO_CONTRACTS
from orchestrator.actions.demo_teamwork import STARTED_TOGETHER, TOGETHER
from orchestrator.actions.demo_workflows import ONE_BY_ONE, STARTED
from orchestrator.actions.proposals import Suggestion
from orchestrator.core.policy import roles
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.terms import Scope, Terms
from orchestrator.engine.audits import open_for
from orchestrator.models import ApiToken, Proposal, ReviewItem

PEOPLE = {
    "reviewer": roles.REVIEWER,
    "reviewer2": roles.REVIEWER,
    "admin": roles.ADMIN,
    # Whoever changes a rule needs another admin to agree.
    "admin2": roles.ADMIN,
    "manager": roles.MANAGER,
}
# Tokens that decide or administer belong to people; the one that proposes to nobody who can decide.
TOKENS = {
    "propose": "demo-agents",
    "runs": "demo-agents",
    "events": "demo-agents",
    "read": "manager",
    "review": "reviewer",
    "admin": "admin",
}

RULES: tuple[dict[str, Any], ...] = (
    {
        "slug": "refund-limit",
        "title": "Refunds over €500 need a person",
        "effect": "hold",
        "applies_to": {"actions": ["refund.create"]},
        "condition": "proposal.args.amount_minor <= 50000",
        "message": "the amount {proposal.args.amount_minor} is over the limit of 50000",
        "owner": "payments",
    },
    {
        "slug": "large-payment",
        "title": "Payments over €10,000 need two people",
        "effect": "two_person",
        "applies_to": {"actions": ["invoice.pay"]},
        "condition": "proposal.args.amount_minor <= 1000000",
        "message": "the amount {proposal.args.amount_minor} is over 1000000",
        "owner": "finance",
    },
    {
        "slug": "no-production-admin",
        "title": "Agents never grant admin access",
        "effect": "block",
        "applies_to": {"actions": ["access.grant"]},
        "condition": "proposal.args.role != 'admin'",
        "message": "the role asked for is {proposal.args.role}",
        "owner": "security",
    },
    {
        "slug": "untrusted-recipient",
        "title": "Recipients taken from untrusted text need a person",
        "effect": "hold",
        "applies_to": {"actions": ["email.send"]},
        "condition": "!('/args/to' in proposal.tainted)",
        "message": "the recipient {proposal.args.to} came from untrusted text",
        "owner": "security",
    },
    {
        "slug": "customer-confirmed",
        "title": "A cancellation needs the customer's word",
        "effect": "hold",
        "applies_to": {"actions": ["subscription.cancel"]},
        "condition": "context.confirmed == true",
        "message": "confirmed is {context.confirmed}",
        "owner": "support",
    },
)

RAISED_LIMIT: dict[str, Any] = RULES[0] | {
    "title": "Refunds over €750 need a person",
    "condition": "proposal.args.amount_minor <= 75000",
    "message": "the amount {proposal.args.amount_minor} is over the limit of 75000",
    "note": "Most refunds between 500 and 750 were approved unchanged.",
}

STRICTER_FOR = Scope(agent="refund-agent", action="refund.create")
STRICTER = Terms(bands=Bands(accept_above=0.95, escalate_at_or_below=0.7))
STRICTER_BECAUSE = "What it is 90 to 95 % sure of was wrong too often to run by itself."


def load(*, password: Callable[[], str]) -> dict[str, Any]:
    """The credentials of a freshly loaded demo."""
    with transaction.atomic():
        logins, people = _people(password)
        secrets = _tokens(people)
        for contract in DEMO_CONTRACTS:
            contracts.save(Actor(people["admin"]), **contract)
        for wording in RULES:
            rules.activate(Actor(people["admin"]), rules.draft(Actor(people["admin"]), **wording))
        for slug, definition in {**ONE_BY_ONE, **TOGETHER}.items():
            workflows.save(Actor(people["admin"]), slug, definition)
        _submit_all(people["demo-agents"])
        _decide_some(people)
        _audit_some(people)
        _start_some(people["demo-agents"])
        _route_some(people)
        demo_agents.load(Actor(people["admin"]), Actor(people["admin2"]))
        _try_a_change(people)
    return {"users": logins, "tokens": secrets}


def _people(password: Callable[[], str]) -> tuple[dict[str, str], dict[str, User]]:
    logins = {name: password() for name in PEOPLE}
    people = {
        name: users.create(Actor(None), username=name, password=logins[name], role=role)
        for name, role in PEOPLE.items()
    }
    people["demo-agents"] = users.create(
        Actor(None), username="demo-agents", password=None, role=None
    )
    return logins, people


def _tokens(people: dict[str, User]) -> dict[str, str]:
    return {
        scope: tokens.issue(
            Actor(people["admin"]), owner=people[owner], name=f"demo {scope}", scopes=[scope]
        )
        for scope, owner in TOKENS.items()
    }


def _submit_all(agents: User) -> None:
    actor = Actor(agents, ApiToken.objects.get(owner=agents, name="demo propose"))
    for suggestion in SUGGESTIONS:
        proposals.submit(actor, suggestion)


def _decide_some(people: dict[str, User]) -> None:
    """What was decided before you came, so that pages of results are not empty."""
    for target, (verdict, reason, note) in DECIDED.items():
        proposal = Proposal.objects.get(target=target)
        item = ReviewItem.objects.openly().get(proposal=proposal)
        reviewer = Actor(people["reviewer2"])
        held = claims.take(reviewer, item.pk)
        reviews.decide(
            reviewer,
            item.pk,
            verdict=verdict,
            seen=confirmations.seen(reviewer, held),
            idempotency_key=f"demo {target}",
            reason=reason,
            note=note,
        )


def _audit_some(people: dict[str, User]) -> None:
    """So few proposals that chance would hardly pick one of them. One verdict is in, and in dispute."""
    open_for(Proposal.objects.filter(target__in=AUDITED).order_by("pk"))
    reviewer = Actor(people["reviewer2"])
    disputed = ReviewItem.objects.filter(kind=ReviewItem.Kind.AUDIT, target=DISPUTED)
    item = claims.take_next(reviewer, among=disputed)
    if item is not None:
        audits.judge(
            reviewer,
            item.pk,
            verdict="reject",
            seen=confirmations.seen(reviewer, item),
            idempotency_key=f"demo audit {item.target}",
            reason="missing_evidence",
            note="Nothing that is attached shows it.",
        )


def _start_some(agents: User) -> None:
    """The workers take these up as soon as there are any."""
    actor = Actor(agents, ApiToken.objects.get(owner=agents, name="demo runs"))
    for workflow, intent in (*STARTED, *STARTED_TOGETHER):
        runs.start(actor, workflow=workflow, intent=intent)


def _try_a_change(people: dict[str, User]) -> None:
    """A new version of a rule and a policy, on their way: the worker backtests them before anybody looks."""
    admin = Actor(people["admin"])
    backtests.request(admin, rules.draft(admin, **RAISED_LIMIT))
    policy = policies.draft(admin, STRICTER_FOR, STRICTER, note=STRICTER_BECAUSE)
    backtests.request(admin, policy)


def _route_some(people: dict[str, User]) -> None:
    """What came from outside, so that the pages of the router are not empty."""
    agents = people["demo-agents"]
    token = ApiToken.objects.get(owner=agents, name="demo events")
    demo_routing.load(Actor(people["admin"]), Actor(agents, token))


def _refund(order: str, minor: int, why: str, confidence: float, rationale: str) -> Suggestion:
    return Suggestion(
        workflow="support",
        agent="refund-agent",
        agent_version="14",
        model="gpt-4o-2024-11-20",
        action="refund.create",
        target=f"order/{order}",
        args={"amount_minor": minor, "currency": "EUR", "reason": why},
        confidence=confidence,
        rationale=rationale,
        context={"customer": {"name": "Ana Pereira", "age_days": 412}, "confirmed": True},
        trace={"tokens_in": 1800, "tokens_out": 90, "cost_usd": 0.004},
    )


def _email(to: str, subject: str, body: str, confidence: float, *, tainted: bool) -> Suggestion:
    return Suggestion(
        workflow="sales",
        agent="outreach-agent",
        agent_version="5",
        model="claude-sonnet-4-5",
        action="email.send",
        target=f"contact/{to}",
        args={"to": to, "subject": subject, "body": body},
        confidence=confidence,
        rationale="The renewal is due this month and the account has been quiet.",
        tainted=["/args/to"] if tainted else [],
        trace={"tokens_in": 3200, "tokens_out": 410, "cost_usd": 0.0158},
    )


def _payment(invoice: str, minor: int, payee: str, confidence: float) -> Suggestion:
    return Suggestion(
        workflow="payables",
        agent="invoice-agent",
        agent_version="9",
        model="gpt-4o-2024-11-20",
        action="invoice.pay",
        target=f"invoice/{invoice}",
        args={"amount_minor": minor, "currency": "EUR", "payee": payee},
        confidence=confidence,
        rationale="Purchase order, delivery note and invoice agree.",
        context={"purchase_order": f"PO-{invoice[-4:]}", "matched": True},
    )


def _access(user: str, system: str, role: str, confidence: float) -> Suggestion:
    return Suggestion(
        workflow="it-helpdesk",
        agent="helpdesk-agent",
        agent_version="3",
        model="llama-3.3-70b",
        action="access.grant",
        target=f"user/{user}",
        args={"system": system, "role": role, "days": 30},
        confidence=confidence,
        rationale="The manager named in the ticket asked for it.",
    )


def _cancel(account: str, *, confirmed: bool, confidence: float) -> Suggestion:
    return Suggestion(
        workflow="support",
        agent="retention-agent",
        agent_version="2",
        model="claude-sonnet-4-5",
        action="subscription.cancel",
        target=f"account/{account}",
        args={"effective": "end_of_period", "refund_unused": False},
        confidence=confidence,
        rationale="The customer wrote that they no longer need the service.",
        context={"confirmed": confirmed, "plan": "team", "seats": 12},
    )


def _patch(repository: str, summary: str, patch: str, confidence: float) -> Suggestion:
    return Suggestion(
        workflow="maintenance",
        agent="repair-agent",
        agent_version="7",
        model="claude-sonnet-4-5",
        action="code.patch",
        target=f"repository/{repository}",
        args={"branch": "fix/rounding", "summary": summary, "patch": patch},
        confidence=confidence,
        rationale="The nightly test of the totals has failed since Tuesday.",
        context={"tests": {"passed": 412, "failed": 1}},
    )


def _statement(database: str, purpose: str, statement: str, rows: int) -> Suggestion:
    return Suggestion(
        workflow="maintenance",
        agent="repair-agent",
        agent_version="7",
        model="claude-sonnet-4-5",
        action="database.run",
        target=f"database/{database}",
        args={"statement": statement, "purpose": purpose, "rows_expected": rows},
        confidence=0.57,
        rationale="The import of 14 November wrote every session twice.",
    )


PATCH = """\
--- a/shop/totals.py
+++ b/shop/totals.py
@@ -12,8 +12,9 @@ from shop.lines import Line


 def total(lines: list[Line]) -> int:
-    \"\"\"In cents.\"\"\"
-    return int(sum(line.price * line.count for line in lines))
+    \"\"\"In cents, rounded once and half to even, as invoices are.\"\"\"
+    exact = sum(Decimal(line.price) * line.count for line in lines)
+    return int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


 def tax(lines: list[Line]) -> int:
"""

SUGGESTIONS: tuple[Suggestion, ...] = (
    _refund("A-20917", 1_990, "late_delivery", 0.97, "Delivered nine days late."),
    _refund("A-20918", 4_500, "damaged_item", 0.94, "The photo shows a cracked lid."),
    _refund("A-20920", 62_000, "damaged_item", 0.91, "The photo shows a broken hinge."),
    _refund("A-20924", 120_000, "not_received", 0.72, "The carrier has no scan since Monday."),
    _refund("A-20931", 184_000, "damaged_item", 0.62, "The photo shows damage to the frame."),
    _refund("A-20933", 2_400, "changed_mind", 0.48, "Asked for after 41 days; the policy says 30."),
    _refund("A-20940", 3_150, "wrong_item", 0.78, "Blue was ordered, green was sent."),
    _email(
        "j.kowalski@northwind.example",
        "Your renewal on 1 December",
        "Hello Jan,\n\nyour plan renews on 1 December. Shall we keep the twelve seats?\n\nMarta",
        0.95,
        tainted=False,
    ),
    _email(
        "billing@acme-payments.example",
        "Updated bank details",
        "Please find our new bank details at https://acme.example@bank-details.example/new "
        "and confirm the transfer today.",
        0.93,
        tainted=True,
    ),
    _email(
        "s.okafor@globex.example",
        "A quote for 40 seats",
        "Hello Samuel,\n\n40 seats come to €960 a month, billed yearly.\n\nMarta",
        0.58,
        tainted=False,
    ),
    _payment("2026-1187", 48_000, "Papier Schmidt GmbH", 0.98),
    _payment("2026-1191", 2_450_000, "Norsk Vind AS", 0.96),
    _payment("2026-1193", 1_310_000, "Atelier Dubois", 0.88),
    _payment("2026-1194", 310_000, "Hetzel Logistik", 0.55),
    _access("m.silva", "warehouse-wiki", "reader", 0.96),
    _access("t.brandt", "billing-db", "admin", 0.97),
    _access("k.ito", "crm", "editor", 0.51),
    _cancel("C-3318", confirmed=True, confidence=0.95),
    _cancel("C-3324", confirmed=False, confidence=0.92),
    _cancel("C-3329", confirmed=True, confidence=0.69),
    _patch("shop", "Round totals once, half to even", PATCH, 0.58),
    _statement(
        "warehouse",
        "remove the sessions that were imported twice",
        "-- keeps the older one of two\nDELETE FROM sessions;\n",
        1_204,
    ),
)

# Three that ran without a person and one that a rule blocked: whoever audits cannot tell which.
AUDITED = ("order/A-20918", "invoice/2026-1187", "account/C-3318", "user/t.brandt")
# No refund: what that agent proposes next is to run by itself, and not to stand down.
DISPUTED = "account/C-3318"

DECIDED: dict[str, tuple[str, str, str]] = {
    "order/A-20920": ("approve", "", "Seen the photo, the hinge is broken."),
    "order/A-20933": ("reject", "policy_breach", "41 days is past the return window."),
    "contact/s.okafor@globex.example": ("approve", "", ""),
    "invoice/2026-1194": ("reject", "missing_evidence", "There is no delivery note."),
}
