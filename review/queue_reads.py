"""What the queue page and the top bar read. The cost does not grow with what waits.

Every count stops at QUEUE_COUNT_MAX. A page is found by key: first the ids, from the end of an index,
then everything about those few rows.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import (
    DateTimeField,
    Exists,
    Func,
    Min,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Value,
    prefetch_related_objects,
)
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from orchestrator.actions.actor import capabilities_of
from orchestrator.audit_queries import unveiled
from orchestrator.core.typeid import PATTERN
from orchestrator.models import Decision, ReviewItem, SavedView, Team
from orchestrator.models.reviews import LATE_AT
from orchestrator.queue_queries import AWAKE, decidable_by
from review.paging import Page
from review.queue_filter import Wanted
from review.queue_rows import Row, row_of

SIDE_LIST_MAX = 30
NAMES_FROM_RECENT = 500
# New rows are counted this far; the page shows no more at once anyway.
NEW_MAX = 50
SEARCHED = ("target", "agent", "action")
RELATED = ("proposal", "command", "team", "holder")
# Long texts that no row shows.
LONG = ("proposal__rationale", "proposal__evidence")
_IN_UTC = Func(Value("UTC"), Now(), function="timezone", output_field=DateTimeField())

type Items = QuerySet[ReviewItem]
type Place = tuple[int, datetime, str]


@dataclass(frozen=True, slots=True)
class Pulse:
    """The line in the top bar. Counts stop at QUEUE_COUNT_MAX."""

    waiting: int
    oldest: datetime | None
    decided_today: int


def pulse() -> Pulse:
    items = ReviewItem.objects.in_queue().filter(AWAKE)
    oldest = items.order_by("created_at").values_list("created_at", flat=True).first()
    return Pulse(oldest=oldest, **capped(waiting=items, decided_today=decided_today()))


def decided_today() -> Items:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    closed = ReviewItem.objects.filter(closed_at__gte=midnight, status=ReviewItem.Status.DECIDED)
    return closed.exclude(kind__in=ReviewItem.BLIND)


def capped(**counted: QuerySet[Any]) -> dict[str, int]:
    """How many of each, in one question. One more than QUEUE_COUNT_MAX stands for every larger number."""
    parts, values = [], list[Any]()
    for items in counted.values():
        rows = items.order_by().values("pk")[: settings.QUEUE_COUNT_MAX + 1]
        sql, given = rows.query.sql_with_params()
        parts.append(f"(SELECT count(*) FROM ({sql}) AS counted)")  # noqa: S608  (Django's own, its values apart)
        values += given
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", values)
        return dict(zip(counted, cursor.fetchone(), strict=True))


# What fits ---------------------------------------------------------------------------------------


def _mine(items: Items, reader: User) -> Items:
    return items.filter(holder=reader, lease_until__gt=Now())


def _late(items: Items) -> Items:
    return items.filter(AWAKE).alias(late_at=LATE_AT).filter(late_at__lte=_IN_UTC)


def _breaching(items: Items, reader: User) -> Items:
    """The latest of them, as many as are counted; left to itself, the planner looks among all."""
    latest = _late(items).order_by("late_at").values_list("pk", flat=True)  # type: ignore[misc]
    return items.filter(pk__in=list(latest[: settings.QUEUE_COUNT_MAX + 1]))


def _escalated(items: Items, reader: User) -> Items:
    return items.filter(AWAKE, escalated_at__isnull=False)


def _second(items: Items, reader: User) -> Items:
    """Half decided, by others. Its version tells that something was said; the index is made of that."""
    said = Decision.objects.filter(item=OuterRef("pk"), undone_at=None)
    half = items.filter(AWAKE, approvals_needed__gt=1, version__gt=1)
    return half.filter(Exists(said), ~Exists(said.filter(reviewer=reader)))


def half_decided(reader: User) -> list[str]:
    """What these items are about: who said yes first is not for whoever may say yes second."""
    half = _second(ReviewItem.objects.waiting(), reader)
    rows = half.values_list("proposal", "run")[: settings.QUEUE_COUNT_MAX]
    return [proposal or run for proposal, run in rows]


_FITTING: dict[str, Callable[[Items, User], Items]] = {
    "all": lambda items, reader: items.filter(AWAKE),
    "breaching": _breaching,
    "escalated": _escalated,
    "second": _second,
    "mine": _mine,
    "snoozed": lambda items, reader: items.filter(snoozed_until__gt=Now()),
}


def fitting(wanted: Wanted, reader: User) -> Items:
    """In no order. Nothing of a run of which the reader judges something blindly."""
    items = _FITTING[wanted.view](unveiled(ReviewItem.objects.in_queue(), reader), reader)
    if wanted.kind:
        items = items.filter(kind=wanted.kind)
    if wanted.action:
        items = items.filter(action=wanted.action)
    if wanted.team:
        # The id itself: with a join the planner does not know which end of the index to begin at.
        items = items.filter(team=Team.objects.filter(slug=wanted.team).first())
    return _searched(items, wanted.q) if wanted.q else items


def _searched(items: Items, text: str) -> Items:
    """An id, or words that each stand in the target, the agent or the action."""
    if PATTERN.fullmatch(text):
        return items.filter(Q(pk=text) | Q(proposal=text) | Q(run=text))
    for word in text.split():
        # A regular expression, because the trigram index serves no LIKE over upper-case letters.
        pattern = re.escape(word)
        items = items.filter(
            Q(*((f"{name}__iregex", pattern) for name in SEARCHED), _connector=Q.OR)
        )
    return items


def counts(reader: User) -> dict[str, int]:
    items = unveiled(ReviewItem.objects.in_queue(), reader)
    counted = _FITTING | {"breaching": lambda items, reader: _late(items)}
    return capped(**{view: fits(items, reader) for view, fits in counted.items()})


# One page ----------------------------------------------------------------------------------------


def first_page(items: Items, reader: User, after: str = "") -> Page[Row]:
    """Most urgent first; the cursor is the last row's place in that order."""
    size = settings.PAGE_SIZE
    places = _places(items, after, size + 1)
    rows = rows_of([pk for _, _, pk in places[:size]], reader)
    return Page(rows, older=_cursor(places[size - 1]) if places[size:] else "")


def rows_of(pks: Sequence[str], reader: User) -> list[Row]:
    """In the given order, whatever became of them."""
    said = Decision.objects.filter(undone_at=None).select_related("reviewer").order_by("pk")
    rows = unveiled(_with_texts(), reader)
    items = _found(pks, rows.prefetch_related(Prefetch("decisions", said, to_attr="said")))
    return [row_of(items[pk], reader) for pk in pks if pk in items]


def items_of(pks: Sequence[str]) -> dict[str, ReviewItem]:
    """With what a sentence about each needs, and nothing long."""
    return _found(pks, _with_texts())


def _with_texts() -> Items:
    seen = ReviewItem.objects.exclude(kind__in=ReviewItem.BLIND)
    return seen.select_related(*RELATED).defer(*LONG)


def _found(pks: Sequence[str], items: Items) -> dict[str, ReviewItem]:
    """What is about no proposal is told by its workflow, which few of them need."""
    found = items.in_bulk(pks)
    others = [item for item in found.values() if item.proposal_id is None]
    prefetch_related_objects(others, "run__workflow_version__workflow")
    return found


def count_new(items: Items, *, after: str, until: str, shown: Sequence[str]) -> int:
    """How many rows would stand among those that are shown, if the page were asked for again."""
    places = _places(items, after, len(shown) + NEW_MAX)
    end = _place(until)
    known = set(shown)
    return sum(
        pk not in known and (end is None or (-priority, due_at, pk) < (-end[0], *end[1:]))
        for priority, due_at, pk in places
    )


def _places(items: Items, after: str, at_most: int) -> list[Place]:
    """The next rows in the order of the queue. Two questions, each of which an index answers alone."""
    ordered = items.order_by("-priority", "due_at", "pk").values_list("priority", "due_at", "pk")
    place = _place(after)
    if place is None:
        return list(ordered[:at_most])
    priority, due_at, pk = place
    equals = ordered.filter(priority=priority, due_at__gte=due_at)
    found = list(equals.filter(Q(due_at__gt=due_at) | Q(pk__gt=pk))[:at_most])
    return found + list(ordered.filter(priority__lt=priority)[: at_most - len(found)])


def _cursor(place: Place) -> str:
    priority, due_at, pk = place
    return f"{priority}~{due_at.isoformat()}~{pk}"


def _place(cursor: str) -> Place | None:
    """A cursor that was tampered with starts at the beginning."""
    priority, _, rest = cursor.partition("~")
    moment, _, pk = rest.partition("~")
    try:
        due_at = parse_datetime(moment)
        is_place = due_at and timezone.is_aware(due_at) and PATTERN.fullmatch(pk)
        return (int(priority), due_at.astimezone(UTC), pk) if due_at and is_place else None
    except (ValueError, OverflowError):
        return None


def side_list(reader: User) -> list[ReviewItem]:
    """The head of the queue, for the column beside the document."""
    awake = ReviewItem.objects.in_queue().filter(AWAKE)
    places = _places(unveiled(awake, reader), "", SIDE_LIST_MAX)
    pks = [pk for _, _, pk in places]
    items = items_of(pks)
    return [items[pk] for pk in pks if pk in items]


def has_other(item: ReviewItem | None) -> bool:
    """Whether anything waits beside this one, for whomever."""
    awake = ReviewItem.objects.in_queue().filter(AWAKE)
    return (awake.exclude(pk=item.pk) if item else awake).exists()


# What there is to choose -------------------------------------------------------------------------


def waiting_actions() -> list[str]:
    """Of what is due first."""
    items = ReviewItem.objects.in_queue().exclude(action="").order_by("due_at")
    return sorted(set(items.values_list("action", flat=True)[:NAMES_FROM_RECENT]))


def teams() -> list[Team]:
    return list(Team.objects.in_use().order_by("name"))


def saved_views(reader: User) -> list[SavedView]:
    """One's own, then what others share."""
    views = SavedView.objects.filter(Q(owner=reader) | Q(is_shared=True)).select_related("owner")
    return sorted(views, key=lambda view: (view.owner_id != reader.pk, view.name.lower()))


def saved_view(reader: User, name: str) -> SavedView | None:
    """By the name of its owner, a slash, and its own."""
    owner, _, own = name.partition("/")
    views = SavedView.objects.select_related("owner").filter(
        Q(owner=reader) | Q(is_shared=True), owner__username=owner, name=own
    )
    return views.first() if "\x00" not in name else None


# Nothing -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why somebody who asks for the next item gets none."""

    held: int = 0
    # When the first of those that others hold comes back.
    back_at: datetime | None = None
    own: int = 0
    others: int = 0
    decided_today: int = 0


def nothing_for(items: Items, reader: User) -> Nothing:
    """Of these items, what the reader could have if others let go, holds already, or may not have."""
    held = items.filter(holder__isnull=False, lease_until__gt=Now())
    by_others = decidable_by(held.exclude(holder=reader), reader, capabilities_of(reader))
    return Nothing(
        back_at=by_others.aggregate(back_at=Min("lease_until"))["back_at"],
        **capped(
            held=by_others,
            own=held.filter(holder=reader),
            others=items,
            decided_today=decided_today(),
        ),
    )
