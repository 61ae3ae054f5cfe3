"""Reading track records: what agents' scores are worth, and what may run by itself because of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from orchestrator import calibration_queries
from orchestrator.api.auth import Bearer
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.schemas import ProblemOut
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.core.statistics.calibration import Bin
from orchestrator.core.typeid import is_id
from orchestrator.models import ContractVersion, ThresholdCertificate, TrackRecord

router = Router(tags=["calibration"])
_READERS = Bearer("read", "admin")
_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}


class RecordsIn(Schema):
    after: str = Field("", max_length=30, description="the `next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class BinOut(Schema):
    above: float
    up_to: float
    right: int
    labels: int
    mean_score: float | None
    share_right: float | None
    bounds: tuple[float, float]


class ThresholdOut(Schema):
    """The newest answer to: from which score on may it run by itself?"""

    accept_above: float | None = Field(description="null: no threshold qualifies")
    target: float
    score: str
    tier: str
    sentence: str
    stale: list[str] = Field(description="why it holds no longer; empty while it does")
    made_at: datetime


class BoundOut(Schema):
    """What automatic accepting got wrong, as far as audits say; the bound holds at every look."""

    accepted: int
    examined: int
    wrong: int
    at_most: float
    confidence: float


class RecordOut(Schema):
    id: str
    agent: str
    agent_version: str
    action: str
    labels: int
    calibration_error: float | None
    brier: float | None
    calibrator: str | None = Field(description="the version in force")
    drifted_at: datetime | None
    stands_down: bool
    audits: BoundOut
    threshold: ThresholdOut | None
    checked_at: datetime | None


class RecordWithBinsOut(RecordOut):
    bins: list[BinOut]


class RecordsOut(Schema):
    records: list[RecordOut]
    next: str | None


@router.get(
    "/calibration",
    auth=_READERS,
    response={200: RecordsOut, **_PROBLEMS},
    summary="List track records",
)
def browse(request: HttpRequest, query: Query[RecordsIn]) -> RecordsOut:
    """Oldest first, one for each action of each agent version that people have judged."""
    refuse_unknown(request, RecordsIn)
    if query.after and not is_id(query.after, "trk"):
        raise BadInput("after", "send the `next` of the page before.")
    found = calibration_queries.records_after(query.after, at_most=query.limit + 1)
    shown = found[: query.limit]
    facts = _facts_of(shown)
    following = shown[-1].pk if len(found) > query.limit else None
    return RecordsOut(records=[RecordOut(**one) for one in facts], next=following)


@router.get(
    "/calibration/{record_id}",
    auth=_READERS,
    response={200: RecordWithBinsOut, **_PROBLEMS},
    summary="Read a track record",
)
def read(request: HttpRequest, record_id: str) -> RecordWithBinsOut:
    """With the reliability of its scores, bin by bin."""
    found = calibration_queries.record(record_id) if is_id(record_id, "trk") else None
    if found is None:
        raise NotFound("track record", record_id)
    bins = [_bin(one) for one in found.scores.bins]
    return RecordWithBinsOut(**_facts_of([found])[0], bins=bins)


def _facts_of(records: Sequence[TrackRecord]) -> list[dict[str, Any]]:
    certificates = calibration_queries.newest_certificates(records)
    contracts = calibration_queries.contracts_in_force({one.action for one in records})
    return [
        _facts(one, _threshold(one, certificates.get(one.pk), contracts.get(one.action)))
        for one in records
    ]


def _facts(record: TrackRecord, threshold: ThresholdOut | None) -> dict[str, Any]:
    scores, bound = record.scores, calibration_queries.assurance_of(record)
    return {
        "id": record.pk,
        "agent": record.agent,
        "agent_version": record.agent_version,
        "action": record.action,
        "labels": scores.labels,
        "calibration_error": scores.calibration_error,
        "brier": scores.brier,
        "calibrator": record.calibrator.name if record.calibrator else None,
        "drifted_at": record.drifted_at,
        "stands_down": calibration_queries.stands_down(record),
        "audits": BoundOut(
            accepted=bound.accepted,
            examined=bound.examined,
            wrong=bound.wrong,
            at_most=bound.at_most,
            confidence=bound.confidence,
        ),
        "threshold": threshold,
        "checked_at": record.checked_at,
    }


def _threshold(
    record: TrackRecord,
    certificate: ThresholdCertificate | None,
    contract: ContractVersion | None,
) -> ThresholdOut | None:
    if certificate is None:
        return None
    return ThresholdOut(
        accept_above=certificate.accept_above,
        target=certificate.target,
        score=certificate.score,
        tier=certificate.tier,
        sentence=certificate.sentence,
        stale=list(calibration_queries.stale_because(certificate, record, contract)),
        made_at=certificate.made_at,
    )


def _bin(one: Bin) -> BinOut:
    return BinOut(
        above=one.above,
        up_to=one.up_to,
        right=one.right.k,
        labels=one.right.n,
        mean_score=one.mean_score,
        share_right=one.share_right,
        bounds=one.bounds,
    )
