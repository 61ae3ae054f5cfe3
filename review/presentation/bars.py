"""Counts as bars beside each other, each with its number."""

from typing import NamedTuple

from django.conf import settings


class Bar(NamedTuple):
    """`share` in hundredths of the longest one."""

    text: str
    share: float


def bar(count: int, most: int) -> Bar:
    return Bar(counted(count), round(100 * count / most, 1) if most else 0.0)


def counted(count: int) -> str:
    """Counting stops above the limit, so what is above it is at least the limit."""
    most = settings.QUEUE_COUNT_MAX
    return f"{most:,}+" if count > most else f"{count:,}"
