"""What pages and API read of the router: routes, dead letters, and how well events are handled.

Every figure is counted over a window of time, and over no more than the newest COUNTED_MAX events in
it, so that an answer costs the same however many events there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, F, Min, Q, QuerySet
from django.db.models.functions import Length

from orchestrator.core import typeid
from orchestrator.core.codec import read
from orchestrator.core.definitions import DIRECT
from orchestrator.core.policy.masking import mask_envelope
from orchestrator.models import Command, Contract, ContractVersion, InboundEvent, RouteTable, Run

COUNTED_MAX = 100_000
TIMED_MAX = 10_000
LETTERS_COUNTED_MAX = 10_000
HOT_MAX = 5
RECENT_LENGTH_MAX = 20_000
BUDGETS_MAX = 100
BUDGET_WINDOW = timedelta(days=7)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
# Runs are found by their ids, whose time is that of another clock than the database's.
CLOCKS_DIFFER = timedelta(minutes=10)
BASIS_POINTS = 10_000

Status = InboundEvent.Status


# Routes ---------------------------------------------------------------------------------------


def table(number: int | None = None) -> RouteTable | None:
    """One version, or the one that decides."""
    rows = RouteTable.objects.select_related("created_by")
    if number is not None:
        return rows.filter(number=number).first()
    return rows.order_by("-number").first()


def tables(*, at_most: int) -> list[RouteTable]:
    """Newest first."""
    rows = RouteTable.objects.select_related("created_by").defer("routes")
    return list(rows.order_by("-number")[:at_most])


# Events ---------------------------------------------------------------------------------------


def letters(
    *, status: str = Status.DEAD, reason: str = "", type_: str = ""
) -> QuerySet[InboundEvent]:
    rows = InboundEvent.objects.filter(status=status).select_related("handled_by")
    wanted = {"reason": reason, "type": type_}
    return rows.filter(**{name: text for name, text in wanted.items() if text})


def letter_types(*, at_most: int) -> list[str]:
    """Of recent dead letters, to choose from."""
    recent = InboundEvent.objects.filter(status=Status.DEAD).order_by("-pk")
    return sorted(set(recent.values_list("type", flat=True)[:at_most]))


def letter_counts() -> dict[str, int]:
    """How many wait, by reason; counting stops one above LETTERS_COUNTED_MAX."""
    reasons = list(InboundEvent.Reason.values)
    rows = _ask(_LETTERS, {"reasons": reasons, "at_most": LETTERS_COUNTED_MAX + 1})
    return {reason: count for reason, count in rows if count}


def event(pk: str) -> InboundEvent | None:
    related = (
        "contract_version__contract",
        "routes",
        "run__workflow_version__workflow",
        "token__owner",
        "handled_by",
    )
    return InboundEvent.objects.select_related(*related).filter(pk=pk).first()


def attempt_after(event: InboundEvent) -> InboundEvent | None:
    """The one that took its place when it was sent again."""
    return InboundEvent.objects.filter(replaces=event).first()


def recent_events(*, at_most: int) -> list[InboundEvent]:
    """The newest deliveries that a contract describes, save very long ones."""
    rows = InboundEvent.objects.filter(replaces=None, contract_version__isnull=False)
    short = rows.alias(length=Length("envelope")).filter(length__lte=RECENT_LENGTH_MAX)
    return list(short.order_by("-pk")[:at_most])


def masked_in(event: InboundEvent) -> list[str]:
    """Pointers into its data: what any version of its contract hides stays hidden."""
    rows = ContractVersion.objects.filter(
        contract__kind=Contract.Kind.EVENT, contract__name=event.type
    )
    return sorted(
        {pointer for masked in rows.values_list("masked", flat=True) for pointer in masked}
    )


def shown_envelope(event: InboundEvent) -> dict[str, Any]:
    """As people and programs may see it."""
    envelope = read(event.envelope)
    return mask_envelope(envelope, masked_in(event)) if isinstance(envelope, dict) else {}


# Handlers -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Handler:
    """A workflow that events are routed to. Latency is from taking the event in to the run's end."""

    workflow: str
    open: int = 0
    waiting: int = 0
    pending: int = 0
    oldest: datetime | None = None
    timed: int = 0
    p50_s: float | None = None
    p95_s: float | None = None


def handlers(now: datetime, named: Sequence[str]) -> list[Handler]:
    """Those that the routes name, and those that events keep busy or did so within a day."""
    found = {slug: Handler(slug) for slug in named}

    def of(slug: str) -> Handler:
        return found.setdefault(slug, Handler(slug))

    for slug, open_, waiting, oldest in _open_runs():
        one = of(slug)
        one.open, one.waiting, one.oldest = open_, waiting, oldest
    for slug, pending in _pending_commands():
        of(slug).pending = pending
    for slug, timed, p50_s, p95_s in _ask(_LATENCY, {"since": now - DAY, "at_most": TIMED_MAX}):
        one = of(slug)
        one.timed, one.p50_s, one.p95_s = timed, p50_s, p95_s
    return sorted(found.values(), key=lambda one: (-one.open, one.workflow))


def _open_runs() -> QuerySet[Run, tuple[Any, ...]]:
    """At most as many as may be open of each workflow."""
    runs = Run.objects.filter(status__in=["new", "running", "waiting"], event__isnull=False)
    counted = runs.exclude(workflow_version__definition=DIRECT).values(
        slug=F("workflow_version__workflow__slug")
    )
    return counted.annotate(
        open=Count("pk"),
        waiting=Count("pk", filter=Q(status="waiting")),
        oldest=Min("event__created_at"),
    ).values_list("slug", "open", "waiting", "oldest")


def _pending_commands() -> QuerySet[Command, tuple[Any, ...]]:
    waiting = Command.objects.filter(status=Command.Status.PENDING, run__event__isnull=False)
    counted = waiting.values(slug=F("run__workflow_version__workflow__slug"))
    return counted.annotate(pending=Count("pk")).values_list("slug", "pending")


# Error budgets and hot spots ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Budget:
    """Of one contract: how many events went wrong, and how many may."""

    contract: ContractVersion
    events: int
    errors: int

    @property
    def allowed(self) -> float:
        return self.events * self.contract.error_budget_bp / BASIS_POINTS

    @property
    def used(self) -> float:
        """As a share of what is allowed. One error where none is allowed is more than all."""
        if self.errors == 0:
            return 0.0
        return self.errors / self.allowed if self.allowed else float("inf")


class Counted(NamedTuple):
    """Events of one type or source."""

    name: str
    events: int
    errors: int
    events_hour: int
    errors_hour: int


def budgets(now: datetime) -> list[Budget]:
    """Of every contract of events, the most spent first."""
    counted = {
        name: (events, errors)
        for name, events, errors in _ask(_BUDGETS, _window(now - BUDGET_WINDOW))
    }
    versions = (
        ContractVersion.objects.filter(contract__kind=Contract.Kind.EVENT)
        .select_related("contract")
        .defer("schema")
        .order_by("contract", "-number")
        .distinct("contract")
    )
    found = [Budget(one, *counted.get(one.contract.name, (0, 0))) for one in versions]
    return sorted(found, key=lambda one: (-one.used, -one.events))[:BUDGETS_MAX]


def hot_types(now: datetime) -> list[Counted]:
    return _hot("type", now)


def hot_sources(now: datetime) -> list[Counted]:
    return _hot("source", now)


def _hot(column: str, now: datetime) -> list[Counted]:
    """Of the last day, those with the most events and those with the most errors."""
    values = _window(now - DAY) | {"hour": now - HOUR, "hot_max": HOT_MAX}
    found = [Counted(*row) for row in _ask(_HOT[column], values)]
    return sorted(found, key=lambda one: (-one.errors, -one.events))


def _window(since: datetime) -> dict[str, Any]:
    at_ms = int((since - CLOCKS_DIFFER).timestamp() * 1000)
    first_run = typeid.make("run", at_ms=at_ms, entropy=0)
    return {"since": since, "first_run": first_run, "at_most": COUNTED_MAX}


def _ask(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


_LETTERS = """
    SELECT reason, (
        SELECT count(*) FROM (
            SELECT FROM orchestrator_inboundevent
             WHERE status = 'dead' AND reason = wanted.reason LIMIT %(at_most)s
        ) AS counted
    ) FROM unnest(%(reasons)s::text[]) AS wanted (reason)
"""

_LATENCY = """
    SELECT workflow.slug, count(*),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY took),
           percentile_cont(0.95) WITHIN GROUP (ORDER BY took)
      FROM (
        SELECT run.workflow_version_id,
               extract(epoch FROM run.ended_at - event.created_at)::float AS took
          FROM (
            SELECT run_id, created_at FROM orchestrator_inboundevent
             WHERE created_at >= %(since)s AND replaces_id IS NULL AND status = 'routed'
             ORDER BY created_at DESC LIMIT %(at_most)s
          ) AS event
          JOIN orchestrator_run AS run ON run.id = event.run_id AND run.ended_at IS NOT NULL
      ) AS timed
      JOIN orchestrator_workflowversion AS version ON version.id = timed.workflow_version_id
      JOIN orchestrator_workflow AS workflow ON workflow.id = version.workflow_id
     GROUP BY workflow.slug
"""

# An event went wrong when it became a dead letter, whatever people did about that since, or when its
# run failed. What was sent again is an attempt of the same event, and is not counted twice.
_COUNTED = """
    WITH failed AS MATERIALIZED (
        SELECT id FROM orchestrator_run WHERE status = 'failed' AND id >= %(first_run)s
    ), counted AS MATERIALIZED (
        SELECT type, source, created_at,
               status <> 'routed' OR run_id IN (SELECT id FROM failed) AS went_wrong
          FROM orchestrator_inboundevent
         WHERE created_at >= %(since)s AND replaces_id IS NULL
         ORDER BY created_at DESC LIMIT %(at_most)s
    )
"""
_BUDGETS = f"""{_COUNTED}
    SELECT type, count(*), count(*) FILTER (WHERE went_wrong) FROM counted GROUP BY type
"""  # noqa: S608  (a literal, above)


def _hot_by(column: str) -> str:
    return f"""{_COUNTED}, named AS (
        SELECT {column} AS name, count(*) AS events,
               count(*) FILTER (WHERE went_wrong) AS errors,
               count(*) FILTER (WHERE created_at >= %(hour)s) AS events_hour,
               count(*) FILTER (WHERE created_at >= %(hour)s AND went_wrong) AS errors_hour
          FROM counted GROUP BY {column}
    )
    (SELECT * FROM named ORDER BY events DESC, name LIMIT %(hot_max)s) UNION
    (SELECT * FROM named WHERE errors > 0 ORDER BY errors DESC, name LIMIT %(hot_max)s)
    """  # noqa: S608  (two literals, below)


_HOT = {column: _hot_by(column) for column in ("type", "source")}
