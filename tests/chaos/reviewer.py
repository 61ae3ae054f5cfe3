"""A reviewer who never tires, by name. Several race for the same items.

They take the most urgent item or one they chose, and decide, edit, send back, put off, hand on and
comment; some of what they decide they take back within its window. What the product confirmed is
written down outside of it, one line each.
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
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator import queue_queries
from orchestrator.actions import claims, confirmations, handling, reviews, revisions
from orchestrator.actions.actor import Actor, capabilities_of
from orchestrator.core.codec import Json
from orchestrator.core.definitions import DIRECT
from orchestrator.core.errors import CountersignError
from orchestrator.core.policy.changes import is_change
from orchestrator.models import Decision, ReviewItem

logger = logging.getLogger(__name__)

AT_ONCE = 20
PAUSE_S = 0.1
# A worker that was frozen before its call makes it when it wakes. A careful person waits for that.
LOOK_AFTER = timedelta(seconds=12)
PUT_OFF = timedelta(seconds=1)
# How often of all.
REJECTS, EDITS, SENDS_BACK, TAKES_BACK = 0.2, 0.2, 0.15, 0.2
SNOOZES, ESCALATES, COMMENTS = 0.04, 0.03, 0.03
JUDGED = (ReviewItem.Kind.GUARDRAIL_FAILURE, ReviewItem.Kind.ESCALATION)
MUTANTS = os.environ.get("CHAOS_MUTANTS", "").split()
NO_DECISION = "-"

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
    """The most urgent first, as people do who let themselves be given work; then what they choose."""
    let_go_of_edited(me)
    urgent = claims.take_next(me, among=for_me(me))
    if urgent is not None:
        handle(me, urgent)
    for item in list(within_reach(me).order_by("created_at")[:AT_ONCE]):
        if choose_verdict(item, me.name) is not None:
            reach_for(me, item)


def for_me(me: Actor) -> QuerySet[ReviewItem]:
    """What somebody edited another one approves."""
    return ReviewItem.objects.in_queue().exclude(proposal__edited_by=me.user)


def within_reach(me: Actor) -> QuerySet[ReviewItem]:
    """Free as it looks now, or in one's own hands still. By the time one reaches for it, it may be gone."""
    person = User.objects.get(username=me.name)
    known = queue_queries.decidable_by(for_me(me), person, capabilities_of(person))
    free = queue_queries.FREE | Q(holder=person)
    return known.filter(
        queue_queries.AWAKE, *([] if is_mutant("hold-without-condition") else [free])
    )


def let_go_of_edited(me: Actor) -> None:
    """Whoever edits holds the revision, even if killed before it could be handed on."""
    mine = ReviewItem.objects.in_queue().filter(holder=me.user, proposal__edited_by=me.user)
    for item in mine:
        claims.release(me, item.pk, item.lease)


def reach_for(me: Actor, item: ReviewItem) -> None:
    try:
        held = take(me, item.pk)
    except CountersignError as refusal:
        note(me.name, item.pk, f"refused:{refusal.code}")
    else:
        handle(me, held)


def take(me: Actor, item_id: str) -> ReviewItem:
    if is_mutant("hold-without-condition"):
        ReviewItem.objects.waiting().filter(pk=item_id).update(**claims.hold_of(me))
        return ReviewItem.objects.get(pk=item_id)
    return claims.take(me, item_id)


def handle(me: Actor, item: ReviewItem) -> None:
    """Whoever is refused came second, was frozen for too long, or was overtaken by a deadline."""
    verdict = choose_verdict(item, me.name)
    try:
        if verdict is None or puts_off(item):
            handling.snooze(me, item.pk, until=timezone.now() + PUT_OFF)
        elif hands_on(item):
            handling.escalate(me, item.pk, reason="wrong_value", note="somebody else should look")
        elif verdict["verdict"] == "edit":
            edit(me, item)
        else:
            decide(me, item, verdict)
    except CountersignError as refusal:
        note(me.name, item.pk, f"refused:{refusal.code}")


def puts_off(item: ReviewItem) -> bool:
    return item.snoozed_by_id is None and _draw(f"{item.pk}/snooze") < SNOOZES


def hands_on(item: ReviewItem) -> bool:
    draws = item.kind in JUDGED and _draw(f"{item.pk}/escalate") < ESCALATES
    return draws and item.escalated_at is None


def decide(me: Actor, item: ReviewItem, verdict: Verdict) -> None:
    if _draw(f"{item.pk}/{item.version}/comment") < COMMENTS:
        handling.comment(me, item.pk, "@remy: what do you make of it?")
    seen = confirmations.seen(me, item)
    key = f"{item.pk}/{item.version}"
    decision = reviews.decide(
        me,
        item.pk,
        verdict=verdict["verdict"],
        reason=verdict.get("reason", ""),
        note=verdict.get("note", ""),
        seen=seen,
        idempotency_key=key,
    )
    note(me.name, item.pk, verdict["verdict"], decision.pk)
    if wavers(me, item) and decision.undo_until is not None:
        take_back(me, decision)


def wavers(me: Actor, item: ReviewItem) -> bool:
    """A mutant has little time to show itself."""
    often = 1.0 if is_mutant("undo-forgets") else TAKES_BACK
    return _draw(f"{item.pk}/{item.version}/{me.name}/undo") < often


def take_back(me: Actor, decision: Decision) -> None:
    """Whoever does so holds the item again; some let go of it, and others decide it anew."""
    if is_mutant("undo-forgets"):
        Decision.objects.filter(pk=decision.pk).update(undone_at=Now())
        return
    item = reviews.undo(me, decision.pk)
    note(me.name, item.pk, "undone", decision.pk)
    if _draw(f"{decision.pk}/release") < 0.5:
        claims.release(me, item.pk, item.lease)


def edit(me: Actor, item: ReviewItem) -> None:
    """The work stays the same, and so does whatever names it."""
    args: dict[str, Json] = {**(item.proposal.args if item.proposal else {})}
    args["memo"] = f"seen by {me.name}"
    revision = revisions.edit(
        me,
        item.pk,
        args=args,
        seen=confirmations.seen(me, item),
        idempotency_key=f"{item.pk}/{item.version}",
        reason="wrong_value",
    )
    note(me.name, item.pk, "edit", Decision.objects.get(item=item, verdict="edit").pk)
    opened = ReviewItem.objects.openly().get(proposal=revision)
    claims.release(me, opened.pk, opened.lease)


def choose_verdict(item: ReviewItem, name: str) -> Verdict | None:
    """Reviewers differ: of those who race for an item one may approve it and another reject it."""
    if item.kind == ReviewItem.Kind.UNKNOWN_EFFECT:
        return _find_out(item)
    if item.kind == ReviewItem.Kind.FAILED_COMPENSATION:
        return _find_out_undone(item)
    if item.kind == ReviewItem.Kind.STUCK_COMMAND:
        gives_up = _is_at_target(item) and _draw(item.pk) < 0.5
        verdict = "give_up" if gives_up else "retry"
        return {"verdict": verdict, "note": "its workers were killed on purpose"}
    if item.kind in JUDGED and item.proposal and item.proposal.revision == 1:
        return _judge(item, name)
    if item.kind != ReviewItem.Kind.APPROVAL and _draw(f"{item.pk}/{name}") < REJECTS:
        return {"verdict": "reject", "reason": "wrong_value"}
    return {"verdict": "approve"}


def _judge(item: ReviewItem, name: str) -> Verdict:
    """What was revised is approved or not; what is new may be changed first, by hand or by its agent."""
    if _draw(f"{item.pk}/edit") < EDITS:
        return {"verdict": "edit"}
    answers = item.run.workflow_version.definition != DIRECT
    if answers and _draw(f"{item.pk}/respond") < SENDS_BACK:
        return {"verdict": "respond", "note": "look at it again"}
    if _draw(f"{item.pk}/{name}") < REJECTS:
        return {"verdict": "reject", "reason": "wrong_value"}
    return {"verdict": "approve"}


def _is_at_target(item: ReviewItem) -> bool:
    return item.command is not None and item.command.kind in {"run_effect", "roll_back"}


def _find_out(item: ReviewItem) -> Verdict | None:
    """A lost effect: look at the target, and not before the last call has arrived there."""
    if timezone.now() < item.created_at + LOOK_AFTER:
        return None
    if item.proposal and is_change(item.proposal.action):
        return {"verdict": "retry", "note": "a change that was made is not made again"}
    return _settle(_ask_recorder(item.proposal.effect.idempotency_key) if item.proposal else None)


def _find_out_undone(item: ReviewItem) -> Verdict | None:
    """A rollback that came to nothing, or did it: its key is the same each time, so a repeat is safe."""
    key = f"{item.proposal.effect.idempotency_key}:undo" if item.proposal else ""
    return _settle(_ask_recorder(key))


def _settle(executions: int | None) -> Verdict | None:
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


def is_mutant(name: str) -> bool:
    return name in MUTANTS


def _draw(text: str) -> float:
    """From 0 to 1, and the same whenever it is asked: a repeated click must mean the same."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def note(name: str, item: str, what: str, decision: str = NO_DECISION) -> None:
    file = os.open(os.environ["CHAOS_DECISIONS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{item} {name} {what} {decision}\n".encode())
    os.close(file)


if __name__ == "__main__":
    main(sys.argv[1])
