"""Counts of the last days as bars; the number beside them says it in words."""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

BAR = 5
GAP = 2
HEIGHT = 18
# A day without any is a line, so that seven days can be counted.
FLOOR = 1.5


def sparkline(counts: Sequence[int]) -> SafeString:
    most = max(counts, default=0)
    width = len(counts) * (BAR + GAP) - GAP
    bars = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}" class="{}"></rect>',
        (_bar(place, count, most) for place, count in enumerate(counts)),
    )
    return format_html(
        '<svg class="sparkline" viewBox="0 0 {} {}" width="{}" height="{}" role="img">'
        "<title>{}</title>{}</svg>",
        width, HEIGHT, width, HEIGHT, _title(counts), bars,
    )  # fmt: skip


def _bar(place: int, count: int, most: int) -> tuple[object, ...]:
    height = round(FLOOR + (HEIGHT - FLOOR) * count / most, 1) if count else FLOOR
    top = round(HEIGHT - height, 1)
    return place * (BAR + GAP), top, BAR, height, "some" if count else "none"


def _title(counts: Sequence[int]) -> str:
    return f"Each of the last {len(counts)} days, oldest first: {', '.join(map(str, counts))}"
