"""A reviewer who never tires, by name. Several race for the same items.

What the product confirmed is written down outside of it, one line a decision.
"""

import hashlib
import http.client
import json
import logging
import os
import sys
import time
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from orchestrator.actions import reviews
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError
from orchestrator.core.policy.changes import is_change
from orchestrator.core.policy.roles import ADMIN
from orchestrator.models import ReviewItem
from tests.chaos.site import REVIEWERS

logger = logging.getLogger(__name__)

AT_ONCE = 20
PAUSE_S = 0.1
# A worker that was frozen before its call makes it when it wakes. A careful person waits for that.
LOOK_AFTER = timedelta(seconds=12)

type Verdict = dict[str, str]


def main(name: str) -> None:
    while True:
        try:
            close_old_connections()
            look(Actor(User.objects.get(username=name)))
        except DatabaseError as error:
            logger.warning("%s", error)
        time.sleep(PAUSE_S)


def look(me: Actor) -> None:
    waiting = ReviewItem.objects.waiting().exclude(decisions__reviewer=me.user)
    if REVIEWERS[me.name] != ADMIN:
        waiting = waiting.exclude(kind=ReviewItem.Kind.RULE_CHANGE)
    for item in waiting.order_by("created_at")[:AT_ONCE]:
        verdict = choose_verdict(item, me.name)
        if verdict is not None:
            decide(me, item, verdict)


def decide(me: Actor, item: ReviewItem, verdict: Verdict) -> None:
    key = f"{item.pk}/{item.version}"
    try:
        reviews.decide(me, item.pk, version=item.version, idempotency_key=key, **verdict)
    except CountersignError as refusal:
        note(me.name, item.pk, f"refused:{refusal.code}")
    else:
        note(me.name, item.pk, verdict["verdict"])


def choose_verdict(item: ReviewItem, name: str) -> Verdict | None:
    """Reviewers differ: of those who race for an item one may approve it and another reject it."""
    if item.kind == ReviewItem.Kind.UNKNOWN_EFFECT:
        return _find_out(item)
    if item.kind == ReviewItem.Kind.STUCK_COMMAND:
        gives_up = item.command and item.command.kind == "run_effect" and _draw(item.pk) < 0.5
        verdict = "give_up" if gives_up else "retry"
        return {"verdict": verdict, "note": "its workers were killed on purpose"}
    if item.kind != ReviewItem.Kind.APPROVAL and _draw(f"{item.pk}/{name}") < 0.2:
        return {"verdict": "reject", "reason": "wrong_value"}
    return {"verdict": "approve"}


def _find_out(item: ReviewItem) -> Verdict | None:
    """A lost effect: look at the target, and not before the last call has arrived there."""
    if timezone.now() < item.created_at + LOOK_AFTER:
        return None
    if item.proposal and is_change(item.proposal.action):
        return {"verdict": "retry", "note": "a change that was made is not made again"}
    executions = _ask_recorder(item.proposal.effect.idempotency_key) if item.proposal else None
    if executions is None:
        return None
    verdict = "happened" if executions else "retry"
    return {"verdict": verdict, "note": "the target's own books say so"}


def _ask_recorder(key: str) -> int | None:
    connection = http.client.HTTPConnection(os.environ["CHAOS_RECORDER"], timeout=5)
    try:
        connection.request("GET", f"/?key={key}")
        return int(json.loads(connection.getresponse().read())["executions"])
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _draw(text: str) -> float:
    """From 0 to 1, and the same whenever it is asked: a repeated click must mean the same."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def note(name: str, item: str, what: str) -> None:
    file = os.open(os.environ["CHAOS_DECISIONS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{item} {name} {what}\n".encode())
    os.close(file)


if __name__ == "__main__":
    main(sys.argv[1])
