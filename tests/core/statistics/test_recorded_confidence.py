"""What recorded agents said of themselves, against an independent computation of everything we say of it."""

from typing import Any

import pytest

from orchestrator.core.statistics.calibration import (
    BINS,
    Reliability,
    fit_binned,
    fit_isotonic,
    reliability,
)
from orchestrator.core.statistics.certify import GRID, CertifiedThreshold, certify
from orchestrator.core.statistics.judged import Judged
from tests.core.statistics.test_certify import count_above
from tests.recorded_agents.recordings import read_lines

TARGETS = (0.02, 0.05, 0.1, 0.15, 0.2)


@pytest.fixture(scope="module")
def by_model(numpy: Any) -> dict[str, tuple[Any, Any]]:
    """Scores and answers of each model as arrays."""
    lines = read_lines("confidence.jsonl.gz")
    models = sorted({line["model"] for line in lines})
    of = {model: [line for line in lines if line["model"] == model] for model in models}
    return {
        model: (
            numpy.array([line["conf"] for line in told]),
            numpy.array([line["ok"] for line in told], dtype=bool),
        )
        for model, told in of.items()
    }


def as_judged(scores: Any, right: Any) -> list[Judged]:
    return [Judged(float(s), bool(r)) for s, r in zip(scores, right, strict=True)]


def test_bins_brier_and_error(
    by_model: dict[str, tuple[Any, Any]], numpy: Any, proportions: Any
) -> None:
    for scores, right in by_model.values():
        found: Reliability = reliability(as_judged(scores, right))
        places = numpy.digitize(scores, numpy.arange(1, BINS) / BINS, right=True)
        error = 0.0
        for place, one in enumerate(found.bins):
            inside = places == place
            n, k = int(inside.sum()), int(right[inside].sum())
            assert (one.right.n, one.right.k) == (n, k)
            if n:
                assert one.mean_score == pytest.approx(scores[inside].mean(), abs=1e-6)
                theirs = proportions.proportion_confint(k, n, 0.05, "wilson")
                assert one.bounds == pytest.approx(theirs, abs=1e-6)
                error += n / len(scores) * abs(k / n - scores[inside].mean())
        assert found.calibration_error == pytest.approx(error, abs=1e-6)
        assert found.brier == pytest.approx(((scores - right) ** 2).mean(), abs=1e-6)


def test_thresholds_of_each_model(by_model: dict[str, tuple[Any, Any]], scipy_stats: Any) -> None:
    chosen = set()
    for model, (scores, right) in by_model.items():
        rows = count_above(as_judged(scores, right))
        for target in TARGETS:
            bounds = []
            for at in GRID:
                above = scores > at
                n, k = int(above.sum()), int((~right[above]).sum())
                bounds.append(
                    float(scipy_stats.beta.ppf(1 - 0.05 / len(GRID), k + 1, n - k)) if n else 1.0
                )
            answer = certify(rows, target=target)
            assert [one.at_most for one in answer.tried] == pytest.approx(bounds, abs=1e-6)
            expected = next((at for at, b in zip(GRID, bounds, strict=True) if b < target), None)
            found = answer.accept_above if isinstance(answer, CertifiedThreshold) else None
            assert found == expected
            chosen.add((model, target, found))
    # One threshold for all would be wrong: they differ, and for some there is none.
    at_five = {found for _, target, found in chosen if target == 0.05}
    assert len(at_five) > 1
    assert None in at_five


def test_calibrators_are_calibrated(
    by_model: dict[str, tuple[Any, Any]], numpy: Any, scipy_optimize: Any
) -> None:
    for scores, right in by_model.values():
        told = as_judged(scores, right)
        found = fit_isotonic(told)
        assert found
        all_scores = numpy.append(scores, [scores.max(), scores.min()])
        all_right = numpy.append(right, [False, True]).astype(float)
        at, places = numpy.unique(all_scores, return_inverse=True)
        weights = numpy.bincount(places)
        shares = numpy.bincount(places, weights=all_right) / weights
        expected = scipy_optimize.isotonic_regression(shares, weights=weights).x
        assert [found.apply(float(s)) for s in at] == pytest.approx(list(expected), abs=1e-6)
        for calibrator in (found, fit_binned(told)):
            assert calibrator
            after = [Judged(calibrator.apply(one.score), one.right) for one in told]
            before = reliability(told).calibration_error or 0
            assert (reliability(after).calibration_error or 0) < before / 3
