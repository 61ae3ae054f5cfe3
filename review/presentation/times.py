"""Times as people read them; the exact one is always there, in UTC for machines.

`app.js` writes the same words again as time passes: change both together.
"""

import math
from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

MINUTE_S = 60


def ago(moment: datetime | None) -> SafeString | str:
    return _relative(moment, "ago")


def age(moment: datetime | None) -> SafeString | str:
    return _relative(moment, "age")


def due(moment: datetime | None) -> SafeString | str:
    return _relative(moment, "due")


def left(moment: datetime | None) -> SafeString | str:
    return _relative(moment, "left")


def countdown(moment: datetime | None) -> SafeString | str:
    """For what ends within minutes: 9:41, and 7 s when less than a minute is left."""
    return _relative(moment, "until")


def clock(moment: datetime | None, *, seconds: bool = True) -> SafeString | str:
    """Date and time in the reader's zone, labelled when that zone is only our guess."""
    if moment is None:
        return ""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        _machine(moment),
        _exact(moment),
        _local(moment).strftime("%-d %b %Y, %H:%M:%S" if seconds else "%-d %b %Y, %H:%M")
        + _zone_label(),
    )


def _relative(moment: datetime | None, kind: str) -> SafeString | str:
    if moment is None:
        return ""
    return format_html(
        '<time datetime="{}" title="{}" data-relative="{}">{}</time>',
        _machine(moment),
        _exact(moment),
        kind,
        say(moment - timezone.now(), kind),
    )


def say(left: timedelta, kind: str) -> str:
    """`left` is how long until the moment; it is negative for the past."""
    seconds = left.total_seconds()
    if kind == "due":
        return f"due in {span(seconds)}" if seconds >= 0 else f"overdue by {span(-seconds)}"
    if kind == "left":
        return f"{span(seconds)} left" if seconds >= 0 else f"{span(-seconds)} over"
    if kind == "until":
        return until(seconds)
    if kind == "age":
        return "now" if -seconds < MINUTE_S else span(-seconds)
    if seconds > 0:
        return f"in {span(seconds)}"
    return "just now" if -seconds < MINUTE_S else f"{span(-seconds)} ago"


def until(seconds: float) -> str:
    whole = max(0, math.ceil(seconds))
    return f"{whole // MINUTE_S}:{whole % MINUTE_S:02d}" if whole >= MINUTE_S else f"{whole} s"


def span(seconds: float) -> str:
    """The two largest units: 12m, 3h 12m, 2d 4h."""
    minutes = int(abs(seconds) // MINUTE_S)
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h" if hours else f"{days}d"


def took(seconds: float) -> str:
    """How long something lasted: 420 ms, 4.2 s, 3h 12m."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < MINUTE_S else span(seconds)


def _machine(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment)


def _exact(moment: datetime) -> str:
    return _local(moment).strftime("%-d %b %Y, %H:%M:%S %Z")


def _zone_label() -> str:
    return " UTC" if timezone.get_current_timezone_name() == "UTC" else ""
