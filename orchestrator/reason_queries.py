"""Reads of reasons: all of them, and how often each was given of late."""

from datetime import datetime, timedelta

from django.db import connection

from orchestrator.core import typeid
from orchestrator.models import Reason

USED_WINDOW = timedelta(days=90)
# The newest decisions of that time that are looked at.
USED_READ_MAX = 20_000

_USED = """
    SELECT reason, count(*) FROM (
        SELECT reason, undone_at FROM orchestrator_decision
         WHERE id >= %s ORDER BY id DESC LIMIT %s
    ) AS newest WHERE reason <> '' AND undone_at IS NULL GROUP BY reason
"""


def reasons() -> list[Reason]:
    """As they are offered, then the retired ones."""
    return [*Reason.objects.offered(), *Reason.objects.exclude(retired_at=None).order_by("code")]


def labels() -> dict[str, str]:
    """By code, the retired ones too."""
    return dict(Reason.objects.values_list("code", "label"))


def reason(code: str) -> Reason | None:
    return Reason.objects.filter(code=code).first()


def used(now: datetime) -> dict[str, int]:
    """By code. What was taken back does not count."""
    at_ms = int((now - USED_WINDOW).timestamp() * 1000)
    with connection.cursor() as cursor:
        cursor.execute(_USED, [typeid.make("dec", at_ms=at_ms, entropy=0), USED_READ_MAX])
        return dict(cursor.fetchall())
