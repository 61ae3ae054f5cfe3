"""The history of a proposal in words: one literal table from what happened to how it is told."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from review.reads import Happening


class Line(NamedTuple):
    text: str
    tone: str
    at: datetime
    detail: str = ""


TOLD = {
    "run_started": ("Run started in workflow {workflow} v{version}", "quiet"),
    "proposal_received": ("Proposed by {agent}", "info"),
    "proposal_disposed": ("Guardrails and evaluation said: {disposition}", "info"),
    "approval_given": ("Approved by {by}; one more approval is needed", "info"),
    "proposal_approved": ("Approved by {by}", "ok"),
    "proposal_rejected": ("Rejected by {by}", "bad"),
    "proposal_expired": ("Expired: nobody answered in time, so nothing ran", "warn"),
    "effect_started": ("Effect started through {executor}", "info"),
    "effect_succeeded": ("Effect done, receipt recorded", "ok"),
    "effect_failed": ("Effect failed", "bad"),
    "effect_lost": ("Effect called, outcome unknown", "warn"),
}
PEOPLE = ("by",)


def told(happenings: Iterable[Happening], *, hide_people: bool) -> list[Line]:
    return [_line(happening, hide_people) for happening in happenings]


def _line(happening: Happening, hide_people: bool) -> Line:
    text, tone = TOLD.get(happening.kind, (happening.kind.replace("_", " "), "quiet"))
    facts = {name: str(value) for name, value in happening.facts.items()}
    if hide_people:
        facts |= dict.fromkeys(PEOPLE, "somebody")
    return Line(_fill(text, facts), tone, happening.at)


def _fill(text: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        text = text.replace("{" + name + "}", value)
    return text
