"""What the pages of track records show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from orchestrator import calibration_queries
from orchestrator.calibration_queries import History
from orchestrator.core.statistics.assurance import Assurance
from orchestrator.core.statistics.calibration import Bin, Reliability
from orchestrator.models import ContractVersion, StandDown, ThresholdCertificate, TrackRecord
from review.access import may, person_of
from review.presentation.charts.reliability import reliability_chart
from review.presentation.charts.scale import between, percent

HISTORY_MAX = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One track record in the list."""

    record: TrackRecord
    scores: Reliability
    bound: Assurance
    certificate: ThresholdCertificate | None
    stale: Sequence[str]
    calibrator: str
    is_stale: bool


def lines_of(records: Sequence[TrackRecord]) -> list[Line]:
    certificates = calibration_queries.newest_certificates(records)
    contracts = calibration_queries.contracts_in_force({one.action for one in records})
    return [_line(one, certificates.get(one.pk), contracts.get(one.action)) for one in records]


def _line(
    record: TrackRecord,
    certificate: ThresholdCertificate | None,
    contract: ContractVersion | None,
) -> Line:
    stale: Sequence[str] = ()
    if certificate is not None:
        stale = calibration_queries.stale_because(certificate, record, contract)
    calibrator = record.calibrator
    return Line(
        record=record,
        scores=record.scores,
        bound=calibration_queries.assurance_of(record),
        certificate=certificate,
        stale=stale,
        calibrator=_calibrator_words(record),
        is_stale=bool(calibrator and calibration_queries.drift_since(record, calibrator.fitted_at)),
    )


def _calibrator_words(record: TrackRecord) -> str:
    if record.use == TrackRecord.Use.OFF:
        return "turned off"
    if record.calibrator is None:
        return "none yet"
    pinned = ", chosen by an admin" if record.use == TrackRecord.Use.PINNED else ""
    return f"version {record.calibrator.number}{pinned}"


@dataclass(frozen=True, slots=True)
class BinLine:
    """A bin in words; below 30 labels its counts alone."""

    scores: str
    n: int
    k: int
    mean: str
    share: str
    bounds: str


def bin_lines(bins: Sequence[Bin]) -> list[BinLine]:
    return [_bin_line(one) for one in bins if one.right.n]


def _bin_line(one: Bin) -> BinLine:
    shows = one.right.shows_share and one.share_right is not None
    return BinLine(
        scores=between((one.above, one.up_to)),
        n=one.right.n,
        k=one.right.k,
        mean=percent(one.mean_score or 0.0),
        share=percent(one.share_right or 0.0) if shows else "",
        bounds=between(one.bounds) if shows else "",
    )


@dataclass(frozen=True, slots=True)
class TriedLine:
    """One threshold of the grid, with what was found above it."""

    above: float
    total: int
    examined: int
    wrong: int
    at_most: str
    fits: bool
    is_chosen: bool


def tried_lines(certificate: ThresholdCertificate) -> list[TriedLine]:
    return [
        TriedLine(
            above=one["above"],
            total=one["total"],
            examined=one["examined"],
            wrong=one["wrong"],
            at_most=percent(one["at_most"]),
            fits=one["at_most"] < certificate.target,
            is_chosen=one["above"] == certificate.accept_above,
        )
        for one in certificate.tried
    ]


@dataclass(frozen=True, slots=True)
class Happening:
    """What ended trust in it, or brought it back."""

    at: datetime
    what: str
    said: str = ""


def happenings(history: History) -> list[Happening]:
    drifted = [
        Happening(one.found_at, "It drifted", f"{one.sentence[:1].upper()}{one.sentence[1:]}.")
        for one in history.drifts
    ]
    stood = [Happening(one.opened_at, "Stood down after an audit") for one in history.stand_downs]
    lifted = [
        Happening(one.lifted_at, f"{_by(one)} let it accept again", one.lifted_because)
        for one in history.stand_downs
        if one.lifted_at is not None
    ]
    found = sorted([*drifted, *stood, *lifted], key=lambda one: one.at, reverse=True)
    return found[:HISTORY_MAX]


def _by(stand_down: StandDown) -> str:
    return stand_down.lifted_by.get_username() if stand_down.lifted_by else "A third person"


def record_facts(request: HttpRequest, record: TrackRecord) -> dict[str, Any]:
    person = person_of(request)
    found = calibration_queries.history_of(record, at_most=HISTORY_MAX)
    newest = found.certificates[0] if found.certificates else None
    line = _line(record, newest, calibration_queries.contract_in_force(record.action))
    return {
        "record": record,
        "line": line,
        "chart": reliability_chart(line.scores),
        "bins": bin_lines(line.scores.bins),
        "history": found,
        "events": happenings(found),
        "tried": tried_lines(newest) if newest else [],
        "standing": _standing(found),
        "may_edit": may(person, "calibration.edit"),
        "may_lift": may(person, "stand_downs.lift"),
    }


def _standing(history: History) -> StandDown | None:
    return next((one for one in history.stand_downs if one.lifted_at is None), None)
