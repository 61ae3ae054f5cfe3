"""What the pages of policies show: the list, the one that decides, a version and what can be done with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from orchestrator import backtest_queries, policy_queries
from orchestrator.core.policy.compare import Comparison
from orchestrator.core.policy.compare_terms import compare_terms, target_text
from orchestrator.core.policy.terms import Scope
from orchestrator.models import Backtest, EvaluationPolicy
from orchestrator.policy_queries import Lately
from review.access import may
from review.findings import verdict_words
from review.rule_forms import BacktestForm
from review.version_way import moves_of, steps_of

VERSIONS_MAX = 100
BACKTESTS_MAX = 10
Stage = EvaluationPolicy.Stage


@dataclass(frozen=True, slots=True)
class Line:
    """One scope in the list, by the version that stands for it."""

    policy: EvaluationPolicy
    newest: int
    lately: Lately

    @property
    def newer(self) -> int | None:
        """What was written since and does not decide yet."""
        return self.newest if self.newest > self.policy.number else None

    @property
    def written_by(self) -> str:
        return written_by(self.policy)


def lines_of(policies: Sequence[EvaluationPolicy]) -> list[Line]:
    lately = policy_queries.lately([policy.pk for policy in policies])
    newest = policy_queries.newest_numbers([policy.scope for policy in policies])
    return [Line(one, newest.get(one.scope, one.number), lately[one.pk]) for one in policies]


def written_by(policy: EvaluationPolicy) -> str:
    return policy.created_by.get_username() if policy.created_by else "Countersign"


_NAMES = {
    "agent": "Agent",
    "agent_version": "Its version",
    "action": "Action",
    "tier": "Risk",
}


def scope_words(scope: Scope) -> list[tuple[str, str]]:
    """What it names and what it leaves open."""
    return [(label, getattr(scope, name)) for name, label in _NAMES.items()]


def wording(policy: EvaluationPolicy) -> dict[str, Any]:
    """What `policy_says.html` needs."""
    terms = policy.terms
    return {
        "policy": policy,
        "terms": terms,
        "scope": scope_words(policy.scope),
        "target": target_text(terms.target_error) if terms.target_error is not None else "",
    }


def comparison_of(old: EvaluationPolicy, new: EvaluationPolicy) -> Comparison:
    return compare_terms(old.terms, new.terms)


def policy_facts(request: HttpRequest, policy: EvaluationPolicy, **more: Any) -> dict[str, Any]:
    may_edit = may(request.user, "policies.edit")
    active = policy_queries.active_version(policy.scope)
    rival = active if active and active.pk != policy.pk else None
    before = policy_queries.version_before(policy)
    has_backtest = backtest_queries.newest_done(policy) is not None
    pending = policy_queries.pending_change(policy.scope)
    backtests = backtest_queries.backtests_of(policy, at_most=BACKTESTS_MAX)
    return (
        wording(policy)
        | {
            "version": policy,
            "active": rival,
            "compared": comparison_of(rival, policy) if rival else None,
            "before": before if before != rival else None,
            "changed": comparison_of(before, policy) if before and before != rival else None,
            "wider": None if active else policy_queries.wider(policy.scope),
            "approver": policy_queries.approver_of(policy) if policy.activated_at else "",
            "steps": steps_of(policy, has_backtest=has_backtest),
            "versions": policy_queries.versions(policy.scope, at_most=VERSIONS_MAX),
            "lately": policy_queries.lately([policy.pk])[policy.pk],
            "lately_max": policy_queries.LATELY_MAX,
            "backtests": [(one, backtest_in_words(one)) for one in backtests],
            "pending": pending,
            "moves": moves_of(policy, pending, has_backtest=has_backtest) if may_edit else [],
            "backtest_form": BacktestForm(),
            "may_edit": may_edit,
            "is_four_eyes": settings.RULES_FOUR_EYES,
            "noun": "policy",
            "addresses": addresses_of(policy),
        }
        | more
    )


def addresses_of(policy: EvaluationPolicy) -> dict[str, str]:
    """Where its moves are sent."""
    place = [policy.number]
    return {
        "backtest": reverse("backtest_policy", args=place),
        "stage": reverse("policy_stage", args=place),
        "edit": reverse("edit_policy", args=place),
    }


def backtest_in_words(found: Backtest) -> str:
    """The one line that a list has room for."""
    report = backtest_queries.report_on(found)
    if not found.done or report.effect is None:
        return ""
    rows = verdict_words(report.effect).rows
    accepted, asked = rows[0], rows[2]
    return (
        f"accepts {accepted.after} a day ({accepted.before} then), {asked.after} before people "
        f"({asked.before} then); {report.findings.flips_total:,} change"
    )
