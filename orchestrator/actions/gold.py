"""Gold items: proposals that people settled, handed to auditors once more to see whether they agree.

Nobody can tell one from an audit until they have judged it. What they say of it changes nothing but
what is known about them.
"""

import secrets
from typing import cast

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from orchestrator import audit_queries, gold_queries, queue_queries
from orchestrator.actions import claims
from orchestrator.actions.actor import Actor, audit, capabilities_of, require
from orchestrator.core import typeid
from orchestrator.core.errors import AlreadyDecided, BadInput, NotFound
from orchestrator.core.policy import auditing, sampling
from orchestrator.engine.opening import open_item
from orchestrator.models import GoldItem, GoldLook, Proposal, ReviewItem

WHY_LENGTH_MAX = 2_000
# Whoever may open the list of gold items knows the answers, and is tried on none.
KEEPS_GOLD = "gold.edit"
# The audit log tells what they are as well.
KNOWS_GOLD = frozenset({KEEPS_GOLD, "audit.view"})
_RELATED = (
    "contract_version",
    "token__owner",
    "run__workflow_version__workflow",
    "run__token__owner",
    "run__started_by",
)


@transaction.atomic
def add(actor: Actor, proposal_id: str, *, why: str) -> GoldItem:
    """Mark a settled proposal, with the answer that people settled on; it is not for anybody to choose."""
    require(actor, KEEPS_GOLD, "keep gold items")
    _check_why(why)
    proposal = Proposal.objects.select_for_update(of=("self",), no_key=True).filter(pk=proposal_id)
    found = proposal.first()
    if found is None:
        raise NotFound("proposal", proposal_id)
    truth = audit_queries.truth_of(found)
    if truth is None or ReviewItem.objects.waiting().filter(proposal=found).exists():
        raise BadInput("proposal", "people have not settled yet whether it should have run.")
    if gold_queries.in_use().filter(proposal=found).exists():
        raise BadInput("proposal", "it is a gold item already.")
    if gold_queries.in_use().count() >= settings.GOLD_MAX:
        raise BadInput(
            "proposal", f"there are {settings.GOLD_MAX:,} already; take some back first."
        )
    gold = GoldItem.objects.create(
        proposal=found,
        should_run=truth.should_run,
        said_by=truth.said_by,
        why=why.strip(),
        added_by=cast(User, actor.user),
    )
    audit(actor, "gold.added", found.pk, gold=gold.pk, should_run=gold.should_run, why=gold.why)
    return gold


@transaction.atomic
def retire(actor: Actor, gold_id: int, *, why: str) -> GoldItem:
    """Take it back: nobody is handed it any more, and what was said of it counts no more."""
    require(actor, KEEPS_GOLD, "keep gold items")
    _check_why(why)
    gold = GoldItem.objects.select_for_update(of=("self",)).filter(pk=gold_id).first()
    if gold is None:
        raise NotFound("gold item", str(gold_id))
    if gold.retired_at is not None:
        at = gold.retired_at.isoformat(timespec="seconds")
        raise AlreadyDecided("Another admin", "took it back", at)
    GoldItem.objects.filter(pk=gold.pk).update(
        retired_by=cast(User, actor.user), retired_at=Now(), retired_why=why.strip()
    )
    audit(actor, "gold.retired", gold.proposal_id, gold=gold.pk, why=why.strip())
    return GoldItem.objects.get(pk=gold.pk)


def _check_why(why: str) -> None:
    if not 0 < len(why.strip()) <= WHY_LENGTH_MAX or "\x00" in why:
        raise BadInput("why", f"say why, in 1 to {WHY_LENGTH_MAX:,} characters.")


def hand_out(actor: Actor, among: QuerySet[ReviewItem]) -> ReviewItem | None:
    """A gold item in the place of the next audit, where chance wants one; with nothing to tell them apart.

    It is as old and as urgent as the item that would have come. The draw is keyed by that item and by what
    this person was tried on last, so asking again draws the same, and nobody knows what comes.
    """
    person = cast(User, actor.user)
    if not settings.GOLD_SHARE or KNOWS_GOLD & capabilities_of(person):
        return None
    ready = among.filter(queue_queries.AWAKE, queue_queries.FREE)
    instead_of = ready.order_by("-priority", "due_at", "pk").first()
    if instead_of is None:
        return None
    with transaction.atomic():
        # Two requests at once would each be handed one.
        User.objects.select_for_update(no_key=True).get(pk=person.pk)
        held = audit_queries.held_by(person)
        if held is not None and held.is_held:
            return held
        gold = _drawn(person, instead_of)
        return _open(actor, gold, instead_of) if gold else None


def _drawn(person: User, instead_of: ReviewItem) -> GoldItem | None:
    key = sampling.key_from(settings.SECRET_KEY)
    last = GoldLook.objects.filter(reviewer=person).order_by("-pk").values_list("pk").first()
    turn = f"{person.pk}:{last[0] if last else 0}:{instead_of.pk}"
    if not sampling.drawn(key, turn, settings.GOLD_SHARE, "gold"):
        return None
    fresh = gold_queries.fresh_for(person)
    if not fresh:
        return None
    chosen = min(fresh, key=lambda pk: sampling.place(key, f"{turn}:{pk}", "which gold"))
    gold = GoldItem.objects.get(pk=chosen)
    truth = audit_queries.truth_of(gold.proposal)
    # People may have settled otherwise since.
    return gold if truth is not None and truth.should_run == gold.should_run else None


def _open(actor: Actor, gold: GoldItem, instead_of: ReviewItem) -> ReviewItem:
    """Its id, its age and its deadline are such as the other item has."""
    proposal = Proposal.objects.select_related(*_RELATED).get(pk=gold.proposal_id)
    at_ms = int(instead_of.created_at.timestamp() * 1_000)
    item = open_item(
        proposal.run,
        ReviewItem.Kind.GOLD,
        proposal=proposal,
        because=[auditing.KNOWN],
        due_at=instead_of.due_at,
        pk=typeid.make("rev", at_ms=at_ms, entropy=secrets.randbits(74)),
        team=None,
    )
    held = claims.hold_of(actor) | {"created_at": instead_of.created_at}
    ReviewItem.objects.filter(pk=item.pk).update(**held)
    GoldLook.objects.create(gold=gold, reviewer=cast(User, actor.user), item=item)
    return ReviewItem.objects.select_related(*claims.RELATED).get(pk=item.pk)


def close_put_back(item_id: str) -> None:
    """It was for nobody else."""
    ReviewItem.objects.waiting().filter(pk=item_id, kind=ReviewItem.Kind.GOLD).update(
        status=ReviewItem.Status.WITHDRAWN,
        closed_because="put back",
        closed_at=Now(),
        version=F("version") + 1,
    )
