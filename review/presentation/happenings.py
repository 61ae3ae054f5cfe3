"""What happened, in words: one literal table from each kind of event to how it is told."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from review.reads import Happening


class Line(NamedTuple):
    text: str
    tone: str
    at: datetime
    detail: str = ""


TOLD = {
    "run_started": ("Run started in workflow {workflow} v{version}", "quiet"),
    "work_finished": ("{work} answered", "ok"),
    "work_failed": ("{work} failed: {error.reason}", "bad"),
    "work_asked": ("{work} asks for something before it goes on", "info"),
    "ask_refused": ("What {work} asked for could not be proposed: {error.reason}", "warn"),
    "person_asked": ("{work} asks a person", "info"),
    "person_answered": ("{work} was answered by {by}: {verdict}", "info"),
    "signal_received": ("Signal {name} came from {by}", "info"),
    "child_started": ("{work} started another run", "info"),
    "child_ended": ("The run that {work} started {status}", "info"),
    "child_spent": (
        "The run that {work} started {status} when nobody waited for it any more: its cost counts",
        "quiet",
    ),
    "published": ("{work} published to {topic}", "info"),
    "message_received": ("A message about {topic} came from another run", "info"),
    "time_reached": ("A time it waited for was reached", "warn"),
    "run_cancelled": ("Cancelled by {by}: {reason}", "warn"),
    "proposal_received": ("Proposed by {agent}", "info"),
    "validation_requested": ("Validators are asked", "quiet"),
    "validation_finished": ("The validator {validator} answered", "info"),
    "validation_failed": ("The validator {validator} gave no answer that counts", "warn"),
    "proposal_withdrawn": ("Withdrawn: {reason}", "warn"),
    "proposal_disposed": ("Guardrails and evaluation said: {disposition}", "info"),
    "proposal_reopened": ("{by} asked for another look: {note}", "info"),
    "approval_given": ("Approved by {by}; one more approval is needed", "info"),
    "proposal_approved": ("Approved by {by}", "ok"),
    "decision_undone": ("{by} took the decision back", "warn"),
    "revision_requested": ("Sent back by {by}: {text}", "warn"),
    "proposal_superseded": ("Replaced by a revision of {by}", "info"),
    "proposal_rejected": ("Rejected by {by}", "bad"),
    "proposal_expired": ("Expired: nobody answered in time, so nothing ran", "warn"),
    "effect_started": ("Effect started through {executor}", "info"),
    "effect_succeeded": ("Effect done, receipt recorded", "ok"),
    "effect_failed": ("Effect failed", "bad"),
    "effect_lost": ("Effect called, outcome unknown", "warn"),
    "effect_settled": ("{by} looked: {verdict}", "info"),
    "rollback_requested": ("{by} wants it rolled back: {reason}", "warn"),
    "rollback_done": ("Rolled back, receipt recorded", "ok"),
    "rollback_failed": ("Rolling back failed: what was done still stands", "bad"),
    "rollback_settled": ("{by} said what becomes of the rollback: {verdict}", "info"),
}
# What codes mean inside these sentences.
WORDS = {
    "verdict": {
        "approve": "approved",
        "reject": "rejected",
        "happened": "it happened",
        "not_happened": "it did not happen",
        "retry": "it did not happen, so it runs again",
        "give_up": "it stays as it is",
    },
}
PEOPLE = ("by",)
_PLACE = re.compile(r"\{([a-z_.]+)\}")


def told(happenings: Iterable[Happening], *, hide_people: bool) -> list[Line]:
    return [_line(happening, hide_people) for happening in happenings]


def _line(happening: Happening, hide_people: bool) -> Line:
    facts = dict(happening.facts)
    if hide_people:
        facts |= dict.fromkeys(PEOPLE, "somebody")
    text, tone = tell(happening.kind, facts)
    return Line(text, tone, happening.at)


def tell(kind: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    """The sentence and its tone. A kind that is not listed is told by its own name."""
    text, tone = TOLD.get(kind, (kind.replace("_", " "), "quiet"))
    # In one go: what was filled in may itself look like a place.
    return _PLACE.sub(lambda place: _word(facts, place.group(1)), text), tone


def _word(facts: Mapping[str, Any], path: str) -> str:
    found: Any = facts
    for name in path.split("."):
        found = found.get(name, "…") if isinstance(found, Mapping) else "…"
    return WORDS.get(path, {}).get(str(found), str(found))
