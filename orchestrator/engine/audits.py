"""Audits: what chance puts before people who see no verdict, of what ran and of what people decided.

An audit is about no step of a run: it runs nothing, stops nothing, and no event tells of it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator import sampling_queries
from orchestrator.audit_queries import JUDGED_OPENLY, JUDGEMENTS
from orchestrator.core.policy import auditing, sampling
from orchestrator.core.policy.sampling import Plan
from orchestrator.engine.opening import open_item
from orchestrator.models import AuditEntry, Decision, Disposition, Proposal, ReviewItem


class Draw(NamedTuple):
    """What is drawn for, and the name of the setting that says how much."""

    kind: ReviewItem.Kind
    share: str


_AUDIT = Draw(ReviewItem.Kind.AUDIT, "AUDIT_SHARE")
_LABEL = Draw(ReviewItem.Kind.BLIND_LABEL, "LABEL_SHARE")
# By what the policy made of a proposal. What rules hold needs no draw: a share of what people decide
# is judged a second time.
DRAWS: dict[str, Draw] = {"accept": _AUDIT, "revise": _LABEL, "escalate": _LABEL, "block": _LABEL}


# The draw --------------------------------------------------------------------------------------


def chance_of(proposal: Proposal, verdict: str) -> float | None:
    """How likely it is put before an auditor: None where nothing is drawn.

    Asked once, when it is disposed of, and stored there; nothing works it out a second time.
    """
    wanted = DRAWS.get(verdict)
    if wanted is None or proposal.edited_by_id is not None:
        # What a person wrote tells nothing of its agent, and another person decides about it anyway.
        return None
    plan = _plan(wanted)
    if plan.is_fixed:
        return plan.usual
    alike = [name for name, one in DRAWS.items() if one is wanted]
    past = sampling_queries.past_of(proposal, alike, plan, settings.AUDIT_FLOOR_DAYS)
    wished = sampling.chance(plan, past)
    return wished if wished == plan.usual or _may_raise(proposal, wanted, plan) else plan.usual


def _plan(wanted: Draw) -> Plan:
    return Plan(
        share=getattr(settings, wanted.share),
        new_share=settings.NEW_VERSION_SHARE,
        new_first=settings.NEW_VERSION_FIRST,
        floor=settings.AUDIT_FLOOR,
    )


def _may_raise(proposal: Proposal, wanted: Draw, plan: Plan) -> bool:
    """An agent that calls itself something new each time must not bury the people who audit."""
    most = settings.AUDITS_RAISED_PER_DAY_MAX
    kind = wanted.kind.value
    return sampling_queries.raised(proposal, kind, plan.usual, at_most=most) < most


def draw(proposal: Proposal, disposition: Disposition) -> ReviewItem | None:
    """Open a blind item if the draw hits. To be called in the transaction that disposes."""
    wanted, chance = DRAWS.get(disposition.verdict), disposition.draw_chance
    if wanted is None or not chance:
        return None
    if not sampling.drawn(_key(), proposal.pk, chance, wanted.kind.value):
        return None
    return _open(
        proposal,
        wanted.kind,
        auditing.DRAWN,
        chance=chance,
        snoozed_until=_decided_by(proposal) if disposition.verdict == "escalate" else None,
    )


def _decided_by(proposal: Proposal) -> datetime | None:
    """When nobody can decide it openly any more, nor take it back: until then it is judged in one place."""
    waiting = ReviewItem.objects.waiting().filter(proposal=proposal, kind__in=JUDGED_OPENLY)
    item = waiting.order_by("-pk").first()
    return item.due_at + timedelta(seconds=item.undo_s) if item else None


def _key() -> bytes:
    return sampling.key_from(settings.SECRET_KEY)


def open_for(proposals: Iterable[Proposal]) -> list[ReviewItem]:
    """Blind items whatever the draw says, for a closer look. No share counts them, as chance did not pick."""
    found = [(proposal, DRAWS.get(proposal.disposition)) for proposal in proposals]
    return [
        _open(proposal, wanted.kind, auditing.PICKED)
        for proposal, wanted in found
        if wanted and not proposal.review_items.filter(kind=wanted.kind).exists()
    ]


# A second look at what people decided --------------------------------------------------------------


def draw_second(item: ReviewItem, decision: Decision) -> ReviewItem | None:
    """Have a share of what people decided judged by somebody else, once it cannot be taken back.

    To be called in the transaction that decides. Nothing waits for it.
    """
    proposal, share = item.proposal, settings.SECOND_REVIEW_SHARE
    kind = ReviewItem.Kind.SECOND_REVIEW
    if item.kind not in JUDGED_OPENLY or decision.verdict not in JUDGEMENTS or proposal is None:
        return None
    if not sampling.drawn(_key(), decision.pk, share, kind.value):
        return None
    blind = proposal.review_items.filter(kind__in=ReviewItem.BLIND)
    if blind.exclude(status=ReviewItem.Status.WITHDRAWN).exists():
        # Drawn before, to be judged without anybody knowing this verdict.
        return None
    return _open(
        proposal,
        kind,
        auditing.SECOND,
        about=item,
        team=item.team,
        chance=share,
        snoozed_until=decision.undo_until,
    )


def withdraw_second(item: ReviewItem) -> None:
    """The decision was taken back: there is nothing to look at a second time."""
    asleep = ReviewItem.objects.waiting().filter(about=item, kind=ReviewItem.Kind.SECOND_REVIEW)
    asleep.update(
        status=ReviewItem.Status.WITHDRAWN,
        closed_because="the decision was taken back",
        closed_at=Now(),
        version=F("version") + 1,
    )


def open_dispute(about: ReviewItem, proposal: Proposal) -> ReviewItem:
    """Put what was done and what the auditor would have done before a third person."""
    return _open(
        proposal, ReviewItem.Kind.ADJUDICATION, auditing.DISPUTED, about=about, team=about.team
    )


def expire() -> int:
    """What nobody judged in time closes, and says nothing: neither proposal nor run hears of it."""
    due = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, due_at__lte=Now())
    with transaction.atomic():
        rows = due.select_for_update(of=("self",), skip_locked=True).order_by("due_at")
        closing = list(rows.values_list("pk", flat=True)[: settings.SWEEP_BATCH])
        ReviewItem.objects.filter(pk__in=closing).update(
            status=ReviewItem.Status.EXPIRED,
            closed_because=auditing.DEADLINE,
            closed_at=Now(),
            version=F("version") + 1,
            lease="",
            lease_until=None,
        )
        AuditEntry.objects.bulk_create(
            AuditEntry(verb="audit.expired", object_id=pk) for pk in closing
        )
    return len(closing)


def _open(proposal: Proposal, kind: ReviewItem.Kind, because: str, **more: Any) -> ReviewItem:
    # Never over before what it waits for has been.
    hours = max(settings.AUDIT_DUE_HOURS, 2 * settings.REVIEW_DUE_HOURS)
    due_at = timezone.now() + timedelta(hours=hours)
    return open_item(
        proposal.run, kind, proposal=proposal, because=[because], due_at=due_at, **more
    )
