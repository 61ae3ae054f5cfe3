"""What the pages about runs read. Nothing here changes anything."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Case, JSONField, QuerySet, TextField, Value, When
from django.db.models.fields.json import KT, KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Left, Length, NullIf
from django.shortcuts import get_object_or_404

from orchestrator import queries
from orchestrator.core import definitions
from orchestrator.core.codec import read
from orchestrator.core.plan import Plan, read_plan
from orchestrator.core.state import RunState
from orchestrator.models import (
    Command,
    Decision,
    Event,
    Proposal,
    ReviewItem,
    Run,
    Workflow,
)
from orchestrator.queries import RunFilter
from review.paging import Page, newest_first
from review.reads import JUDGED, id_or_nothing, number_or_none

# More of an event is shown on the page of the event alone.
TEXT_SHOWN_MAX = 20_000
TEXT_CUT_TO = 2_000
# Runs longer than this are checked by `manage.py verify`, not while somebody waits for a page.
CHAIN_CHECKED_MAX = 1_000
RELATED_MAX = 50


# The list --------------------------------------------------------------------------------------


def runs_page(
    wanted: RunFilter, *, hidden: Collection[str] = (), before: str = "", after: str = ""
) -> Page[Run]:
    """Without the runs of `hidden` proposals."""
    window = {"before": id_or_nothing(before), "after": id_or_nothing(after)}
    ids = queries.run_ids(wanted, **window, at_most=settings.PAGE_SIZE + 1)
    rows = _rows().filter(pk__in=ids)
    if hidden:
        rows = rows.exclude(pk__in=Proposal.objects.filter(pk__in=hidden).values("run"))
    return newest_first(rows, **window)


def _rows() -> QuerySet[Run]:
    """Of the state only what a list shows: a machine carries all its data along in there."""
    state = Cast(NullIf("state", Value("")), JSONField())
    return (
        Run.objects.select_related("workflow_version__workflow")
        .defer("state", "workflow_version__definition")
        .alias(said=state)
        .annotate(
            pattern=KT("said__pattern"),
            position=KT("said__position"),
            error_code=KT("said__error__code"),
            spent=KeyTransform("spent", "said"),
        )
    )


def workflow_slugs() -> list[str]:
    return list(Workflow.objects.order_by("slug").values_list("slug", flat=True))


# One run ---------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """One event; of a long one only the beginning."""

    seq: int
    kind: str
    at: datetime
    key: str | None
    hash: str
    size: int
    text: str
    # Of a long one, whose facts are not read here, at least whose it is.
    work: str | None

    @property
    def is_cut(self) -> bool:
        return self.size > TEXT_SHOWN_MAX

    @property
    def facts(self) -> dict[str, Any]:
        if self.is_cut:
            return {"work": self.work} if self.work else {}
        data = read(self.text)
        return data if isinstance(data, dict) else {}


@dataclass(frozen=True, slots=True)
class EventPage:
    """Oldest first, as they happened; `earlier` and `later` are the last events of other pages."""

    rows: Sequence[Entry]
    earlier: int | None
    later: int | None


@dataclass(frozen=True, slots=True)
class RunCase:
    """One run with everything that belongs to it."""

    run: Run
    state: RunState
    definition: Mapping[str, Any]
    plan: Plan
    items: Sequence[ReviewItem]
    decided_items: frozenset[str]
    proposals: Sequence[Proposal]
    children: Sequence[Run]
    # The events at which works began and where their answers stand.
    marks: Mapping[int, Entry]
    # The works of which some cost is not known.
    unpriced: frozenset[str]

    @property
    def is_direct(self) -> bool:
        return self.plan.pattern == "direct"

    @property
    def has_memory(self) -> bool:
        return definitions.has_memory(self.definition)

    @property
    def has_ended(self) -> bool:
        return self.run.ended_at is not None or self.state.has_ended

    @property
    def started(self) -> Mapping[str, Any]:
        """What its first event says: the intent, who wanted it, and the way down to it."""
        return self.marks[1].facts if 1 in self.marks else {}

    @property
    def veiled(self) -> frozenset[str]:
        """The items that the reader has yet to judge, the proposals they are about, and their works."""
        waiting = [
            item
            for item in self.items
            if item.is_waiting and item.kind in JUDGED and item.pk not in self.decided_items
        ]
        about = {item.proposal_id for item in waiting if item.proposal_id}
        works = {known.work for pk, known in self.state.proposals.items() if pk in about}
        return frozenset({item.pk for item in waiting} | about | works)

    @property
    def facts(self) -> tuple[object, ...]:
        """What has to differ for the live parts of the page to look different."""
        return (
            self.run.seq,
            self.run.status,
            [(item.pk, item.version, item.status) for item in self.items],
            [(child.pk, child.status) for child in self.children],
        )


def run_case(pk: str, reader: Any) -> RunCase:
    related = ("workflow_version__workflow", "parent", "started_by", "token__owner")
    run = get_object_or_404(Run.objects.select_related(*related), pk=pk)
    state = run.canonical_state
    definition = read(run.workflow_version.definition)
    definition = definition if isinstance(definition, dict) else {}
    decided = Decision.objects.filter(item__run=run, reviewer=reader.pk)
    return RunCase(
        run=run,
        state=state,
        definition=definition,
        plan=read_plan(definition),
        items=list(_items_of(run)),
        decided_items=frozenset(decided.values_list("item", flat=True)),
        proposals=list(Proposal.objects.filter(run=run).order_by("-pk")[:RELATED_MAX]),
        children=list(_children_of(run)),
        marks=_marks(run, state),
        unpriced=queries.unpriced_works(run, state),
    )


def _items_of(run: Run) -> QuerySet[ReviewItem]:
    items = ReviewItem.objects.filter(run=run).exclude(kind__in=ReviewItem.BLIND)
    items = items.select_related("proposal", "run", "command")
    return items.order_by("-pk")[:RELATED_MAX]


def _children_of(run: Run) -> QuerySet[Run]:
    return _rows().filter(parent=run).order_by("-pk")[:RELATED_MAX]


def _marks(run: Run, state: RunState) -> dict[int, Entry]:
    wanted = {1}
    for work in state.works.values():
        wanted |= {work.visit, work.seq, work.tasks_at, *(part.seq for part in work.parts)}
    wanted |= {known.plan for known in state.rounds}
    found = Event.objects.filter(run=run, seq__in=wanted - {0})
    return {entry.seq: entry for entry in _entries(found)}


def _entries(events: QuerySet[Event]) -> Iterable[Entry]:
    """A page of a hundred events of a megabyte each would be no page."""
    work = KeyTextTransform("work", Cast("payload", JSONField()))
    cut = events.annotate(
        size=Length("payload"),
        text=Left("payload", TEXT_SHOWN_MAX),
        work=Case(When(size__gt=TEXT_SHOWN_MAX, then=work), output_field=TextField()),
    )
    rows = cut.order_by("seq").values_list(
        "seq", "kind", "at", "key", "hash", "size", "text", "work"
    )
    return (Entry(*row) for row in rows)


# Its events and commands -----------------------------------------------------------------------


def events_page(run: Run, upto: str) -> EventPage:
    """Sequence numbers have no gaps, so a page is a range of them."""
    size = settings.PAGE_SIZE
    last = min(number_or_none(upto) or run.seq, run.seq)
    first = max(1, last - size + 1)
    rows = list(_entries(Event.objects.filter(run=run, seq__range=(first, last))))
    return EventPage(
        rows,
        earlier=first - 1 if first > 1 else None,
        later=min(last + size, run.seq) if last < run.seq else None,
    )


def event(pk: str, seq: int) -> Event:
    return get_object_or_404(Event.objects.select_related("run"), run=pk, seq=seq)


def commands_page(run: Run, before: str, after: str) -> Page[Command]:
    rows = Command.objects.filter(run=run)
    return newest_first(rows, before=number_or_none(before), after=number_or_none(after))


def chain_breaks_at(run: Run) -> int | None:
    return queries.chain_breaks_at(run)
