"""What eleven recorded models said of themselves, through the product, against an independent computation.

Some of it is submitted and decided as anybody would; the rest is put into the tables as that leaves it,
since it is more than sixteen thousand decisions. From there on everything is the product's.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

import numpy
import pytest
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from pytest_django import Settings
from scipy import optimize, special

from orchestrator import audit_queries
from orchestrator.actions import audits, confirmations, proposals, thresholds
from orchestrator.actions.actor import Actor
from orchestrator.core.statistics.calibration import BINS
from orchestrator.core.statistics.certify import DELTA, GRID
from orchestrator.engine import track_records
from orchestrator.models import (
    Calibrator,
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
from tests.recorded_agents.recordings import Record, read_lines

ACTION = "answer.give"
TARGETS = (0.05, 0.1, 0.2)
# Of each model so many go the whole way.
SUBMITTED = 6
keys: Iterator[int] = count()


@pytest.fixture
def recorded() -> dict[str, list[Record]]:
    lines = read_lines("confidence.jsonl.gz")
    return {
        model: [line for line in lines if line["model"] == model]
        for model in sorted({line["model"] for line in lines})
    }


@pytest.fixture(autouse=True)
def _people_see_everything(db: None, settings: Settings) -> None:
    """What is sure enough has no certificate yet, and of the rest all is drawn."""
    settings.AUDIT_SHARE = settings.LABEL_SHARE = 1.0
    thresholds.first_policy()
    wish_for(TARGETS[0])


def wish_for(target: float) -> None:
    """Each is more specific than the one before, so it decides."""
    number = EvaluationPolicy.objects.count() + 1
    EvaluationPolicy.objects.create(
        number=number,
        action=ACTION,
        tier="normal" if number > 2 else "",
        agent_version="1" if number > 3 else "",
        stage="active",
        accept_above=0.9,
        escalate_at_or_below=0.6,
        target_error=target,
        activated_at=timezone.now(),
    )


def submit(agent: Actor, line: Record) -> Proposal:
    return proposals.submit(
        agent,
        proposals.Suggestion(
            agent=line["model"],
            agent_version="1",
            action=ACTION,
            args={"set": line["set"], "question": line["q"]},
            confidence=line["conf"],
        ),
    )


def judge(cast: Cast, made: dict[str, Record]) -> None:
    """Each where the product put it: in the queue, or blind."""
    for item in ReviewItem.objects.filter(kind="escalation", proposal__in=made):
        right = made[str(item.proposal_id)]["ok"]
        decide(cast.rita, item, "approve" if right else "reject", reason="wrong_value")
    judge_blindly(Actor(cast.rolf), audit_queries.SAMPLED, made)
    # Where the first would have let run what was sent back, a third person says the same.
    judge_blindly(Actor(cast.ada), audit_queries.DISPUTES, made)


def judge_blindly(actor: Actor, kinds: Sequence[str], made: dict[str, Record]) -> None:
    while blind := audits.take_next(actor, kinds=kinds):
        right = made[str(blind.proposal_id)]["ok"]
        audits.judge(
            actor,
            blind.pk,
            verdict="approve" if right else "reject",
            reason="" if right else "wrong_value",
            seen=confirmations.seen(actor, blind),
            idempotency_key=f"recorded-{next(keys)}",
        )


def as_told(line: Record) -> Told:
    is_between = 0.6 < line["conf"] <= 0.9
    return Told(
        line["conf"],
        line["ok"],
        disposition="revise" if is_between else "escalate",
        chance=1.0 if is_between else None,
        agent=line["model"],
        agent_version="1",
        action=ACTION,
    )


def work() -> None:
    while track_records.work_one(lambda: False):
        pass


def test_everything_we_say_of_them(
    cast: Cast,
    agent: Actor,
    propose: Callable[..., Proposal],
    recorded: dict[str, list[Record]],
    as_owner: Callable[[], AbstractContextManager[CursorWrapper]],
) -> None:
    made = {
        submit(agent, line).pk: line for lines in recorded.values() for line in lines[:SUBMITTED]
    }
    assert not Proposal.objects.filter(pk__in=made, disposition="accept").exists()
    judge(cast, made)
    rest = [as_told(line) for lines in recorded.values() for line in lines[SUBMITTED:]]
    beside = propose(agent="another", confidence=0.3)
    store(rest, beside=beside, reviewer=cast.rita, until=timezone.now())
    analyse(as_owner)
    work()
    assert TrackedLabel.objects.filter(record__action=ACTION).count() == sum(
        map(len, recorded.values())
    )

    for model, lines in recorded.items():
        scores = numpy.array([line["conf"] for line in lines])
        right = numpy.array([line["ok"] for line in lines], dtype=bool)
        record = TrackRecord.objects.get(agent=model)
        check_reliability(record.reliability, scores, right)
        check_calibrator(Calibrator.objects.get(record=record), scores, right)

    chosen = {}
    for target in TARGETS:
        if target != TARGETS[0]:
            wish_for(target)
            work()
        for model, lines in recorded.items():
            found = ThresholdCertificate.objects.get(record__agent=model, target=target)
            bounds = [bound_above(lines, at) for at in GRID]
            assert [one["at_most"] for one in found.tried] == pytest.approx(bounds, abs=1e-6)
            below = (at for at, bound in zip(GRID, bounds, strict=True) if bound < target)
            assert found.accept_above == next(below, None)
            chosen[model, target] = found.accept_above
    # One threshold for all would be wrong: they differ, and for some there is none.
    assert len({chosen[model, 0.1] for model in recorded}) > 2
    assert None in chosen.values()
    check_it_is_in_force(agent, recorded, chosen)


def analyse(as_owner: Callable[[], AbstractContextManager[CursorWrapper]]) -> None:
    """What PostgreSQL does by itself, when tables do not grow a thousandfold within one transaction."""
    with as_owner() as cursor:
        for table in ("proposal", "disposition", "reviewitem", "decision"):
            cursor.execute(f"ANALYZE orchestrator_{table}")


def check_reliability(found: dict[str, Any], scores: Any, right: Any) -> None:
    places = numpy.digitize(scores, numpy.arange(1, BINS) / BINS, right=True)
    error = 0.0
    for place, one in enumerate(found["bins"]):
        inside = places == place
        n, k = int(inside.sum()), int(right[inside].sum())
        assert (one["n"], one["k"]) == (n, k)
        if n:
            assert one["mean_score"] == pytest.approx(scores[inside].mean(), abs=1e-6)
            error += n / len(scores) * abs(k / n - scores[inside].mean())
    assert found["labels"] == len(scores)
    assert found["calibration_error"] == pytest.approx(error, abs=1e-6)
    assert found["brier"] == pytest.approx(((scores - right) ** 2).mean(), abs=1e-6)


def check_calibrator(found: Calibrator, scores: Any, right: Any) -> None:
    all_scores = numpy.append(scores, [scores.max(), scores.min()])
    all_right = numpy.append(right, [False, True]).astype(float)
    at, places = numpy.unique(all_scores, return_inverse=True)
    weights = numpy.bincount(places)
    shares = numpy.bincount(places, weights=all_right) / weights
    expected = optimize.isotonic_regression(shares, weights=weights).x
    assert [found.steps.apply(float(s)) for s in at] == pytest.approx(list(expected), abs=1e-6)


def bound_above(lines: list[Record], at: float) -> float:
    """The largest error that a bet against it, mixed over a beta distribution, has not refuted by then."""
    above = [line["ok"] for line in lines if line["conf"] > at]
    n, wrong = len(above), above.count(False)
    if n == wrong:
        return 1.0
    limit = -special.log1p(-(1 - DELTA / len(GRID)))
    mixed = special.betaln(wrong + 0.5, n - wrong + 0.5) - special.betaln(0.5, 0.5)

    def left(share: float) -> float:
        likely = special.xlogy(wrong, share) + special.xlog1py(n - wrong, -share)
        return float(mixed - likely - limit)

    return float(optimize.brentq(left, max(wrong / n, 1e-12), 1 - 1e-12, xtol=1e-13))


def check_it_is_in_force(
    agent: Actor, recorded: dict[str, list[Record]], chosen: dict[tuple[str, float], float | None]
) -> None:
    """What is proposed next runs by itself where, and only where, a certificate covers it."""
    for model, lines in recorded.items():
        threshold = chosen[model, TARGETS[-1]]
        for confidence in (0.92, 1.0):
            covered = threshold is not None and confidence > max(threshold, 0.9)
            found = submit(agent, {**lines[0], "conf": confidence})
            assert (found.disposition == "accept") == covered, (model, confidence, threshold)
