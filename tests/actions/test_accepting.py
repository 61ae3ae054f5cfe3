"""What runs by itself where the policy asks for a certificate, and what a calibrated score is."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from orchestrator.actions import contracts, thresholds
from orchestrator.actions.actor import Actor
from orchestrator.core.statistics.calibration import Calibrator as Steps
from orchestrator.engine.labels import record_for
from orchestrator.models import (
    Calibrator,
    Drift,
    Evaluation,
    EvaluationPolicy,
    Proposal,
    ThresholdCertificate,
    TrackRecord,
)
from tests.conftest import Cast

Propose = Callable[..., Proposal]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}


@pytest.fixture
def harmless(propose: Propose) -> Propose:
    return lambda **changes: propose(**{"args": HARMLESS, "agent_version": "4"} | changes)


@pytest.fixture
def policy(db: None) -> Callable[..., EvaluationPolicy]:
    def make(**changes: Any) -> EvaluationPolicy:
        thresholds.first_policy()
        values = {
            "number": 2,
            "agent": "refund-agent",
            "stage": "active",
            "accept_above": 0.9,
            "escalate_at_or_below": 0.6,
        } | changes
        return EvaluationPolicy.objects.create(**values)

    return make


@pytest.fixture
def record(harmless: Propose) -> TrackRecord:
    return record_for(harmless().scope)


def certify(record: TrackRecord, **changes: Any) -> ThresholdCertificate:
    values: dict[str, Any] = {
        "record": record,
        "tier": "normal",
        "target": 0.05,
        "delta": 0.05,
        "score": "stated",
        "since": timezone.now(),
        "accept_above": 0.93,
        "sentence": "above 0.93 it is well",
        "tried": [],
        "labels": 100,
        "wrong": 0,
    } | changes
    return ThresholdCertificate.objects.create(**values)


def calibrate(record: TrackRecord, *steps: tuple[float, float], number: int = 1) -> Calibrator:
    fitted = Steps(
        "isotonic", tuple(at for at, _ in steps), tuple(value for _, value in steps), 100
    )
    made = Calibrator.objects.create(
        record=record,
        number=number,
        version=fitted.version,
        fitted=fitted.to_json(),
        labels=100,
        up_to=0,
    )
    TrackRecord.objects.filter(pk=record.pk).update(calibrator=made)
    return made


def drift(record: TrackRecord) -> None:
    now = timezone.now()
    made = Drift.objects.create(
        record=record, kind="errors", sentence="more is wrong", counts_since=now
    )
    TrackRecord.objects.filter(pk=record.pk).update(
        drifted_at=made.found_at, drifted_because=made.sentence, counts_since=now
    )


def said(proposal: Proposal) -> tuple[str, str]:
    disposition = proposal.dispositions.get()
    return disposition.verdict, "; ".join(disposition.reasons)


# Certificates -----------------------------------------------------------------------------------


def test_without_a_target_no_certificate_is_asked_for(policy: Any, harmless: Propose) -> None:
    policy()
    assert said(harmless())[0] == "accept"


def test_none_is_a_doubt(policy: Any, record: TrackRecord, harmless: Propose) -> None:
    policy(target_error=0.05)
    verdict, why = said(harmless())
    assert verdict == "escalate"
    assert "no threshold is certified yet for an error below 5 %" in why
    # What would not have run by itself anyway is as before.
    assert said(harmless(confidence=0.7))[0] == "revise"


def test_above_the_certified_threshold_it_runs(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(target_error=0.05)
    certify(record)
    verdict, why = said(harmless(confidence=0.95))
    assert (verdict, "above 0.93 it is well" in why) == ("accept", True)
    # The threshold itself is not above it.
    assert said(harmless(confidence=0.93)) == ("revise", "score 0.93 is over 0.6 but not over 0.93")


def test_the_policy_may_ask_for_more_than_is_certified(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(target_error=0.05, accept_above=0.97)
    certify(record)
    assert said(harmless(confidence=0.95))[0] == "revise"


def test_no_threshold_qualifies_is_a_doubt(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(target_error=0.05)
    certify(record)
    certify(record, accept_above=None, sentence="no threshold qualifies: so it is")
    assert said(harmless()) == ("escalate", "no threshold qualifies: so it is")


def test_one_of_another_target_or_score_covers_nothing(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(target_error=0.05)
    certify(record, target=0.2)
    certify(record, score="calibrated")
    certify(record, tier="high")
    assert said(harmless())[0] == "escalate"


def test_one_of_another_version_covers_nothing(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(target_error=0.05)
    certify(record)
    assert said(harmless(agent_version="5"))[0] == "escalate"


def test_another_contract_makes_it_stale(
    policy: Any, record: TrackRecord, harmless: Propose, cast: Cast
) -> None:
    policy(target_error=0.05)
    certify(record)
    contracts.save(
        Actor(cast.ada),
        kind="action",
        name="refund.create",
        schema={"type": "object"},
        timeout_s=60,
    )
    verdict, why = said(harmless())
    assert verdict == "escalate"
    assert "the contract version is refund.create v1 now and was none" in why


def test_drift_makes_it_stale_and_a_new_one_holds(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(target_error=0.05)
    certify(record)
    drift(record)
    assert said(harmless()) == (
        "escalate",
        "the certified threshold holds no longer: more is wrong",
    )
    certify(record)
    assert said(harmless())[0] == "accept"


def test_another_calibrator_makes_it_stale(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(target_error=0.05, score="calibrated")
    certify(record, score="calibrated", calibrator=calibrate(record, (0.0, 0.99)))
    assert said(harmless())[0] == "accept"
    calibrate(record, (0.0, 0.98), number=2)
    verdict, why = said(harmless())
    assert verdict == "escalate"
    assert "the calibrator is v2" in why


# Calibrated scores ------------------------------------------------------------------------------


def test_the_calibrated_score_is_held_against_the_bands(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(score="calibrated")
    made = calibrate(record, (0.5, 0.7), (0.9, 0.96))
    found = harmless(confidence=0.95)
    assert said(found) == ("accept", "score 0.96 is over 0.9")
    assert said(harmless(confidence=0.89))[0] == "revise"
    kept = Evaluation.objects.get(proposal=found, evaluator="calibrated")
    assert (kept.score, kept.raw, kept.version) == (0.96, 0.95, made.name)
    stated = Evaluation.objects.get(proposal=found, evaluator="confidence")
    assert (stated.score, stated.version) == (0.95, "4")


def test_where_nothing_is_known_a_person_decides(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(score="calibrated")
    verdict, why = said(harmless())
    assert (verdict, "no calibrator is fitted yet" in why) == ("escalate", True)
    calibrate(record, (0.97, 0.99))
    assert said(harmless(confidence=0.95)) == (
        "escalate",
        "calibrator 1 knows nothing of a confidence of 0.95",
    )
    assert "no confidence" in said(harmless(confidence=None))[1]
    assert said(harmless(confidence=0.98))[0] == "accept"


def test_a_stale_calibrator_and_none_at_all_are_doubts(
    policy: Any, record: TrackRecord, harmless: Propose
) -> None:
    policy(score="calibrated")
    calibrate(record, (0.0, 0.99))
    drift(record)
    assert said(harmless()) == ("escalate", "calibrator 1 holds no longer: more is wrong")
    calibrate(record, (0.0, 0.99), number=2)
    assert said(harmless())[0] == "accept"
    TrackRecord.objects.update(use="off", calibrator=None)
    assert "turned off" in said(harmless())[1]


def test_a_stated_score_asks_no_calibrator(record: TrackRecord, harmless: Propose) -> None:
    calibrate(record, (0.0, 0.1))
    assert said(harmless())[0] == "accept"
