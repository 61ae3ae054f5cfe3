"""A share of what people decide is judged by somebody else, who does not know what they decided."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from orchestrator import audit_queries
from orchestrator.actions import audits, confirmations, contracts, reviews, revisions, users
from orchestrator.actions.actor import Actor
from orchestrator.agreement_queries import Said, judged_twice
from orchestrator.audit_queries import Truth
from orchestrator.core import typeid
from orchestrator.engine.sweep import sweep
from orchestrator.models import Decision, Event, Proposal, ReviewItem
from orchestrator.report_queries.scope import Scope
from tests.actions.test_audits import judge, outcome
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide, look
from tests.work import work_all

Propose = Callable[..., Proposal]
Activate = Callable[..., None]
SECOND = ("second_review",)
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _everything_is_judged_twice(settings: Settings) -> None:
    settings.SECOND_REVIEW_SHARE = 1.0


@pytest.fixture
def uma(cast: Cast) -> User:
    return users.create(SYSTEM, username="uma", password="x", role="reviewer")


@pytest.fixture
def held(propose: Propose, rule: Activate) -> Proposal:
    rule()
    return propose()


def second() -> ReviewItem:
    return ReviewItem.objects.get(kind="second_review")


def decided(who: User, proposal: Proposal, verdict: str = "approve") -> Decision:
    reason = "wrong_value" if verdict == "reject" else ""
    item = proposal.review_items.get(kind__in=audit_queries.JUDGED_OPENLY)
    return decide(who, item, verdict, reason=reason)


def test_it_opens_for_somebody_else(cast: Cast, held: Proposal) -> None:
    decision = decided(cast.rita, held)
    item = second()
    assert (item.about, item.proposal, item.chance) == (decision.item, held, 1.0)
    assert audits.take_next(Actor(cast.rita)) is None
    assert audits.take_next(Actor(cast.rolf)) == item


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_chance_picks_by_the_decision(
    settings: Settings, cast: Cast, propose: Propose, share: float
) -> None:
    settings.SECOND_REVIEW_SHARE = share
    for number in range(12):
        decided(cast.rita, propose(confidence=0.1, target=f"order/{number}"))
    count = ReviewItem.objects.filter(kind="second_review").count()
    assert count == 0 if share == 0 else 0 < count < 12


def test_neither_effect_nor_log_hears_of_it(cast: Cast, held: Proposal) -> None:
    decided(cast.rita, held)
    work_all()
    events = Event.objects.count()
    judge(cast.rolf, "reject", kinds=SECOND)
    held.refresh_from_db()
    assert held.status == "executed"
    assert Event.objects.count() == events
    assert not any(second().pk in text for text in Event.objects.values_list("payload", flat=True))


def test_nobody_is_handed_it_before_the_decision_is_final(
    settings: Settings, cast: Cast, propose: Propose
) -> None:
    settings.UNDO_S = 60
    decision = decided(cast.rita, propose(confidence=0.1))
    assert second().is_waiting
    assert audits.take_next(Actor(cast.rolf)) is None
    reviews.undo(Actor(cast.rita), decision.pk)
    assert outcome(SECOND) == ("withdrawn", "the decision was taken back")
    # What is decided instead is drawn anew, as a decision of its own.
    decide(cast.rita, decision.item, "reject", reason="wrong_value")
    assert ReviewItem.objects.waiting().get(kind="second_review").about == decision.item


@pytest.mark.parametrize(("verdict", "other"), [("approve", "reject"), ("reject", "approve")])
def test_it_is_compared_with_the_first_verdict(
    cast: Cast, propose: Propose, verdict: str, other: str
) -> None:
    first, another = propose(confidence=0.1), propose(confidence=0.1, target="order/2")
    decided(cast.rita, first, verdict)
    judge(cast.rolf, verdict, kinds=SECOND)
    assert outcome(SECOND) == ("decided", "confirmed")
    decided(cast.rita, another, verdict)
    judge(cast.rolf, other, kinds=SECOND)
    dispute = ReviewItem.objects.get(kind="adjudication")
    assert (dispute.proposal, dispute.about.closed_because) == (another, "overturned")


def test_a_disagreement_that_a_third_person_settles_is_the_truth(
    cast: Cast, uma: User, held: Proposal
) -> None:
    decided(cast.rita, held)
    work_all()
    assert audit_queries.truth_of(held) == Truth(True, "review")
    judge(cast.rolf, "reject", kinds=SECOND)
    # In dispute, and nobody's to see.
    assert audit_queries.truth_of(held) is None
    assert not audit_queries.is_overruled(held.pk)
    for known in (cast.rita, cast.rolf):
        assert audits.take_next(Actor(known), kinds=audit_queries.DISPUTES) is None
    judge(uma, "reject", kinds=audit_queries.DISPUTES)
    assert outcome(audit_queries.DISPUTES) == ("decided", "for the auditor")
    assert audit_queries.truth_of(held) == Truth(False, "adjudication")
    assert audit_queries.is_overruled(held.pk)


def test_who_agrees_is_believed_as_much(cast: Cast, held: Proposal) -> None:
    decided(cast.rita, held)
    judge(cast.rolf, "approve", kinds=SECOND)
    assert audit_queries.truth_of(held) == Truth(True, "second review")
    assert not audit_queries.is_overruled(held.pk)


def test_what_says_neither_yes_nor_no_has_no_second(cast: Cast, held: Proposal) -> None:
    item = held.review_items.get()
    decide(cast.rita, item, "respond", note="Which parcel?")
    assert not ReviewItem.objects.filter(kind="second_review").exists()


def test_only_the_last_of_two_approvals_has_one(
    cast: Cast, uma: User, propose: Propose, rule: Activate
) -> None:
    rule(effect="two_person")
    held = propose()
    decided(cast.rita, held)
    assert not ReviewItem.objects.filter(kind="second_review").exists()
    decided(cast.rolf, held)
    assert audits.take_next(Actor(cast.rita)) is None
    assert audits.take_next(Actor(uma)) == second()


def test_it_is_in_no_share_of_audits(cast: Cast, held: Proposal) -> None:
    decided(cast.rita, held)
    judge(cast.rolf, "reject", kinds=SECOND)
    assert audit_queries.strata(timezone.now() - DAY) == []


def days(around: datetime, **narrowed: object) -> Scope:
    return Scope(since=(around - DAY).date(), until=(around + 2 * DAY).date(), **narrowed)


def test_pairs_say_who_said_what(cast: Cast, uma: User, propose: Propose) -> None:
    first, another = propose(confidence=0.1), propose(confidence=0.1, target="order/2")
    decided(cast.rita, first)
    judge(cast.rolf, "approve", kinds=SECOND)
    decided(cast.rita, another)
    judge(cast.rolf, "reject", kinds=SECOND)
    judge(uma, "reject", kinds=audit_queries.DISPUTES)
    now = timezone.now()
    newest, oldest = judged_twice(days(now)).pairs
    assert (oldest.first, oldest.second) == (
        Said("rita", "approve", ""),
        Said("rolf", "approve", ""),
    )
    assert (newest.first, newest.second) == (
        Said("rita", "approve", ""),
        Said("rolf", "reject", "wrong_value"),
    )
    assert judged_twice(days(now + 4 * DAY)).pairs == []


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({"agent": "refund-agent"}, 1),
        ({"agent": "nobody"}, 0),
        ({"agent_version": "7"}, 1),
        ({"agent_version": "8"}, 0),
        ({"model": "m"}, 1),
        ({"model": "n"}, 0),
        ({"action": "refund.create"}, 1),
        ({"action": "refund"}, 0),
        ({"tier": "normal"}, 1),
        ({"tier": "high"}, 0),
    ],
)
def test_pairs_are_narrowed_like_all_that_is_reported(
    cast: Cast, propose: Propose, narrowed: dict[str, str], found: int
) -> None:
    decided(cast.rita, propose(confidence=0.1, agent_version="7", model="m"))
    judge(cast.rolf, "approve", kinds=SECOND)
    assert len(judged_twice(days(timezone.now(), **narrowed)).pairs) == found


def test_pairs_of_one_workflow_and_of_one_person(cast: Cast, uma: User, held: Proposal) -> None:
    decided(cast.rita, held)
    judge(cast.rolf, "approve", kinds=SECOND)
    slug = held.run.workflow_version.workflow.slug
    now = timezone.now()
    assert [len(judged_twice(days(now, workflow=name)).pairs) for name in (slug, "other")] == [1, 0]
    found = {
        person.username: len(judged_twice(days(now, reviewer=person.pk)).pairs)
        for person in (cast.rita, cast.rolf, uma)
    }
    assert found == {"rita": 1, "rolf": 1, "uma": 0}


@pytest.mark.parametrize("tier", ["low", "high"])
def test_pairs_of_a_risk(cast: Cast, propose: Propose, tier: str) -> None:
    contracts.save(
        SYSTEM,
        kind="action",
        name="refund.create",
        schema={"type": "object"},
        timeout_s=60,
        tier=tier,
    )
    decided(cast.rita, propose(confidence=0.1))
    judge(cast.rolf, "approve", kinds=SECOND)
    now = timezone.now()
    assert [len(judged_twice(days(now, tier=one)).pairs) for one in (tier, "normal")] == [1, 0]


# What the score escalates -------------------------------------------------------------------------


@pytest.fixture
def escalated(settings: Settings, propose: Propose) -> Proposal:
    settings.LABEL_SHARE = 1.0
    return propose(args=HARMLESS, confidence=0.2)


def end_of_deciding() -> None:
    """Everything of before is a week old: whoever decides openly has done so, or their time is over."""
    for item in ReviewItem.objects.filter(kind__in=[*audit_queries.JUDGED_OPENLY, "blind_label"]):
        changes = {"snoozed_until": item.snoozed_until and item.snoozed_until - 2 * DAY}
        if item.kind != "blind_label":
            changes = {"due_at": item.due_at - 2 * DAY}
        ReviewItem.objects.filter(pk=item.pk).update(**changes)


def test_nobody_judges_it_blind_while_people_decide(cast: Cast, escalated: Proposal) -> None:
    item = escalated.review_items.get(kind="escalation")
    label = escalated.review_items.get(kind="blind_label")
    assert label.snoozed_until == item.due_at
    assert label.due_at > item.due_at
    assert audits.take_next(Actor(cast.rolf)) is None
    decided(cast.rita, escalated)
    assert audits.take_next(Actor(cast.rolf)) is None
    end_of_deciding()
    assert audits.take_next(Actor(cast.rita)) is None
    assert audits.take_next(Actor(cast.rolf)) == label


def test_it_sleeps_as_long_as_a_decision_can_be_taken_back(
    settings: Settings, propose: Propose
) -> None:
    settings.LABEL_SHARE, settings.UNDO_S = 1.0, 300
    made = propose(args=HARMLESS, confidence=0.2)
    item, label = (made.review_items.get(kind=kind) for kind in ("escalation", "blind_label"))
    assert label.snoozed_until == item.due_at + timedelta(seconds=300)


@pytest.mark.parametrize(("blind", "closed"), [("approve", "confirmed"), ("reject", "overturned")])
def test_its_label_is_compared_with_what_people_decided(
    cast: Cast, escalated: Proposal, *, blind: str, closed: str
) -> None:
    decided(cast.rita, escalated)
    # It is judged twice already, so chance does not pick the decision as well.
    assert not ReviewItem.objects.filter(kind="second_review").exists()
    end_of_deciding()
    judge(cast.rolf, blind)
    assert outcome(("blind_label",)) == ("decided", closed)
    (pair,) = judged_twice(days(timezone.now())).pairs
    assert (pair.first.by, pair.second.by, pair.second.verdict) == ("rita", "rolf", blind)


def test_what_nobody_decided_is_labelled_all_the_same(cast: Cast, escalated: Proposal) -> None:
    end_of_deciding()
    sweep()
    escalated.refresh_from_db()
    assert escalated.status == "expired"
    judge(cast.rolf, "approve")
    assert outcome(("blind_label",)) == ("decided", "labelled")
    assert not ReviewItem.objects.filter(kind="adjudication").exists()
    assert audit_queries.truth_of(escalated) == Truth(True, "audit")
    assert judged_twice(days(timezone.now())).pairs == []


def test_what_somebody_edited_is_labelled_as_it_was_proposed(
    cast: Cast, escalated: Proposal
) -> None:
    actor = Actor(cast.rita)
    item = escalated.review_items.get(kind="escalation")
    revisions.edit(
        actor,
        item.pk,
        args={**HARMLESS, "amount_minor": 100},
        seen=look(actor, item),
        reason="wrong_value",
        note="",
        idempotency_key=typeid.make("dec", at_ms=1, entropy=1),
    )
    end_of_deciding()
    held = audits.take_next(Actor(cast.rolf))
    assert held is not None
    assert held.proposal == escalated
    seen = confirmations.seen(Actor(cast.rolf), held)
    audits.judge(
        Actor(cast.rolf),
        held.pk,
        verdict="reject",
        seen=seen,
        idempotency_key="k",
        reason="wrong_value",
    )
    assert outcome(("blind_label",)) == ("decided", "labelled")
