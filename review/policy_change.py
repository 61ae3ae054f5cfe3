"""What somebody needs to see who is asked to countersign a change of an evaluation policy."""

from dataclasses import dataclass
from typing import Any

from orchestrator import backtest_queries, policy_queries
from orchestrator.backtest_queries import Report
from orchestrator.core.policy import changes
from orchestrator.core.policy.compare import Comparison
from orchestrator.models import EvaluationPolicy, Proposal
from review.findings import findings_facts
from review.policy_page import comparison_of, wording


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """`other` is what decides about its scope until then: an older version, or a policy of a wider scope."""

    policy: EvaluationPolicy
    other: EvaluationPolicy | None
    sentence: str
    note: str
    needs_backtest: bool
    comparison: Comparison | None
    report: Report | None
    # What the parts of `policy_change.html` need besides.
    facts: dict[str, Any]
    template: str = "review/policy_change.html"


def policy_change_of(proposal: Proposal) -> PolicyChange | None:
    """None for any other proposal, and for one whose policy is not there."""
    number = proposal.args.get("policy")
    if proposal.action not in changes.OF_POLICIES or not isinstance(number, int):
        return None
    policy = policy_queries.policy(number)
    if policy is None:
        return None
    is_retirement = proposal.action == changes.RETIRE_POLICY
    before = proposal.args.get("instead_of")
    older = policy_queries.policy(before) if isinstance(before, int) else None
    other = (older if not is_retirement else None) or policy_queries.wider(policy.scope)
    found = backtest_queries.backtest(str(proposal.args.get("backtest") or ""))
    report = backtest_queries.report_on(found) if found else None
    compared = (policy, other) if is_retirement else (other, policy)
    return PolicyChange(
        policy=policy,
        other=other,
        sentence=_sentence(policy, other, older, is_retirement=is_retirement),
        note=proposal.rationale,
        needs_backtest=not is_retirement and policy.activated_at is None,
        comparison=comparison_of(*compared) if compared[0] and compared[1] else None,
        report=report,
        facts=wording(policy) | (findings_facts(report) if report else {}),
    )


def _sentence(
    policy: EvaluationPolicy,
    other: EvaluationPolicy | None,
    older: EvaluationPolicy | None,
    *,
    is_retirement: bool,
) -> str:
    instead = f"version {other.number}, which is for {other.scope}" if other else "no other"
    if is_retirement:
        return f"It decides about {policy.scope} now. Once this is approved, {instead} does."
    if older is None:
        return f"About {policy.scope} {instead} decides now. Once this is approved, it does."
    if policy.activated_at:
        return f"Back to version {policy.number}, which decided before, instead of {older.number}."
    return f"Version {policy.number} takes the place of version {older.number}."
