"""An auditor who never tires, and an admin who settles what the auditor disputes.

Whatever one agent was let do by itself the auditor would not have done, once a second: then it stands
down, until the admin sides with what was done or approves of automatic accepting again. What the product
confirmed is written down outside of it.
"""

import logging
import sys
import time
from collections.abc import Collection
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from orchestrator import audit_queries
from orchestrator.actions import audits, confirmations, stand_downs
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError
from orchestrator.models import ReviewItem, StandDown
from tests.chaos.reviewer import note
from tests.chaos.site import RESTORER
from tests.chaos.workload import AUDITED

logger = logging.getLogger(__name__)

PAUSE_S = 0.1
# From one stand-down to the next, so that something is let through between them.
APART = timedelta(seconds=1)
# Before the admin approves again; meanwhile a third person may have settled it.
STANDS_FOR = timedelta(milliseconds=500)


def main(name: str) -> None:
    while True:
        try:
            close_old_connections()
            look(Actor(User.objects.get(username=name)), Actor(User.objects.get(username=RESTORER)))
        except CountersignError as refusal:
            logger.warning("%s", refusal)
        except DatabaseError as error:
            logger.warning("%s", error)
        time.sleep(PAUSE_S)


def look(auditor: Actor, admin: Actor) -> None:
    judge_next(auditor, audit_queries.HANDED_OUT)
    judge_next(admin, audit_queries.DISPUTES)
    for stands in StandDown.objects.standing().filter(opened_at__lt=timezone.now() - STANDS_FOR):
        stand_downs.lift(admin, stands.pk, reason="it was right after all")


def judge_next(me: Actor, kinds: Collection[str]) -> None:
    item = audits.take_next(me, kinds=kinds)
    if item is None:
        return
    verdict = "reject" if finds_fault(item) else "approve"
    decision = audits.judge(
        me,
        item.pk,
        verdict=verdict,
        reason="wrong_value" if verdict == "reject" else "",
        seen=confirmations.seen(me, item),
        idempotency_key=f"{item.pk}/{item.version}",
    )
    note(me.name, item.pk, verdict, decision.pk)


def finds_fault(item: ReviewItem) -> bool:
    is_audit = item.kind == ReviewItem.Kind.AUDIT and item.agent == AUDITED
    newest = StandDown.objects.order_by("-pk").first()
    return is_audit and (newest is None or newest.opened_at < timezone.now() - APART)


if __name__ == "__main__":
    main(sys.argv[1])
