"""Recorded proposals as the terms of then saw them: read back for backtests and for the editor of policies."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from django.conf import settings
from django.db import connection

from orchestrator import audit_queries
from orchestrator.core.policy.backtest import APPROVED, REJECTED, UNKNOWN
from orchestrator.core.policy.changes import RESERVED
from orchestrator.core.policy.evaluation import follows_from_score
from orchestrator.core.policy.queue_load import BLOCKED, Objection, elsewhere
from orchestrator.core.policy.second_look import Seen
from orchestrator.core.policy.terms import CALIBRATED, Scope, Terms
from orchestrator.core.typeid import least_at
from orchestrator.models import Evaluation, EvaluationPolicy, PolicyCheck

_VALIDATOR = Evaluation.Evaluator.VALIDATOR.value
# The first disposition of each. DISTINCT ON and not LIMIT 1 in a subquery, for which the planner may
# walk the wrong index.
_RECORDED: LiteralString = """
    SELECT DISTINCT ON (p.id) p.id, p.created_at, p.agent, p.agent_version, p.action,
           coalesce(c.tier, 'normal'), p.confidence, d.snapshot_id, d.policy_id, d.verdict, d.band, d.score,
           coalesce(d.reasons->>0, '')
      FROM {chosen} AS p
      JOIN orchestrator_disposition d ON d.proposal_id = p.id
      LEFT JOIN orchestrator_contractversion c ON c.id = p.contract_version_id
     ORDER BY p.id DESC, d.id
"""
_BY_ID: LiteralString = """
    (SELECT * FROM orchestrator_proposal WHERE id = ANY(%(ids)s::text[]))
"""
# Bounded before anything is filtered that no index leads to, so that a rare scope costs as much as any.
_NEWEST: LiteralString = """
    (SELECT * FROM orchestrator_proposal
      WHERE id < %(before)s::text AND id >= %(since)s::text {where}
      ORDER BY id DESC LIMIT %(at_most)s::integer)
"""
_LED_TO: dict[str, LiteralString] = {
    "agent": "AND agent = %(agent)s::text",
    "action": "AND action = %(action)s::text",
    "": "",
}


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    at: datetime
    scope: Scope
    stated: float | None
    snapshot: int
    policy: int
    verdict: str
    band: str
    score: float | None
    # The first one.
    reason: str

    def is_doubted(self, terms: Terms) -> bool:
        """Its score was good enough, or not looked at. Where there was none, that was the doubt."""
        if self.band != "escalate" or self.score is None:
            return False
        return terms.bands.of(self.score) != self.band or (
            self.verdict == self.band and not follows_from_score(self.reason)
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """The newest proposals of a scope, within a time."""

    seen: Sequence[Seen]
    # How many were looked at to find them, and since when; whether there may be more.
    looked_at: int
    oldest: datetime | None
    is_capped: bool


def of_proposals(ids: Collection[str], *, terms: Collection[Terms]) -> dict[str, Seen]:
    """By proposal, those that were ever judged. What no terms ask about is not read."""
    rows = _rows(_RECORDED.format(chosen=_BY_ID), {"ids": list(ids)})
    return dict(zip([row.id for row in rows], _seen(rows, _asks_more(terms)), strict=True))


def of_scope(scope: Scope, since: datetime, until: datetime, *, terms: Terms) -> Recorded:
    """At most SCORES_READ_MAX are looked at, so that it costs the same whatever the tables hold."""
    led_by = next((name for name in ("agent", "action") if name in scope.named), "")
    chosen = _NEWEST.format(where=_LED_TO[led_by])
    values: dict[str, Any] = {
        "before": least_at("prp", until),
        "since": least_at("prp", since),
        "at_most": settings.SCORES_READ_MAX,
        "agent": scope.agent,
        "action": scope.action,
    }
    looked = _rows(_RECORDED.format(chosen=chosen), values)
    rows = [
        row for row in looked if scope.fits(row.scope) and not row.scope.action.startswith(RESERVED)
    ]
    return Recorded(
        seen=_seen(rows, _asks_more([terms])),
        looked_at=len(looked),
        oldest=looked[-1].at if looked else None,
        is_capped=len(looked) >= settings.SCORES_READ_MAX,
    )


def _rows(statement: LiteralString, values: dict[str, Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [
            Row(key, at, Scope(agent, version, action, tier), *rest)
            for key, at, agent, version, action, tier, *rest in cursor.fetchall()
        ]


def _seen(rows: Sequence[Row], with_opinions: bool) -> list[Seen]:
    truths = audit_queries.truths_of([row.id for row in rows])
    policies = EvaluationPolicy.objects.in_bulk({row.policy for row in rows})
    people = _people([row.snapshot for row in rows if row.verdict in {"hold", BLOCKED}])
    opinions = _opinions([row.snapshot for row in rows]) if with_opinions else {}
    # Once for each policy and not for each row.
    then = {key: policy.terms for key, policy in policies.items()}

    def seen(row: Row) -> Seen:
        terms, truth = then[row.policy], truths.get(row.id)
        said = opinions.get(row.snapshot, {})
        calibrated, validated = said.get(CALIBRATED, {}), said.get(_VALIDATOR, {})
        was_calibrated = terms.score == CALIBRATED
        return Seen(
            scope=row.scope,
            stated=row.stated,
            verdict=row.verdict,
            band=row.band,
            was_doubted=row.is_doubted(terms),
            people=people.get(row.snapshot, 0),
            human=UNKNOWN if truth is None else APPROVED if truth.should_run else REJECTED,
            calibrated=calibrated.get("") if was_calibrated else None,
            was_calibrated=was_calibrated,
            validated={
                one.asks: validated[one.name] for one in terms.validators if one.name in validated
            },
        )

    return [seen(row) for row in rows]


def _people(snapshots: Sequence[int]) -> dict[int, int]:
    """How many people rules asked for."""
    objections: dict[int, list[Objection]] = defaultdict(list)
    checks = PolicyCheck.objects.filter(snapshot__in=snapshots, enforced=True)
    for snapshot, effect, result in checks.exclude(result="pass").values_list(
        "snapshot", "effect", "result"
    ):
        objections[snapshot].append(Objection(0, effect, result))
    asked = {key: elsewhere("accept", found, rule=-1) for key, found in objections.items()}
    return {key: int(text) for key, text in asked.items() if text != BLOCKED}


type _Scores = Mapping[str, Mapping[str, float | None]]


def _opinions(snapshots: Sequence[int]) -> Mapping[int, _Scores]:
    """By evaluator, each by its name: a validator may have any, and what is calibrated has none."""
    found: dict[int, dict[str, dict[str, float | None]]] = defaultdict(lambda: defaultdict(dict))
    rows = Evaluation.objects.filter(
        snapshot__in=snapshots, evaluator__in=(CALIBRATED, _VALIDATOR)
    ).values_list("snapshot", "evaluator", "name", "score")
    for snapshot, evaluator, name, score in rows:
        found[snapshot][evaluator][name] = score
    return found


def _asks_more(terms: Collection[Terms]) -> bool:
    return any(one.validators or one.score == CALIBRATED for one in terms)
