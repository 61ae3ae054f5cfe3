"""Certificates of thresholds: from which score on one action of one agent version may run by itself.

Made where the policy in force names a target, and made again as labels keep coming in, so with bounds
that hold at every look. On calibrated scores only what was proposed after the calibrator was fitted
counts: a threshold that was chosen by looking at the labels would not be one of a fixed grid.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.conf import settings

from orchestrator import calibration_queries
from orchestrator.core.policy.terms import Scope
from orchestrator.core.statistics import certify
from orchestrator.core.statistics.certify import Answer
from orchestrator.models import (
    Calibrator,
    ContractVersion,
    EvaluationPolicy,
    ThresholdCertificate,
    TrackRecord,
)

# A certificate is made anew when so much larger a part is labelled, or when another error is known.
MORE_LABELS = 1.02
MADE_AGAIN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate is asked for, and what it would rest on now."""

    record: TrackRecord
    target: float
    score: str
    contract: ContractVersion | None
    calibrator: Calibrator | None

    @property
    def tier(self) -> str:
        return calibration_queries.tier_of(self.contract)


def certify_if_due(record: TrackRecord, since: datetime, now: datetime) -> None:
    wanted = _wanted(record)
    if wanted is None:
        return
    before = calibration_queries.certificate_for(
        record,
        target=wanted.target,
        score=wanted.score,
        tier=wanted.tier,
        contract=wanted.contract,
    )
    if before and calibration_queries.stale_because(before, record, wanted.contract):
        before = None
    begin = _begin(wanted, before, since)
    counted = calibration_queries.count(record.scope, begin, contract=wanted.contract)
    labels = sum(one.examined for one in counted)
    wrong = sum(one.wrong for one in counted)
    if before is None or _is_due(before, labels, wrong, now):
        rows = certify.rows_of(calibration_queries.piles(counted, wanted.calibrator))
        answer = certify.certify(rows, target=wanted.target, watched=True)
        _store(wanted, answer, begin, labels, wrong)


def _wanted(record: TrackRecord) -> Wanted | None:
    """None where nobody set a target, or where its scores are to be calibrated and cannot be."""
    contract = calibration_queries.contract_in_force(record.action)
    tier = calibration_queries.tier_of(contract)
    scope = Scope(record.agent, record.agent_version, record.action, tier)
    policy = EvaluationPolicy.objects.deciding(scope)
    if policy is None or policy.target_error is None:
        return None
    calibrator = None
    if policy.score == EvaluationPolicy.Score.CALIBRATED:
        calibrator = record.calibrator
        if calibrator is None or calibration_queries.drift_since(record, calibrator.fitted_at):
            return None
    return Wanted(record, policy.target_error, policy.score, contract, calibrator)


def _begin(wanted: Wanted, before: ThresholdCertificate | None, since: datetime) -> datetime:
    """Where the one before began, unless that is long ago: a promise for every look needs one beginning."""
    if before and before.since > since - timedelta(days=settings.CALIBRATION_WINDOW_DAYS):
        return before.since
    return max(since, wanted.calibrator.fitted_at) if wanted.calibrator else since


def _is_due(before: ThresholdCertificate, labels: int, wrong: int, now: datetime) -> bool:
    """Few more labels say little more; what is wrong counts at once, and so does every day."""
    if wrong != before.wrong or before.made_at < now - MADE_AGAIN_AFTER:
        return True
    return labels > before.labels and labels >= MORE_LABELS * before.labels


def _store(wanted: Wanted, answer: Answer, since: datetime, labels: int, wrong: int) -> None:
    ThresholdCertificate.objects.create(
        record=wanted.record,
        tier=wanted.tier,
        target=answer.target,
        delta=answer.delta,
        score=wanted.score,
        contract_version=wanted.contract,
        calibrator=wanted.calibrator,
        since=since,
        accept_above=certify.accept_above(answer, stale=()),
        sentence=str(answer),
        tried=[asdict(one) for one in answer.tried],
        labels=labels,
        wrong=wrong,
    )
