"""Proposals: taken in, checked, evaluated and disposed of, in one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from orchestrator.actions import contracts, effects, judgements, runs, workflows
from orchestrator.actions.actor import Actor, audit
from orchestrator.actions.judgements import Judgement, Replaced
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, digest, read
from orchestrator.core.errors import BadInput
from orchestrator.core.policy.changes import RESERVED, is_change
from orchestrator.engine import audits
from orchestrator.engine.advance import Step, advance, complete
from orchestrator.engine.claim import Claimed
from orchestrator.engine.opening import open_item
from orchestrator.failpoints import failpoint
from orchestrator.models import (
    ContractVersion,
    Disposition,
    Event,
    Proposal,
    ReviewItem,
    Run,
)


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
    judgement = judgements.judge(proposal, run.workflow_version, after)
    disposition = judgements.store(proposal, judgement)
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


def _open_item(
    proposal: Proposal, judgement: Judgement, after: Replaced | None
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
    proposal: Proposal, judgement: Judgement, item: ReviewItem | None, effect: str | None
) -> ev.Event:
    return ev.ProposalDisposed(
        proposal=proposal.pk,
        disposition=judgement.verdict,
        score=judgement.scored.score,
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
