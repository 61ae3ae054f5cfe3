import pytest

from orchestrator.core.statistics.latency import Latency


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Latency(0, 0, (0, 0, 0, 0)), "none"),
        (Latency(12, 9_000, (9, 12, 12, 12)), "9 of 12 within 1 s"),
        (Latency(29, 0, (29, 29, 29, 29)), "29 of 29 within 1 s"),
        (Latency(30, 0, (30, 30, 30, 30)), "p50 ≤ 1 s, p95 ≤ 1 s"),
        (Latency(100, 0, (50, 94, 95, 100)), "p50 ≤ 1 s, p95 ≤ 15 s"),
        (Latency(100, 0, (49, 95, 95, 100)), "p50 ≤ 5 s, p95 ≤ 5 s"),
        (Latency(100, 0, (0, 0, 10, 40)), "p50 > 60 s, p95 > 60 s"),
    ],
)
def test_it_says_what_its_counts_allow(found: Latency, says: str) -> None:
    assert str(found) == says


def test_days_are_added_up() -> None:
    both = Latency(20, 4_000, (20, 20, 20, 20)) + Latency(20, 156_000, (0, 18, 20, 20))
    assert both == Latency(40, 160_000, (20, 38, 40, 40))
    assert both.mean_s == 4.0
    assert str(both) == "p50 ≤ 1 s, p95 ≤ 5 s"
    assert Latency(0, 0, (0, 0, 0, 0)).mean_s is None
