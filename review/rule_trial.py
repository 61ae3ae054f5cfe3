"""A rule tried on one recorded proposal, as its pages show it."""

from dataclasses import dataclass

from orchestrator import rule_trial
from orchestrator.core.policy.guardrails import Check, Rule
from orchestrator.core.typeid import PATTERN
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
    tried = rule_trial.try_recorded(rule, proposal.pk)
    if tried is None:
        return Trial(chosen, typed, NOT_RECORDED)
    return Trial(
        chosen,
        typed,
        proposal=proposal,
        check=tried.check,
        otherwise=OTHERWISE[rule.effect],
        is_outside=not tried.is_inside,
    )
