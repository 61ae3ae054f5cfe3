"""Up to when everything is in the counters."""

from datetime import UTC, datetime

from django.utils import timezone

from orchestrator.models import ChangedDay

# The time of marks that the migration made, of days that were never counted.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def counted_until() -> datetime | None:
    """Whatever was committed before this moment is in every report: "data to 09:40 UTC".

    The moment of the oldest change that still waits to be counted; now, when none does. Ask before what
    it is about. None while what there was before there were reports is still being counted.
    """
    now = timezone.now()
    waiting = ChangedDay.objects.order_by("pk").values_list("at", flat=True).first()
    if waiting is None:
        return now
    return waiting if waiting > _NEVER else None
