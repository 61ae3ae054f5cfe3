"""Several items decided with one click: alike ones only, each on its own, all taken back together.

What is listed is looked at twice: for the dry run that says what would happen, and again when each
item is decided. Nothing is ever decided that the dry run did not say, and high risk never this way.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from orchestrator import audit_queries, queue_queries
from orchestrator.actions import claims, confirmations, reviews
from orchestrator.actions.actor import Actor, capabilities_of, require
from orchestrator.core.errors import (
    BadInput,
    BatchChanged,
    CountersignError,
    ItemChanged,
    KeyReused,
    NotAllowed,
    NotFound,
)
from orchestrator.core.typeid import is_id
from orchestrator.models import Batch, Decision, ReviewItem

WISH = "decide several items at once"
# About a proposal, and a judgement that many can share. The others ask for a fact each.
KINDS = frozenset({ReviewItem.Kind.GUARDRAIL_FAILURE, ReviewItem.Kind.ESCALATION})
VERDICTS = (Decision.Verdict.APPROVE, Decision.Verdict.REJECT)
RELATED = (
    "proposal__contract_version",
    "command",
    "team",
    "holder",
    "run__workflow_version__workflow",
)
DECIDED = "decided"
WHY_NOT = {
    "admin": "an admin decides this",
    "team": "another team decides this",
    "decided": "you have decided it already",
    "own": "you asked for it, or your token did",
    "editor": "you edited it and its risk is high",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One of the listed items. `skipped` says why it would not be decided, and is empty if it would."""

    item: ReviewItem
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    verdict: str
    lines: Sequence[Line]
    # Listed, and nothing that can be seen.
    missing: int = 0

    @property
    def fitting(self) -> list[ReviewItem]:
        return [line.item for line in self.lines if not line.skipped]

    @property
    def skipped(self) -> list[Line]:
        return [line for line in self.lines if line.skipped]

    @property
    def amounts(self) -> Mapping[str, int]:
        """What would run, in the smallest unit of each currency."""
        sums: dict[str, int] = {}
        for minor, currency in filter(None, map(_amount, self.fitting)):
            sums[currency] = sums.get(currency, 0) + minor
        return sums


def preview(actor: Actor, ids: Sequence[str], verdict: str) -> Preview:
    """What would become of the listed items. Changes nothing."""
    person = _person(actor)
    ids = _listed(ids, verdict)
    openly = ReviewItem.objects.exclude(kind__in=ReviewItem.BLIND)
    found = audit_queries.unveiled(openly, person).select_related(*RELATED)
    items = found.in_bulk([pk for pk in ids if is_id(pk, "rev")])
    lines = list(_lines([items[pk] for pk in ids if pk in items], person, verdict))
    return Preview(verdict, lines, missing=len(ids) - len(lines))


def run(
    actor: Actor,
    *,
    key: str,
    listed: Mapping[str, int],
    verdict: str,
    reason: str = "",
    note: str = "",
) -> Batch:
    """Decide what the dry run said would be decided.

    `key` is the id that the dry run gave the batch. `listed` are the items that would be decided, with
    their versions at that time: what was skipped may fit by now, and nobody has agreed to it.
    1. The same key again is the same click again: what is left of the batch is finished, no more.
    2. Refuse if one of them does not fit any more.
    3. Hold and decide each item by itself, so that one that cannot be decided stops no other.
    """
    _person(actor)
    if verdict == Decision.Verdict.REJECT:
        reviews.check_reason(reason, note)
    else:
        reason = ""
    reviews.check_text(note)
    batch = _begun(actor, key, verdict)
    if batch is None:
        said = preview(actor, list(listed), verdict)
        # Fewer fit as well when the same click, sent twice at once, is under way.
        batch = _begun(actor, key, verdict)
        if batch is None and len(said.fitting) != len(listed):
            raise BatchChanged(seen=len(listed), current=len(said.fitting))
        batch = batch or _begin(actor, key, said, reason=reason, note=note)
    for pk in [pk for pk, outcome in batch.outcomes if not outcome]:
        _note(batch, pk, _decide(actor, batch, pk, listed.get(pk, 0)))
    return Batch.objects.get(pk=key)


def undo(actor: Actor, key: str) -> dict[str, str]:
    """Take back what still can be. By item, why it could not be; empty for those that were."""
    batch = of(actor, key)
    decisions = batch.decisions.filter(undone_at=None).order_by("pk")
    return {decision.item_id: _take_back(actor, decision.pk) for decision in decisions}


def of(actor: Actor, key: str) -> Batch:
    """Only whoever decided a batch opens it and takes it back."""
    batch = Batch.objects.filter(pk=key, user=_person(actor)).first()
    if batch is None:
        raise NotFound("batch of yours", key)
    return batch


def _person(actor: Actor) -> User:
    require(actor, "queue.decide", WISH)
    if actor.user is None or actor.token is not None:
        raise NotAllowed(actor.name, WISH, "Only a person can, in a browser.")
    return actor.user


def _listed(ids: Sequence[str], verdict: str) -> list[str]:
    listed = list(dict.fromkeys(ids))
    if verdict not in VERDICTS:
        raise BadInput("verdict", f"choose among {', '.join(VERDICTS)}.")
    if not listed:
        raise BadInput("ids", "select at least one item. Nothing was decided.")
    if len(listed) > settings.BULK_MAX:
        raise BadInput(
            "ids",
            f"{len(listed)} are selected, and at most {settings.BULK_MAX} are decided at once. "
            "Nothing was decided.",
        )
    return listed


# The dry run -------------------------------------------------------------------------------------


def _lines(items: Sequence[ReviewItem], person: User, verdict: str) -> Iterator[Line]:
    """Those that can be decided have to be like the first of them."""
    whose = _whose(items, person)
    first: ReviewItem | None = None
    for item in items:
        cause = (
            _why_closed(item)
            or _why_alone(item, verdict)
            or whose.get(item.pk, "")
            or _why_busy(item, person)
            or _why_unlike(item, first)
        )
        first = first if cause or first else item
        yield Line(item, cause)


def _whose(items: Sequence[ReviewItem], person: User) -> dict[str, str]:
    """Why some are not this person's to decide. One question for all; only the others are asked why."""
    capabilities = capabilities_of(person)
    listed = ReviewItem.objects.filter(pk__in=[item.pk for item in items])
    decidable = queue_queries.decidable_by(listed, person, capabilities)
    own = set(decidable.values_list("pk", flat=True))
    return {
        item.pk: WHY_NOT.get(queue_queries.why_not(item, person, capabilities), "")
        for item in items
        if item.pk not in own
    }


def _why_closed(item: ReviewItem) -> str:
    if not item.is_waiting:
        return item.closed_because or item.status
    return "its deadline has passed" if item.is_overdue else ""


def _why_alone(item: ReviewItem, verdict: str) -> str:
    """What has to be looked at by itself, whoever decides."""
    if item.kind not in KINDS:
        return f"{item.get_kind_display().lower()}: decided one by one"
    if item.tier == "high":
        return "high risk: decided one by one"
    if item.approvals_needed > 1:
        return "two people decide it, each by themselves"
    if item.allows and verdict not in item.allows:
        return f"its action does not let people {verdict} it"
    return ""


def _why_busy(item: ReviewItem, person: User) -> str:
    if item.is_held and item.holder is not None and item.holder != person:
        return f"held by {item.holder.get_username()}"
    return "snoozed" if item.is_asleep else ""


def _why_unlike(item: ReviewItem, first: ReviewItem | None) -> str:
    if first is None:
        return ""
    if item.action != first.action:
        return f"another action than {first.action}"
    return "held by other rules" if item.fired != first.fired else ""


def _amount(item: ReviewItem) -> tuple[int, str] | None:
    args = item.proposal.args if item.proposal else {}
    minor, currency = args.get("amount_minor"), args.get("currency")
    if isinstance(minor, bool) or not isinstance(minor, int) or not isinstance(currency, str):
        return None
    return minor, currency


# Deciding ----------------------------------------------------------------------------------------


def _begun(actor: Actor, key: str, verdict: str) -> Batch | None:
    if not is_id(key, "bat"):
        raise BadInput("key", "it is not one that the dry run gave. Select the items again.")
    batch = Batch.objects.filter(pk=key).first()
    if batch is not None and (batch.user_id, batch.verdict) != (_person(actor).pk, verdict):
        raise KeyReused(key)
    return batch


def _begin(actor: Actor, key: str, said: Preview, *, reason: str, note: str) -> Batch:
    """Written down before anything is decided, so that a crash in between can be gone on from."""
    batch, _ = Batch.objects.get_or_create(
        pk=key,
        defaults={
            "user": _person(actor),
            "verdict": said.verdict,
            "reason": reason,
            "note": note,
            "outcomes": [[line.item.pk, line.skipped] for line in said.lines],
        },
    )
    return batch


def _decide(actor: Actor, batch: Batch, pk: str, version: int) -> str:
    """DECIDED, or why not."""
    key = f"{batch.pk}:{pk}"
    try:
        item = claims.take(actor, pk)
    except CountersignError as error:
        return _outcome(batch, key, error)
    try:
        if item.version != version:
            raise ItemChanged(seen=version, current=item.version)
        reviews.decide(
            actor,
            pk,
            verdict=batch.verdict,
            seen=confirmations.seen(actor, item),
            idempotency_key=key,
            reason=batch.reason,
            note=batch.note,
            batch=batch,
        )
    except CountersignError as error:
        claims.release(actor, pk, item.lease)
        return _outcome(batch, key, error)
    return DECIDED


def _outcome(batch: Batch, key: str, error: CountersignError) -> str:
    """Refused because an earlier try of the same click has decided it: that is no refusal."""
    decided = Decision.objects.filter(reviewer=batch.user, idempotency_key=key, batch=batch)
    return DECIDED if decided.exists() else str(error)


def _note(batch: Batch, pk: str, outcome: str) -> None:
    with transaction.atomic():
        kept = Batch.objects.select_for_update(of=("self",)).get(pk=batch.pk)
        outcomes = [[name, outcome if name == pk else was] for name, was in kept.outcomes]
        Batch.objects.filter(pk=batch.pk).update(outcomes=outcomes)


def _take_back(actor: Actor, decision: str) -> str:
    """Whoever takes one decision back holds its item again; of many, the queue has them back."""
    try:
        item = reviews.undo(actor, decision)
    except CountersignError as error:
        return str(error)
    claims.release(actor, item.pk, item.lease)
    return ""
