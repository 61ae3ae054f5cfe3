"""The numbers of a backtest as a table and as words."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings

from orchestrator.backtest_queries import Report
from orchestrator.core.policy.backtest import Findings
from orchestrator.core.policy.queue_load import Load


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


def rows_of(findings: Findings) -> list[Row]:
    before = findings.before
    return [
        Row(
            name,
            about,
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


def findings_facts(report: Report) -> dict[str, Any]:
    """What `rule_findings.html` needs."""
    return {
        "report": report,
        "backtest": report.backtest,
        "findings": rows_of(report.findings),
        "load": words_of(report.findings.load),
    }
