"""What the pages of the router show: how handlers do, what died and why, and what routes say."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator import routing_queries
from orchestrator.core.codec import canonical, read
from orchestrator.core.policy.masking import mask_text, secrets_of
from orchestrator.core.policy.routing import Dead, Route, route, stored_routes, trials
from orchestrator.models import InboundEvent, RouteTable
from orchestrator.routing_queries import Budget, Handler
from review.paging import Page, newest_first
from review.presentation import letters, route_changes
from review.presentation.budget import Gauge
from review.presentation.chips import Look
from review.presentation.definitions import pretty
from review.presentation.times import took
from review.reads import NAMES_FROM_RECENT, id_or_nothing

VERSIONS_MAX = 50
NEWEST_LETTERS = 5
TRIED_EVENTS = 200
MOVED_SHOWN_MAX = 20
WARN_SHARE = 0.75
ROWS_MAX = 30


class Letter(NamedTuple):
    """One dead letter in a list."""

    event: InboundEvent
    reason: str
    look: Look


class Asked(NamedTuple):
    """One route that was asked about one event."""

    route: Route
    # In words, without what the contract of the event hides.
    reason: str
    look: Look


class Moved(NamedTuple):
    """An event that would have gone elsewhere."""

    event: InboundEvent
    before: str
    after: str


# The overview ---------------------------------------------------------------------------------


def overview(now: datetime) -> dict[str, Any]:
    table = routing_queries.table()
    routes = routes_of(table)
    found = routing_queries.handlers(now, [one.workflow for one in routes])
    counts = routing_queries.letter_counts()
    newest = routing_queries.letters().order_by("-pk")[:NEWEST_LETTERS]
    return {
        "table": table,
        "routes": routes,
        "handlers": [(one, *latency(one)) for one in found],
        "budgets": [(one, gauge(one)) for one in routing_queries.budgets(now)],
        "hot": (
            ("Type", routing_queries.hot_types(now)),
            ("Source", routing_queries.hot_sources(now)),
        ),
        "reasons": [
            (reason, letters.reason_label(reason), counted(count))
            for reason, count in sorted(counts.items(), key=lambda item: -item[1])
        ],
        "letters": [letter(event) for event in newest],
        "counted_max": routing_queries.COUNTED_MAX,
    }


def latency(one: Handler) -> tuple[str, str]:
    return tuple("" if value is None else took(value) for value in (one.p50_s, one.p95_s))  # type: ignore[return-value]


def gauge(one: Budget) -> Gauge:
    """What is over a budget fills its strip, and says by how much in words."""
    tone = "bad" if one.used > 1 else "warn" if one.used >= WARN_SHARE else "quiet"
    share = round(min(1.0, one.used) * 100, 1)
    return Gauge(one.contract.contract.name, f"{one.errors:,}", decimals(one.allowed), share, tone)


def decimals(number: float) -> str:
    """Below ten with two digits that count."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.2g}"


def counted(count: int) -> str:
    most = routing_queries.LETTERS_COUNTED_MAX
    return f"{count:,}" if count <= most else f"over {most:,}"


# Dead letters ---------------------------------------------------------------------------------


def letters_page(chosen: Mapping[str, str], *, before: str, after: str) -> Page[InboundEvent]:
    rows = routing_queries.letters(
        status=chosen.get("status") or InboundEvent.Status.DEAD,
        reason=chosen.get("reason", ""),
        type_=chosen.get("type", ""),
    )
    return newest_first(rows, before=id_or_nothing(before), after=id_or_nothing(after))


def recent_types() -> list[str]:
    return routing_queries.letter_types(at_most=NAMES_FROM_RECENT)


def letter(event: InboundEvent) -> Letter:
    return Letter(event, letters.reason_label(event.reason), letters.EVENTS[event.status])


def letter_reason(reason: str) -> str:
    return letters.reason_label(reason)


def _attributes(envelope: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in envelope.items() if name != "data"}


def letter_page(event: InboundEvent) -> dict[str, Any]:
    stored: Any = read(event.envelope)
    secrets = secrets_of(stored.get("data"), routing_queries.masked_in(event))
    envelope = routing_queries.shown_envelope(event)
    text = pretty(envelope)
    tried = trials(routes_of(event.routes), _attributes(stored), stored.get("data"))
    return {
        "event": event,
        "look": letters.EVENTS[event.status],
        "reason": letters.reason_label(event.reason),
        "advice": letters.ADVICE.get(event.reason, ""),  # type: ignore[call-overload]
        "attributes": _attributes(envelope),
        "data": envelope.get("data"),
        "has_data": "data" in envelope,
        "tried": [
            Asked(one.route, mask_text(one.reason, secrets), letters.TRIALS[one.result])
            for one in tried
        ],
        "envelope": text,
        "masked": canonical(envelope) != canonical(stored),
        "envelope_rows": min(ROWS_MAX, text.count("\n") + 2),
        "before": event.replaces_id,
        "after": routing_queries.attempt_after(event),
    }


# Routes ---------------------------------------------------------------------------------------


def routes_of(table: RouteTable | None) -> tuple[Route, ...]:
    return stored_routes(table.routes) if table else ()


def routes_page(table: RouteTable | None, against: RouteTable | None) -> dict[str, Any]:
    """One version, and what it changed."""
    newest = routing_queries.table()
    old, new = routes_of(against), routes_of(table)
    return {
        "table": table,
        "newest": newest,
        "routes": new,
        "against": against,
        "changes": route_changes.sentences(old, new),
        "lines": route_changes.lines(old, new),
        "versions": routing_queries.tables(at_most=VERSIONS_MAX),
    }


def moved(routes: Sequence[Route]) -> tuple[int, list[Moved]]:
    """How many recent events were tried, and which of them these routes would send elsewhere."""
    now = routes_of(routing_queries.table())
    recent = routing_queries.recent_events(at_most=TRIED_EVENTS)
    found = []
    for event in recent:
        before, after = _goes(now, event), _goes(routes, event)
        if before != after:
            found.append(Moved(event, before, after))
    return len(recent), found


def _goes(routes: Sequence[Route], event: InboundEvent) -> str:
    envelope: Any = read(event.envelope)
    found = route(routes, _attributes(envelope), envelope.get("data"))
    return letters.reason_label(found.reason) if isinstance(found, Dead) else found.workflow
