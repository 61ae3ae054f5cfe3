"""Proposals: taken in, checked, evaluated and disposed of, in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from orchestrator import history_queries
from orchestrator.actions import contracts, effects, runs, thresholds, workflows
from orchestrator.actions.actor import Actor, audit
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, digest, read
from orchestrator.core.errors import BadInput, RevisionBlocked
from orchestrator.core.policy import evaluation, guardrails, history, masking
from orchestrator.core.policy.changes import RESERVED, is_change
from orchestrator.engine import audits
from orchestrator.engine.advance import Step, advance, complete
from orchestrator.engine.claim import Claimed
from orchestrator.engine.opening import open_item
from orchestrator.failpoints import failpoint
from orchestrator.models import (
    ContractVersion,
    Disposition,
    Evaluation,
    EvaluationPolicy,
    Event,
    PolicyCheck,
    Proposal,
    ReviewItem,
    RuleVersion,
    Run,
    Snapshot,
    WorkflowVersion,
)

CHANGE_REASON = "a change of the rules needs another admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What an agent sends: the action it suggests and the evidence it has."""

    agent: str
    action: str
    target: str = ""
    args: dict[str, Json] = field(default_factory=dict)
    workflow: str = "default"
    agent_version: str = ""
    model: str = ""
    external_id: str = ""
    confidence: float | None = None
    rationale: str = ""
    context: dict[str, Json] = field(default_factory=dict)
    tainted: list[str] = field(default_factory=list)
    trace: dict[str, Json] = field(default_factory=dict)

    @property
    def payload(self) -> str:
        """What would run, and nothing else: an approval is bound to the digest of these bytes."""
        return canonical({"action": self.action, "args": self.args, "target": self.target})

    @property
    def evidence(self) -> str:
        tainted: list[Json] = list(self.tainted)
        return canonical({"context": self.context, "tainted": tainted, "trace": self.trace})


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
class _Judgement:
    """What rules and bands made of a proposal, with all that it rests on."""

    snapshot: Snapshot
    checks: Sequence[guardrails.Check]
    policy: EvaluationPolicy
    outcome: evaluation.Disposition

    @property
    def verdict(self) -> str:
        return self.outcome.verdict


def submit(actor: Actor, suggestion: Suggestion) -> Proposal:
    """Take a suggestion in. When this returns, it has been checked and what follows is stored.

    1. Refuse while the queue of effects is full: accepted work is never dropped.
    2. Refuse arguments that do not fit the contract of their action.
    3. Store the proposal in a run of its own, with a snapshot of everything the rules may see.
    4. Ask every rule that applies, then the bands; store each check, the score and the disposition.
    5. Open a review item, or release the effect, or neither; the run's events say which.
    """
    _check_open_to_agents(suggestion.action)
    return _submit(actor, suggestion)


def submit_change(actor: Actor, suggestion: Suggestion) -> Proposal:
    """Take in what a person asks to change about Countersign itself: always for another to decide."""
    return _submit(actor, suggestion)


@transaction.atomic
def _submit(actor: Actor, suggestion: Suggestion) -> Proposal:
    runs.check_room("effects")
    version = workflows.version_for(actor, suggestion.workflow)
    run = Run.objects.create(workflow_version=version, token=actor.token, started_by=actor.user)
    started = ev.RunStarted(
        workflow=version.workflow.slug,
        version=version.number,
        pattern="direct",
        definition=version.content_hash,
    )
    judged = _take_in(actor, run, suggestion)
    advance([Step(run.pk, event) for event in (started, *judged.events)])
    judged.release()
    failpoint("proposed-in-transaction")
    judged.proposal.refresh_from_db(fields=["status"])
    return judged.proposal


def _check_open_to_agents(action: str) -> None:
    if is_change(action):
        raise BadInput(
            "action", f"{RESERVED}* is Countersign itself, which only people may change."
        )


def propose(claimed: Claimed) -> None:
    """What an agent of a run said becomes a proposal of that run, checked like any other.

    An agent that was sent back what it proposed answers with what stands in its place.
    """
    run = Run.objects.select_related("workflow_version__workflow", "token", "started_by").get(
        pk=claimed.run
    )
    suggestion = _suggested(claimed, run)
    with transaction.atomic():
        # First of all: every row that refers to the run would lock it in another order.
        Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        actor = Actor(run.started_by, run.token)
        place = _Place(claimed.payload["work"], claimed.payload.get("visit", 0))
        judged = _take_in(actor, run, suggestion, place=place, after=_sent_back(run, claimed))
        complete(claimed, *judged.events)
        judged.release()
        failpoint("proposed-in-transaction")


def replace(actor: Actor, suggestion: Suggestion, after: Replaced) -> Proposal:
    """Put a revision in the place of a proposal, in the caller's transaction, who holds the run."""
    run = after.proposal.run
    place = _place_of(after.proposal)
    judged = _take_in(actor, run, suggestion, place=place, after=after)
    advance([Step(run.pk, event) for event in judged.events])
    judged.release()
    failpoint("revised-in-transaction")
    judged.proposal.refresh_from_db(fields=["status"])
    return judged.proposal


@dataclass(frozen=True, slots=True)
class _Place:
    """The work of a run whose output it is, and which coming to it."""

    work: str = ""
    visit: int = 0


def _place_of(proposal: Proposal) -> _Place:
    """Where the first of its line stood: each says it in the event with which it was received."""
    received = Event.objects.filter(
        run=proposal.run_id, kind="proposal_received", payload__contains=proposal.pk
    )
    for event in received.order_by("seq"):
        data = read(event.payload)
        if isinstance(data, dict) and data.get("proposal") == proposal.pk:
            return _Place(str(data.get("work", "")), int(str(data.get("visit", 0))))
    return _Place()


def _sent_back(run: Run, claimed: Claimed) -> Replaced | None:
    """What the agent was handed back, unless that has expired meanwhile."""
    state = read(run.state) if run.state else None
    works = state.get("works", {}) if isinstance(state, dict) else {}
    work = works.get(claimed.payload["work"]) if isinstance(works, dict) else None
    inputs = work.get("inputs", {}) if isinstance(work, dict) else {}
    before = inputs.get("sent_back") if isinstance(inputs, dict) else None
    known = Proposal.objects.filter(
        pk=str(before), status=Proposal.Status.REVISION_REQUESTED
    ).first()
    if known is None:
        return None
    return Replaced(known, by=known.agent, asked_by_people=was_sent_back(known))


def was_sent_back(proposal: Proposal) -> bool:
    """By a person, and not by its score."""
    return ReviewItem.objects.filter(proposal=proposal, closed_because="sent back").exists()


def _suggested(claimed: Claimed, run: Run) -> Suggestion:
    """The agent's own words, and from the log who it was."""
    said = Event.objects.get(run=run, seq=claimed.payload["output"])
    found = read(said.payload)
    data = found if isinstance(found, dict) else {}
    output, agent = data.get("output"), data.get("agent")
    known = agent if isinstance(agent, dict) else {}
    action = output.get("action") if isinstance(output, dict) else None
    if not isinstance(output, dict) or not isinstance(action, str):
        raise BadInput(
            f"output of {claimed.payload['work']}",
            "it is to be proposed, so it has to be an object with at least an `action`.",
        )
    _check_open_to_agents(action)
    return Suggestion(
        agent=str(known.get("name", claimed.payload["work"]))[:100],
        agent_version=str(known.get("version", ""))[:100],
        model=str(known.get("model", ""))[:200],
        action=action[:100],
        target=_text(output, "target", 500),
        args=_object(output, "args"),
        workflow=run.workflow_version.workflow.slug,
        confidence=_score(output.get("confidence")),
        rationale=_text(output, "rationale", 20_000),
        context=_object(output, "context"),
    )


def _text(output: dict[str, Json], name: str, most: int) -> str:
    found = output.get(name, "")
    if not isinstance(found, str) or len(found) > most:
        raise BadInput(f"output/{name}", f"it has to be a text of at most {most:,} characters.")
    return found


def _object(output: dict[str, Json], name: str) -> dict[str, Json]:
    found = output.get(name, {})
    if not isinstance(found, dict):
        raise BadInput(f"output/{name}", "it has to be an object.")
    return found


def _score(found: Json) -> float | None:
    """What is no number from 0 to 1 counts as no confidence, which a person then looks at."""
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= 1:
        return float(found)
    return None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A proposal that was looked at: what is to be said of it, and what is released once it was said."""

    actor: Actor
    proposal: Proposal
    disposition: Disposition
    effect: str | None
    events: tuple[ev.Event, ...]

    def release(self) -> None:
        if self.effect:
            effects.release(self.proposal, effect=self.effect, disposition=self.disposition)
        audits.draw(self.proposal, self.disposition)
        audit(
            self.actor,
            "proposal.submitted",
            self.proposal.pk,
            disposition=self.disposition.verdict,
        )


def _take_in(
    actor: Actor,
    run: Run,
    suggestion: Suggestion,
    *,
    place: _Place = _Place(),
    after: Replaced | None = None,
) -> _Judged:
    contract = _contract_of(suggestion)
    proposal = _store(actor, run, suggestion, contract, after)
    judgement = _judge(proposal, run.workflow_version, after)
    disposition = _store_judgement(proposal, judgement)
    item = _open_item(proposal, judgement, after)
    effect = effects.new_effect_id() if judgement.verdict == "accept" else None
    happened = (
        *_superseded(proposal, after),
        _received(proposal, place),
        _disposed(proposal, judgement, item, effect),
    )
    return _Judged(actor, proposal, disposition, effect, happened)


def _superseded(proposal: Proposal, after: Replaced | None) -> Iterable[ev.Event]:
    if after is not None:
        yield ev.ProposalSuperseded(
            proposal=after.proposal.pk, revision=proposal.pk, by=after.by, item=after.item
        )


def _contract_of(suggestion: Suggestion) -> ContractVersion | None:
    """None for a change of Countersign itself, as with rules: a contract must not keep people from it."""
    if is_change(suggestion.action):
        return None
    return contracts.check_arguments(suggestion.action, suggestion.args)


def _store(
    actor: Actor,
    run: Run,
    suggestion: Suggestion,
    contract: ContractVersion | None,
    after: Replaced | None,
) -> Proposal:
    before = after.proposal if after else None
    return Proposal.objects.create(
        run=run,
        # An edit is still that agent's proposal: whoever owns its token does not decide it.
        token=before.token if before else actor.token,
        revises=before,
        revision=before.revision + 1 if before else 1,
        edited_by=after.editor if after else None,
        external_id=suggestion.external_id,
        agent=suggestion.agent,
        agent_version=suggestion.agent_version,
        model=suggestion.model,
        action=suggestion.action,
        contract_version=contract,
        target=suggestion.target,
        payload=suggestion.payload,
        digest=digest(suggestion.payload),
        confidence=suggestion.confidence,
        rationale=suggestion.rationale,
        evidence=suggestion.evidence,
    )


def _judge(
    proposal: Proposal, version: WorkflowVersion, after: Replaced | None = None
) -> _Judgement:
    """Rules and bands see the inputs and nothing else, so that they can be asked again later.

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
    policy = thresholds.policy_in_force()
    # From here on nothing has the values: the reasons of a disposition are those of its checks.
    checks = masking.mask_checks(checks, inputs, masked)
    if is_change(proposal.action):
        outcome = evaluation.Disposition("hold", "escalate", (CHANGE_REASON,), 1)
    else:
        outcome = evaluation.dispose(proposal.confidence, policy.bands, checks)
    if after is not None:
        outcome = _for_people(outcome, after)
    return _Judgement(snapshot, checks, policy, outcome)


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
            tier=_tier_of(proposal),
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


def _tier_of(proposal: Proposal) -> str:
    version = proposal.contract_version
    return str(version.tier if version else ContractVersion.Tier.NORMAL.value)


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
            "tier": _tier_of(proposal),
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


def _store_judgement(proposal: Proposal, judgement: _Judgement) -> Disposition:
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
    Evaluation.objects.create(
        proposal=proposal,
        snapshot=snapshot,
        evaluator=Evaluation.Evaluator.CONFIDENCE,
        version=proposal.agent_version,
        score=proposal.confidence,
        raw=proposal.confidence,
    )
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
        score=proposal.confidence,
        reasons=list(judgement.outcome.reasons),
        draw_chance=chance,
    )


def _open_item(
    proposal: Proposal, judgement: _Judgement, after: Replaced | None
) -> ReviewItem | None:
    outcome = judgement.outcome
    if not outcome.approvals_needed:
        return None
    escalated = outcome.verdict == "escalate"
    kind = ReviewItem.Kind.ESCALATION if escalated else ReviewItem.Kind.GUARDRAIL_FAILURE
    if is_change(proposal.action):
        kind = ReviewItem.Kind.RULE_CHANGE
    failed = [check for check in judgement.checks if check.enforced and check.result != "pass"]
    return open_item(
        proposal.run,
        kind,
        proposal=proposal,
        because=outcome.reasons,
        fired=[check.rule for check in failed],
        has_error=any(check.result == "error" for check in failed),
        approvals_needed=outcome.approvals_needed,
        due_at=timezone.now() + timedelta(hours=settings.REVIEW_DUE_HOURS),
        **_carried(after),
    )


def _carried(after: Replaced | None) -> dict[str, Any]:
    """Who had the last one decides about the next: a team that it was handed to, and its urgency."""
    if after is None:
        return {}
    items = ReviewItem.objects.openly().filter(proposal=after.proposal)
    before = items.order_by("-pk").first()
    if before is None:
        return {}
    found: dict[str, Any] = {"team": before.team} if before.team_id else {}
    return found | ({"escalated_at": before.escalated_at} if before.escalated_at else {})


def _received(proposal: Proposal, place: _Place) -> ev.Event:
    return ev.ProposalReceived(
        proposal=proposal.pk,
        action=proposal.action,
        digest=proposal.digest,
        agent=proposal.agent,
        agent_version=proposal.agent_version,
        model=proposal.model,
        work=place.work,
        visit=place.visit,
        revises=proposal.revises_id or "",
        edited_by=proposal.edited_by.get_username() if proposal.edited_by else "",
    )


def _disposed(
    proposal: Proposal, judgement: _Judgement, item: ReviewItem | None, effect: str | None
) -> ev.Event:
    return ev.ProposalDisposed(
        proposal=proposal.pk,
        disposition=judgement.verdict,
        score=proposal.confidence,
        policy_version=judgement.policy.number,
        rules=tuple(
            {"rule": check.rule, "version": check.number, "result": check.result}
            for check in judgement.checks
            if check.enforced
        ),
        approvals_needed=judgement.outcome.approvals_needed,
        item=item.pk if item else None,
        effect=effect,
    )
