"""The numbers of a backtest as a table and as words."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings

from orchestrator.backtest_queries import Report
from orchestrator.core.policy.backtest import Findings
from orchestrator.core.policy.queue_load import Load
from orchestrator.core.policy.second_look import Effect


class Row(NamedTuple):
    name: str
    about: str
    after: int
    before: int
    change: str
    # Whether more of it is good.
    tone: str
    is_total: bool


# Which count, what it is called, what it means, and whether more of it is better (1), worse (-1) or neither.
ROWS = (
    ("caught", "Caught", "it would stop it, and a person rejected it", 1),
    ("needless", "Needless", "it would stop it, and a person approved it", -1),
    ("missed", "Missed", "it would let it pass, and a person rejected it", -1),
    ("passed_approved", "Rightly let pass", "and a person approved it", 1),
    ("unknown", "Unknown", "nobody decided; never counted as right", 0),
    ("not_evaluable", "Not evaluable", "a field was absent then, or was masked", 0),
    ("in_scope", "In its scope", "all of the above", 0),
)

# A policy stops nothing: what it does not accept goes back to the agent or before people.
OF_POLICIES = {
    "caught": "it would not be accepted, and people found it wrong",
    "needless": "it would not be accepted, and people found it right",
    "missed": "it would be accepted, and people found it wrong",
    "passed_approved": "and people found it right",
    "unknown": "nobody judged it; never counted as right",
    "not_evaluable": "a score that it asks for was not recorded then",
}
_NAMES = {"passed_approved": "Rightly accepted", "in_scope": "It would decide about"}


def rows_of(findings: Findings, *, of_policy: bool = False) -> list[Row]:
    before = findings.before
    abouts, names = (OF_POLICIES, _NAMES) if of_policy else ({}, {})
    return [
        Row(
            names.get(key, name),
            abouts.get(key, about),
            getattr(findings.after, key),
            getattr(before, key) if before else 0,
            _signed(findings.delta[key]),
            _tone(findings.delta[key] * sense),
            key == "in_scope",
        )
        for key, name, about, sense in ROWS
    ]


def _tone(goodness: int) -> str:
    if goodness:
        return "ok" if goodness > 0 else "bad"
    return "muted"


@dataclass(frozen=True, slots=True)
class LoadWords:
    before: str
    after: str
    change: str
    low: str
    high: str
    hours: str
    minutes: int
    errors: str


def words_of(load: Load) -> LoadWords:
    return LoadWords(
        before=_number(load.before.value),
        after=_number(load.after.value),
        change=_signed(load.change.value),
        low=_signed(load.change.low),
        high=_signed(load.change.high),
        hours=f"{_number(load.hours_before)} now, {_number(load.hours_after)} with this version",
        minutes=settings.REVIEW_MINUTES,
        errors=_number(load.errors_a_day) if load.errors_a_day else "",
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _signed(value: float) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return sign + (f"{abs(value):,}" if isinstance(value, int) else _number(abs(value)))


class VerdictRow(NamedTuple):
    name: str
    about: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """What becomes of proposals in a day, as it was and as it would be."""

    rows: list[VerdictRow]
    days: str


_OUTCOMES = (
    ("accept", "Accepted", "runs without a person"),
    ("revise", "Sent back", "the agent may revise it"),
    ("escalate", "Before people for their score", "a person decides"),
    ("hold", "Held by rules or people", "whatever the score"),
    ("block", "Blocked by rules", "whatever the score"),
)


def verdict_words(effect: Effect) -> VerdictWords:
    found = [
        _verdict_row(name, about, effect.a_day(effect.before[key]), effect.a_day(effect.after[key]))
        for key, name, about in _OUTCOMES
    ]
    audits = _verdict_row(
        "Drawn for audits",
        "on average, to be judged blind",
        effect.audits_before,
        effect.audits_after,
    )
    load = effect.findings.load
    hours = _verdict_row(
        "Reviewer hours",
        f"at {settings.REVIEW_MINUTES} minutes an item (REVIEW_MINUTES), audits not counted",
        load.hours_before,
        load.hours_after,
    )
    return VerdictWords(
        [*found, audits, hours],
        days=f"{_number(effect.days)} {'day' if effect.days == 1 else 'days'}",
    )


def _verdict_row(name: str, about: str, before: float, after: float) -> VerdictRow:
    change = after - before
    return VerdictRow(
        name, about, _number(before), _number(after), _signed(change) if change else "±0"
    )


def findings_facts(report: Report) -> dict[str, Any]:
    """What `findings.html` needs."""
    return {
        "report": report,
        "backtest": report.backtest,
        "findings": rows_of(report.findings, of_policy=report.effect is not None),
        "load": words_of(report.findings.load),
        "verdicts": verdict_words(report.effect) if report.effect else None,
    }
