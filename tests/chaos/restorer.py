"""An admin who takes back some of what was done. What was confirmed to him is written down outside."""

import hashlib
import logging
import sys
import time
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from orchestrator.actions import rollbacks
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError
from orchestrator.models import Effect, ReviewItem
from tests.chaos.editor import note

logger = logging.getLogger(__name__)

PAUSE_S = 0.4
# Of what the side of the recorder that knows keys has done.
SHARE = 0.2
LOOKS_BACK = timedelta(seconds=60)
AT_ONCE = 5


def main(name: str) -> None:
    while True:
        try:
            close_old_connections()
            look(Actor(User.objects.get(username=name)))
        except DatabaseError as error:
            logger.warning("%s", error)
        time.sleep(PAUSE_S)


def look(me: Actor) -> None:
    for effect in list(_wanted())[:AT_ONCE]:
        try:
            rollbacks.request(me, effect.proposal_id, reason="it was a mistake after all")
        except CountersignError as refusal:
            logger.warning("%s", refusal)
        else:
            note("rollback", effect.proposal_id)


def _wanted() -> list[Effect]:
    """Once each: what could not be undone is in a reviewer's hands."""
    since = timezone.now() - LOOKS_BACK
    failed = ReviewItem.objects.filter(kind=ReviewItem.Kind.FAILED_COMPENSATION)
    done = Effect.objects.filter(
        executor="mindful", status=Effect.Status.DONE, finished_at__gt=since
    ).exclude(proposal__in=failed.values("proposal"))
    return [effect for effect in done.order_by("pk") if _draw(effect.pk) < SHARE]


def _draw(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


if __name__ == "__main__":
    main(sys.argv[1])
