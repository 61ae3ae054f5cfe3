"""Reads of audits: who may judge what, who must not see what, and what became of it all."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from orchestrator import queue_queries
from orchestrator.core.policy import auditing
from orchestrator.core.statistics import strata as weighting
from orchestrator.core.statistics.assurance import Assurance, assure
from orchestrator.models import (
    AuditEntry,
    Decision,
    Disposition,
    Effect,
    Observation,
    Proposal,
    ReviewItem,
)
from orchestrator.sampling_queries import first_key

_KIND, _STATUS = ReviewItem.Kind, ReviewItem.Status
# What chance drew of all that agents proposed.
SAMPLED = (_KIND.AUDIT, _KIND.BLIND_LABEL)
# What auditors are handed one after the other, and cannot tell apart. Gold items come in between.
HANDED_OUT = (*SAMPLED, _KIND.SECOND_REVIEW)
DISPUTES = (_KIND.ADJUDICATION,)
# Where people judge whether something should run and see what others made of it.
JUDGED_OPENLY = (_KIND.GUARDRAIL_FAILURE, _KIND.ESCALATION)
# Where somebody says whether a proposal should run. Gold items say something about who is asked.
TELLING = (*JUDGED_OPENLY, *HANDED_OUT, *DISPUTES)
PUT_BACK = "audit.put_back"
JUDGEMENTS = (Decision.Verdict.APPROVE, Decision.Verdict.REJECT)


# Who may judge what ---------------------------------------------------------------------------


def auditable_by(
    user: User, capabilities: frozenset[str], kinds: Collection[str] = ReviewItem.BLIND
) -> QuerySet[ReviewItem]:
    """Blind items that this person could judge with fresh eyes.

    Not what they or their token asked for, edited, or have decided about under any item: so the third
    person in a dispute is neither the auditor nor anybody who decided at first, and a second reviewer
    not the first. Not what they put back, and no gold item that was made for somebody else.
    """
    spoken = Decision.objects.filter(item__proposal=OuterRef("proposal"), reviewer=user)
    put_back = AuditEntry.objects.filter(object_id=OuterRef("pk"), user=user, verb=PUT_BACK)
    items = ReviewItem.objects.waiting().filter(kind__in=kinds)
    items = items.exclude(Q(kind=_KIND.GOLD) & ~Q(holder=user))
    fresh = items.filter(~Exists(spoken), ~Exists(put_back)).exclude(proposal__edited_by=user)
    return queue_queries.decidable_by(fresh, user, capabilities)


def is_among(item: ReviewItem, kinds: Collection[str]) -> bool:
    """Whether it is handed out with these; a gold item passes for an audit."""
    return (item.kind in DISPUTES) == (set(kinds) <= set(DISPUTES))


def held_by(user: Any) -> ReviewItem | None:
    """The blind item this person was handed last and has not judged, though their hold may have run out."""
    items = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, holder=user.pk)
    return items.order_by("-lease_until").first()


# Who must not see what ------------------------------------------------------------------------


def veiled_runs(user: Any) -> frozenset[str]:
    """Runs with something that this person was handed to judge blind: until they have, nothing shows.

    Whatever else such a run asked or suggested would tell what became of it.
    """
    held = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, holder=user.pk)
    return frozenset(held.values_list("run", flat=True))


def veiled_proposals(user: Any) -> frozenset[str]:
    runs = veiled_runs(user)
    found = Proposal.objects.filter(run__in=runs).values_list("pk", flat=True)
    return frozenset(found) if runs else frozenset()


def undecided(runs: Collection[str], user: Any) -> frozenset[str]:
    """What people judge openly in these runs and this person has yet to: items, and what they are about.

    Until then they are not told what others think of it, nor how sure its agent is.
    """
    spoken = Decision.objects.filter(item=OuterRef("pk"), reviewer=user.pk)
    kinds = (*JUDGED_OPENLY, _KIND.APPROVAL)
    waiting = ReviewItem.objects.waiting().filter(~Exists(spoken), run__in=runs, kind__in=kinds)
    rows = waiting.values_list("pk", "proposal")
    return frozenset(name for row in rows for name in row if name)


def unveiled(items: QuerySet[ReviewItem], user: Any) -> QuerySet[ReviewItem]:
    """Without those of veiled runs. Who audits nothing just now is asked about no run."""
    runs = veiled_runs(user)
    return items.exclude(run__in=runs) if runs else items


def held_about(user: Any, key: str) -> str | None:
    """The blind item a person holds that is about the same as an id: a proposal, its run, items, decisions."""
    held = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, holder=user.pk)
    rows = list(held.values_list("pk", "proposal", "run"))
    if not rows:
        return None
    names = _names_of(key)
    return next((pk for pk, *about in rows if names & set(about)), None)


def _names_of(key: str) -> set[str]:
    """The proposal and the run that an id leads to."""
    prefix = key.partition("_")[0]
    found: dict[str, Iterable[tuple[str | None, ...]]] = {
        "prp": Proposal.objects.filter(pk=key).values_list("pk", "run"),
        "rev": ReviewItem.objects.filter(pk=key).values_list("proposal", "run"),
        "dec": ReviewItem.objects.filter(decisions=key).values_list("proposal", "run"),
        "obs": Observation.objects.filter(pk=key).values_list("run"),
    }
    rows = found.get(prefix, [(key,)])
    return {name for row in rows for name in row if name}


# What became of it ----------------------------------------------------------------------------


def was_done(item: ReviewItem, proposal: Proposal) -> bool | None:
    """What an auditor's verdict is held against; None where nobody has said yes or no.

    What people were asked about was done by them: their silence, an edit or a way back to the agent
    is neither a yes nor a no to what was proposed.
    """
    decided = Decision.objects.filter(verdict__in=JUDGEMENTS, undone_at=None)
    if item.kind == _KIND.SECOND_REVIEW:
        decided = decided.filter(item=item.about_id)
    elif proposal.disposition == Disposition.Verdict.ESCALATE:
        decided = decided.filter(item__proposal=proposal, item__kind__in=JUDGED_OPENLY)
    else:
        return was_let_run(proposal)
    last = decided.order_by("-pk").first()
    return None if last is None else last.verdict == Decision.Verdict.APPROVE


def was_let_run(proposal: Proposal) -> bool:
    """What was done, by a policy or by people: an effect was released and not taken back."""
    effects = Effect.objects.filter(proposal=proposal)
    return effects.exclude(status=Effect.Status.WITHDRAWN).exists()


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether a proposal should have run, and who said so: one of SOURCES."""

    should_run: bool
    said_by: str


def truth_of(proposal: Proposal) -> Truth | None:
    return truths_of([proposal.pk]).get(proposal.pk)


def truths_of(proposals: Collection[str]) -> Mapping[str, Truth]:
    """In one query. A verdict in dispute is no truth: whoever disagrees has to be settled first."""
    judged = Decision.objects.filter(
        item__proposal__in=proposals,
        item__status=_STATUS.DECIDED,
        item__kind__in=TELLING,
        verdict__in=JUDGEMENTS,
        undone_at=None,
    )
    rows = judged.order_by("pk").values_list(
        "item__proposal", "item__kind", "item__closed_because", "verdict"
    )
    found: dict[str, dict[str, Truth | None]] = {}
    for proposal, kind, closed_because, verdict in rows:
        source = _source_of(kind)
        is_disputed = closed_because == auditing.OVERTURNED
        truth = Truth(verdict == Decision.Verdict.APPROVE, source)
        found.setdefault(proposal, {})[source] = None if is_disputed else truth
    strongest = {proposal: _strongest(by_source) for proposal, by_source in found.items()}
    return {proposal: truth for proposal, truth in strongest.items() if truth}


# A third person, an auditor, somebody who judged blind what another had decided, the queue.
SOURCES = ("adjudication", "audit", "second review", "review")


def _source_of(kind: str) -> str:
    if kind in DISPUTES:
        return "adjudication"
    if kind == _KIND.SECOND_REVIEW:
        return "second review"
    return "audit" if kind in SAMPLED else "review"


def _strongest(by_source: Mapping[str, Truth | None]) -> Truth | None:
    return next((by_source[source] for source in SOURCES if source in by_source), None)


def is_overruled(proposal: str) -> bool:
    """Whether two people who did not know what somebody had decided both say otherwise."""
    settled = ReviewItem.objects.filter(
        proposal=proposal,
        kind__in=DISPUTES,
        closed_because=auditing.FOR_THE_AUDITOR,
        about__kind=_KIND.SECOND_REVIEW,
    )
    return settled.exists()


# Shares of all that agents proposed -----------------------------------------------------------------


class Key(NamedTuple):
    """What the policy treated alike, with an equal chance to be looked at; None where none is stored."""

    agent: str
    agent_version: str
    action: str
    disposition: str
    chance: float | None


@dataclass(frozen=True, slots=True)
class DrawnStratum:
    """What was drawn of the proposals of one agent version and action that the policy treated alike.

    Of `audited` those that were `overturned` are wrong for good; a dispute counts as neither until it
    is settled, and as `unsettled` when nobody settled it in time. `total` are all of them, drawn or not.
    """

    agent: str
    agent_version: str
    action: str
    disposition: str
    chance: float | None
    audited: int
    overturned: int
    disputed: int
    unsettled: int
    open: int
    expired: int
    total: int

    @property
    def weighed(self) -> tuple[float, weighting.Stratum]:
        """With its chance; those of which none is stored are one sample of their own."""
        total = max(self.total, self.audited)
        chance = -1.0 if self.chance is None else self.chance
        return chance, weighting.Stratum(total, self.audited, self.overturned)


_COUNTED = {
    "audited": Q(closed_because__in=[auditing.CONFIRMED, auditing.LABELLED])
    | Q(disputes__closed_because__in=[auditing.FOR_THE_FIRST, auditing.FOR_THE_AUDITOR]),
    "overturned": Q(disputes__closed_because=auditing.FOR_THE_AUDITOR),
    "disputed": Q(disputes__status=_STATUS.WAITING),
    "unsettled": Q(disputes__status=_STATUS.EXPIRED),
    "open": Q(status=_STATUS.WAITING),
    "expired": Q(status=_STATUS.EXPIRED),
}
_DRAWABLE = [
    str(one) for one in Disposition.Verdict.values if one != Disposition.Verdict.HOLD.value
]


def strata(since: datetime, *, apart: bool = True) -> list[DrawnStratum]:
    """What was proposed since then, and what of it chance drew. What somebody picked is left out.

    Without telling agents and actions apart it is a tenth of the work, and enough for the whole.
    """
    every, drawn = totals(since, apart=apart), _drawn(since, apart=apart)
    return [
        DrawnStratum(*key, *[*drawn.get(key, _NONE), every.get(key, 0)])
        for key in sorted(every.keys() | drawn.keys(), key=_in_order)
    ]


_NONE = [0] * len(_COUNTED)


def _in_order(key: Key) -> tuple[Any, ...]:
    return (*key[:4], -1.0 if key.chance is None else key.chance)


def _drawn(since: datetime, *, apart: bool) -> dict[Key, list[int]]:
    """By the time of the proposal. Its item opens in the same transaction, so never before it."""
    items = ReviewItem.objects.filter(
        kind__in=SAMPLED,
        created_at__gte=since,
        proposal__gte=first_key(since),
        opened_because=[auditing.DRAWN],
    )
    counts = {name: Count("pk", filter=condition) for name, condition in _COUNTED.items()}
    of = ("agent", "proposal__agent_version", "action") if apart else ()
    rows = items.values_list(*of, "proposal__disposition", "chance").annotate(**counts).order_by()
    return {_key(row[: len(of) + 2]): list(row[len(of) + 2 :]) for row in rows}


def totals(since: datetime, *, apart: bool = True) -> dict[Key, int]:
    """How many proposals of each stratum there were since then: what the labels stand for."""
    made = Disposition.objects.filter(proposal__gte=first_key(since), verdict__in=_DRAWABLE)
    names = ("agent", "agent_version", "action")
    of = tuple(f"proposal__{name}" for name in names) if apart else ()
    rows = made.values_list(*of, "verdict", "draw_chance").annotate(count=Count("pk")).order_by()
    return {_key(row[:-1]): row[-1] for row in rows}


def _key(found: tuple[Any, ...]) -> Key:
    *of, disposition, chance = found
    agent, agent_version, action = of or ("", "", "")
    return Key(agent, agent_version, action, disposition, chance)


@dataclass(frozen=True, slots=True)
class Assured:
    """How sure it is that what ran by itself was right: all of it, and each version at each action."""

    all: Assurance
    # By agent, its version and action.
    each: Mapping[tuple[str, str, str], Assurance]


def assurance(since: datetime, *, watched: bool = False) -> Assured:
    """`watched` for what is looked at again and again, whoever looks; see core/statistics/sequences.py."""
    return assurance_of(strata(since), watched=watched)


def assurance_of(strata: Iterable[DrawnStratum], *, watched: bool = False) -> Assured:
    accepted = [one for one in strata if one.disposition == Disposition.Verdict.ACCEPT]
    parts: dict[tuple[str, str, str], list[DrawnStratum]] = {}
    for one in accepted:
        parts.setdefault((one.agent, one.agent_version, one.action), []).append(one)
    return Assured(
        all=_assure(accepted, watched=watched),
        each={name: _assure(part, watched=watched) for name, part in parts.items()},
    )


def _assure(strata: Iterable[DrawnStratum], *, watched: bool) -> Assurance:
    return assure(weighting.pooled(one.weighed for one in strata), watched=watched)
