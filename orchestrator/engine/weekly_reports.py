"""The weekly report by mail: once for each person who wants it and each week.

What is to be sent and that it was are stored in one transaction, on a locked row: of two sweepers one
stores it, and one that dies in between stored neither. The mail itself then goes the way of all mails,
under one id however often that takes.
"""

import time
from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from orchestrator.core.policy import roles
from orchestrator.engine import outbox
from orchestrator.engine.weekly_letter import letter_of, subject_of
from orchestrator.models import Delivery, WeeklyReport
from orchestrator.report_queries.scope import Scope
from orchestrator.report_queries.weekly import week, week_over_at

# Nobody waits for it to the second.
LOOK_EVERY_S = 60


@dataclass
class _Pace:
    """When this process looks again; what cannot be read just now is not tried every second either."""

    again_at: float = 0.0


_pace = _Pace()


def follow() -> int:
    """Called by every sweeper; says how many letters it stored."""
    if time.monotonic() < _pace.again_at:
        return 0
    _pace.again_at = time.monotonic() + LOOK_EVERY_S
    return send_due(timezone.now())


def send_due(now: datetime) -> int:
    """Only the newest week: what was missed while nothing ran is not made up for."""
    if not settings.EMAIL_URL:
        return 0
    scope = week_over_at(now, settings.WEEKLY_REPORT_HOUR)
    people = list(_due(scope.since).values_list("user", flat=True))
    found = week(scope) if people else None
    if found is None:
        return 0
    message = _message(scope, letter_of(found), now)
    return sum(_send(person, scope.since, message) for person in people)


def _due(monday: date) -> QuerySet[WeeklyReport]:
    """Whoever wants it, may see it and has an address; asked anew each week."""
    able = Q(groups__name__in=roles.roles_with("audit.view")) | Q(is_superuser=True)
    return WeeklyReport.objects.filter(
        Q(sent_for=None) | Q(sent_for__lt=monday),
        is_wanted=True,
        user__in=User.objects.filter(able, is_active=True),
        user__notice_address__isnull=False,
    ).order_by("user")


def _send(person: int, monday: date, message: outbox.Message) -> int:
    with transaction.atomic():
        rows = _due(monday).select_for_update(of=("self",), skip_locked=True)
        found = rows.select_related("user__notice_address").filter(user=person).first()
        if found is None:
            return 0
        outbox.send_later([outbox.mail_to(found.user.notice_address.address, message)])
        WeeklyReport.objects.filter(pk=found.pk).update(sent_for=monday)
    return 1


def _message(scope: Scope, text: str, now: datetime) -> outbox.Message:
    return {
        "kind": Delivery.WEEKLY_REPORT,
        "item": None,
        "sentence": subject_of(scope),
        "link": f"{settings.BASE_URL}/reports/",
        "deadline": None,
        "at": now.isoformat(timespec="seconds"),
        "text": text,
    }
