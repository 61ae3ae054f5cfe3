"""The weekly report as a letter: plain text that says counts, intervals and where to look.

Nothing in it was written by an agent: no argument, no target, no name but those of rules.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from django.conf import settings

from orchestrator.core.statistics.figures import Outcomes
from orchestrator.core.statistics.forecast import Forecast
from orchestrator.report_queries.audits import Audits
from orchestrator.report_queries.overview import Overview
from orchestrator.report_queries.rules import RuleFigures, Rules
from orchestrator.report_queries.scope import Scope, Times
from orchestrator.report_queries.weekly import Week

RULES_MAX = 10
SHARES_SAY = "Shares come with their 95 % interval, and below 30 there are counts alone."


def subject_of(scope: Scope) -> str:
    return f"Countersign: the week of {_day(scope.since)} {scope.since.year}"


def letter_of(week: Week) -> str:
    parts = (
        _head(week),
        _audits(week.audits),
        _outcomes(week.overview, week.before),
        _people(week.overview, week.before),
        _rules(week.rules),
        _expected(week.expected),
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, parts) if lines) + "\n"


def _head(week: Week) -> Iterator[str]:
    last = week.scope.until - timedelta(days=1)
    yield f"Monday {_day(week.scope.since)} to Sunday {_day(last)} {last.year}, in UTC."
    yield f"Data to {_day(week.counted_until.date())}, {week.counted_until:%H:%M} UTC. {SHARES_SAY}"


def _audits(found: Audits) -> Iterator[str]:
    """What nobody looked at comes first: the rest people saw themselves."""
    sentence = str(found.assurance)
    yield "WHAT RAN BY ITSELF"
    yield f"{sentence[:1].upper()}{sentence[1:]}."
    yield (
        f"In dispute: {found.disputed:,}. Disputes that nobody settled: {found.unsettled:,}. "
        f"Audits open: {found.open:,}, expired: {found.expired:,}."
    )
    yield _link("audits", found.scope)


def _outcomes(now: Overview, before: Overview) -> Iterator[str]:
    yield "WHAT BECAME OF IT"
    yield f"Proposed: {now.proposed.proposals:,} (the week before: {before.proposed.proposals:,})."
    yield f"Accepted without edit: {now.outcomes.acceptance}, of what was decided."
    yield f"  The week before: {before.outcomes.acceptance}."
    yield from (f"  {name.capitalize()}: {rate}." for name, rate in now.outcomes.parts.items())
    yield f"Refused, blocked or expired: {now.outcomes.refused:,}. {_open(now.outcomes)}"
    yield _link("overview", now.scope)


def _open(outcomes: Outcomes) -> str:
    return f"Not decided yet: {outcomes.undecided:,}, in no share."


def _people(now: Overview, before: Overview) -> Iterator[str]:
    opened, decided = _opened(now), _decided(now)
    yield "PEOPLE"
    yield f"Put before people: {opened:,} (the week before: {_opened(before):,})."
    yield f"Decided: {decided:,} (the week before: {_decided(before):,})."
    yield f"Decided in time: {now.in_time}, of what was decided or expired."
    if waited := _times(now.wait):
        yield f"Waited until decided: {waited}."
    if handled := _times(now.handling):
        yield f"Handled, where that was measured: {handled}."


def _opened(found: Overview) -> int:
    return sum(day.opened for day in found.traffic)


def _decided(found: Overview) -> int:
    return sum(day.decided for day in found.traffic)


def _times(found: Times) -> str:
    if found.median_s is None or found.p90_s is None:
        return ""
    return f"half under {_lasting(found.median_s)}, nine of ten under {_lasting(found.p90_s)}"


def _lasting(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def _rules(found: Rules) -> Iterator[str]:
    """Those that people disagreed with, or agreed with, most often."""
    busy = [one for one in found.versions if one.held.decided]
    if not busy:
        return
    busy.sort(key=lambda one: -one.held.decided)
    yield "RULES"
    yield from (_rule(one) for one in busy[:RULES_MAX])
    if len(busy) > RULES_MAX:
        yield f"And {len(busy) - RULES_MAX} others."
    yield _link("rules", found.scope)


def _rule(one: RuleFigures) -> str:
    return (
        f"{one.slug} v{one.number}: of what it held, people rejected {one.held.precision}; "
        f"held needlessly {one.held.needless.k:,}."
    )


def _expected(found: Forecast | None) -> Iterator[str]:
    yield "THE WEEK THAT FOLLOWS"
    if found is None:
        yield "There are too few days to say what to expect."
        return
    yield f"If it goes as in the last {found.days // 7} weeks, with the bounds that 19 of 20 days keep:"
    for load in found.loads:
        low, high = load.items_between
        low_h, high_h = load.hours_between
        yield (
            f"  {load.day:%a} {_day(load.day)}: {load.items:,.0f} items ({low:,.0f} to {high:,.0f}), "
            f"{load.hours:,.1f} hours ({low_h:,.1f} to {high_h:,.1f})."
        )


def _link(report: str, scope: Scope) -> str:
    last = scope.until - timedelta(days=1)
    return f"{settings.BASE_URL}/reports/{report}/?since={scope.since}&until={last}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B}"
