"""Counts that stop somewhere, and say so."""

from django.conf import settings


def counted(count: int) -> str:
    """`42`, or `1,000+` where counting stopped."""
    most = settings.QUEUE_COUNT_MAX
    return f"{most:,}+" if count > most else f"{count:,}"
