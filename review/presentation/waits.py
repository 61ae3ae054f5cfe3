"""What a run waits for, and until when."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from django.urls import reverse

from orchestrator.core import budgets, validations
from orchestrator.core.patterns import machine, work
from orchestrator.core.plan import Place, Work
from orchestrator.core.state import WorkState
from orchestrator.models import Proposal
from review.addresses import page_of
from review.run_reads import RunCase


class Wait(NamedTuple):
    """For whom or what, where to go to, and until when."""

    text: str
    # The part that somebody else wrote.
    said: str = ""
    url: str = ""
    until: datetime | None = None
    then: str = ""


def waits(case: RunCase) -> list[Wait]:
    if case.has_ended:
        return []
    stuck = [item for item in case.items if item.is_waiting and item.kind == "stuck_command"]
    found = [
        Wait("A person, because work of this run stopped every worker", url=page_of(item))
        for item in stuck
    ]
    found += list(_waits_at(case))
    found += list(_waits_of_proposals(case)) if case.is_direct else []
    wall = case.state.timers.get(budgets.WALL)
    if found and wall:
        found.append(Wait("In any case", until=_moment(wall), then="its time is used up"))
    return found


def _waits_of_proposals(case: RunCase) -> Iterator[Wait]:
    for pk, proposal in case.state.proposals.items():
        if proposal.is_open:
            yield _wait_for_proposal(case, pk)


def _waits_at(case: RunCase) -> Iterator[Wait]:
    """At the place where the run stands."""
    name = case.state.position
    planned, known = case.plan.works.get(name), case.state.works.get(name)
    if planned and known and known.status not in work.OVER:
        yield from _waits_for(case, planned, known)
    place = case.plan.places.get(name)
    if place:
        yield from _ways_out(case, place)


def _waits_for(case: RunCase, planned: Work, known: WorkState) -> Iterator[Wait]:
    until = _moment(case.state.timers.get(f"work:{planned.name}"))
    if known.status == "deciding":
        yield _wait_for_proposal(case, known.proposal)
    elif planned.kind == "approval":
        item = next((item for item in case.items if item.pk == known.item), None)
        url = page_of(item) if item else ""
        yield Wait("A person who answers", planned.name, url, until, "it is a no")
    elif planned.kind == "signal":
        yield Wait("The signal", planned.signal, "", until, "it is given up")
    elif planned.kind == "subscribe":
        yield Wait("A message about", planned.topic, "", until, "it is given up")
    elif planned.kind == "collect":
        child = case.state.works[planned.collects].child
        yield Wait("The run of", planned.collects, reverse("run", args=[child]) if child else "")
    elif planned.members and until:
        yield Wait("Whoever is at work on", planned.name, "", until, "it goes on without the rest")
    elif planned.kind == "workflow":
        url = reverse("run", args=[known.child]) if known.child else ""
        yield Wait("A run of", planned.workflow, url)
    yield from _waits_for_asks(case, known)


def _waits_for_asks(case: RunCase, known: WorkState) -> Iterator[Wait]:
    """What its agents asked for, as far as nothing has come of it."""
    for part in known.parts:
        for ask in part.asks if part.status == "asking" else ():
            if ask.proposal and not ask.seq:
                yield _wait_for_proposal(case, ask.proposal)


def _wait_for_proposal(case: RunCase, pk: str) -> Wait:
    proposal = next((one for one in case.proposals if one.pk == pk), None)
    if proposal is None:
        return Wait("What it suggests is being checked")
    text = PROPOSAL_WAITS.get(proposal.status, "What became of its proposal")
    until = _moment(case.state.timers.get(validations.timer_of(pk)))
    then = "a person decides" if until else ""
    return Wait(text, proposal.action, reverse("proposal", args=[pk]), until, then)


PROPOSAL_WAITS: dict[str, str] = {
    Proposal.Status.EVALUATING: "The validators of",
    Proposal.Status.IN_REVIEW: "A person who decides",
    Proposal.Status.ACCEPTED: "The effect of",
    Proposal.Status.EXECUTING: "The effect of",
    Proposal.Status.UNKNOWN: "A person who finds out what became of",
}


def _ways_out(case: RunCase, place: Place) -> Iterator[Wait]:
    for event in place.ways:
        if event not in machine.SAYS.values():
            yield Wait("The signal", event)
    due = case.state.timers.get(f"{machine.AFTER}{place.name}")
    if due:
        yield Wait("The clock", until=_moment(due), then=f"it goes on to {place.after_to}")


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
