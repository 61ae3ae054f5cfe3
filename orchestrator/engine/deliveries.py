"""Deliveries: claimed by a lease, sent outside of any transaction, and stored with what came of it.

A worker that dies loses nothing: its lease ends, and somebody sends again. So a message may arrive
twice, and never under two ids. What cannot be sent is tried again, less and less often, until its time
is over. An endpoint, or the mail server, that does not answer rests as a whole, so that it cannot hold
up the others.
"""

import logging
import smtplib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from orchestrator.engine import mail, webhooks
from orchestrator.failpoints import failpoint
from orchestrator.models import Delivery, Notice, WebhookEndpoint
from orchestrator.outside import Refused, Unreachable

logger = logging.getLogger(__name__)

# Longer than any attempt can take.
LEASE_S = 60
MAILS_TOGETHER_MAX = 50
# Before the second attempt, and never longer than.
FIRST_REST_S = 5
REST_MAX_S = 3_600
GONE = 410

type IsStopping = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt. Without an error, the message is there."""

    error: str = ""
    # Trying again would not help.
    is_final: bool = False
    # The way itself is broken: everything else that would go it rests as well.
    is_way: bool = False
    is_gone: bool = False
    retry_after_s: int = 0


def work_one(is_stopping: IsStopping) -> bool:
    """What has waited longest. False when nothing is to be sent just now."""
    deliveries = claim()
    if not deliveries:
        return False
    failpoint("delivery-claimed")
    outcome = _attempt(deliveries)
    failpoint("delivered-not-recorded")
    settle(deliveries, outcome)
    return True


# Claiming -------------------------------------------------------------------------------------


@transaction.atomic
def claim() -> list[Delivery]:
    """One call, or the mails that wait for one person."""
    first = _free().select_related("endpoint").order_by("not_before", "pk").first()
    if first is None:
        return []
    taken = [first, *_going_along(first)]
    Delivery.objects.filter(pk__in=[one.pk for one in taken]).update(
        token=F("token") + 1,
        tries=F("tries") + 1,
        lease_until=Now() + timedelta(seconds=LEASE_S),
    )
    for one in taken:
        one.token += 1
        one.tries += 1
    return taken


def _free() -> QuerySet[Delivery]:
    return _unheld().filter(not_before__lte=Now())


def _unheld() -> QuerySet[Delivery]:
    mails = Q(channel=Delivery.Channel.EMAIL)
    calls = Q(endpoint__rests_until=None) | Q(endpoint__rests_until__lte=Now())
    return Delivery.objects.select_for_update(of=("self",), skip_locked=True).filter(
        Q(lease_until=None) | Q(lease_until__lt=Now()),
        ~mails & calls if _post_office.is_resting else mails | calls,
        status=Delivery.Status.PENDING,
    )


def _going_along(first: Delivery) -> Sequence[Delivery]:
    """Also those that only wait for company."""
    if first.channel != Delivery.Channel.EMAIL or first.kind == Delivery.WEEKLY_REPORT:
        return []
    ready = Q(tries=0) | Q(not_before__lte=Now())
    same = _unheld().filter(ready, channel=first.channel, address=first.address)
    same = same.exclude(pk=first.pk).exclude(kind=Delivery.WEEKLY_REPORT)
    return list(same.order_by("pk")[: MAILS_TOGETHER_MAX - 1])


# Sending --------------------------------------------------------------------------------------


def _attempt(deliveries: Sequence[Delivery]) -> Outcome:
    first = deliveries[0]
    try:
        return _mail(deliveries) if first.endpoint is None else _call(first.endpoint, first)
    except Exception as error:
        logger.exception("%s could not be sent", first)
        return Outcome(f"Countersign itself failed ({type(error).__name__}); its log says more.")


def _mail(deliveries: Sequence[Delivery]) -> Outcome:
    if not settings.EMAIL_URL:
        return Outcome("No mail server is set: see EMAIL_URL.", is_final=True)
    try:
        mail.send(deliveries)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        return Outcome(_said(code, said), is_final=code >= 500)
    except smtplib.SMTPResponseException as error:
        return Outcome(_said(error.smtp_code, error.smtp_error), is_way=True)
    except (smtplib.SMTPException, OSError) as error:
        return Outcome(f"The mail server cannot be reached: {error}.", is_way=True)
    return Outcome()


def _said(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"The mail server said {code}: {text}"


def _call(endpoint: WebhookEndpoint, delivery: Delivery) -> Outcome:
    if endpoint.disabled_at is not None:
        return Outcome("The endpoint is disabled.", is_final=True)
    try:
        answer = webhooks.call(endpoint, delivery)
    except Refused as refusal:
        return Outcome(f"It was not called: {refusal}", is_final=True)
    except Unreachable as error:
        return Outcome(f"It cannot be reached: {error}.", is_way=True)
    if 200 <= answer.status < 300:
        return Outcome()
    if answer.status == GONE:
        return Outcome("It answered 410, gone for good.", is_final=True, is_gone=True)
    return Outcome(
        f"It answered {answer.status}, and not 2xx.",
        is_way=True,
        retry_after_s=min(answer.retry_after_s or 0, REST_MAX_S),
    )


# Storing --------------------------------------------------------------------------------------


@transaction.atomic
def settle(deliveries: Sequence[Delivery], outcome: Outcome) -> None:
    """Nothing of it when somebody took over meanwhile."""
    first = deliveries[0]
    held = [one.pk for one in deliveries if _hold(one)]
    rows = Delivery.objects.filter(pk__in=held)
    if not outcome.error:
        _end(rows, Delivery.Status.DONE, "")
    else:
        logger.warning("%s was not delivered: %s", first, outcome.error)
        _put_off(rows, first, outcome)
    if first.endpoint_id is None:
        _post_office.note(outcome)
    elif held:
        _note(first.endpoint_id, outcome)


def _hold(delivery: Delivery) -> bool:
    rows = Delivery.objects.select_for_update(of=("self",))
    return rows.filter(pk=delivery.pk, token=delivery.token, status="pending").exists()


def _put_off(rows: QuerySet[Delivery], first: Delivery, outcome: Outcome) -> None:
    over = rows if outcome.is_final else rows.filter(ends_at__lte=Now())
    _end(over, Delivery.Status.FAILED, outcome.error)
    rest = timedelta(seconds=max(rest_s(first.tries), outcome.retry_after_s))
    rows.filter(status=Delivery.Status.PENDING).update(
        lease_until=None,
        not_before=Now() + rest,
        error=outcome.error[: Delivery.ERROR_LENGTH_MAX],
    )


def rest_s(failures: int) -> int:
    """5 s, 20 s, 80 s, 5 min, 21 min, then every hour."""
    rest = FIRST_REST_S
    for _ in range(min(failures, 10) - 1):
        rest *= 4
    return min(rest, REST_MAX_S)


def _end(rows: QuerySet[Delivery], status: str, error: str) -> None:
    rows.update(
        status=status,
        error=error[: Delivery.ERROR_LENGTH_MAX],
        lease_until=None,
        finished_at=Now(),
    )


# The way there --------------------------------------------------------------------------------


def _note(endpoint: str, outcome: Outcome) -> None:
    """How it went last, for its page. Whoever is gone for good is not called again."""
    row = WebhookEndpoint.objects.select_for_update(of=("self",)).get(pk=endpoint)
    failures = row.failures + 1 if outcome.is_way else 0
    rest = timedelta(seconds=max(rest_s(failures), outcome.retry_after_s))
    WebhookEndpoint.objects.filter(pk=endpoint).update(
        last_error=outcome.error[: Delivery.ERROR_LENGTH_MAX],
        failures=failures,
        rests_until=Now() + rest if outcome.is_way else None,
        disabled_at=row.disabled_at or (Now() if outcome.is_gone else None),
    )
    if outcome.is_way:
        late = Delivery.objects.filter(
            endpoint=endpoint, status="pending", lease_until=None, ends_at__lte=Now()
        )
        _end(late, Delivery.Status.FAILED, outcome.error)


@dataclass
class _PostOffice:
    """The mail server, as this process met it last."""

    failures: int = 0
    rests_until: float = 0.0

    @property
    def is_resting(self) -> bool:
        return time.monotonic() < self.rests_until

    def note(self, outcome: Outcome) -> None:
        self.failures = self.failures + 1 if outcome.is_way else 0
        if outcome.is_way:
            self.rests_until = time.monotonic() + rest_s(self.failures)


_post_office = _PostOffice()


# Forgetting -----------------------------------------------------------------------------------


def forget() -> int:
    """What nobody looks up any more."""
    old = Now() - timedelta(days=settings.NOTICE_KEEP_DAYS)
    told = Notice.objects.filter(created_at__lt=old).values("pk")[: settings.SWEEP_BATCH]
    sent = Delivery.objects.filter(finished_at__lt=old).values("pk")[: settings.SWEEP_BATCH]
    deleted, _ = Notice.objects.filter(pk__in=told).delete()
    return deleted + Delivery.objects.filter(pk__in=sent).delete()[0]
