"""Track records: what background work makes of verdicts, from the tables and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from orchestrator import calibration_queries
from orchestrator.actions import audits, confirmations, thresholds
from orchestrator.actions.actor import Actor
from orchestrator.core.statistics.drift import DriftWatch
from orchestrator.engine import audits as drawing
from orchestrator.engine import labels, track_records
from orchestrator.models import (
    Calibrator,
    Drift,
    EvaluationPolicy,
    Proposal,
    ReviewItem,
    ThresholdCertificate,
    TrackedLabel,
    TrackRecord,
)
from tests.conftest import Cast
from tests.deciding import decide
from tests.labelled import Told, store

Propose = Callable[..., Proposal]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}
keys: Iterator[int] = count()


@pytest.fixture(autouse=True)
def _few_labels(settings: Settings) -> None:
    settings.CALIBRATION_LABELS = 100
    settings.AUDIT_SHARE = settings.LABEL_SHARE = 1.0


@pytest.fixture
def harmless(propose: Propose) -> Propose:
    return lambda **changes: propose(**{"args": HARMLESS, "agent_version": "4"} | changes)


@pytest.fixture
def history(cast: Cast, harmless: Propose) -> Callable[..., None]:
    """Proposals with people's verdicts, as they would stand in the tables; the last one is of this moment."""
    beside = harmless(agent="another", confidence=0.3)

    def add(told: Sequence[Told], until: datetime | None = None) -> None:
        store(told, beside=beside, reviewer=cast.rita, until=until or timezone.now())

    return add


def told(shares: dict[float, float], each: int, **more: Any) -> list[Told]:
    """So many of each score, of which that share is right, evenly mixed."""
    return [
        Told(score, right=int((n + 1) * share) > int(n * share), **more)
        for n in range(each)
        for score, share in shares.items()
    ]


def work() -> None:
    while track_records.work_one(lambda: False):
        pass


def look_again() -> None:
    TrackRecord.objects.update(is_due=True)
    work()


def record() -> TrackRecord:
    return TrackRecord.objects.select_related("calibrator").get(agent="refund-agent")


def judge(person: User, verdict: str, kinds: Sequence[str] = ("audit", "blind_label")) -> None:
    item = audits.take_next(Actor(person), kinds=kinds)
    assert item is not None
    audits.judge(
        Actor(person),
        item.pk,
        verdict=verdict,
        seen=confirmations.seen(Actor(person), item),
        idempotency_key=f"labels-{next(keys)}",
        reason="wrong_value" if verdict == "reject" else "",
    )


# Labels -----------------------------------------------------------------------------------------


def labelled(proposal: Proposal) -> tuple[bool | None, str, float | None]:
    found = TrackedLabel.objects.get(proposal=proposal)
    return found.right, found.said_by, found.chance


def test_what_people_decide_openly_is_labelled_for_certain(cast: Cast, harmless: Propose) -> None:
    yes, no = harmless(confidence=0.3), harmless(confidence=0.4, target="order/B")
    decide(cast.rita, yes.review_items.get(kind="escalation"))
    decide(cast.rita, no.review_items.get(kind="escalation"), "reject", reason="wrong_value")
    work()
    assert labelled(yes) == (True, "review", 1.0)
    assert labelled(no) == (False, "review", 1.0)


def test_audits_have_the_chance_that_drew_them(
    cast: Cast, harmless: Propose, settings: Settings
) -> None:
    found = harmless()
    settings.AUDIT_SHARE = 0.25
    ReviewItem.objects.filter(proposal=found).update(chance=0.25)
    judge(cast.rita, "approve")
    work()
    assert labelled(found) == (True, "audit", 0.25)


def test_what_a_rule_held_or_somebody_picked_stands_for_nothing_else(
    cast: Cast, harmless: Propose, rule: Callable[..., None], settings: Settings
) -> None:
    settings.AUDIT_SHARE = 0.0
    rule()
    held = harmless(args={**HARMLESS, "amount_minor": 90_000}, confidence=0.99)
    decide(cast.rita, held.review_items.get())
    picked = harmless()
    settings.AUDIT_SHARE = 1.0
    drawing.open_for([picked])
    judge(cast.rolf, "approve")
    work()
    assert labelled(held) == (True, "review", None)
    assert labelled(picked) == (True, "audit", None)
    assert record().reliability["labels"] == 0


def test_a_dispute_is_no_label_until_it_is_settled(cast: Cast, harmless: Propose) -> None:
    found = harmless()
    judge(cast.rita, "reject")
    work()
    assert labelled(found)[0] is None
    number = TrackedLabel.objects.get().number
    judge(cast.rolf, "reject", kinds=("adjudication",))
    work()
    assert labelled(found) == (False, "adjudication", 1.0)
    assert TrackedLabel.objects.get().number == number


def test_what_can_still_be_taken_back_waits(
    cast: Cast, harmless: Propose, settings: Settings
) -> None:
    settings.UNDO_S = 60
    found = harmless(confidence=0.3)
    decide(cast.rita, found.review_items.get(kind="escalation"))
    work()
    assert not TrackedLabel.objects.exists()
    ReviewItem.objects.update(closed_at=timezone.now() - timedelta(seconds=61))
    work()
    assert labelled(found)[0] is True


def test_whoever_edits_it_or_sends_it_back_says_no_to_it_as_it_was(
    cast: Cast, harmless: Propose
) -> None:
    found = harmless(confidence=0.3)
    decide(cast.rita, found.review_items.get(kind="escalation"), "respond", note="Less, please.")
    work()
    assert labelled(found) == (False, "review", 1.0)


def test_taken_in_once_and_in_the_order_of_verdicts(
    cast: Cast, harmless: Propose, history: Callable[..., None]
) -> None:
    history(told({0.3: 0.5}, 1_100))
    work()
    numbers = list(TrackedLabel.objects.order_by("judged_at").values_list("number", flat=True))
    assert len(numbers) == 1_100
    assert numbers == sorted(numbers)
    work()
    assert TrackedLabel.objects.count() == 1_100


# Calibrators ------------------------------------------------------------------------------------


def test_fitted_with_enough_labels_and_again_with_twice_as_many(
    history: Callable[..., None], settings: Settings
) -> None:
    history(told({0.2: 0.1, 0.5: 0.5}, 49))
    work()
    assert record().calibrator is None
    history(told({0.2: 0.1, 0.5: 0.5}, 1))
    work()
    first = record().calibrator
    assert first is not None
    assert (first.number, first.labels) == (1, 100)
    assert first.version == first.steps.version
    assert first.steps.apply(0.5) == pytest.approx(0.5, abs=0.05)
    history(told({0.2: 0.1, 0.5: 0.5}, 49))
    work()
    assert record().calibrator == first
    history(told({0.2: 0.1, 0.5: 0.5}, 1))
    work()
    assert record().calibrator == Calibrator.objects.get(number=2)


def test_a_pinned_one_stays(history: Callable[..., None]) -> None:
    history(told({0.2: 0.1, 0.5: 0.5}, 50))
    work()
    TrackRecord.objects.update(use="pinned")
    history(told({0.2: 0.1, 0.5: 0.5}, 100))
    work()
    assert Calibrator.objects.filter(record=record()).count() == 2
    assert record().calibrator == Calibrator.objects.get(number=1)


# Drift ------------------------------------------------------------------------------------------


def test_more_errors_than_expected_are_found_and_nothing_before_counts(
    history: Callable[..., None],
) -> None:
    history(told({0.3: 0.8}, 200))
    work()
    assert not Drift.objects.exists()
    history(told({0.3: 0.1}, 100))
    work()
    found = Drift.objects.get()
    assert found.kind == "errors"
    assert "more is wrong than was expected" in found.sentence
    now = record()
    assert now.drifted_at == found.found_at
    assert now.reliability["labels"] == 0
    assert calibration_queries.calibrated(now.scope, 0.3).doubt


def test_the_watch_is_what_all_labels_make_of_it(history: Callable[..., None]) -> None:
    """Each label once and in order, however they came in."""
    history(told({0.3: 0.8}, 100))
    work()
    for _ in range(3):
        history(told({0.3: 0.6, 0.5: 0.9}, 4))
        work()
    kept = record().watch
    assert DriftWatch.from_json(kept).labels == 24
    TrackRecord.objects.update(watch={}, watched_up_to=0)
    look_again()
    assert record().watch == kept
    look_again()
    assert record().watch == kept


def test_the_watch_begins_anew_when_a_label_changes(
    cast: Cast, harmless: Propose, history: Callable[..., None]
) -> None:
    history(told({0.3: 0.8}, 100))
    work()
    harmless()
    judge(cast.rita, "reject")
    work()
    history(told({0.3: 0.8}, 5))
    work()
    assert DriftWatch.from_json(record().watch).labels == 5
    judge(cast.rolf, "reject", kinds=("adjudication",))
    work()
    assert DriftWatch.from_json(record().watch).labels == 6


def test_scores_that_move_are_found_once(history: Callable[..., None], settings: Settings) -> None:
    week_ago = timezone.now() - timedelta(days=8)
    history(told({0.3: 0.5}, 200), until=week_ago)
    history(told({0.58: 0.5}, 100))
    work()
    found = Drift.objects.get()
    assert (found.kind, found.sentence) == (
        "scores",
        "100 % of the scores lie elsewhere than before",
    )
    # What was proposed since then is what counts now.
    assert record().reliability["labels"] == 100
    look_again()
    assert Drift.objects.count() == 1


# Certificates -----------------------------------------------------------------------------------


@pytest.fixture
def policy(db: None) -> Callable[..., EvaluationPolicy]:
    def make(**changes: Any) -> EvaluationPolicy:
        thresholds.first_policy()
        values = {
            "number": EvaluationPolicy.objects.count() + 1,
            "agent": "refund-agent",
            "stage": "active",
            "accept_above": 0.9,
            "escalate_at_or_below": 0.6,
            "target_error": 0.05,
        } | changes
        return EvaluationPolicy.objects.create(**values)

    return make


def test_certified_as_labels_come_in_and_then_it_runs_by_itself(
    cast: Cast, harmless: Propose, history: Callable[..., None], policy: Any
) -> None:
    policy()
    assert harmless(confidence=0.96).disposition == "escalate"
    history(told({0.96: 1.0}, 50))
    work()
    few = ThresholdCertificate.objects.latest("pk")
    assert few.accept_above is None
    assert few.sentence.startswith("no threshold qualifies")
    assert harmless(confidence=0.96).disposition == "escalate"
    history(told({0.96: 1.0, 0.8: 0.5}, 300))
    work()
    many = ThresholdCertificate.objects.latest("pk")
    assert many.accept_above == 0.8
    assert many.labels == 650
    assert len(many.tried) == 10
    assert harmless(confidence=0.96).disposition == "accept"


def test_few_more_labels_make_none_anew_and_an_error_does(
    history: Callable[..., None], policy: Any
) -> None:
    policy()
    history(told({0.96: 1.0}, 200))
    work()
    history(told({0.96: 1.0}, 1))
    work()
    assert ThresholdCertificate.objects.count() == 1
    history(told({0.96: 0.0}, 1))
    work()
    first, second = ThresholdCertificate.objects.order_by("pk")
    assert (first.wrong, second.wrong) == (0, 1)
    assert first.since == second.since


def test_what_nobody_looked_at_counts_for_its_size(
    history: Callable[..., None], policy: Any
) -> None:
    """Of what was accepted one in ten was audited: the bound is on all of it."""
    policy()
    history(
        [
            Told(0.96, right=True if n % 10 == 0 else None, disposition="accept", chance=0.1)
            for n in range(1_000)
        ]
    )
    work()
    found = ThresholdCertificate.objects.get()
    assert (found.tried[0]["total"], found.tried[0]["examined"]) == (1_000, 100)
    assurance = calibration_queries.assurance_of(record())
    assert (assurance.accepted, assurance.examined) == (1_000, 100)
    assert "of 1,000 auto-accepts 100 were examined, 0 were wrong" in str(assurance)


def test_calibrated_scores_are_certified_on_what_came_after_the_calibrator(
    history: Callable[..., None], policy: Any
) -> None:
    policy(score="calibrated")
    history(told({0.3: 1.0}, 200), until=timezone.now() - timedelta(hours=1))
    work()
    found = ThresholdCertificate.objects.latest("pk")
    assert (found.calibrator, found.labels) == (record().calibrator, 0)
    history(told({0.3: 1.0}, 400), until=timezone.now() + timedelta(hours=1))
    # Verdicts on what was proposed later come in later.
    ReviewItem.objects.update(closed_at=timezone.now())
    work()
    found = ThresholdCertificate.objects.latest("pk")
    assert (found.labels, found.accept_above) == (400, 0.5)


def test_one_that_cannot_be_worked_out_does_not_stop_the_others(
    history: Callable[..., None], harmless: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(told({0.3: 0.5}, 40))
    history(told({0.3: 0.5}, 40, agent_version="9"))
    look_at = track_records.look_at

    def fail(found: TrackRecord) -> None:
        if found.agent_version == "9":
            raise ZeroDivisionError
        look_at(found)

    monkeypatch.setattr(track_records, "look_at", fail)
    work()
    assert not TrackRecord.objects.filter(is_due=True).exists()
    assert TrackRecord.objects.get(agent_version="4").reliability["labels"] == 40


def test_only_one_gathers(history: Callable[..., None]) -> None:
    history(told({0.3: 0.5}, 10))
    assert labels.gather()
    assert not labels.gather()
