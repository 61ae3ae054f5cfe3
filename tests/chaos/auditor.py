"""An auditor who never tires, and an admin who settles what the auditor disputes.

Every two seconds the auditor would not have done what one agent was let do by itself: then it stands
down, for a second, until the admin sides with what was done or allows automatic accepting again.
What the product confirmed is written down outside of it.
"""

import logging
import sys
import time
import zlib
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

PAUSE_S = 0.2
# From one stand-down to the next, so that something is let through between them.
APART = timedelta(seconds=2)
STANDS_FOR = timedelta(seconds=1)


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
    stands = StandDown.objects.standing().first()
    if stands is None or stands.opened_at < timezone.now() - STANDS_FOR:
        judge_next(admin, audit_queries.DISPUTES)
        lift_anew(admin)


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


def lift_anew(admin: Actor) -> None:
    """Where the third person did not side with what was done."""
    for stands in StandDown.objects.standing():
        stand_downs.lift(admin, stands.pk, reason="it will do better")


def finds_fault(item: ReviewItem) -> bool:
    """With every other dispute, whatever it is about."""
    if item.kind in audit_queries.DISPUTES:
        return zlib.crc32(item.pk.encode()) % 2 == 0
    is_audit = item.kind == ReviewItem.Kind.AUDIT and item.agent == AUDITED
    newest = StandDown.objects.order_by("-pk").first()
    return is_audit and (newest is None or newest.opened_at < timezone.now() - APART)


if __name__ == "__main__":
    main(sys.argv[1])
