"""Sums of the daily counters, narrowed by a scope."""

from collections.abc import Iterable
from typing import Any, LiteralString

from django.db import connection

from orchestrator.core.statistics import buckets
from orchestrator.core.statistics.figures import Outcomes
from orchestrator.core.statistics.outcomes import ending, outcomes
from orchestrator.models import ReviewItem
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope, Times

BLIND = [kind.value for kind in ReviewItem.BLIND]


def within(scope: Scope, *, apart: bool = False) -> LiteralString:
    """The condition on a table of counters named `c`. What to fill it with is `values_of`.

    What narrows nothing reads the lines that hold everything together, but for tables that have none and
    reports that tell segments `apart`.
    """
    wanted = [condition for name, condition in _NARROWED.items() if getattr(scope, name)]
    segments: LiteralString = "s.workflow <> ''" if wanted or apart else "s.workflow = ''"
    for condition in wanted:
        segments = f"{segments} AND {condition}"
    return f"""c.day >= %(since)s AND c.day < %(until)s
           AND c.segment_id IN (SELECT s.id FROM orchestrator_segment s WHERE {segments})"""


# By the names of `OF_PROPOSALS`.
_NARROWED: dict[str, LiteralString] = {
    "agent": "s.agent = %(agent)s",
    "agent_version": "s.agent_version = %(agent_version)s",
    "model": "s.model = %(model)s",
    "action": "s.action = %(action)s",
    "tier": "s.tier = %(tier)s",
    "workflow": "s.workflow = %(workflow)s",
}


def values_of(scope: Scope, **more: Any) -> dict[str, Any]:
    known = {name: getattr(scope, name) for name in OF_PROPOSALS}
    return {"since": scope.since, "until": scope.until, **known, **more}


def rows(statement: LiteralString, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


# Of proposals as they ended -----------------------------------------------------------------------

_ENDS: LiteralString = "c.disposition, c.status, c.edited, s.currency"


def ended(scope: Scope, by: LiteralString = "") -> list[tuple[Any, ...]]:
    """Per way to end, and per what else is named: disposition, status, edited, currency, count, amount.

    With a rule, only proposals that it did not let pass where it decided.
    """
    columns: LiteralString = f"{by}, {_ENDS}" if by else _ENDS
    of_rule: LiteralString = """
        JOIN orchestrator_ruleversion v ON v.id = c.rule_version_id
        JOIN orchestrator_rule rule ON rule.id = v.rule_id AND rule.slug = %(rule)s
    """
    apart = bool(by.startswith("s.") or scope.rule)
    table: LiteralString = "orchestrator_ruleday" if scope.rule else "orchestrator_proposalday"
    joined: LiteralString = of_rule if scope.rule else ""
    decided: LiteralString = "AND c.enforced" if scope.rule else ""
    return rows(
        f"""
        SELECT {columns}, sum(c.proposals), sum(c.amount)
          FROM {table} c JOIN orchestrator_segment s ON s.id = c.segment_id {joined}
         WHERE {within(scope, apart=apart)} {decided}
         GROUP BY {columns} ORDER BY {columns}
        """,
        values_of(scope, rule=scope.rule),
    )


def outcomes_of(lines: Iterable[tuple[Any, ...]]) -> tuple[Outcomes, dict[str, Outcomes]]:
    """Of lines of `ended` without what else was named: how many, and how much by currency."""
    counts: list[tuple[str, int]] = []
    amounts: dict[str, list[tuple[str, int]]] = {}
    for disposition, status, edited, currency, count, amount in lines:
        how = ending(disposition, status, edited=edited)
        counts.append((how, int(count)))
        if currency:
            amounts.setdefault(currency, []).append((how, int(amount)))
    return outcomes(counts), {code: outcomes(amounts[code]) for code in sorted(amounts)}


# Of durations -------------------------------------------------------------------------------------


def times_of(counts: dict[int, int]) -> Times:
    return Times(
        n=sum(count for bucket, count in counts.items() if bucket != buckets.NONE),
        median_s=buckets.quantile(counts, 0.5),
        p90_s=buckets.quantile(counts, 0.9),
    )
