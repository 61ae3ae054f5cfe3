"""Whose a backtest is: taken by a lease on the database's clock and a fence that grows each time."""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from orchestrator.models import Backtest

# Backtests of one window that share its reading.
TOGETHER_MAX = 10


def claim() -> list[Backtest]:
    """The oldest one that nobody holds, with those that look at the same proposals from the same place.

    What a worker died with goes on alone, so that it cannot take others down; and not for ever.
    """
    with transaction.atomic():
        first = _open().first()
        if first is None:
            return []
        if first.status == Backtest.Status.WAITING:
            return _take(list(_same_as(first)))
        crashes = first.counts.get("crashes", 0) + 1
        if crashes < settings.COMMAND_CRASHES_MAX:
            first.counts["crashes"] = crashes
            Backtest.objects.filter(pk=first.pk).update(counts=first.counts)
            return _take([first])
        at = f"{first.done:,} proposals"
        fail([first.pk], f"It was broken off {crashes} times, each time at {at}.")
    return claim()


def _open() -> QuerySet[Backtest]:
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    return (
        Backtest.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("version__rule", "against__rule", "policy")
        .filter(free, status__in=(Backtest.Status.WAITING, Backtest.Status.RUNNING))
        .order_by("pk")
    )


def _same_as(first: Backtest) -> QuerySet[Backtest]:
    names = ("since", "until", "proposals_max", "cursor")
    same = {name: getattr(first, name) for name in names}
    kind = {"policy__isnull": first.policy_id is None}
    return _open().filter(status=Backtest.Status.WAITING, **same, **kind)[:TOGETHER_MAX]


def _take(found: list[Backtest]) -> list[Backtest]:
    Backtest.objects.filter(pk__in=[one.pk for one in found]).update(
        status=Backtest.Status.RUNNING,
        fence=F("fence") + 1,
        lease_until=Now() + timedelta(seconds=settings.COMMAND_LEASE_S),
        started_at=Coalesce("started_at", Now()),
    )
    for one in found:
        one.fence += 1
    return found


def fail(ids: Sequence[str], reason: str) -> None:
    Backtest.objects.filter(pk__in=ids).update(
        status=Backtest.Status.FAILED,
        error=f"{reason} What was counted is kept; the worker's log says more. Ask for it again.",
        lease_until=None,
        ended_at=Now(),
    )
