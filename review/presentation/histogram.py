"""Recorded scores as bars, stacked by what people made of them, with the two lines that part the bands.

The picture stretches to the width that there is, so it holds no text: what it says stands around it.
"""

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.score_histogram import Bin, Histogram

WIDTH, HEIGHT = 1_000, 200
GAP = 3
# What there is can be seen, however little it is.
LEAST = 2.0
PARTS = ("right", "wrong", "unknown")


def histogram(found: Histogram, bands: Bands) -> SafeString:
    return format_html(
        '<svg class="histogram" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img">'
        "<title>{}</title>{}{}</svg>",
        WIDTH,
        HEIGHT,
        _title(found, bands),
        _bars(found),
        _lines(bands),
    )


def _bars(found: Histogram) -> SafeString:
    highest = max(1, found.highest)
    parts = (
        part
        for place, one in enumerate(found.bins)
        for part in _stack(place, one, highest, len(found.bins))
    )
    return format_html_join(
        "", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"></rect>', parts
    )


def _stack(place: int, one: Bin, highest: int, bins: int) -> list[tuple[object, ...]]:
    """From the ground up: right, wrong, unknown."""
    found: list[tuple[object, ...]] = []
    step, top = WIDTH / bins, float(HEIGHT)
    for part in PARTS:
        count = getattr(one, part)
        if count:
            height = max(LEAST, HEIGHT * count / highest)
            top -= height
            found.append((part, _n(place * step), _n(top), _n(step - GAP), _n(height)))
    return found


def _lines(bands: Bands) -> SafeString:
    lines = (("accept", bands.accept_above), ("escalate", bands.escalate_at_or_below))
    return format_html_join(
        "",
        '<line class="{}" x1="{}" y1="0" x2="{}" y2="{}"></line>',
        ((name, _n(at * WIDTH), _n(at * WIDTH), HEIGHT) for name, at in lines),
    )


def _title(found: Histogram, bands: Bands) -> str:
    counts = {part: sum(getattr(one, part) for one in found.bins) for part in PARTS}
    return (
        f"{found.shown:,} scores from 0 to 1: {counts['right']:,} right, {counts['wrong']:,} wrong, "
        f"{counts['unknown']:,} that nobody judged. Accepted above {bands.accept_above:g}, "
        f"before people at or below {bands.escalate_at_or_below:g}."
    )


def _n(value: float) -> SafeString:
    """A number as SVG wants it, without thousands and without a tail."""
    return mark_safe(f"{value:.1f}".removesuffix(".0"))  # noqa: S308  (digits)
