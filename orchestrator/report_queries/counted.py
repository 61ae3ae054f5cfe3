"""Sums of the daily counters, narrowed by a scope."""

from collections.abc import Iterable, Sequence
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
    return f"c.day >= %(since)s AND c.day < %(until)s AND {segments(scope, apart=apart)}"


def segments(scope: Scope, *, apart: bool) -> LiteralString:
    wanted = [condition for name, condition in _NARROWED.items() if getattr(scope, name)]
    which: LiteralString = "s.workflow <> ''" if wanted or apart else "s.workflow = ''"
    for condition in wanted:
        which = f"{which} AND {condition}"
    return f"c.segment_id IN (SELECT s.id FROM orchestrator_segment s WHERE {which})"


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

_ENDS: LiteralString = "c.disposition, c.status, c.edited"


# Of one version of one agent. Agents name themselves, so nobody knows how many there are.
type Name = tuple[str, str]
NAME: LiteralString = "s.agent, s.agent_version"


def busiest(scope: Scope, at_most: int) -> list[Name]:
    """The versions with the most proposals, and one more where there are more."""
    return [
        (agent, version)
        for agent, version, _ in rows(
            f"""
            SELECT {NAME}, sum(c.proposals)
              FROM (SELECT c.segment_id, sum(c.proposals) AS proposals
                      FROM orchestrator_proposalday c WHERE {within(scope, apart=True)}
                     GROUP BY c.segment_id) AS c
              JOIN orchestrator_segment s ON s.id = c.segment_id
             GROUP BY {NAME} ORDER BY sum(c.proposals) DESC, {NAME} LIMIT %(most)s
            """,
            values_of(scope, most=at_most + 1),
        )
    ]


AMONG: LiteralString = (
    f"({NAME}) IN (SELECT * FROM unnest(%(agents)s::text[], %(agent_versions)s::text[]))"
)


def among(names: Sequence[Name]) -> dict[str, list[str]]:
    """What to fill `AMONG` with."""
    return {
        "agents": [agent for agent, _ in names],
        "agent_versions": [version for _, version in names],
    }


def ended(
    scope: Scope,
    *,
    period: LiteralString = "",
    names: LiteralString = "",
    only: Sequence[Name] | None = None,
) -> list[tuple[Any, ...]]:
    """Per way to end: disposition, status, edited, currency, count, amount.

    Before them what else it is told apart by: a period, as an expression over `c.day`, and names of the
    segment `s`. With a rule, only proposals that it did not let pass where it decided.
    """
    which: LiteralString = f"WHERE {AMONG}" if only is not None else ""
    apart = bool(names or scope.rule)
    table: LiteralString = "orchestrator_ruleday" if scope.rule else "orchestrator_proposalday"
    of_rule: LiteralString = _OF_RULE if scope.rule else ""
    first: LiteralString = f"{period}, " if period else ""
    outer: LiteralString = f"{'c.period, ' if period else ''}{f'{names}, ' if names else ''}"
    return rows(
        # By segment first, which are few numbers, and by their names then.
        f"""
        SELECT {outer}{_ENDS}, s.currency, sum(c.proposals), sum(c.amount)
          FROM (SELECT {f"{period} AS period, " if period else ""}c.segment_id, {_ENDS},
                       sum(c.proposals) AS proposals, sum(c.amount) AS amount
                  FROM {table} c WHERE {within(scope, apart=apart)} {of_rule}
                 GROUP BY {first}c.segment_id, {_ENDS}) AS c
          JOIN orchestrator_segment s ON s.id = c.segment_id {which}
         GROUP BY {outer}{_ENDS}, s.currency ORDER BY {outer}{_ENDS}, s.currency
        """,
        values_of(scope, rule=scope.rule, **among(only or ())),
    )


_OF_RULE: LiteralString = """
    AND c.enforced AND c.rule_version_id IN (
        SELECT v.id FROM orchestrator_ruleversion v
          JOIN orchestrator_rule r ON r.id = v.rule_id WHERE r.slug = %(rule)s)
"""


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
        counts=counts,
    )
