"""What became of events: each is there once, in the place that all of its deliveries were told."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.deliveries import Heard
from tests.chaos.events import FATES
from tests.chaos.evidence import Evidence


def find_misled_events(evidence: Evidence) -> Iterator[str]:
    """Whoever heard 2xx finds one event, where it was said to be and for the right reason."""
    stored = {key: tuple(rest) for key, *rest in evidence.rows(_EVENTS)}
    for told in evidence.told.events:
        if told.event not in stored:
            yield f"{_name(told)} was taken in and is gone"
            continue
        reference, status, run, reason = stored[told.event]
        if (reference, status, run) != (told.request.reference, told.status, told.run):
            yield f"{_name(told)} was said to be {told.status} {told.run} and is {status} {run}"
        if reason != FATES[told.request.kind]:
            yield f"{_name(told)} is {status} {reason}"
        if told.differs:
            yield f"{_name(told)} was said to differ from itself"
    for source, reference, count in evidence.rows(_DOUBLED):
        yield f"the event {reference} of {source} is there {count} times"
    for run, reference in evidence.rows(_RUNS_WITHOUT):
        yield f"run {run} is of the event {reference}, which has another one"


_EVENTS = "SELECT id, source_id, status, run_id, reason FROM orchestrator_inboundevent"
_DOUBLED = """
    SELECT source, source_id, count(*) FROM orchestrator_inboundevent
     GROUP BY 1, 2 HAVING count(*) > 1
"""
_RUNS_WITHOUT = """
    SELECT r.id, r.external_id FROM orchestrator_run r
      JOIN orchestrator_inboundevent e ON e.source_id = r.external_id
     WHERE e.run_id IS DISTINCT FROM r.id
"""


def count_events(evidence: Evidence) -> dict[str, int]:
    """Events by what became of them, and deliveries by whether they were the first."""
    ends = evidence.rows("SELECT status || ' ' || reason FROM orchestrator_inboundevent")
    again = sum(told.is_duplicate for told in evidence.told.events)
    return {
        **dict(sorted(Counter(end.strip() for (end,) in ends).items())),
        "deliveries": len(evidence.told.events),
        "duplicates": again,
    }


def _name(told: Heard) -> str:
    return f"{told.request.kind} {told.event} ({told.request.reference})"
