"""Changes of Countersign itself are proposals: in the same queue, with four eyes, with their evidence.

Who asks is the person; what runs once another admin has agreed is the executor below. It applies
what was countersigned to the letter, or refuses when what it is about has moved on since.
"""

from typing import Any

from django.db import transaction

from orchestrator.actions import change_subjects, deployments, effects, proposals
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.actions.change_subjects import (
    OfAgent,
    OfEndpoint,
    Subject,
    Version,
    subject_in,
    subject_of,
)
from orchestrator.actions.endpoints import Whereabouts
from orchestrator.actions.proposals import Suggestion
from orchestrator.core.codec import Json
from orchestrator.core.errors import (
    BadInput,
    ChangeWaiting,
    CountersignError,
    EffectRefused,
    NotFound,
)
from orchestrator.core.policy import changes
from orchestrator.core.policy.agent_versions import Deployed
from orchestrator.effects.base import EffectCall
from orchestrator.failpoints import failpoint
from orchestrator.models import AuditEntry, Effect, Proposal, ReviewItem

NOTE_LENGTH_MAX = 5_000


def propose_activation(actor: Actor, version: Version, note: str) -> Proposal:
    """Ask that this version decides from now on. Its newest finished backtest goes along."""
    subject = subject_of(version)
    return propose(actor, subject, note, subject.activation)


@transaction.atomic
def roll_back(actor: Actor, version: Version, note: str) -> Proposal:
    """Ask that a version that decided before does so again. It was tested by having been in force."""
    subject = subject_of(version)
    _require_editor(actor, subject)
    subject.hold()
    if subject.version.activated_at is None:
        raise subject.stage_wrong("roll back to it", "It was never active.")
    return propose(actor, subject, note, subject.activation)


def propose_retirement(actor: Actor, version: Version, note: str) -> Proposal:
    """Ask that it decides nothing any more."""
    subject = subject_of(version)
    return propose(actor, subject, note, subject.retirement)


def propose_deployment(actor: Actor, agent: str, wanted: Deployed, note: str) -> Proposal:
    """Ask that other versions of an agent are used by the runs that start from then on."""
    return propose(actor, OfAgent(agent, wanted), note, changes.DEPLOY_AGENT)


def propose_way_back(actor: Actor, agent: str, note: str) -> Proposal:
    """Ask for an end of the canary, or where there is none for the stable version before."""
    require(actor, OfAgent.capability, "ask for a change of a deployment")
    return propose_deployment(actor, agent, deployments.way_back(agent), note)


def propose_move(actor: Actor, endpoint: str, wanted: Whereabouts, note: str) -> Proposal:
    """Ask that an endpoint is somewhere else, or may see more."""
    return propose(actor, OfEndpoint(endpoint, wanted), note, changes.MOVE_ENDPOINT)


def version_in(proposal: Proposal) -> Version:
    """The version that a proposed change is about."""
    return change_subjects.version_in(proposal.args)


@transaction.atomic
def propose(actor: Actor, subject: Subject, note: str, action: str) -> Proposal:
    _require_editor(actor, subject)
    if not 0 < len(note.strip()) <= NOTE_LENGTH_MAX:
        raise BadInput("note", f"say why, in 1 to {NOTE_LENGTH_MAX:,} characters.")
    if "\x00" in note:
        raise BadInput("note", "it holds the character NUL, which cannot be stored.")
    subject.hold()
    _check_alone(subject)
    evidence = subject.evidence(action)
    args: dict[str, Json] = {
        **subject.names,
        "content_hash": subject.digest,
        "instead_of": subject.in_force(),
        **evidence,
    }
    return proposals.submit_change(
        actor,
        Suggestion(
            agent=actor.name,
            action=action,
            target=subject.target,
            args=args,
            workflow=changes.WORKFLOW,
            rationale=note.strip(),
        ),
    )


def _require_editor(actor: Actor, subject: Subject) -> None:
    require(actor, subject.capability, f"ask for a change of a {subject.noun}")


def _check_alone(subject: Subject) -> None:
    waiting = ReviewItem.objects.waiting().filter(
        kind=ReviewItem.Kind.RULE_CHANGE, proposal__target=subject.target
    )
    item = waiting.first()
    if item is not None:
        raise ChangeWaiting(subject=subject.target, item=item.pk)


class Changes:
    """The executor. Its target is this very database, and calling it twice changes it once.

    That the version is as it was before says nothing: somebody may have gone back to it since.
    """

    def call(self, call: EffectCall) -> dict[str, Any]:
        with transaction.atomic():
            effect = Effect.objects.select_related("decision__reviewer").get(pk=call.key)
            if effect.decision is None:
                raise EffectRefused("nobody countersigned it")
            subject = _hold(call.args)
            if not _is_made(effect, subject):
                _check_unmoved(subject, call.args)
                _make(Actor(effect.decision.reviewer), subject, call)
            failpoint("change-made-in-transaction")
        failpoint("change-made-not-recorded")
        return {"target": call.target, "version": subject.number, "change": call.action}


def _make(actor: Actor, subject: Subject, call: EffectCall) -> None:
    try:
        is_known = subject.make(actor, call)
    except CountersignError as error:
        # A refusal, and not a call of which nobody knows whether it did something.
        raise EffectRefused(str(error)) from error
    if not is_known:
        raise EffectRefused(f"{call.action} is no change that this {subject.noun} knows")
    audit(actor, _made(subject), subject.log_name, effect=call.key, version=subject.number)


def _hold(args: dict[str, Any]) -> Subject:
    """What was countersigned, and nobody else changes what it belongs to meanwhile."""
    try:
        subject = subject_in(args)
        subject.hold()
    except NotFound as error:
        raise EffectRefused(str(error)) from error
    return subject


def _made(subject: Subject) -> str:
    """In the audit log, with the effect: what tells a second call that the first one made the change."""
    return f"{subject.noun}.change_made"


def _is_made(effect: Effect, subject: Subject) -> bool:
    entries = AuditEntry.objects.filter(object_id=subject.log_name, verb=_made(subject))
    return entries.filter(detail__effect=effect.pk).exists()


def _check_unmoved(subject: Subject, args: dict[str, Any]) -> None:
    """What stands there is what was looked at, or already what is wanted; and so is what is to come."""
    number = subject.in_force()
    if number not in {args["instead_of"], subject.becomes}:
        raise EffectRefused(f"{subject.moved(number)} meanwhile; look at it and ask again")
    if subject.digest != args["content_hash"]:
        raise EffectRefused(f"the {subject.noun} does not say what was countersigned")


EXECUTORS = {effects.CHANGES: Changes()}
