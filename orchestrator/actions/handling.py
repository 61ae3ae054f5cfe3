"""What is done with an item besides deciding it: handed on, put off, talked about."""

import re
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.actions import claims, reviews
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.actions.refusals import refusal_of
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.core.policy import priority
from orchestrator.engine import notices
from orchestrator.models import Comment, ReviewItem, Team

MENTION = re.compile(r"(?<![\w@.])@([\w.@+-]{1,150})")
MENTIONS_MAX = 20


@transaction.atomic
def escalate(actor: Actor, item_id: str, *, reason: str, note: str) -> ReviewItem:
    """Hand it on, to the team that theirs escalates to, and to the top of the queue."""
    claims.check_may_decide(actor, item_id)
    reviews.check_reason(reason, note)
    reviews.check_text(note)
    item = _lock_open(actor, item_id)
    if item.escalated_at is not None and (item.team is None or item.team.escalates_to is None):
        raise BadInput("item", "it was escalated already, and there is nobody further up.")
    parts = [list(priority.ESCALATED), *item.priority_because]
    if item.escalated_at is not None:
        parts = item.priority_because
    ReviewItem.objects.filter(pk=item.pk).update(
        escalated_at=Now(),
        team=(item.team.escalates_to if item.team and item.team.escalates_to else item.team),
        priority=sum(points for points, _ in parts),
        priority_because=parts,
        **_LET_GO,
    )
    item = _again(item)
    audit(actor, "review_item.escalated", _about(item), item=item.pk, reason=reason, note=note)
    notices.escalated(item, cast(User, actor.user), note)
    return item


@transaction.atomic
def snooze(actor: Actor, item_id: str, *, until: datetime, wakes_on: str = "") -> ReviewItem:
    """Out of the queue until then, or until something happens. Its deadline goes on."""
    claims.check_may_decide(actor, item_id)
    if wakes_on not in ReviewItem.WakesOn.values:
        raise BadInput("wakes_on", "choose the time alone, a comment, or news of the run.")
    item = _lock_open(actor, item_id)
    _check_until(item, until)
    ReviewItem.objects.filter(pk=item.pk).update(
        snoozed_until=until,
        snoozed_by=actor.user,
        wakes_on=wakes_on,
        snoozed_at_seq=item.run.seq,
        holder=None,
        lease="",
        lease_until=None,
    )
    audit(
        actor,
        "review_item.snoozed",
        _about(item),
        item=item.pk,
        until=until.isoformat(timespec="seconds"),
        wakes_on=wakes_on,
    )
    return _again(item)


@transaction.atomic
def wake(actor: Actor, item_id: str) -> ReviewItem:
    """Back into the queue now."""
    claims.check_may_decide(actor, item_id)
    item = _lock_open(actor, item_id)
    ReviewItem.objects.filter(pk=item.pk).update(snoozed_until=None, wakes_on="")
    audit(actor, "review_item.woken", _about(item), item=item.pk)
    return _again(item)


@transaction.atomic
def assign(actor: Actor, item_id: str, team_slug: str) -> ReviewItem:
    """Another team decides; an empty name means whoever may decide at all."""
    require(actor, "queue.assign", "hand items to teams")
    team = _lock_team(team_slug) if team_slug else None
    item = _lock(item_id)
    if not item.is_waiting:
        raise BadInput("item", "it is closed; there is nothing left to hand on.")
    before = item.team.slug if item.team else ""
    ReviewItem.objects.filter(pk=item.pk).update(team=team, **_LET_GO)
    item = _again(item)
    audit(actor, "review_item.assigned", _about(item), item=item.pk, team=team_slug, before=before)
    notices.assigned(item, cast(User, actor.user))
    return item


@transaction.atomic
def comment(actor: Actor, item_id: str, text: str) -> Comment:
    """Said to other people. Whoever is named with an @ is told; a snooze that waits for it ends."""
    require(actor, "proposals.view", "comment on review items")
    if actor.user is None or actor.token is not None:
        raise NotAllowed(actor.name, "comment", "Only a person can, in a browser.")
    _check_comment(text)
    item = _lock(item_id)
    said = Comment.objects.create(item=item, author=actor.user, text=text.strip())
    audit(actor, "review_item.commented", _about(item), item=item.pk, comment=said.pk)
    waking = ReviewItem.objects.waiting().filter(
        pk=item.pk, wakes_on=ReviewItem.WakesOn.COMMENT, snoozed_until__gt=Now()
    )
    if waking.update(snoozed_until=None, wakes_on=""):
        notices.woken([_again(item)])
    notices.mentioned(item, actor.user, mentioned_in(text), said.text)
    return said


def mentioned_in(text: str) -> list[User]:
    """Active people whose name stands after an @; other words with one are just words."""
    names = {name.rstrip(".,;:!?") for name in MENTION.findall(text)}
    found = User.objects.filter(username__in=names, is_active=True).order_by("username")
    return list(found[:MENTIONS_MAX])


# Whoever looks at it next sees it as it is now.
_LET_GO: dict[str, Any] = {
    "version": F("version") + 1,
    "holder": None,
    "lease": "",
    "lease_until": None,
    "snoozed_until": None,
    "wakes_on": "",
}


def _lock(item_id: str) -> ReviewItem:
    """Not an audit: nobody talks about one, and nobody hands one on."""
    item = reviews.lock(item_id)
    if item.kind in ReviewItem.BLIND:
        raise NotFound("review item", item_id)
    return item


def _lock_team(slug: str) -> Team:
    """So that it is neither retired nor emptied before it has the item. Before the item, as there."""
    team = Team.objects.in_use().select_for_update(no_key=True).filter(slug=slug).first()
    if team is None:
        raise NotFound("team", slug)
    if not team.members.filter(is_active=True).exists():
        raise BadInput("team", f"{team.name} has no members, so nobody could decide it.")
    return team


def _lock_open(actor: Actor, item_id: str) -> ReviewItem:
    """Waiting, and not in somebody else's hands."""
    item = _lock(item_id)
    if not item.is_waiting or (item.is_held and item.holder != actor.user):
        raise refusal_of(item)
    return item


def _check_until(item: ReviewItem, until: datetime) -> None:
    if until <= timezone.now():
        raise BadInput("until", "choose a time to come.")
    if until > timezone.now() + timedelta(days=settings.SNOOZE_MAX_DAYS):
        raise BadInput("until", f"choose a time within {settings.SNOOZE_MAX_DAYS} days.")
    if item.kind in ReviewItem.EXPIRING and until >= item.due_at:
        raise BadInput("until", "choose a time before its deadline: then it would have expired.")


def _check_comment(text: str) -> None:
    most = settings.COMMENT_LENGTH_MAX
    if not 0 < len(text.strip()) <= most:
        raise BadInput("text", f"say something, in at most {most:,} characters.")
    if "\x00" in text:
        raise BadInput("text", "it holds the character NUL, which cannot be stored.")


def _about(item: ReviewItem) -> str:
    return str(item.proposal_id or item.run_id)


def _again(item: ReviewItem) -> ReviewItem:
    return ReviewItem.objects.select_related("team", "holder", "proposal", "run").get(pk=item.pk)
