"""What rules and scores make of one proposal. Nothing of it is told or released here.

Everything that is asked sees one set of inputs and nothing else, which is kept, so that it can be asked
again later: by a backtest, by a replay, by somebody who wants to know why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from orchestrator import history_queries
from orchestrator.actions import accepting, lineage, rounds, scores, thresholds
from orchestrator.actions.scores import Scored
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import RevisionBlocked
from orchestrator.core.policy import evaluation, guardrails, history, masking
from orchestrator.core.policy.changes import is_change
from orchestrator.core.policy.validation import Heard
from orchestrator.engine import audits
from orchestrator.models import (
    Disposition,
    EvaluationPolicy,
    PolicyCheck,
    Proposal,
    RuleVersion,
    Snapshot,
    WorkflowVersion,
)

# What no person would look at. Validators are asked about nothing else: they cost money.
UNSEEN = frozenset({"accept", "revise"})
CHANGE_REASON = "a change of Countersign itself needs another admin"


@dataclass(frozen=True, slots=True)
class Replaced:
    """The proposal in whose place a new one stands, and who put it there."""

    proposal: Proposal
    by: str
    # A person who wrote the new one. An agent's answer has none.
    editor: User | None = None
    # The item that the editor had in front of them.
    item: str | None = None
    # People had it already, so it comes back to people whatever its score.
    asked_by_people: bool = True


@dataclass(frozen=True, slots=True)
class Judgement:
    """What rules and bands made of a proposal, with all that it rests on."""

    snapshot: Snapshot
    checks: Sequence[guardrails.Check]
    policy: EvaluationPolicy
    scored: Scored
    outcome: evaluation.Disposition
    # Validators have been asked, or there are none.
    is_final: bool

    @property
    def verdict(self) -> str:
        return self.outcome.verdict


def judge(
    proposal: Proposal,
    version: WorkflowVersion,
    after: Replaced | None = None,
    *,
    rounds_left: int,
    heard: Sequence[Heard] | None = None,
) -> Judgement:
    """Rules and bands see the inputs and nothing else, so that they can be asked again later.

    What nobody would look at any more is not final while the policy has validators that were not heard.

    What the contract masks is hidden before anything of it is stored; the rules saw the values.
    """
    now = timezone.now()
    inputs: dict[str, Any] = _inputs(proposal, version)
    asked = _rules_for(proposal, version)
    past = _past_of(proposal, version, asked, now)
    inputs["history"] = past.numbers
    unknown = {rule: past.reason(rule) for rule in past.errors}
    checks = guardrails.check_all(asked, {**inputs, "now": now}, no_history=unknown)
    masked = proposal.contract_version.masked if proposal.contract_version else ()
    text = canonical({**masking.mask(inputs, masked), "now": now.isoformat()})
    snapshot = Snapshot.objects.create(proposal=proposal, inputs=text, digest=digest(text))
    policy = thresholds.policy_for(proposal.scope)
    scored = scores.score(proposal, policy.terms, checks, heard)
    # From here on nothing has the values: the reasons of a disposition are those of its checks.
    checks = masking.mask_checks(checks, inputs, masked)
    if is_change(proposal.action):
        outcome = evaluation.Disposition("hold", "escalate", (CHANGE_REASON,), 1)
    else:
        outcome = _dispose(proposal, policy, scored, checks)
    if after is not None:
        outcome = _for_people(outcome, after)
    if outcome.verdict == "revise" and rounds_left <= 0:
        reasons = (rounds.used_up(proposal), *outcome.reasons)
        outcome = evaluation.Disposition("escalate", outcome.band, reasons, 1)
    is_final = heard is not None or not (policy.validators and outcome.verdict in UNSEEN)
    return Judgement(snapshot, checks, policy, scored, outcome, is_final)


def _dispose(
    proposal: Proposal,
    policy: EvaluationPolicy,
    scored: Scored,
    checks: Sequence[guardrails.Check],
) -> evaluation.Disposition:
    """By checks and bands; and what would run by itself, by what it is covered with as well."""
    tainted = lineage.sentences(proposal)
    outcome = evaluation.dispose(scored.score, policy.bands, checks, scored.doubts, tainted)
    if outcome.verdict != "accept":
        return outcome
    limits = accepting.limits_for(proposal, policy.terms)
    outcome = evaluation.dispose(scored.score, limits.bands, checks, limits.doubts)
    if outcome.verdict != "accept":
        return outcome
    return replace(outcome, reasons=(*outcome.reasons, *limits.because))


def _for_people(outcome: evaluation.Disposition, after: Replaced) -> evaluation.Disposition:
    """What people had before comes back to them, whatever its score; an edit is never just let through."""
    if after.editor is not None and outcome.verdict == "block":
        raise RevisionBlocked("; ".join(outcome.reasons))
    if outcome.verdict == "block" or outcome.approvals_needed or not after.asked_by_people:
        return outcome
    said = "edited it" if after.editor else "was asked to change it"
    reasons = (f"{after.by} {said}; no rule holds it any more",)
    return evaluation.Disposition("hold", outcome.band, reasons, 1)


def _rules_for(proposal: Proposal, version: WorkflowVersion) -> list[guardrails.Rule]:
    """None for a change of Countersign itself: a mistake in a rule must not keep people from mending it."""
    if is_change(proposal.action):
        return []
    rules = [asked.as_rule for asked in RuleVersion.objects.asked().order_by("rule__slug", "pk")]
    return [
        rule
        for rule in rules
        if rule.applies_to(
            action=proposal.action,
            agent=proposal.agent,
            workflow=version.workflow.slug,
            tier=proposal.scope.tier,
        )
    ]


def _past_of(
    proposal: Proposal,
    version: WorkflowVersion,
    rules: Sequence[guardrails.Rule],
    now: datetime,
) -> history.Past:
    """What the rules declare to count. Others that count the same wait, so that no two slip under one limit.

    Shadows count first and by themselves: nobody waits for them, and one that takes too long costs
    no rule in force its answer.
    """
    ask = history.Ask(
        id=proposal.pk,
        at=now,
        agent=proposal.agent,
        action=proposal.action,
        target=proposal.target,
        workflow=version.workflow.slug,
        args=proposal.args,
        live=True,
    )
    asking = [rule for rule in rules if rule.history]
    watched = _windows_of(rule for rule in asking if not rule.enforced)
    past = history.Past()
    if watched:
        past = history_queries.values_for([ask], watched)[proposal.pk]
    enforced = _windows_of(rule for rule in asking if rule.enforced)
    if enforced:
        history_queries.lock_windows([ask], enforced)
        past = past.with_more(history_queries.values_for([ask], enforced)[proposal.pk])
    return past


def _windows_of(rules: Iterable[guardrails.Rule]) -> dict[str, history.Windows]:
    return {rule.past: history.read_windows(rule.history) for rule in rules}


def _inputs(proposal: Proposal, version: WorkflowVersion) -> dict[str, Json]:
    tainted: list[Json] = list(proposal.tainted)
    return {
        "proposal": {
            "action": proposal.action,
            "target": proposal.target,
            "args": proposal.args,
            "confidence": proposal.confidence,
            "rationale": proposal.rationale,
            "tainted": tainted,
            "tier": proposal.scope.tier,
        },
        "agent": {
            "name": proposal.agent,
            "version": proposal.agent_version,
            "model": proposal.model,
        },
        "run": {"id": proposal.run_id, "workflow": version.workflow.slug},
        "context": proposal.context,
        "history": {},
    }


def store(proposal: Proposal, judgement: Judgement) -> Disposition:
    snapshot = judgement.snapshot
    PolicyCheck.objects.bulk_create(
        PolicyCheck(
            proposal=proposal,
            rule_version_id=check.version_id,
            snapshot=snapshot,
            effect=check.effect,
            enforced=check.enforced,
            result=check.result,
            reason=check.reason,
            explain=list(check.explain),
        )
        for check in judgement.checks
    )
    scores.store(proposal, snapshot, judgement.scored)
    # Before it counts as one of its own stratum.
    chance = audits.chance_of(proposal, judgement.verdict)
    proposal.disposition = judgement.verdict
    if judgement.verdict == "revise":
        proposal.due_at = timezone.now() + timedelta(hours=settings.REVISION_DUE_HOURS)
    proposal.save(update_fields=["disposition", "due_at"])
    return Disposition.objects.create(
        proposal=proposal,
        snapshot=snapshot,
        policy=judgement.policy,
        verdict=judgement.verdict,
        band=judgement.outcome.band,
        score=judgement.scored.score,
        reasons=list(judgement.outcome.reasons),
        draw_chance=chance,
    )
