"""Backtests: asked for and cancelled by people. The work is done by `engine/backtest.py`."""

from datetime import UTC, datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator import queue
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.actions.change_subjects import Version, subject_of
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.engine import hear
from orchestrator.engine.backtest import QUEUE
from orchestrator.models import Backtest, RuleVersion

DAYS = 30
# Whatever is asked for: more would take minutes, and say nothing that fewer do not.
PROPOSALS_LIMIT = 1_000_000
# Nothing is recorded before: proposals are numbered by the time since then.
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@transaction.atomic
def request(
    actor: Actor,
    version: Version,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    proposals_max: int | None = None,
) -> Backtest:
    """Have a version asked about the newest recorded proposals of a time, by default the last 30 days.

    While one is open for this version, asking again returns that one.
    """
    subject = subject_of(version)
    require(actor, subject.capability, f"backtest a {subject.noun}")
    since, until = _window(since, until)
    most = settings.BACKTEST_PROPOSALS_MAX if proposals_max is None else proposals_max
    if not 1 <= most <= PROPOSALS_LIMIT:
        raise BadInput("proposals_max", f"give a whole number from 1 to {PROPOSALS_LIMIT:,}.")
    # Two people who ask at once get the same one.
    subject.hold()
    about = {subject.column: subject.version}
    waiting = Backtest.objects.filter(**about, ended_at__isnull=True).first()
    if waiting is not None:
        return waiting
    active = subject.active()
    backtest = Backtest.objects.create(
        **about,
        against=active if isinstance(active, RuleVersion) else None,
        since=since,
        until=until,
        proposals_max=most,
        content_hash=subject.digest,
        requested_by=actor.user,
    )
    audit(
        actor,
        "backtest.requested",
        subject.log_name,
        version=subject.version.number,
        backtest=backtest.pk,
        since=since.isoformat(),
        until=until.isoformat(),
        proposals_max=most,
    )
    hear.tell([QUEUE])
    # Which one it is, is for the worker to find.
    transaction.on_commit(partial(queue.ring, QUEUE, [0]), robust=True)
    return backtest


@transaction.atomic
def cancel(actor: Actor, backtest: Backtest) -> Backtest:
    """At once if nobody works on it, else after the batch in hand. What has ended stays as it is."""
    subject = subject_of(backtest.tested)
    require(actor, subject.capability, "cancel backtests")
    found = Backtest.objects.select_for_update(of=("self",)).filter(pk=backtest.pk).first()
    if found is None:
        raise NotFound("backtest", backtest.pk)
    if found.has_ended or found.cancel_asked:
        return found
    rows = Backtest.objects.filter(pk=found.pk)
    rows.update(cancel_asked=True)
    nobodys = Q(status=Backtest.Status.WAITING) | Q(lease_until__lt=Now())
    rows.filter(nobodys).update(status=Backtest.Status.CANCELLED, lease_until=None, ended_at=Now())
    audit(
        actor,
        "backtest.cancelled",
        subject.log_name,
        version=subject.version.number,
        backtest=found.pk,
    )
    found.refresh_from_db()
    return found


def next_minute() -> datetime:
    """Where a window ends that reaches up to now.

    Those asked for within a minute end alike, so that they share one reading; and they end after the
    minute, not before it, so that what was proposed a moment ago is looked at.
    """
    return timezone.now().replace(second=0, microsecond=0) + MINUTE


def _window(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """Both ends in UTC, and within what the database gives back."""
    end = _utc("until", until) if until else next_minute()
    # Days that are still to come would thin out what a day brings.
    if end > timezone.now() + MINUTE:
        raise BadInput("until", "it lies in the future, of which nothing is recorded.")
    if end <= OLDEST:
        raise BadInput("until", f"give a time after {OLDEST:%Y}.")
    begin = _utc("since", since) if since else end - timedelta(days=DAYS)
    if begin >= end:
        raise BadInput("since", "it has to be earlier than `until`.")
    return max(begin, OLDEST), end


def _utc(name: str, moment: datetime) -> datetime:
    if timezone.is_naive(moment):
        raise BadInput(name, "give it with a time zone.")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise BadInput(name, "in UTC it is outside of the years 1 to 9999.") from error
