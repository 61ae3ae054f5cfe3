"""What the page of one run shows to one reader."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from orchestrator import router_queries
from orchestrator.actions.route_corrections import NOTE_LENGTH_MAX
from orchestrator.core.codec import read
from orchestrator.models import Command, Event
from review import run_reads
from review.access import may
from review.htmx import tag_of
from review.memory_page import run_memory
from review.presentation.budget import gauges
from review.presentation.chips import RUNS
from review.presentation.events import told_events
from review.presentation.faults import fault
from review.presentation.happenings import tell
from review.presentation.pools import council, pool
from review.presentation.routes import tell_route
from review.presentation.stages import stages
from review.presentation.veil import veil, veiled_text
from review.presentation.waits import waits
from review.run_reads import CHAIN_CHECKED_MAX, RunCase
from review.trace_page import tick_of, trace_facts

POLL_MOVING_S = 1
POLL_WAITING_S = 5


def run_page(request: HttpRequest, case: RunCase) -> dict[str, Any]:
    now = timezone.now()
    commands = run_reads.commands_page(
        case.run, request.GET.get("before", ""), request.GET.get("after", "")
    )
    events = run_reads.events_page(case.run, request.GET.get("upto", ""))
    is_moving = case.run.status in {"new", "running"}
    return {
        "section": "runs",
        "case": case,
        "run": case.run,
        "look": RUNS[case.run.status],
        "tag": tag_of(
            case.facts, [_facts(command) for command in commands.rows], tick_of(now, is_moving)
        ),
        "poll_s": POLL_MOVING_S if is_moving else POLL_WAITING_S,
        "is_moving": is_moving,
        "now": now,
        "fault": fault(case.state.error),
        "waits": waits(case),
        **_stages(case, now),
        "gauges": gauges(case, now),
        "intent": case.started.get("intent"),
        "commands": commands,
        "events": events,
        "memory": run_memory(case, request.user),
        "told": told_events(events.rows, case.veiled),
        **chain_facts(case),
        **trace_facts(request, case),
        "may_cancel": may_cancel(request, case),
        **route_facts(request, case),
    }


def _stages(case: RunCase, now: datetime) -> dict[str, Any]:
    """The rounds of a supervisor and the members of a consensus have sections that say more."""
    found = {"pool": pool(case), "council": council(case)}
    return found if any(found.values()) else {"stages": stages(case, now)}


def _facts(command: Command) -> tuple[object, ...]:
    return command.pk, command.status, command.token, command.tries, command.crashes


def chain_facts(case: RunCase) -> dict[str, Any]:
    """Whether the hashes hold, where that is quick to say."""
    if case.run.seq > CHAIN_CHECKED_MAX:
        return {"chain": "long"}
    broken = run_reads.chain_breaks_at(case.run)
    return {"chain": "holds"} if broken is None else {"chain": "broken", "broken": broken}


def route_facts(request: HttpRequest, case: RunCase) -> dict[str, Any]:
    """Of a router: what it decided, and what people say about that."""
    route = tell_route(case.state.route)
    if route is None or case.plan.router is None:
        return {}
    return {
        "route": route,
        "route_workers": case.plan.router.workers,
        "corrections": router_queries.corrections(case.run.pk),
        "may_correct": may(request.user, "routes.correct"),
        "note_length_max": NOTE_LENGTH_MAX,
    }


def may_cancel(request: HttpRequest, case: RunCase) -> bool:
    """A run that only carries an outside proposal ends with it; there is nothing to cancel."""
    return may(request.user, "runs.cancel") and not case.has_ended and not case.is_direct


def event_page(case: RunCase, event: Event) -> dict[str, Any]:
    stored = read(event.payload)
    facts = stored if isinstance(stored, dict) else {}
    shown = veil(event.kind, facts, case.veiled)
    return {
        "section": "runs",
        "run": case.run,
        "event": event,
        "text": tell(event.kind, shown)[0],
        "facts": shown,
        "stored": veiled_text(event.kind, event.payload, case.veiled),
    }
