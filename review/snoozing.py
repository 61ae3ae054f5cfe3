"""Until when an item can be put off: the times that are offered, and what a form says."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from orchestrator.core.errors import BadInput
from orchestrator.models import ReviewItem

MORNING = time(9)
# The sweeper has to find it awake before its deadline.
SPARE = timedelta(minutes=1)
LABELS = {
    "1h": "For an hour",
    "4h": "For four hours",
    "tomorrow": "Until tomorrow, 9:00",
    "comment": "Until somebody comments",
    "run": "Until there is news of its run",
}
OWN_TIME = "at"


class Choice(NamedTuple):
    code: str
    label: str


def choices(item: ReviewItem, now: datetime) -> list[Choice]:
    """Those that end before its deadline."""
    last = latest(item, now)
    return [
        Choice(code, label) for code, label in LABELS.items() if _until(code, item, now) <= last
    ]


def read_snooze(sent: Mapping[str, str], item: ReviewItem, now: datetime) -> tuple[datetime, str]:
    """The time that ends it, and what may end it before."""
    code = sent.get("for", "")
    if code == OWN_TIME:
        return _own_time(sent.get(OWN_TIME, "")), ""
    if code not in LABELS:
        raise BadInput("for", "choose until when.")
    return _until(code, item, now), code if code in ReviewItem.WakesOn.values else ""


def latest(item: ReviewItem, now: datetime) -> datetime:
    last = now + timedelta(days=settings.SNOOZE_MAX_DAYS) - SPARE
    return min(last, item.due_at - SPARE) if item.kind in ReviewItem.EXPIRING else last


def _until(code: str, item: ReviewItem, now: datetime) -> datetime:
    if code == "1h":
        return now + timedelta(hours=1)
    if code == "4h":
        return now + timedelta(hours=4)
    return _tomorrow(now) if code == "tomorrow" else latest(item, now)


def _tomorrow(now: datetime) -> datetime:
    """In the reader's own time zone."""
    day = timezone.localtime(now).date() + timedelta(days=1)
    return timezone.make_aware(datetime.combine(day, MORNING))


def _own_time(text: str) -> datetime:
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise BadInput(OWN_TIME, "give a date and a time.")
    return found if timezone.is_aware(found) else timezone.make_aware(found)
