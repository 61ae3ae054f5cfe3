"""Holds: who has an item in front of them. Two people never hold the same one.

A hold is a lease by the database's clock. It is given by one conditional statement, so that of any
number of people who reach for an item one gets it; it ends by itself when nobody keeps it alive.
"""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from orchestrator import queue_queries
from orchestrator.actions.actor import Actor, capabilities_of
from orchestrator.actions.refusals import refusal_of
from orchestrator.core.errors import HoldLost, NotAllowed, NotFound
from orchestrator.core.policy import roles
from orchestrator.models import ReviewItem

NEXT_TRIES_MAX = 20
RELATED = ("proposal", "holder", "team")
ADVICE = {
    "role": "It needs the role {roles}; an admin can give it.",
    "admin": "Changes of Countersign are decided by an admin.",
    "decided": "It needs another person's approval as well.",
    "own": "They asked for it, or their own token did; somebody else must.",
    "author": "They asked for it or wrote this version; another admin must decide. "
    "An installation with one admin can set RULES_FOUR_EYES=0.",
    "editor": "They edited it and its risk is high; somebody else must approve it.",
}


def take(actor: Actor, item_id: str) -> ReviewItem:
    """Hold one item. Holding it already begins the lease anew, under the same name."""
    person = check_may_decide(actor, item_id)
    free = Q(lease_until=None) | Q(lease_until__lte=Now()) | Q(holder=person)
    waiting = ReviewItem.objects.waiting().filter(pk=item_id)
    with transaction.atomic():
        mine = waiting.filter(holder=person, lease_until__gt=Now()).update(lease_until=_until())
        given = mine or waiting.filter(free).update(**hold_of(actor))
        item = ReviewItem.objects.select_related(*RELATED).get(pk=item_id)
    if not given:
        raise refusal_of(item)
    return item


def take_next(actor: Actor, *, among: QuerySet[ReviewItem] | None = None) -> ReviewItem | None:
    """Hold the most urgent item that is free, awake and this person's to decide; None if there is none.

    Rows that others reach for at this instant are passed by, so nobody waits for anybody.
    """
    person = _person(actor)
    capabilities = capabilities_of(person)
    if "queue.decide" not in capabilities:
        raise NotAllowed(actor.name, "decide review items", _advice("role"))
    items = ReviewItem.objects.in_queue() if among is None else among
    for _ in range(NEXT_TRIES_MAX):
        item = _take_first(actor, person, capabilities, items)
        if item is None or not queue_queries.is_own(item, person):
            return item
        # Only the payload of a change says who wrote it: rare, and not worth a join for all.
        release(actor, item.pk, item.lease)
        items = items.exclude(pk=item.pk)
    return None


def _take_first(
    actor: Actor, person: User, capabilities: frozenset[str], items: QuerySet[ReviewItem]
) -> ReviewItem | None:
    ready = items.filter(queue_queries.AWAKE, queue_queries.FREE)
    wanted = queue_queries.decidable_by(ready, person, capabilities)
    with transaction.atomic():
        found = (
            wanted.select_for_update(of=("self",), skip_locked=True)
            .order_by("-priority", "due_at", "pk")
            .only("pk")
            .first()
        )
        if found is None:
            return None
        ReviewItem.objects.filter(pk=found.pk).update(**hold_of(actor))
    return ReviewItem.objects.select_related(*RELATED).get(pk=found.pk)


def keep(actor: Actor, item_id: str, lease: str) -> ReviewItem:
    """A sign of life: the lease begins anew, unless somebody else took the item meanwhile."""
    kept = _held(actor, item_id, lease).update(lease_until=_until())
    item = ReviewItem.objects.select_related(*RELATED).filter(pk=item_id).first()
    if item is None:
        raise NotFound("review item", item_id)
    if not kept:
        raise refusal_of(item) if item.holder_id != _person(actor).pk else HoldLost(item_id)
    return item


def release(actor: Actor, item_id: str, lease: str) -> None:
    """Let go of it. Letting go of what is not held any more is no mistake."""
    _held(actor, item_id, lease).update(holder=None, lease="", lease_until=None)


def hold_of(actor: Actor) -> dict[str, Any]:
    """The columns of a new hold. What is in front of somebody does not sleep."""
    return {
        "holder": _person(actor),
        "lease": secrets.token_urlsafe(18),
        "lease_until": _until(),
        "held_since": Now(),
        "snoozed_until": None,
    }


def check_may_decide(actor: Actor, item_id: str) -> User:
    """Role, team and origin, asked of the database now: a click that is under way gets no old answer."""
    person = _person(actor)
    item = ReviewItem.objects.select_related(*RELATED).filter(pk=item_id).first()
    if item is None or item.kind in ReviewItem.BLIND:
        # Audits are handed out, one by one, to whoever may not know the case: see actions/audits.py.
        raise NotFound("review item", item_id)
    reason = queue_queries.why_not(item, person, capabilities_of(person))
    if reason and not may_take_back(item, reason):
        raise not_allowed(actor, item, reason)
    return person


def not_allowed(actor: Actor, item: ReviewItem, reason: str) -> NotAllowed:
    """Why not, and who can."""
    if reason == "team":
        return NotAllowed(actor.name, "decide this", queue_queries.team_sentence(item))
    of_change = reason == "own" and item.kind == ReviewItem.Kind.RULE_CHANGE
    return NotAllowed(actor.name, "decide this", _advice("author" if of_change else reason))


def may_take_back(item: ReviewItem, reason: str) -> bool:
    """A no to one's own wish needs no second pair of eyes."""
    return reason == "own" and item.kind == ReviewItem.Kind.RULE_CHANGE


def _held(actor: Actor, item_id: str, lease: str) -> QuerySet[ReviewItem]:
    waiting = ReviewItem.objects.waiting().filter(pk=item_id, holder=_person(actor))
    # An empty name would fit an item that nobody holds.
    return waiting.filter(lease=lease).exclude(lease="")


def _person(actor: Actor) -> User:
    if actor.user is None or actor.token is not None:
        raise NotAllowed(actor.name, "hold review items", "Only a person can, in a browser.")
    return actor.user


def _advice(reason: str) -> str:
    return ADVICE[reason].format(roles=" or ".join(roles.roles_with("queue.decide")))


def _until() -> Any:
    return Now() + timedelta(minutes=settings.CLAIM_MINUTES)
