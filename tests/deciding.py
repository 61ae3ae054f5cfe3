"""A person who takes an item, looks at it and decides, as a browser does in three requests."""

from typing import Any

from django.contrib.auth.models import User

from orchestrator.actions import claims, confirmations, reviews
from orchestrator.actions.actor import Actor
from orchestrator.actions.confirmations import Seen
from orchestrator.core.errors import CountersignError
from orchestrator.models import Decision, ReviewItem


def decide(
    who: User | Actor, item: ReviewItem | str, verdict: str = "approve", **more: Any
) -> Decision:
    actor = who if isinstance(who, Actor) else Actor(who)
    pk = item if isinstance(item, str) else item.pk
    more.setdefault("idempotency_key", f"{pk}/{actor.name}/{verdict}")
    seen = more.pop("seen", None) or look(actor, pk)
    try:
        return reviews.decide(actor, pk, verdict=verdict, seen=seen, **more)
    except CountersignError:
        # Whoever is refused does not keep it from others.
        claims.release(actor, pk, seen.lease)
        raise


def look(who: User | Actor, item: ReviewItem | str) -> Seen:
    """Take it, and have before one's eyes what the page would show."""
    actor = who if isinstance(who, Actor) else Actor(who)
    held = claims.take(actor, item if isinstance(item, str) else item.pk)
    return confirmations.seen(actor, held)
