"""How long people were waited for: a few spans that anybody can name, from counters of fine buckets."""

from orchestrator.core.statistics import buckets
from orchestrator.core.statistics.intervals import Rate
from orchestrator.report_queries.scope import Times
from review.presentation.charts.histogram import Histogram, histogram
from review.reports import table
from review.reports.table import Table

MINUTE, HOUR, DAY = 60, 3_600, 86_400
ENDS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 3 * DAY)
NAMES = ("≤ 1 min", "≤ 5 min", "≤ 15 min", "≤ 1 h", "≤ 4 h", "≤ 12 h", "≤ 1 d", "≤ 3 d", "longer")


def waits_chart(wait: Times) -> Histogram:
    """With lines at what half and nine of ten stayed under."""
    marks = ((wait.median_s, "half"), (wait.p90_s, "nine of ten"))
    return histogram(
        f"How long {wait.n:,} items waited for a person",
        list(zip(NAMES, buckets.spans(wait.counts, ENDS), strict=True)),
        lines=[(_place(seconds), text) for seconds, text in marks if seconds is not None],
    )


def waits_table(wait: Times) -> Table:
    return Table(
        "waits",
        "How long items waited for a person, of those that people decided",
        (
            table.text_column("Waited", "waited"),
            table.number_column("Items", "items"),
            table.rate_column("Share", "share"),
        ),
        [
            (table.plain(name), table.count(items), table.rate(Rate(items, wait.n)))
            for name, items in zip(NAMES, buckets.spans(wait.counts, ENDS), strict=True)
        ]
        if wait.n
        else [],
    )


def _place(seconds: float) -> float:
    """Counted in bins; within one, as if they lay evenly."""
    before = 0
    for place, end in enumerate(ENDS):
        if seconds <= end:
            return place + (seconds - before) / (end - before)
        before = end
    return len(ENDS) + 0.5
