"""What nobody would have looked at: drawn, judged blindly, disputed and settled."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from orchestrator import audit_queries
from orchestrator.actions import audits, claims, confirmations, tokens, users
from orchestrator.actions.actor import Actor
from orchestrator.actions.proposals import Suggestion, submit
from orchestrator.audit_queries import Truth
from orchestrator.core.errors import (
    AlreadyDecided,
    BadInput,
    HoldLost,
    ItemChanged,
    KeyReused,
    NotAllowed,
)
from orchestrator.engine import audits as drawing
from orchestrator.engine.sweep import sweep
from orchestrator.models import (
    AuditEntry,
    Decision,
    Disposition,
    Effect,
    Evaluation,
    Event,
    Proposal,
    ReviewItem,
    Run,
    Team,
)
from orchestrator.queries import report_of
from tests.blocked import wait_until_blocked
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide
from tests.runs import REFUND, stage, start
from tests.work import work_all

Propose = Callable[..., Proposal]
Activate = Callable[..., None]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _everything_is_drawn(settings: Settings) -> None:
    settings.AUDIT_SHARE = settings.LABEL_SHARE = 1.0


@pytest.fixture
def uma(cast: Cast) -> User:
    """A third reviewer."""
    return users.create(SYSTEM, username="uma", password="x", role="reviewer")


@pytest.fixture
def accepted(propose: Propose) -> Proposal:
    return propose(args=HARMLESS)


@pytest.fixture
def blocked(propose: Propose, rule: Activate) -> Proposal:
    rule(effect="block")
    return propose()


keys: Iterator[int] = count()


def judge(person: User, verdict: str = "approve", **more: Any) -> Decision:
    """Take what is next and say yes or no."""
    actor = Actor(person)
    kinds = more.pop("kinds", ReviewItem.BLIND)
    item = audits.take_next(actor, kinds=kinds)
    assert item is not None
    more.setdefault("seen", confirmations.seen(actor, item))
    more.setdefault("idempotency_key", f"key-{next(keys)}")
    more.setdefault("reason", "wrong_value" if verdict == "reject" else "")
    return audits.judge(actor, item.pk, verdict=verdict, **more)


def sampled() -> ReviewItem:
    return ReviewItem.objects.get(kind__in=audit_queries.SAMPLED)


def outcome(kinds: tuple[str, ...] = audit_queries.SAMPLED) -> tuple[str, str]:
    return ReviewItem.objects.values_list("status", "closed_because").get(kind__in=kinds)


# The draw -------------------------------------------------------------------------------------


def test_an_accepted_proposal_is_drawn_and_runs_all_the_same(accepted: Proposal) -> None:
    item = sampled()
    assert (item.kind, item.proposal, item.run) == ("audit", accepted, accepted.run)
    assert timedelta(hours=167) < item.due_at - timezone.now() <= timedelta(hours=168)
    work_all()
    accepted.refresh_from_db()
    assert accepted.status == "executed"
    assert sampled().is_waiting


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"args": HARMLESS, "confidence": 0.7}, {"blind_label"}),
        ({"args": HARMLESS, "confidence": 0.2}, {"escalation", "blind_label"}),
        ({}, {"guardrail_failure"}),
    ],
)
def test_what_rules_hold_is_not_drawn(
    propose: Propose, rule: Activate, changes: dict[str, Any], kinds: set[str]
) -> None:
    rule()
    propose(**changes)
    assert set(ReviewItem.objects.values_list("kind", flat=True)) == kinds


def test_what_a_rule_blocks_is_labelled(blocked: Proposal) -> None:
    assert (sampled().kind, sampled().proposal) == ("blind_label", blocked)


def test_no_share_draws_nothing(settings: Settings, propose: Propose) -> None:
    settings.AUDIT_SHARE = settings.LABEL_SHARE = 0.0
    propose(args=HARMLESS)
    propose(args=HARMLESS, confidence=0.7)
    assert not ReviewItem.objects.exists()


def test_the_draw_says_the_same_every_time(settings: Settings, propose: Propose) -> None:
    settings.AUDIT_SHARE = 0.5
    made = [propose(args=HARMLESS) for _ in range(12)]
    drawn = set(ReviewItem.objects.values_list("proposal", flat=True))
    ReviewItem.objects.all().delete()
    again = {one.pk for one in made if drawing.draw(one, one.dispositions.get())}
    assert again == drawn
    assert 0 < len(drawn) < 12


def test_no_event_tells_of_it_and_no_agent_hears(accepted: Proposal) -> None:
    texts = Event.objects.filter(run=accepted.run).values_list("payload", flat=True)
    assert not any(sampled().pk in text for text in texts)
    assert report_of(accepted).item is None
    assert not AuditEntry.objects.filter(verb__startswith="audit.").exists()


def test_some_can_be_picked_whatever_the_draw_says(settings: Settings, propose: Propose) -> None:
    settings.AUDIT_SHARE = 0.0
    item = drawing.open_for([propose(args=HARMLESS)])[0]
    assert item.is_waiting
    # Chance did not pick it, so it is no part of any share.
    (stratum,) = audit_queries.strata(timezone.now() - DAY)
    assert (stratum.total, stratum.open) == (1, 0)


# Who judges -----------------------------------------------------------------------------------


def test_who_asked_for_it_does_not_audit_it(cast: Cast) -> None:
    own = tokens.find(tokens.issue(SYSTEM, owner=cast.rita, name="mine", scopes=["propose"]))
    suggestion = Suggestion(agent="a", action="refund.create", args=HARMLESS, confidence=0.95)
    submit(Actor(cast.rita, own), suggestion)
    assert audits.take_next(Actor(cast.rita)) is None
    assert audits.take_next(Actor(cast.rolf)) is not None


def test_who_decided_about_it_does_not_label_it(
    cast: Cast, uma: User, propose: Propose, rule: Activate
) -> None:
    rule(effect="two_person")
    held = propose()
    decide(cast.rita, held.review_items.get())
    drawing.draw(held, Disposition(verdict="accept", draw_chance=1.0))
    assert audits.take_next(Actor(cast.rita)) is None
    assert audits.take_next(Actor(uma)) is not None


def test_a_team_audits_what_it_decides(cast: Cast, accepted: Proposal) -> None:
    team = Team.objects.create(slug="payments", name="Payments")
    team.members.add(cast.rolf)
    ReviewItem.objects.all().update(team=team)
    assert audits.take_next(Actor(cast.rita)) is None
    assert audits.take_next(Actor(cast.rolf)) is not None


@pytest.mark.parametrize("who", ["max", "agents"])
def test_who_may_not_audit_is_refused(cast: Cast, accepted: Proposal, who: str) -> None:
    with pytest.raises(NotAllowed, match="reviewer or admin"):
        audits.take_next(Actor(getattr(cast, who)))


def test_no_token_audits_for_its_owner(cast: Cast, accepted: Proposal) -> None:
    token = tokens.find(tokens.issue(SYSTEM, owner=cast.rita, name="r", scopes=["review"]))
    with pytest.raises(NotAllowed, match="Only a person"):
        audits.take_next(Actor(cast.rita, token))


def test_two_people_never_hold_the_same_one(cast: Cast, propose: Propose) -> None:
    propose(args=HARMLESS)
    propose(args=HARMLESS, target="order/B-1")
    taken = {audits.take_next(Actor(person)) for person in (cast.rita, cast.rolf)}
    assert len(taken) == 2
    assert audits.take_next(Actor(cast.ada)) is None


def test_one_at_a_time(cast: Cast, propose: Propose) -> None:
    propose(args=HARMLESS)
    propose(args=HARMLESS, target="order/B-1")
    assert audits.take_next(Actor(cast.rita)) == audits.take_next(Actor(cast.rita))


def test_a_hold_that_ran_out_goes_on_unless_somebody_took_it(
    cast: Cast, accepted: Proposal
) -> None:
    item = audits.take_next(Actor(cast.rita))
    ReviewItem.objects.all().update(lease_until=timezone.now() - DAY)
    assert audits.take_next(Actor(cast.rita)) == item
    ReviewItem.objects.all().update(lease_until=timezone.now() - DAY)
    assert audits.take_next(Actor(cast.rolf)) == item
    assert audits.take_next(Actor(cast.rita)) is None


def test_what_was_put_back_is_for_others(cast: Cast, accepted: Proposal) -> None:
    item = audits.take_next(Actor(cast.rita))
    assert item is not None
    audits.put_back(Actor(cast.rita), item.pk, item.lease)
    assert audits.take_next(Actor(cast.rita)) is None
    assert audits.take_next(Actor(cast.rolf)) == item
    audits.put_back(Actor(cast.rita), item.pk, item.lease)
    assert ReviewItem.objects.get(pk=item.pk).holder == cast.rolf


@pytest.mark.django_db(transaction=True)
def test_a_team_is_emptied_while_its_audit_is_judged(cast: Cast, accepted: Proposal) -> None:
    """Whoever empties it has the team and goes for the item; the auditor must not have it by then."""
    team = Team.objects.create(slug="payments", name="Payments")
    team.members.add(cast.rita)
    ReviewItem.objects.all().update(team=team)

    def overturn() -> None:
        try:
            judge(cast.rita, "reject")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as auditor:
        with transaction.atomic():
            Team.objects.select_for_update().get(pk=team.pk)
            judged = auditor.submit(overturn)
            wait_until_blocked()
            ReviewItem.objects.waiting().update(team=None)
        judged.result()
    assert ReviewItem.objects.get(kind="adjudication").team is None


# What is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "verdict", "closed"),
    [
        ("accepted", "approve", "confirmed"),
        ("accepted", "reject", "overturned"),
        ("blocked", "reject", "confirmed"),
        ("blocked", "approve", "overturned"),
    ],
)
def test_it_is_compared_with_what_was_done(
    request: pytest.FixtureRequest, cast: Cast, which: str, verdict: str, closed: str
) -> None:
    proposal = request.getfixturevalue(which)
    decision = judge(cast.rita, verdict, note="seen it")
    assert outcome() == ("decided", closed)
    assert decision.payload_digest == proposal.digest
    score = Evaluation.objects.get(evaluator="person")
    assert (score.proposal, score.score) == (proposal, float(verdict == "approve"))
    assert ReviewItem.objects.filter(kind="adjudication").exists() == (closed == "overturned")


def test_it_runs_nothing_and_stops_nothing(cast: Cast, blocked: Proposal) -> None:
    seq = blocked.run.seq
    judge(cast.rita, "approve")
    assert Run.objects.get().seq == Run.objects.get(pk=blocked.run_id).seq
    assert Event.objects.filter(run=blocked.run).count() == Run.objects.get().seq >= seq
    assert not Effect.objects.exists()
    blocked.refresh_from_db()
    assert blocked.status == "blocked"


def test_the_log_names_neither_verdict_nor_proposal(cast: Cast, accepted: Proposal) -> None:
    decision = judge(cast.rita, "reject")
    entry = AuditEntry.objects.get(verb="audit.judged")
    assert (entry.user, entry.object_id) == (cast.rita, decision.item_id)
    assert entry.detail == {"decision": decision.pk}


def test_the_same_click_twice_is_one_verdict(cast: Cast, accepted: Proposal) -> None:
    actor = Actor(cast.rita)
    item = audits.take_next(actor)
    assert item is not None
    said = {"seen": confirmations.seen(actor, item), "idempotency_key": "one"}
    first = audits.judge(actor, item.pk, verdict="approve", **said)
    assert audits.judge(actor, item.pk, verdict="approve", **said) == first
    with pytest.raises(KeyReused):
        audits.judge(actor, item.pk, verdict="reject", reason="wording", **said)
    assert Evaluation.objects.filter(evaluator="person").count() == 1


@pytest.mark.parametrize(
    ("verdict", "changes", "field"),
    [
        ("happened", {}, "verdict"),
        ("respond", {}, "verdict"),
        ("reject", {"reason": ""}, "reason"),
        ("reject", {"reason": "other"}, "note"),
        ("approve", {"note": "x" * 5_001}, "note"),
        ("approve", {"note": "a\x00b"}, "note"),
        ("approve", {"idempotency_key": ""}, "idempotency_key"),
    ],
)
def test_bad_input_names_its_field(
    cast: Cast, accepted: Proposal, verdict: str, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInput) as caught:
        judge(cast.rita, verdict, **changes)
    assert caught.value.field == field


def test_what_was_not_seen_is_not_judged(cast: Cast, accepted: Proposal) -> None:
    actor = Actor(cast.rita)
    item = audits.take_next(actor)
    assert item is not None
    seen = confirmations.seen(actor, item)
    with pytest.raises(ItemChanged):
        judge(cast.rita, seen=replace(seen, version=7))
    with pytest.raises(BadInput, match="confirmation"):
        judge(cast.rita, seen=replace(seen, confirmation="x"))
    claims.release(actor, item.pk, item.lease)
    audits.take_next(actor)
    with pytest.raises(HoldLost):
        judge(cast.rita, seen=seen)


def test_who_was_slower_learns_neither_name_nor_verdict(cast: Cast, accepted: Proposal) -> None:
    actor = Actor(cast.rita)
    item = audits.take_next(actor)
    assert item is not None
    seen = confirmations.seen(actor, item)
    ReviewItem.objects.all().update(lease_until=timezone.now() - DAY)
    judge(cast.rolf, "reject")
    with pytest.raises(AlreadyDecided) as caught:
        audits.judge(actor, item.pk, verdict="approve", seen=seen, idempotency_key="late")
    assert "rolf" not in str(caught.value)
    assert "reject" not in str(caught.value)


def test_a_role_taken_away_counts_at_once(cast: Cast, accepted: Proposal) -> None:
    item = audits.take_next(Actor(cast.rita))
    assert item is not None
    seen = confirmations.seen(Actor(cast.rita), item)
    cast.rita.groups.remove(Group.objects.get(name="reviewer"))
    with pytest.raises(NotAllowed):
        audits.judge(
            Actor(cast.rita), item.pk, verdict="approve", seen=seen, idempotency_key="late"
        )


def test_the_queue_does_not_decide_audits(cast: Cast, accepted: Proposal) -> None:
    rita = Actor(cast.rita)
    held = audits.take_next(rita)
    assert held is not None
    with pytest.raises(BadInput, match="audits"):
        decide(rita, held, seen=confirmations.seen(rita, held))


def test_audits_do_not_decide_the_queue(cast: Cast, propose: Propose) -> None:
    item = propose(confidence=0.1).review_items.get(kind="escalation")
    held = claims.take(Actor(cast.rita), item.pk)
    seen = confirmations.seen(Actor(cast.rita), held)
    with pytest.raises(BadInput, match="no audit"):
        audits.judge(Actor(cast.rita), item.pk, verdict="approve", seen=seen, idempotency_key="one")


# Disputes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("third", "closed", "should_run"),
    [("reject", "for the auditor", False), ("approve", "for the first", True)],
)
def test_a_third_person_settles_it(
    cast: Cast, uma: User, accepted: Proposal, *, third: str, closed: str, should_run: bool
) -> None:
    judge(cast.rita, "reject")
    assert audit_queries.truth_of(accepted) is None
    assert audits.take_next(Actor(cast.rita), kinds=audit_queries.DISPUTES) is None
    judge(uma, third, kinds=audit_queries.DISPUTES)
    assert outcome(audit_queries.DISPUTES) == ("decided", closed)
    assert audit_queries.truth_of(accepted) == Truth(should_run, "adjudication")


def test_a_dispute_is_about_what_was_audited(cast: Cast, accepted: Proposal) -> None:
    audited = judge(cast.rita, "reject").item
    dispute = ReviewItem.objects.get(kind="adjudication")
    assert (dispute.about, dispute.proposal) == (audited, accepted)
    assert dispute.opened_because == ["two verdicts about it disagree"]


def test_a_held_audit_hides_its_proposal_until_it_is_judged(cast: Cast, accepted: Proposal) -> None:
    audits.take_next(Actor(cast.rita))
    assert audit_queries.veiled_proposals(cast.rita) == {accepted.pk}
    assert audit_queries.veiled_proposals(cast.rolf) == set()
    # Whoever waits for the hold to run out, to have a look in between, waits in vain.
    ReviewItem.objects.all().update(lease_until=timezone.now() - DAY)
    assert audit_queries.held_about(cast.rita, accepted.run_id) == sampled().pk
    judge(cast.rita)
    assert audit_queries.veiled_proposals(cast.rita) == set()
    assert audit_queries.held_about(cast.rita, accepted.run_id) is None


def test_what_else_its_run_suggested_is_hidden_with_it(cast: Cast, rule: Activate) -> None:
    rule()
    small, large = (
        {**REFUND, "args": {**HARMLESS, "amount_minor": sum}} for sum in (1_990, 90_000)
    )
    pair = [stage("small", small, proposes=True), stage("large", large, proposes=True)]
    run = start("pair", definition={"pattern": "pipeline", "stages": pair})
    accepted, other = Proposal.objects.filter(run=run).order_by("pk")
    held = audits.take_next(Actor(cast.rita))
    assert held is not None
    assert audit_queries.veiled_proposals(cast.rita) == {accepted.pk, other.pk}
    assert audit_queries.held_about(cast.rita, other.pk) == held.pk
    items = ReviewItem.objects.filter(kind="guardrail_failure")
    assert not audit_queries.unveiled(items, cast.rita).exists()
    assert audit_queries.unveiled(items, cast.rolf).exists()


# Time -----------------------------------------------------------------------------------------


def test_what_nobody_judged_in_time_says_nothing(cast: Cast, accepted: Proposal) -> None:
    ReviewItem.objects.all().update(due_at=timezone.now() - DAY)
    events = Event.objects.count()
    sweep()
    assert outcome() == ("expired", "deadline")
    assert Event.objects.count() == events
    assert Proposal.objects.get().status == "accepted"
    assert audit_queries.truth_of(accepted) is None
    assert AuditEntry.objects.get(verb="audit.expired").object_id == sampled().pk


def test_the_deadline_counts_before_the_sweeper_comes(cast: Cast, accepted: Proposal) -> None:
    item = audits.take_next(Actor(cast.rita))
    assert item is not None
    seen = confirmations.seen(Actor(cast.rita), item)
    ReviewItem.objects.all().update(due_at=timezone.now() - DAY)
    with pytest.raises(AlreadyDecided, match="deadline"):
        audits.judge(
            Actor(cast.rita), item.pk, verdict="approve", seen=seen, idempotency_key="late"
        )


# What became of it ----------------------------------------------------------------------------


def test_an_auditor_is_believed_more_than_the_queue(
    cast: Cast, uma: User, propose: Propose, rule: Activate
) -> None:
    rule()
    held = propose()
    decide(cast.rita, held.review_items.get())
    assert audit_queries.truth_of(held) == Truth(True, "review")
    drawing.draw(held, Disposition(verdict="accept", draw_chance=1.0))
    judge(uma)
    assert audit_queries.truth_of(held) == Truth(True, "audit")


def test_strata_are_counted(cast: Cast, uma: User, propose: Propose) -> None:
    made = [propose(args=HARMLESS, agent_version="3", target=f"order/{n}") for n in range(5)]
    propose(args=HARMLESS, confidence=0.7)
    audited = ReviewItem.objects.filter(kind="audit")
    judge(cast.rita, "approve", kinds=["audit"])
    judge(cast.rita, "reject", kinds=["audit"])
    judge(uma, "reject", kinds=audit_queries.DISPUTES)
    judge(cast.rita, "reject", kinds=["audit"])
    audited.filter(pk=audited.waiting().first().pk).update(due_at=timezone.now() - DAY)
    sweep()
    by_disposition = {one.disposition: one for one in audit_queries.strata(timezone.now() - DAY)}
    accept = by_disposition["accept"]
    assert len(made) == 5
    assert (accept.agent, accept.agent_version, accept.action) == (
        "refund-agent",
        "3",
        "refund.create",
    )
    assert (accept.audited, accept.overturned, accept.disputed) == (2, 1, 1)
    assert (accept.open, accept.expired, accept.unsettled) == (1, 1, 0)
    assert by_disposition["revise"].open == 1
    assert Decision.objects.filter(undone_at=None).count() == 4
