"""Messages that are to leave: stored in the caller's transaction, sent by `engine/deliveries.py` after it."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from orchestrator import queue
from orchestrator.core.codec import canonical
from orchestrator.engine import hear
from orchestrator.models import Delivery
from orchestrator.models.ids import new_id

QUEUE = "background"
STORED_AT_ONCE = 500

type Message = dict[str, Any]


def mail_to(address: str, message: Message, *, wait_s: int = 0) -> Delivery:
    """One that waits has company, if there is any, when it goes."""
    not_before = timezone.now() + timedelta(seconds=wait_s)
    return _delivery(Delivery.Channel.EMAIL, address, message, not_before=not_before)


def call_of(endpoint: str, host: str, message: Message) -> Delivery:
    return _delivery(Delivery.Channel.WEBHOOK, host, message, endpoint_id=endpoint)


def _delivery(channel: str, address: str, message: Message, **more: Any) -> Delivery:
    pk = new_id("dlv")
    return Delivery(
        pk=pk,
        channel=channel,
        kind=message["kind"],
        address=address,
        body=canonical({"id": pk, **message}),
        ends_at=timezone.now() + lifetime(),
        **more,
    )


def lifetime() -> timedelta:
    """How long it is tried."""
    return timedelta(hours=settings.NOTICE_RETRY_HOURS)


def send_later(deliveries: Sequence[Delivery]) -> None:
    if not deliveries:
        return
    Delivery.objects.bulk_create(deliveries, batch_size=STORED_AT_ONCE)
    ring()


def ring() -> None:
    """With the commit. Which deliveries there are is for the worker to find."""
    hear.tell([QUEUE])
    transaction.on_commit(partial(queue.ring, QUEUE, [0]), robust=True)
