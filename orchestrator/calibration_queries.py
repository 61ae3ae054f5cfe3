"""Reads of track records: what is in force for a proposal, and what was counted of those before it.

Only what passed every rule in force is counted here. What a rule held was held whatever its score, so
that it neither says what a score means nor would ever run by itself above a threshold.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from orchestrator.core import typeid
from orchestrator.core.policy.terms import Scope
from orchestrator.core.statistics import assurance, certify
from orchestrator.core.statistics.assurance import Assurance
from orchestrator.core.statistics.certify import Basis, Pile
from orchestrator.core.statistics.intervals import CONFIDENCE
from orchestrator.core.statistics.judged import Judged
from orchestrator.core.statistics.strata import Stratum, pooled
from orchestrator.models import (
    Calibrator,
    Contract,
    ContractVersion,
    Disposition,
    Drift,
    EvaluationPolicy,
    Proposal,
    ReviewItem,
    StandDown,
    ThresholdCertificate,
    TrackedLabel,
    TrackRecord,
)

Verdict = Disposition.Verdict


def key_at(moment: datetime) -> str:
    """Smaller than the key of every proposal made from then on."""
    return typeid.make("prp", at_ms=max(0, int(moment.timestamp() * 1_000)), entropy=0)


# What is in force -----------------------------------------------------------------------------


def record_of(scope: Scope) -> TrackRecord | None:
    """With its calibrator, and whether it stands down; the one read that judging a proposal needs."""
    return (
        _with_standing()
        .filter(agent=scope.agent, agent_version=scope.agent_version, action=scope.action)
        .first()
    )


def stands_down(record: TrackRecord | None) -> bool:
    return record is not None and bool(record.stands_down)  # type: ignore[attr-defined]  # annotated above


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a stated confidence has meant so far, by which calibrator; or why nobody can say."""

    score: float | None
    version: str = ""
    doubt: str = ""


def calibrated(scope: Scope, confidence: float | None) -> Calibrated:
    record = record_of(scope)
    if record is not None and record.use == TrackRecord.Use.OFF:
        return Calibrated(None, doubt="calibration of this agent version and action is turned off")
    if record is None or record.calibrator is None:
        return Calibrated(
            None, doubt="no calibrator is fitted yet for this agent version and action"
        )
    calibrator = record.calibrator
    if drift := drift_since(record, calibrator.fitted_at):
        stale = f"calibrator {calibrator.number} holds no longer: {drift[0]}"
        return Calibrated(None, calibrator.name, stale)
    score = calibrator.steps.apply(confidence)
    if score is None:
        stated = "no confidence" if confidence is None else f"a confidence of {confidence:g}"
        unknown = f"calibrator {calibrator.number} knows nothing of {stated}"
        return Calibrated(None, calibrator.name, unknown)
    return Calibrated(score, calibrator.name)


def certificate_for(
    record: TrackRecord, *, target: float, score: str, tier: str, contract: ContractVersion | None
) -> ThresholdCertificate | None:
    """The newest, and rather the newest for this contract than for another."""
    rows = ThresholdCertificate.objects.filter(
        record=record, target=target, score=score, tier=tier
    ).select_related("contract_version__contract", "calibrator")
    return rows.filter(contract_version=contract).order_by("-pk").first() or (
        rows.order_by("-pk").first()
    )


def stale_because(
    certificate: ThresholdCertificate, record: TrackRecord, contract: ContractVersion | None
) -> tuple[str, ...]:
    """Why it holds no longer for this contract, in sentences."""
    is_calibrated = certificate.score == EvaluationPolicy.Score.CALIBRATED
    then = _basis(record, certificate.contract_version, certificate.calibrator)
    now = _basis(record, contract, record.calibrator if is_calibrated else None)
    return certify.stale_because(then, now, drift_since(record, certificate.made_at))


def drift_since(record: TrackRecord, made_at: datetime) -> tuple[str, ...]:
    if record.drifted_at is None or record.drifted_at < made_at:
        return ()
    return (record.drifted_because,)


def _basis(
    record: TrackRecord, contract: ContractVersion | None, calibrator: Calibrator | None
) -> Basis:
    return Basis(
        agent_version=record.agent_version,
        contract_version=f"{contract.contract.name} v{contract.number}" if contract else "",
        calibrator_version=calibrator.name if calibrator else "",
    )


def contract_in_force(action: str) -> ContractVersion | None:
    return contracts_in_force([action]).get(action)


def contracts_in_force(actions: Collection[str]) -> dict[str, ContractVersion]:
    """By action, in one query; an action without a contract has none."""
    rows = ContractVersion.objects.filter(
        contract__kind=Contract.Kind.ACTION, contract__name__in=actions
    ).select_related("contract")
    newest = rows.order_by("contract", "-number").distinct("contract")
    return {one.contract.name: one for one in newest}


def tier_of(contract: ContractVersion | None) -> str:
    return str(contract.tier if contract else ContractVersion.Tier.NORMAL.value)


# What was counted -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """Proposals of one disposition, chance and stated confidence, with what people said of them."""

    disposition: str
    # With which they are put before people; 0 where nobody knows, or nothing is drawn.
    chance: float
    confidence: float | None
    total: int
    examined: int
    wrong: int


# The newest ones of a record, however many there are, by one range of an index. Of what is escalated
# people decide all; of the rest the share is drawn that was stored when it was disposed of.
_COUNT = """
    SELECT p.disposition, CASE WHEN p.disposition = 'escalate' THEN 1 ELSE coalesce(d.draw_chance, 0) END,
           p.confidence, count(*), count(l."right"), count(*) FILTER (WHERE NOT l."right")
      FROM (SELECT id, disposition, confidence FROM orchestrator_proposal
             WHERE agent = %(agent)s AND agent_version = %(agent_version)s AND action = %(action)s
               AND id > %(since)s AND disposition = ANY(%(dispositions)s)
               AND (%(any_contract)s OR contract_version_id IS NOT DISTINCT FROM %(contract)s)
             ORDER BY id DESC LIMIT %(at_most)s) AS p
      LEFT JOIN orchestrator_disposition d ON d.proposal_id = p.id
      LEFT JOIN orchestrator_trackedlabel l ON l.proposal_id = p.id AND l.chance IS NOT NULL
     GROUP BY 1, 2, 3
"""
ALONE = (Verdict.ACCEPT, Verdict.REVISE, Verdict.ESCALATE)


def count(
    scope: Scope,
    since: datetime,
    *,
    dispositions: Sequence[str] = ALONE,
    contract: ContractVersion | None = None,
    any_contract: bool = False,
) -> list[Counted]:
    """Of what passed every rule. Reads up to CALIBRATION_PROPOSALS_MAX rows: for jobs, not for pages."""
    values: dict[str, Any] = {
        "agent": scope.agent,
        "agent_version": scope.agent_version,
        "action": scope.action,
        "since": key_at(since),
        "dispositions": [str(one) for one in dispositions],
        "any_contract": any_contract,
        "contract": contract.pk if contract else None,
        "at_most": settings.CALIBRATION_PROPOSALS_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        return [Counted(*row) for row in cursor.fetchall()]


def piles(counted: Sequence[Counted], calibrator: Calibrator | None) -> Iterator[Pile]:
    """By the score that is held against the bands: what the calibrator knows nothing of has none."""
    steps = calibrator.steps if calibrator else None
    for one in counted:
        score = steps.apply(one.confidence) if steps else one.confidence
        if score is not None:
            yield Pile(score, one.chance, one.total, one.examined, one.wrong)


def assure(counted: Sequence[Counted]) -> Assurance:
    """How many of the automatic accepts were examined and wrong; the bound holds at every look."""
    strata = [
        (one.chance, Stratum(one.total, one.examined, one.wrong))
        for one in counted
        if one.disposition == Verdict.ACCEPT
    ]
    return assurance.assure(pooled(strata), watched=True)


def judged(record: TrackRecord, since: datetime) -> list[Judged]:
    """What people said of proposals that were made since, in the order in which it became known."""
    rows = TrackedLabel.objects.filter(
        record=record, proposal_id__gt=key_at(since), chance__isnull=False
    ).order_by("-number")
    newest = rows.values_list("score", "right", "chance")[: settings.CALIBRATION_LABELS_MAX]
    return [Judged(score, right, chance or 1.0) for score, right, chance in reversed(newest)]


_SCORES = """
    SELECT width_bucket(confidence, 0, 1, %(bins)s), count(*)
      FROM (SELECT confidence FROM orchestrator_proposal
             WHERE agent = %(agent)s AND agent_version = %(agent_version)s AND action = %(action)s
               AND id > %(since)s AND id < %(until)s
             ORDER BY id DESC LIMIT %(at_most)s) AS p
     WHERE confidence IS NOT NULL
     GROUP BY 1
"""
SCORE_BINS = 20


def score_counts(scope: Scope, since: datetime, until: datetime) -> list[int]:
    """How many scores lie in each of the bins, those at 1 in a bin of their own."""
    values: dict[str, Any] = {
        "agent": scope.agent,
        "agent_version": scope.agent_version,
        "action": scope.action,
        "since": key_at(since),
        "until": key_at(until),
        "bins": SCORE_BINS,
        "at_most": settings.CALIBRATION_PROPOSALS_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SCORES, values)
        found = dict(cursor.fetchall())
    return [found.get(place, 0) for place in range(1, SCORE_BINS + 2)]


# What triggers and pages read -----------------------------------------------------------------


def assurance_of(record: TrackRecord) -> Assurance:
    return Assurance(
        accepted=record.accepts,
        examined=record.accepts_examined,
        wrong=record.accepts_wrong,
        at_most=record.accepts_error_at_most,
        confidence=CONFIDENCE,
    )


def record(pk: str) -> TrackRecord | None:
    return _with_standing().filter(pk=pk).first()


def records_after(after: str, *, at_most: int) -> list[TrackRecord]:
    rows = _with_standing().filter(pk__gt=after) if after else _with_standing()
    return list(rows.order_by("pk")[:at_most])


def _with_standing() -> QuerySet[TrackRecord]:
    standing = StandDown.objects.standing().filter(record=OuterRef("pk"))
    rows = TrackRecord.objects.select_related("calibrator")
    return rows.annotate(stands_down=Exists(standing))


def records_for(user: User) -> QuerySet[TrackRecord]:
    """Without those about which this person judges something blindly: what stands down would tell them."""
    rows = _with_standing()
    for held in _held_by(user):
        rows = rows.exclude(agent=held.agent, agent_version=held.agent_version, action=held.action)
    return rows


def veiled_records(user: User) -> list[str]:
    """Those that `records_for` leaves out."""
    wanted = Q(pk__in=[])
    for held in _held_by(user):
        wanted |= Q(agent=held.agent, agent_version=held.agent_version, action=held.action)
    return list(TrackRecord.objects.filter(wanted).values_list("pk", flat=True))


def newest_certificates(records: Sequence[TrackRecord]) -> dict[str, ThresholdCertificate]:
    rows = ThresholdCertificate.objects.filter(record__in=records).select_related(
        "contract_version__contract", "calibrator"
    )
    newest = rows.order_by("record", "-pk").distinct("record")
    return {str(one.record_id): one for one in newest}


@dataclass(frozen=True, slots=True)
class History:
    """What became of one record, each list newest first and no longer than somebody reads."""

    certificates: Sequence[ThresholdCertificate]
    calibrators: Sequence[Calibrator]
    drifts: Sequence[Drift]
    stand_downs: Sequence[StandDown]


def history_of(record: TrackRecord, *, at_most: int) -> History:
    certificates = record.certificates.select_related("contract_version__contract", "calibrator")
    calibrators = record.calibrators.select_related("fitted_by")
    stand_downs = record.stand_downs.select_related("lifted_by")
    return History(
        certificates=list(certificates.order_by("-pk")[:at_most]),
        calibrators=list(calibrators.order_by("-pk")[:at_most]),
        drifts=list(record.drifts.order_by("-pk")[:at_most]),
        stand_downs=list(
            stand_downs.annotate(overturned=Count("causes")).order_by("-pk")[:at_most]
        ),
    )


def blind_item_within(user: User, record: TrackRecord) -> str | None:
    """The blind item that this person holds and has not judged, if it is about this record."""
    items = ReviewItem.objects.waiting().filter(
        kind__in=ReviewItem.BLIND,
        holder=user.pk,
        proposal__agent=record.agent,
        proposal__agent_version=record.agent_version,
        proposal__action=record.action,
    )
    return items.values_list("pk", flat=True).first()


def _held_by(user: User) -> list[Proposal]:
    """One, as a rule: blind items are handed out one by one."""
    held = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, holder=user.pk)
    return list(Proposal.objects.filter(pk__in=held.values("proposal")))
