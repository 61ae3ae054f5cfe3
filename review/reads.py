"""What the pages read. Nothing here changes anything."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404

from orchestrator.core.codec import read
from orchestrator.core.typeid import PATTERN
from orchestrator.models import (
    AuditEntry,
    Backtest,
    Decision,
    Event,
    InboundEvent,
    PolicyCheck,
    Proposal,
    ReviewItem,
    Run,
)
from orchestrator.proposal_queries import ProposalFilter, listed
from orchestrator.queries import ProposalReport, report_of
from review.item_reads import with_reasons
from review.paging import Page, newest_first

NAMES_FROM_RECENT = 500
# Where people judge, and independently of each other. The other kinds ask for facts.
JUDGED = frozenset(
    {ReviewItem.Kind.GUARDRAIL_FAILURE, ReviewItem.Kind.ESCALATION, ReviewItem.Kind.APPROVAL}
)
HISTORY_MAX = 200


def is_item_at(item: str, page: str) -> bool:
    """On the page of its proposal, or on its own if it has none."""
    if item == page:
        return ReviewItem.objects.filter(pk=item, proposal=None).exists()
    openly = ReviewItem.objects.exclude(kind__in=ReviewItem.BLIND)
    return openly.filter(pk=item, proposal=page).exists()


def is_blind(pk: str) -> bool:
    """Whether it is judged on the page of an audit, and nowhere else."""
    return ReviewItem.objects.filter(pk=pk, kind__in=ReviewItem.BLIND).exists()


def proposal_of_item(pk: str) -> str | None:
    """None also where there is no such item."""
    return ReviewItem.objects.filter(pk=pk).values_list("proposal", flat=True).first()


# Proposals ------------------------------------------------------------------------------------


def proposals_page(
    wanted: ProposalFilter, *, hidden: Collection[str] = (), before: str = "", after: str = ""
) -> Page[Proposal]:
    rows = listed(wanted)
    if hidden:
        rows = rows.exclude(pk__in=hidden)
    return newest_first(rows, before=id_or_nothing(before), after=id_or_nothing(after))


def id_or_nothing(text: str) -> str:
    return text if PATTERN.fullmatch(text) else ""


def recent_names(field: str) -> list[str]:
    """What recent proposals used, to choose from; asking all of them would scan the table."""
    recent = Proposal.objects.order_by("-pk").values_list(field, flat=True)[:NAMES_FROM_RECENT]
    return sorted(set(recent))


def find(text: str) -> Proposal | Run | ReviewItem | InboundEvent | Backtest | None:
    """What has a page of its own and is, or holds, what an id of any kind names."""
    if not PATTERN.fullmatch(text):
        return None
    found: dict[str, QuerySet[Any]] = {
        "run": Run.objects.filter(pk=text),
        "prp": Proposal.objects.filter(pk=text),
        "eff": Proposal.objects.filter(effect=text),
        "rev": ReviewItem.objects.filter(pk=text),
        "dec": ReviewItem.objects.filter(decisions=text),
        "evt": InboundEvent.objects.filter(pk=text).select_related("run"),
        "bkt": Backtest.objects.filter(pk=text).select_related("version__rule"),
    }
    rows = found.get(text.partition("_")[0])
    return rows.first() if rows is not None else None


class Decidable:
    """What a page must know of an item on it, whatever the item is about."""

    __slots__ = ()
    item: ReviewItem | None
    decisions: Sequence[Decision]

    @property
    def is_waiting(self) -> bool:
        return self.item is not None and self.item.is_waiting

    @property
    def own_decisions(self) -> list[Decision]:
        """About the newest item, as far as they stand; a proposal can have had others."""
        return [
            one
            for one in self.decisions
            if self.item and one.item_id == self.item.pk and one.undone_at is None
        ]

    @property
    def approvals(self) -> int:
        return sum(one.verdict == Decision.Verdict.APPROVE for one in self.own_decisions)

    def decided_by(self, user: Any) -> bool:
        return any(decision.reviewer_id == user.pk for decision in self.own_decisions)

    def is_open_to(self, user: Any) -> bool:
        """Verdicts and confidence stay hidden until the reader has decided, or nobody has to judge."""
        is_judged = self.item is not None and self.item.kind in JUDGED
        return not (self.is_waiting and is_judged) or self.decided_by(user)


@dataclass(frozen=True)
class Case(ProposalReport, Decidable):
    """One proposal with everything that was said and done about it, by machines and by people."""

    item: ReviewItem | None
    decisions: Sequence[Decision]

    @property
    def failed(self) -> list[PolicyCheck]:
        return [check for check in self.checks if check.result != PolicyCheck.Result.PASS]

    @property
    def passed(self) -> list[PolicyCheck]:
        return [check for check in self.checks if check.result == PolicyCheck.Result.PASS]

    @property
    def is_moving(self) -> bool:
        """Something will change within seconds, without anybody's doing."""
        return self.proposal.status in {
            Proposal.Status.ACCEPTED,
            Proposal.Status.EXECUTING,
            Proposal.Status.ROLLING_BACK,
        }

    @property
    def facts(self) -> tuple[object, ...]:
        """What has to differ for the live part of the page to look different."""
        item, effect = self.item, self.effect
        return (
            self.proposal.status,
            item and (item.status, item.version, item.is_held, item.holder_id, item.is_asleep),
            effect and effect.status,
        )


# Long texts of which the page shows nothing.
UNSHOWN = ("run__state", "run__workflow_version__definition")


def case(pk: str) -> Case:
    rows = Proposal.objects.select_related("run__workflow_version__workflow")
    report = report_of(get_object_or_404(rows.defer(*UNSHOWN), pk=pk))
    if report.item is not None:
        report.item.proposal = report.proposal
    openly = Decision.objects.filter(item__proposal=pk).exclude(item__kind__in=ReviewItem.BLIND)
    decisions = with_reasons(openly)
    return Case(
        proposal=report.proposal,
        item=report.item,
        effect=report.effect,
        decisions=list(decisions),
    )


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a proposal's history."""

    kind: str
    at: datetime
    facts: dict[str, Any]


def happenings(case: Case) -> list[Happening]:
    """Of a run that may be about much more, what names this proposal, and how it all began."""
    pk = case.proposal.pk
    events = Event.objects.filter(Q(seq=1) | Q(payload__contains=pk), run=case.proposal.run_id)
    lines = [
        Happening(event.kind, event.at, _facts(event))
        for event in events.order_by("seq")[:HISTORY_MAX]
    ]
    return [line for line in lines if line.facts.get("proposal", pk) == pk]


def _facts(event: Event) -> dict[str, Any]:
    data = read(event.payload)
    return data if isinstance(data, dict) else {}


def audit_entries(case: Case) -> QuerySet[AuditEntry]:
    entries = AuditEntry.objects.filter(object_id=case.proposal.pk)
    return entries.select_related("user", "token__owner").order_by("-pk")[:HISTORY_MAX]


# The audit log --------------------------------------------------------------------------------


def audit_page(
    *,
    verb: str = "",
    who: str = "",
    hidden: Collection[str] = (),
    before: str = "",
    after: str = "",
) -> Page[AuditEntry]:
    rows = AuditEntry.objects.select_related("user", "token__owner")
    if hidden:
        rows = rows.exclude(object_id__in=hidden)
    if verb:
        rows = rows.filter(verb=verb)
    if who:
        people = User.objects.filter(username=who)
        rows = rows.filter(Q(user__in=people) | Q(token__owner__in=people))
    return newest_first(rows, before=number_or_none(before), after=number_or_none(after))


def number_or_none(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


def recent_verbs() -> list[str]:
    recent = AuditEntry.objects.order_by("-pk").values_list("verb", flat=True)
    return sorted(set(recent[:NAMES_FROM_RECENT]))


def usernames() -> list[str]:
    return list(User.objects.order_by("username").values_list("username", flat=True)[:200])


def people() -> list[tuple[str, str]]:
    """Everybody with a role, to choose from: those who left have decided something, too."""
    found = User.objects.filter(groups__isnull=False).distinct().order_by("username")
    return [(str(pk), username) for pk, username in found.values_list("pk", "username")[:200]]
