"""What the pages read. Nothing here changes anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, Min, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.dateparse import parse_datetime

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
from orchestrator.queries import ProposalReport, report_of
from review.paging import Page, newest_first

SIDE_LIST_MAX = 30
RUN_OF_ITEM = ("run__workflow_version__workflow",)
NAMES_FROM_RECENT = 500
# Where people judge, and independently of each other. The other kinds ask for facts.
JUDGED = frozenset(
    {ReviewItem.Kind.GUARDRAIL_FAILURE, ReviewItem.Kind.ESCALATION, ReviewItem.Kind.APPROVAL}
)
HISTORY_MAX = 200


@dataclass(frozen=True, slots=True)
class Pulse:
    """The line in the top bar."""

    waiting: int
    oldest: datetime | None
    decided_today: int


def pulse() -> Pulse:
    waiting = ReviewItem.objects.waiting().aggregate(count=Count("pk"), oldest=Min("created_at"))
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    decided = ReviewItem.objects.filter(closed_at__gte=today, status=ReviewItem.Status.DECIDED)
    return Pulse(waiting["count"], waiting["oldest"], decided.count())


# The queue ------------------------------------------------------------------------------------


def waiting_items(*, kind: str = "", action: str = "") -> QuerySet[ReviewItem]:
    items = ReviewItem.objects.waiting().select_related("proposal", "command", *RUN_OF_ITEM)
    if kind:
        items = items.filter(kind=kind)
    if action:
        items = items.filter(proposal__action=action)
    return items.order_by("-priority", "due_at", "pk")


def queue_page(items: QuerySet[ReviewItem], after: str) -> Page[ReviewItem]:
    """Most urgent first; the cursor is the last row's place in that order."""
    place = _queue_place(after)
    if place:
        priority, due_at, pk = place
        later = Q(due_at__gt=due_at) | Q(due_at=due_at, pk__gt=pk)
        items = items.filter(Q(priority__lt=priority) | Q(priority=priority) & later)
    size = settings.PAGE_SIZE
    found = list(items[: size + 1])
    rows = found[:size]
    return Page(rows, older=_queue_cursor(rows[-1]) if found[size:] else "", newer="")


def _queue_cursor(item: ReviewItem) -> str:
    return f"{item.priority}~{item.due_at.isoformat()}~{item.pk}"


def _queue_place(cursor: str) -> tuple[int, datetime, str] | None:
    """A cursor that was tampered with starts at the beginning."""
    priority, _, rest = cursor.partition("~")
    moment, _, pk = rest.partition("~")
    try:
        due_at = parse_datetime(moment)
        is_place = due_at and timezone.is_aware(due_at) and PATTERN.fullmatch(pk)
        return (int(priority), due_at.astimezone(UTC), pk) if due_at and is_place else None
    except (ValueError, OverflowError):
        return None


def waiting_actions() -> list[str]:
    items = ReviewItem.objects.waiting().filter(proposal__isnull=False)
    return sorted(set(items.values_list("proposal__action", flat=True)[:NAMES_FROM_RECENT]))


def side_list() -> list[ReviewItem]:
    """The head of the queue, for the column beside the document."""
    return list(waiting_items()[:SIDE_LIST_MAX])


def is_item_at(item: str, page: str) -> bool:
    """On the page of its proposal, or on its own if it has none."""
    if item == page:
        return ReviewItem.objects.filter(pk=item, proposal=None).exists()
    return ReviewItem.objects.filter(pk=item, proposal=page).exists()


def proposal_of_item(pk: str) -> str | None:
    """None also where there is no such item."""
    return ReviewItem.objects.filter(pk=pk).values_list("proposal", flat=True).first()


# Proposals ------------------------------------------------------------------------------------


def proposals_page(
    *, status: str = "", action: str = "", agent: str = "", before: str = "", after: str = ""
) -> Page[Proposal]:
    wanted = {"status": status, "action": action, "agent": agent}
    rows = Proposal.objects.filter(**{name: text for name, text in wanted.items() if text})
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
        """About the newest item; a proposal can have had others."""
        return [one for one in self.decisions if self.item and one.item_id == self.item.pk]

    @property
    def approvals(self) -> int:
        return sum(one.verdict == Decision.Verdict.APPROVE for one in self.own_decisions)

    def decided_by(self, user: Any) -> bool:
        return any(decision.reviewer_id == user.pk for decision in self.own_decisions)

    def is_open_to(self, user: Any) -> bool:
        """Verdicts and confidence stay hidden until the reader has decided, or nobody has to judge."""
        is_judged = self.item is not None and self.item.kind in JUDGED
        return not (self.is_waiting and is_judged) or self.decided_by(user)


@dataclass(frozen=True, slots=True)
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
        return self.proposal.status in {Proposal.Status.ACCEPTED, Proposal.Status.EXECUTING}

    @property
    def facts(self) -> tuple[object, ...]:
        """What has to differ for the live part of the page to look different."""
        item, effect = self.item, self.effect
        return (
            self.proposal.status,
            item and (item.status, item.version),
            effect and effect.status,
        )


def case(pk: str) -> Case:
    related = ("run__workflow_version__workflow", "token__owner")
    report = report_of(get_object_or_404(Proposal.objects.select_related(*related), pk=pk))
    decisions = Decision.objects.filter(item__proposal=pk).select_related("reviewer")
    return Case(
        proposal=report.proposal,
        checks=[check for check in report.checks if check.enforced],
        disposition=report.disposition,
        evaluations=report.evaluations,
        item=report.item,
        effect=report.effect,
        decisions=list(decisions.order_by("pk")),
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
    *, verb: str = "", who: str = "", before: str = "", after: str = ""
) -> Page[AuditEntry]:
    rows = AuditEntry.objects.select_related("user", "token__owner")
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
