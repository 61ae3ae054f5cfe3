"""A rule, stored or not, asked about one recorded proposal: what it says and why. Nothing is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator import rule_queries
from orchestrator.core.policy import guardrails
from orchestrator.core.policy.guardrails import Check, Rule
from orchestrator.core.policy.history import Ask, read_windows
from orchestrator.core.typeid import PATTERN
from orchestrator.history_queries import values_for
from orchestrator.models import Proposal
from review import reads
from review.presentation.effects import OTHERWISE

NOT_FOUND = "There is no proposal with that id. Ids of proposals begin with prp_."
NOT_RECORDED = (
    "Nothing was recorded of what rules saw of that proposal, so it cannot be tried on it."
)


@dataclass(frozen=True, slots=True)
class Trial:
    """`chosen` and `typed` are how the proposal was named; the rest is empty until there is one."""

    chosen: str = ""
    typed: str = ""
    problem: str = ""
    proposal: Proposal | None = None
    check: Check | None = None
    rows: tuple[dict[str, Any], ...] = ()
    otherwise: str = ""
    is_outside: bool = False
    is_new: bool = False


def try_rule(rule: Rule, *, chosen: str, typed: str) -> Trial:
    wanted = typed.strip() or chosen
    if not wanted:
        return Trial()
    proposal = reads.find(wanted) if PATTERN.fullmatch(wanted) else None
    if not isinstance(proposal, Proposal):
        return Trial(chosen, typed, NOT_FOUND)
    inputs = rule_queries.recorded_inputs(proposal.pk)
    if inputs is None:
        return Trial(chosen, typed, NOT_RECORDED)
    inputs["now"] = datetime.fromisoformat(inputs["now"])
    numbers, missing = _past(rule, proposal, inputs)
    if missing:
        return Trial(
            chosen, typed, f"Its past cannot be counted, so the rule would hold: {missing}"
        )
    (check,) = guardrails.check_all([rule], {**inputs, "history": {rule.slug: numbers}})
    return Trial(
        chosen,
        typed,
        proposal=proposal,
        check=check,
        rows=tuple(guardrails.explain_condition(rule.condition, {**inputs, "history": numbers})),
        otherwise=OTHERWISE[rule.effect],
        is_outside=not _is_inside(rule, inputs),
    )


def _past(rule: Rule, proposal: Proposal, inputs: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The numbers of its windows as of then, or why there are none."""
    if not rule.history:
        return {}, ""
    seen = inputs["proposal"]
    ask = Ask(
        id=proposal.pk,
        at=inputs["now"],
        agent=proposal.agent,
        action=proposal.action,
        target=proposal.target,
        workflow=inputs["run"].get("workflow", ""),
        args=seen.get("args", {}),
    )
    past = values_for([ask], {rule.slug: read_windows(dict(rule.history))})[proposal.pk]
    return dict(past.numbers.get(rule.slug, {})), past.reason(rule.slug)


def _is_inside(rule: Rule, inputs: dict[str, Any]) -> bool:
    return rule.applies_to(
        action=inputs["proposal"]["action"],
        agent=inputs["agent"]["name"],
        workflow=inputs["run"].get("workflow", ""),
        tier=inputs["proposal"].get("tier", "normal"),
    )
