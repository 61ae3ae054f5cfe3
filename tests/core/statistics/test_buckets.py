import math
import random
import statistics

import pytest

from orchestrator.core.statistics import buckets
from orchestrator.core.statistics.figures import Outcomes
from orchestrator.core.statistics.outcomes import RAN, ending, outcomes
from orchestrator.models import Proposal


def test_quantiles_are_right_to_within_a_tenth() -> None:
    draw = random.Random(7)  # noqa: S311  (drawn alike each time)
    times = [draw.lognormvariate(5, 2) + 1 for _ in range(5_001)]
    counts: dict[int, int] = {}
    for seconds in times:
        counts[buckets.place(seconds)] = counts.get(buckets.place(seconds), 0) + 1
    found = buckets.quantile(counts, 0.5)
    assert found == pytest.approx(statistics.median(times), rel=0.1)
    p90 = buckets.quantile(counts, 0.9)
    assert p90 == pytest.approx(statistics.quantiles(times, n=10)[8], rel=0.1)


def test_a_bucket_is_a_quarter_of_a_doubling() -> None:
    assert [buckets.place(seconds) for seconds in (0, 0.3, 1, 2, 4)] == [0, 0, 0, 4, 8]
    assert math.isclose(buckets.middle(4) / buckets.middle(0), 2)


def test_of_nothing_there_is_no_quantile() -> None:
    assert buckets.quantile({}, 0.5) is None
    assert buckets.quantile({buckets.NONE: 9}, 0.5) is None


def test_spans_hold_everything_that_was_measured() -> None:
    counts = {buckets.place(seconds): 1 for seconds in (1, 50, 100, 10_000)} | {buckets.NONE: 7}
    assert buckets.spans(counts, [60, 600]) == [2, 1, 1]
    assert buckets.spans({}, [60]) == [0, 0]


def test_every_status_has_an_ending() -> None:
    counted = [ending("hold", status, edited=False) for status in Proposal.Status.values]
    found = outcomes((name, 1) for name in counted)
    # Superseded alone is counted in what stands in its place.
    assert found.decided + found.undecided == len(counted) - 1
    assert found.by_people == len(RAN)


def test_who_accepted_it() -> None:
    assert ending("accept", "executed", edited=False) == "automatic"
    assert ending("hold", "failed", edited=False) == "by_people"
    assert ending("hold", "rolled_back", edited=True) == "after_edit"
    assert outcomes([("automatic", 2), ("expired", 1), ("replaced", 5)]) == Outcomes(
        automatic=2, refused=1
    )
