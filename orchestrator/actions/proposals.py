"""Proposals: taken in, checked, evaluated and disposed of, in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from orchestrator import revision_queries
from orchestrator.actions import (
    contracts,
    effects,
    judgements,
    lineage,
    rounds,
    runs,
    speaking,
    validations,
    workflows,
)
from orchestrator.actions.actor import Actor, audit
from orchestrator.actions.judgements import Judgement, Replaced
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, digest, read
from orchestrator.core.errors import BadInput
from orchestrator.core.policy.changes import RESERVED, is_change
from orchestrator.core.taint import Source, Tainted
from orchestrator.core.tasks import INTENT
from orchestrator.engine import audits, tainting
from orchestrator.engine.advance import Step, advance, complete
from orchestrator.engine.claim import Claimed
from orchestrator.engine.opening import open_item
from orchestrator.engine.tainting import TOO_MUCH
from orchestrator.failpoints import failpoint
from orchestrator.models import (
    Agent,
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

    def followed(self, sources: Iterable[Source], trusted: Sequence[Json] = ()) -> "Suggestion":
        """The same, with which of its arguments came from these sources, and from which."""
        return self._marked(lineage.find(self.args, self.target, sources, trusted))

    def distrusted(self, origin: str) -> "Suggestion":
        """The same, with all of its arguments marked."""
        return self._marked(lineage.everything(self.args, self.target, origin))

    def _marked(self, found: Sequence[Tainted]) -> "Suggestion":
        if not found:
            return self
        pointers = dict.fromkeys([*self.tainted, *(one.pointer for one in found)])
        trace = {**self.trace, "lineage": lineage.told(found)}
        return with_changes(self, tainted=list(pointers), trace=trace)


def submit(actor: Actor, suggestion: Suggestion) -> Proposal:
    """Take a suggestion in. When this returns, it has been checked and what follows is stored.

    1. Refuse while the queue of effects is full: accepted work is never dropped.
    2. Refuse arguments that do not fit the contract of their action.
    3. Store the proposal in a run of its own, with a snapshot of everything the rules may see.
    4. Ask every rule that applies, then the bands; store each check, the score and the disposition.
       What they let pass waits for the validators of its policy, if there are any: see `dispose`.
    5. Open a review item, or release the effect, or neither; the run's events say which.
    """
    _check_open_to_agents(suggestion.action)
    speaking.check(actor, suggestion.agent, suggestion.agent_version)
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
    if judged.disposition is None:
        runs.check_room("agents")
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
        run.state = Run.objects.select_for_update(of=("self",)).get(pk=run.pk).state
        actor = Actor(run.started_by, run.token)
        place = _Place.of(claimed)
        after = _sent_back(run, claimed) if not place.ask else _asked_again(run, suggestion, place)
        judged = _take_in(actor, run, suggestion, place=place, after=after)
        complete(claimed, *judged.events)
        judged.release()
        failpoint("proposed-in-transaction")


def dispose(claimed: Claimed) -> None:
    """All validators of a proposal were heard: what becomes of it, as of any.

    Rules and bands are asked now and not believed from when it came. One may have changed since, and
    of two proposals that waited at the same time only one may still be within a limit.
    """
    with transaction.atomic():
        # First of all: every row that refers to the run would lock it in another order.
        Run.objects.select_for_update(of=("self",)).get(pk=claimed.run)
        rows = Proposal.objects.select_related(
            "run__workflow_version__workflow",
            "run__token__owner",
            "run__started_by",
            "token__owner",
            "contract_version",
            "revises",
            "edited_by",
        )
        proposal = rows.get(pk=claimed.payload["proposal"])
        run, after = proposal.run, _replaced(proposal)
        place = _place_of(proposal)
        judgement = judgements.judge(
            proposal,
            run.workflow_version,
            after,
            rounds_left=rounds.left(proposal, place.work, asked=place.asked),
            heard=validations.heard(proposal),
        )
        judged = _disposed_of(Actor(run.started_by, run.token), proposal, judgement, after)
        complete(claimed, *judged.events)
        judged.release()
        failpoint("disposed-in-transaction")


def _replaced(proposal: Proposal) -> Replaced | None:
    """In whose place it stands, as when it came."""
    before = proposal.revises
    if before is None:
        return None
    return Replaced(
        before,
        by=before.agent,
        editor=proposal.edited_by,
        asked_by_people=revision_queries.was_sent_back(before),
    )


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
    """The work of a run whose output it is, and which coming to it; or where its agent asked for it."""

    work: str = ""
    visit: int = 0
    asked: int = 0
    ask: int = 0

    @classmethod
    def of(cls, claimed: Claimed) -> "_Place":
        payload = claimed.payload
        ask = payload.get("ask", 0)
        asked = payload["output"] if ask else 0
        return cls(payload["work"], payload.get("visit", 0), asked, ask)


def _place_of(proposal: Proposal) -> _Place:
    """Where the first of its line stood: each says it in the event with which it was received."""
    received = Event.objects.filter(
        run=proposal.run_id, kind="proposal_received", payload__contains=proposal.pk
    )
    for event in received.order_by("seq"):
        data = read(event.payload)
        if isinstance(data, dict) and data.get("proposal") == proposal.pk:
            visit, asked, ask = (int(str(data.get(name, 0))) for name in ("visit", "asked", "ask"))
            return _Place(str(data.get("work", "")), visit, asked, ask)
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
    return Replaced(known, by=known.agent, asked_by_people=revision_queries.was_sent_back(known))


def _asked_again(run: Run, suggestion: Suggestion, place: _Place) -> Replaced | None:
    """An agent that was sent back what it asked for, and asks for the same action again, answers that.

    Else a person's word would count for nothing: the next ask would be looked at as if nobody had spoken.
    """
    known = Proposal.objects.filter(
        run=run, status=Proposal.Status.REVISION_REQUESTED, action=suggestion.action
    )
    index = _index_of(run, place.asked)
    for before in known.order_by("pk"):
        stood = _place_of(before)
        same = (stood.work, stood.visit) == (place.work, place.visit)
        if same and stood.asked and _index_of(run, stood.asked) == index:
            people = revision_queries.was_sent_back(before)
            return Replaced(before, by=before.agent, asked_by_people=people)
    return None


def _index_of(run: Run, asked: int) -> int:
    return int(str(_facts(run, asked).get("index", 0)))


def _facts(run: Run, seq: int) -> dict[str, Json]:
    found = read(Event.objects.get(run=run, seq=seq).payload)
    return found if isinstance(found, dict) else {}


def _suggested(claimed: Claimed, run: Run) -> Suggestion:
    """The agent's own words, and from the log who it was."""
    data = _facts(run, claimed.payload["output"])
    output, agent = data.get("output"), data.get("agent")
    if ask := claimed.payload.get("ask", 0):
        asks = data.get("asks")
        output = asks[ask - 1] if isinstance(asks, list) else None
    known = agent if isinstance(agent, dict) else {}
    action = output.get("action") if isinstance(output, dict) else None
    if not isinstance(output, dict) or not isinstance(action, str):
        raise BadInput(
            f"output of {claimed.payload['work']}",
            "it is to be proposed, so it has to be an object with at least an `action`.",
        )
    _check_open_to_agents(action)
    suggestion = Suggestion(
        agent=_name_of(known, claimed.payload["work"]),
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
    return _followed(suggestion, run)


def _name_of(known: dict[str, Json], work: str) -> str:
    """Only one of its versions speaks for an agent that is kept here, whose tier and record count for them."""
    name = str(known.get("name", work))[:100]
    if "as" not in known and Agent.objects.filter(slug=name).exists():
        raise BadInput(
            f"output of {work}",
            f"“{name}” is an agent that is kept here, and this was said by another of that name, which the "
            "workflow brings itself. Nothing was proposed; call that one otherwise.",
        )
    return name


def _followed(suggestion: Suggestion, run: Run) -> Suggestion:
    """With what came into the run from tools, as the engine wrote it down: nothing that an agent says of
    itself counts here. Whose answer it was does not matter, as outputs go on from stage to stage.

    Who started a run is trusted, unless it was another run: what that handed on may come from a tool as
    well. Then it is whoever started the one at the top.
    """
    heard = tainting.of_run(run.pk, run.canonical_state)
    if heard.is_all:
        return suggestion.distrusted(TOO_MUCH)
    if not heard.sources:
        return suggestion
    return suggestion.followed(heard.sources, [_facts(_top(run), INTENT).get("intent")])


def _top(run: Run) -> Run:
    while run.parent is not None:
        run = run.parent
    return run


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
    # None while its validators are asked.
    disposition: Disposition | None
    effect: str | None
    events: tuple[ev.Event, ...]
    verb: str = "proposal.submitted"

    def release(self) -> None:
        if self.disposition is None:
            audit(self.actor, self.verb, self.proposal.pk)
            return
        if self.effect:
            effects.release(self.proposal, effect=self.effect, disposition=self.disposition)
        audits.draw(self.proposal, self.disposition)
        audit(
            self.actor,
            self.verb,
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
    left = rounds.left(proposal, place.work, asked=place.asked)
    judgement = judgements.judge(proposal, run.workflow_version, after, rounds_left=left)
    came = (*_superseded(proposal, after), _received(proposal, place))
    if not judgement.is_final:
        events = (*came, validations.requested(proposal, judgement))
        return _Judged(actor, proposal, None, None, events)
    return _disposed_of(actor, proposal, judgement, after, came)


def _disposed_of(
    actor: Actor,
    proposal: Proposal,
    judgement: Judgement,
    after: Replaced | None,
    came: Sequence[ev.Event] = (),
) -> _Judged:
    """`came` is what is said before, of a proposal that nobody knows yet."""
    disposition = judgements.store(proposal, judgement)
    item = _open_item(proposal, judgement, after)
    effect = effects.new_effect_id() if judgement.verdict == "accept" else None
    happened = (*came, _disposed(proposal, judgement, item, effect))
    verb = "proposal.submitted" if came else "proposal.evaluated"
    return _Judged(actor, proposal, disposition, effect, happened, verb)


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
        asked=place.asked,
        ask=place.ask,
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
